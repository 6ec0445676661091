//! What a cgroup holds where one has the controllers: as a test outside sees it, and by what happens.

use super::{PLAIN, delegated, held_by, record, run};
use crate::started::Started;
use crate::util::{Dir, Out, Sbx, within};
use nix::sys::signal::Signal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Flags.
type Words<'a> = &'a [&'a str];

#[test]
fn memory_is_counted_by_a_cgroup() {
    if !delegated(&["-m", "100m"], "memory.max") {
        return;
    }
    let script = "for i in 1 2 3; do (head -c 30M /dev/zero; sleep 3) | tail -c 30M >/dev/null & done; wait";
    let out = run(&["-m", "50m", "--json"], script);
    out.code(137).says("out of memory: the limit of 50M");
    let r = record(&out);
    assert_eq!(
        (r["reason"].as_str(), r["whole"]["by"].as_str()),
        (Some("oom"), Some("cgroup")),
        "{r}"
    );
    assert!(r["whole"]["oom_kills"].as_u64() > Some(0), "{r}");
    run(&["-m", "50m", "--enforce", "memory=off"], script).code(0);
}

#[test]
fn processes_that_were_refused_are_told() {
    if !delegated(&["--pids-limit", "8"], "pids.max") {
        return;
    }
    let out = run(
        &["--pids-limit", "8", "--json"],
        "for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done; wait",
    );
    out.says("the limit of processes of 8");
    assert!(record(&out)["whole"]["pids_refused"].as_u64() > Some(0));
}

#[test]
fn a_part_of_a_processor_is_held_by_a_cgroup() {
    if !delegated(&["--cpus", "0.2"], "cpu.max") {
        return;
    }
    let out = run(
        &["--cpus", "0.2", "--timeout", "3s", "--json"],
        "while :; do :; done",
    );
    let r = record(&out);
    let used = r["whole"]["cpu_user_us"].as_u64().expect("a number")
        + r["whole"]["cpu_system_us"].as_u64().expect("a number");
    assert!((200_000..1_300_000).contains(&used), "{r}");
    assert!(r["whole"]["cpu_throttled_us"].as_u64() > Some(100_000), "{r}");
}

/// The cgroup of what a run has started.
pub(super) fn cgroup_below(supervisor: u32) -> PathBuf {
    let children = format!("/proc/{supervisor}/task/{supervisor}/children");
    let children = std::fs::read_to_string(children).expect("the children of sbx");
    let child = children.split_whitespace().next().expect("a child of sbx");
    let own = std::fs::read_to_string(format!("/proc/{child}/cgroup")).expect("a child");
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"));
    PathBuf::from("/sys/fs/cgroup").join(own.expect("cgroup v2"))
}

#[test]
fn every_file_holds_what_was_asked_for() {
    let dir = Dir::new();
    let at = dir.path().to_str().expect("a path");
    let disk = format!("{at}:3m");
    let text = "extends = \"strict\"\n[limits]\nmemory-high = \"70M\"\n";
    let profile = dir.write("mine.toml", text);
    // Swap is forbidden without being asked for, and our own init is one process more.
    let all: &[(Words<'_>, &[(&str, &str)])] = &[
        (
            &["-m", "100m"],
            &[
                ("memory.max", "104857600"),
                ("memory.swap.max", "0"),
                ("memory.oom.group", "1"),
                ("memory.high", "73400320"),
            ],
        ),
        (&["--pids-limit", "50"], &[("pids.max", "51")]),
        (&["--cpus", "0.5"], &[("cpu.max", "50000 100000")]),
        (&["--cpu-shares", "2048"], &[("cpu.weight", "174")]),
        (&["--cpuset-cpus", "0"], &[("cpuset.cpus.effective", "0")]),
        (&["--device-write-bps", &disk], &[("io.max", "wbps=3145728")]),
    ];
    let planned_as = |file: &str| match file {
        "cpuset.cpus.effective" => "cpuset.cpus".to_owned(),
        file => file.to_owned(),
    };
    let there: Vec<_> = all
        .iter()
        .filter(|(flags, files)| held_by(flags, &planned_as(files[0].0)))
        .collect();
    if !delegated(&["-m", "100m"], "memory.max") {
        return;
    }
    let sbx = Sbx::new(["run", "--quiet", "--profile"])
        .args([&profile])
        .args(PLAIN);
    let sbx = there.iter().fold(sbx, |sbx, (flags, _)| sbx.args(*flags));
    let run = Started::new(sbx.args(["host", "--", "sh", "-c", "echo ready; exec sleep 100"]));
    let own = cgroup_below(run.child.id());
    for (file, value) in there.iter().flat_map(|(_, files)| files.iter()) {
        let text = std::fs::read_to_string(own.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        match *file {
            "io.max" => assert!(text.contains(value), "{file}: {text}"),
            _ => assert_eq!(text.trim(), *value, "{file}"),
        }
    }
    run.signal(Signal::SIGTERM);
    run.end().code(143);
    assert!(!own.exists(), "{own:?}");
}

/// Without swap nothing can be taken back, so that whoever asks for more waits: how often is counted.
#[test]
fn whoever_uses_more_than_memory_high_is_slowed_down() {
    if !delegated(&["-m", "100m"], "memory.max") {
        return;
    }
    let dir = Dir::new();
    let sbx = |high: &str| {
        let text = format!("extends = \"strict\"\n[limits]\nmemory-high = \"{high}\"\n");
        let profile = dir.write("mine.toml", text);
        let script = "echo ready; dd if=/dev/zero of=/tmp/x bs=1M count=44 2>/dev/null; wc -c </tmp/x";
        let sbx = Sbx::new(["run", "--quiet", "--json", "--profile"]).args([&profile]);
        sbx.args(PLAIN).args(["host", "--", "sh", "-c", script])
    };
    let run = Started::new(sbx("30M"));
    let own = cgroup_below(run.child.id());
    let slowed = || {
        let events = std::fs::read_to_string(own.join("memory.events")).unwrap_or_default();
        !events.contains("\nhigh 0\n")
    };
    within(Duration::from_secs(20), "it is slowed down", slowed);
    run.signal(Signal::SIGTERM);
    assert!(record(&run.end())["whole"]["memory_slowed"].as_u64() > Some(0));
    let out = sbx("200M").out();
    assert_eq!(out.ok(), "ready\n46137344");
    assert_eq!(record(&out)["whole"]["memory_slowed"], 0);
}

/// How long a command takes that goes past the page cache, with flags. The emulated disk moves some ten megabytes a second.
fn past_the_cache(work: &Dir, flags: &[&str], script: &str) -> (Duration, Out) {
    let sbx = Sbx::run("strict").args(PLAIN).args(["--workspace", "writable"]);
    let sbx = sbx.args(flags).args(["host", "--", "sh", "-c", script]);
    let start = Instant::now();
    let out = sbx.within(work.path()).out();
    (start.elapsed(), out)
}

#[test]
fn disks_are_as_fast_as_is_said_and_no_faster() {
    let work = Dir::open();
    let at = work.path().to_str().expect("a path");
    let rate = format!("{at}:1m");
    if !delegated(&["--device-write-bps", &rate], "io.max") {
        return;
    }
    // 4 MiB at 1 MiB a second; what has not yet been counted may pass.
    let write = "dd if=/dev/zero of=file bs=64k count=64 oflag=direct 2>/dev/null";
    let read = "dd if=file of=/dev/null bs=64k iflag=direct 2>/dev/null";
    for (flag, script) in [("--device-write-bps", write), ("--device-read-bps", read)] {
        let (free, out) = past_the_cache(&work, &[], script);
        out.code(0);
        let (held, out) = past_the_cache(&work, &[flag, &rate], script);
        out.code(0);
        assert!(
            held > Duration::from_secs(3) && held > free + Duration::from_secs(1),
            "{flag}: {held:?}, and {free:?} without"
        );
    }
    // Operations in a second are held as well: 64 of them at 16.
    let times = format!("{at}:16");
    let (held, out) = past_the_cache(&work, &["--device-write-iops", &times], write);
    out.code(0);
    assert!(held > Duration::from_secs(3), "{held:?}");
}

//! Ceilings of the sandbox as a whole, on each rung of the ladder, and what is said of an end.

use crate::started::Started;
use crate::util::{Dir, Out, Sbx, is_root, skip, within};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Linux 6.1 refuses a process that shares memory across time namespaces; nothing here is about them.
const PLAIN: [&str; 2] = ["--enforce", "time-namespace=off"];

fn run(flags: &[&str], script: &str) -> Out {
    let sbx = Sbx::run("strict").args(PLAIN).args(flags);
    sbx.args(["host", "--", "sh", "-c", script]).out()
}

/// The record that `--json` writes as the last line of standard error.
fn record(out: &Out) -> Value {
    let text = out.stderr();
    let line = text.lines().last().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// Lines of a plan about limits.
fn planned(flags: &[&str]) -> String {
    let plan = Sbx::new(["plan", "--profile", "strict"])
        .args(flags)
        .args(["host", "--", "true"])
        .out()
        .ok();
    plan.lines()
        .filter(|line| line.starts_with("limits "))
        .map(|line| format!("{line}\n"))
        .collect()
}

/// Whether a cgroup holds memory and processes here.
pub(crate) fn counted_by_a_cgroup() -> bool {
    planned(&["-m", "100m"]).contains("memory.max")
}

/// The same; where none does, the test is skipped by name.
fn delegated() -> bool {
    let there = counted_by_a_cgroup();
    if !there {
        skip(
            "cgroup-delegation",
            "no cgroup with the memory controller is delegated here",
        );
    }
    there
}

#[test]
fn what_ended_a_run_is_told_apart() {
    for (flags, script, code, reason, words) in [
        (
            &["--timeout", "200ms"][..],
            "sleep 9",
            137,
            "timeout",
            "the time of 200ms was up",
        ),
        (
            &[],
            "kill -9 $$",
            137,
            "signaled",
            "killed by signal 9, and not by sbx",
        ),
        (
            &["--ulimit", "cpu=1"],
            "while :; do :; done",
            137,
            "cpu-time",
            "processor time",
        ),
        (
            &["--ulimit", "cpu=1:3"],
            "while :; do :; done",
            152,
            "cpu-time",
            "processor time",
        ),
        (
            &["--ulimit", "fsize=4096"],
            "exec head -c 5000 /dev/zero > /tmp/x",
            153,
            "file-size",
            "larger than it may be",
        ),
        (
            &["-m", "60m"],
            "for i in 1 2; do (head -c 50M /dev/zero; sleep 5) | tail -c 50M >/dev/null & done; wait",
            137,
            "oom",
            "out of memory: the limit of 60M (the flag -m 60m)",
        ),
    ] {
        let words = words.replace("-m 60m)", "--memory 60m)");
        let out = run(&[&["--json"], flags].concat(), script);
        out.code(code).says(&words).says(&format!("(exit code {code})"));
        let r = record(&out);
        assert_eq!(
            (r["reason"].as_str(), r["exit_code"].as_i64()),
            (Some(reason), Some(code.into())),
            "{r}"
        );
    }
    // An end that speaks for itself is not spoken of, whatever number the command chose.
    assert_eq!(run(&[], "exit 137").code(137).stderr(), "");
}

#[test]
fn the_record_goes_to_standard_error_and_the_output_is_the_command_s() {
    let out = run(&["--json"], "echo out");
    assert_eq!(out.ok(), "out");
    assert_eq!(record(&out)["reason"], "exited");
    let out = run(&["--json", "-v", "/no/such:/x"], "echo out");
    assert_eq!(out.code(125).stdout(), "");
    assert!(out.stderr().contains("\"reason\":\"setup\""), "{}", out.stderr());
}

#[test]
fn values_that_mean_nothing_are_refused_with_what_would_be_right() {
    for (flags, words) in [
        (&["-m", "1m"][..], "the least is 6m"),
        (&["-m", "0"], "the least is 6m"),
        (&["-m", "much"], "is not a size"),
        (&["-m", "1g", "--memory-swap", "512m"], "memory and swap together"),
        (&["--pids-limit", "0"], "--ulimit nproc=unlimited"),
        (&["--pids-limit", "-1"], "--ulimit nproc=unlimited"),
        (&["--cpus", "0"], "number of processors"),
        (&["--cpus", "-1"], "number of processors"),
        (&["--cpus", "1.555"], "number of processors"),
        (&["--cpuset-cpus", "2-1"], "list of processors"),
        (&["--cpuset-cpus", "1000"], "you may use"),
        (&["--cpu-shares", "1"], "1024 is everybody's"),
        (&["--device-read-bps", "/dev/sda"], "write PATH:SIZE"),
        (&["--device-write-iops", "/dev/sda:1m"], "write PATH:NUMBER"),
        (&["--storage-opt", "size=0"], "write size=SIZE"),
        (&["--tmpfs", "/x:nr_inodes=0"], "how many files"),
        (&["--cgroup-parent", "/no/such"], "no cgroup can be made there"),
        (&["--cgroup-parent", "../x"], "without `.` and `..`"),
    ] {
        let out = run(flags, "echo ran");
        out.code(125).says(words);
        assert_eq!(out.stdout(), "", "{flags:?}");
    }
}

#[test]
fn whole_processors_are_held_without_a_cgroup() {
    if std::thread::available_parallelism().expect("a number").get() < 2 {
        return skip("processors", "there is one processor only");
    }
    assert_eq!(
        run(&[], "nproc").ok(),
        std::thread::available_parallelism()
            .expect("a number")
            .to_string()
    );
    if planned(&["--cpus", "1"]).contains("cpu.max") {
        return skip("no-cgroup", "a cgroup holds them here");
    }
    // What asks for more is told that it has it, and has not.
    for script in ["nproc", "taskset -p ffff $$ >/dev/null; nproc"] {
        assert_eq!(run(&["--cpus", "1"], script).ok(), "1", "{script}");
        assert_eq!(run(&["--cpuset-cpus", "1"], script).ok(), "1", "{script}");
    }
    // A part of one cannot be had: an error where a flag asks for it, and a loss where a profile would like it.
    run(&["--cpus", "0.5"], "echo ran")
        .code(125)
        .says("cpu is required (the flag --cpus 0.5)")
        .says("--cpus 1");
    let dir = Dir::new();
    let profile = dir.write("mine.toml", "extends = \"strict\"\n[limits]\ncpu = \"0.5\"\n");
    let sbx = Sbx::new(["run", "--profile"]).args([&profile]).args(PLAIN);
    let out = sbx.args(["host", "--", "echo", "ran"]).out();
    out.says("lost: ").says("cpu: 0.50 processors");
    assert_eq!(out.ok(), "ran");
}

#[test]
fn memory_is_counted_by_a_cgroup() {
    if !delegated() {
        return;
    }
    let script = "for i in 1 2 3; do (head -c 60M /dev/zero; sleep 3) | tail -c 60M >/dev/null & done; wait";
    let out = run(&["-m", "100m", "--json"], script);
    out.code(137).says("out of memory: the limit of 100M");
    let r = record(&out);
    assert_eq!(
        (r["reason"].as_str(), r["whole"]["by"].as_str()),
        (Some("oom"), Some("cgroup")),
        "{r}"
    );
    assert!(r["whole"]["oom_kills"].as_u64() > Some(0), "{r}");
    run(&["-m", "100m", "--enforce", "memory=off"], script).code(0);
}

#[test]
fn processes_that_were_refused_are_told() {
    if !delegated() {
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
    if !planned(&["--memory", "100m"]).contains("memory.max")
        || Sbx::new(["plan", "--cpus", "0.2", "host", "--", "true"])
            .out()
            .code
            != Some(0)
    {
        return skip(
            "cgroup-delegation",
            "no cgroup with the cpu controller is delegated here",
        );
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

#[test]
fn what_only_a_cgroup_can_do_is_refused_without_one() {
    if planned(&["--cpus", "1"]).contains("cpu.max") {
        return skip("no-cgroup", "a cgroup holds them here");
    }
    for (flags, protection) in [
        (&["--cpu-shares", "512"][..], "cpu"),
        (&["--device-read-bps", "/:1m"], "io"),
        (&["--device-write-iops", "/:10"], "io"),
        (&["-m", "100m", "--memory-swap", "200m"], "memory"),
    ] {
        let out = run(flags, "echo ran");
        out.code(125)
            .says(&format!("{protection} is required (the flag "));
        assert_eq!(out.stdout(), "", "{flags:?}");
        // Whoever does not want it has said so.
        let off = format!("{protection}=off");
        assert_eq!(
            run(&[flags, &["--enforce", &off]].concat(), "echo ran").ok(),
            "ran"
        );
    }
    let dir = Dir::new();
    let text = "extends = \"strict\"\n[limits]\nmemory-high = \"500M\"\nswap = \"1G\"\ncpu-weight = 50\nprocessors = \"0\"\nio = [{ path = \"/\", read-bps = \"1M\" }]\n";
    let profile = dir.write("mine.toml", text);
    let sbx = Sbx::new(["run", "--profile"]).args([&profile]).args(PLAIN);
    let out = sbx.args(["host", "--", "nproc"]).out();
    for words in [
        "memory: swap cannot be counted apart",
        "memory: nobody is slowed down at limits.memory-high",
        "cpu: the share of the processors is everybody's",
        "io: disks are as fast as they are",
    ] {
        out.says(words);
    }
    assert_eq!(out.ok(), "1");
}

#[test]
fn a_tmpfs_has_as_many_files_as_is_said() {
    let script = "i=0; while [ $i -lt 50 ] && true 2>/dev/null >/x/$i; do i=$((i+1)); done; echo $i";
    let made = |option: &str| {
        let out = run(&["--tmpfs", option], script).ok();
        out.lines().last().and_then(|n| n.parse::<u32>().ok())
    };
    assert_eq!(made("/x"), Some(50));
    // The directory itself is one of them.
    assert_eq!(made("/x:nr_inodes=20"), Some(19));
}

#[test]
fn many_at_once_each_have_their_own() {
    let Some(parent) = directory() else { return };
    let at = parent.0.to_str().expect("a path");
    let start = || {
        let sbx = Sbx::run("default").args(PLAIN).args(["--cgroup-parent", at]);
        let (mut command, home) = sbx.args(["host", "--", "sleep", "60"]).into_command();
        (command.spawn().expect("sbx starts"), home)
    };
    let mut all: Vec<_> = (0..6).map(|_| start()).collect();
    let lives = |own: &PathBuf| {
        let procs = std::fs::read_to_string(own.join("cgroup.procs")).unwrap_or_default();
        procs.lines().count() >= 2
    };
    within(Duration::from_secs(20), "a cgroup for each", || {
        inside(&parent.0).iter().filter(|own| lives(own)).count() == 6
    });
    for (run, _) in &mut all {
        assert_eq!(run.try_wait().expect("it is there"), None);
        let pid = nix::unistd::Pid::from_raw(i32::try_from(run.id()).expect("a pid"));
        nix::sys::signal::kill(pid, Signal::SIGTERM).expect("it is there");
    }
    for (run, _) in &mut all {
        assert_eq!(run.wait().expect("an end").code(), Some(143));
    }
    assert_eq!(inside(&parent.0), Vec::<PathBuf>::new());
}

#[test]
fn a_stopped_job_is_frozen_as_a_whole() {
    let Some(parent) = directory() else { return };
    let at = parent.0.to_str().expect("a path");
    // What has left the command's group is no part of the job for a signal.
    let script = "setsid sh -c 'trap \"\" TERM; while :; do sleep 0.01; done' & echo ready; exec sleep 60";
    let sbx = Sbx::run("default").args(PLAIN).args(["--cgroup-parent", at]);
    let run = Started::new(sbx.args(["host", "--", "sh", "-c", script]));
    let own = inside(&parent.0);
    let [own] = own.as_slice() else { panic!("{own:?}") };
    let frozen = |wanted: &str| {
        std::fs::read_to_string(own.join("cgroup.events")).is_ok_and(|text| text.contains(wanted))
    };
    assert!(frozen("frozen 0"));
    run.signal(Signal::SIGTSTP);
    within(Duration::from_secs(5), "everything stops", || frozen("frozen 1"));
    run.signal(Signal::SIGCONT);
    within(Duration::from_secs(5), "everything goes on", || {
        frozen("frozen 0")
    });
    // What is stopped can be ended, and killed.
    run.signal(Signal::SIGTSTP);
    within(Duration::from_secs(5), "everything stops", || frozen("frozen 1"));
    run.signal(Signal::SIGKILL);
    run.end();
    within(Duration::from_secs(5), "everything ends", || {
        frozen("populated 0")
    });
    run_in(at).ok();
    assert_eq!(inside(&parent.0), Vec::<PathBuf>::new());
}

/// A run that leaves nothing, whatever others have left.
fn run_in(at: &str) -> Out {
    let sbx = Sbx::run("default").args(PLAIN).args(["--cgroup-parent", at]);
    sbx.args(["host", "--", "true"]).out()
}

/// A cgroup v2 directory in which a cgroup can be made, though perhaps none of its controllers: root has one nearly everywhere.
fn directory() -> Option<Parent> {
    let tops = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(PathBuf::from);
    let top = tops.into_iter().find(|top| top.join("cgroup.procs").exists());
    let at = top.filter(|_| is_root()).map(|top| {
        top.join(format!(
            "sbx-test-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ))
    });
    let at = at.filter(|at| std::fs::create_dir(at).is_ok());
    if at.is_none() {
        skip(
            "cgroup-root",
            "only root can make a cgroup here, and only in cgroup v2",
        );
    }
    at.map(Parent)
}

struct Parent(PathBuf);

impl Drop for Parent {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

fn inside(parent: &Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir(parent)
        .expect("a directory")
        .flatten()
        .map(|e| e.path());
    all.filter(|p| p.is_dir()).collect()
}

#[test]
fn a_cgroup_is_made_used_and_removed_where_it_is_told() {
    let Some(parent) = directory() else { return };
    let at = parent.0.to_str().expect("a path");
    let start = || {
        Started::new(Sbx::run("default").args(PLAIN).args([
            "--cgroup-parent",
            at,
            "host",
            "--",
            "sh",
            "-c",
            "echo ready; cat /proc/self/cgroup; read x; exec sleep 100",
        ]))
    };
    let mut started = start();
    // Of all cgroups it sees its own, as the root of them.
    let seen = started.line();
    assert!(seen.ends_with(":/\n") || seen.is_empty(), "{seen}");
    let own = inside(&parent.0);
    let [own] = own.as_slice() else { panic!("{own:?}") };
    assert!(
        std::fs::read_to_string(own.join("cgroup.procs"))
            .expect("procs")
            .lines()
            .count()
            >= 2
    );
    started.signal(Signal::SIGTERM);
    started.end();
    assert_eq!(inside(&parent.0), Vec::<PathBuf>::new());
    // Its supervisor killed, it is left over; the next run removes it, and leaves alone what is in use.
    let (killed, other) = (start(), start());
    let both = inside(&parent.0);
    assert_eq!(both.len(), 2);
    killed.signal(Signal::SIGKILL);
    killed.end();
    assert_eq!(inside(&parent.0).len(), 2);
    let third = start();
    within(Duration::from_secs(5), "the leftover is swept", || {
        inside(&parent.0).len() == 2
    });
    let now = inside(&parent.0);
    assert_eq!(
        both.iter().filter(|p| now.contains(p)).count(),
        1,
        "{both:?} {now:?}"
    );
    for run in [other, third] {
        run.signal(Signal::SIGTERM);
        run.end();
    }
    assert_eq!(inside(&parent.0), Vec::<PathBuf>::new());
}

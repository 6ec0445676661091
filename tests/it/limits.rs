//! Ceilings of the sandbox as a whole, on each rung of the ladder, and what is said of an end.

mod bus;
mod held;
mod output;
mod places;
mod rungs;

use crate::util::{Dir, Out, Sbx, skip};
use serde_json::Value;

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
    limits_of(&plan(flags).ok())
}

fn plan(flags: &[&str]) -> Out {
    let sbx = Sbx::new(["plan", "--profile", "strict"]).args(flags);
    sbx.args(["host", "--", "true"]).out()
}

fn limits_of(plan: &str) -> String {
    let limits = plan.lines().filter(|line| line.starts_with("limits "));
    limits.map(|line| format!("{line}\n")).collect()
}

/// Whether a cgroup holds memory and processes here.
pub(crate) fn counted_by_a_cgroup() -> bool {
    held_by(&["-m", "100m"], "memory.max")
}

/// Whether a cgroup has this file, which these flags ask for.
fn held_by(flags: &[&str], file: &str) -> bool {
    let plan = plan(flags);
    plan.code == Some(0) && limits_of(&plan.stdout()).contains(&format!(" {file} "))
}

/// The same; where none has it, the test is skipped by name.
fn delegated(flags: &[&str], file: &str) -> bool {
    let there = held_by(flags, file);
    if !there {
        let controller = file.split('.').next().unwrap_or_default();
        let words = format!("no cgroup with the {controller} controller is delegated here");
        skip("cgroup-delegation", &words);
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
        (&["--cgroup-parent", "/no/such"], "no directory of cgroup v2"),
        (&["--cgroup-parent", "../x"], "without `.` and `..`"),
    ] {
        let out = run(flags, "echo ran");
        out.code(125).says(words);
        assert_eq!(out.stdout(), "", "{flags:?}");
    }
}

/// On each rung the same: our own init is not among them.
#[test]
fn there_are_as_many_processes_as_is_said() {
    assert_eq!(run(&["--pids-limit", "1"], "echo ran").ok(), "ran");
    let forks = "(exec true) 2>/dev/null; echo forked";
    assert_eq!(run(&["--pids-limit", "2"], forks).ok(), "forked");
    let none = run(&["--pids-limit", "1"], forks);
    assert_ne!(none.code, Some(0), "{}", none.stdout());
    assert_eq!(none.stdout(), "");
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
        if protection == "memory" && counted_by_a_cgroup() {
            continue;
        }
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
        if words.starts_with("memory") && counted_by_a_cgroup() {
            continue;
        }
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

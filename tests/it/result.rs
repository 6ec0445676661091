//! The result record: one JSON object, whatever happened.

use crate::started::Started;
use crate::util::{Dir, Out, Sbx, is_root, skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Runs with `--result` and reads the record; the code is checked against what sbx exited with.
fn record(flags: &[&str], script: &str) -> Value {
    let dir = Dir::new();
    let file = dir.path().join("r.json");
    let out = Sbx::run("default")
        .args(["--result"])
        .args([&file])
        .args(flags)
        .args(["host", "--", "sh", "-c", script])
        .out();
    let value = parse(&dir.read("r.json"));
    assert_eq!(value["exit_code"].as_i64(), out.code.map(i64::from), "{value}");
    value
}

/// One object on one line.
fn parse(text: &str) -> Value {
    assert_eq!(text.matches('\n').count(), 1, "{text:?}");
    assert!(text.ends_with('\n'), "{text:?}");
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn exited() {
    for code in [0, 7, 255] {
        let r = record(&[], &format!("exit {code}"));
        assert_eq!(r["reason"], "exited");
        assert_eq!(r["exit_code"], code);
        assert_eq!(r["signal"], Value::Null);
        assert!(r.get("error").is_none(), "{r}");
    }
}

#[test]
fn signaled() {
    for (name, number) in [("KILL", 9), ("TERM", 15), ("SEGV", 11)] {
        let r = record(&[], &format!("kill -{name} $$"));
        assert_eq!(r["reason"], "signaled");
        assert_eq!(r["signal"], number);
        assert_eq!(r["exit_code"], 128 + number);
    }
}

#[test]
fn timeout() {
    let r = record(&["--timeout", "200ms"], "sleep 100");
    assert_eq!(r["reason"], "timeout");
    assert_eq!(r["exit_code"], 137);
    assert_eq!(r["signal"], 9);
    let wall = r["wall_us"].as_u64().expect("a number");
    assert!((200_000..10_000_000).contains(&wall), "{wall}");
}

#[test]
fn setup() {
    for (flags, code, words) in [
        (vec!["-v", "/no/such:/x"], 125, "/no/such"),
        (vec!["--network", "gateway"], 125, "gateway"),
        (vec!["--user", "no such user"], 125, "user"),
    ] {
        let r = record(&flags, "true");
        assert_eq!(r["reason"], "setup");
        assert_eq!(r["exit_code"], code);
        assert!(r["error"].as_str().expect("words").contains(words), "{r}");
    }
    for (command, code) in [("no-such", 127), ("/etc", 126)] {
        let dir = Dir::new();
        let file = dir.path().join("r.json");
        Sbx::run("default")
            .args(["--result"])
            .args([&file])
            .args(["host", "--", command])
            .out()
            .code(code);
        let r = parse(&dir.read("r.json"));
        assert_eq!(r["reason"], "setup");
        assert_eq!(r["exit_code"], code);
        assert!(r["error"].as_str().expect("words").contains(command), "{r}");
        assert_eq!(r["profile"]["name"], "default");
    }
}

/// A run that has started and writes its record at the end.
fn recorded(file: &Path) -> Started {
    let sbx = Sbx::run("default").args(["--result"]).args([file]);
    Started::new(sbx.args(["host", "--", "sh", "-c", "echo ready; exec sleep 100"]))
}

#[test]
fn killed_from_outside() {
    let dir = Dir::new();
    let file = dir.path().join("r.json");
    let run = recorded(&file);
    // pid 1 of the sandbox is the supervisor's only child.
    let children = format!("/proc/{0}/task/{0}/children", run.pid());
    let init: i32 = std::fs::read_to_string(children)
        .expect("its children")
        .trim()
        .parse()
        .expect("one child");
    if kill(Pid::from_raw(init), Signal::SIGKILL).is_err() {
        run.signal(Signal::SIGKILL);
        run.end();
        return skip(
            "kill-mapped",
            "a process of a sub-id cannot be signalled by its owner here",
        );
    }
    run.end().code(137);
    let r = parse(&dir.read("r.json"));
    assert_eq!(r["reason"], "killed");
    assert_eq!(r["signal"], 9);
    assert_eq!(r["exit_code"], 137);
}

#[test]
fn times_and_memory_are_of_what_ran_inside() {
    let r = record(
        &[],
        "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; sleep 0.3",
    );
    let of = |name: &str| r[name].as_u64().unwrap_or_else(|| panic!("{name}: {r}"));
    assert!(of("wall_us") > 300_000, "{r}");
    assert!(of("user_us") > 10_000, "{r}");
    assert!(of("user_us") + of("system_us") < of("wall_us"), "{r}");
    // What sleeps costs no time.
    let r = record(&[], "sleep 0.5");
    let used = r["user_us"].as_u64().expect("a number") + r["system_us"].as_u64().expect("a number");
    assert!(used < 400_000, "{r}");
    let r = record(&[], "head -c 100M /dev/zero | tail -c 80M | wc -c");
    assert!(
        r["memory_peak_bytes"].as_u64().expect("a number") > 60 << 20,
        "{r}"
    );
}

#[test]
fn the_record_says_under_which_profile_and_version() {
    let r = record(&[], "true");
    assert_eq!(r["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(r["profile"]["name"], "default");
    let hash = r["profile"]["sha256"].as_str().expect("a hash").to_owned();
    assert!(
        hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()),
        "{hash}"
    );
    assert_eq!(
        record(&[], "true")["profile"]["sha256"],
        *hash,
        "the same profile"
    );
    let dir = Dir::new();
    let mine = dir.write("mine.toml", "extends = \"default\"\n[limits]\npids = 77\n");
    let other = record(&["--profile", &mine.display().to_string()], "true");
    assert_ne!(other["profile"]["sha256"], *hash, "another profile");
}

/// `sbx VERB --profile PROFILE FLAGS host -- echo ran`
fn of_profile(verb: &str, profile: &Path, flags: &[&str]) -> Out {
    Sbx::new([verb, "--profile"])
        .args([profile])
        .args(flags)
        .args(["host", "--", "echo", "ran"])
        .out()
}

/// Memory that is only watched is required in vain; a part of a processor can be had from a cgroup alone.
#[test]
fn what_is_preferred_and_lost_is_told_by_run_plan_and_record_alike() {
    let dir = Dir::new();
    let text = |level: &str| {
        format!("extends = \"strict\"\n[limits]\ncpu = \"0.5\"\n[enforcement]\ncpu = \"{level}\"\n")
    };
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        return skip("no-cgroup", "cgroup v2 may give here what this host must lack");
    }
    let profile = dir.write("mine.toml", text("prefer"));
    let record = dir.path().join("r.json").display().to_string();
    let lost = |flags: &[&str]| {
        let plan = of_profile("plan", &profile, &[flags, &["--json"]].concat()).ok();
        let planned: Value = serde_json::from_str(&plan).expect("JSON");
        let run = of_profile("run", &profile, &[flags, &["--result", &record]].concat());
        assert_eq!(run.ok(), "ran");
        let recorded = parse(&dir.read("r.json"));
        assert_eq!(planned["losses"], recorded["losses"], "{flags:?}");
        let all = planned["losses"].as_array().expect("a list");
        let words: Vec<String> = all
            .iter()
            .map(|l| {
                ["protection", "reason"]
                    .map(|key| l[key].as_str().expect("a text"))
                    .join(": ")
            })
            .collect();
        let line =
            (!words.is_empty()).then(|| format!("sbx: lost: {} (sbx plan tells more)", words.join("; ")));
        let said = run.stderr();
        let told: Vec<&str> = said.lines().filter(|l| l.contains("lost")).collect();
        assert_eq!(told, line.iter().collect::<Vec<_>>(), "{flags:?}");
        words
    };
    let of_cpu = |losses: Vec<String>| losses.iter().filter(|l| l.starts_with("cpu: ")).count();
    assert_eq!(of_cpu(lost(&[])), 1);
    // Not asked for, nothing of it is lost; required, nothing runs.
    assert_eq!(of_cpu(lost(&["--enforce", "cpu=off"])), 0);
    let required = dir.write("required.toml", text("require"));
    for verb in ["plan", "run"] {
        let out = of_profile(verb, &required, &[]);
        out.code(125).says("cpu is required").says("required.toml");
        assert_eq!(out.stdout(), "", "{verb}");
    }
}

#[test]
fn a_descriptor_takes_the_record_and_the_command_never_sees_it() {
    let dir = Dir::new();
    let out = std::process::Command::new("bash")
        .args([
            "-c",
            "exec 5>r; $S run -q --profile default --result fd:5 host -- sh -c 'ls /proc/self/fd; exit 3'; echo $?; cat r",
        ])
        .env("S", crate::util::binary())
        .env("HOME", "/nonexistent")
        .current_dir(dir.path())
        .output()
        .expect("bash starts");
    let text = String::from_utf8_lossy(&out.stdout);
    let (before, json) = text.split_at(text.find('{').unwrap_or_else(|| panic!("{text} {out:?}")));
    assert_eq!(before, "0\n1\n2\n3\n3\n");
    assert_eq!(parse(json)["reason"], "exited");
}

#[test]
fn what_was_in_the_file_is_replaced() {
    let dir = Dir::new();
    let file = dir.write("r.json", "x".repeat(10_000));
    Sbx::run("default")
        .args(["--result"])
        .args([&file])
        .args(["host", "--", "true"])
        .out()
        .code(0);
    assert_eq!(parse(&dir.read("r.json"))["reason"], "exited");
}

#[test]
fn a_record_that_cannot_be_written_stops_the_run_before_it_starts() {
    for (target, why) in [
        ("/no/such/directory/r.json", "o such file or directory"),
        ("/", "s a directory"),
        ("fd:77", "EBADF"),
        ("fd:x", "write fd:N"),
        ("fd:-1", "write fd:N"),
        ("", "o such file or directory"),
    ] {
        let out = Sbx::run("default")
            .args(["--result", target, "host", "--", "echo", "ran"])
            .out();
        out.code(125).says("--result").says(why);
        assert_eq!(out.stdout(), "", "{target}");
        assert_eq!(out.stderr().lines().count(), 1, "{}", out.stderr());
    }
}

#[test]
fn a_record_that_does_not_fit_is_told() {
    let out = Sbx::run("default")
        .args(["--result", "/dev/full", "host", "--", "true"])
        .out();
    out.code(125).says("--result /dev/full");
}

#[test]
fn a_record_is_written_when_sbx_is_told_to_end() {
    let dir = Dir::new();
    let file = dir.path().join("r.json");
    let run = recorded(&file);
    run.signal(Signal::SIGTERM);
    run.end().code(143);
    let r = parse(&dir.read("r.json"));
    assert_eq!(
        (r["reason"].as_str(), r["signal"].as_i64()),
        (Some("signaled"), Some(15))
    );
}

#[test]
fn a_record_tells_of_the_run_when_applying_fails_after_it() {
    if is_root() {
        return skip("user", "root may write into every directory");
    }
    let (dir, records) = (Dir::new(), Dir::new());
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("chmod");
    let file = records.path().join("r.json");
    // From inside the directory looks as it did at the start; outside nothing can be put into it any more.
    let script = "trap 'echo x > new; exit 0' TERM; echo ready; while :; do sleep 0.02; done";
    let sbx = Sbx::run("default")
        .args(["--result"])
        .args([&file])
        .args([
            "--workspace",
            "overlay",
            "--apply",
            "host",
            "--",
            "sh",
            "-c",
            script,
        ])
        .within(dir.path());
    let run = Started::new(sbx);
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o555)).expect("chmod");
    run.signal(Signal::SIGTERM);
    run.end().code(125).says("cannot apply");
    let r = parse(&records.read("r.json"));
    assert_eq!(
        (r["reason"].as_str(), r["changes"].to_string().as_str()),
        (Some("exited"), "[\"C new\"]")
    );
    assert!(
        r["error"].as_str().expect("words").contains("cannot apply"),
        "{r}"
    );
}

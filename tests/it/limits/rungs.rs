//! The rung that a guest has made ready, and what becomes of a scope.

use super::held::cgroup_below;
use super::{PLAIN, limits_of, plan, planned};
use crate::started::Started;
use crate::util::{Sbx, binary, is_root, skip, within};
use nix::sys::signal::Signal;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Elsewhere every test finds what there is, and skips itself where there is nothing. Here that would hide what is to be shown.
#[test]
fn the_rung_is_the_one_that_was_made_ready() {
    let Ok(rung) = std::env::var("SBX_TEST_RUNG") else {
        return skip("rung", "nobody has made one ready");
    };
    let memory = planned(&["-m", "100m", "--pids-limit", "50"]);
    let place = match (rung.as_str(), is_root()) {
        ("none", _) => "watched from outside".to_owned(),
        ("session", false) => "cgroup in a scope of systemd (/run/user/".to_owned(),
        ("session", true) => "cgroup in a scope of systemd (/run/systemd/private)".to_owned(),
        ("delegated" | "part", _) => {
            let at = std::env::var("SBX_TEST_CGROUP").expect("a place");
            format!("cgroup in {at}: ")
        }
        other => panic!("{other:?}"),
    };
    assert!(memory.contains(&place), "{rung}: {memory}");
    assert_eq!(
        memory.contains("memory.max 104857600") && memory.contains("pids.max 51"),
        rung != "none",
        "{memory}"
    );
    let disk = format!("{}:1m", std::env::temp_dir().display());
    for (flags, file) in [
        (["--cpus", "0.5"], "cpu.max"),
        (["--cpuset-cpus", "0"], "cpuset.cpus"),
        (["--device-read-bps", &disk], "io.max"),
    ] {
        let out = plan(&flags);
        let held = out.code == Some(0) && limits_of(&out.stdout()).contains(file);
        assert_eq!(
            held,
            !matches!(rung.as_str(), "none" | "part"),
            "{file}: {}",
            out.stderr()
        );
    }
}

/// Whether a scope is what a run asks for; where not, the test is skipped.
pub(super) fn scopes() -> bool {
    let there = planned(&["-m", "100m"]).contains("scope of systemd");
    if !there {
        skip("cgroup-scope", "no systemd of the user gives scopes here");
    }
    there
}

/// A run that is going on, and its scope.
fn in_scope() -> (Started, PathBuf) {
    let sbx = Sbx::run("default").args(PLAIN).args(["-m", "100m"]);
    let run = Started::new(sbx.args(["host", "--", "sh", "-c", "echo ready; exec sleep 100"]));
    let own = cgroup_below(run.child.id());
    let scope = own.parent().expect("a scope").to_owned();
    let name = scope.file_name().expect("a name").to_string_lossy().into_owned();
    assert!(
        name.starts_with("run-sbx-") && name.ends_with(".scope"),
        "{scope:?}"
    );
    assert!(own.starts_with(&scope) && own.join("memory.max").exists());
    // What systemd gives each unit of its own accord would be a limit that nobody has asked for.
    if let Ok(tasks) = std::fs::read_to_string(scope.join("pids.max")) {
        assert_eq!(tasks.trim(), "max");
    }
    (run, scope)
}

#[test]
fn a_scope_goes_with_its_run() {
    if !scopes() {
        return;
    }
    for (signal, code) in [(Signal::SIGTERM, Some(143)), (Signal::SIGKILL, None)] {
        let (run, scope) = in_scope();
        run.signal(signal);
        assert_eq!(run.end().code, code, "{signal}");
        within(Duration::from_secs(5), "the scope goes", || !scope.exists());
    }
}

#[test]
fn each_run_has_a_scope_of_its_own() {
    if !scopes() {
        return;
    }
    let all: Vec<_> = (0..4).map(|_| in_scope()).collect();
    let mut names: Vec<_> = all.iter().map(|(_, scope)| scope.clone()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 4, "{names:?}");
    // One more, which ends, takes nobody with it.
    Sbx::run("default")
        .args(PLAIN)
        .args(["-m", "100m", "host", "--", "true"])
        .out()
        .ok();
    for (mut run, scope) in all {
        assert!(scope.exists());
        assert_eq!(run.child.try_wait().expect("it is there"), None);
        run.signal(Signal::SIGTERM);
        run.end().code(143);
    }
}

/// Has the systemd that these tests run under do something.
fn systemd(words: &[&str]) -> String {
    let (program, words) = words.split_first().expect("a program");
    let mut command = Command::new(program);
    let user = (!is_root()).then_some("--user");
    let out = command
        .args(user)
        .args(words)
        .output()
        .expect("systemd's own tools");
    assert!(out.status.success(), "{out:?}");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// What systemd has not given away it writes anew, and limits of others with it: no place for a cgroup.
#[test]
fn only_a_unit_that_is_delegated_is_taken() {
    if !scopes() {
        return;
    }
    let sbx = binary();
    let sbx = sbx.to_str().expect("a path");
    let plan = [
        sbx,
        "plan",
        "--profile",
        "strict",
        "-m",
        "100m",
        "host",
        "--",
        "true",
    ];
    let whole = format!("{}; true", plan.join(" "));
    let shell = ["sh", "-c", &whole];
    for (more, command, expected) in [
        (&[][..], &plan[..], "cgroup in a scope of systemd"),
        (&[], &shell, "cgroup in a scope of systemd"),
        // That of a user does not say of a unit that it is delegated before 253.
        (
            &["-p", "Delegate=yes"],
            &plan,
            if is_root() {
                "cgroup in /sys/fs/cgroup/"
            } else {
                "cgroup in "
            },
        ),
        // What is alone in it may give it on; what is not has systemd give it another.
        (&["-p", "Delegate=yes"], &shell, "cgroup in a scope of systemd"),
    ] {
        let run = ["systemd-run", "--quiet", "--scope"];
        let said = systemd(&[&run, more, command].concat());
        let first = said.lines().next().unwrap_or_default();
        assert!(first.contains(expected), "{more:?} {command:?}: {first}");
    }
}

#[test]
fn limits_outlive_a_reload_of_systemd() {
    let ours = plan(&["-m", "100m", "--cpus", "0.5"]);
    let counted = ours.code == Some(0) && ours.stdout().contains("cgroup in");
    if !counted || std::env::var("SBX_TEST_RUNG").is_err() {
        return skip("cgroup-scope", "no systemd of one's own to reload");
    }
    let sbx = Sbx::run("default")
        .args(PLAIN)
        .args(["-m", "100m", "--cpus", "0.5"]);
    let run = Started::new(sbx.args(["host", "--", "sh", "-c", "echo ready; exec sleep 100"]));
    let own = cgroup_below(run.child.id());
    systemd(&["systemctl", "daemon-reload"]);
    systemd(&["systemd-run", "--quiet", "--scope", "true"]);
    for (file, value) in [("memory.max", "104857600"), ("cpu.max", "50000 100000")] {
        let text = std::fs::read_to_string(own.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert_eq!(text.trim(), value, "{file}");
    }
    run.signal(Signal::SIGTERM);
    run.end().code(143);
}

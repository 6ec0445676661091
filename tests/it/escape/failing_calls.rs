//! A set-up call that fails: the run is refused, nothing of the command happens, and no protection is quietly left out.

use super::{Attack, finish, profile, under};
use crate::util::{Dir, Out, Sbx, binary, skip};
use std::process::{Command, Stdio};

/// What came of a run in which a call failed, and the failures as strace tells them.
struct Failed {
    out: Out,
    injected: Vec<String>,
}

impl Failed {
    /// The command was run as if nothing had been.
    fn done(&self) -> bool {
        self.out.code == Some(0) && self.out.stdout() == "ran\n"
    }

    /// Losses that this machine does not have anyway, as `memory` everywhere and parts of Landlock on an old kernel.
    fn losses(&self) -> Vec<String> {
        let usual = losses(&finish(strict(&mut Command::new(binary()))));
        let mut all = losses(&self.out);
        all.retain(|loss| !usual.contains(loss));
        all
    }
}

fn losses(out: &Out) -> Vec<String> {
    let text = out.stderr();
    let lines = text.lines().filter_map(|line| line.strip_prefix("sbx: lost: "));
    let losses = lines.flat_map(|line| line.split("; "));
    losses.map(str::to_owned).collect()
}

/// The arguments of sbx. A helper with set-id bits cannot be traced by its user, so that groups stay.
fn strict(command: &mut Command) -> &mut Command {
    command.args([
        "run",
        "--profile",
        "strict",
        "--enforce",
        "groups=off",
        "host",
        "--",
    ]);
    command.args(["/bin/sh", "-c", "echo ran"]).stdin(Stdio::null())
}

/// strict, where the call fails with the error, from its `when`-th time on or that time alone; `None` without strace.
fn failing(call: &str, error: &str, when: &str) -> Option<Failed> {
    let home = Dir::new();
    let trace = home.path().join("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(&trace);
    command
        .arg(format!("--trace={call}"))
        .arg(format!("--inject={call}:error={error}:when={when}"));
    strict(command.arg(binary())).current_dir(home.path());
    if finish(Command::new("sh").args(["-c", "command -v strace"])).code != Some(0) {
        skip("strace", "no strace to make calls fail with");
        return None;
    }
    let out = finish(&mut command);
    let text = std::fs::read_to_string(&trace).expect("strace says something");
    let injected = text.lines().filter(|line| line.contains("(INJECTED)"));
    Some(Failed {
        injected: injected.map(str::to_owned).collect(),
        out,
    })
}

/// What nothing can stand in for.
const NEEDED: [&str; 23] = [
    "landlock_create_ruleset",
    "landlock_add_rule",
    "landlock_restrict_self",
    "seccomp",
    "prctl",
    "capset",
    "close_range",
    "setsid",
    "keyctl",
    "personality",
    "mount_setattr",
    "open_tree",
    "move_mount",
    "fsopen",
    "fsconfig",
    "fsmount",
    "pivot_root",
    "umount2",
    "fchdir",
    "openat2",
    "sethostname",
    "prlimit64",
    "clone3",
];

#[track_caller]
fn refused(call: &str, error: &str, when: &str) -> bool {
    let Some(Failed { out, injected }) = failing(call, error, when) else {
        return false;
    };
    assert!(!injected.is_empty(), "{call} is not called at all");
    assert_eq!(
        out.code,
        Some(125),
        "{call} {error} {when}: {}{}",
        out.stdout(),
        out.stderr()
    );
    assert_eq!(out.stdout(), "", "{call} {error} {when}");
    assert!(
        out.stderr().starts_with("sbx: "),
        "{call} {error} {when}: {}",
        out.stderr()
    );
    true
}

#[test]
fn a_call_that_always_fails_refuses_the_run() {
    for call in NEEDED {
        for error in ["EPERM", "ENOMEM"] {
            if !refused(call, error, "1+") {
                return;
            }
        }
    }
    // The same command where the call that fails is one that nobody makes.
    let plain = failing("swapon", "EPERM", "1+").expect("strace");
    assert!(plain.done(), "{}", plain.out.stderr());
    assert_eq!(plain.losses(), [""; 0]);
}

#[test]
fn a_call_that_fails_once_refuses_the_run() {
    // The n-th time alone, in whichever process: every mount, every rule, every prctl counts.
    for (call, times) in [
        ("move_mount", 30),
        ("mount_setattr", 30),
        ("landlock_add_rule", 10),
        ("prctl", 8),
        ("prlimit64", 4),
        ("fsconfig", 20),
    ] {
        for when in (1..=times).step_by(if times > 10 { 4 } else { 1 }) {
            let Some(failed) = failing(call, "ENOMEM", &when.to_string()) else {
                return;
            };
            let (done, out) = (failed.done(), &failed.out);
            let stopped = out.code == Some(125) && out.stdout().is_empty();
            assert!(
                done || stopped,
                "{call} {when}: {:?} {}{}",
                out.code,
                out.stdout(),
                out.stderr()
            );
            // What is done in spite of a failure says what is lost by it.
            if done && !failed.injected.is_empty() {
                assert!(
                    !failed.losses().is_empty(),
                    "{call} {when}: {:?} and nothing is lost\n{}",
                    failed.injected,
                    out.stderr()
                );
            }
        }
    }
}

#[test]
fn a_preferred_protection_that_fails_is_said_to_be_lost() {
    let Some(mut failed) = failing("unshare", "EPERM", "1+") else {
        return;
    };
    // Where the sandbox has a cgroup, the first is for the namespace of that, which nothing stands in for.
    if failed
        .injected
        .iter()
        .any(|call| call.contains("CLONE_NEWCGROUP"))
    {
        failed.out.code(125);
        failed = failing("unshare", "EPERM", "2+").expect("strace, as before");
    }
    assert!(failed.done() && !failed.injected.is_empty());
    let losses = failed.losses();
    assert!(
        losses.iter().any(|loss| loss.starts_with("time-namespace: ")),
        "{losses:?}"
    );
}

#[test]
fn a_kernel_that_refuses_namespaces_refuses_the_run() {
    // Inside a sandbox no second one can be made, and sbx says so instead of running the command as it is.
    let bind = format!("{}:/sbx:ro", binary().display());
    for name in ["strict", "default", &profile("no-seccomp")] {
        let out = under(name)
            .args(["-v", &bind])
            .shell("/sbx run --profile strict host -- echo ran; echo $?");
        assert_eq!(out.ok(), "125", "{name}");
        out.says("sbx: ");
    }
    let outside = Sbx::run("strict").args(["host", "--", "echo", "ran"]).out();
    assert_eq!(outside.ok(), "ran");
}

//! What doctor tells of the machine that these tests run on, and of the same machine with something taken away.

use crate::util::{Dir, Out, Sbx, binary, is_root, processes, skip, within};
use sbx::host::findings;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

fn json(out: &Out) -> Value {
    assert!(
        matches!(out.code, Some(0 | 1)),
        "{:?} {}{}",
        out.code,
        out.stdout(),
        out.stderr()
    );
    serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", out.stdout()))
}

fn doctor() -> Sbx {
    Sbx::new(["doctor", "--json"])
}

/// One finding as (state, found, everything).
fn finding(told: &Value, probe: &str) -> (String, String, Value) {
    let all = told["findings"].as_array().expect("findings");
    let one = all.iter().find(|f| f["probe"] == probe).expect("a probe");
    let text = |key: &str| one[key].as_str().expect("a text").to_owned();
    (text("state"), text("found"), one.clone())
}

/// Runs a script in new namespaces, in which `$SBX` is the binary. `None`, and a skip, where that cannot be done.
fn in_namespaces(flags: &[&str], script: &str) -> Option<Out> {
    let home = Dir::new();
    let mut command = Command::new("unshare");
    command
        .args(flags)
        .args(["sh", "-ec", script])
        .env("SBX", binary())
        .env("HOME", home.path())
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
        .current_dir("/");
    let out = Out::from(command.output().ok()?);
    if out.stderr().contains("unshare: ") {
        skip("unshare", &out.stderr());
        return None;
    }
    Some(out)
}

/// A mount namespace of one's own: root needs no other.
fn mount_namespace() -> &'static [&'static str] {
    if is_root() { &["-m"] } else { &["-Urm"] }
}

#[test]
fn every_probe_is_told_with_what_follows_and_what_mends_it() {
    let told = json(&doctor().out());
    let all = told["findings"].as_array().expect("findings");
    let probes: Vec<&str> = all.iter().map(|f| f["probe"].as_str().expect("a word")).collect();
    assert_eq!(probes, findings::words());
    for one in all {
        assert!(one["follows"].as_str().is_some_and(|t| !t.is_empty()), "{one}");
        assert_eq!(one["state"] == "works", one["mend"].is_null(), "{one}");
    }
    assert_eq!(told["host"]["caller"]["uid"], nix::unistd::geteuid().as_raw());
    let text = Sbx::new(["doctor"]).out().stdout();
    for word in findings::words() {
        assert!(
            text.lines().any(|l| l.split_whitespace().nth(1) == Some(word)),
            "{word} is not in\n{text}"
        );
    }
}

#[test]
fn the_exit_code_is_whether_the_default_profile_runs() {
    let run = Sbx::run("default").args(["host", "--", "true"]).out();
    let out = doctor().out();
    let told = json(&out);
    assert_eq!(out.code == Some(0), run.code == Some(0), "{}", run.stderr());
    assert_eq!(told["run"]["works"], run.code == Some(0));
    // Whatever words are given.
    assert_eq!(Sbx::new(["doctor", "tun"]).out().code, out.code);
}

#[test]
fn a_word_shows_one_probe_with_more() {
    let out = Sbx::new(["doctor", "cgroup"]).out().stdout();
    assert!(out.contains("own cgroup (v2): "), "{out}");
    assert!(!out.contains("user-namespaces"), "{out}");
    let told = json(&doctor().args(["cgroup", "proc"]).out());
    assert_eq!(told["findings"].as_array().expect("findings").len(), 2);
    Sbx::new(["doctor", "cgruop"]).out().code(2).says("cgroup");
    let help = Sbx::new(["doctor", "--help"]).out().ok();
    for word in ["--json", "Examples:", "Exit codes:", "`follows`"] {
        assert!(help.contains(word), "{word} is not in\n{help}");
    }
}

#[test]
fn another_sbx_earlier_on_path_is_told_and_never_started() {
    let dir = Dir::new();
    let marker = dir.path().join("started");
    let other = dir.script(
        "a\u{1b}[31m/sbx",
        format!("#!/bin/sh\n: > {}\n", marker.display()),
    );
    let path = format!("{}:/usr/bin:/bin", other.parent().expect("a parent").display());
    let told = json(&doctor().env("PATH", &path).out());
    let (state, found, _) = finding(&told, "path");
    assert_eq!(state, "degraded");
    assert!(found.contains(&*other.to_string_lossy()), "{found}");
    let text = Sbx::new(["doctor", "path"]).env("PATH", &path).out();
    assert!(!text.stdout.contains(&0x1b), "{}", text.stdout());
    assert!(!marker.exists());
    // A link to the very binary is no other.
    std::os::unix::fs::symlink(binary(), dir.path().join("sbx")).expect("link");
    let path = format!("{}:{path}", dir.path().display());
    let told = json(&doctor().env("PATH", path).out());
    assert_eq!(finding(&told, "path").0, "works");
}

#[test]
fn helpers_are_not_looked_for_on_path() {
    let with = |path: &str| finding(&json(&doctor().env("PATH", path).out()), "id-maps").2;
    assert_eq!(with("/usr/bin:/bin"), with("/nowhere"));
}

#[test]
fn a_missing_newuidmap_is_told() {
    let take = "for f in /usr/bin/newuidmap /usr/local/bin/newuidmap /usr/sbin/newuidmap; do \
                if test -e $f; then mount --bind /dev/null $f; fi; done;";
    let Some(out) = in_namespaces(
        mount_namespace(),
        &format!("{take} exec \"$SBX\" doctor --json id-maps"),
    ) else {
        return;
    };
    let (_, _, whole) = finding(&json(&out), "id-maps");
    let details = whole["details"].as_array().expect("details");
    assert!(details.contains(&"newuidmap: not installed".into()), "{whole}");
    if is_root() {
        let nobody = "exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$SBX\" doctor --json id-maps";
        let out = in_namespaces(mount_namespace(), &format!("{take} {nobody}")).expect("as before");
        let (state, found, _) = finding(&json(&out), "id-maps");
        assert_eq!(
            (state.as_str(), found.as_str()),
            ("degraded", "newuidmap is not installed")
        );
    }
}

/// As nobody, whose sub-ids are what a test says, in a mount namespace of root's.
#[test]
fn what_newuidmap_lacks_is_told_to_an_ordinary_user() {
    if !is_root() {
        return skip("root", "another user's sub-ids are to be set");
    }
    let helper = "/usr/bin/newuidmap";
    if !Path::new(helper).exists() {
        return skip("uidmap", "there is no newuidmap to take something from");
    }
    let own = "65534:300000:65536\n";
    for (set_up, entries, state, expected) in [
        (":", own.to_owned(), "works", "newuidmap and newgidmap wrote them"),
        (
            ":",
            String::new(),
            "degraded",
            "/etc/subuid names no ids for nobody",
        ),
        (
            ":",
            format!("{own}bert:365535:1\n"),
            "degraded",
            "/etc/subuid gives bert ids that are yours, too",
        ),
        (
            "mount --bind /usr/bin/newuidmap /usr/bin/newuidmap; mount -o remount,bind,nosuid /usr/bin/newuidmap",
            own.to_owned(),
            "degraded",
            "/usr/bin/newuidmap lies on a file system mounted nosuid, so that it gets no rights",
        ),
        (
            "cp /usr/bin/newuidmap $TMP/plain; mount --bind $TMP/plain /usr/bin/newuidmap",
            own.to_owned(),
            "degraded",
            "/usr/bin/newuidmap is neither set-uid root nor has file capabilities",
        ),
    ] {
        let dir = Dir::new();
        let file = dir.write("subids", &entries);
        let script = format!(
            "TMP={}; for f in /etc/subuid /etc/subgid; do mount --bind {} $f; done; {set_up}; \
             exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$SBX\" doctor --json id-maps",
            dir.path().display(),
            file.display()
        );
        let Some(out) = in_namespaces(&["-m"], &script) else {
            return;
        };
        let (said, found, whole) = finding(&json(&out), "id-maps");
        assert_eq!((said.as_str(), found.as_str()), (state, expected), "{whole}");
    }
}

#[test]
fn a_home_that_cannot_be_written_is_told() {
    let script = "mount -t tmpfs -o ro none /mnt; HOME=/mnt exec \"$SBX\" doctor --json store";
    let Some(out) = in_namespaces(mount_namespace(), script) else {
        return;
    };
    let (state, found, _) = finding(&json(&out), "store");
    assert_eq!(state, "missing");
    assert!(found.contains("/mnt") && found.contains("read-only"), "{found}");
}

#[test]
fn a_masked_proc_is_told_as_what_it_is() {
    // One /proc that is whole, wherever it is mounted, lets the kernel mount another. What came from the namespace above stays mounted for
    // an ordinary user, but each can be hidden in part.
    let script = "while read -r _ _ _ root at rest; do case \"$root $rest\" in '/ '*' - proc '*) at=$(printf %b \"$at\"); \
                  [ \"$at\" = /proc ] || umount \"$at\" 2>&- || mount --bind /dev/null \"$at/uptime\";; esac; done </proc/self/mountinfo; \
                  mount --bind /dev/null /proc/uptime; exec \"$SBX\" doctor --json";
    let Some(out) = in_namespaces(mount_namespace(), script) else {
        return;
    };
    let (state, found, whole) = finding(&json(&out), "proc");
    assert_eq!(state, "missing", "{whole}");
    assert!(found.contains("partly hidden"), "{found}");
    assert!(whole["details"].to_string().contains("/proc/uptime"), "{whole}");
}

#[test]
fn a_limit_of_no_user_namespaces_is_told_by_doctor_and_by_run() {
    let limit = "echo 0 > /proc/sys/user/max_user_namespaces;";
    let Some(out) = in_namespaces(&["-Ur"], &format!("{limit} exec \"$SBX\" doctor --json")) else {
        return;
    };
    let told = json(&out);
    let (state, found, whole) = finding(&told, "user-namespaces");
    assert_eq!(out.code, Some(1));
    assert_eq!(state, "missing");
    assert!(found.contains("user.max_user_namespaces"), "{found}");
    assert!(
        whole["mend"].as_str().is_some_and(|m| m.contains("sysctl")),
        "{whole}"
    );
    assert_eq!(told["run"]["works"], false);
    let run = in_namespaces(
        &["-Ur"],
        &format!("{limit} exec \"$SBX\" run --profile default --map host-root host -- true"),
    )
    .expect("as before");
    run.code(125).says("user.max_user_namespaces");
}

#[test]
fn a_limit_of_processes_is_not_taken_for_a_refusal_of_namespaces() {
    // The limit counts for the user id, not for root: 65533 runs nothing else.
    let script =
        "exec setpriv --reuid 65533 --regid 65533 --clear-groups prlimit --nproc=1 \"$SBX\" doctor --json";
    if !is_root() {
        return skip("root", "a user with no other process is needed");
    }
    let Some(out) = in_namespaces(&["-m"], script) else {
        return;
    };
    let told = json(&out);
    let (state, found, whole) = finding(&told, "user-namespaces");
    assert_eq!(
        (state.as_str(), found.as_str()),
        ("missing", "the limit of processes is reached"),
        "{whole}"
    );
    let (_, found, whole) = finding(&told, "fuse");
    assert!(found.starts_with("not tried"), "{whole}");
    assert_eq!(out.code, Some(1));
}

#[test]
fn in_a_sandbox_of_sbx_the_outer_one_is_named() {
    let binary = binary();
    let directory = binary.parent().expect("a parent").display().to_string();
    let out = Sbx::run("default")
        .args([
            "-v",
            &format!("{directory}:/sbx:ro"),
            "host",
            "--",
            "/sbx/sbx",
            "doctor",
            "--json",
        ])
        .out();
    let (state, found, _) = finding(&json(&out), "user-namespaces");
    assert_eq!((out.code, state.as_str()), (Some(1), "missing"));
    assert!(found.contains("the container that sbx runs in"), "{found}");
}

/// Processes that carry a mark in their environment, as everything that doctor forks does.
fn marked(mark: &str) -> Vec<u32> {
    processes("environ", mark)
}

#[test]
fn nothing_is_left_of_it() {
    let (home, temporary) = (Dir::new(), Dir::new());
    let mark = format!("left-by-doctor-{}", std::process::id());
    let out = doctor()
        .env("MARK", &mark)
        .env("HOME", home.path())
        .env("TMPDIR", temporary.path())
        .out();
    json(&out);
    assert_eq!(marked(&mark), [0; 0]);
    // The search itself finds what there is.
    let mut there = Command::new("sleep")
        .arg("60")
        .env("MARK", &mark)
        .spawn()
        .expect("sleep");
    let there_is_one = [there.id()];
    within(Duration::from_secs(5), "the marked process", || {
        marked(&mark) == there_is_one
    });
    there.kill().and_then(|()| there.wait()).expect("its end");
    for dir in [&home, &temporary] {
        assert_eq!(std::fs::read_dir(dir.path()).expect("read").count(), 0);
    }
}

#[test]
fn nothing_is_left_of_it_when_it_is_killed() {
    let mark = format!("killed-doctor-{}", std::process::id());
    for delay in [0, 1, 2, 4, 6, 8, 12, 16] {
        let (mut command, _home) = doctor().env("MARK", &mark).into_command();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("doctor starts");
        std::thread::sleep(Duration::from_millis(delay));
        let _ = child.kill();
        child.wait().expect("doctor ends");
        within(Duration::from_secs(5), "the end of what it tried", || {
            marked(&mark).is_empty()
        });
    }
}

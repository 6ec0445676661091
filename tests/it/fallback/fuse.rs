//! fuse-overlayfs(1) as what shows an image where the kernel refuses overlay.

use super::shop::{LOOK, NOBODY_ELSE, Shop, everybody, root_of};
use crate::util::{Out, is_root, patient, processes, skip, within};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// Processes that work for a store.
fn servers(shop: &Shop) -> Vec<u32> {
    let ours = shop.store().join("layers").display().to_string();
    processes("cmdline", &ours)
}

/// What shows the root, which knows nothing of where the store is.
fn daemon(shop: &Shop) -> u32 {
    let below = |pid: u32| {
        let children = format!("/proc/{pid}/task/{pid}/children");
        let children = std::fs::read_to_string(children).unwrap_or_default();
        let children: Vec<u32> = children
            .split_whitespace()
            .map(|pid| pid.parse().expect("a pid"))
            .collect();
        children
    };
    let name = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let mut found = None;
    within(PATIENCE, "fuse-overlayfs", || {
        let mut waiting = servers(shop);
        while let Some(pid) = waiting.pop() {
            if name(&pid) == "fuse-overlayfs\n" {
                found = Some(pid);
            }
            waiting.extend(below(pid));
        }
        found.is_some()
    });
    found.expect("found")
}

/// A run that has said that it is there, and does what a script says.
fn running(shop: &Shop, flags: &[&str], script: &str) -> Child {
    saying(shop, flags, "", script).0
}

/// The same, with what one script says before and another does then.
fn saying(shop: &Shop, flags: &[&str], first: &str, then: &str) -> (Child, String) {
    let run = ["run", "--quiet"].iter().chain(flags).copied();
    let script = format!("{first}\necho; echo here; {then}");
    let words = shop.words(run, &["sh", "-c", &script]);
    let mut child = shop
        .sbx(true, words)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // Byte by byte: what comes behind is for the test.
    let mut text = String::new();
    let mut byte = [0];
    while !text.ends_with("\nhere\n") {
        let out = child.stdout.as_mut().expect("a pipe");
        out.read_exact(&mut byte).expect("a line");
        text.push(char::from(byte[0]));
    }
    (child, text)
}

fn supervisor(run: &Child) -> u32 {
    let children = format!("/proc/{0}/task/{0}/children", run.id());
    let children = std::fs::read_to_string(children).expect("children");
    let own = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.starts_with(crate::util::binary().as_os_str().as_encoded_bytes())
    };
    let mut children = children.split_whitespace().map(|pid| pid.parse().expect("a pid"));
    children.find(own).expect("sbx")
}

fn kill(pid: u32, signal: nix::sys::signal::Signal) {
    let pid = nix::unistd::Pid::from_raw(pid.cast_signed());
    nix::sys::signal::kill(pid, signal).expect("kill");
}

#[test]
fn it_looks_as_the_overlay_does() {
    for uid in everybody() {
        let Some(shop) = Shop::new(uid, "fuse") else {
            return;
        };
        let overlay = shop.sh(false, LOOK).ok();
        assert!(overlay.contains("d/kept"), "{overlay}");
        for upper in ["memory", "disk"] {
            let run = ["run", "--quiet", "--upper", upper];
            let fuse = shop.command(true, run, &["sh", "-c", LOOK]);
            assert_eq!(overlay, fuse.ok(), "{upper}");
            assert_eq!(fuse.stderr(), "");
            shop.nothing_left();
        }
        let root = shop.sh(true, "grep ' / / ' /proc/self/mountinfo").ok();
        assert!(
            root.contains(" nosuid,nodev") || root.contains(",nosuid,nodev"),
            "{root}"
        );
        assert!(root.contains(" - fuse fuse-overlayfs "), "{root}");
        assert_eq!(servers(&shop), [] as [u32; 0]);
    }
}

#[test]
fn what_is_written_goes_with_it() {
    for uid in everybody() {
        let Some(shop) = Shop::new(uid, "fuse") else {
            return;
        };
        for upper in ["memory", "disk"] {
            let run = ["run", "--quiet", "--upper", upper];
            let script = "chmod -t /d; echo mine >/d/kept; echo mine >/new; rm -r /hidden; mkdir /hidden; ls /hidden; cat /d/kept /new; \
                          mkdir -p /x/y; touch /x/y/z; chmod 0 /x/y /x; chmod 0 /d; exit 7";
            let out = shop.command(true, run, &["sh", "-c", script]);
            assert_eq!(out.code(7).stdout(), "mine\nmine\n", "{}", out.stderr());
            shop.nothing_left();
            let again = shop.sh(true, "cat /d/kept /d/other-name /hidden/above; ls /new /x");
            assert_eq!(again.stdout(), "lower\nlower\nupper\n", "{}", again.stderr());
        }
        shop.command(true, ["run", "--quiet"], &["no-such-program"])
            .code(127);
        assert_eq!(servers(&shop), [] as [u32; 0]);
    }
}

#[test]
fn a_root_that_is_read_only_is_one() {
    let Some(shop) = Shop::new(None, "fuse") else {
        return;
    };
    shop.writes_nothing_under_strict();
}

#[test]
fn a_profile_decides_whether_it_is_used() {
    let Some(shop) = Shop::new(None, "fuse") else {
        return;
    };
    let image = format!("oci:{}:it", shop.dir.path().join("oci").display());
    let map = if is_root() { "auto" } else { "caller" };
    for (profile, expected, why) in [
        ("default", "fuse-overlayfs of ", "overlay is refused here (EPERM"),
        ("build", "fuse-overlayfs of ", "overlay is refused here (EPERM"),
        (
            "strict",
            "copy of the image's layers",
            "not fuse-overlayfs: filesystem.without-overlay = copy",
        ),
    ] {
        // Groups are dropped by newgidmap, which nobody may become behind a filter of their own.
        let groups = if is_root() { "groups=require" } else { "groups=off" };
        let words = [
            "plan",
            "--profile",
            profile,
            "--enforce",
            groups,
            "--map",
            map,
            &image,
            "true",
        ];
        let plan: Out = shop.sbx(true, words).output().expect("it starts").into();
        let root = root_of(&plan);
        assert!(root.contains(expected) && root.contains(why), "{profile}: {root}");
    }
    let plan = shop.command(false, ["plan"], &["true"]);
    assert!(
        root_of(&plan).contains("overlay of the image's 3 layers"),
        "{}",
        root_of(&plan)
    );
}

/// Another host, as far as root can make one in a mount namespace of its own: a file stands in the place of another.
fn with(shop: &Shop, file: &Path, at: &str, verb: &str) -> Out {
    let sbx = shop.sbx(true, shop.words([verb], &["cat", "/d/new"]));
    over(shop, file, at, &sbx).output().expect("unshare").into()
}

fn over(shop: &Shop, file: &Path, at: &str, sbx: &Command) -> Command {
    let script = "mount --bind \"$0\" \"$1\" && shift && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script]).arg(file).arg(at);
    command.arg(sbx.get_program()).args(sbx.get_args());
    command
        .env_clear()
        .envs(sbx.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .current_dir(shop.dir.path())
        .stdin(Stdio::null());
    command
}

#[test]
fn where_it_cannot_be_had_it_is_a_copy_and_why_is_told() {
    if !is_root() {
        return skip("root", "other hosts are made by mounts");
    }
    for uid in everybody() {
        let Some(shop) = Shop::new(uid, "fuse") else {
            return;
        };
        let closed = shop.dir.write("closed", "");
        std::fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o000))
            .expect("chmod");
        let broken = shop.dir.script(
            "broken",
            "#!/bin/sh\nprintf 'it \\033[31mis broken\\n' >&2\nexit 3\n",
        );
        let program = "/usr/bin/fuse-overlayfs";
        for (file, at, planned, said) in [
            (
                &closed,
                "/dev/fuse",
                "fuse-overlayfs cannot be used: E",
                "fuse-overlayfs cannot be used: E",
            ),
            (
                &closed,
                program,
                "fuse-overlayfs is not installed",
                "fuse-overlayfs is not installed",
            ),
            (
                &broken,
                program,
                "",
                "fuse-overlayfs cannot be used: exit status: 3: it \\u{1b}[31mis broken",
            ),
        ] {
            let plan = with(&shop, file, at, "plan");
            let root = root_of(&plan);
            assert!(root.contains(planned), "{at}: {root}");
            assert_eq!(
                root.contains("copy of the image's layers"),
                !planned.is_empty(),
                "{root}"
            );
            let out = with(&shop, file, at, "run");
            assert_eq!(out.ok(), "upper", "{at}");
            out.says(said).says("so a copy, removed at the end");
            shop.nothing_left();
        }
    }
}

/// Lines of a file in `/proc`.
fn status(pid: u32, name: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap_or_default();
    line.trim_start_matches(':').trim().to_owned()
}

#[test]
fn it_is_confined_and_out_of_reach() {
    for uid in everybody() {
        let Some(shop) = Shop::new(uid, "fuse") else {
            return;
        };
        let (mut run, text) = saying(
            &shop,
            &["--timeout", "30s"],
            "cat /proc/[0-9]*/cmdline",
            "sleep 60",
        );
        let pid = daemon(&shop);
        let link = |of: u32, what: &str| {
            std::fs::read_link(format!("/proc/{of}/{what}")).map(|at| at.display().to_string())
        };
        assert_eq!(
            (status(pid, "NoNewPrivs"), status(pid, "Seccomp")),
            ("1".into(), "2".into())
        );
        let own = std::process::id();
        if is_root() {
            for namespace in ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"] {
                let namespace = format!("ns/{namespace}");
                let (its, ours) = (
                    link(pid, &namespace).expect("its"),
                    link(own, &namespace).expect("ours"),
                );
                assert_ne!(its, ours, "{namespace}");
            }
            // CHOWN, DAC_OVERRIDE, FOWNER and FSETID, in its own user namespace.
            assert_eq!(status(pid, "CapEff"), "000000000000001b");
            let mounts = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).expect("mounts");
            let place = |line: &str| line.split(' ').nth(4).unwrap_or_default().to_owned();
            let written: Vec<String> = mounts
                .lines()
                .filter(|line| {
                    line.split(' ')
                        .nth(5)
                        .is_some_and(|flags| flags.starts_with("rw"))
                })
                .map(place)
                .collect();
            let known = |at: &String| {
                ["/.sbx-upper", "/tmp", "/proc", "/dev"]
                    .iter()
                    .any(|top| at == top || at.starts_with(&format!("{top}/")))
            };
            assert!(written.contains(&"/.sbx-upper".to_owned()), "{mounts}");
            assert!(written.iter().all(known), "{mounts}");
            let home = shop.dir.path().join("home");
            let inside = format!("/proc/{pid}/root{}", home.display());
            assert!(!Path::new(&inside).exists(), "{inside}");
        }
        kill(supervisor(&run), nix::sys::signal::Signal::SIGTERM);
        run.wait().expect("it ends");
        assert!(text.contains("sh\0-c\0"), "its own processes are seen: {text:?}");
        assert!(
            !text.contains("fuse-overlayfs") && !text.contains("lowerdir"),
            "{text:?}"
        );
        within(PATIENCE, "its end", || servers(&shop).is_empty());
    }
}

/// As `Child::wait_with_output`, by reference.
trait Waited {
    fn wait_with_output_of(&mut self) -> std::process::Output;
}

impl Waited for Child {
    fn wait_with_output_of(&mut self) -> std::process::Output {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let out = self.stdout.take().expect("a pipe").read_to_end(&mut stdout);
        out.expect("standard output");
        let err = self.stderr.take().expect("a pipe").read_to_end(&mut stderr);
        err.expect("standard error");
        let status = self.wait().expect("it ends");
        std::process::Output {
            status,
            stdout,
            stderr,
        }
    }
}

#[test]
fn whatever_ends_sbx_ends_it_too() {
    use nix::sys::signal::Signal;
    for uid in everybody() {
        let Some(shop) = Shop::new(uid, "fuse") else {
            return;
        };
        // One that is stopped does not see that its device has ended.
        for (signal, stopped) in [
            (Signal::SIGKILL, false),
            (Signal::SIGTERM, false),
            (Signal::SIGKILL, true),
        ] {
            let mut run = running(&shop, &["--upper", "disk"], "sleep 60");
            let pid = daemon(&shop);
            if stopped {
                kill(pid, Signal::SIGSTOP);
            }
            kill(supervisor(&run), signal);
            run.wait().expect("it ends");
            within(PATIENCE, "the end of all", || {
                servers(&shop).is_empty() && !Path::new(&format!("/proc/{pid}")).exists()
            });
        }
        shop.sh(true, "true").ok();
        let pruned: Out = shop.sbx(true, ["prune"]).output().expect("it starts").into();
        pruned.ok();
        shop.nothing_left();
    }
}

#[test]
fn a_server_that_dies_ends_every_wait_for_it_and_is_told() {
    let Some(shop) = Shop::new(None, "fuse") else {
        return;
    };
    let mut run = running(&shop, &[], "sleep 1; cat /d/new");
    kill(daemon(&shop), nix::sys::signal::Signal::SIGKILL);
    let out: Out = run.wait_with_output_of().into();
    assert_ne!(out.code, Some(0));
    assert!(!out.stdout().contains("upper"), "{}", out.stdout());
    out.says("fuse-overlayfs, which showed the root, has failed: ");
    shop.nothing_left();
}

#[test]
fn a_server_that_hangs_is_no_way_round_a_limit_of_time() {
    let Some(shop) = Shop::new(None, "fuse") else {
        return;
    };
    let start = Instant::now();
    let mut run = running(&shop, &["--timeout", "3s"], "sleep 1; cat /big; sleep 60");
    kill(daemon(&shop), nix::sys::signal::Signal::SIGSTOP);
    let out: Out = run.wait_with_output_of().into();
    out.code(137).says("the time of 3s was up");
    assert!(start.elapsed() < patient(Duration::from_secs(20)));
    within(PATIENCE, "its end", || servers(&shop).is_empty());
}

/// Says that it is there, takes one more question, and never answers: whoever asked cannot be killed as long as it lives.
const SILENT: &str = r#"#!/usr/bin/python3
import os, struct, time
asked = os.read(0, 1 << 20)
unique = struct.unpack_from("Q", asked, 8)[0]
os.write(0, struct.pack("IiQ", 80, 0, unique) + struct.pack("IIIIHHII", 7, 31, 0, 0, 0, 0, 4096, 1).ljust(64, b"\0"))
os.read(0, 1 << 20)
time.sleep(600)
"#;

#[test]
fn a_server_that_never_answers_is_no_way_round_it_either() {
    if !is_root() {
        return skip("root", "another program is mounted over fuse-overlayfs");
    }
    let Some(shop) = Shop::new(None, "fuse") else {
        return;
    };
    let silent = shop.dir.script("silent", SILENT);
    let sbx = shop.sbx(true, shop.words(["run", "--quiet", "--timeout", "2s"], &["true"]));
    let mut command = over(&shop, &silent, "/usr/bin/fuse-overlayfs", &sbx);
    let mut run = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let start = Instant::now();
    while run.try_wait().expect("a child").is_none() {
        if start.elapsed() > patient(Duration::from_secs(20)) {
            for pid in servers(&shop) {
                kill(pid, nix::sys::signal::Signal::SIGKILL);
            }
            panic!("it hangs");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    within(PATIENCE, "its end", || servers(&shop).is_empty());
}

#[test]
fn a_user_without_a_name_or_groups_has_it_as_well() {
    if !is_root() {
        return skip("root", "another user is needed");
    }
    let Some(shop) = Shop::new(Some(NOBODY_ELSE), "fuse") else {
        return;
    };
    // One id inside, which need not be 0.
    for user in ["0:0", "1000:1000"] {
        let run = ["run", "--quiet", "--user", user];
        let out = shop.command(
            true,
            run,
            &["sh", "-c", "id; touch /tmp/x /new; stat -c '%u:%g' /new"],
        );
        let text = out.stdout();
        assert!(text.trim_end().ends_with(user), "{text}{}", out.stderr());
    }
}

//! Images where the kernel refuses overlay: the root is a copy, which looks the same inside and is gone afterwards.
//!
//! The host that refuses is made with a seccomp filter around sbx (`fallback/refuse.py`), whose supervisor reads what is to be mounted
//! and answers EPERM to overlay alone, as a host does that allows it to root only.

use crate::util::image::Image;
use crate::util::tar::Entry;
use crate::util::{Dir, Out, Sbx, binary, is_root, skip, within};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// An id that has no groups, no sub-ids and no name.
const NOBODY_ELSE: u32 = 54_321;

/// Busybox, files of every kind, a whiteout, an opaque directory, and a file in the place of a directory.
fn image() -> Option<Image> {
    let then = |entry: Entry| entry.pax("mtime", "1000000000.25");
    let big: Vec<u8> = (0..3_u32 << 20)
        .map(|i| (i * 31 + i / 251).to_le_bytes()[0])
        .collect();
    let lower = [
        Entry::folder("d/"),
        Entry::file("d/gone", "lower\n"),
        Entry::file("d/kept", "lower\n").owner(33, 34).mode(0o640),
        Entry::hardlink("d/other-name", "d/kept"),
        Entry::folder("hidden/"),
        Entry::file("hidden/below", "lower\n"),
        Entry::folder("replaced/"),
        Entry::file("replaced/below", "lower\n"),
        Entry::folder("closed/").owner(33, 33).mode(0o700),
        Entry::file("closed/file", "x").owner(33, 0).mode(0o400),
        Entry::symlink("link", "/etc/shadow").owner(7, 0),
        Entry::fifo("pipe").mode(0o622),
        Entry::file("set-id", "x").mode(0o4755),
        Entry::file("big", big).mode(0o444),
    ];
    let upper = [
        Entry::folder("d/").mode(0o1777),
        Entry::file("d/.wh.gone", ""),
        Entry::file("d/new", "upper\n"),
        Entry::folder("hidden/"),
        Entry::file("hidden/.wh..wh..opq", ""),
        Entry::file("hidden/above", "upper\n"),
        Entry::file("replaced", "a file now\n"),
    ];
    Some(Image::busybox()?.layer(lower.map(then)).layer(upper.map(then)))
}

/// A home with a store, the image, and the script.
struct Shop {
    dir: Dir,
    /// Run as this user of the host; under root alone.
    uid: Option<u32>,
}

impl Shop {
    /// `None`, and a skip, where overlay cannot be refused or there is no busybox.
    fn new(uid: Option<u32>) -> Option<Self> {
        let dir = Dir::new();
        let refuse = dir.write("refuse.py", include_str!("fallback/refuse.py"));
        for (name, bytes) in image()?.build().files(Some("it")) {
            dir.write(&format!("oci/{name}"), bytes);
        }
        let done = |command: &mut Command| {
            let out = command.stdin(Stdio::null()).output();
            out.map_err(|e| e.to_string()).and_then(|out| {
                let said = String::from_utf8_lossy(&out.stderr).into_owned();
                out.status.success().then_some(()).ok_or(said)
            })
        };
        if let Err(why) = done(Command::new("python3").arg(refuse).args(["1", "true"])) {
            skip("refuse-overlay", &why);
            return None;
        }
        let home = dir.path().join("home");
        std::fs::create_dir(&home).expect("a home");
        if let Some(uid) = uid {
            std::os::unix::fs::lchown(&home, Some(uid), Some(uid)).expect("chown");
        }
        let shop = Self { dir, uid };
        // Into the store, while overlay works.
        shop.command(false, ["run", "--quiet"], &["true"]).ok();
        Some(shop)
    }

    fn store(&self) -> PathBuf {
        self.dir.path().join("home/.local/share/sbx")
    }

    fn sbx<S: AsRef<OsStr>>(&self, refused: bool, words: impl IntoIterator<Item = S>) -> Command {
        let home = self.dir.path().join("home");
        let mut line: Vec<std::ffi::OsString> = Vec::new();
        if refused {
            line.push("python3".into());
            line.push(self.dir.path().join("refuse.py").into());
            line.push("1".into());
        }
        if let Some(uid) = self.uid {
            line.push("setpriv".into());
            line.extend(
                ["--reuid", "--regid"]
                    .into_iter()
                    .flat_map(|flag| [flag.into(), uid.to_string().into()]),
            );
            line.push("--clear-groups".into());
        }
        line.push(binary().into());
        line.extend(words.into_iter().map(|word| word.as_ref().to_owned()));
        let mut command = Command::new(&line[0]);
        command
            .args(&line[1..])
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("HOME", &home)
            .current_dir(&home)
            .stdin(Stdio::null());
        command
    }

    fn words<'a>(&self, verb: impl IntoIterator<Item = &'a str>, rest: &[&'a str]) -> Vec<String> {
        let map = if is_root() && self.uid.is_none() {
            "auto"
        } else {
            "caller"
        };
        // Groups are dropped by newgidmap, which nobody may become behind a filter of their own.
        let groups = if is_root() { "require" } else { "off" };
        let groups = format!("groups={groups}");
        let image = format!("oci:{}:it", self.dir.path().join("oci").display());
        let own = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let verb: Vec<&str> = verb.into_iter().collect();
        [
            own(&verb),
            own(&["--map", map, "--enforce", &groups, &image]),
            own(rest),
        ]
        .concat()
    }

    /// `sbx VERB… IMAGE COMMAND`
    fn command<'a>(
        &self,
        refused: bool,
        verb: impl IntoIterator<Item = &'a str>,
        command: &[&'a str],
    ) -> Out {
        let words = self.words(verb, command);
        self.sbx(refused, words).output().expect("it starts").into()
    }

    fn sh(&self, refused: bool, script: &str) -> Out {
        self.command(refused, ["run", "--quiet"], &["sh", "-c", script])
    }

    /// Copies, and their locks.
    fn copies(&self) -> Vec<PathBuf> {
        let list = |at: &Path| -> Vec<PathBuf> {
            let entries = std::fs::read_dir(at).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).collect()
        };
        let kinds = list(&self.store().join("copies"));
        let copies = kinds.iter().flat_map(|kind| list(kind));
        let locks = list(&self.store().join("locks")).into_iter();
        let name = |path: &Path| {
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        };
        copies
            .chain(locks.filter(|lock| name(lock).starts_with("copy-")))
            .collect()
    }

    #[track_caller]
    fn nothing_left(&self) {
        assert_eq!(self.copies(), [] as [PathBuf; 0]);
    }

    /// A run that sleeps, once it is there.
    fn sleeping(&self) -> Sleeper {
        let words = self.words(["run", "--quiet"], &["sh", "-c", "echo here >/flag; sleep 60"]);
        let before = self.copies().len();
        let child = self
            .sbx(true, words)
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        let there = || {
            self.copies()
                .iter()
                .filter(|path| path.join("flag").exists())
                .count()
        };
        let flags = there();
        within(Duration::from_secs(60), "a copy that runs", || there() > flags);
        assert!(self.copies().len() > before);
        Sleeper(child)
    }
}

/// `refuse.py`, whose child is sbx.
struct Sleeper(Child);

impl Sleeper {
    /// The process that supervises the sandbox.
    fn sbx(&self) -> i32 {
        let children = format!("/proc/{0}/task/{0}/children", self.0.id());
        let children = std::fs::read_to_string(children).expect("children");
        let mut children = children.split_whitespace().map(|pid| pid.parse().expect("a pid"));
        children
            .find(|pid: &i32| {
                let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                line.starts_with(binary().as_os_str().as_encoded_bytes())
            })
            .expect("sbx")
    }

    fn kill(mut self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.sbx());
        nix::sys::signal::kill(pid, signal).expect("kill");
        self.0.wait().expect("it ends");
    }
}

/// Root, or whoever runs this; under root also an ordinary user with one id.
fn everybody() -> Vec<Option<u32>> {
    if is_root() {
        vec![None, Some(NOBODY_ELSE)]
    } else {
        vec![None]
    }
}

/// Everything of the root that a layer has: kinds, modes, owners, sizes, times, and contents.
const LOOK: &str = "cd /; for top in bin d hidden replaced closed link pipe set-id big; do
  find $top ! -type d -exec stat -c '%n %F %a %u %g %s %h %y' {} +; find $top -type d -exec stat -c '%n %F %a %u %g %y' {} +
done | sort; cat d/* hidden/* replaced; ls -i d | sort | sed 's/ .*//' | uniq -c | sed 's/[0-9]*$//' | sort; ls /";

#[test]
fn a_copy_looks_as_the_overlay_does() {
    for uid in everybody() {
        let Some(shop) = Shop::new(uid) else { return };
        let overlay = shop.sh(false, LOOK).ok();
        let copy = shop.sh(true, LOOK).ok();
        assert!(
            overlay.contains("d/kept") && overlay.contains("above"),
            "{overlay}"
        );
        assert!(
            !overlay.contains("gone") && !overlay.contains("below"),
            "{overlay}"
        );
        assert_eq!(overlay, copy);
        shop.nothing_left();
        // It was a copy, and no overlay.
        let root = "grep ' / / ' /proc/self/mountinfo || grep -v ' - overlay' /proc/self/mountinfo | grep ' / [a-z]*,'";
        let root = shop
            .sh(
                true,
                &format!("grep -c ' - overlay ' /proc/self/mountinfo; {root} >/dev/null"),
            )
            .stdout();
        assert_eq!(root.trim(), "0");
        assert_eq!(
            shop.sh(false, "grep -c ' - overlay ' /proc/self/mountinfo").ok(),
            "1"
        );
    }
}

#[test]
fn what_is_written_to_a_copy_goes_with_it() {
    for uid in everybody() {
        let Some(shop) = Shop::new(uid) else { return };
        let out = shop.sh(
            true,
            "echo mine >/d/kept; echo mine >/new; rm -r /hidden; cat /d/other-name /new; exit 7",
        );
        out.code(7);
        assert_eq!(out.stdout(), "mine\nmine\n");
        shop.nothing_left();
        let again = "cat /d/kept /d/other-name /hidden/above; ls /new";
        for refused in [true, false] {
            let out = shop.sh(refused, again);
            assert_eq!(out.stdout(), "lower\nlower\nupper\n", "{}", out.stderr());
        }
        shop.command(true, ["run", "--quiet"], &["no-such-program"])
            .code(127);
        shop.nothing_left();
        // Directories that their owner may not write are no obstacle.
        shop.sh(true, "mkdir -p /x/y; touch /x/y/z; chmod 0 /x/y /x; chmod 0 /d")
            .ok();
        shop.nothing_left();
    }
}

#[test]
fn a_root_that_is_read_only_is_one_in_a_copy_too() {
    let Some(shop) = Shop::new(None) else { return };
    let strict = ["run", "--quiet", "--profile", "strict"];
    let out = shop.command(
        true,
        strict,
        &["sh", "-c", "echo x >/d/new; echo x >/new; cat /d/new"],
    );
    assert_eq!(out.ok(), "upper");
    assert_eq!(
        out.stderr().matches("Read-only file system").count(),
        2,
        "{}",
        out.stderr()
    );
    // Nothing of it is a way to more: no set-id program, no device.
    let out = shop.sh(true, "grep ' / / ' /proc/self/mountinfo; mount | grep ' on / '");
    assert!(out.ok().contains("nosuid,nodev"), "{}", out.stdout());
    shop.nothing_left();
}

#[test]
fn a_run_that_is_killed_leaves_a_copy_that_the_next_one_removes() {
    for uid in everybody() {
        let Some(shop) = Shop::new(uid) else { return };
        for prune in [false, true] {
            shop.sleeping().kill(nix::sys::signal::SIGKILL);
            assert_eq!(shop.copies().len(), 2, "the copy and its lock");
            if prune {
                let out: Out = shop.sbx(true, ["prune"]).output().expect("it starts").into();
                assert!(out.ok().contains("copy  "), "{}", out.stdout());
            } else {
                shop.sh(true, "true").ok();
            }
            shop.nothing_left();
        }
    }
}

#[test]
fn a_copy_in_use_is_nobody_elses() {
    let Some(shop) = Shop::new(None) else { return };
    let (one, other) = (shop.sleeping(), shop.sleeping());
    assert_eq!(shop.copies().len(), 4, "two copies and their locks");
    shop.sh(true, "ls /flag").code(1);
    let pruned: Out = shop
        .sbx(true, ["prune", "-a"])
        .output()
        .expect("it starts")
        .into();
    assert!(!pruned.stdout().contains("copy  "), "{}", pruned.stdout());
    assert_eq!(shop.copies().len(), 4);
    one.kill(nix::sys::signal::SIGTERM);
    assert_eq!(shop.copies().len(), 2, "each removes its own");
    other.kill(nix::sys::signal::SIGINT);
    shop.nothing_left();
}

#[test]
fn a_copy_that_cannot_be_made_is_removed_and_said() {
    let Some(shop) = Shop::new(None) else { return };
    let words = shop.words(["run", "--quiet"], &["true"]);
    let sbx = shop.sbx(true, words);
    // Files of 1 MiB at most: one of the image has three.
    let mut limited = Command::new("prlimit");
    limited
        .arg("--fsize=1048576")
        .arg(sbx.get_program())
        .args(sbx.get_args());
    limited
        .env_clear()
        .envs(sbx.get_envs().filter_map(|(k, v)| Some((k, v?))));
    let out: Out = limited
        .current_dir(shop.dir.path())
        .stdin(Stdio::null())
        .output()
        .expect("prlimit")
        .into();
    out.code(125).says("sbx: ");
    shop.nothing_left();
}

#[test]
fn which_root_it_is_and_why_is_told() {
    let Some(shop) = Shop::new(None) else { return };
    let first = |out: &Out| {
        out.stdout()
            .lines()
            .find(|l| l.starts_with("root "))
            .unwrap_or_default()
            .to_owned()
    };
    let overlay = shop.command(false, ["plan"], &["true"]);
    assert!(
        first(&overlay).contains("overlay of the image's 3 layers"),
        "{}",
        overlay.stdout()
    );
    let copy = shop.command(true, ["plan"], &["true"]);
    assert!(
        first(&copy).contains("copy of the image's layers in "),
        "{}",
        copy.stdout()
    );
    assert!(
        first(&copy).contains("overlay is refused here (EPERM"),
        "{}",
        copy.stdout()
    );
    shop.nothing_left();
    let out = shop.command(true, ["run"], &["true"]);
    out.code(0)
        .says("overlay is refused here (EPERM")
        .says("goes to the disk");
    let out = shop.command(true, ["run", "--profile", "strict"], &["true"]);
    assert_eq!(
        out.code(0).stderr().matches("memory: 1G").count(),
        1,
        "{}",
        out.stderr()
    );
    assert_eq!(shop.sh(true, "true").stderr(), "");
    for (refused, says) in [
        (true, "an image is copied for each run"),
        (false, "an image runs as an overlay"),
    ] {
        let out: Out = shop
            .sbx(refused, ["doctor", "overlay"])
            .output()
            .expect("it starts")
            .into();
        assert!(out.stdout().contains(says), "{}", out.stdout());
    }
}

#[test]
fn the_host_of_these_tests_refuses_overlay_and_nothing_else() {
    let Some(shop) = Shop::new(None) else { return };
    let work = shop.dir.path().join("work");
    std::fs::create_dir(&work).expect("a directory");
    let host = |refused, flags: &[&str]| -> Out {
        let words = ["run", "--quiet", "--profile", "default"];
        let words = words.iter().chain(flags).chain(&["host", "--", "echo", "ran"]);
        let mut sbx = shop.sbx(refused, words);
        sbx.current_dir(&work).output().expect("it starts").into()
    };
    assert_eq!(host(true, &[]).ok(), "ran");
    assert_eq!(host(false, &["--workspace", "overlay"]).ok(), "ran");
    host(true, &["--workspace", "overlay"]).code(125).says("overlay");
    let plain = Sbx::run("default").args(["host", "--", "echo", "ran"]).out();
    assert_eq!(plain.ok(), "ran");
}

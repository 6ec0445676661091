//! A home with a store and an image, on a host that refuses overlay when it is told to.

use crate::util::image::Image;
use crate::util::tar::Entry;
use crate::util::{Dir, Out, binary, is_root, skip, within};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// An id that has no groups, no sub-ids and no name.
pub(super) const NOBODY_ELSE: u32 = 54_321;

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
        // Where systemd sets fs.protected_regular=2 nobody opens with O_CREAT what others own in it, until `chmod -t`.
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
pub(super) struct Shop {
    pub(super) dir: Dir,
    /// Run as this user of the host; under root alone.
    uid: Option<u32>,
    /// What stands in for overlay.
    pub(super) instead: &'static str,
}

/// The line that says what the root is.
pub(super) fn root_of(plan: &Out) -> String {
    let out = plan.stdout();
    let line = out.lines().find(|line| line.starts_with("root "));
    line.unwrap_or_default().to_owned()
}

impl Shop {
    /// `None`, and a skip, where overlay cannot be refused, the image not be made, or what is wanted instead not be had.
    pub(super) fn new(uid: Option<u32>, instead: &'static str) -> Option<Self> {
        Self::with(uid, instead, image()?)
    }

    /// With another image.
    pub(super) fn with(uid: Option<u32>, instead: &'static str, image: Image) -> Option<Self> {
        let dir = Dir::new();
        let refuse = dir.write("refuse.py", include_str!("refuse.py"));
        for (name, bytes) in image.build().files(Some("it")) {
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
        let shop = Self { dir, uid, instead };
        // Into the store, while overlay works.
        shop.command(false, ["run", "--quiet"], &["true"]).ok();
        shop.has_what_it_wants().then_some(shop)
    }

    /// `false`, and a skip, where fuse-overlayfs is wanted and cannot be had.
    pub(super) fn has_what_it_wants(&self) -> bool {
        if self.instead != "fuse" {
            return true;
        }
        let root = root_of(&self.command(true, ["plan"], &["true"]));
        let has = root.contains("fuse-overlayfs of ");
        if !has {
            skip("fuse-overlayfs", &root);
        }
        has
    }

    pub(super) fn store(&self) -> PathBuf {
        self.dir.path().join("home/.local/share/sbx")
    }

    pub(super) fn sbx<S: AsRef<OsStr>>(&self, refused: bool, words: impl IntoIterator<Item = S>) -> Command {
        self.on(refused.then_some("1"), words)
    }

    /// On a host that refuses overlay with an errno, or whose kernel seems to be of a release.
    pub(super) fn on<S: AsRef<OsStr>>(
        &self,
        host: Option<&str>,
        words: impl IntoIterator<Item = S>,
    ) -> Command {
        let home = self.dir.path().join("home");
        let mut line: Vec<std::ffi::OsString> = Vec::new();
        if let Some(host) = host {
            line.push("python3".into());
            line.push(self.dir.path().join("refuse.py").into());
            line.push(host.into());
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
            .env("XDG_RUNTIME_DIR", &home)
            .current_dir(&home)
            .stdin(Stdio::null());
        command
    }

    pub(super) fn words<'a>(&self, verb: impl IntoIterator<Item = &'a str>, rest: &[&'a str]) -> Vec<String> {
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
        let flags = [
            "--map",
            map,
            "--enforce",
            &groups,
            "--without-overlay",
            self.instead,
        ];
        [own(&verb), own(&flags), own(&[&image]), own(rest)].concat()
    }

    /// `sbx VERB… IMAGE COMMAND`
    pub(super) fn command<'a>(
        &self,
        refused: bool,
        verb: impl IntoIterator<Item = &'a str>,
        command: &[&'a str],
    ) -> Out {
        let words = self.words(verb, command);
        self.sbx(refused, words).output().expect("it starts").into()
    }

    pub(super) fn sh(&self, refused: bool, script: &str) -> Out {
        self.command(refused, ["run", "--quiet"], &["sh", "-c", script])
    }

    /// Under strict the root is read, and not written.
    #[track_caller]
    pub(super) fn writes_nothing_under_strict(&self) {
        let strict = ["run", "--quiet", "--profile", "strict"];
        let script = "echo x >/d/new; echo x >/new; cat /d/new";
        let out = self.command(true, strict, &["sh", "-c", script]);
        let refused = out.stderr().matches("Read-only file system").count();
        assert_eq!((out.ok().as_str(), refused), ("upper", 2), "{}", out.stderr());
    }

    /// Copies, and their locks.
    pub(super) fn copies(&self) -> Vec<PathBuf> {
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
    pub(super) fn nothing_left(&self) {
        assert_eq!(self.copies(), [] as [PathBuf; 0]);
    }

    /// A run that sleeps, once it is there.
    pub(super) fn sleeping(&self) -> Sleeper {
        self.sleeping_on(true, &[])
    }

    /// The same with flags, where overlay is refused or is not.
    pub(super) fn sleeping_on(&self, refused: bool, flags: &[&str]) -> Sleeper {
        let run = ["run", "--quiet"].iter().chain(flags).copied();
        let words = self.words(run, &["sh", "-c", "echo here >/flag; sleep 60"]);
        let before = self.copies().len();
        let child = self
            .sbx(refused, words)
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        let there = || {
            self.copies()
                .iter()
                .filter(|path| path.join("flag").exists() || path.join("upper/flag").exists())
                .count()
        };
        let flags = there();
        within(Duration::from_secs(60), "a copy that runs", || there() > flags);
        assert!(self.copies().len() > before);
        Sleeper(child)
    }
}

/// `refuse.py`, whose child is sbx.
pub(super) struct Sleeper(Child);

impl Sleeper {
    /// The process that supervises the sandbox.
    pub(super) fn sbx(&self) -> i32 {
        let children = format!("/proc/{0}/task/{0}/children", self.0.id());
        let children = std::fs::read_to_string(children).expect("children");
        let children = children
            .split_whitespace()
            .map(|pid| pid.parse::<i32>().expect("a pid"));
        let mut all = vec![i32::try_from(self.0.id()).expect("a pid")];
        all.extend(children);
        all.into_iter()
            .find(|pid: &i32| {
                let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                line.starts_with(binary().as_os_str().as_encoded_bytes())
            })
            .expect("sbx")
    }

    pub(super) fn kill(mut self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.sbx());
        nix::sys::signal::kill(pid, signal).expect("kill");
        self.0.wait().expect("it ends");
    }
}

/// Root, or whoever runs this; under root also an ordinary user with one id.
pub(super) fn everybody() -> Vec<Option<u32>> {
    if is_root() {
        vec![None, Some(NOBODY_ELSE)]
    } else {
        vec![None]
    }
}

/// Everything of the root that a layer has: kinds, modes, owners, sizes, times, and contents.
pub(super) const LOOK: &str = "cd /; for top in bin d hidden replaced closed link pipe set-id big; do
  find $top ! -type d -exec stat -c '%n %F %a %u %g %s %h %y' {} +; find $top -type d -exec stat -c '%n %F %a %u %g %y' {} +
done | sort; cat d/* hidden/* replaced; ls -i d | sort | sed 's/ .*//' | uniq -c | sed 's/[0-9]*$//' | sort; ls /";

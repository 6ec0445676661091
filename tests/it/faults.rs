//! What goes wrong around a run: it is told, or it is survived, and nothing is left behind.

use crate::util::{Dir, Out, Sbx, binary, hand_over, is_root, processes, project, within};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A number that is not the same in every run, for moments and names.
fn random(below: u64) -> u64 {
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut f| f.read_exact(&mut bytes))
        .expect("random bytes");
    u64::from_le_bytes(bytes) % below
}

/// What is there before runs that must leave nothing. Other people mount, make and remove what they like meanwhile: only what is
/// one's own counts.
struct Before {
    mounts: BTreeSet<String>,
    traces: BTreeSet<PathBuf>,
    /// Where the runs have their temporary files.
    temporary: Dir,
}

impl Before {
    fn new() -> Self {
        // Root alone can mount where it would be seen outside a sandbox; this thread and what it starts have a place of their own
        // for that. Who may not make one may not mount either.
        if unshare(CloneFlags::CLONE_NEWNS).is_ok() {
            let none = None::<&str>;
            // Apart from the host's, and shared once more: else a mount that a sandbox let out would not be seen.
            for kind in [MsFlags::MS_PRIVATE, MsFlags::MS_SHARED] {
                mount(none, "/", none, MsFlags::MS_REC | kind, none).expect("a kind of mounts");
            }
        }
        Self {
            mounts: mounts(),
            traces: traces(),
            temporary: Dir::open(),
        }
    }

    /// Gives a command directories for temporary files that nobody else uses.
    fn for_command(&self, command: &mut Command) {
        for name in ["TMPDIR", "XDG_RUNTIME_DIR"] {
            command.env(name, self.temporary.path());
        }
    }

    #[track_caller]
    fn nothing_more(&self) {
        let new: Vec<_> = traces().difference(&self.traces).cloned().collect();
        assert!(new.is_empty(), "{new:?}");
        assert_eq!(entries(self.temporary.path()), 0);
        if is_root() {
            assert_eq!(mounts(), self.mounts);
        }
    }
}

/// The mounts that this thread sees.
fn mounts() -> BTreeSet<String> {
    let table = std::fs::read_to_string("/proc/thread-self/mountinfo").expect("mountinfo");
    table.lines().map(str::to_owned).collect()
}

/// Names in the places where a runtime would leave something: those of this user or of whom the sandbox runs as. Other tests' own
/// directories are not counted.
fn traces() -> BTreeSet<PathBuf> {
    let probe = project(|_| {});
    let owner = |path: &Path| path.symlink_metadata().map_or(u32::MAX, |m| m.uid());
    let owners = [nix::unistd::geteuid().as_raw(), owner(probe.path())];
    let mut all = BTreeSet::new();
    for place in ["/tmp", "/dev/shm", "/var/tmp", "/run", "/run/user"] {
        for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.contains("sbx") && !name.starts_with("sbx-test") && owners.contains(&owner(&entry.path()))
            {
                all.insert(entry.path());
            }
        }
    }
    all
}

fn entries(directory: &Path) -> usize {
    std::fs::read_dir(directory).expect("read").count()
}

#[test]
fn killed_at_any_moment_nothing_is_left() {
    let word = format!("left-{}-{}", std::process::id(), random(1 << 40));
    let before = Before::new();
    let home = Dir::new();
    std::fs::create_dir(home.path().join("w")).expect("mkdir");
    hand_over(home.path());
    for round in 0..200 {
        // Overlay, since it has most to leave behind; the word stands in every process's arguments.
        let mut command = Command::new(binary());
        let script =
            format!(": {word}; trap '' TERM HUP INT; (setsid sh -c ': {word}; sleep 1000' &); sleep 1000; :");
        command
            .args([
                "run",
                "--quiet",
                "--profile",
                "default",
                "--workspace",
                "overlay",
                "host",
                "--",
                "sh",
                "-c",
            ])
            .arg(script)
            .env("HOME", home.path())
            .current_dir(home.path().join("w"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        before.for_command(&mut command);
        let mut child = command.spawn().expect("sbx starts");
        // Start-up takes a few milliseconds; half of the moments are in it.
        let most = if round % 2 == 0 { 8_000 } else { 60_000 };
        std::thread::sleep(Duration::from_micros(random(most)));
        child.kill().expect("kill");
        child.wait().expect("wait");
    }
    within(Duration::from_secs(5), "no process is left", || {
        processes("cmdline", &word).is_empty()
    });
    before.nothing_more();
    assert_eq!(entries(&home.path().join("w")), 0);
}

#[test]
fn a_thousand_runs_leave_nothing_that_grows() {
    let before = Before::new();
    let keys = || {
        let uid = nix::unistd::getuid().as_raw().to_string();
        let users = std::fs::read_to_string("/proc/key-users").unwrap_or_default();
        let line = users
            .lines()
            .find(|l| l.trim_start().starts_with(&format!("{uid}:")));
        line.and_then(|l| l.split_whitespace().nth(1)?.parse::<i64>().ok())
            .unwrap_or(0)
    };
    let keys_before = keys();
    let home = Dir::new();
    let script = "i=0; while [ $i -lt 1000 ]; do $S true || exit 9; i=$((i+1)); done; ls /proc/$$/fd | wc -l";
    let mut command = Command::new("sh");
    command
        .args(["-c", script])
        .env(
            "S",
            format!("{} run -q --profile strict host --", binary().display()),
        )
        .env("HOME", home.path())
        .current_dir(home.path());
    before.for_command(&mut command);
    let out = command.output().expect("sh starts");
    assert!(out.status.success(), "{out:?}");
    before.nothing_more();
    assert_eq!(entries(home.path()), 0);
    // Keys go away with the last process of their session, a moment later.
    within(Duration::from_secs(10), "keys are given back", || {
        keys() <= keys_before + 100
    });
}

#[test]
fn sixty_four_at_once() {
    let home = Dir::new();
    let children: Vec<_> = (0..64)
        .map(|number| {
            Command::new(binary())
                .args(["run", "-q", "--profile", "default", "host", "--", "sh", "-c"])
                .arg(format!("sleep 0.3; echo {number}; exit {number}"))
                .env("HOME", home.path())
                .current_dir(home.path())
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("sbx starts")
        })
        .collect();
    for (number, child) in (0..).zip(children) {
        let out = child.wait_with_output().expect("wait");
        assert_eq!(
            out.status.code(),
            Some(number),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
        assert_eq!(String::from_utf8_lossy(&out.stdout), format!("{number}\n"));
    }
}

#[test]
fn a_full_tmpfs_is_an_error_inside_and_the_run_goes_on() {
    let script = "head -c 2M /dev/zero >/t/f; echo $?; stat -c %s /t/f; rm /t/f; echo x >/t/g && echo again";
    let out = Sbx::run("default")
        .args(["--tmpfs", "/t:size=1M", "host", "--", "sh", "-c", script])
        .out();
    assert_eq!(out.ok(), "1\n1048576\nagain");
    let out = Sbx::sh("strict", "head -c 100M /dev/zero >/tmp/f; stat -c %s /tmp/f").out();
    assert_eq!(out.ok(), (64 << 20).to_string());
    // Files without content take room too.
    let script = "i=0; while [ $i -lt 100000 ] && true >/t/$i; do i=$((i+1)); done 2>/dev/null; [ $i -lt 100000 ] && echo bounded";
    let out = Sbx::run("default")
        .args(["--tmpfs", "/t:size=1M", "host", "--", "sh", "-c", script])
        .out();
    assert_eq!(out.ok(), "bounded");
}

#[test]
fn a_full_overlay_is_an_error_inside() {
    let dir = Dir::new();
    hand_over(dir.path());
    let script = "head -c 100G /dev/zero >big; echo $?; rm big; echo x >small && echo again";
    let out = Sbx::run("strict")
        .args(["--workspace", "overlay", "host", "--", "sh", "-c", script])
        .within(dir.path())
        .out();
    assert!(out.ok().ends_with("again"), "{}", out.stdout());
    assert!(!out.stdout().starts_with('0'), "{}", out.stdout());
}

#[test]
fn no_memory_for_the_command_is_the_commands_failure() {
    // 1 GiB of address space or resident memory, whichever this host can enforce.
    let out = Sbx::run("strict")
        .args(["--timeout", "60s", "host", "--", "sh", "-c"])
        .args(["head -c 3G /dev/zero | tail -c 2G >/dev/null; echo ${?}; echo alive"])
        .out();
    let said = out.stdout();
    assert!(
        said.ends_with("alive\n") || matches!(out.code, Some(137)),
        "{said} {}",
        out.stderr()
    );
    assert!(!said.starts_with("0\n"), "2 GiB were had under a limit of 1 GiB");
}

/// A shell that limits itself and then becomes sbx.
fn limited(limit: &str) -> Out {
    let home = Dir::new();
    let script = format!("ulimit {limit}; exec \"$S\" run -q --profile default host -- sh -c 'echo in'");
    Command::new("bash")
        .args(["-c", &script])
        .env("S", binary())
        .env("HOME", home.path())
        .current_dir(home.path())
        .output()
        .expect("bash starts")
        .into()
}

#[test]
fn scarce_resources_of_sbx_itself_are_told_and_never_a_signal() {
    for limit in [
        "-n 12", "-n 5", "-v 40000", "-v 12000", "-s 1024", "-f 0", "-l 0", "-c 0",
    ] {
        let out = limited(limit);
        assert_eq!(out.signal, None, "{limit}: {}", out.stderr());
        match out.code {
            Some(0) => assert_eq!(out.stdout(), "in\n", "{limit}"),
            _ => assert!(!out.stderr.is_empty(), "{limit}: {:?}, and not a word", out.code),
        }
    }
}

/// Where groups are dropped, a helper writes the maps of a child that is at work already, and may be gone before it has.
#[test]
fn what_a_start_fails_at_is_told_whoever_writes_the_maps() {
    for _ in 0..40 {
        let out = limited("-n 14");
        out.code(125).says("sbx: mount /").says("raise `ulimit -n`");
    }
}

#[test]
fn a_home_that_cannot_be_written_or_is_not_there() {
    let home = Dir::new();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o555)).expect("chmod");
    for profile in ["strict", "default", "build"] {
        let work = Dir::new();
        for value in [
            home.path().as_os_str(),
            OsStr::new("/nonexistent"),
            OsStr::new("/"),
            OsStr::new(""),
        ] {
            let out = Sbx::sh(profile, "cd && : >f && echo \"$HOME\"")
                .env("HOME", value)
                .within(work.path())
                .out();
            assert!(out.ok().starts_with('/'), "{profile} {value:?}: {}", out.stdout());
        }
        let (mut command, _home) = Sbx::sh(profile, "echo in \"$HOME\"")
            .within(work.path())
            .into_command();
        let out = command.env_remove("HOME").output().expect("sbx starts");
        assert!(
            out.status.success() && out.stdout.starts_with(b"in /"),
            "{profile}: {out:?}"
        );
    }
    assert_eq!(entries(home.path()), 0);
}

#[test]
fn a_home_that_is_no_path_is_told_or_passed_over() {
    for value in [&b"relative/home"[..], b"/a/../b", b"/\xff\xfe", b"/a\nb"] {
        let work = Dir::new();
        let out = Sbx::sh("default", "echo in")
            .env("HOME", OsStr::from_bytes(value))
            .within(work.path())
            .out();
        match out.code {
            Some(0) => assert_eq!(out.stdout(), "in\n"),
            _ => {
                out.code(125).says("HOME");
            }
        }
    }
}

#[test]
fn a_working_directory_that_was_deleted() {
    for profile in ["strict", "default", "build"] {
        let home = Dir::new();
        let script = "mkdir gone && cd gone && rmdir ../gone && exec $S host -- sh -c 'cd / && echo in'";
        let out = Command::new("sh")
            .args(["-c", script])
            .env("S", format!("{} run -q --profile {profile}", binary().display()))
            .env("HOME", "/nonexistent")
            .current_dir(home.path())
            .output()
            .expect("sh starts");
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        match out.status.code() {
            Some(0) => assert_eq!(out.stdout, b"in\n", "{profile}"),
            Some(125) => assert!(
                said.starts_with("sbx: ") && said.contains("directory"),
                "{profile}: {said}"
            ),
            other => panic!("{profile}: {other:?} {said}"),
        }
    }
}

#[test]
fn a_profile_of_ten_megabytes_is_refused_at_once() {
    let dir = Dir::new();
    let mut text = String::from("description = \"");
    text.push_str(&"x".repeat(10 << 20));
    text.push_str("\"\n");
    let file = dir.write("large.toml", text);
    let start = Instant::now();
    let out = Sbx::new(["run", "--profile"])
        .args([&file])
        .args(["host", "--", "true"])
        .out();
    out.code(125).says("large.toml");
    assert!(out.stderr.len() < 4096, "{} bytes of words", out.stderr.len());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn profiles_that_are_no_files_are_told() {
    let dir = Dir::new();
    let fifo = dir.path().join("fifo.toml");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("mkfifo");
    let binary_file = dir.write("binary.toml", b"\xff\xfe\x00\x01");
    for path in [
        fifo.as_path(),
        dir.path(),
        &binary_file,
        "/dev/zero".as_ref(),
        "/dev/null/x".as_ref(),
    ] {
        let start = Instant::now();
        let out = Sbx::new(["run", "--timeout", "5s", "--profile"])
            .args([path])
            .args(["host", "--", "true"])
            .out();
        assert_eq!(out.code, Some(125), "{}: {}", path.display(), out.stderr());
        assert!(start.elapsed() < Duration::from_secs(5), "{}", path.display());
    }
}

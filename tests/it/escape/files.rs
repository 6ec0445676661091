//! Files of the host: what is not shown cannot be reached, and what is shown cannot be changed.

use super::{ALL, Answers, Attack, BUILT_IN, attack, outside, profile, secret, under};
use crate::util::{Dir, Sbx, hand_over, is_root};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

/// A working directory that everybody may write, with a file in it.
pub(super) fn workspace() -> (Dir, std::path::PathBuf) {
    let work = Dir::new();
    let file = work.write("file", "content");
    for path in [work.path(), &file] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o777)).expect("chmod");
    }
    (work, file)
}

#[test]
fn files_of_the_host_are_out_of_reach() {
    let (_dir, path) = secret();
    let program = format!(
        "openat -100 @s:{0} 0; stat @s:{0} @z:256; openat2 -100 @s:{0} @w:0,0,0 24; execve @s:{0} 0 0",
        path.display()
    );
    for name in [
        "strict",
        "default",
        "build",
        &profile("no-seccomp"),
        &profile("no-landlock-strict"),
    ] {
        let answers = attack(name, &program);
        for step in ["openat", "stat", "execve"] {
            answers.refused(step, &["ENOENT"]);
        }
        // A filter cannot see its mode, so it is closed where the caller's own files could get set-id bits.
        answers.refused("openat2", &["ENOENT", "ENOSYS"]);
    }
    outside(&program).number("openat");
    // Shown where a flag says so.
    let bind = format!("{0}:{0}:ro", path.display());
    under("strict")
        .args(["-v", &bind])
        .attack(&program)
        .number("openat");
}

#[test]
fn homes_and_secrets_of_the_host_are_not_shown() {
    for name in ALL {
        for path in [
            "/etc/shadow",
            "/etc/ssh",
            "/etc/sudoers",
            "/etc/ssl/private",
            "/root",
            "/boot",
            "/var/lib",
            "/srv",
            "/mnt",
            "/sys/block",
            "/sys/class",
            "/sys/firmware",
            "/sys/kernel",
        ] {
            let answers = attack(name, &format!("openat -100 @s:{path} 0"));
            assert_eq!(answers.of("openat"), "ENOENT", "{name}: {path}");
        }
        let of_sys = under(name).shell("find /sys ! -type d | sort").ok();
        let generated = ["online", "possible"].map(|name| format!("/sys/devices/system/cpu/{name}"));
        assert_eq!(of_sys, generated.join("\n"), "{name}: not a sysfs");
        let homes = under(name)
            .shell("ls -A /home /root 2>/dev/null | grep -v :; true")
            .ok();
        let home = std::env::var("HOME").unwrap_or_default();
        assert!(
            homes
                .lines()
                .all(|line| line.is_empty() || home.contains(line) || line.starts_with("sbx-test")),
            "{homes}"
        );
    }
    for path in ["/root", "/boot", "/var/lib", "/srv", "/mnt", "/sys"] {
        outside(&format!("stat @s:{path} @z:256")).number("stat");
    }
    if is_root() {
        outside("openat -100 @s:/etc/shadow 0").number("openat");
    }
    // Shown where a flag says so: what is not there is hidden by no right of a user.
    under("strict")
        .args(["-v", "/var/lib:/var/lib:ro"])
        .attack("openat -100 @s:/var/lib 0")
        .number("openat");
}

#[test]
fn no_path_leads_out_of_the_root() {
    let (_dir, path) = secret();
    let (work, _) = workspace();
    symlink(&path, work.path().join("absolute")).expect("a link");
    symlink(
        format!("../../../../../../../..{}", path.display()),
        work.path().join("dots"),
    )
    .expect("a link");
    symlink("/proc/self/root/", work.path().join("magic")).expect("a link");
    let out = path.display();
    let program = format!(
        "openat -100 @s:absolute 0; openat -100 @s:dots 0; openat -100 @s:magic{out} 0; openat -100 @s:/proc/self/root/{out} 0; \
         openat -100 @s:/proc/1/root/{out} 0; openat -100 @s:/proc/self/cwd/dots 0; openat -100 @s:../../../../../../{out} 0; \
         openat -100 @s:/proc/self/task/../../1/root/{out} 0; openat -100 @s:/proc/self/fd/0/../{out} 0"
    );
    for name in [
        "strict",
        "default",
        &profile("no-seccomp"),
        &profile("no-landlock-strict"),
    ] {
        let answers = under(name).within(work.path()).attack(&program).all("openat");
        assert_eq!(answers.len(), 9, "{name}");
        for (at, answer) in answers.iter().enumerate() {
            // The way through pid 1 is closed by itself, and a stream is no directory; everywhere else there is no such file.
            let expected: &[&str] = match at {
                4 | 7 => &["ENOENT", "EACCES"],
                8 => &["ENOTDIR"],
                _ => &["ENOENT"],
            };
            assert!(expected.contains(&answer.as_str()), "{name}: {at}: {answer}");
        }
    }
    let all =
        outside(&program.replace("absolute", &format!("{}/absolute", work.path().display()))).all("openat");
    assert!(
        all.iter().filter(|answer| answer.parse::<i64>().is_ok()).count() >= 3,
        "{all:?}"
    );
}

/// Everything that changes a file or what is known of it, most of which Landlock does not see.
const CHANGES: &str = "openat -100 @s:file 1; openat -100 @s:file 0o1002; openat -100 @s:new 0o102 0o644; truncate @s:file 0; \
    mkdir @s:dir 0o755; unlink @s:file; rename @s:file @s:other; link @s:file @s:other; symlink @s:file @s:other; \
    chmod @s:file 0o600; fchmodat2 -100 @s:file 0o600 0; utimensat -100 @s:file @w:1,0,1,0 0; setxattr @s:file @s:user.x @s:y 1 0; \
    mknodat -100 @s:pipe 0o10644 0; rmdir @s:none; fallocate 0 0 0 1";

/// The steps of [`CHANGES`] that the mount alone refuses.
const CHANGING: [&str; 13] = [
    "openat",
    "truncate",
    "mkdir",
    "unlink",
    "rename",
    "link",
    "symlink",
    "chmod",
    "fchmodat2",
    "utimensat",
    "setxattr",
    "mknodat",
    "rmdir",
];

/// Those of [`CHANGING`] that this kernel has: fchmodat2(2) came with Linux 6.6.
fn changing() -> Vec<&'static str> {
    let missing = outside("fchmodat2 -100 @s:/nonexistent 0 0").of("fchmodat2") == "ENOSYS";
    let there = |step: &&str| !(missing && *step == "fchmodat2");
    CHANGING.into_iter().filter(there).collect()
}

#[test]
fn a_read_only_directory_cannot_be_changed_in_any_way() {
    let run = |name: &str, flags: &[&str]| {
        let (work, file) = workspace();
        // Theirs who attack: it is not the owner that stands in the way.
        hand_over(work.path());
        let before = file.metadata().expect("the file");
        let answers = under(name).args(flags).within(work.path()).attack(CHANGES);
        let same = file.metadata().is_ok_and(|after| {
            (after.mode(), after.len(), after.mtime(), after.nlink())
                == (before.mode(), before.len(), before.mtime(), before.nlink())
        });
        (
            same && work.path().read_dir().expect("the directory").count() == 1,
            answers,
        )
    };
    for name in [
        "strict",
        "default",
        &profile("no-landlock"),
        &profile("no-landlock-strict"),
        &profile("no-seccomp"),
    ] {
        let (same, answers) = run(name, &[]);
        assert!(same, "{name}: {}", answers.0.stdout());
        // As uid 0 inside too.
        let (same, as_root) = run(name, &["--user", "root"]);
        assert!(same, "{name}: {}", as_root.0.stdout());
        for step in changing() {
            answers.refused(step, &["EROFS"]);
            as_root.refused(step, &["EROFS"]);
        }
    }
    let (same, answers) = run("strict", &["--workspace", "writable"]);
    assert!(!same);
    for step in ["truncate", "mkdir", "unlink"] {
        answers.number(step);
    }
    let (work, _) = workspace();
    hand_over(work.path());
    let kept = "link @s:file @s:other; symlink @s:file @s:third; chmod @s:file 0o600; fchmodat2 -100 @s:file 0o600 0; \
                utimensat -100 @s:file @w:1,0,1,0 0; setxattr @s:file @s:user.x @s:y 1 0; mknodat -100 @s:pipe 0o10644 0; \
                rename @s:file @s:fourth; mkdir @s:dir 0o755; rmdir @s:dir";
    let answers = under("strict")
        .args(["--workspace", "writable"])
        .within(work.path())
        .attack(kept);
    for step in &changing()[4..] {
        answers.number(step);
    }
}

#[test]
fn an_overlaid_directory_is_not_changed_unless_asked() {
    let (work, file) = workspace();
    let run = |flags: &[&str]| {
        let sbx = under("strict")
            .args(["--workspace", "overlay", "--user", "root"])
            .args(flags);
        let answers = sbx
            .within(work.path())
            .attack("unlink @s:file; openat -100 @s:new 0o102 0o644");
        answers.number("openat");
        answers.0.code(0);
    };
    run(&[]);
    run(&["--diff"]);
    assert!(file.exists() && !work.path().join("new").exists());
    run(&["--apply"]);
    assert!(!file.exists() && work.path().join("new").exists());
}

#[test]
fn an_open_read_only_descriptor_gives_no_way_to_write() {
    // Through /proc/self/fd, and by what takes a descriptor: the mount says no, where Landlock does not look.
    let program = "openat -100 @s:file 0; openat -100 @s:/proc/self/fd/3 2; fchmod 3 0o600; futimesat 3 0 @w:1,0,1,0; \
                   fsetxattr 3 @s:user.x @s:y 1 0; ftruncate 3 0; fallocate 3 0 0 4096; ioctl 3 0x40086602 @w:0x10";
    for name in [
        "strict",
        "default",
        &profile("no-seccomp"),
        &profile("no-landlock-strict"),
    ] {
        let (work, file) = workspace();
        hand_over(work.path());
        let before = (
            file.metadata().expect("the file").mode(),
            std::fs::read(&file).expect("the file"),
        );
        let answers = under(name).within(work.path()).attack(program);
        assert_eq!(
            answers.all("openat").first().map(String::as_str),
            Some("3"),
            "{name}"
        );
        for step in ["openat", "fchmod", "futimesat", "fsetxattr"] {
            answers.refused(step, &["EROFS"]);
        }
        // The mode of the descriptor, before anybody asks the mount; strict's list of ioctls.
        answers.refused("ftruncate", &["EINVAL"]);
        answers.refused("fallocate", &["EBADF"]);
        answers.refused("ioctl", &["EROFS", "ENOTTY"]);
        let after = (
            file.metadata().expect("the file").mode(),
            std::fs::read(&file).expect("the file"),
        );
        assert!(before == after, "{name}");
    }
    let (work, _) = workspace();
    hand_over(work.path());
    let open = under("strict")
        .args(["--workspace", "writable"])
        .within(work.path())
        .attack(program);
    for step in ["openat", "fchmod", "futimesat", "fsetxattr"] {
        open.number(step);
    }
}

#[test]
fn the_host_s_own_tools_cannot_be_changed() {
    let program = |path: &str| {
        format!(
            "utimensat -100 @s:{path} 0 0; chmod @s:{path} 0o777; openat -100 @s:{path}.new 0o102 0o644; \
             rename @s:{path} @s:{path}.old; unlink @s:{path}"
        )
    };
    let steps = ["chmod", "openat", "unlink", "rename", "utimensat"];
    for name in ALL {
        // EROFS, which the mount says: that they are another user's would be EPERM or EACCES.
        for path in [
            "/usr/bin/sh",
            "/bin/sh",
            "/etc/profile",
            "/etc/passwd",
            "/attacker",
        ] {
            let answers = under(name).args(["--user", "root"]).attack(&program(path));
            for step in steps {
                assert_eq!(answers.of(step), "EROFS", "{name}: {step} {path}");
            }
        }
        for path in ["/usr/lib", "/usr", "/"] {
            let answers = under(name)
                .args(["--user", "root"])
                .attack(&format!("chmod @s:{path} 0o777; mkdir @s:{path}/new 0o755"));
            for step in ["chmod", "mkdir"] {
                assert_eq!(answers.of(step), "EROFS", "{name}: {step} {path}");
            }
        }
        // What a device may be written with is the owner's to say, and nobody inside is that.
        let device = under(name)
            .args(["--user", "root"])
            .attack("chmod @s:/dev/null 0o600; unlink @s:/dev/null");
        assert_eq!(
            (device.of("chmod"), device.of("unlink")),
            ("EPERM".into(), "EROFS".into())
        );
    }
    let open = attack(
        "strict",
        &format!("mknodat -100 @s:/tmp/tool 0o100755 0; {}", program("/tmp/tool")),
    );
    for step in ["chmod", "openat", "rename", "utimensat"] {
        open.number(step);
    }
}

#[test]
fn what_was_written_is_not_executed_in_strict() {
    let script = "cp /attacker /tmp/x && /tmp/x getpid; cp /attacker /dev/shm/x && /dev/shm/x getpid";
    let strict = under("strict").shell(script);
    // The first was written, and the shell says 126 where it may not execute.
    assert!(!strict.stdout().contains("getpid="), "{}", strict.stdout());
    strict.code(126);
    assert!(under("default").shell(script).stdout().contains("getpid="));
    let (work, _) = workspace();
    work.program("x", super::attacker());
    let run = |flags: &[&str]| {
        Answers(
            Sbx::run("strict")
                .args(flags)
                .args(["host", "--", "./x", "getpid"])
                .within(work.path())
                .out(),
        )
    };
    assert_eq!(run(&["--workspace", "writable"]).0.code, Some(126));
    assert_eq!(run(&[]).number("getpid"), 2, "from a read-only place it may be");
}

#[test]
fn what_lies_in_memory_without_a_name_is_executed_even_in_strict() {
    // No place stands in between, neither a mount nor what Landlock asks for: SECURITY.md promises nothing of it. What it does is bounded
    // as everything else is.
    for name in BUILT_IN {
        let answers = attack(name, "execute-memory /attacker getpid;");
        assert_eq!(answers.number("getpid"), 2, "{name}");
    }
    let bounded = attack("strict", "execute-memory /attacker ptrace");
    assert_eq!(bounded.of("ptrace"), "EPERM");
}

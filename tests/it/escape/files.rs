//! Files of the host: what is not shown cannot be reached, and what is shown cannot be changed.

use super::{Answers, Attack, attack, outside, profile, secret, under};
use crate::util::{Dir, Sbx};
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
        for step in ["openat", "stat", "openat2", "execve"] {
            answers.refused(step, &["ENOENT"]);
        }
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
    for name in ["strict", "default", "build"] {
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
            "/sys",
        ] {
            let answer = attack(name, &format!("openat -100 @s:{path} 0")).of("openat");
            assert!(
                ["ENOENT", "EACCES"].contains(&answer.as_str()),
                "{name}: {path}: {answer}"
            );
        }
        let homes = under(name)
            .shell("ls -A /home /root 2>/dev/null | grep -v :")
            .stdout();
        let home = std::env::var("HOME").unwrap_or_default();
        assert!(
            homes
                .lines()
                .all(|line| line.is_empty() || home.contains(line) || line.starts_with("sbx-test")),
            "{homes}"
        );
    }
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
        for answer in under(name).within(work.path()).attack(&program).all("openat") {
            assert!(
                ["ENOENT", "EACCES", "ENOTDIR", "EPERM"].contains(&answer.as_str()),
                "{name}: {answer}"
            );
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
    mknodat -100 @s:pipe 0o10644 0; rmdir @s:.; fallocate 0 0 0 1";

#[test]
fn a_read_only_directory_cannot_be_changed_in_any_way() {
    let run = |name: &str, flags: &[&str]| {
        let (work, file) = workspace();
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
        for step in ["truncate", "mkdir", "unlink", "rename", "chmod", "utimensat"] {
            answers.refused(step, &["EROFS", "EACCES", "EPERM", "EXDEV"]);
        }
        // As uid 0 inside too.
        let (same, answers) = run(name, &["--user", "root"]);
        assert!(same, "{name}: {}", answers.0.stdout());
    }
    let (same, _) = run("strict", &["--workspace", "writable"]);
    assert!(!same);
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
        for step in ["fchmod", "ftruncate", "fallocate", "fsetxattr", "ioctl"] {
            assert!(
                answers.of(step).parse::<i64>().is_err(),
                "{name}: {step}={}",
                answers.of(step)
            );
        }
        assert!(
            answers
                .all("openat")
                .pop()
                .is_some_and(|answer| answer.parse::<i64>().is_err())
        );
        let after = (
            file.metadata().expect("the file").mode(),
            std::fs::read(&file).expect("the file"),
        );
        assert!(before == after, "{name}");
    }
    let (work, _) = workspace();
    under("strict")
        .args(["--workspace", "writable"])
        .within(work.path())
        .attack(program)
        .number("fsetxattr");
}

#[test]
fn the_host_s_own_tools_cannot_be_changed() {
    for name in ["strict", "default", "build"] {
        for path in [
            "/usr/bin/sh",
            "/bin/sh",
            "/etc/profile",
            "/etc/passwd",
            "/usr/lib",
            "/",
            "/dev/null",
            "/attacker",
        ] {
            let program = format!(
                "chmod @s:{path} 0o777; openat -100 @s:{path}/new 0o102; unlink @s:{path}; rename @s:{path} @s:/tmp/x"
            );
            let answers = under(name).args(["--user", "root"]).attack(&program);
            for step in ["chmod", "openat", "unlink", "rename"] {
                assert!(answers.of(step).parse::<i64>().is_err(), "{name}: {step} {path}");
            }
        }
    }
}

#[test]
fn what_was_written_is_not_executed_in_strict() {
    let script = "cp /attacker /tmp/x && /tmp/x getpid; cp /attacker /dev/shm/x && /dev/shm/x getpid";
    let strict = under("strict").shell(script);
    assert!(!strict.stdout().contains("getpid="), "{}", strict.stdout());
    assert!(under("default").shell(script).stdout().contains("getpid="));
    let (work, _) = workspace();
    std::fs::copy(super::attacker(), work.path().join("x")).expect("a copy");
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

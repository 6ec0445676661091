//! Files of the host: what is not shown cannot be reached, and what is shown cannot be changed.

use super::{Answers, Attack, BUILT_IN, attack, outside, profile, secret, under};
use crate::util::{Dir, Sbx, is_root, skip};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

/// A working directory that everybody may write, with a file in it.
fn workspace() -> (Dir, std::path::PathBuf) {
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
            "/root/.ssh",
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
fn read_only_mounts_cannot_be_remounted() {
    // MS_REMOUNT|MS_BIND, mount_setattr, and taking the cover off. Even where a namespace of one's own can be made, what was mounted
    // before is locked.
    let program = "unshare 0x10020000; mount 0 @s:/usr 0 0x1020 0; mount_setattr -100 @s:/usr 0 @w:0,1,0,0 32; umount2 @s:/usr 2; umount2 @s:/dev/null 2; umount2 @s:/proc 2";
    for name in BUILT_IN {
        let answers = attack(name, program);
        for step in ["mount", "mount_setattr", "umount2"] {
            answers.refused(step, &["EPERM", "ENOSYS"]);
        }
    }
    let open = under(&profile("nested-namespaces"))
        .args(["--enforce", "landlock=off"])
        .attack(program);
    assert_eq!(open.of("unshare"), "0");
    for step in ["mount", "mount_setattr"] {
        open.refused(step, &["EPERM"]);
    }
    for answer in open.all("umount2") {
        assert!(["EINVAL", "EPERM"].contains(&answer.as_str()), "{answer}");
    }
    // What one has mounted oneself can be.
    let own = "unshare 0x10020000; mount @s:x @s:/tmp @s:tmpfs 1 0; mount 0 @s:/tmp 0 0x1020 0";
    let own = under(&profile("nested-namespaces"))
        .args(["--enforce", "landlock=off"])
        .attack(own);
    assert_eq!(own.all("mount"), ["0", "0"]);
}

/// What tells about the host, or changes it.
const KERNEL_FILES: [&str; 11] = [
    "kcore",
    "keys",
    "timer_list",
    "sched_debug",
    "interrupts",
    "latency_stats",
    "kallsyms",
    "sysrq-trigger",
    "kmsg",
    "key-users",
    "slabinfo",
];

#[test]
fn kernel_files_of_proc_are_not_shown_in_strict_and_masked_in_default() {
    for file in KERNEL_FILES {
        attack("strict", &format!("openat -100 @s:/proc/{file} 0")).refused("openat", &["ENOENT"]);
    }
    for file in [
        "kcore",
        "keys",
        "timer_list",
        "interrupts",
        "sched_debug",
        "latency_stats",
    ] {
        let answers = attack(
            "default",
            &format!("openat -100 @s:/proc/{file} 0; read $0 @z:64 64"),
        );
        let read = answers.of("read");
        assert!(read == "0" || read == "EBADF", "{file}: {read}");
    }
    for directory in ["acpi", "scsi", "asound"] {
        let listed = under("default")
            .shell(&format!("ls -A /proc/{directory} 2>/dev/null"))
            .stdout();
        assert_eq!(listed, "", "{directory}");
    }
    let open = outside("openat -100 @s:/proc/interrupts 0; read $0 @z:64 64");
    assert!(open.number("read") > 0);
}

#[test]
fn kernel_settings_cannot_be_written() {
    let writable = [
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/hostname",
        "/proc/sys/vm/overcommit_memory",
        "/proc/sysrq-trigger",
        "/proc/irq/default_smp_affinity",
        "/proc/sys/kernel/ns_last_pid",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/sys/user/max_user_namespaces",
        "/proc/fs",
        "/proc/bus",
        "/proc/self/uid_map",
        "/proc/self/setgroups",
        "/proc/1/oom_score_adj",
        "/sys/kernel/uevent_helper",
    ];
    for path in writable {
        let program = format!("openat -100 @s:{path} 1; write $0 @s:0 1");
        for name in BUILT_IN {
            for user in ["caller", "root"] {
                let answers = under(name).args(["--user", user]).attack(&program);
                let (opened, written) = (answers.of("openat"), answers.of("write"));
                assert!(
                    written.parse::<i64>().is_err(),
                    "{name} as {user}: {path}: {opened} {written}"
                );
            }
        }
    }
    // The net namespace's own settings belong to it, and with a whole /proc that is not read-only they would be written.
    if is_root() {
        outside("openat -100 @s:/proc/sys/kernel/core_pattern 1").number("openat");
    }
}

#[test]
fn cve_2022_0492_no_control_group_can_be_reached() {
    let program = "unshare 0x10020000; unshare 0x2000000; mount @s:x @s:/tmp @s:cgroup 0 @s:memory; mount @s:x @s:/tmp @s:cgroup2 0 0; openat -100 @s:/sys/fs/cgroup 0; openat -100 @s:/tmp/release_agent 1";
    for name in BUILT_IN {
        let answers = attack(name, program);
        answers.refused("mount", &["EPERM"]);
        for answer in answers.all("openat") {
            assert_eq!(answer, "ENOENT", "{name}");
        }
        let said = under(name)
            .shell("grep -c cgroup /proc/self/mounts; cat /proc/self/cgroup 2>/dev/null | grep -v ':/$'")
            .stdout();
        assert_eq!(
            said, "0\n",
            "{name}: no cgroup is mounted, and all paths start at the namespace's root"
        );
    }
}

#[test]
fn devices_of_the_host_are_not_shown() {
    let script = "for f in /dev/* /dev/*/*; do [ -b $f ] && echo block $f; [ -c $f ] && echo $f; done | sort";
    for name in BUILT_IN {
        let said = under(name).shell(script).ok();
        let expected = [
            "full", "null", "ptmx", "pts/ptmx", "random", "tty", "urandom", "zero",
        ]
        .map(|n| format!("/dev/{n}"));
        let shown: Vec<&str> = said.lines().collect();
        assert!(
            shown.iter().all(|line| expected.iter().any(|e| e == line)),
            "{name}: {shown:?}"
        );
        assert!(shown.len() >= 6);
    }
}

#[test]
fn devices_cannot_be_made_or_opened_where_they_lie() {
    // A whiteout (0:0) is the one device that anybody may make; memory and a disk are not.
    let program = "mknod @s:/tmp/w 0o20666 0; mknod @s:/tmp/m 0o20666 0x101; mknodat -100 @s:/tmp/b 0o60666 0x800; mknod @s:/tmp/p 0o10644 0";
    for name in BUILT_IN {
        let answers = under(name).args(["--user", "root"]).attack(program);
        assert_eq!(answers.all("mknod"), ["EPERM", "EPERM", "0"], "{name}");
        answers.refused("mknodat", &["EPERM"]);
    }
    let open = under(&profile("no-seccomp"))
        .args(["--enforce", "landlock=off"])
        .attack(program);
    assert_eq!(open.all("mknod").first().map(String::as_str), Some("0"));
    if !is_root() {
        return skip("root", "only root can make a device node to bind");
    }
    let (work, _) = workspace();
    let node = work.path().join("zero");
    let path = node.display();
    outside(&format!("mknod @s:{path} 0o20666 0x105; chmod @s:{path} 0o666")).number("mknod");
    for name in ["strict", "default", &profile("no-landlock-strict")] {
        under(name)
            .within(work.path())
            .attack("openat -100 @s:zero 0")
            .refused("openat", &["EACCES"]);
    }
    outside(&format!("openat -100 @s:{path} 0")).number("openat");
}

#[test]
fn chroot_is_refused_and_leads_nowhere() {
    // The oldest escape: a second root below the first, with the working directory left outside of it.
    let (_dir, path) = secret();
    let program = format!(
        "mkdir @s:/tmp/r 0o755; chroot @s:/tmp/r; chdir @s:../../../../../../../..; chroot @s:.; \
         openat -100 @s:{} 0; openat -100 @s:/attacker 0",
        path.display()
    );
    for name in BUILT_IN {
        attack(name, &program).refused("chroot", &["EPERM"]);
    }
    // With the capability and without the filter it works, and arrives at the root of the sandbox: there is nothing above it.
    let open = under(&profile("no-seccomp"))
        .args(["--cap-add", "SYS_CHROOT"])
        .attack(&program);
    assert_eq!(open.all("chroot"), ["0", "0"]);
    let opened = open.all("openat");
    assert_eq!(opened.first().map(String::as_str), Some("ENOENT"));
    assert!(
        opened.get(1).is_some_and(|answer| answer.parse::<i64>().is_ok()),
        "{opened:?}"
    );
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

#[test]
fn cve_2021_30465_a_swapped_source_shows_nothing_else() {
    // A directory and a link to a secret change places while mounts are made below them.
    let (hidden, _) = secret();
    let work = Dir::new();
    work.write("real/file", "content");
    symlink(hidden.path(), work.path().join("link")).expect("a link");
    let (real, link) = (work.path().join("real"), work.path().join("link"));
    let mut swapper = super::attacker_command(["as:swapper"]);
    let mut swapper = swapper
        .args([&real, &link])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("the swapper");
    let bind = format!("{}:/v", Dir::new().path().display());
    let mut outcomes = [0; 3];
    for _ in 0..60 {
        // The working directory holds both names; whichever wins, a link is resolved inside, where its target does not exist.
        let out = Sbx::run("strict")
            .args(["-v", &bind])
            .args(["host", "--", "cat", "real/secret", "link/secret"])
            .within(work.path())
            .out();
        assert!(!out.stdout().contains("top secret"), "{}", out.stderr());
        outcomes[usize::from(out.code == Some(125))] += 1;
    }
    drop(swapper.stdin.take());
    let _ = swapper.kill();
    let _ = swapper.wait();
    eprintln!("{outcomes:?}");
}

#[test]
fn a_mount_over_a_link_in_a_volume_lands_inside() {
    // -v A:/v and -v B:/v/sub, where A/sub is a link to a directory of the host.
    let (host, source) = (Dir::new(), Dir::new());
    host.write("kept", "kept");
    source.write("mine", "mine");
    let volume = Dir::new();
    symlink(host.path(), volume.path().join("sub")).expect("a link");
    let first = format!("{}:/v:ro", volume.path().display());
    let second = format!("{}:/v/sub:ro", source.path().display());
    for name in BUILT_IN {
        let out = under(name)
            .args(["-v", &first, "-v", &second])
            .shell("ls /v/sub/");
        assert!(!out.stdout().contains("kept"), "{name}");
        assert!(Path::new(&host.path().join("kept")).exists());
    }
}

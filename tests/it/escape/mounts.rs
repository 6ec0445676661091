//! Mounts, `/proc` and devices: what sbx has mounted stays as it is, and shows nothing of the host that it should not.

use super::files::workspace;
use super::{Attack, BUILT_IN, attack, outside, profile, secret, under};
use crate::util::{Dir, Sbx, is_root, skip};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

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
            .shell(&format!("ls -A /proc/{directory} 2>/dev/null; true"))
            .ok();
        assert_eq!(listed, "", "{directory}");
    }
    let open = outside("openat -100 @s:/proc/interrupts 0; read $0 @z:64 64");
    assert!(open.number("read") > 0);
}

/// A file for which a mount answers; the others are of one process.
fn name_of_a_setting(path: &str) -> bool {
    ["/proc/sys/", "/proc/sysrq", "/proc/irq/", "/sys/"]
        .iter()
        .any(|start| path.starts_with(start))
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
        if name_of_a_setting(path) {
            // Not the owner, who is somebody else, but the mount: ENOENT where it is not shown, EROFS where it is.
            let program = format!("chmod @s:{path} 0o666");
            let strict = under("strict").args(["--user", "root"]).attack(&program);
            assert_eq!(strict.of("chmod"), "ENOENT", "{path}");
            let default = under("default").args(["--user", "root"]).attack(&program);
            let exists = Path::new(path).exists();
            assert_eq!(
                default.of("chmod"),
                if exists { "EROFS" } else { "ENOENT" },
                "{path}"
            );
        }
    }
    // What lies in the same mount and is nobody's setting is written: the mount of /proc itself is not read-only.
    let own = attack(
        "default",
        "openat -100 @s:/proc/self/oom_score_adj 1; write $0 @s:9 1",
    );
    assert_eq!(own.number("write"), 1);
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
    // Filter, count of namespaces and Landlock are off: it is mounted, and what lies in it opens.
    let open = under(&profile("nested-namespaces"))
        .args(["--enforce", "landlock=off"])
        .attack("unshare 0x12020000; mount @s:x @s:/tmp @s:cgroup2 0 0; openat -100 @s:/tmp/cgroup.procs 0");
    for step in ["unshare", "mount", "openat"] {
        open.number(step);
    }
    let host = std::fs::read_to_string("/proc/self/mounts").expect("mounts");
    if !host.contains("cgroup") {
        skip("cgroup", "no cgroup is mounted on this host either");
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
    let host = super::finish(std::process::Command::new("sh").args(["-c", script])).ok();
    assert!(host.lines().count() > 8, "the host has more: {host}");
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
fn cve_2021_30465_a_swapped_source_shows_nothing_else() {
    // The source of a mount and a link to a directory with a secret change places while sbx looks, opens and mounts.
    let (hidden, _) = secret();
    let work = Dir::new();
    work.write("real/file", "content");
    symlink(hidden.path(), work.path().join("link")).expect("a link");
    // From anywhere else the link is the caller's own, and is followed.
    let bind = format!("{}:/v", work.path().join("link").display());
    let followed = Sbx::run("strict").args(["-v", &bind, "host", "--", "cat", "/v/secret"]);
    assert_eq!(followed.out().ok(), "top secret");
    let mut swapper = super::attacker_command(["as:swapper"]);
    let mut swapper = swapper
        .args(["real", "link"].map(|name| work.path().join(name)))
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("the swapper");
    let (mut shown, mut refused) = (0, 0);
    // As often as it takes to meet both, and at least so often.
    let mut runs = 0;
    while runs < 60 || (runs < 1000 && (shown == 0 || refused == 0)) {
        runs += 1;
        let out = Sbx::run("strict")
            .args(["-v", "./real:/v", "host", "--", "cat", "/v/file", "/v/secret"])
            .within(work.path())
            .out();
        assert!(!out.stdout().contains("top secret"), "{}", out.stderr());
        shown += usize::from(out.stdout() == "content");
        refused += usize::from(out.code == Some(125));
    }
    drop(swapper.stdin.take());
    let _ = swapper.kill();
    let _ = swapper.wait();
    assert_eq!(shown + refused, runs, "shown, or refused with words");
    assert!(shown > 0 && refused > 0, "both were met: {shown} and {refused}");
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
        // Shown where it was asked for, or refused with words.
        assert!(
            out.code == Some(125) || out.code == Some(0) && out.stdout() == "mine\n",
            "{name}: {:?} {}",
            out.code,
            out.stdout()
        );
        assert!(Path::new(&host.path().join("kept")).exists());
    }
    assert!(
        volume.path().join("sub/kept").exists(),
        "outside the link leads there"
    );
    let plain = Dir::new();
    std::fs::create_dir(plain.path().join("sub")).expect("mkdir");
    let first = format!("{}:/v:ro", plain.path().display());
    let out = under("strict")
        .args(["-v", &first, "-v", &second])
        .shell("ls /v/sub/");
    assert_eq!(out.ok(), "mine", "a directory is mounted over");
}

#[test]
fn what_is_masked_stays_hidden_in_what_a_flag_mounts() {
    let (work, file) = workspace();
    let key = work.write("keys/key", "content");
    for path in [&work.path().join("keys"), &key] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o777)).expect("chmod");
    }
    let mount = format!("{}:/data", work.path().display());
    let own = Dir::new();
    let look = "openat -100 @s:/data/file 0; read $0 @z:64 64; openat -100 @s:/data/keys/key 0; openat -100 @s:/proc/self/root/data/keys/key 0";
    let uncover = "unlink @s:/data/file; rename @s:/data/file @s:/data/moved; umount2 @s:/data/file 2; umount2 @s:/data/keys 2; \
                   rename @s:/data/keys @s:/data/moved";
    for base in BUILT_IN {
        let masks = "masked = [\"/data/file\", \"/data/keys\"]";
        let masked = own.write(
            "masked.toml",
            format!("extends = \"{base}\"\n[filesystem]\n{masks}\n"),
        );
        let masked = under(&masked.display().to_string()).args(["-v", &mount]);
        let answers = masked.attack(&format!("{look}; {uncover}"));
        assert_eq!(answers.number("read"), 0, "{base}");
        assert_eq!(answers.all("openat")[1..], ["ENOENT", "ENOENT"], "{base}");
        for (step, times) in [("unlink", 1), ("rename", 2), ("umount2", 2)] {
            let answers = answers.all(step);
            assert_eq!(answers.len(), times, "{base}: {step}");
            let refused = |answer: &String| ["EBUSY", "EPERM"].contains(&answer.as_str());
            assert!(answers.iter().all(refused), "{base}: {step} {answers:?}");
        }
        // Shown without.
        let answers = under(base).args(["-v", &mount]).attack(look);
        assert_eq!(answers.number("read"), 7, "{base}");
        assert!(
            answers.all("openat").iter().all(|fd| fd.parse::<u32>().is_ok()),
            "{base}"
        );
    }
    for file in [file, key] {
        assert_eq!(std::fs::read_to_string(file).expect("it is there"), "content");
    }
}

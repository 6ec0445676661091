//! Namespaces and mounts: the doors behind which most of the published exploits of the kernel lie.

use super::{Answers, Attack, BUILT_IN, attack, outside, profile, under};
use crate::util::skip;

#[test]
fn nested_user_namespaces_are_refused_by_the_filter_and_by_the_count() {
    // CLONE_NEWUSER by each call that takes it.
    let doors = [
        ("unshare", "unshare 0x10000000", "EPERM"),
        ("clone", "clone 0x10000011", "EPERM"),
        ("clone3", "clone3 @w:0x10000000,0,0,0,17,0,0,0 64", "ENOSYS"),
    ];
    for (step, program, answer) in doors {
        for name in BUILT_IN {
            attack(name, program).refused(step, &[answer]);
        }
        // The second lock: no user namespace may exist below this one.
        for name in ["no-seccomp", "no-seccomp-default"] {
            attack(&profile(name), program).refused(step, &["ENOSPC"]);
        }
        attack(&profile("nested-namespaces"), program).number(step);
    }
}

#[test]
fn the_count_of_namespaces_cannot_be_raised_again() {
    let program = "openat -100 @s:/proc/sys/user/max_user_namespaces 1; write $0 @s:9 1; \
                   chmod @s:/proc/sys/user/max_user_namespaces 0o666";
    for name in ["strict", &profile("no-seccomp"), &profile("capabilities")] {
        let answers = attack(name, program);
        assert_eq!(
            (answers.of("openat"), answers.of("chmod")),
            ("ENOENT".into(), "ENOENT".into())
        );
    }
    // Where it is shown the mount says no, and not only its owner.
    for user in ["caller", "root"] {
        let answers = under("default").args(["--user", user]).attack(program);
        answers.refused("openat", &["EROFS", "EACCES"]);
        assert_eq!(answers.of("chmod"), "EROFS", "{user}");
    }
    // Outside, in a user namespace of one's own, it is one's own to write.
    outside(&format!("unshare 0x10000000; {program}")).number("openat");
}

#[test]
fn other_namespaces_are_refused() {
    // mount, cgroup, uts, ipc, pid, net, time.
    for flag in [
        "0x20000",
        "0x2000000",
        "0x4000000",
        "0x8000000",
        "0x20000000",
        "0x40000000",
        "0x80",
    ] {
        for name in BUILT_IN {
            attack(name, &format!("unshare {flag}")).refused("unshare", &["EPERM"]);
        }
    }
    attack(&profile("nested-namespaces"), "unshare 0x7e020000").number("unshare");
}

#[test]
fn namespaces_cannot_be_entered() {
    // Its own, which whoever holds the capabilities may enter.
    let program = "unshare 0x14000000; openat -100 @s:/proc/self/ns/uts 0; setns $1 0";
    door_with_nested(program, "setns");
    let pidfd = "unshare 0x14000000; getpid; pidfd_open $1 0; setns $2 0x4000000";
    door_with_nested(pidfd, "setns");
}

#[track_caller]
fn door_with_nested(program: &str, step: &str) {
    for name in BUILT_IN {
        attack(name, program).refused(step, &["EPERM", "ENOSYS"]);
    }
    attack(&profile("nested-namespaces"), program).number(step);
}

#[test]
fn nothing_can_be_mounted_with_the_old_calls() {
    let program = "unshare 0x10020000; mount @s:x @s:/tmp @s:tmpfs 0 0; umount2 @s:/tmp 2; chroot @s:/tmp";
    for step in ["mount", "umount2", "chroot"] {
        for name in BUILT_IN {
            attack(name, program).refused(step, &["EPERM"]);
        }
        nested_without_landlock(program).number(step);
    }
    // Landlock alone refuses mounts, whatever capabilities there are.
    attack(&profile("nested-namespaces"), program).refused("mount", &["EPERM"]);
    for name in BUILT_IN {
        attack(name, "pivot_root @s:/tmp @s:/tmp").refused("pivot_root", &["EPERM"]);
    }
    let own = "unshare 0x10020000; mount @s:x @s:/tmp @s:tmpfs 0 0; chdir @s:/tmp; pivot_root @s:. @s:.";
    nested_without_landlock(own).number("pivot_root");
}

/// Filter, count of namespaces and Landlock are off: what is left are empty capability sets, and a namespace of one's own refills them.
fn nested_without_landlock(program: &str) -> Answers {
    under(&profile("nested-namespaces"))
        .args(["--enforce", "landlock=off"])
        .attack(program)
}

#[test]
fn cve_2021_41133_the_new_mount_calls_are_refused() {
    let calls = [
        "fsopen",
        "fsconfig",
        "fsmount",
        "open_tree",
        "move_mount",
        "mount_setattr",
        "fspick",
    ];
    let program = "unshare 0x10020000; fsopen @s:tmpfs 0; fsconfig $1 6 0 0 0; fsmount $1 0 0; \
                   open_tree -100 @s:/tmp 0x8001; move_mount $3 @s: -100 @s:/tmp 4; \
                   mount_setattr -100 @s:/tmp 0 @w:8,0,0,0 32; fspick -100 @s:/tmp 0";
    for step in calls {
        for name in BUILT_IN {
            attack(name, program).refused(step, &["ENOSYS"]);
        }
    }
    let answers = nested_without_landlock(program);
    for step in calls {
        answers.number(step);
    }
    // Newer ones, which not every kernel has.
    let newer = "statmount @w:24,0,1,0 @z:512 512 0; listmount @w:24,-1,0 @z:512 4 0; \
                 open_tree_attr -100 @s:/tmp 1 @w:0,0,0,0 32";
    let open = attack(&profile("no-seccomp"), newer);
    for step in ["statmount", "listmount", "open_tree_attr"] {
        for name in BUILT_IN {
            attack(name, newer).refused(step, &["ENOSYS"]);
        }
        if open.of(step) == "ENOSYS" {
            skip(
                "kernel-mount-calls",
                "this kernel is older than one of these calls",
            );
        }
    }
}

#[test]
fn no_capability_is_held_and_none_can_be_had() {
    let script = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status | tr -s '\\t\\n' '  '";
    let none = "0000000000000000";
    for name in BUILT_IN {
        let said = under(name).shell(script).ok();
        let expected = format!(
            "CapInh: {none} CapPrm: {none} CapEff: {none} CapBnd: {none} CapAmb: {none} NoNewPrivs: 1 Seccomp: 2"
        );
        assert_eq!(said.trim(), expected, "{name}");
        // uid 0 inside is no more than a number.
        let root = under(name).args(["--user", "root"]).shell(script).ok();
        assert_eq!(root.trim(), expected, "{name} as root");
    }
    let kept = under(&profile("capabilities")).shell(script).ok();
    assert!(!kept.contains(&format!("CapEff: {none}")), "{kept}");
    // CVE-2022-24769: nothing beyond what is kept can be inherited, or had by executing a file.
    let kept_sets: Vec<&str> = kept.split(' ').filter(|word| word.len() == none.len()).collect();
    assert_eq!(
        kept_sets.first(),
        kept_sets.get(2),
        "inheritable and effective: {kept}"
    );
    assert_eq!(
        kept_sets.get(3),
        kept_sets.get(2),
        "bounding and effective: {kept}"
    );
}

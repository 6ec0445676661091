//! Doors into the kernel: each is tried by really making the call.

use super::{Answers, Attack, BUILT_IN, attack, profile, under};
use crate::util::skip;

/// The filter answers `closed` in both built-in profiles, and without the filter the kernel answers something else, so that it was
/// the filter that stood in the way.
#[track_caller]
fn door(program: &str, step: &str, closed: &[&str]) {
    for name in BUILT_IN {
        attack(name, program).refused(step, closed);
    }
    open_without_filter("no-seccomp", program, step, closed);
}

/// Like [`door`], for what only strict refuses: in default the kernel itself answers.
#[track_caller]
fn strict_door(program: &str, step: &str, closed: &[&str]) {
    attack("strict", program).refused(step, closed);
    open_without_filter("no-seccomp", program, step, closed);
    let answer = attack("default", program).of(step);
    assert!(!closed.contains(&answer.as_str()), "default: {step}={answer}");
}

#[track_caller]
fn open_without_filter(name: &str, program: &str, step: &str, closed: &[&str]) -> Answers {
    let answers = attack(&profile(name), program);
    let answer = answers.of(step);
    assert!(
        !closed.contains(&answer.as_str()),
        "{step}={answer} without the filter too: the test shows nothing"
    );
    answers
}

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
    let program = "openat -100 @s:/proc/sys/user/max_user_namespaces 1; write $0 @s:9 1";
    for name in [
        "strict",
        "default",
        &profile("no-seccomp"),
        &profile("capabilities"),
    ] {
        attack(name, program).refused("openat", &["ENOENT", "EROFS", "EACCES"]);
    }
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
}

/// Filter, count of namespaces and Landlock are off: what is left are empty capability sets, and a namespace of one's own refills them.
fn nested_without_landlock(program: &str) -> Answers {
    under(&profile("nested-namespaces"))
        .args(["--enforce", "landlock=off"])
        .attack(program)
}

#[test]
fn cve_2021_41133_the_new_mount_calls_are_refused() {
    let program = "unshare 0x10020000; fsopen @s:tmpfs 0; fsconfig $1 6 0 0 0; fsmount $1 0 0; \
                   open_tree -100 @s:/tmp 0x8001; move_mount $3 @s: -100 @s:/tmp 4; \
                   mount_setattr -100 @s:/tmp 0 @w:8,0,0,0 32; fspick -100 @s:/tmp 0; \
                   statmount @w:24,0,1,0 @z:512 512 0; listmount @w:24,-1,0 @z:512 4 0";
    for step in [
        "fsopen",
        "fsconfig",
        "fsmount",
        "open_tree",
        "move_mount",
        "mount_setattr",
        "fspick",
    ] {
        for name in BUILT_IN {
            attack(name, program).refused(step, &["ENOSYS"]);
        }
    }
    for step in ["statmount", "listmount"] {
        for name in BUILT_IN {
            attack(name, program).refused(step, &["ENOSYS"]);
        }
    }
    let answers = nested_without_landlock(program);
    for step in [
        "fsopen",
        "fsconfig",
        "fsmount",
        "open_tree",
        "move_mount",
        "mount_setattr",
        "fspick",
    ] {
        answers.number(step);
    }
    for name in BUILT_IN {
        attack(name, "open_tree_attr -100 @s:/tmp 1 @w:0,0,0,0 32").refused("open_tree_attr", &["ENOSYS"]);
    }
}

#[test]
fn bpf_is_refused() {
    // An attribute larger than a page: the kernel says so before it asks for any right.
    door("bpf 0 @z:5000 5000", "bpf", &["EPERM", "ENOSYS"]);
    // A map.
    for name in BUILT_IN {
        attack(name, "bpf 0 @d:2,4,8,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0 72").refused("bpf", &["EPERM", "ENOSYS"]);
    }
}

#[test]
fn io_uring_is_refused() {
    for name in BUILT_IN {
        let answers = attack(
            name,
            "io_uring_setup 1 @z:120; io_uring_enter 3 0 0 0 0; io_uring_register 3 0 0 0",
        );
        for step in ["io_uring_setup", "io_uring_enter", "io_uring_register"] {
            answers.refused(step, &["ENOSYS"]);
        }
    }
    let open = attack(&profile("no-seccomp"), "io_uring_setup 1 @z:120").of("io_uring_setup");
    match open.as_str() {
        "ENOSYS" => skip("kernel-io-uring", "this kernel is built without io_uring"),
        "EPERM" => skip("kernel-io-uring", "kernel.io_uring_disabled is set"),
        _ => assert!(open.parse::<i64>().is_ok(), "{open}"),
    }
}

#[test]
fn perf_events_are_refused() {
    door(
        "perf_event_open @z:120 0 -1 -1 0x100",
        "perf_event_open",
        &["EPERM", "ENOSYS"],
    );
}

#[test]
fn userfaultfd_is_refused() {
    door("userfaultfd 1", "userfaultfd", &["ENOSYS", "EPERM"]);
}

#[test]
fn ptrace_is_refused() {
    door("ptrace 0 0 0 0", "ptrace", &["EPERM"]);
}

#[test]
fn memory_of_other_processes_is_refused() {
    door(
        "getpid; process_vm_readv $0 0 0 0 0 0",
        "process_vm_readv",
        &["EPERM"],
    );
    door(
        "getpid; process_vm_writev $0 0 0 0 0 0",
        "process_vm_writev",
        &["EPERM"],
    );
    door("getpid; kcmp $0 $0 0 0 0", "kcmp", &["EPERM"]);
}

#[test]
fn descriptors_of_other_processes_are_refused() {
    door(
        "getpid; pidfd_open $0 0; pidfd_getfd $1 0 0",
        "pidfd_getfd",
        &["EPERM"],
    );
}

#[test]
fn file_handles_are_refused() {
    let program = "name_to_handle_at -100 @s:/usr @d:128,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0 @z:8 0";
    for name in BUILT_IN {
        attack(name, program).refused("name_to_handle_at", &["EPERM", "ENOSYS"]);
        attack(name, "open_by_handle_at -100 @d:8,1,2,0 0")
            .refused("open_by_handle_at", &["EPERM", "ENOSYS"]);
    }
    let open = attack(&profile("no-seccomp"), program).of("name_to_handle_at");
    assert!(open != "EPERM" && open != "ENOSYS", "{open}");
}

#[test]
fn keys_are_refused() {
    let program = "add_key @s:user @s:sbx-test @s:x 1 -3; keyctl 0 -3 1; request_key @s:user @s:sbx-test 0 0";
    for step in ["add_key", "keyctl", "request_key"] {
        door(program, step, &["ENOSYS", "EPERM"]);
    }
}

#[test]
fn socket_families_are_a_short_list() {
    // unix, inet, inet6; default has route netlink as well.
    let program: String = (0..64)
        .map(|family| format!("socket {family} 1 0; socket {family} 3 0;"))
        .collect();
    let open = |name: &str| {
        let answers = attack(name, &program).all("socket");
        let families = answers.chunks(2).enumerate();
        families
            .filter(|(_, answers)| answers.iter().any(|a| a != "EAFNOSUPPORT"))
            .map(|(family, _)| family)
            .collect::<Vec<_>>()
    };
    assert_eq!(open("strict"), [1, 2, 10]);
    assert_eq!(open("default"), [1, 2, 10, 16]);
    let all = open(&profile("no-seccomp"));
    assert!(
        all.contains(&17),
        "packet sockets reach the kernel without the filter: {all:?}"
    );
}

#[test]
fn af_alg_is_refused() {
    for name in BUILT_IN {
        attack(name, "socket 38 5 0").refused("socket", &["EAFNOSUPPORT"]);
    }
    if attack(&profile("no-seccomp"), "socket 38 5 0").of("socket") == "EAFNOSUPPORT" {
        skip("kernel-af-alg", "this kernel has no AF_ALG, filter or not");
    }
}

#[test]
fn vsock_is_refused() {
    for name in BUILT_IN {
        attack(name, "socket 40 1 0").refused("socket", &["EAFNOSUPPORT"]);
    }
    if attack(&profile("no-seccomp"), "socket 40 1 0").of("socket") == "EAFNOSUPPORT" {
        skip("kernel-vsock", "this kernel has no AF_VSOCK, filter or not");
    }
}

#[test]
fn raw_sockets_and_odd_protocols_are_refused() {
    let program = "socket 2 3 255; socket 10 3 58; socket 17 3 768; socket 2 2 1; socket 2 1 132; socket 2 1 262; socket 16 3 12";
    for name in BUILT_IN {
        let answers = attack(name, program).all("socket");
        assert_eq!(answers, ["EAFNOSUPPORT"; 7], "{name}");
    }
    let open = under(&profile("no-seccomp"))
        .args(["--cap-add", "NET_RAW"])
        .attack(program)
        .all("socket");
    for (answer, what) in open.iter().zip(["raw", "raw IPv6", "packet"]) {
        assert!(answer.parse::<i64>().is_ok(), "{what}: {answer}");
    }
}

#[test]
fn tls_in_the_kernel_is_refused() {
    // TCP_ULP, and the options that follow it. The upper half of an argument does not hide it.
    for (level, option) in [("6", "31"), ("6", "0x100000000000001f"), ("282", "1")] {
        door(
            &format!("socket 2 1 0; setsockopt $0 {level} {option} @s:tls 4"),
            "setsockopt",
            &["EPERM"],
        );
    }
}

#[test]
fn packet_filter_tables_are_refused() {
    // IPT_SO_SET_REPLACE asks for CAP_NET_ADMIN, and says EPERM as well: with that capability it gets further.
    let program = "socket 2 1 0; setsockopt $0 0 64 @z:8 8";
    for name in BUILT_IN {
        under(name)
            .args(["--cap-add", "NET_ADMIN"])
            .attack(program)
            .refused("setsockopt", &["EPERM"]);
    }
    let open = under(&profile("no-seccomp"))
        .args(["--cap-add", "NET_ADMIN"])
        .attack(program);
    assert_ne!(open.of("setsockopt"), "EPERM");
}

#[test]
fn out_of_band_data_is_refused() {
    let program = "socketpair 1 1 0 @z:8; sendto 3 @s:x 1 1 0 0; recvfrom 4 @z:8 1 1 0 0; \
                   sendmsg 3 @w:0,0,0,0,0,0,0 1; recvmsg 4 @w:0,0,0,0,0,0,0 1; \
                   sendmmsg 3 @w:0,0,0,0,0,0,0,0 1 1; recvmmsg 4 @w:0,0,0,0,0,0,0,0 1 1 0";
    let answers = attack("strict", program);
    for step in ["sendto", "recvfrom", "sendmsg", "recvmsg", "sendmmsg", "recvmmsg"] {
        answers.refused(step, &["EOPNOTSUPP"]);
    }
    // Default allows it: some programs want it.
    assert_eq!(attack("default", program).number("sendto"), 1);
}

#[test]
fn the_entry_of_i386_kills() {
    // Number 20 is getpid there and writev here; a table for the wrong entry would let it through.
    for name in BUILT_IN {
        assert_eq!(
            attack(name, "int80 20 0 0 0").0.code,
            Some(128 + libc::SIGSYS),
            "{name}"
        );
    }
    let open = attack(&profile("no-seccomp"), "int80 20 0 0 0");
    if open.0.code == Some(128 + libc::SIGSEGV) {
        skip("kernel-ia32", "this kernel has no 32-bit entry");
    } else {
        assert_eq!(open.number("int80"), 2);
    }
}

#[test]
fn numbers_of_x32_are_refused() {
    // 0x40000000 + getpid, and one that exists there alone (512: rt_sigaction).
    for number in ["0x40000027", "0x40000200"] {
        for name in BUILT_IN {
            let out = attack(name, number);
            let killed = out.0.code == Some(128 + libc::SIGSYS);
            assert!(
                killed || out.of(number) == "ENOSYS" || out.of(number) == "EPERM",
                "{name}"
            );
        }
    }
    if attack(&profile("no-seccomp"), "0x40000027").of("0x40000027") == "ENOSYS" {
        skip("kernel-x32", "this kernel has no x32 entry, filter or not");
    }
}

#[test]
fn numbers_that_nobody_knows_look_like_an_older_kernel() {
    for name in BUILT_IN {
        for number in ["600", "9999"] {
            attack(name, number).refused(number, &["ENOSYS"]);
        }
    }
}

#[test]
fn clone3_looks_like_an_older_kernel() {
    door("clone3 @w:0,0,0,0,17,0,0,0 64", "clone3", &["ENOSYS"]);
}

#[test]
fn personalities_that_weaken_are_refused() {
    // ADDR_NO_RANDOMIZE, READ_IMPLIES_EXEC, MMAP_PAGE_ZERO.
    for flag in ["0x40000", "0x400000", "0x100000"] {
        door(&format!("personality {flag}"), "personality", &["EPERM"]);
    }
}

#[test]
fn what_proc_says_of_a_process_cannot_be_forged() {
    // PR_SET_MM with PR_SET_MM_MAP_SIZE, which asks for no right; PR_SET_PTRACER.
    strict_door("prctl 35 15 @z:8 0 0", "prctl", &["EPERM"]);
    attack("strict", "prctl 0x59616d61 1 0 0 0").refused("prctl", &["EPERM"]);
}

#[test]
fn ioctls_are_a_short_list_in_strict() {
    // FS_IOC_GETFLAGS on a file, TIOCSETD and TIOCGPTN on a terminal.
    let program = "openat -100 @s:/tmp/f 0o102 0o600; ioctl $0 0x80086601 @z:8";
    strict_door(program, "ioctl", &["ENOTTY", "EPERM"]);
    let terminal = "ioctl 0 0x5423 @z:8";
    under("strict")
        .args(["-t"])
        .attack(terminal)
        .refused("ioctl", &["ENOTTY", "EPERM"]);
    let open = under("default").args(["-t"]).attack(terminal).of("ioctl");
    assert_eq!(open, "0");
}

#[test]
fn memory_tricks_are_refused() {
    let doors = [
        ("memfd_secret", "memfd_secret 0x7fff"),
        ("remap_file_pages", "remap_file_pages 1 0 0 0 0"),
        ("process_madvise", "process_madvise -1 0 0 0 0x7fff"),
        ("process_mrelease", "process_mrelease -1 0x7fff"),
        ("vmsplice", "vmsplice -1 0 0 0"),
    ];
    for (step, program) in doors {
        attack("strict", program).refused(step, &["ENOSYS"]);
        attack("default", program).refused(step, &["ENOSYS"]);
    }
    let reached = doors
        .iter()
        .filter(|(step, program)| attack(&profile("no-seccomp"), program).of(step) != "ENOSYS");
    assert!(reached.count() >= 3);
}

#[test]
fn queues_shared_memory_and_old_aio_are_closed_in_strict() {
    for (step, program) in [
        ("mq_open", "mq_open @s:none 0 0 0"),
        ("shmget", "shmget 0 4096 0o1600"),
        ("semget", "semget 0 1 0o1600"),
        ("msgget", "msgget 0 0o1600"),
        ("io_setup", "io_setup 1 @z:8"),
    ] {
        strict_door(program, step, &["ENOSYS"]);
    }
}

#[test]
fn administration_of_the_machine_is_refused() {
    // Each with arguments to which the kernel, if it were asked, would not say EPERM.
    for (step, program) in [
        ("modify_ldt", "modify_ldt 0 0 0"),
        ("iopl", "iopl 7"),
        ("ioperm", "ioperm 0x10000 1 1"),
        ("adjtimex", "adjtimex @z:208"),
        ("clock_settime", "clock_settime 1 @w:0,0"),
        ("clock_adjtime", "clock_adjtime 0 @z:208"),
        ("sysfs", "sysfs 3 0 0"),
        ("mbind", "mbind 1 0 0 0 0 0x7fff"),
        ("get_mempolicy", "get_mempolicy 0 0 0 0 0"),
        ("move_pages", "move_pages 0 0 0 0 0 0"),
        ("fanotify_mark", "fanotify_mark -1 0x7fff 0 -1 0"),
        ("swapon", "swapon 0 -1"),
        ("quotactl", "quotactl -1 0 0 0"),
        ("lookup_dcookie", "lookup_dcookie 0 0 0"),
        ("kexec_load", "kexec_load 0 0 0 0x7fff"),
        ("init_module", "init_module 0 0 0"),
        ("finit_module", "finit_module -1 0 0x7fff"),
        ("delete_module", "delete_module 0 0"),
        ("reboot", "reboot 0 0 0 0"),
        ("acct", "acct 0"),
        ("syslog", "syslog 3 @z:16 16"),
        ("settimeofday", "settimeofday 0 @d:0,0"),
        ("sethostname", "sethostname @s:x 1"),
        ("vhangup", "vhangup"),
        ("quotactl_fd", "quotactl_fd -1 0 0 0"),
    ] {
        for name in BUILT_IN {
            attack(name, program).refused(step, &["EPERM", "ENOSYS"]);
        }
    }
    for (step, program) in [
        ("modify_ldt", "modify_ldt 0 0 0"),
        ("adjtimex", "adjtimex @z:208"),
        ("get_mempolicy", "get_mempolicy 0 0 0 0 0"),
    ] {
        open_without_filter("no-seccomp", program, step, &["EPERM", "ENOSYS"]);
    }
}

#[test]
fn the_filter_cannot_be_taken_off() {
    // A second filter that allows everything is only added to the first; strict mode and reading the filter back give nothing.
    let program = "seccomp 1 0 @w:1,0; unshare 0x10000000; ptrace 0x420c 0 0 0";
    for name in BUILT_IN {
        attack(name, program).refused("unshare", &["EPERM"]);
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

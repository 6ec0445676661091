//! Doors into the kernel: each is tried by really making the call.

use super::{ALL, Answers, Attack, BUILT_IN, attack, outside, profile, under};
use crate::util::skip;

/// The filter answers `closed` in both built-in profiles, and without the filter the kernel answers something else, so that it was
/// the filter that stood in the way.
#[track_caller]
pub(super) fn door(program: &str, step: &str, closed: &[&str]) {
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
fn bpf_is_refused() {
    // An attribute larger than a page: the kernel says so before it asks for any right, unless it gives bpf to nobody
    // (kernel.unprivileged_bpf_disabled, which is Debian's default): then it is closed with and without the filter.
    let program = "bpf 0 @z:5000 5000";
    if attack(&profile("no-seccomp"), program).of("bpf") != "EPERM" {
        door(program, "bpf", &["EPERM", "ENOSYS"]);
    }
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
    // The kernel would say the same: that it is the filter is for `seccomp::oracle` to show.
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
    strict_door("prctl 0x59616d61 1 0 0 0", "prctl", &["EPERM"]);
}

#[test]
fn ioctls_are_a_short_list_in_strict() {
    // FS_IOC_GETFLAGS on a file.
    let program = "openat -100 @s:/tmp/f 0o102 0o600; ioctl $0 0x80086601 @z:8";
    strict_door(program, "ioctl", &["ENOTTY", "EPERM"]);
}

#[test]
fn line_disciplines_are_not_set_on_a_terminal() {
    // TIOCSETD: N_TTY, which is there already.
    let attack = |name: &str| under(name).args(["-t"]).attack("ioctl 0 0x5423 @z:8");
    for name in ALL {
        attack(name).refused("ioctl", &["EPERM"]);
    }
    assert_eq!(attack(&profile("no-seccomp-default")).of("ioctl"), "0");
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
        for name in BUILT_IN {
            attack(name, program).refused(step, &["ENOSYS"]);
        }
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
    // What the kernel, asked without any right, would look at: its answer is another one.
    for program in [
        "modify_ldt 0 0 0",
        "adjtimex @z:208",
        "clock_settime 1 @w:0,0",
        "clock_adjtime 0 @z:208",
        "sysfs 3 0 0",
        "mbind 1 0 0 0 0 0x7fff",
        "get_mempolicy 0 0 0 0 0",
        "move_pages 0 0 0 0 0 0",
        "fanotify_mark -1 0x7fff 0 -1 0",
        "swapon 0 -1",
        "quotactl -1 0 0 0",
        "quotactl_fd -1 0 0 0",
    ] {
        let step = program.split(' ').next().expect("a step");
        for name in BUILT_IN {
            attack(name, program).refused(step, &["EPERM", "ENOSYS"]);
        }
        let answer = attack(&profile("no-seccomp"), program).of(step);
        match answer.as_str() {
            // The host has swap and quotas, or not; Debian has no kernel without the others.
            "ENOSYS" if ["sysfs", "swapon", "quotactl", "quotactl_fd"].contains(&step) => {
                skip(
                    "kernel-administration",
                    "this kernel is built without one of the calls",
                );
            }
            _ => assert!(answer != "EPERM" && answer != "ENOSYS", "{step}={answer}"),
        }
    }
}

/// Rights that count on the host alone, and calls that not every kernel has: the kernel refuses them as well, with the same word, so
/// that no attack tells who did it. That the filter does is for `seccomp::oracle` to show.
#[test]
fn administration_that_asks_for_a_right_first_is_refused() {
    let calls = [
        "iopl 7",
        "ioperm 0x10000 1 1",
        "lookup_dcookie 0 0 0",
        "kexec_load 0 0 0 0x7fff",
        "init_module 0 0 0",
        "finit_module -1 0 0x7fff",
        "delete_module 0 0",
        "reboot 0 0 0 0",
        "acct 0",
        "syslog 3 @z:16 16",
        "settimeofday 0 @d:0,0",
        "sethostname @s:x 1",
        "vhangup",
        "open_by_handle_at -100 @d:8,1,2,0 0",
    ];
    for program in calls {
        let step = program.split(' ').next().expect("a step");
        for name in BUILT_IN {
            for user in ["caller", "root"] {
                let answers = under(name).args(["--user", user]).attack(program);
                answers.refused(step, &["EPERM", "ENOSYS"]);
            }
        }
    }
    if crate::util::is_root() {
        // With the rights of the host it is the wrong magic number that reboot(2) complains of, and the log is read.
        outside("reboot 0 0 0 0").refused("reboot", &["EINVAL"]);
        outside("syslog 3 @z:16 16").number("syslog");
        let handle = outside("open_by_handle_at -100 @d:8,1,2,0 0").of("open_by_handle_at");
        assert_ne!(handle, "EPERM");
    }
}

#[test]
fn the_filter_cannot_be_taken_off() {
    // A second filter that allows everything is taken, and is only added to the first; reading the filter back gives nothing.
    let program = "allow-all; unshare 0x10000000; ptrace 0x420c 0 0 0";
    for name in BUILT_IN {
        let answers = attack(name, program);
        assert_eq!(answers.of("allow-all"), "0", "{name}");
        answers.refused("unshare", &["EPERM"]);
        answers.refused("ptrace", &["EPERM"]);
    }
    let open = attack(&profile("nested-namespaces"), program);
    assert_eq!(
        (open.of("allow-all"), open.of("unshare")),
        ("0".into(), "0".into())
    );
}

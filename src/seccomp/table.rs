//! The system calls of `x86_64` by number and name, as the kernel's `syscall_64.tbl` lists them up to Linux 7.0.
//!
//! Plain numbers: the tables of libraries end earlier (seccompiler's at `mseal`), and a name that is missing there could be
//! neither allowed nor refused.

#[cfg(not(target_arch = "x86_64"))]
compile_error!(
    "seccomp::table knows the system calls of x86_64 only: add the table of this architecture first"
);

/// `AUDIT_ARCH_X86_64`: what `seccomp_data.arch` holds for a call through the 64-bit entry.
pub const ARCH: u32 = 0xc000_003e;

/// Bit 30 of the number marks a call of the x32 ABI, which comes through the same entry and under the same [`ARCH`].
pub const X32: u32 = 0x4000_0000;

/// The highest number of the table.
pub const LAST: u32 = SECOND + SECOND_NAMES.len() as u32 - 1;

/// Where the second run of numbers starts; 337 to 423 were never given out.
const SECOND: u32 = 424;

#[rustfmt::skip]
const FIRST_NAMES: [&str; 337] = [
    /*   0 */ "read", "write", "open", "close", "stat",
    /*   5 */ "fstat", "lstat", "poll", "lseek", "mmap",
    /*  10 */ "mprotect", "munmap", "brk", "rt_sigaction", "rt_sigprocmask",
    /*  15 */ "rt_sigreturn", "ioctl", "pread64", "pwrite64", "readv",
    /*  20 */ "writev", "access", "pipe", "select", "sched_yield",
    /*  25 */ "mremap", "msync", "mincore", "madvise", "shmget",
    /*  30 */ "shmat", "shmctl", "dup", "dup2", "pause",
    /*  35 */ "nanosleep", "getitimer", "alarm", "setitimer", "getpid",
    /*  40 */ "sendfile", "socket", "connect", "accept", "sendto",
    /*  45 */ "recvfrom", "sendmsg", "recvmsg", "shutdown", "bind",
    /*  50 */ "listen", "getsockname", "getpeername", "socketpair", "setsockopt",
    /*  55 */ "getsockopt", "clone", "fork", "vfork", "execve",
    /*  60 */ "exit", "wait4", "kill", "uname", "semget",
    /*  65 */ "semop", "semctl", "shmdt", "msgget", "msgsnd",
    /*  70 */ "msgrcv", "msgctl", "fcntl", "flock", "fsync",
    /*  75 */ "fdatasync", "truncate", "ftruncate", "getdents", "getcwd",
    /*  80 */ "chdir", "fchdir", "rename", "mkdir", "rmdir",
    /*  85 */ "creat", "link", "unlink", "symlink", "readlink",
    /*  90 */ "chmod", "fchmod", "chown", "fchown", "lchown",
    /*  95 */ "umask", "gettimeofday", "getrlimit", "getrusage", "sysinfo",
    /* 100 */ "times", "ptrace", "getuid", "syslog", "getgid",
    /* 105 */ "setuid", "setgid", "geteuid", "getegid", "setpgid",
    /* 110 */ "getppid", "getpgrp", "setsid", "setreuid", "setregid",
    /* 115 */ "getgroups", "setgroups", "setresuid", "getresuid", "setresgid",
    /* 120 */ "getresgid", "getpgid", "setfsuid", "setfsgid", "getsid",
    /* 125 */ "capget", "capset", "rt_sigpending", "rt_sigtimedwait", "rt_sigqueueinfo",
    /* 130 */ "rt_sigsuspend", "sigaltstack", "utime", "mknod", "uselib",
    /* 135 */ "personality", "ustat", "statfs", "fstatfs", "sysfs",
    /* 140 */ "getpriority", "setpriority", "sched_setparam", "sched_getparam", "sched_setscheduler",
    /* 145 */ "sched_getscheduler", "sched_get_priority_max", "sched_get_priority_min", "sched_rr_get_interval", "mlock",
    /* 150 */ "munlock", "mlockall", "munlockall", "vhangup", "modify_ldt",
    /* 155 */ "pivot_root", "_sysctl", "prctl", "arch_prctl", "adjtimex",
    /* 160 */ "setrlimit", "chroot", "sync", "acct", "settimeofday",
    /* 165 */ "mount", "umount2", "swapon", "swapoff", "reboot",
    /* 170 */ "sethostname", "setdomainname", "iopl", "ioperm", "create_module",
    /* 175 */ "init_module", "delete_module", "get_kernel_syms", "query_module", "quotactl",
    /* 180 */ "nfsservctl", "getpmsg", "putpmsg", "afs_syscall", "tuxcall",
    /* 185 */ "security", "gettid", "readahead", "setxattr", "lsetxattr",
    /* 190 */ "fsetxattr", "getxattr", "lgetxattr", "fgetxattr", "listxattr",
    /* 195 */ "llistxattr", "flistxattr", "removexattr", "lremovexattr", "fremovexattr",
    /* 200 */ "tkill", "time", "futex", "sched_setaffinity", "sched_getaffinity",
    /* 205 */ "set_thread_area", "io_setup", "io_destroy", "io_getevents", "io_submit",
    /* 210 */ "io_cancel", "get_thread_area", "lookup_dcookie", "epoll_create", "epoll_ctl_old",
    /* 215 */ "epoll_wait_old", "remap_file_pages", "getdents64", "set_tid_address", "restart_syscall",
    /* 220 */ "semtimedop", "fadvise64", "timer_create", "timer_settime", "timer_gettime",
    /* 225 */ "timer_getoverrun", "timer_delete", "clock_settime", "clock_gettime", "clock_getres",
    /* 230 */ "clock_nanosleep", "exit_group", "epoll_wait", "epoll_ctl", "tgkill",
    /* 235 */ "utimes", "vserver", "mbind", "set_mempolicy", "get_mempolicy",
    /* 240 */ "mq_open", "mq_unlink", "mq_timedsend", "mq_timedreceive", "mq_notify",
    /* 245 */ "mq_getsetattr", "kexec_load", "waitid", "add_key", "request_key",
    /* 250 */ "keyctl", "ioprio_set", "ioprio_get", "inotify_init", "inotify_add_watch",
    /* 255 */ "inotify_rm_watch", "migrate_pages", "openat", "mkdirat", "mknodat",
    /* 260 */ "fchownat", "futimesat", "newfstatat", "unlinkat", "renameat",
    /* 265 */ "linkat", "symlinkat", "readlinkat", "fchmodat", "faccessat",
    /* 270 */ "pselect6", "ppoll", "unshare", "set_robust_list", "get_robust_list",
    /* 275 */ "splice", "tee", "sync_file_range", "vmsplice", "move_pages",
    /* 280 */ "utimensat", "epoll_pwait", "signalfd", "timerfd_create", "eventfd",
    /* 285 */ "fallocate", "timerfd_settime", "timerfd_gettime", "accept4", "signalfd4",
    /* 290 */ "eventfd2", "epoll_create1", "dup3", "pipe2", "inotify_init1",
    /* 295 */ "preadv", "pwritev", "rt_tgsigqueueinfo", "perf_event_open", "recvmmsg",
    /* 300 */ "fanotify_init", "fanotify_mark", "prlimit64", "name_to_handle_at", "open_by_handle_at",
    /* 305 */ "clock_adjtime", "syncfs", "sendmmsg", "setns", "getcpu",
    /* 310 */ "process_vm_readv", "process_vm_writev", "kcmp", "finit_module", "sched_setattr",
    /* 315 */ "sched_getattr", "renameat2", "seccomp", "getrandom", "memfd_create",
    /* 320 */ "kexec_file_load", "bpf", "execveat", "userfaultfd", "membarrier",
    /* 325 */ "mlock2", "copy_file_range", "preadv2", "pwritev2", "pkey_mprotect",
    /* 330 */ "pkey_alloc", "pkey_free", "statx", "io_pgetevents", "rseq",
    /* 335 */ "uretprobe", "uprobe",
];

#[rustfmt::skip]
const SECOND_NAMES: [&str; 48] = [
    /* 424 */ "pidfd_send_signal",
    /* 425 */ "io_uring_setup", "io_uring_enter", "io_uring_register", "open_tree", "move_mount",
    /* 430 */ "fsopen", "fsconfig", "fsmount", "fspick", "pidfd_open",
    /* 435 */ "clone3", "close_range", "openat2", "pidfd_getfd", "faccessat2",
    /* 440 */ "process_madvise", "epoll_pwait2", "mount_setattr", "quotactl_fd", "landlock_create_ruleset",
    /* 445 */ "landlock_add_rule", "landlock_restrict_self", "memfd_secret", "process_mrelease", "futex_waitv",
    /* 450 */ "set_mempolicy_home_node", "cachestat", "fchmodat2", "map_shadow_stack", "futex_wake",
    /* 455 */ "futex_wait", "futex_requeue", "statmount", "listmount", "lsm_get_self_attr",
    /* 460 */ "lsm_set_self_attr", "lsm_list_modules", "mseal", "setxattrat", "getxattrat",
    /* 465 */ "listxattrat", "removexattrat", "open_tree_attr", "file_getattr", "file_setattr",
    /* 470 */ "listns", "rseq_slice_yield",
];

/// How many calls there are.
pub const COUNT: usize = FIRST_NAMES.len() + SECOND_NAMES.len();

/// Numbers in the order of their names' bytes, sorted by the compiler: a run looks up hundreds of names, and would sort them each
/// time. Without the names: a pointer to each would be relocated at every start.
const BY_NAME: [u16; COUNT] = sorted();

#[expect(
    clippy::indexing_slicing,
    reason = "iterators are not const: an index that is too high stops the build"
)]
const fn sorted() -> [u16; COUNT] {
    let mut sorted = [0; COUNT];
    let mut count = 0;
    while count < sorted.len() {
        let number = match count < FIRST_NAMES.len() {
            true => count as u16,
            false => SECOND as u16 + (count - FIRST_NAMES.len()) as u16,
        };
        let mut at = count;
        while at > 0 && precedes(known(number), known(sorted[at - 1])) {
            sorted[at] = sorted[at - 1];
            at -= 1;
        }
        sorted[at] = number;
        count += 1;
    }
    sorted
}

/// The name of a number of [`BY_NAME`].
#[expect(clippy::indexing_slicing, reason = "as for `sorted`")]
const fn known(number: u16) -> &'static str {
    let at = number as usize;
    match at < FIRST_NAMES.len() {
        true => FIRST_NAMES[at],
        false => SECOND_NAMES[at - SECOND as usize],
    }
}

/// Whether `a` stands before `b` in the order of `str`'s own comparison, which is not const.
#[expect(clippy::indexing_slicing, reason = "as for `sorted`")]
const fn precedes(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut at = 0;
    while at < a.len() && at < b.len() {
        if a[at] != b[at] {
            return a[at] < b[at];
        }
        at += 1;
    }
    a.len() < b.len()
}

/// The number of a system call.
#[must_use]
#[expect(clippy::indexing_slicing, reason = "as for `sorted`")]
pub const fn number(name: &str) -> Option<u32> {
    let (mut low, mut high) = (0, BY_NAME.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        if precedes(known(BY_NAME[middle]), name) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if low < BY_NAME.len() && !precedes(name, known(BY_NAME[low])) {
        Some(BY_NAME[low] as u32)
    } else {
        None
    }
}

/// The name of a number.
#[must_use]
pub fn name(number: u32) -> Option<&'static str> {
    let (names, start): (&[&str], _) = if number < SECOND {
        (&FIRST_NAMES, 0)
    } else {
        (&SECOND_NAMES, SECOND)
    };
    names.get(usize::try_from(number - start).ok()?).copied()
}

/// Every system call, by rising number.
pub fn all() -> impl Iterator<Item = (u32, &'static str)> {
    let first = (0..).zip(FIRST_NAMES.iter().copied());
    first.chain((SECOND..).zip(SECOND_NAMES.iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_libc() {
        for (expected, text) in [
            (libc::SYS_read, "read"),
            (libc::SYS_ioctl, "ioctl"),
            (libc::SYS_execve, "execve"),
            (libc::SYS_getdents64, "getdents64"),
            (libc::SYS_openat, "openat"),
            (libc::SYS_accept4, "accept4"),
            (libc::SYS_rseq, "rseq"),
            (libc::SYS_pidfd_send_signal, "pidfd_send_signal"),
            (libc::SYS_clone3, "clone3"),
            (libc::SYS_landlock_restrict_self, "landlock_restrict_self"),
            (libc::SYS_memfd_secret, "memfd_secret"),
            (libc::SYS_mseal, "mseal"),
        ] {
            assert_eq!(number(text).map(i64::from), Some(expected), "{text}");
        }
        // Newer than libc's own constants.
        for (expected, text) in [
            (335, "uretprobe"),
            (463, "setxattrat"),
            (469, "file_setattr"),
            (LAST, "rseq_slice_yield"),
        ] {
            assert_eq!(number(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn names_and_numbers_are_each_others_inverse() {
        assert_eq!(all().count(), 385);
        for (n, text) in all() {
            assert_eq!((name(n), number(text)), (Some(text), Some(n)));
        }
        for absent in [337, 423, LAST + 1, X32, u32::MAX] {
            assert_eq!(name(absent), None, "{absent}");
        }
    }
}

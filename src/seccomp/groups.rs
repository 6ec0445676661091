//! Named groups of system calls: what a profile writes as `@files`.
//!
//! A call may stand in several groups; each call of the table stands in one at least, so that a profile can name everything.

use super::table;

/// One group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// Its name, with the `@`.
    pub name: &'static str,
    /// What it is for, in one line.
    pub about: &'static str,
    /// The names of its calls, separated by blanks.
    calls: &'static str,
    /// Their numbers, a bit each.
    bits: [u64; WORDS],
}

/// Words of 64 bits that hold a bit for each number.
const WORDS: usize = table::LAST as usize / 64 + 1;

impl Group {
    /// The names of its calls.
    pub fn calls(&self) -> impl Iterator<Item = &'static str> {
        self.calls.split_ascii_whitespace()
    }

    /// The numbers of its calls, rising.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        (0..).step_by(64).zip(self.bits).flat_map(|(first, word)| {
            let rest = std::iter::successors(Some(word), |left| Some(left & left.wrapping_sub(1)));
            rest.take_while(|left| *left != 0)
                .map(move |left| first + left.trailing_zeros())
        })
    }
}

/// The group of a name that starts with `@`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Group> {
    GROUPS.iter().find(|group| group.name == name)
}

const fn group(name: &'static str, about: &'static str, calls: &'static str) -> Group {
    Group {
        name,
        about,
        calls,
        bits: bits(calls),
    }
}

/// Looks up the names when the program is compiled, which fails at a name that is no call.
#[expect(clippy::panic, reason = "stops the build, not a run")]
const fn bits(calls: &str) -> [u64; WORDS] {
    let mut bits = [0; WORDS];
    let mut rest = calls.as_bytes().trim_ascii();
    while !rest.is_empty() {
        let mut length = 0;
        while length < rest.len() && rest[length] != b' ' {
            length += 1;
        }
        let (name, behind) = rest.split_at(length);
        let Ok(name) = std::str::from_utf8(name) else {
            panic!("names are ASCII")
        };
        let Some(number) = table::number(name) else {
            panic!("a group names a call that the table does not know")
        };
        bits[number as usize / 64] |= 1 << (number % 64);
        rest = behind.trim_ascii();
    }
    bits
}

/// Every group, from what every program needs to what no sandboxed program should have.
#[rustfmt::skip]
pub const GROUPS: &[Group] = &[
    group("@basic", "What every program needs to start, run threads and end; asks only about itself.",
        "execve execveat exit exit_group arch_prctl set_tid_address set_robust_list rseq futex futex_waitv \
         membarrier sched_yield restart_syscall getpid getppid gettid getuid geteuid getgid getegid getresuid \
         getresgid getgroups getpgid getpgrp getsid getcpu getrandom uname sysinfo getrusage getrlimit \
         setrlimit prlimit64 umask prctl personality capget brk mmap munmap mprotect rt_sigreturn"),
    group("@io", "Reading, writing and handing on descriptors that are open already; pipes.",
        "read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek close close_range dup \
         dup2 dup3 pipe pipe2 fcntl ioctl sendfile splice copy_file_range"),
    group("@files", "Files and directories by path or descriptor, without ownership and extended attributes.",
        "open openat openat2 creat stat lstat fstat newfstatat statx access faccessat faccessat2 readlink \
         readlinkat getdents getdents64 getcwd chdir fchdir rename renameat renameat2 mkdir mkdirat rmdir \
         link linkat symlink symlinkat unlink unlinkat chmod fchmod fchmodat fchmodat2 truncate ftruncate \
         fallocate fadvise64 sync_file_range fsync fdatasync flock utime utimes futimesat utimensat statfs \
         fstatfs mknod mknodat umask"),
    group("@xattr", "Extended attributes.",
        "setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr \
         removexattr lremovexattr fremovexattr"),
    group("@processes", "Making, awaiting and signalling processes.",
        "clone clone3 fork vfork execve execveat wait4 waitid kill tkill tgkill setpgid getpgid getpgrp \
         setsid getsid pidfd_open pidfd_send_signal getpriority setpriority"),
    group("@memory", "The address space.",
        "brk mmap munmap mprotect mremap msync mincore madvise mlock mlock2 munlock memfd_create pkey_alloc \
         pkey_free pkey_mprotect"),
    group("@signals", "Signals.",
        "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigsuspend rt_sigqueueinfo \
         rt_tgsigqueueinfo sigaltstack signalfd signalfd4 pause kill tkill tgkill"),
    group("@time", "Reading clocks, sleeping, timers.",
        "time gettimeofday clock_gettime clock_getres clock_nanosleep nanosleep alarm getitimer setitimer \
         timer_create timer_settime timer_gettime timer_getoverrun timer_delete timerfd_create \
         timerfd_settime timerfd_gettime times"),
    group("@events", "Waiting for events.",
        "poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 \
         eventfd eventfd2 inotify_init inotify_init1 inotify_add_watch inotify_rm_watch"),
    group("@sockets", "Sockets; which families and options is the business of guards.",
        "socket socketpair connect accept accept4 bind listen getsockname getpeername setsockopt getsockopt \
         shutdown sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg"),
    group("@terminal", "Terminals, sessions and process groups.",
        "ioctl setsid getsid setpgid getpgid getpgrp"),
    group("@sandboxing", "Restricting oneself further.",
        "landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp prctl"),
    group("@scheduling", "Asking about scheduling, and choosing processors and nice values.",
        "sched_getaffinity sched_setaffinity sched_getparam sched_getscheduler sched_getattr \
         sched_get_priority_max sched_get_priority_min sched_rr_get_interval getpriority setpriority \
         sched_yield getcpu"),
    group("@recent", "Since Linux 6.4: libraries try them and go on without when they get `ENOSYS`.",
        "futex_wait futex_wake futex_requeue cachestat mseal map_shadow_stack setxattrat getxattrat \
         listxattrat removexattrat"),
    group("@rare", "Harmless but seldom used, or felt by the whole host (`sync`): more surface than use where the code is hostile.",
        "tee get_robust_list readahead sync syncfs mlockall munlockall"),
    group("@ids", "Owners of files, and the ids and capabilities of processes.",
        "chown fchown lchown fchownat setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid \
         setgroups capset"),
    group("@scheduling-class", "Changing scheduling and input-output classes.",
        "sched_setparam sched_setscheduler sched_setattr ioprio_get ioprio_set"),
    group("@aio", "The old asynchronous input and output.",
        "io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents"),
    group("@mq", "POSIX message queues.",
        "mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr"),
    group("@sysv-ipc", "System V shared memory, semaphores and messages.",
        "shmget shmat shmdt shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl"),
    group("@numa", "Memory policy of machines with several nodes.",
        "mbind get_mempolicy set_mempolicy set_mempolicy_home_node migrate_pages move_pages"),
    group("@debug", "Looking into other processes' memory and descriptors.",
        "ptrace process_vm_readv process_vm_writev pidfd_getfd kcmp"),
    group("@exotic", "Memory tricks that exploits love and programs do without.",
        "memfd_secret remap_file_pages userfaultfd process_madvise process_mrelease vmsplice"),
    group("@io-uring", "io_uring: its operations are invisible to any filter.",
        "io_uring_setup io_uring_enter io_uring_register"),
    group("@keyring", "Keys: the session keyring belongs to no namespace.",
        "add_key request_key keyctl"),
    group("@file-handles", "Opening files by handle, past every path check (the `shocker` escape).",
        "name_to_handle_at open_by_handle_at"),
    group("@namespaces", "Making, entering and listing namespaces.",
        "unshare setns listns"),
    group("@mount", "Mounting, the old calls.",
        "mount umount2 pivot_root chroot"),
    group("@mount-api", "Mounting by descriptor, Linux 5.2 and later (CVE-2021-41133: filters that forgot it).",
        "open_tree open_tree_attr move_mount fsopen fsconfig fsmount fspick mount_setattr statmount listmount"),
    group("@clock-set", "Setting the clock.",
        "settimeofday clock_settime adjtimex clock_adjtime"),
    group("@raw-io", "Ports and segment descriptors.",
        "iopl ioperm modify_ldt"),
    group("@admin", "Administration of the machine.",
        "acct quotactl quotactl_fd swapon swapoff reboot sethostname setdomainname syslog vhangup"),
    group("@bpf-perf", "Programs in the kernel, and watching the whole machine.",
        "bpf perf_event_open fanotify_init fanotify_mark lookup_dcookie userfaultfd"),
    group("@module", "Kernel modules and kexec.",
        "init_module finit_module delete_module create_module get_kernel_syms query_module kexec_load \
         kexec_file_load"),
    group("@recent-optional", "Since Linux 6.8: so new that nothing relies on them.",
        "statmount listmount open_tree_attr file_getattr file_setattr uretprobe uprobe listns \
         rseq_slice_yield lsm_get_self_attr lsm_set_self_attr lsm_list_modules"),
    group("@obsolete", "Gone from the kernel, or kept for the programs of another age.",
        "uselib ustat sysfs _sysctl create_module get_kernel_syms query_module nfsservctl getpmsg putpmsg \
         afs_syscall tuxcall security vserver epoll_ctl_old epoll_wait_old set_thread_area get_thread_area \
         lookup_dcookie remap_file_pages"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_member_is_a_call_and_stands_once() {
        for group in GROUPS {
            let calls: Vec<_> = group.calls().collect();
            let distinct: BTreeSet<_> = calls.iter().collect();
            assert_eq!(calls.len(), distinct.len(), "{} names a call twice", group.name);
            for call in calls {
                assert!(table::number(call).is_some(), "{}: {call}", group.name);
            }
        }
    }

    #[test]
    fn every_call_is_in_a_group() {
        let grouped: BTreeSet<_> = GROUPS.iter().flat_map(Group::calls).collect();
        let missing: Vec<_> = table::all().filter(|(_, name)| !grouped.contains(name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn group_names_are_distinct() {
        let names: BTreeSet<_> = GROUPS.iter().map(|group| group.name).collect();
        assert_eq!(names.len(), GROUPS.len());
        assert!(find("@basic").is_some() && find("basic").is_none());
    }
}

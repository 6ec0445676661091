//! Making, executing, waiting for and signalling processes.

use super::memory::Stack;
use super::{Errno, Result, check, check_int, uninterrupted};
use std::ffi::c_void;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Namespaces to make, as `CLONE_NEW*` bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloneFlags(pub u64);

/// Which side of the clone we are on.
#[derive(Debug)]
pub enum Side {
    /// The new process.
    Child,
    /// The old one: a descriptor that refers to the child for good.
    Parent(OwnedFd, libc::pid_t),
}

#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// clone3(2) with all namespaces at once, into a cgroup where one is given. The child has a copy of this process's memory.
///
/// # Errors
/// `EPERM` where user namespaces are refused, `ENOSPC` where their number is limited.
pub fn clone_into(namespaces: CloneFlags, cgroup: Option<BorrowedFd<'_>>) -> Result<Side> {
    const INTO_CGROUP: u64 = 0x2_0000_0000;
    let mut pidfd: RawFd = -1;
    #[allow(clippy::cast_sign_loss, reason = "flag bits and a signal number")]
    let args = CloneArgs {
        flags: namespaces.0 | libc::CLONE_PIDFD as u64 | cgroup.map_or(0, |_| INTO_CGROUP),
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        cgroup: cgroup.map_or(0, |fd| fd.as_raw_fd() as u64),
        ..CloneArgs::default()
    };
    // SAFETY: like fork: no memory is shared, and this program has one thread, so no lock can be held by another.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) })?;
    if pid == 0 {
        return Ok(Side::Child);
    }
    // SAFETY: the kernel has just made this descriptor for us (CLONE_PIDFD); nobody else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    #[allow(clippy::cast_possible_truncation, reason = "a pid is an int")]
    Ok(Side::Parent(fd, pid as libc::pid_t))
}

/// A processor mask: bit n of the whole is processor n.
pub type ProcessorMask = [u64; 16];

/// This process runs on these processors only.
///
/// # Errors
/// `EINVAL` when none of them is one that it may use.
pub fn set_processors(mask: &ProcessorMask) -> Result<()> {
    // SAFETY: the mask is live and its size is given.
    check(unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, size_of_val(mask), mask.as_ptr()) })
        .map(|_| ())
}

/// The processors that this process may use, ascending.
///
/// # Errors
/// `EINVAL` on machines with more than 1024.
pub fn processors() -> Result<Vec<u32>> {
    let mut mask: ProcessorMask = [0; 16];
    let size = size_of_val(&mask);
    // SAFETY: the mask is live and its size is given.
    check(unsafe { libc::syscall(libc::SYS_sched_getaffinity, 0, size, mask.as_mut_ptr()) })?;
    let held = |n: &u32| {
        let word = usize::try_from(n / 64).ok().and_then(|at| mask.get(at));
        word.is_some_and(|word| word >> (n % 64) & 1 == 1)
    };
    Ok((0..1024).filter(held).collect())
}

/// fork(2) without a new namespace.
///
/// # Errors
/// `EAGAIN` when the limit of processes is reached.
pub fn fork() -> Result<Side> {
    clone_into(CloneFlags(0), None)
}

/// Runs `body` in a child that shares this process's memory until it execs or exits; this process waits until then.
///
/// vfork(2): copying the page tables of a fork would cost a tenth of a whole start-up. Before Linux 6.2 the kernel refuses shared
/// memory to a process whose children get another time namespace; there the child has a copy, and `body` is to tell by other means than
/// `data` what has become of it.
///
/// # Errors
/// `EAGAIN` when the limit of processes is reached.
pub fn vfork_run<T>(stack: &mut Stack, body: fn(&mut T) -> libc::c_int, data: &mut T) -> Result<libc::pid_t> {
    struct Call<'a, T> {
        body: fn(&mut T) -> libc::c_int,
        data: &'a mut T,
    }
    extern "C" fn enter<T>(call: *mut c_void) -> libc::c_int {
        // SAFETY: `call` is the `Call<T>` below, which nobody else touches while CLONE_VFORK holds its owner.
        let call = unsafe { &mut *call.cast::<Call<'_, T>>() };
        (call.body)(call.data)
    }
    let mut call = Call { body, data };
    let mut clone = |memory: libc::c_int| {
        let flags = memory | libc::CLONE_VFORK | libc::SIGCHLD;
        // SAFETY: the child runs on `stack`, which outlives it here because CLONE_VFORK holds this process until the child has left
        // the shared memory; `body` never returns into this frame; there is no other thread.
        check_int(unsafe { libc::clone(enter::<T>, stack.top(), flags, (&raw mut call).cast()) })
    };
    match clone(libc::CLONE_VM) {
        Err(Errno::EINVAL) => clone(0),
        other => other,
    }
}

/// Has the kernel kill what a command becomes, once the process that starts it ends, however that may be.
pub fn end_with_parent(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt;
    // SAFETY: between fork and exec the closure makes one system call and touches no memory.
    unsafe {
        command.pre_exec(|| super::cred::die_with_parent().map_err(std::io::Error::from));
    }
}

/// Ends this process at once: no destructor, no exit handler of the parent's copy runs.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit(2) does not return and touches no memory.
    unsafe { libc::_exit(code) }
}

/// execve(2) with arrays that were built before. Comes back only on failure.
pub fn execute(path: &std::ffi::CStr, argv: &Strings, envp: &Strings) -> Errno {
    // SAFETY: `Strings` keeps what its pointers point to, and ends with null.
    unsafe { libc::execve(path.as_ptr(), argv.pointers.as_ptr(), envp.pointers.as_ptr()) };
    Errno::last()
}

/// A C array of C strings, built before the clone so that the child need not allocate.
#[derive(Debug)]
pub struct Strings {
    _kept: Vec<std::ffi::CString>,
    pointers: Vec<*const libc::c_char>,
}

impl Strings {
    /// Keeps the strings and an array of pointers to them.
    #[must_use]
    pub fn new(strings: Vec<std::ffi::CString>) -> Self {
        let mut pointers: Vec<_> = strings.iter().map(|s| s.as_ptr()).collect();
        pointers.push(std::ptr::null());
        Self {
            _kept: strings,
            pointers,
        }
    }
}

/// What a wait tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// exit(2) with this code.
    Exited(i32),
    /// Killed by this signal.
    Signaled(i32),
    /// Stopped by this signal.
    Stopped(i32),
    /// Anything else (continued).
    Other,
}

impl Status {
    fn from_raw(raw: libc::c_int) -> Self {
        if libc::WIFEXITED(raw) {
            Self::Exited(libc::WEXITSTATUS(raw))
        } else if libc::WIFSIGNALED(raw) {
            Self::Signaled(libc::WTERMSIG(raw))
        } else if libc::WIFSTOPPED(raw) {
            Self::Stopped(libc::WSTOPSIG(raw))
        } else {
            Self::Other
        }
    }
}

/// What a process and the children it waited for have used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Microseconds in user mode.
    pub user_micros: u64,
    /// Microseconds in the kernel.
    pub system_micros: u64,
    /// The largest resident set of one process, in bytes.
    pub peak_bytes: u64,
}

/// Waits for a child, or with `block` off only looks. `None`: nothing to tell.
///
/// # Errors
/// `ECHILD` when there is none.
pub fn wait(
    pid: libc::pid_t,
    block: bool,
    stopped_too: bool,
) -> Result<Option<(libc::pid_t, Status, Usage)>> {
    let options = if block { 0 } else { libc::WNOHANG } | if stopped_too { libc::WUNTRACED } else { 0 };
    let mut raw = 0;
    // SAFETY: `rusage` is a plain C struct for which all zeroes is a valid value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both out-parameters are live and of the right type.
    let found =
        uninterrupted(|| check_int(unsafe { libc::wait4(pid, &raw mut raw, options, &raw mut usage) }))?;
    if found == 0 {
        return Ok(None);
    }
    let micros = |t: libc::timeval| u64::try_from(t.tv_sec * 1_000_000 + t.tv_usec).unwrap_or(0);
    let used = Usage {
        user_micros: micros(usage.ru_utime),
        system_micros: micros(usage.ru_stime),
        peak_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024,
    };
    Ok(Some((found, Status::from_raw(raw), used)))
}

/// Sends a signal to a process that cannot have been replaced by another of the same number.
///
/// # Errors
/// `ESRCH` when it has ended.
pub fn signal_pidfd(pidfd: BorrowedFd<'_>, signal: i32) -> Result<()> {
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo asks for the same as kill(2).
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, none, 0) })
        .map(|_| ())
}

/// kill(2). A negative pid names a process group.
///
/// # Errors
/// `ESRCH`, `EPERM`.
pub fn kill(pid: libc::pid_t, signal: i32) -> Result<()> {
    // SAFETY: only numbers are passed.
    check_int(unsafe { libc::kill(pid, signal) }).map(|_| ())
}

/// Leads a new session without a terminal.
///
/// # Errors
/// `EPERM` for a process group's leader.
pub fn new_session() -> Result<()> {
    // SAFETY: no argument.
    check_int(unsafe { libc::setsid() }).map(|_| ())
}

/// Leads a new process group.
///
/// # Errors
/// `EPERM` for a session's leader.
pub fn new_group() -> Result<()> {
    // SAFETY: only numbers are passed.
    check_int(unsafe { libc::setpgid(0, 0) }).map(|_| ())
}

/// Makes new namespaces for this process, or (time) for its later children.
///
/// # Errors
/// As unshare(2).
pub fn unshare(namespaces: libc::c_int) -> Result<()> {
    // SAFETY: only a number is passed; there is one thread.
    check_int(unsafe { libc::unshare(namespaces) }).map(|_| ())
}

/// setns(2) into an ipc namespace.
///
/// # Errors
/// As setns(2): `EPERM` without CAP_SYS_ADMIN in its user namespace.
pub fn enter_ipc_namespace(namespace: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: only numbers are passed, the descriptor is live; there is one thread.
    check_int(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWIPC) }).map(|_| ())
}

/// setns(2) into a user namespace, with all rights in it, as its owner has them.
///
/// # Errors
/// As setns(2): `EPERM` for whoever does not own it.
pub fn enter_user_namespace(namespace: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: only numbers are passed, the descriptor is live; there is one thread.
    check_int(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWUSER) }).map(|_| ())
}

/// Whether two threads share one descriptor table, by kcmp(2). `false` where the kernel does not answer.
#[must_use]
pub fn same_descriptors(one: i32, other: i32) -> bool {
    /// `KCMP_FILES` of linux/kcmp.h.
    const FILES: libc::c_int = 2;
    // SAFETY: only numbers are passed.
    unsafe { libc::syscall(libc::SYS_kcmp, one, other, FILES, 0, 0) == 0 }
}

/// sethostname(2).
///
/// # Errors
/// `EPERM` where the user namespace has no rights (Ubuntu's AppArmor restriction).
pub fn set_hostname(name: &[u8]) -> Result<()> {
    // SAFETY: the buffer is live and its length is given.
    check_int(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) }).map(|_| ())
}

//! Signal masks, signalfd(2), dispositions.

use super::{Result, check, check_int};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A set of signals.
#[derive(Clone, Copy)]
#[allow(missing_debug_implementations, reason = "sigset_t has none")]
pub struct SignalSet(libc::sigset_t);

impl SignalSet {
    /// The given signals.
    #[must_use]
    pub fn of(signals: &[i32]) -> Self {
        // SAFETY: `sigset_t` is a plain C struct for which all zeroes is a valid value.
        let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
        for signal in signals {
            // SAFETY: `set` is live; an unknown number is refused without effect.
            unsafe { libc::sigaddset(&raw mut set, *signal) };
        }
        Self(set)
    }
}

/// Blocks exactly these signals.
///
/// # Errors
/// None in practice.
pub fn set_mask(set: &SignalSet) -> Result<()> {
    // SAFETY: the set is live; the old one is not asked for.
    check_int(unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const set.0, std::ptr::null_mut()) })
        .map(|_| ())
}

/// A descriptor that reads the given (blocked) signals.
///
/// # Errors
/// `EMFILE`.
pub fn signal_fd(set: &SignalSet) -> Result<OwnedFd> {
    // SAFETY: the set is live; -1 asks for a new descriptor.
    let fd =
        check_int(unsafe { libc::signalfd(-1, &raw const set.0, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) })?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A signal that has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// Its number.
    pub signal: i32,
    /// Whether the kernel sent it (a terminal's ^C), not kill(2).
    pub from_kernel: bool,
}

impl Arrived {
    /// Whether it asks for an end.
    #[must_use]
    pub fn ends(self) -> bool {
        matches!(
            self.signal,
            libc::SIGTERM | libc::SIGINT | libc::SIGHUP | libc::SIGQUIT
        )
    }
}

/// The next signal of a [`signal_fd`], `None` when there is none.
///
/// # Errors
/// As read(2).
pub fn next_signal(fd: BorrowedFd<'_>) -> Result<Option<Arrived>> {
    // SAFETY: `signalfd_siginfo` is a plain C struct for which all zeroes is a valid value.
    let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
    // SAFETY: the buffer is live and its size is given.
    let answer = check(unsafe {
        libc::read(
            fd.as_raw_fd(),
            (&raw mut info).cast(),
            size_of::<libc::signalfd_siginfo>(),
        ) as libc::c_long
    });
    match answer {
        Err(super::Errno::EAGAIN | super::Errno::EINTR) => Ok(None),
        Err(e) => Err(e),
        Ok(_) => Ok(Some(Arrived {
            signal: i32::try_from(info.ssi_signo).unwrap_or(0),
            from_kernel: info.ssi_code > 0,
        })),
    }
}

/// Every signal back to its default: a payload must not inherit what the caller ignores (`nohup`), nor our own choices.
pub fn default_dispositions() {
    // The raw call: glibc refuses 32 and 33, which it keeps for itself, and a caller may have left them ignored.
    let default = [0u64; 4];
    for signal in 1..=64 {
        // SAFETY: all zeroes is SIG_DFL without flags, restorer and mask; numbers that cannot be changed are refused without effect.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                std::ptr::null_mut::<u64>(),
                size_of::<u64>(),
            )
        };
    }
}

/// Set by the signals that ask for an end while an [`Interruptible`] is there.
static ASKED: AtomicBool = AtomicBool::new(false);

extern "C" fn note(signal: libc::c_int) {
    if signal != libc::SIGALRM {
        ASKED.store(true, Ordering::Relaxed);
    }
}

/// While it is there, a timer and the signals that ask for an end interrupt blocking calls (EINTR) instead of staying blocked.
#[allow(missing_debug_implementations, reason = "sigset_t and sigaction have none")]
pub struct Interruptible {
    until: Option<Instant>,
    mask: libc::sigset_t,
    actions: [libc::sigaction; Self::SIGNALS.len()],
}

impl Interruptible {
    const SIGNALS: [i32; 5] = [
        libc::SIGALRM,
        libc::SIGTERM,
        libc::SIGINT,
        libc::SIGHUP,
        libc::SIGQUIT,
    ];
    /// How often a call is interrupted to look whether it is to be given up.
    const TICK_MICROSECONDS: libc::suseconds_t = 50_000;

    /// `until`: when interrupted calls are to be given up in any case.
    #[must_use]
    pub fn new(until: Option<Instant>) -> Self {
        // SAFETY: `sigaction` is a plain C struct for which all zeroes is a valid value: no flags, so that calls are not restarted.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = note as *const () as usize;
        let actions = Self::SIGNALS.map(|signal| {
            // SAFETY: as above.
            let mut old: libc::sigaction = unsafe { std::mem::zeroed() };
            // SAFETY: both are live, and the handler only stores to an atomic.
            unsafe { libc::sigaction(signal, &raw const action, &raw mut old) };
            old
        });
        Self::tick(Self::TICK_MICROSECONDS);
        let set = SignalSet::of(&Self::SIGNALS);
        let mut mask = SignalSet::of(&[]).0;
        // SAFETY: both sets are live.
        unsafe { libc::sigprocmask(libc::SIG_UNBLOCK, &raw const set.0, &raw mut mask) };
        Self { until, mask, actions }
    }

    /// Whether an interrupted call is to be given up.
    #[must_use]
    pub fn ended(&self) -> bool {
        ASKED.load(Ordering::Relaxed) || self.until.is_some_and(|until| until <= Instant::now())
    }

    fn tick(microseconds: libc::suseconds_t) {
        let every = libc::timeval {
            tv_sec: 0,
            tv_usec: microseconds,
        };
        let timer = libc::itimerval {
            it_interval: every,
            it_value: every,
        };
        // SAFETY: the timer is live; the old one is not asked for.
        unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
    }
}

impl Drop for Interruptible {
    fn drop(&mut self) {
        let _ = set_mask(&SignalSet(self.mask));
        Self::tick(0);
        for (signal, old) in Self::SIGNALS.into_iter().zip(&self.actions) {
            // SAFETY: the old action is live; the new one is not asked for.
            unsafe { libc::sigaction(signal, std::ptr::from_ref(old), std::ptr::null_mut()) };
        }
    }
}

/// Ignores one signal.
pub fn ignore(signal: i32) {
    // SAFETY: SIG_IGN runs no code of ours.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

//! Terminals: sizes, modes, controlling terminals.

use super::{Result, check_int};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// Whether a descriptor, given by its number, is a terminal; one that is not open is none.
#[must_use]
pub fn is_terminal(number: RawFd) -> bool {
    // SAFETY: only a number is passed.
    unsafe { libc::isatty(number) == 1 }
}

/// Terminal modes, to be given back at the end.
#[derive(Clone, Copy)]
#[allow(missing_debug_implementations, reason = "termios has none")]
pub struct Modes(libc::termios);

/// The present modes.
///
/// # Errors
/// `ENOTTY`.
pub fn modes(fd: BorrowedFd<'_>) -> Result<Modes> {
    // SAFETY: `termios` is a plain C struct for which all zeroes is a valid value.
    let mut now: libc::termios = unsafe { std::mem::zeroed() };
    // SAFETY: `now` is live and of the right type.
    check_int(unsafe { libc::tcgetattr(fd.as_raw_fd(), &raw mut now) })?;
    Ok(Modes(now))
}

/// Sets modes at once: what was written has been processed by the modes of its time (n_tty(4)), and a terminal that nobody reads never
/// drains.
///
/// # Errors
/// `ENOTTY`, `EIO` for a background process.
pub fn set_modes(fd: BorrowedFd<'_>, modes: &Modes) -> Result<()> {
    // SAFETY: the modes are live and of the right type.
    check_int(unsafe { libc::tcsetattr(fd.as_raw_fd(), libc::TCSANOW, &raw const modes.0) }).map(|_| ())
}

/// Changes nothing, but as a change: the kernel stops a process of the background for it (SIGTTOU, termios(3)), as often as it is
/// continued there.
///
/// # Errors
/// `EIO` in an orphaned process group.
pub fn touch(fd: BorrowedFd<'_>) -> Result<()> {
    // Output that nobody has held back by TCOOFF goes on.
    // SAFETY: only numbers are passed.
    check_int(unsafe { libc::tcflow(fd.as_raw_fd(), libc::TCOON) }).map(|_| ())
}

impl Modes {
    /// The same with every key passed through as it is.
    #[must_use]
    pub fn raw(mut self) -> Self {
        // SAFETY: cfmakeraw only changes the struct it is given.
        unsafe { libc::cfmakeraw(&raw mut self.0) };
        self
    }
}

/// Gives the window size of one terminal to another.
///
/// # Errors
/// `ENOTTY`.
pub fn copy_size(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: `winsize` is a plain C struct for which all zeroes is a valid value.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: TIOCGWINSZ writes one `winsize`.
    check_int(unsafe { libc::ioctl(from.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) })?;
    // SAFETY: TIOCSWINSZ reads one `winsize`.
    check_int(unsafe { libc::ioctl(to.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) }).map(|_| ())
}

/// Whether both are the same terminal, by their devices: `/dev/tty` is another name for one.
#[must_use]
pub fn same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    let device = |fd: BorrowedFd<'_>| {
        let mut device: libc::c_uint = 0;
        // SAFETY: TIOCGDEV writes one unsigned int.
        let done = check_int(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGDEV, &raw mut device) });
        done.ok().map(|_| device)
    };
    device(one).is_some_and(|one| Some(one) == device(other))
}

/// Lets the slave of a new pseudo-terminal be opened.
///
/// # Errors
/// `ENOTTY`.
pub fn unlock_slave(master: BorrowedFd<'_>) -> Result<()> {
    let unlock: libc::c_int = 0;
    // SAFETY: TIOCSPTLCK reads one int.
    check_int(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlock) }).map(|_| ())
}

/// Opens the slave of a master without walking a path.
///
/// # Errors
/// `EIO` when it is still locked.
pub fn open_slave(master: BorrowedFd<'_>) -> Result<std::os::fd::OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: TIOCGPTPEER takes open flags and answers a descriptor.
    let fd = check_int(unsafe {
        libc::ioctl(
            master.as_raw_fd(),
            libc::TIOCGPTPEER,
            libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC,
        )
    })?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    Ok(unsafe { std::os::fd::OwnedFd::from_raw_fd(fd) })
}

/// Makes it this session's controlling terminal.
///
/// # Errors
/// `EPERM` unless this process leads a session without one.
pub fn take_as_controlling(slave: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: TIOCSCTTY takes a number.
    check_int(unsafe { libc::ioctl(slave.as_raw_fd(), libc::TIOCSCTTY, 0) }).map(|_| ())
}

/// Puts a process group in the terminal's foreground, 0 for this process's own. SIGTTOU must be ignored or blocked.
///
/// # Errors
/// `ENOTTY` when it is not the controlling terminal.
pub fn set_foreground(slave: BorrowedFd<'_>, group: libc::pid_t) -> Result<()> {
    // SAFETY: no argument.
    let own = unsafe { libc::getpgrp() };
    let group = if group == 0 { own } else { group };
    // SAFETY: only numbers are passed.
    check_int(unsafe { libc::tcsetpgrp(slave.as_raw_fd(), group) }).map(|_| ())
}

/// Whether this process's group may use the terminal: it is in the foreground, or the terminal is not the controlling one and has
/// no say.
#[must_use]
pub fn in_front(terminal: BorrowedFd<'_>) -> bool {
    // SAFETY: no argument.
    let own = unsafe { libc::getpgrp() };
    foreground(terminal).map_or(true, |front| front == own)
}

/// Gives a new terminal what the user's own has and no program changes for a while: its size, its special keys, and whether its
/// erase key knows of UTF-8. `stream` is the number of an open descriptor.
///
/// # Errors
/// `ENOTTY` when the stream is no terminal.
pub fn resemble(stream: RawFd, slave: BorrowedFd<'_>) -> Result<()> {
    const KEYS: [usize; 6] = [
        libc::VINTR,
        libc::VQUIT,
        libc::VERASE,
        libc::VKILL,
        libc::VEOF,
        libc::VSUSP,
    ];
    // SAFETY: the borrow lasts for this call; a number that is not open is answered with EBADF.
    let own = unsafe { BorrowedFd::borrow_raw(stream) };
    let theirs = modes(own)?;
    let mut new = modes(slave)?;
    new.0.c_iflag = new.0.c_iflag & !libc::IUTF8 | theirs.0.c_iflag & libc::IUTF8;
    for key in KEYS {
        new.0.c_cc[key] = theirs.0.c_cc[key];
    }
    set_modes(slave, &new)?;
    copy_size(own, slave)
}

/// The process group in the terminal's foreground, by its number in this pid namespace.
///
/// # Errors
/// `ENOTTY` when it is not the controlling terminal.
fn foreground(slave: BorrowedFd<'_>) -> Result<libc::pid_t> {
    // SAFETY: only a number is passed.
    check_int(unsafe { libc::tcgetpgrp(slave.as_raw_fd()) })
}

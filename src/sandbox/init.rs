//! pid 1: reaps, forwards, tells the supervisor how the command ended, and takes everything with it when it goes.
//!
//! It is not dumpable: its memory, environment, descriptors and executable are closed to every process inside (`/proc/1/…`, ptrace).
//! Its arguments, which would tell what sbx was asked for, are gone.

use super::IDLE;
use super::message::Message;
use crate::sys::process::{self, Status};
use crate::sys::signal::{self, SignalSet};
use crate::sys::socket::{self, Watch};
use crate::sys::{Errno, Result, cred, fs, memory, tty};
use std::convert::Infallible;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// Before the command exists: nobody inside may look at us, and we do not outlive the supervisor.
pub(super) fn harden(arguments: usize) -> Result<()> {
    memory::forget_arguments(arguments);
    cred::undumpable()?;
    cred::die_with_parent()
}

/// A command without init is pid 1 itself: it does not outlive the supervisor either. After its ids have changed, which the kernel
/// takes as the end of that wish; unlike init the command can take it back.
pub(super) fn end_with(control: BorrowedFd<'_>) -> Result<()> {
    cred::die_with_parent()?;
    match Message::receive(control, false) {
        // It died before the wish was known.
        Ok(None) => process::exit_now(125),
        Ok(Some(_)) | Err(Errno::EAGAIN) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Serves until the command has ended or the supervisor is gone; then the kernel kills all that is left in the pid namespace.
pub(super) fn serve(control: BorrowedFd<'_>, terminal: Option<OwnedFd>, command: i32) -> Result<Infallible> {
    // Everything but SIGCHLD stays blocked: what the supervisor wants, it says over the channel, and nobody inside can say it.
    let signals = signal::signal_fd(&SignalSet::of(&[libc::SIGCHLD]))?;
    signal::ignore(libc::SIGTTOU);
    let_go_of_streams()?;
    // The terminal is kept: only a member of its session can change which group is in its foreground.
    close_all_but([
        control.as_raw_fd(),
        signals.as_raw_fd(),
        terminal.as_ref().map_or(control.as_raw_fd(), AsRawFd::as_raw_fd),
    ])?;
    Message::Started.send(control, None)?;
    let mut patience = socket::millis(Some(IDLE));
    loop {
        // First: the command may have ended before the signal's descriptor was there.
        if let Some(ended) = reap(control, command, terminal.is_some())? {
            let _ = ended.send(control, None);
            process::exit_now(0);
        }
        let mut watches = [Watch::read(control.as_raw_fd()), Watch::read(signals.as_raw_fd())];
        socket::poll(&mut watches, patience)?;
        if patience > 0 && !watches.iter().any(Watch::ready) {
            memory::release_unused();
            patience = -1;
            // At once: every function that is called before then would be mapped again.
            socket::poll(&mut watches, patience)?;
        }
        if watches[1].ready() {
            while signal::next_signal(signals.as_fd())?.is_some() {}
        }
        if watches[0].ready() {
            obey(control, command, terminal.as_ref())?;
        }
    }
}

/// Reaps whatever has ended, orphans too. The command's end, when it is among them.
fn reap(control: BorrowedFd<'_>, command: i32, terminal: bool) -> Result<Option<Message>> {
    loop {
        let (pid, status) = match process::wait(-1, false, terminal) {
            Ok(Some((pid, status, _))) => (pid, status),
            Ok(None) | Err(Errno::ECHILD) => return Ok(None),
            Err(errno) => return Err(errno),
        };
        match status {
            Status::Exited(code) if pid == command => return Ok(Some(Message::Exited(code))),
            Status::Signaled(signal) if pid == command => return Ok(Some(Message::Signaled(signal))),
            Status::Stopped(signal) if pid == command => Message::Stopped(signal).send(control, None)?,
            _ => {}
        }
    }
}

fn obey(control: BorrowedFd<'_>, command: i32, terminal: Option<&OwnedFd>) -> Result<()> {
    match Message::receive(control, false) {
        Ok(Some((Message::Signal(signal, group), _))) => {
            // A command that has just ended cannot be signalled; that is no failure.
            let _ = process::kill(if group { -command } else { command }, signal);
            Ok(())
        }
        Ok(Some((Message::GoOn(front), _))) => {
            if let Some(terminal) = terminal {
                let _ = tty::set_foreground(terminal.as_fd(), if front { command } else { 0 });
            }
            let _ = process::kill(-command, libc::SIGCONT);
            Ok(())
        }
        Ok(Some((Message::CountSegments, _))) => {
            let pages = memory::segments().unwrap_or_default() / 4096;
            Message::Segments(u32::try_from(pages).unwrap_or(u32::MAX)).send(control, None)
        }
        Ok(Some(_)) | Err(Errno::EAGAIN) => Ok(()),
        // The supervisor is gone (its death also kills us by signal; this is for the moment before that was arranged).
        Ok(None) => process::exit_now(125),
        Err(errno) => Err(errno),
    }
}

/// The other end of a pipe sees its end when the command closes it, not when we end.
pub(super) fn let_go_of_streams() -> Result<()> {
    let null = fs::open(c"/dev/null", libc::O_RDWR)?;
    for stream in 0..3 {
        fs::duplicate_onto(null.as_fd(), stream)?;
    }
    Ok(())
}

/// Whatever the caller of sbx had open is not ours to keep open.
pub(super) fn close_all_but<const N: usize>(mut kept: [RawFd; N]) -> Result<()> {
    kept.sort_unstable();
    let mut next = 3;
    for fd in kept {
        let fd = fd.cast_unsigned();
        if next < fd {
            fs::close_range(next, fd - 1)?;
        }
        next = fd + 1;
    }
    fs::close_range(next, u32::MAX)
}

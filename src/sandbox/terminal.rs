//! Between the user's terminal and the sandbox's own: bytes both ways, window size, modes.
//!
//! The command never holds a descriptor of the user's terminal, so TIOCSTI, TIOCLINUX and mode changes have nothing to act on.
//!
//! A command is *attended* when it is in the foreground of its terminal: then the user's terminal is raw and its keys are passed on.
//! A run that stands in a pipeline or in the background leaves the terminal to its neighbours; its command starts behind its own
//! terminal, so that the kernel stops it (SIGTTIN, SIGTTOU) when it asks for keys, which is when it becomes attended.

use super::buffer::Buffer;
use super::operation::Streams;
use super::output::Allowance;
use crate::sys::socket::{self, Watch};
use crate::sys::tty::{self, Modes};
use crate::sys::{Errno, fs};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

/// The number of the stream that keys come from.
fn keys(streams: Streams, own: Streams) -> RawFd {
    if streams.terminal[0] {
        return 0;
    }
    (0..)
        .zip(own.terminal)
        .find_map(|(stream, terminal)| terminal.then_some(stream))
        .unwrap_or(0)
}

fn is_terminal(own: Streams, stream: RawFd) -> bool {
    usize::try_from(stream).is_ok_and(|s| own.terminal.get(s).copied().unwrap_or_default())
}

/// Whether the command starts in the foreground of its terminal: the user has the terminal to this run alone, or keys are no keys
/// but bytes of a pipe. Without an init nobody could put the command there later, so it always is.
pub(super) fn attended(streams: Streams, own: Streams, init: bool) -> bool {
    if !streams.any() {
        return true;
    }
    let keys = keys(streams, own);
    if !is_terminal(own, keys) {
        return true;
    }
    let alone = own.terminal[0] && own.terminal[1];
    fs::borrow_numbered(keys).is_ok_and(|terminal| tty::in_front(terminal.as_fd())) && (alone || !init)
}

/// A descriptor of one of our streams. A terminal is opened once more, so that it can be made never to block without making it so for
/// the user's shell; where both ways are refused, it is shared.
fn take(stream: RawFd, terminal: bool) -> Result<OwnedFd, Errno> {
    if terminal
        && let Ok(path) = CString::new(format!("/proc/self/fd/{stream}"))
        && let Ok(again) = fs::open(&path, libc::O_RDWR | libc::O_NONBLOCK)
    {
        return Ok(again);
    }
    let shared = OwnedFd::from(fs::borrow_numbered(stream)?);
    // Its owner may be another user (su(1)): the controlling terminal can be opened all the same.
    if terminal
        && let Ok(own) = fs::open(c"/dev/tty", libc::O_RDWR | libc::O_NONBLOCK)
        && tty::same(own.as_fd(), shared.as_fd())
    {
        return Ok(own);
    }
    Ok(shared)
}

/// The relay.
pub(super) struct Relay {
    master: Option<OwnedFd>,
    /// Where keys come from; `None` after their end.
    keys: Option<OwnedFd>,
    /// Whether they are pressed on a terminal.
    keyboard: bool,
    /// Where output goes.
    output: Option<OwnedFd>,
    /// Whether that is a terminal.
    screen: bool,
    attended: bool,
    /// The user's modes, while they are not in force.
    saved: Option<Modes>,
    /// A carriage return that may belong to a newline.
    held: bool,
    inward: Buffer,
    outward: Buffer,
}

impl Relay {
    /// Takes over the master.
    pub(super) fn new(master: OwnedFd, streams: Streams, own: Streams, attended: bool) -> Self {
        // Standard output when that is relayed, for `-t` even when it is a pipe.
        let output = match streams.terminal {
            [_, true, _] => 1,
            [_, false, true] => 2,
            _ => 0,
        };
        let keys = keys(streams, own);
        let (keyboard, screen) = (is_terminal(own, keys), is_terminal(own, output));
        let mut relay = Self {
            master: Some(master),
            keys: take(keys, keyboard).ok(),
            keyboard,
            output: take(output, screen).ok(),
            screen,
            attended: false,
            saved: None,
            held: false,
            inward: Buffer::new(),
            outward: Buffer::new(),
        };
        if attended {
            relay.attend();
        }
        relay
    }

    /// Whether the user's shell has put this run in the foreground.
    pub(super) fn in_front(&self) -> bool {
        !self.keyboard || self.keys.as_ref().is_none_or(|k| tty::in_front(k.as_fd()))
    }

    /// Stops as the kernel stops a job that touches the terminal from the background, until it is in front. The kernel looks and stops
    /// in one go: had we looked first, a shell that puts us in front in between would find us stopped for good. `false` when there
    /// is no terminal to ask.
    pub(super) fn wait_for_front(&self) -> bool {
        let (true, Some(keys)) = (self.keyboard, &self.keys) else {
            return false;
        };
        tty::touch(keys.as_fd()).is_ok()
    }

    /// Whether keys are passed on.
    pub(super) fn attended(&self) -> bool {
        self.attended
    }

    /// Keys go to the command from here on, all of them as they are.
    pub(super) fn attend(&mut self) {
        self.attended = true;
        if let (true, None, Some(keys)) = (self.keyboard, &self.saved, &self.keys)
            && let Ok(modes) = tty::modes(keys.as_fd())
            && tty::set_modes(keys.as_fd(), &modes.raw()).is_ok()
        {
            self.saved = Some(modes);
        }
        self.resize();
    }

    /// The user's terminal as it was; keys stay with whoever else reads it.
    pub(super) fn restore(&mut self) {
        // From the background it would stop us, and disturb whoever has the terminal now.
        if let (Some(modes), Some(keys)) = (self.saved.take(), &self.keys)
            && tty::in_front(keys.as_fd())
        {
            let _ = tty::set_modes(keys.as_fd(), &modes);
        }
        self.attended = !self.keyboard;
    }

    /// Hands the window's size on.
    pub(super) fn resize(&self) {
        let Some(master) = &self.master else { return };
        let terminals = [(self.screen, &self.output), (self.keyboard, &self.keys)];
        for terminal in terminals
            .iter()
            .filter_map(|(is, fd)| fd.as_ref().filter(|_| *is))
        {
            if tty::copy_size(terminal.as_fd(), master.as_fd()).is_ok() {
                return;
            }
        }
    }

    /// What to wait for: reading and writing of the master, of the keys, of the output.
    pub(super) fn watches(&self) -> [Watch; 4] {
        let number = |fd: &Option<OwnedFd>| fd.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        let master = number(&self.master);
        let takes = self.attended && self.inward.is_empty() && self.master.is_some();
        [
            Watch::read(master).when(self.outward.is_empty()),
            Watch::write(master).when(!self.inward.is_empty()),
            Watch::read(number(&self.keys)).when(takes),
            Watch::write(number(&self.output)).when(!self.outward.is_empty()),
        ]
    }

    /// Moves bytes where poll has seen that it can be done.
    pub(super) fn step(&mut self, watches: &[Watch], allowance: &mut Allowance) {
        let ready = |i: usize| watches.get(i).is_some_and(Watch::ready);
        if ready(0) {
            self.read_master(allowance);
        }
        if ready(1) {
            self.write_master();
        }
        if ready(2) {
            self.read_keys();
        }
        if ready(3) || self.output.is_none() {
            self.write_output();
        }
    }

    fn read_master(&mut self, allowance: &mut Allowance) {
        let Some(master) = &self.master else { return };
        match self.outward.fill(master.as_fd()) {
            Ok(n) if n > 0 => allowance.count(&mut self.outward),
            Err(Errno::EINTR | Errno::EAGAIN) => return,
            // EIO: nobody has the slave open any more, and all its output has been read.
            _ => {
                self.outward = Buffer::new();
                self.master = None;
            }
        }
        if std::mem::take(&mut self.held) {
            self.outward.precede(b'\r');
        }
        // The user's terminal turns newlines into two characters too, unless it is raw.
        if self.screen && self.saved.is_none() && self.master.is_some() {
            self.held = self.outward.fold_newlines();
        }
    }

    fn write_master(&mut self) {
        let Some(master) = &self.master else { return };
        match self.inward.drain(master.as_fd()) {
            Ok(()) | Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(_) => self.inward = Buffer::new(),
        }
    }

    fn read_keys(&mut self) {
        let Some(keys) = &self.keys else { return };
        match self.inward.fill(keys.as_fd()) {
            Ok(0) if !self.keyboard => {
                self.keys = None;
                // A pipe's end becomes the key that ends a terminal's input.
                self.inward.precede(4);
            }
            Ok(n) if n > 0 => {}
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            // Hung up.
            _ => self.keys = None,
        }
    }

    fn write_output(&mut self) {
        let done = self
            .output
            .as_ref()
            .map_or(Err(Errno::EBADF), |output| self.outward.drain(output.as_fd()));
        match done {
            Ok(()) | Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(_) => self.outward = Buffer::new(),
        }
    }

    /// What the command wrote before it stopped comes out before this run stops too.
    pub(super) fn flush(&mut self, allowance: &mut Allowance) {
        /// More than a pseudo-terminal holds, in reads of less than a page: others inside may write on without end.
        const ROUNDS: usize = 64;
        for _ in 0..ROUNDS {
            let [master, _, _, output] = self.watches();
            let mut watches = [master, output];
            if socket::poll(&mut watches, 0).is_err() || watches.iter().all(|w| !w.ready()) {
                break;
            }
            if watches[0].ready() {
                self.read_master(allowance);
            }
            if watches[1].ready() || self.output.is_none() {
                self.write_output();
            }
        }
    }

    /// Nobody is there any more who would read keys.
    pub(super) fn take_no_keys(&mut self) {
        self.attended = false;
    }

    /// Whether the command may still write.
    pub(super) fn open(&self) -> bool {
        self.master.is_some()
    }

    /// Whether it has written what is not out yet.
    pub(super) fn unsent(&self) -> bool {
        !self.outward.is_empty()
    }
}

/// What is not relayed depends on the command alone: the other end of a pipe must see its end when the command closes it.
pub(super) fn let_go() {
    if let Ok(null) = fs::open(c"/dev/null", libc::O_RDWR) {
        for stream in [0, 1] {
            let _ = fs::duplicate_onto(null.as_fd(), stream);
        }
    }
}

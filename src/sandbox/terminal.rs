//! Between the user's terminal and the sandbox's own: bytes both ways, window size, job control.
//!
//! The command never holds a descriptor of the user's terminal, so TIOCSTI, TIOCLINUX and mode changes have nothing to act on.

use super::operation::Streams;
use crate::sys::socket::Watch;
use crate::sys::tty::{self, Modes};
use crate::sys::{Errno, fs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Bytes on their way.
struct Buffer {
    bytes: [u8; 4096],
    start: usize,
    end: usize,
}

impl Buffer {
    const EMPTY: Self = Self {
        bytes: [0; 4096],
        start: 0,
        end: 0,
    };

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    fn waiting(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Reads when nothing is waiting. The number of bytes; 0 is the end.
    fn fill(&mut self, from: BorrowedFd<'_>) -> Result<usize, Errno> {
        let got = nix::unistd::read(from, &mut self.bytes)?;
        (self.start, self.end) = (0, got);
        Ok(got)
    }

    fn drain(&mut self, to: BorrowedFd<'_>) -> Result<(), Errno> {
        self.start += nix::unistd::write(to, self.waiting())?;
        Ok(())
    }
}

/// The relay.
pub(super) struct Relay {
    master: Option<OwnedFd>,
    /// Standard input is still open.
    input: bool,
    /// The user's modes, when standard input is a terminal.
    saved: Option<Modes>,
    /// Where output goes.
    output: i32,
    inward: Buffer,
    outward: Buffer,
}

impl Relay {
    /// Takes over the master. Keys are passed through as they are when standard input is a terminal.
    pub(super) fn new(master: OwnedFd, streams: Streams, own: Streams) -> Self {
        let output = match own.terminal {
            [_, true, _] => 1,
            [_, false, true] => 2,
            [true, false, false] => 0,
            [false, false, false] => 1,
        };
        let saved = if own.terminal[0] {
            tty::modes(std::io::stdin().as_fd()).ok()
        } else {
            None
        };
        let input = streams.terminal[0];
        let mut relay = Self {
            master: Some(master),
            input,
            saved,
            output,
            inward: Buffer::EMPTY,
            outward: Buffer::EMPTY,
        };
        relay.resume();
        relay
    }

    /// The user's terminal as the sandbox wants it.
    pub(super) fn resume(&mut self) {
        if let Some(modes) = &self.saved {
            let _ = tty::set_modes(std::io::stdin().as_fd(), &modes.raw());
        }
        self.resize();
    }

    /// The user's terminal as it was.
    pub(super) fn restore(&self) {
        if let Some(modes) = &self.saved {
            let _ = tty::set_modes(std::io::stdin().as_fd(), modes);
        }
    }

    /// Hands the window's size on.
    pub(super) fn resize(&self) {
        let Some(master) = &self.master else { return };
        let _ = match self.output {
            0 => tty::copy_size(std::io::stdin().as_fd(), master.as_fd()),
            2 => tty::copy_size(std::io::stderr().as_fd(), master.as_fd()),
            _ => tty::copy_size(std::io::stdout().as_fd(), master.as_fd()),
        };
    }

    /// What to wait for: reading and writing of the master, of standard input, of the output.
    pub(super) fn watches(&self) -> [Watch; 4] {
        let master = self.master.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        let watch = |wanted: bool, fd: i32, write: bool| Watch {
            fd: if wanted { fd } else { -1 },
            write,
            ready: false,
        };
        [
            watch(self.outward.is_empty(), master, false),
            watch(!self.inward.is_empty(), master, true),
            watch(self.input && self.inward.is_empty(), 0, false),
            watch(!self.outward.is_empty(), self.output, true),
        ]
    }

    /// Moves bytes where poll has seen that it can be done.
    pub(super) fn step(&mut self, watches: &[Watch]) {
        let ready = |i: usize| watches.get(i).is_some_and(|w| w.ready);
        if ready(0) {
            self.read_master();
        }
        if ready(1) {
            if let Some(master) = &self.master {
                if self.inward.drain(master.as_fd()).is_err() {
                    self.inward = Buffer::EMPTY;
                }
            }
        }
        if ready(2) {
            self.read_input();
        }
        if ready(3) {
            self.write_output();
        }
    }

    fn read_master(&mut self) {
        let Some(master) = &self.master else { return };
        // EIO: nobody has the slave open any more, and all its output has been read.
        match self.outward.fill(master.as_fd()) {
            Ok(n) if n > 0 => {}
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            _ => self.master = None,
        }
    }

    fn read_input(&mut self) {
        match self.inward.fill(std::io::stdin().as_fd()) {
            Ok(0) | Err(Errno::EIO | Errno::EBADF) => {
                self.input = false;
                // A pipe's end becomes the key that ends a terminal's input.
                self.inward.bytes[0] = 4;
                (self.inward.start, self.inward.end) = (0, 1);
            }
            _ => {}
        }
    }

    fn write_output(&mut self) {
        let done = match self.output {
            0 => self.outward.drain(std::io::stdin().as_fd()),
            2 => self.outward.drain(std::io::stderr().as_fd()),
            _ => self.outward.drain(std::io::stdout().as_fd()),
        };
        match done {
            Ok(()) | Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(_) => self.outward = Buffer::EMPTY,
        }
    }

    /// What the command wrote before it ended still comes out.
    pub(super) fn finish(mut self) {
        while self.master.is_some() || !self.outward.is_empty() {
            let mut watches = self.watches();
            watches[2].fd = -1;
            watches[1].fd = -1;
            // Nobody writes any more: what is not there at once will not come.
            if crate::sys::socket::poll(&mut watches, 1000).is_err() || watches.iter().all(|w| !w.ready) {
                break;
            }
            self.step(&watches);
        }
        self.restore();
    }
}

/// Where nothing is relayed, the other ends of our pipes depend on the command alone.
pub(super) fn let_go(streams: Streams) {
    if streams.any() {
        return;
    }
    if let Ok(null) = fs::open(c"/dev/null", libc::O_RDWR) {
        for stream in [0, 1] {
            let _ = fs::duplicate_onto(null.as_fd(), stream);
        }
    }
}

//! What the command writes to its standard streams, where there is a limit to it: counted on its way, and cut where the limit is.
//!
//! A stream that is no terminal becomes a pipe, which this process empties into the stream. Those that are terminals pass through the
//! relay of the sandbox's own terminal, and count as well.

use super::buffer::Buffer;
use super::operation::Streams;
use crate::model::Bytes;
use crate::sys::socket::Watch;
use crate::sys::{Errno, fs};
use nix::fcntl::OFlag;
use nix::sys::stat::fstat;
use nix::unistd::pipe2;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// How much may pass, all streams together.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Allowance {
    most: Option<u64>,
    passed: u64,
    exceeded: bool,
}

impl Allowance {
    pub(super) fn new(most: Option<Bytes>) -> Self {
        Self {
            most: most.map(|most| most.0),
            ..Self::default()
        }
    }

    /// Counts what was just read, and cuts off what is too much.
    pub(super) fn count(&mut self, buffer: &mut Buffer) {
        let Some(most) = self.most else { return };
        let left = most.saturating_sub(self.passed);
        let read = u64::try_from(buffer.waiting().len()).unwrap_or(u64::MAX);
        if read > left {
            self.exceeded = true;
            buffer.cut(usize::try_from(left).unwrap_or(usize::MAX));
        }
        self.passed += read.min(left);
    }

    /// Whether something was cut off.
    pub(super) fn exceeded(&self) -> bool {
        self.exceeded
    }

    /// How much has passed, where it is counted.
    pub(super) fn passed(&self) -> Option<u64> {
        self.most.map(|_| self.passed)
    }
}

/// The end of a pipe that the command gets, and in place of which of its streams.
pub(super) type Inlet = (OwnedFd, [bool; 3]);

/// One of our own streams, and the pipe that is emptied into it.
#[derive(Debug)]
struct Outlet {
    /// `None` at its end.
    from: Option<OwnedFd>,
    /// `None` when nothing will come any more: whoever reads it sees its end.
    to: Option<OwnedFd>,
    buffer: Buffer,
}

/// All of them, standard output and error at most.
#[derive(Debug, Default)]
pub(super) struct Outlets {
    all: Vec<Outlet>,
    failed: Option<Errno>,
}

impl Outlets {
    /// A pipe for each output that is no terminal; one for both where they are the same file, so that their order stays.
    pub(super) fn make(streams: Streams) -> Result<(Self, Vec<Inlet>), Errno> {
        let [_, output, error] = streams.terminal;
        let sets: &[[bool; 3]] = match (!output, !error) {
            (true, true) if same_file()? => &[[false, true, true]],
            (true, true) => &[[false, true, false], [false, false, true]],
            (true, false) => &[[false, true, false]],
            (false, true) => &[[false, false, true]],
            (false, false) => &[],
        };
        let (mut outlets, mut inlets) = (Self::default(), Vec::new());
        for set in sets {
            let (from, inlet) = pipe2(OFlag::O_CLOEXEC)?;
            let stream = if set[1] { 1 } else { 2 };
            outlets.all.push(Outlet {
                from: Some(from),
                to: Some(fs::borrow_numbered(stream)?.into()),
                buffer: Buffer::new(),
            });
            inlets.push((inlet, *set));
        }
        Ok((outlets, inlets))
    }

    /// What to wait for: reading and writing of each.
    pub(super) fn watches(&self) -> [Watch; 4] {
        let mut watches = [Watch::NONE; 4];
        for (two, outlet) in watches.chunks_exact_mut(2).zip(&self.all) {
            two.copy_from_slice(&outlet.watches());
        }
        watches
    }

    /// Moves bytes where poll has seen that it can be done.
    pub(super) fn step(&mut self, watches: &[Watch], allowance: &mut Allowance) {
        for (two, outlet) in watches.chunks_exact(2).zip(&mut self.all) {
            if two.first().is_some_and(Watch::ready) {
                outlet.read(allowance);
            }
            if two.last().is_some_and(Watch::ready)
                && let Err(errno) = outlet.write()
            {
                self.failed.get_or_insert(errno);
            }
        }
    }

    /// Whether something may still come.
    pub(super) fn open(&self) -> bool {
        self.all.iter().any(|outlet| outlet.from.is_some())
    }

    /// Whether something has come that is not out yet.
    pub(super) fn unsent(&self) -> bool {
        self.all.iter().any(|outlet| !outlet.buffer.is_empty())
    }

    /// Why something could not be written, if so. That nobody reads it any more is no failure: the command sees it, as it would without us.
    pub(super) fn failed(&self) -> Option<Errno> {
        self.failed
    }
}

impl Outlet {
    fn watches(&self) -> [Watch; 2] {
        let number = |fd: &Option<OwnedFd>| fd.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        let empty = self.buffer.is_empty();
        [
            Watch::read(number(&self.from)).when(empty),
            Watch::write(number(&self.to)).when(!empty),
        ]
    }

    fn read(&mut self, allowance: &mut Allowance) {
        let Some(from) = &self.from else { return };
        match self.buffer.fill(from.as_fd()) {
            Ok(n) if n > 0 => allowance.count(&mut self.buffer),
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            _ => self.close(),
        }
    }

    /// Never more at once than a pipe takes whole where poll says that it can be written: the supervisor must not wait here.
    fn write(&mut self) -> Result<(), Errno> {
        let Some(to) = &self.to else { return Ok(()) };
        match self.buffer.drain(to.as_fd()) {
            Ok(()) | Err(Errno::EINTR | Errno::EAGAIN) => Ok(()),
            Err(errno) => {
                self.close();
                if errno == Errno::EPIPE { Ok(()) } else { Err(errno) }
            }
        }
    }

    fn close(&mut self) {
        (self.from, self.to) = (None, None);
        self.buffer = Buffer::new();
    }
}

fn same_file() -> Result<bool, Errno> {
    let [output, error] = [fs::borrow_numbered(1)?, fs::borrow_numbered(2)?];
    let (output, error) = (fstat(output)?, fstat(error)?);
    Ok((output.st_dev, output.st_ino) == (error.st_dev, error.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// What passes of parts that are written one after another.
    fn passed(most: u64, parts: &[&str]) -> (String, bool, Option<u64>) {
        let (mut allowance, mut out) = (Allowance::new(Some(Bytes(most))), Vec::new());
        for part in parts {
            let (from, to) = pipe2(OFlag::O_CLOEXEC).expect("a pipe");
            std::fs::File::from(to)
                .write_all(part.as_bytes())
                .expect("written");
            let mut buffer = Buffer::new();
            buffer.fill(from.as_fd()).expect("read");
            allowance.count(&mut buffer);
            out.extend_from_slice(buffer.waiting());
        }
        let out = String::from_utf8(out).expect("ASCII");
        (out, allowance.exceeded(), allowance.passed())
    }

    #[test]
    fn what_is_too_much_is_cut_off_and_told() {
        assert_eq!(passed(6, &["abc", "def"]), ("abcdef".into(), false, Some(6)));
        assert_eq!(passed(5, &["abc", "def"]), ("abcde".into(), true, Some(5)));
        assert_eq!(passed(3, &["abc", "d", "e"]), ("abc".into(), true, Some(3)));
        assert_eq!(passed(2, &["abc"]), ("ab".into(), true, Some(2)));
    }

    #[test]
    fn terminals_get_no_pipe() {
        for (terminal, expected) in [
            ([true, true, true], 0),
            ([true, true, false], 1),
            ([false, false, true], 1),
        ] {
            let (outlets, inlets) = Outlets::make(Streams { terminal }).expect("pipes");
            assert_eq!(
                (outlets.all.len(), inlets.len()),
                (expected, expected),
                "{terminal:?}"
            );
            for (_, set) in inlets {
                assert!(set.iter().zip(terminal).all(|(pipe, is)| !(*pipe && is)));
            }
        }
    }
}

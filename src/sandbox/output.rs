//! Standard streams that pass through pipes of the supervisor: outputs that are counted and cut at a limit, and regular files that the
//! command must not hold.
//!
//! Those that are terminals pass through the relay of the sandbox's own terminal, and count as well.

use super::buffer::Buffer;
use super::operation::Streams;
use crate::model::Bytes;
use crate::sys::socket::Watch;
use crate::sys::{Errno, fs};
use nix::fcntl::OFlag;
use nix::sys::stat::fstat;
use nix::unistd::pipe2;
use std::fs::File;
use std::io::{Seek, SeekFrom};
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
    /// Whether that is a regular file.
    file: bool,
    buffer: Buffer,
}

/// All of them, standard output and error at most, and standard input where that is relayed too.
#[derive(Debug, Default)]
pub(super) struct Outlets {
    all: Vec<Outlet>,
    feed: Option<Feed>,
    /// No file is written beyond this (`RLIMIT_FSIZE` of the command, which does not bound what the supervisor writes).
    file_size: Option<u64>,
    full: bool,
    failed: Option<Errno>,
    unread: Option<Errno>,
}

impl Outlets {
    /// A pipe for each of these streams; one for both outputs where they are the same file, so that their order stays.
    pub(super) fn make(
        piped: [bool; 3],
        streams: Streams,
        file_size: Option<u64>,
    ) -> Result<(Self, Vec<Inlet>), Errno> {
        let [input, output, error] = piped;
        let sets: &[[bool; 3]] = match (output, error) {
            (true, true) if same_file()? => &[[false, true, true]],
            (true, true) => &[[false, true, false], [false, false, true]],
            (true, false) => &[[false, true, false]],
            (false, true) => &[[false, false, true]],
            (false, false) => &[],
        };
        let (mut outlets, mut inlets) = (Self::default(), Vec::new());
        outlets.file_size = file_size;
        if input {
            let (inlet, to) = pipe2(OFlag::O_CLOEXEC)?;
            fs::set_nonblocking(to.as_fd())?;
            outlets.feed = Some(Feed::new(to, &inlet)?);
            inlets.push((inlet, [true, false, false]));
        }
        for set in sets {
            let (from, inlet) = pipe2(OFlag::O_CLOEXEC)?;
            // The command can open its end again in the other direction, and empty or fill the pipe behind poll's back.
            fs::set_nonblocking(from.as_fd())?;
            let stream: u8 = if set[1] { 1 } else { 2 };
            outlets.all.push(Outlet {
                from: Some(from),
                to: Some(fs::borrow_numbered(stream.into())?.into()),
                file: streams.file[usize::from(stream)],
                buffer: Buffer::new(),
            });
            inlets.push((inlet, *set));
        }
        Ok((outlets, inlets))
    }

    /// What to wait for: reading and writing of each.
    pub(super) fn watches(&self) -> [Watch; 5] {
        let mut watches = [Watch::NONE; 5];
        watches[4] = self.feed.as_ref().map_or(Watch::NONE, Feed::watch);
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
            if two.last().is_some_and(Watch::ready) {
                match outlet.write(self.file_size) {
                    Ok(()) => {}
                    Err(Errno::EFBIG) => self.full = true,
                    Err(errno) => {
                        self.failed.get_or_insert(errno);
                    }
                }
            }
        }
        if let (Some(feed), Some(true)) = (&mut self.feed, watches.get(4).map(Watch::ready)) {
            self.unread = feed.step().err().or(self.unread);
        }
    }

    /// Whether a file has become as large as it may be.
    pub(super) fn full(&self) -> bool {
        self.full
    }

    /// The file that is standard input is left where the command has read up to, for whoever reads on.
    pub(super) fn end_of_input(&mut self) {
        if let Some(feed) = self.feed.take() {
            feed.end();
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

    /// Why the file that is standard input could not be read, if so.
    pub(super) fn unread(&self) -> Option<Errno> {
        self.unread
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
    fn write(&mut self, file_size: Option<u64>) -> Result<(), Errno> {
        let Some(to) = &self.to else { return Ok(()) };
        let most = file_size.filter(|_| self.file);
        match self.buffer.drain_below(to.as_fd(), most) {
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

/// Standard input, and the pipe that it is copied to. It is read at an offset of our own: what the command does not read stays unread.
#[derive(Debug)]
struct Feed {
    from: File,
    /// `None` when all has been written.
    to: Option<OwnedFd>,
    /// The other end, which says at the end how much nobody has taken out of the pipe.
    inlet: OwnedFd,
    /// The file's offset at the start.
    start: u64,
    /// Where the next bytes are.
    at: u64,
    buffer: Buffer,
}

impl Feed {
    fn new(to: OwnedFd, inlet: &OwnedFd) -> Result<Self, Errno> {
        let from = File::from(OwnedFd::from(fs::borrow_numbered(0)?));
        let at = (&from).stream_position().unwrap_or_default();
        Ok(Self {
            from,
            to: Some(to),
            inlet: inlet
                .try_clone()
                .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or_default()))?,
            start: at,
            at,
            buffer: Buffer::new(),
        })
    }

    fn watch(&self) -> Watch {
        self.to
            .as_ref()
            .map_or(Watch::NONE, |to| Watch::write(to.as_raw_fd()))
    }

    /// Writes no more than a pipe takes at once, when poll has seen that it takes something.
    ///
    /// # Errors
    /// When the file cannot be read; the command sees its end.
    fn step(&mut self) -> Result<(), Errno> {
        let Some(to) = &self.to else { return Ok(()) };
        if self.buffer.is_empty() {
            match self.buffer.fill_at(&self.from, self.at) {
                Ok(read) if read > 0 => self.at += read as u64,
                Err(Errno::EINTR) => return Ok(()),
                read => {
                    self.to = None;
                    return read.map(drop);
                }
            }
        }
        match self.buffer.drain(to.as_fd()) {
            Ok(()) | Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(_) => self.to = None,
        }
        Ok(())
    }

    /// Moves the file's offset behind what the command has read, unless somebody else has moved it meanwhile.
    fn end(mut self) {
        let left = fs::bytes_in_pipe(self.inlet.as_fd()).unwrap_or_default();
        let unread = left + self.buffer.waiting().len();
        let at = self.at.saturating_sub(unread as u64).max(self.start);
        if self.from.stream_position().is_ok_and(|now| now == self.start) {
            let _ = self.from.seek(SeekFrom::Start(at));
        }
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
            File::from(to).write_all(part.as_bytes()).expect("written");
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
    fn streams_that_are_not_relayed_get_no_pipe() {
        for (piped, expected) in [
            ([false, false, false], 0),
            ([false, false, true], 1),
            ([false, true, false], 1),
            ([true, true, false], 2),
        ] {
            let (outlets, inlets) = Outlets::make(piped, Streams::default(), None).expect("pipes");
            let relayed = outlets.all.len() + usize::from(outlets.feed.is_some());
            assert_eq!((relayed, inlets.len()), (expected, expected), "{piped:?}");
            for (_, set) in inlets {
                assert!(set.iter().zip(piped).all(|(pipe, wanted)| wanted || !*pipe));
            }
        }
    }

    /// The command can open its end again in the other direction: what poll has seen may be gone when this process reads or writes.
    #[test]
    fn the_supervisor_never_waits_for_a_pipe() {
        let (outlets, _inlets) = Outlets::make([true, true, false], Streams::default(), None).expect("pipes");
        let outputs = outlets.all.iter().filter_map(|outlet| outlet.from.as_ref());
        let ends: Vec<_> = outputs
            .chain(outlets.feed.iter().filter_map(|feed| feed.to.as_ref()))
            .collect();
        assert_eq!(ends.len(), 2);
        for end in ends {
            let flags = nix::fcntl::fcntl(end, nix::fcntl::FcntlArg::F_GETFL).expect("flags");
            assert!(OFlag::from_bits_retain(flags).contains(OFlag::O_NONBLOCK));
        }
    }
}

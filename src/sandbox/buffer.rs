//! Bytes between two streams, in a place that was allocated once.

use crate::sys::{Errno, fs};
use std::fs::File;
use std::os::fd::BorrowedFd;

/// Bytes on their way, less than a page: as much as a pipe takes at once. The first place is kept free for a carriage return that was
/// held back.
#[derive(Debug)]
pub(super) struct Buffer {
    /// On the heap: on the stack of a supervisor, even one without a terminal would touch their pages.
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0; 4096].into_boxed_slice(),
            start: 0,
            end: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(super) fn waiting(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Reads when nothing is waiting. The number of bytes; 0 is the end.
    pub(super) fn fill(&mut self, from: BorrowedFd<'_>) -> Result<usize, Errno> {
        let got = nix::unistd::read(from, self.bytes.get_mut(1..).unwrap_or_default())?;
        (self.start, self.end) = (1, got + 1);
        Ok(got)
    }

    pub(super) fn drain(&mut self, to: BorrowedFd<'_>) -> Result<(), Errno> {
        self.start += nix::unistd::write(to, self.waiting())?;
        Ok(())
    }

    /// Reads from an offset of a file when nothing is waiting. The number of bytes; 0 is the end.
    pub(super) fn fill_at(&mut self, from: &File, offset: u64) -> Result<usize, Errno> {
        let offset = i64::try_from(offset).map_err(|_| Errno::EOVERFLOW)?;
        let got = nix::sys::uio::pread(from, self.bytes.get_mut(1..).unwrap_or_default(), offset)?;
        (self.start, self.end) = (1, got + 1);
        Ok(got)
    }

    /// Writes nothing beyond this offset of a file, if one is given: then EFBIG, as with `RLIMIT_FSIZE`.
    pub(super) fn drain_below(&mut self, to: BorrowedFd<'_>, most: Option<u64>) -> Result<(), Errno> {
        let Some(most) = most else { return self.drain(to) };
        let room = most.saturating_sub(fs::write_position(to)?);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        if room == 0 {
            return Err(Errno::EFBIG);
        }
        let part = self.waiting().get(..room).unwrap_or(self.waiting());
        self.start += nix::unistd::write(to, part)?;
        Ok(())
    }

    /// Forgets what is behind the first so many.
    pub(super) fn cut(&mut self, length: usize) {
        self.end = self.end.min(self.start.saturating_add(length));
    }

    /// Puts one byte in front of what was just read.
    pub(super) fn precede(&mut self, byte: u8) {
        if self.is_empty() {
            (self.start, self.end) = (1, 1);
        }
        self.start = 0;
        self.set(0, byte);
    }

    /// Takes the carriage return from before each newline. Whether one was held back at the end, since what follows is not known.
    pub(super) fn fold_newlines(&mut self) -> bool {
        let mut to = self.start;
        let mut held = false;
        for from in self.start..self.end {
            let byte = self.bytes.get(from).copied().unwrap_or_default();
            if held && byte != b'\n' {
                self.set(to, b'\r');
                to += 1;
            }
            held = byte == b'\r';
            if !held {
                self.set(to, byte);
                to += 1;
            }
        }
        self.end = to;
        held
    }

    fn set(&mut self, at: usize, byte: u8) {
        if let Some(place) = self.bytes.get_mut(at) {
            *place = byte;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(parts: &[&str]) -> String {
        let (mut buffer, mut held, mut out) = (Buffer::new(), false, Vec::new());
        for part in parts {
            (buffer.start, buffer.end) = (1, 1 + part.len());
            for (at, byte) in (1..).zip(part.bytes()) {
                buffer.set(at, byte);
            }
            if held {
                buffer.precede(b'\r');
            }
            held = buffer.fold_newlines();
            out.extend_from_slice(buffer.waiting());
        }
        String::from_utf8(out).expect("ASCII") + if held { "|" } else { "" }
    }

    #[test]
    fn newlines_are_folded_wherever_a_read_ends() {
        assert_eq!(folded(&["a\r\nb\r\n"]), "a\nb\n");
        assert_eq!(folded(&["a\r", "\nb"]), "a\nb");
        assert_eq!(folded(&["1%\r", "2%\r"]), "1%\r2%|");
        assert_eq!(folded(&["a\r\r\n"]), "a\r\n", "the command's own stays");
        assert_eq!(folded(&["\r", "\r", "\n", "\r"]), "\r\n|");
        assert_eq!(folded(&["\n\r\n"]), "\n\n");
    }
}

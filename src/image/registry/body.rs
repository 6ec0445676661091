//! Bodies: one that comes in must keep a least speed and has an end; one that goes out is a part of a file.

use super::error::Error;
use super::patience::Patience;
use super::place::Origin;
use super::wire::{Wire, slow};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::time::Instant;
use ureq::BodyReader;

/// The body of an answer.
pub(super) struct Incoming<'a> {
    wire: &'a Wire,
    what: String,
    from: Origin,
    reader: BodyReader<'static>,
    pace: Pace,
}

/// How fast something has been of late.
struct Pace {
    patience: Patience,
    since: Instant,
    bytes: u64,
}

impl Pace {
    fn new(patience: Patience) -> Self {
        Self {
            patience,
            since: Instant::now(),
            bytes: 0,
        }
    }

    /// Whether these bytes came soon enough. A connection that gives nothing at all is ended by the wire.
    fn keeps(&mut self, bytes: usize) -> bool {
        self.bytes += bytes as u64;
        if self.since.elapsed() < self.patience.window {
            return true;
        }
        let kept = self.bytes >= self.patience.least;
        (self.since, self.bytes) = (Instant::now(), 0);
        kept
    }
}

impl<'a> Incoming<'a> {
    pub(super) fn new(
        wire: &'a Wire,
        what: &str,
        from: &Origin,
        body: ureq::Body,
        patience: &Patience,
    ) -> Self {
        Self {
            wire,
            what: what.to_owned(),
            from: from.clone(),
            reader: body.into_reader(),
            pace: Pace::new(*patience),
        }
    }

    /// Some bytes; none at the end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let got = self.reader.read(buffer);
        let got = got.map_err(|e| self.wire.body_error(e, &self.what, &self.from))?;
        if got > 0 && !self.pace.keeps(got) {
            return Err(slow(&self.what, &self.pace.patience));
        }
        Ok(got)
    }

    /// All of it, if it is no more than `most` bytes.
    pub(super) fn all(&mut self, most: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let mut buffer = vec![0; 32 << 10];
        loop {
            let got = self.read(&mut buffer)?;
            if got == 0 {
                return Ok(bytes);
            }
            if bytes.len() as u64 + got as u64 > most {
                return Err(Error::Size {
                    what: self.what.clone(),
                    why: format!("the answer goes on beyond {most} bytes, which is all that is read of it"),
                });
            }
            bytes.extend_from_slice(&buffer[..got]);
        }
    }

    /// What there is of a message, up to `most` bytes, however it ends.
    pub(super) fn some(&mut self, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; most];
        let mut filled = 0;
        while let Ok(got) = self.read(&mut bytes[filled..]) {
            if got == 0 {
                break;
            }
            filled += got;
        }
        bytes.truncate(filled);
        bytes
    }
}

/// A part of a file, as the body of a request.
pub(super) struct Outgoing<'a> {
    file: &'a File,
    at: u64,
    end: u64,
    progress: &'a (dyn Fn(u64) + Sync),
}

impl<'a> Outgoing<'a> {
    pub(super) fn new(file: &'a File, from: u64, length: u64, progress: &'a (dyn Fn(u64) + Sync)) -> Self {
        Self {
            file,
            at: from,
            end: from + length,
            progress,
        }
    }
}

impl Read for Outgoing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        let got = self.file.read_at(&mut buffer[..wanted], self.at)?;
        self.at += got as u64;
        if got > 0 {
            (self.progress)(self.at);
        }
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn drops_are_no_stream() {
        let patience = Patience {
            window: Duration::from_millis(20),
            least: 100,
            ..Patience::default()
        };
        let mut pace = Pace::new(patience);
        assert!(pace.keeps(1));
        std::thread::sleep(patience.window);
        assert!(!pace.keeps(98));
        std::thread::sleep(patience.window);
        assert!(pace.keeps(100));
    }

    #[test]
    fn a_part_of_a_file_is_that_part() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"0123456789", 0).unwrap();
        let seen = std::sync::Mutex::new(0);
        let progress = |n| *seen.lock().unwrap() = n;
        let mut text = String::new();
        Outgoing::new(&file, 2, 5, &progress)
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!((text.as_str(), *seen.lock().unwrap()), ("23456", 7));
    }
}

//! gzip data: members one after another (RFC 1952, section 2.2), and zeros behind the last one.
//!
//! gzip(1) ignores zeros there, since tapes and block devices are filled up with them. Anything else behind a member must be a member.

use flate2::bufread::GzDecoder;
use std::io::{self, BufRead, BufReader, Read};

type Source<'a> = BufReader<Box<dyn Read + 'a>>;

/// Reads the contents of all members.
pub(super) struct Members<'a> {
    member: GzDecoder<Source<'a>>,
    ended: bool,
}

impl<'a> Members<'a> {
    pub(super) fn new(packed: impl Read + 'a, buffer: usize) -> Self {
        let source = BufReader::with_capacity(buffer, Box::new(packed) as Box<dyn Read + 'a>);
        Self {
            member: GzDecoder::new(source),
            ended: false,
        }
    }

    /// Goes on to the next member. The decoder's memory is used again: hostile archives have millions of members.
    fn next(&mut self) -> io::Result<()> {
        let nothing = BufReader::with_capacity(0, Box::new(io::empty()) as Box<dyn Read + 'a>);
        let mut source = self.member.reset(nothing);
        match source.fill_buf()?.first() {
            None => self.ended = true,
            Some(0) => self.ended = only_zeros(&mut source)?,
            Some(_) => drop(self.member.reset(source)),
        }
        Ok(())
    }
}

impl Read for Members<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while !self.ended && !into.is_empty() {
            match self.member.read(into)? {
                0 => self.next()?,
                n => return Ok(n),
            }
        }
        Ok(0)
    }
}

/// Reads the padding to its end.
fn only_zeros(source: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let chunk = source.fill_buf()?;
        if chunk.iter().any(|byte| *byte != 0) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "something follows the zeros behind it",
            ));
        }
        match chunk.len() {
            0 => return Ok(true),
            n => source.consume(n),
        }
    }
}

//! The layer's bytes: unpacked, counted, hashed, and given out of one buffer.

use super::error::{Error, Result, limit};
use super::gzip::Members;
use crate::image::descriptor::Compression;
use crate::image::limits::Limits;
use crate::model::Digest;
use sha2::Digest as _;
use std::cell::{Cell, RefCell};
use std::io::{self, BufReader, Read};
use std::rc::Rc;

/// Large enough that a write is worth its call, small enough for the second-level cache.
const BUFFER: usize = 128 << 10;
/// Up to here no ratio is too high: it is nothing to a disk.
const SMALL: u64 = 64 << 20;
/// 128 MiB, what zstd's own tool reads without being told. Only a frame that says so makes the window that large; layers say 8 MiB.
const WINDOW_LOG: u32 = 27;
/// A tar's block.
pub(super) const BLOCK: usize = 512;

/// What is known of the packed bytes below the decoder.
#[derive(Default)]
struct Packed {
    read: Cell<u64>,
    failed: RefCell<Option<io::Error>>,
}

struct Counted<R> {
    inner: R,
    packed: Rc<Packed>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.inner.read(into) {
                Ok(n) => {
                    self.packed.read.set(self.packed.read.get() + n as u64);
                    return Ok(n);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    // A decoder may pass it on as its own; kept here, it is told from damage.
                    let kind = e.kind();
                    self.packed.failed.replace(Some(e));
                    return Err(kind.into());
                }
            }
        }
    }
}

/// The uncompressed stream.
pub(super) struct Stream<'a> {
    decoder: Box<dyn Read + 'a>,
    name: &'static str,
    packed: Rc<Packed>,
    limits: &'a Limits,
    progress: &'a mut dyn FnMut(u64),
    told: u64,
    buffer: Box<[u8]>,
    at: usize,
    end: usize,
    unpacked: u64,
    /// `None` where nobody asks what it all hashes to.
    hash: Option<sha2::Sha256>,
    /// What is read, for messages.
    what: &'static str,
}

impl<'a> Stream<'a> {
    pub(super) fn new(
        layer: impl Read + 'a,
        compression: Compression,
        limits: &'a Limits,
        progress: &'a mut dyn FnMut(u64),
    ) -> Result<Self> {
        let packed = Rc::new(Packed::default());
        let counted = Counted {
            inner: layer,
            packed: packed.clone(),
        };
        let (name, decoder): (_, Box<dyn Read + 'a>) = match compression {
            Compression::None => ("tar", Box::new(counted)),
            Compression::Gzip => ("gzip", Box::new(Members::new(counted, BUFFER / 2))),
            Compression::Zstd => {
                let buffered = BufReader::with_capacity(BUFFER / 2, counted);
                let mut decoder = zstd::stream::read::Decoder::with_buffer(buffered).map_err(Error::Read)?;
                decoder.window_log_max(WINDOW_LOG).map_err(Error::Read)?;
                ("zstd", Box::new(decoder))
            }
        };
        Ok(Self {
            decoder,
            name,
            packed,
            limits,
            progress,
            told: 0,
            buffer: vec![0; BUFFER].into(),
            at: 0,
            end: 0,
            unpacked: 0,
            hash: Some(sha2::Sha256::new()),
            what: "the layer",
        })
    }

    /// The same bytes as an archive of images: nobody asks what it hashes to, and it holds all the layers that there are.
    pub(super) fn of_images(mut self) -> Self {
        self.hash = None;
        self.what = "the archive";
        self
    }

    /// How many bytes have been taken.
    pub(super) fn taken(&self) -> u64 {
        self.unpacked - (self.end - self.at) as u64
    }

    /// Whatever is in the buffer, at least a byte; nothing at the end.
    pub(super) fn fill(&mut self) -> Result<&[u8]> {
        if self.at == self.end {
            (self.at, self.end) = (0, 0);
            while let Some(rest) = self.buffer.get_mut(self.end..).filter(|rest| !rest.is_empty()) {
                match self.decoder.read(rest) {
                    Ok(0) => break,
                    Ok(n) => self.end += n,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(self.broken(&e)),
                }
            }
            self.account()?;
        }
        Ok(self.buffer.get(self.at..self.end).unwrap_or_default())
    }

    fn broken(&self, e: &io::Error) -> Error {
        match self.packed.failed.take() {
            Some(e) => Error::Read(e),
            None => Error::Packing(self.name, e.to_string()),
        }
    }

    /// What has just been unpacked is counted and hashed before anything is made of it.
    fn account(&mut self) -> Result<()> {
        let fresh = self.buffer.get(..self.end).unwrap_or_default();
        self.unpacked += fresh.len() as u64;
        let (packed, limits) = (self.packed.read.get(), self.limits);
        let what = self.what;
        let (most_packed, most) = match self.hash {
            Some(_) => (limits.packed, limits.unpacked),
            None => (limits.image, limits.image),
        };
        if packed > most_packed.0 {
            return Err(limit(format!("{what} has too many packed bytes"), most_packed));
        }
        if self.unpacked > most.0 {
            return Err(limit(format!("{what} has too many bytes when unpacked"), most));
        }
        if self.unpacked > SMALL && self.unpacked / limits.ratio.max(1) > packed {
            let what = format!(
                "{what} has unpacked to {} bytes from {packed} and goes on",
                self.unpacked
            );
            return Err(limit(what, format!("{} to 1", limits.ratio)));
        }
        if let Some(hash) = &mut self.hash {
            hash.update(fresh);
        }
        if packed > self.told {
            self.told = packed;
            (self.progress)(packed);
        }
        Ok(())
    }

    /// Takes bytes that [`Self::fill`] has shown.
    pub(super) fn consume(&mut self, n: usize) {
        self.at = (self.at + n).min(self.end);
    }

    /// The next block; none when the stream ends before it.
    pub(super) fn block(&mut self) -> Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            let chunk = self.fill()?;
            let n = chunk.len().min(BLOCK - filled);
            if n == 0 {
                return match filled {
                    0 => Ok(None),
                    _ => Err(Error::Truncated("a block of 512 bytes".into())),
                };
            }
            if let (Some(to), Some(from)) = (block.get_mut(filled..filled + n), chunk.get(..n)) {
                to.copy_from_slice(from);
            }
            filled += n;
            self.consume(n);
        }
        Ok(Some(block))
    }

    /// Gives the next `length` bytes to `each`, piece by piece; false when the stream ends before.
    pub(super) fn pieces(
        &mut self,
        mut length: u64,
        mut each: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<bool> {
        while length > 0 {
            let chunk = self.fill()?;
            let n = chunk.len().min(usize::try_from(length).unwrap_or(usize::MAX));
            if n == 0 {
                return Ok(false);
            }
            each(chunk.get(..n).unwrap_or_default())?;
            self.consume(n);
            length -= n as u64;
        }
        Ok(true)
    }

    /// Reads to the very end; what the whole stream hashes to.
    pub(super) fn finish(mut self) -> Result<Digest> {
        loop {
            let n = self.fill()?.len();
            if n == 0 {
                let hash = self.hash.unwrap_or_default();
                return Ok(Digest::of_hash(hash.finalize().into()));
            }
            self.consume(n);
        }
    }
}

//! Blobs that come in: resumed where they were cut, exactly as long as announced, with the digest that was asked for.

use super::error::Error;
use super::exchange::Exchange;
use super::patience::Tries;
use super::repository::Repository;
use super::request::{Answer, Ask};
use crate::image::descriptor::Descriptor;
use crate::model::Digest;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const BUFFER: usize = 128 << 10;

/// See [`super::Client::blob`].
pub(super) fn blob(
    exchange: &Exchange,
    repository: &Repository,
    blob: &Descriptor,
    file: &File,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), Error> {
    let what = repository.blob(&blob.digest);
    let most = repository.limits.packed.0;
    if blob.size > most {
        let why = format!(
            "its manifest says {} bytes, more than the {most} that are read",
            blob.size
        );
        return Err(Error::Size { what, why });
    }
    let place = exchange.place(&repository.below(&format!("blobs/{}", blob.digest)))?;
    let mut download = Download {
        exchange,
        scope: repository.pull(),
        blob,
        ask: Ask::get(place, what.clone()),
        sink: Sink::new(file, what, progress),
        started_over: false,
    };
    let done = download.run();
    if let Err(Error::Size { .. } | Error::Digest { .. } | Error::Range { .. }) = done {
        download.sink.empty()?;
    }
    done
}

/// One blob on its way.
struct Download<'a> {
    exchange: &'a Exchange,
    scope: String,
    blob: &'a Descriptor,
    ask: Ask<'a>,
    sink: Sink<'a>,
    /// Whether what was there before has been given up already.
    started_over: bool,
}

/// What an answer is going to give.
struct Part {
    /// Where it ends, if it keeps its word.
    until: u64,
    /// Whether its end can be told from a connection that was cut.
    ends: bool,
}

impl<'a> Download<'a> {
    fn run(&mut self) -> Result<(), Error> {
        self.sink.resume(self.blob.size)?;
        let mut tries = self.exchange.tries();
        // The most that was ever there: what comes again after starting over is no progress.
        let mut best = self.sink.have;
        loop {
            if self.sink.have == self.blob.size && self.is_done()? {
                return Ok(());
            }
            let went = self.part(&mut tries);
            if self.sink.have > best {
                best = self.sink.have;
                tries.progress();
            }
            match went {
                Ok(()) => {}
                Err(e) if e.passing() && tries.again(None) => {}
                // A server that went away in the middle may be restarting.
                Err(Error::Unreachable { .. }) if best > 0 && tries.again(None) => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Whether all of it is right; false when what was there before may be to blame and is gone now.
    fn is_done(&mut self) -> Result<bool, Error> {
        let found = self.sink.digest();
        if found == self.blob.digest {
            return Ok(true);
        }
        if self.sink.inherited && !self.started_over {
            self.started_over = true;
            self.sink.empty()?;
            // An empty blob that is not empty cannot be fetched better.
            return Ok(false);
        }
        Err(Error::Digest {
            what: self.sink.what.clone(),
            found: found.to_string(),
            expected: self.blob.digest.to_string(),
        })
    }

    /// One question and its answer; `Ok` when there is nothing to complain of, though there may be more to ask for.
    fn part(&mut self, tries: &mut Tries) -> Result<(), Error> {
        self.ask.headers.clear();
        if self.sink.have > 0 {
            let range = format!("bytes={}-", self.sink.have);
            self.ask.headers.push(("Range", range));
        }
        let mut answer = self.exchange.send(&self.ask, &self.scope, tries)?;
        let part = match answer.status {
            200 => self.whole(&answer)?,
            206 => self.range(&answer)?,
            416 if self.sink.have > 0 && !self.started_over => {
                self.started_over = true;
                return self.sink.empty();
            }
            _ => return Err(answer.into_error(&self.sink.what)),
        };
        self.take(&mut answer, &part)
    }

    fn whole(&mut self, answer: &Answer<'_>) -> Result<Part, Error> {
        let size = self.blob.size;
        if let Some(length) = answer.length().filter(|l| *l != size) {
            return Err(self.wrong_size(&format!(
                "the registry announces {length} bytes instead of {size}"
            )));
        }
        if self.sink.have > 0 {
            self.sink.empty()?;
        }
        Ok(Part {
            until: size,
            ends: answer.header("transfer-encoding").is_some(),
        })
    }

    fn range(&self, answer: &Answer<'_>) -> Result<Part, Error> {
        let (have, size) = (self.sink.have, self.blob.size);
        let given = answer.header("content-range").unwrap_or_default();
        let wrong = |why: &str| Error::Range {
            what: self.sink.what.clone(),
            why: format!("`{}` came: {why}", super::error::shown(given)),
        };
        if have == 0 {
            return Err(wrong("no part was asked for"));
        }
        let (first, last, all) = content_range(given).ok_or_else(|| wrong("it makes no sense"))?;
        if first != have {
            return Err(wrong(&format!("the part from byte {have} was asked for")));
        }
        if last >= size || all.is_some_and(|all| all != size) {
            return Err(wrong(&format!("the blob has {size} bytes")));
        }
        if answer.length().is_some_and(|l| l != last - first + 1) {
            return Err(wrong("its length is another"));
        }
        Ok(Part {
            until: last + 1,
            ends: answer.header("transfer-encoding").is_some(),
        })
    }

    fn take(&mut self, answer: &mut Answer<'_>, part: &Part) -> Result<(), Error> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let got = answer.body().read(&mut buffer)?;
            let left = part.until - self.sink.have;
            if got as u64 > left {
                return Err(self.wrong_size(&format!(
                    "the bytes go on beyond the {} that belong to it",
                    part.until
                )));
            }
            if got > 0 {
                self.sink.take(&buffer[..got])?;
                continue;
            }
            if left == 0 {
                return Ok(());
            }
            let why = format!("after {} of {} bytes", self.sink.have, part.until);
            return Err(match part.ends {
                true => self.wrong_size(&format!("the bytes end {why}")),
                false => Error::Cut {
                    what: self.sink.what.clone(),
                    why,
                },
            });
        }
    }

    fn wrong_size(&self, why: &str) -> Error {
        Error::Size {
            what: self.sink.what.clone(),
            why: why.to_owned(),
        }
    }
}

/// `bytes FIRST-LAST/ALL` (RFC 9110, 14.4), with `*` for what is not known.
fn content_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u64>().ok()).flatten()
    };
    let (unit, rest) = text.trim().split_once(' ')?;
    let (range, all) = rest.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    let all = match all {
        "*" => None,
        all => Some(number(all)?),
    };
    (unit.eq_ignore_ascii_case("bytes") && first <= last && last < u64::MAX).then_some((first, last, all))
}

/// The file, and the hash of what is in it.
struct Sink<'a> {
    file: &'a File,
    what: String,
    progress: &'a (dyn Fn(u64) + Sync),
    have: u64,
    hash: Sha256,
    /// Whether some of it was there before.
    inherited: bool,
}

impl<'a> Sink<'a> {
    fn new(file: &'a File, what: String, progress: &'a (dyn Fn(u64) + Sync)) -> Self {
        Self {
            file,
            what,
            progress,
            have: 0,
            hash: Sha256::new(),
            inherited: false,
        }
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::File {
            what: self.what.clone(),
            source,
        }
    }

    /// Hashes what the file holds; more than the blob has cannot be its beginning.
    fn resume(&mut self, size: u64) -> Result<(), Error> {
        let length = self.file.metadata().map_err(|e| self.failed(e))?.len();
        if length > size {
            return self.empty();
        }
        let mut buffer = vec![0; BUFFER];
        while self.have < length {
            let wanted = usize::try_from(length - self.have).map_or(BUFFER, |n| n.min(BUFFER));
            let read = self.file.read_exact_at(&mut buffer[..wanted], self.have);
            read.map_err(|e| self.failed(e))?;
            self.hash.update(&buffer[..wanted]);
            self.have += wanted as u64;
        }
        self.inherited = self.have > 0;
        (self.progress)(self.have);
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let written = self.file.write_all_at(bytes, self.have);
        written.map_err(|e| self.failed(e))?;
        self.hash.update(bytes);
        self.have += bytes.len() as u64;
        (self.progress)(self.have);
        Ok(())
    }

    fn empty(&mut self) -> Result<(), Error> {
        self.file.set_len(0).map_err(|e| self.failed(e))?;
        self.hash = Sha256::new();
        self.have = 0;
        self.inherited = false;
        (self.progress)(0);
        Ok(())
    }

    fn digest(&self) -> Digest {
        Digest::of_hash(self.hash.clone().finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_to_the_letter() {
        for (text, expected) in [
            ("bytes 0-0/1", Some((0, 0, Some(1)))),
            ("bytes 5-9/10", Some((5, 9, Some(10)))),
            ("Bytes 5-9/*", Some((5, 9, None))),
            ("bytes 9-5/10", None),
            ("bytes -9/10", None),
            ("bytes 5-/10", None),
            ("bytes */10", None),
            ("bytes=5-9/10", None),
            ("bytes +5-9/10", None),
            ("bytes 5-9", None),
            ("bytes 5-18446744073709551615/*", None),
            ("bytes 5-99999999999999999999/*", None),
            ("lines 5-9/10", None),
            ("", None),
        ] {
            assert_eq!(content_range(text), expected, "{text}");
        }
    }
}

//! Blobs and manifests that go out.

use super::documents::{is_reference, told};
use super::error::{Error, shown};
use super::exchange::Exchange;
use super::patience::Tries;
use super::place::Place;
use super::repository::Repository;
use super::request::{Answer, Ask, Payload};
use crate::image::descriptor::Descriptor;
use crate::model::Digest;
use std::fs::File;
use ureq::http::Method;

/// A chunk where the registry wants chunks but does not say how large.
const CHUNK: u64 = 16 << 20;
/// The largest chunk that a registry may ask for.
const LARGEST: u64 = 1 << 30;
const OCTETS: &str = "application/octet-stream";

/// See [`super::Client::has_blob`].
pub(super) fn has_blob(exchange: &Exchange, repository: &Repository, digest: &Digest) -> Result<bool, Error> {
    let what = repository.blob(digest);
    let place = exchange.place(&repository.below(&format!("blobs/{digest}")))?;
    let ask = Ask::new(Method::HEAD, place, what.as_str());
    let answer = exchange.send(&ask, &repository.push(), &mut exchange.tries())?;
    match answer.status {
        200 => Ok(true),
        404 => Ok(false),
        _ => Err(answer.into_error(&what)),
    }
}

/// See [`super::Client::upload`].
pub(super) fn blob(
    exchange: &Exchange,
    repository: &Repository,
    blob: &Descriptor,
    file: &File,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), Error> {
    let what = repository.blob(&blob.digest);
    let length = file.metadata().map(|m| m.len()).map_err(|source| Error::File {
        what: what.clone(),
        source,
    })?;
    if length != blob.size {
        let why = format!("the file has {length} bytes, its descriptor says {}", blob.size);
        return Err(Error::Size { what, why });
    }
    let mut upload = Upload {
        exchange,
        repository,
        blob,
        file,
        progress,
        what,
        chunk: None,
    };
    upload.run(&mut exchange.tries())
}

/// See [`super::Client::put_manifest`].
pub(super) fn manifest(
    exchange: &Exchange,
    repository: &Repository,
    reference: &str,
    media_type: &str,
    bytes: &[u8],
) -> Result<(), Error> {
    let what = repository.named(reference);
    let digest = Digest::of(bytes);
    let asked: Option<Digest> = reference.parse().ok();
    if !is_reference(reference) || asked.is_some_and(|asked| asked != digest) {
        return Err(Error::Manifest {
            what,
            why: "it is pushed under a tag or under its own digest".to_owned(),
        });
    }
    let place = exchange.place(&repository.below(&format!("manifests/{reference}")))?;
    let ask = Ask::new(Method::PUT, place, what.as_str())
        .header("Content-Type", media_type)
        .payload(Payload::Bytes(bytes));
    let answer = exchange.send(&ask, &repository.push(), &mut exchange.tries())?;
    if !matches!(answer.status, 200..=202) {
        return Err(answer.into_error(&what));
    }
    match told(&answer).filter(|told| *told != digest) {
        Some(told) => Err(Error::Digest {
            what,
            found: told.to_string(),
            expected: digest.to_string(),
        }),
        None => Ok(()),
    }
}

/// One blob on its way.
struct Upload<'a> {
    exchange: &'a Exchange,
    repository: &'a Repository,
    blob: &'a Descriptor,
    file: &'a File,
    progress: &'a (dyn Fn(u64) + Sync),
    what: String,
    /// In chunks of this size, rather than at once.
    chunk: Option<u64>,
}

impl Upload<'_> {
    /// What fails in the middle begins anew: of a session that broke nobody knows how much it has.
    fn run(&mut self, tries: &mut Tries) -> Result<(), Error> {
        loop {
            match self.attempt(tries) {
                Ok(()) => return Ok(()),
                // Too large at once for somebody on the way.
                Err(Error::Status { status: 413, .. }) if self.chunk.is_none() => self.chunk = Some(CHUNK),
                Err(e) if e.passing() && tries.again(None) => {}
                Err(e) => return Err(e),
            }
        }
    }

    fn attempt(&mut self, tries: &mut Tries) -> Result<(), Error> {
        let place = self.exchange.place(&self.repository.below("blobs/uploads/"))?;
        let ask = Ask::new(Method::POST, place, self.what.as_str()).payload(Payload::Bytes(&[]));
        let answer = self.exchange.send(&ask, &self.repository.push(), tries)?;
        if answer.status != 202 {
            return Err(answer.into_error(&self.what));
        }
        if let Some(least) = answer
            .header("oci-chunk-min-length")
            .and_then(|l| l.trim().parse().ok())
        {
            self.chunk = Some(CHUNK.max(least).min(LARGEST));
        }
        let session = self.session(&ask, &answer)?;
        match self.chunk {
            Some(chunk) => self.in_chunks(session, chunk),
            None => {
                let payload = Payload::File(self.file, 0, self.blob.size, self.progress);
                self.finish(session, payload)
            }
        }
    }

    fn session(&self, ask: &Ask<'_>, answer: &Answer<'_>) -> Result<Place, Error> {
        let location = answer.header("location").ok_or_else(|| Error::Nonsense {
            what: self.what.clone(),
            host: answer.place.origin.to_string(),
            why: "it takes an upload without saying where".to_owned(),
        })?;
        ask.joined(&answer.place, location)
    }

    fn in_chunks(&self, mut session: Place, chunk: u64) -> Result<(), Error> {
        let mut at = 0;
        while at < self.blob.size {
            let length = chunk.min(self.blob.size - at);
            let ask = Ask::new(Method::PATCH, session, self.what.as_str())
                .header("Content-Type", OCTETS)
                .header("Content-Range", format!("{at}-{}", at + length - 1))
                .payload(Payload::File(self.file, at, length, self.progress));
            let answer = self.exchange.once(&ask, &self.repository.push())?;
            if answer.status != 202 {
                return Err(answer.into_error(&self.what));
            }
            session = self.session(&ask, &answer)?;
            at += length;
        }
        self.finish(session, Payload::Bytes(&[]))
    }

    fn finish(&self, session: Place, payload: Payload<'_>) -> Result<(), Error> {
        let digest = self.blob.digest.to_string();
        let ask = Ask::new(Method::PUT, session.with("digest", &digest), self.what.as_str())
            .header("Content-Type", OCTETS)
            .payload(payload);
        let answer = self.exchange.once(&ask, &self.repository.push())?;
        if !matches!(answer.status, 201 | 204) {
            return Err(answer.into_error(&self.what));
        }
        match answer.header("docker-content-digest") {
            Some(told) if told.trim() != digest => Err(Error::Digest {
                what: self.what.clone(),
                found: shown(told),
                expected: digest,
            }),
            _ => Ok(()),
        }
    }
}

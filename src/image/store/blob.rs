//! Blobs: files that are named after what they hash to.

use super::Store;
use super::error::Error;
use super::lock::{self, Holders, Lock, Wait};
use crate::image::descriptor::Descriptor;
use crate::image::document::{self, Config, Manifest};
use crate::image::limits::Limits;
use crate::model::Digest;
use nix::sys::stat::{FileStat, fstat};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;

pub(super) const BLOBS: &str = "blobs/sha256";
pub(super) const PARTIAL: &str = "partial";

pub(super) fn blob_name(digest: &Digest) -> String {
    format!("{BLOBS}/{}", digest.hex())
}

pub(super) fn partial_name(digest: &Digest) -> String {
    format!("{PARTIAL}/{}", digest.hex())
}

fn same(a: &FileStat, b: &FileStat) -> bool {
    (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)
}

fn length(stat: &FileStat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or_default()
}

/// What the store has of a blob.
#[derive(Debug)]
pub enum Partial<'a> {
    /// All of it.
    Complete,
    /// Perhaps a part, which is now this process's to continue.
    Open(PartialBlob<'a>),
}

/// A blob on its way. Nobody else writes it for as long as this lives; what is written stays for the next one.
#[derive(Debug)]
pub struct PartialBlob<'a> {
    store: &'a Store,
    digest: Digest,
    size: u64,
    lock: Lock,
}

impl Store {
    /// The path of a blob, whether it is there or not.
    #[must_use]
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        self.root.path(&blob_name(digest))
    }

    /// Opens a blob. What it holds was checked when it was put here, not now.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub fn open_blob(&self, digest: &Digest) -> Result<File, Error> {
        let file = self.root.file(&blob_name(digest))?;
        file.map(|(file, _)| file).ok_or(Error::Missing(*digest))
    }

    /// How many bytes a blob has; `None` when it is not there.
    ///
    /// # Errors
    /// As stat(2).
    pub fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        let stat = self.root.status(&blob_name(digest))?;
        Ok(stat
            .filter(|stat| stat.st_mode & libc::S_IFMT == libc::S_IFREG)
            .map(|stat| length(&stat)))
    }

    /// Begins to fetch a blob, or to continue. When another process fetches it, that is waited for; it is then complete, or this one's
    /// turn. A thread must not ask for a blob that it holds already.
    ///
    /// # Errors
    /// As open(2) and flock(2); [`Error::Busy`] when another process fetches it and must not be waited for.
    pub fn partial(&self, blob: &Descriptor, mut wait: Wait<'_>) -> Result<Partial<'_>, Error> {
        let name = partial_name(&blob.digest);
        loop {
            // A blob of the wrong size is damaged, or the descriptor lies; a new one takes its place, or none.
            if self.blob_size(&blob.digest)? == Some(blob.size) {
                return Ok(Partial::Complete);
            }
            let path = self.root.path(&name);
            let lock = lock::hold(self.root.create(&name)?, Holders::Alone, &mut wait, &path)?;
            let lock = lock.ok_or(Error::Busy)?;
            let stat = fstat(lock.file()).map_err(|e| Error::io("read the status of", &path, e))?;
            // Whoever held it may have finished it, and it has another name now.
            if !self.root.status(&name)?.is_some_and(|named| same(&named, &stat)) {
                continue;
            }
            if self.blob_size(&blob.digest)? == Some(blob.size) {
                self.root.unlink(&name)?;
                return Ok(Partial::Complete);
            }
            let open = PartialBlob {
                store: self,
                digest: blob.digest,
                size: blob.size,
                lock,
            };
            if length(&stat) > blob.size {
                open.restart()?;
            }
            return Ok(Partial::Open(open));
        }
    }

    /// Puts a small blob into the store.
    ///
    /// # Errors
    /// As write(2) and rename(2).
    pub fn put_blob(&self, bytes: &[u8]) -> Result<Digest, Error> {
        let descriptor = Descriptor::of("", bytes);
        if let Partial::Open(open) = self.partial(&descriptor, Wait::Silently)? {
            open.restart()?;
            let written = open.file().write_all(bytes);
            written.map_err(|e| Error::io("write", &open.path(), e))?;
            open.commit()?;
        }
        Ok(descriptor.digest)
    }

    /// A blob that is read whole: checked against its digest again, since a few KiB cost nothing.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Corrupt`].
    pub fn document(&self, digest: &Digest, limits: &Limits) -> Result<Vec<u8>, Error> {
        let bytes = self.root.read(&blob_name(digest), limits.document.0)?;
        let bytes = bytes.ok_or(Error::Missing(*digest))?;
        let found = Digest::of(&bytes);
        if found != *digest {
            return Err(Error::Corrupt {
                expected: *digest,
                found,
            });
        }
        Ok(bytes)
    }

    /// The manifest and the config of an image, and the digest of the config: its id.
    ///
    /// # Errors
    /// One is missing, has changed, or is refused.
    pub fn load(&self, manifest: &Digest) -> Result<(Manifest, Config, Digest), Error> {
        let limits = Limits::default();
        let refused = |blob| move |source| Error::Document { blob, source };
        let bytes = self.document(manifest, &limits)?;
        let read = document::parse_stored(&bytes, &limits).map_err(refused(*manifest))?;
        let id = read.config.digest;
        let bytes = self.document(&id, &limits)?;
        let config = Config::parse(&bytes, read.layers.len(), &limits).map_err(refused(id))?;
        Ok((read, config, id))
    }
}

impl PartialBlob<'_> {
    fn name(&self) -> String {
        partial_name(&self.digest)
    }

    fn path(&self) -> PathBuf {
        self.store.root.path(&self.name())
    }

    /// The file, to be read and written; what is there of it has been checked by nobody.
    #[must_use]
    pub fn file(&self) -> &File {
        self.lock.file()
    }

    /// How many bytes there are.
    ///
    /// # Errors
    /// As fstat(2).
    pub fn have(&self) -> Result<u64, Error> {
        let stat = fstat(self.file()).map_err(|e| Error::io("read the status of", &self.path(), e))?;
        Ok(length(&stat))
    }

    /// Throws away what there is.
    ///
    /// # Errors
    /// As ftruncate(2).
    pub fn restart(&self) -> Result<(), Error> {
        let emptied = self.file().set_len(0);
        let mut file = self.file();
        emptied
            .and_then(|()| file.seek(SeekFrom::Start(0)).map(drop))
            .map_err(|e| Error::io("empty", &self.path(), e))
    }

    /// Makes it a blob. The caller has read all of it and found that it hashes to its digest.
    ///
    /// # Errors
    /// [`Error::Size`]; as fsync(2) and rename(2).
    pub fn commit(self) -> Result<(), Error> {
        let found = self.have()?;
        if found != self.size {
            return Err(Error::Size {
                digest: self.digest,
                expected: self.size,
                found,
            });
        }
        let path = self.path();
        // The mode stays as it is: a file that its owner could not write would stop whoever goes on here, and skopeo, which writes a
        // manifest again that is there already.
        self.file().sync_all().map_err(|e| Error::io("sync", &path, e))?;
        self.store.root.rename(&self.name(), &blob_name(&self.digest))?;
        self.store.root.sync(BLOBS)
    }
}

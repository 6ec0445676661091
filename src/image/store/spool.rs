//! A file of the caller's on its way to the worker: what comes through a pipe, and what the worker could not open itself.

use super::Store;
use super::blob::PARTIAL;
use super::error::Error;
use super::lock::{self, Holders, Lock, Wait};
use std::fs::File;
use std::path::PathBuf;

/// How its name begins: no blob has such a one.
pub(super) const SPOOL: &str = ".spool-";

/// A file in the store that is removed when this is dropped, or pruned when nobody lives to do that.
#[derive(Debug)]
pub struct Spool<'a> {
    store: &'a Store,
    name: String,
    lock: Lock,
}

impl Store {
    /// Makes a file for bytes that are on their way to the worker.
    ///
    /// # Errors
    /// As open(2).
    pub fn spool(&self) -> Result<Spool<'_>, Error> {
        let clock = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
        let clock = clock.map_or(0, |time| time.tv_nsec());
        let name = format!("{PARTIAL}/{SPOOL}{}-{clock}", std::process::id());
        let (file, path) = (self.root.create(&name)?, self.root.path(&name));
        let lock = lock::hold(file, Holders::Alone, &mut Wait::Never, &path)?;
        let lock = lock.ok_or(Error::Busy)?;
        Ok(Spool {
            store: self,
            name,
            lock,
        })
    }
}

impl Spool<'_> {
    /// The file, to be written.
    #[must_use]
    pub fn file(&self) -> &File {
        self.lock.file()
    }

    /// Its name, from the store's directory on.
    #[must_use]
    pub fn within(&self) -> PathBuf {
        PathBuf::from(&self.name)
    }
}

impl Drop for Spool<'_> {
    fn drop(&mut self) {
        let _ = self.store.root.unlink(&self.name);
    }
}

//! A volume that is taken into use: at once, or filled first.

use super::Error;
use super::files::{made, open_mode, removed, synced, unlinked};
use super::lock::{Holders, Lock};
use super::store::{DATA, FRESH};
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

const NEW_DATA: &str = ".new-data";

/// A volume that nobody removes as long as this is held, by this process or by one that has inherited it.
#[derive(Debug)]
pub struct Held {
    pub(super) _lock: Lock,
}

/// A volume that is about to be used.
#[derive(Debug)]
pub enum Claim {
    /// It is as its users have left it.
    Ready(Held),
    /// Nobody has used it: it is to be filled first. Nobody else can use it meanwhile.
    Fresh(Filling),
}

/// A volume before its first use. Dropped, it is as if nobody had asked for it.
#[derive(Debug)]
pub struct Filling {
    pub(super) home: PathBuf,
    pub(super) lock: Lock,
}

impl Filling {
    /// Where the volume's files are made, before they have their name.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.home.join(NEW_DATA)
    }

    /// Makes [`Filling::path`] an empty directory; `false` when somebody has died who filled it, and files there belong to ids that the
    /// caller has no rights over.
    ///
    /// # Errors
    /// As mkdir(2).
    pub fn begin(&self) -> Result<bool, Error> {
        let new = self.path();
        // Once it is empty it can go, though its owner may be one whose directories the caller may not read.
        let emptied = fs::remove_dir(&new).is_ok();
        match if emptied { Ok(()) } else { removed(&new) } {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => {
                return Ok(false);
            }
            other => other?,
        }
        made(&new, 0o755)?;
        open_mode(&new)?;
        Ok(true)
    }

    /// Makes what lies at [`Filling::path`] the volume's files, on the disk first, and gives the volume for use. When nothing was begun
    /// there, it is used as it is, empty.
    ///
    /// # Errors
    /// As syncfs(2) and rename(2).
    pub fn commit(mut self) -> Result<Held, Error> {
        let (new, data) = (self.path(), self.home.join(DATA));
        let there = fs::symlink_metadata(&new).is_ok();
        if there {
            let home = File::open(&self.home).map_err(|e| Error::io("open", &self.home, e))?;
            nix::unistd::syncfs(&home).map_err(|e| Error::io("sync", &new, e))?;
            // An empty directory is replaced, in one step.
            fs::rename(&new, &data).map_err(|e| Error::io("rename", &new, e))?;
        }
        unlinked(&self.home.join(FRESH))?;
        synced(&self.home)?;
        let locked = self.lock.inherit(false);
        let locked = locked.and_then(|()| self.lock.change(Holders::Shared));
        locked.map_err(|e| Error::io("lock", &self.home, e))?;
        Ok(Held { _lock: self.lock })
    }
}

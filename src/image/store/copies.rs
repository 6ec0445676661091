//! What one run has on disk of its own: a copy of an image, where the kernel refuses overlay, or the upper layer of its root.
//!
//! Whoever uses one holds its lock, alone; the name is not used again. One whose lock is free belonged to a run that was killed.

use super::error::Error;
use super::layer::{Kind, TREE, name as layer_name};
use super::lock::{self, Holders};
use super::sweep::{Marks, Remove, Scope, Sweep};
use super::{Freed, Lock, Store, Wait};
use crate::model::Digest;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

pub(super) const COPIES: &str = "copies";
/// What the name of each begins with; behind it stand 16 hexadecimal digits.
pub(super) const COPY: &str = "copy-";

/// The name of a copy, held by whoever makes and uses it.
#[derive(Debug)]
pub struct Copy {
    kind: Kind,
    name: String,
    path: PathBuf,
    _lock: Lock,
}

impl Copy {
    /// Its name, as [`Store::copy_folder`] and [`Store::remove_remains`] take it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is, once it is made.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether a name is that of a copy.
pub(super) fn is_copy(name: &str) -> bool {
    let id = name.strip_prefix(COPY).unwrap_or_default();
    id.len() == 16 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Where those of a kind are in the store at a path.
#[must_use]
pub fn copies(store: &Path, kind: &Kind) -> PathBuf {
    store.join(folder(kind))
}

fn folder(kind: &Kind) -> String {
    format!("{COPIES}/{kind}")
}

impl Store {
    /// A name for a copy, which nobody else has.
    ///
    /// # Errors
    /// As mkdir(2), open(2) and flock(2).
    pub fn new_copy(&self, kind: Kind) -> Result<Copy, Error> {
        self.root.make_folder(COPIES)?;
        self.root.make_folder(&folder(&kind))?;
        loop {
            let clock = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
            let clock = clock.map_or(0, |time| time.tv_nsec());
            let name = format!("{COPY}{:08x}{clock:08x}", std::process::id());
            let path = format!("{}/{name}", folder(&kind));
            let lock = lock::take(&self.root, &name, Holders::Alone, Wait::Never)?;
            if let (Some(lock), None) = (lock, self.root.status(&path)?) {
                return Ok(Copy {
                    kind,
                    path: self.root.path(&path),
                    name,
                    _lock: lock,
                });
            }
        }
    }

    /// The empty directory that a copy is made in. For the process that owns its files.
    ///
    /// # Errors
    /// A name that is none; as mkdir(2), also when it is there.
    pub fn copy_folder(&self, kind: &Kind, name: &str) -> Result<OwnedFd, Error> {
        if !is_copy(name) {
            return Err(Error::NoSuchImage(name.to_owned()));
        }
        self.root.make_tree(&format!("{}/{name}", folder(kind)))
    }

    /// Makes the directory, for the upper layer of a run and all that belongs to it.
    ///
    /// # Errors
    /// As mkdir(2).
    pub fn make_upper(&self, copy: &Copy) -> Result<(), Error> {
        self.root
            .make_folder(&format!("{}/{}", folder(&copy.kind), copy.name))
    }

    /// The files of an unpacked layer.
    ///
    /// # Errors
    /// As open(2); [`Error::Absent`] when it is not unpacked.
    pub fn layer_folder(&self, kind: &Kind, diff_id: &Digest) -> Result<OwnedFd, Error> {
        let tree = format!("{}/{TREE}", layer_name(kind, "", diff_id));
        let absent = || Error::Absent(self.root.path(&tree));
        self.root.folder(&tree)?.ok_or_else(absent)
    }

    /// Removes a copy that is not needed any more. For `remove` see [`Remove`].
    ///
    /// # Errors
    /// As unlink(2). What could not be removed is told, and the next sweep tries again.
    pub fn drop_copy(&self, copy: Copy, remove: Remove<'_>) -> Result<Freed, Error> {
        // Another process may take the lock from here on; then it is the one that removes.
        let kind = copy.kind;
        drop(copy);
        self.sweep(remove, Some(kind))
    }

    /// Removes the copies of runs that were killed. For `remove` see [`Remove`].
    ///
    /// # Errors
    /// As open(2) and unlink(2). What could not be removed is told.
    pub fn sweep_copies(&self, remove: Remove<'_>) -> Result<Freed, Error> {
        self.sweep(remove, None)
    }

    fn sweep(&self, remove: Remove<'_>, kind: Option<Kind>) -> Result<Freed, Error> {
        let keep = Marks::default();
        let mut sweep = Sweep {
            store: self,
            keep: &keep,
            scope: Scope::Everything,
            only_told: false,
            remove,
            freed: Freed::default(),
        };
        match kind {
            Some(kind) => sweep.copies(&kind)?,
            None => sweep.all_copies()?,
        }
        Ok(sweep.freed)
    }
}

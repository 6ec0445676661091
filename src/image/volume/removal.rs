//! A volume on its way out.

use super::Error;
use super::files::{removed, unlinked};
use super::lock::Lock;
use std::io;
use std::path::{Path, PathBuf};

/// A volume that has lost its name, and whose files are to be removed.
#[derive(Debug)]
pub struct Removal {
    pub(super) path: PathBuf,
    pub(super) lock_path: PathBuf,
    pub(super) _lock: Lock,
}

impl Removal {
    /// The directory that is to be removed.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it; `false` when files in it belong to ids that the caller has no rights over.
    ///
    /// # Errors
    /// What unlink(2) answers besides.
    pub fn finish(&self) -> Result<bool, Error> {
        match removed(&self.path) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => Ok(false),
            Err(other) => Err(other),
            Ok(()) => {
                // The lock goes with the volume, unless somebody has made a new one meanwhile: then nobody could, without this lock.
                unlinked(&self.lock_path)?;
                Ok(true)
            }
        }
    }
}

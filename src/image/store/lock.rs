//! Locks between processes: flock(2) on files in `locks/`, so that a lock dies with whoever holds it.
//!
//! A lock's file may be removed by who holds it alone; whoever waited for it then finds that the file has no name any more, and begins
//! again with the one that has.

use super::error::Error;
use super::root::Root;
use nix::sys::stat::fstat;
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

/// How many may hold a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holders {
    /// Any number, but nobody alone.
    Shared,
    /// One.
    Alone,
}

/// What to do when another process holds a lock.
#[allow(missing_debug_implementations, reason = "a function has none")]
pub enum Wait<'a> {
    /// Not to wait.
    Never,
    /// To say so, and to wait.
    Saying(&'a mut dyn FnMut()),
    /// To wait.
    Silently,
}

/// A lock that is held until this is dropped, and by every process that has inherited it.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// The open file: whoever inherits it holds the lock too.
    #[must_use]
    pub fn into_file(self) -> File {
        self.file
    }
}

/// Takes a lock; `None` when another process holds it and it is not to be waited for.
pub(super) fn take(root: &Root, name: &str, how: Holders, mut wait: Wait<'_>) -> Result<Option<Lock>, Error> {
    let name = format!("locks/{name}");
    loop {
        let file = root.create(&name)?;
        if !hold(&file, how, &mut wait, &root.path(&name))? {
            return Ok(None);
        }
        let stat = fstat(&file).map_err(|e| Error::io("read the status of", &root.path(&name), e))?;
        if stat.st_nlink > 0 {
            return Ok(Some(Lock { file }));
        }
    }
}

/// Locks an open file.
pub(super) fn hold(file: &File, how: Holders, wait: &mut Wait<'_>, path: &Path) -> Result<bool, Error> {
    let failed = |e| Error::io("lock", path, e);
    let tried = match how {
        Holders::Shared => file.try_lock_shared(),
        Holders::Alone => file.try_lock(),
    };
    match tried {
        Ok(()) => return Ok(true),
        Err(TryLockError::Error(error)) => return Err(failed(error)),
        Err(TryLockError::WouldBlock) => {}
    }
    match std::mem::replace(wait, Wait::Silently) {
        Wait::Never => return Ok(false),
        Wait::Saying(say) => say(),
        Wait::Silently => {}
    }
    loop {
        let waited = match how {
            Holders::Shared => file.lock_shared(),
            Holders::Alone => file.lock(),
        };
        match waited {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other.map(|()| true).map_err(failed),
        }
    }
}

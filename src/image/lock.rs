//! flock(2) on an open file: a lock dies with whoever holds it, and whoever has inherited the file then still holds it.

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;

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

/// A lock, until this is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    inherited: bool,
}

impl Lock {
    /// Locks an open file; `None` when another process holds it and it is not to be waited for.
    pub(super) fn on(file: File, how: Holders, wait: &mut Wait<'_>) -> io::Result<Option<Self>> {
        let held = hold(&file, how, wait)?;
        Ok(held.then_some(Self {
            file,
            inherited: false,
        }))
    }

    /// Locks a file that `open` finds by its name, or makes; `failed` says what the caller tells of an errno.
    ///
    /// Who holds it alone may remove the name: whoever waited for the file then begins again with the one that has it.
    pub(super) fn named<E>(
        open: impl Fn() -> Result<File, E>,
        how: Holders,
        mut wait: Wait<'_>,
        failed: impl Fn(io::Error) -> E,
    ) -> Result<Option<Self>, E> {
        loop {
            let Some(lock) = Self::on(open()?, how, &mut wait).map_err(&failed)? else {
                return Ok(None);
            };
            if lock.file.metadata().map_err(&failed)?.nlink() > 0 {
                return Ok(Some(lock));
            }
        }
    }

    /// Makes it a lock of another kind, which may let others in between.
    pub(super) fn change(&self, how: Holders) -> io::Result<()> {
        hold(&self.file, how, &mut Wait::Silently).map(drop)
    }

    /// The file that it is on.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Whether the programs that this process starts hold it too, also when this is dropped.
    pub(super) fn inherit(&mut self, inherited: bool) -> io::Result<()> {
        let flags = match inherited {
            true => FdFlag::empty(),
            false => FdFlag::FD_CLOEXEC,
        };
        fcntl(&self.file, FcntlArg::F_SETFD(flags))?;
        self.inherited = inherited;
        Ok(())
    }
}

impl Drop for Lock {
    /// Not by close(2) alone: a child that another thread has just made has the file too, until it executes.
    fn drop(&mut self) {
        if !self.inherited {
            let _ = self.file.unlock();
        }
    }
}

fn hold(file: &File, how: Holders, wait: &mut Wait<'_>) -> io::Result<bool> {
    let tried = match how {
        Holders::Shared => file.try_lock_shared(),
        Holders::Alone => file.try_lock(),
    };
    match tried {
        Ok(()) => return Ok(true),
        Err(TryLockError::Error(error)) => return Err(error),
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
            other => return other.map(|()| true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_it_is_free_whoever_has_the_file_unless_it_is_inherited() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("lock");
        let open = || File::create(&path).expect("a file");
        let take = |file| Lock::on(file, Holders::Alone, &mut Wait::Never).expect("no error");
        let (file, other) = (open(), open());
        let _child = file.try_clone().expect("a copy");
        let held = take(file).expect("the lock");
        assert!(take(open()).is_none());
        drop(held);
        let mut held = take(other).expect("the lock, though there is a copy");
        held.inherit(true).expect("inherited");
        let child = held.file().try_clone().expect("a copy");
        drop(held);
        assert!(take(open()).is_none(), "who has inherited it still holds it");
        child.unlock().expect("given back");
        assert!(take(open()).is_some());
    }
}

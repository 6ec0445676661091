//! flock(2) on an open file: a lock dies with whoever holds it, and whoever inherits the file holds it too.

use std::fs::{File, TryLockError};
use std::io;

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

/// Locks an open file, or changes the lock that it has; `false` when another process holds it and it is not to be waited for.
pub(super) fn hold(file: &File, how: Holders, wait: &mut Wait<'_>) -> io::Result<bool> {
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

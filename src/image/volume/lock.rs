//! The lock of a volume: shared by the sandboxes that use it, alone for who makes, fills or removes it. It dies with who holds it.

use super::Error;
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// How a lock is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// With others who only use the volume; whoever makes or fills it is waited for.
    Shared,
    /// By oneself, after everybody else.
    Alone,
    /// By oneself, now or not at all.
    AloneNow,
}

/// Takes the lock that a file stands for; `None` when it must not be waited for and another holds it.
///
/// Whoever removes a volume removes the file of its lock too, so whoever waited for that begins again with a new one.
pub(super) fn take(path: &Path, how: How) -> Result<Option<File>, Error> {
    let failed = |e| Error::io("lock", path, e);
    loop {
        let mut options = File::options();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = options
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)
            .map_err(failed)?;
        if !hold(&file, how).map_err(failed)? {
            return Ok(None);
        }
        if file.metadata().map_err(failed)?.nlink() > 0 {
            return Ok(Some(file));
        }
    }
}

/// Locks an open file, or changes the lock that it has.
pub(super) fn hold(file: &File, how: How) -> io::Result<bool> {
    loop {
        let locked = match how {
            How::Shared => file.lock_shared(),
            How::Alone => file.lock(),
            How::AloneNow => match file.try_lock() {
                Err(TryLockError::WouldBlock) => return Ok(false),
                Err(TryLockError::Error(error)) => Err(error),
                Ok(()) => Ok(()),
            },
        };
        match locked {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other.map(|()| true),
        }
    }
}

/// Whether the programs that this process starts hold the lock too. Who fills a volume may be killed, and what it has started goes on for
/// a moment: until that has ended, nobody else may begin.
pub(super) fn inherited(file: &File, inherited: bool) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    let flags = match inherited {
        true => FdFlag::empty(),
        false => FdFlag::FD_CLOEXEC,
    };
    fcntl(file, FcntlArg::F_SETFD(flags))?;
    Ok(())
}

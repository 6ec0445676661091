//! The lock of a volume: shared by the sandboxes that use it, alone for who makes, fills or removes it. It dies with who holds it.

use super::Error;
pub(super) use crate::image::lock::{Holders, Wait, hold};
use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Takes the lock that a file stands for; `None` when it must not be waited for and another holds it.
///
/// Whoever removes a volume removes the file of its lock too, so whoever waited for that begins again with a new one.
pub(super) fn take(path: &Path, how: Holders, mut wait: Wait<'_>) -> Result<Option<File>, Error> {
    let failed = |e| Error::io("lock", path, e);
    loop {
        let mut options = File::options();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = options
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)
            .map_err(failed)?;
        if !hold(&file, how, &mut wait).map_err(failed)? {
            return Ok(None);
        }
        if file.metadata().map_err(failed)?.nlink() > 0 {
            return Ok(Some(file));
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

//! The lock of a volume: shared by the sandboxes that use it, alone for who makes, fills or removes it. It dies with who holds it.

use super::Error;
pub(super) use crate::image::lock::{Holders, Lock, Wait};
use std::fs::File;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Takes the lock that a file stands for; `None` when it must not be waited for and another holds it.
///
/// Whoever removes a volume removes the file of its lock too, so whoever waited for that begins again with a new one.
pub(super) fn take(path: &Path, how: Holders, mut wait: Wait<'_>) -> Result<Option<Lock>, Error> {
    let failed = |e| Error::io("lock", path, e);
    loop {
        let mut options = File::options();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = options
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)
            .map_err(failed)?;
        let Some(lock) = Lock::on(file, how, &mut wait).map_err(failed)? else {
            return Ok(None);
        };
        if lock.file().metadata().map_err(failed)?.nlink() > 0 {
            return Ok(Some(lock));
        }
    }
}

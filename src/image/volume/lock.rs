//! The lock of a volume: shared by the sandboxes that use it, alone for who makes, fills or removes it. It dies with who holds it.

use super::Error;
pub(super) use crate::image::lock::{Holders, Lock, Wait};
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Takes the lock that a file stands for; `None` when it must not be waited for and another holds it.
///
/// Whoever removes a volume removes the file of its lock too.
pub(super) fn take(path: &Path, how: Holders, wait: Wait<'_>) -> Result<Option<Lock>, Error> {
    let failed = |e| Error::io("lock", path, e);
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    options.mode(0o600).custom_flags(libc::O_NOFOLLOW);
    Lock::named(|| options.open(path).map_err(failed), how, wait, failed)
}

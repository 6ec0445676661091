//! Merges unpacked layers into one directory, as overlayfs shows them: what a run has as its root where the kernel refuses overlay. Of one
//! directory it is a plain copy: what a new volume holds.
//!
//! The layers are ours but their names are strangers': every directory is opened beneath its layer without following a link, nothing is
//! opened that is no regular file or directory, and what is made is made anew in a directory that was empty.

mod file;
mod merge;
#[cfg(test)]
mod tests;

use crate::sys::Errno;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Why a copy could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` cannot be {what}: {errno}")]
pub struct Error {
    /// In the root, escaped and cut.
    pub path: String,
    /// What was to be done with it.
    pub what: &'static str,
    /// The kernel's answer.
    pub errno: Errno,
}

/// What copied files keep of whose they are and of the rights that they give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Their owners; otherwise they are this process's.
    pub owners: bool,
    /// Set-user-id, set-group-id and sticky bits of files, which give rights wherever the files are reached.
    pub set_ids: bool,
}

/// What has been copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// Files of every kind.
    pub files: u64,
    /// Bytes in regular files.
    pub bytes: u64,
}

/// Copies layers, the topmost first, into an empty directory.
///
/// # Errors
/// What the kernel refuses; what was made stays.
pub fn copy(
    layers: &[OwnedFd],
    into: BorrowedFd<'_>,
    keep: Keep,
    progress: &mut dyn FnMut(u64),
) -> Result<Copied, Error> {
    merge::Merge::new(layers, into, keep, progress).run()
}

fn failed<'a>(path: &'a [u8], what: &'static str) -> impl FnOnce(Errno) -> Error + 'a {
    move |errno| {
        let shown = String::from_utf8_lossy(path);
        Error {
            path: shown.escape_debug().take(100).collect(),
            what,
            errno,
        }
    }
}

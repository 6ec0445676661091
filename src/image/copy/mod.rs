//! Merges unpacked layers into one directory, as overlayfs shows them: what a run has as its root where the kernel refuses overlay.
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
#[error("`{path}` cannot be {what}: {errno}{}", hint(*errno))]
pub struct Error {
    /// In the root, escaped and cut.
    pub path: String,
    /// What was to be done with it.
    pub what: &'static str,
    /// The kernel's answer.
    pub errno: Errno,
}

fn hint(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOSPC | Errno::EDQUOT => {
            " (a copy takes as much space as the image; XDG_DATA_HOME moves the store)"
        }
        _ => "",
    }
}

/// What has been copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// Files of every kind.
    pub files: u64,
    /// Bytes in regular files.
    pub bytes: u64,
}

/// Copies layers, the topmost first, into an empty directory. `owners`: the files keep their owners; otherwise they are this process's.
///
/// # Errors
/// What the kernel refuses; what was made stays.
pub fn copy(
    layers: &[OwnedFd],
    into: BorrowedFd<'_>,
    owners: bool,
    progress: &mut dyn FnMut(u64),
) -> Result<Copied, Error> {
    merge::Merge::new(layers, into, owners, progress).run()
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

//! Volumes: filled with what the root has at a place, and emptied, under the id map that owns their files.
//!
//! To fill one, the worker runs in the root of the image itself, so that layers, whiteouts and links mean what they mean to the sandbox
//! that the volume is for. Nothing of the image is executed.

use crate::image::copy::{self, Keep};
use crate::image::job::{Fill, VOLUME};
use crate::image::remove::remove_tree;
use crate::sys::tree::names;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// Copies what the root has at a place, with owners, modes and times, and gives the volume the owner and mode of that place.
pub(super) fn fill(fill: &Fill) -> Result<(), String> {
    let to = folder(VOLUME, OFlag::O_NOFOLLOW).map_err(|e| format!("the volume: {e}"))?;
    let from = match &fill.from {
        // Links lead nowhere but inside: this is the root.
        Some(from) => match folder(from, OFlag::empty()) {
            Ok(from) => Some(from),
            // A file there is what the mount will fail at.
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => None,
            Err(e) => return Err(format!("the image's {}: {e}", from.escape_debug())),
        },
        None => None,
    };
    let Some(from) = from else {
        let (uid, gid) = fill.owner;
        return crate::sys::fs::set_owner(to.as_fd(), uid, gid)
            .map_err(|e| format!("the volume's owner: {e}"));
    };
    // A file that gives itself rights would give them outside of the sandbox too, where no mount takes them.
    let keep = Keep {
        owners: true,
        set_ids: false,
    };
    copy::copy(&[from], to.as_fd(), keep, &mut |_| {})
        .map(drop)
        .map_err(|e| format!("the image's files cannot be copied to the volume: {e}"))
}

/// Removes all that is in the directory.
pub(super) fn empty() -> Result<(), String> {
    let failed = |e: Errno| format!("cannot remove the volume's files: {e}");
    let top = folder(VOLUME, OFlag::O_NOFOLLOW).map_err(failed)?;
    for name in names(top.as_fd()).map_err(failed)? {
        remove_tree(top.as_fd(), OsStr::from_bytes(name.to_bytes())).map_err(failed)?;
    }
    Ok(())
}

fn folder(path: &str, how: OFlag) -> Result<OwnedFd, Errno> {
    let flags = how | OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    open(path, flags, Mode::empty())
}

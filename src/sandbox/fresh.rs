//! File systems that a sandbox mounts for itself: tmpfs, proc, devpts, overlay.
//!
//! As in the child that calls it, nothing here may allocate.

use super::operation::{Lower, Lowers, TmpfsOptions};
use crate::sys::Result;
use crate::sys::fs::{self, Resolve};
use crate::sys::mount::{self, Attributes};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

pub(super) const MINIMAL: Attributes =
    Attributes(Attributes::NO_SUID | Attributes::NO_DEV | Attributes::NO_EXEC);

pub(super) fn fresh(kind: &CStr, options: &[(&CStr, &CStr)], attributes: Attributes) -> Result<OwnedFd> {
    let fs = mount::fsopen(kind)?;
    for (key, value) in options {
        mount::fsconfig_string(fs.as_fd(), key, value)?;
    }
    mount::fsconfig_create(fs.as_fd())?;
    mount::fsmount(fs.as_fd(), attributes)
}

pub(super) fn fresh_tmpfs(options: &TmpfsOptions, attributes: Attributes) -> Result<OwnedFd> {
    let fs = mount::fsopen(c"tmpfs")?;
    mount::fsconfig_string(fs.as_fd(), c"size", &options.size)?;
    mount::fsconfig_string(fs.as_fd(), c"nr_inodes", &options.inodes)?;
    mount::fsconfig_string(fs.as_fd(), c"mode", &options.mode)?;
    if let Some((uid, gid)) = &options.owner {
        mount::fsconfig_string(fs.as_fd(), c"uid", uid)?;
        mount::fsconfig_string(fs.as_fd(), c"gid", gid)?;
    }
    mount::fsconfig_create(fs.as_fd())?;
    mount::fsmount(fs.as_fd(), attributes)
}

/// An overlay of a host directory and of `upper` in a mounted tmpfs. `userxattr`: without it the kernel wants real root (Linux 5.11).
///
/// Gives the mount, and the upper directory.
pub(super) fn overlay(
    staging: BorrowedFd<'_>,
    (lower, tree): (&Lower, OwnedFd),
    attributes: Attributes,
) -> Result<(OwnedFd, OwnedFd)> {
    fs::make_directory(staging, c"upper", 0o700)?;
    let upper = fs::open_beneath(
        staging,
        c"upper",
        libc::O_RDONLY | libc::O_DIRECTORY,
        0,
        Resolve::BENEATH_NO_LINKS,
    )?;
    // The top of an overlay shows the upper directory's owner and mode: it is to look as the lower one does.
    if let Some((uid, gid)) = lower.owner {
        fs::set_owner(upper.as_fd(), uid, gid)?;
    }
    fs::set_mode(upper.as_fd(), lower.mode)?;
    fs::make_directory(staging, c"work", 0o700)?;
    fs::make_directory(staging, c"lower", 0o700)?;
    // Under a name of ours: overlay has its own meaning for `:` and a backslash, and before Linux 6.5 takes no comma at all.
    let point = fs::open_beneath(staging, c"lower", libc::O_PATH, 0, Resolve::BENEATH_NO_LINKS)?;
    mount::move_mount(tree.as_fd(), point.as_fd())?;
    fs::change_directory(staging)?;
    if let Lowers::Joined { links, options } = &lower.layers {
        return Ok((overlay_joined(staging, links, options, attributes)?, upper));
    }
    let fs = mount::fsopen(c"overlay")?;
    mount::fsconfig_flag(fs.as_fd(), c"userxattr")?;
    if lower.volatile {
        mount::fsconfig_flag(fs.as_fd(), c"volatile")?;
    }
    match &lower.layers {
        Lowers::Each(layers) if layers.len() > 1 => {
            for layer in layers {
                mount::fsconfig_string(fs.as_fd(), c"lowerdir+", layer)?;
            }
        }
        Lowers::Each(layers) => {
            let only = layers.first().map_or(c"lower", |layer| layer.as_c_str());
            mount::fsconfig_string(fs.as_fd(), c"lowerdir", only)?;
        }
        _ => mount::fsconfig_string(fs.as_fd(), c"lowerdir", c"lower")?,
    }
    mount::fsconfig_string(fs.as_fd(), c"upperdir", c"upper")?;
    mount::fsconfig_string(fs.as_fd(), c"workdir", c"work")?;
    mount::fsconfig_create(fs.as_fd())?;
    Ok((mount::fsmount(fs.as_fd(), attributes)?, upper))
}

/// Before Linux 6.5 fsconfig(2) takes 255 bytes of layers, and mount(2) a page: enough for 500 links to them, each with a number as name.
fn overlay_joined(
    staging: BorrowedFd<'_>,
    links: &[(std::ffi::CString, std::ffi::CString)],
    options: &CStr,
    attributes: Attributes,
) -> Result<OwnedFd> {
    fs::make_directory(staging, c"links", 0o700)?;
    let place = |name| fs::open_beneath(staging, name, libc::O_PATH, 0, Resolve::BENEATH_NO_LINKS);
    let directory = place(c"links")?;
    for (target, name) in links {
        fs::make_link(target, directory.as_fd(), name)?;
    }
    fs::make_directory(staging, c"joined", 0o755)?;
    fs::change_directory(directory.as_fd())?;
    mount::mount_overlay(c"../joined", options)?;
    let tree = mount::open_tree(place(c"joined")?.as_fd())?;
    mount::set_attributes(tree.as_fd(), attributes, false)?;
    Ok(tree)
}

//! The changes in the upper layer of an overlaid workspace: listed, and applied on request.
//!
//! Everything in the upper layer was made by an untrusted process. It is read through descriptors, no link is followed, and only
//! files, directories and symbolic links are applied, without set-id bits.

mod apply;
mod stage;
mod target;

pub use apply::{ApplyError, apply};

use crate::sys::fs::{self as sysfs, Resolve};
use crate::sys::tree;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, SFlag, fstatat};
use std::ffi::{CStr, CString, OsStr};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How deep a tree may be; deeper ones are refused.
const DEPTH: usize = 256;

/// What happened to one path, relative to the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Relative to the workspace.
    pub path: PathBuf,
    /// What happened.
    pub what: What,
    /// Permission bits, without those of set-id.
    pub mode: u32,
}

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A file that was made or changed.
    File,
    /// A symbolic link.
    Link,
    /// A directory that was made, or changed its mode.
    Directory,
    /// A directory that was removed and made anew.
    Replaced,
    /// Something that is gone.
    Removed,
    /// A socket, FIFO or device: listed, never applied.
    Special,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (letter, slash) = match self.what {
            What::File | What::Link => ("C", ""),
            What::Directory => ("C", "/"),
            What::Replaced => ("R", "/"),
            What::Removed => ("D", ""),
            What::Special => ("S", ""),
        };
        write!(
            f,
            "{letter} {}{slash}",
            self.path.as_os_str().as_bytes().escape_ascii()
        )
    }
}

fn c_string(name: &OsStr) -> io::Result<CString> {
    CString::new(name.as_bytes()).map_err(io::Error::other)
}

/// Opens what lies beneath a directory, through no link. `flags`: besides `O_NOFOLLOW`.
fn open(parent: BorrowedFd<'_>, path: &CStr, flags: libc::c_int) -> io::Result<OwnedFd> {
    let flags = flags | libc::O_NOFOLLOW;
    Ok(sysfs::open_beneath(
        parent,
        path,
        flags,
        0,
        Resolve::BENEATH_NO_LINKS,
    )?)
}

/// Opens a file or directory of the upper layer for reading, also where its mode forbids that: the layer is ours and vanishes.
fn open_written(parent: BorrowedFd<'_>, name: &CStr, flags: libc::c_int, mode: u32) -> io::Result<OwnedFd> {
    if mode & 0o500 != 0o500 {
        // What belongs to another id cannot be changed, and the opening says so.
        let _ = tree::set_mode_of_path(open(parent, name, libc::O_PATH)?.as_fd(), mode | 0o500);
    }
    open(parent, name, libc::O_RDONLY | flags)
}

/// Lists the upper layer of an overlay, parents before children, by name.
///
/// # Errors
/// When it cannot be read, or is deeper than 256 directories.
pub fn changes(upper: &OwnedFd) -> io::Result<Vec<Change>> {
    // The command may have closed it.
    let _ = sysfs::set_mode(upper.as_fd(), 0o700);
    let mut all = Vec::new();
    walk(upper.as_fd(), Path::new(""), 0, &mut all)?;
    Ok(all)
}

fn walk(directory: BorrowedFd<'_>, at: &Path, depth: usize, all: &mut Vec<Change>) -> io::Result<()> {
    if depth > DEPTH {
        return Err(io::Error::other(format!(
            "{} is deeper than {DEPTH} directories",
            at.display()
        )));
    }
    for name in names(directory)? {
        let stat = stat(directory, &name)?;
        let path = at.join(OsStr::from_bytes(name.as_bytes()));
        let what = what(directory, &name, &stat)?;
        all.push(Change {
            path: path.clone(),
            what,
            mode: stat.st_mode & 0o777,
        });
        if matches!(what, What::Directory | What::Replaced) {
            let inner = open_written(directory, &name, libc::O_DIRECTORY, stat.st_mode & 0o777)?;
            walk(inner.as_fd(), &path, depth + 1, all)?;
        }
    }
    Ok(())
}

fn names(directory: BorrowedFd<'_>) -> io::Result<Vec<CString>> {
    let mut names = tree::names(directory)?;
    names.sort();
    Ok(names)
}

fn stat(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<FileStat> {
    Ok(fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)?)
}

/// A whiteout of overlayfs is a character device 0:0; a directory that hides the lower one carries `user.overlay.opaque`.
fn what(directory: BorrowedFd<'_>, name: &CStr, stat: &FileStat) -> io::Result<What> {
    let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    Ok(match kind {
        SFlag::S_IFREG => What::File,
        SFlag::S_IFLNK => What::Link,
        SFlag::S_IFCHR if stat.st_rdev == 0 => What::Removed,
        SFlag::S_IFDIR => {
            let inner = open_written(directory, name, libc::O_DIRECTORY, stat.st_mode & 0o777)?;
            if sysfs::has_attribute(inner.as_fd(), c"user.overlay.opaque")? {
                What::Replaced
            } else {
                What::Directory
            }
        }
        _ => What::Special,
    })
}

//! What was written to an overlaid workspace: listed, and applied when asked.
//!
//! Everything in the upper layer was made by a process that nobody trusts. It is read through descriptors, no link is followed, and only
//! files, directories and symbolic links are taken over, without set-id bits.

use crate::model::HostPath;
use crate::sys::fs::{self as sysfs, Resolve};
use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, SFlag, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::{CStr, CString, OsStr};
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
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

fn open_directory(parent: BorrowedFd<'_>, path: &CStr) -> io::Result<OwnedFd> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    Ok(sysfs::open_beneath(
        parent,
        path,
        flags,
        0,
        Resolve::BENEATH_NO_LINKS,
    )?)
}

/// Lists the upper layer of an overlay, parents before children, by name.
///
/// # Errors
/// When it cannot be read, or is deeper than 256 directories.
pub fn changes(upper: &OwnedFd) -> io::Result<Vec<Change>> {
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
        });
        if matches!(what, What::Directory | What::Replaced) {
            let inner = open_directory(directory, &name)?;
            walk(inner.as_fd(), &path, depth + 1, all)?;
        }
    }
    Ok(())
}

fn names(directory: BorrowedFd<'_>) -> io::Result<Vec<CString>> {
    let mut names = crate::sys::tree::names(directory)?;
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
            let inner = open_directory(directory, name)?;
            if sysfs::has_attribute(inner.as_fd(), c"user.overlay.opaque")? {
                What::Replaced
            } else {
                What::Directory
            }
        }
        _ => What::Special,
    })
}

/// Applies the changes to the workspace on the host. What is special is passed over.
///
/// # Errors
/// At the first change that cannot be applied; those before it stay applied.
pub fn apply(upper: &OwnedFd, workspace: &HostPath, changes: &[Change]) -> io::Result<()> {
    let root = File::open(workspace.as_path())?;
    for change in changes {
        one(upper.as_fd(), root.as_fd(), change).map_err(|e| {
            io::Error::other(format!(
                "{}: {e}",
                change.path.as_os_str().as_bytes().escape_ascii()
            ))
        })?;
    }
    Ok(())
}

fn one(upper: BorrowedFd<'_>, root: BorrowedFd<'_>, change: &Change) -> io::Result<()> {
    let name = c_string(change.path.file_name().unwrap_or_default())?;
    let holder = change
        .path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let holder = c_string(holder.as_os_str())?;
    let to = open_directory(root, &holder)?;
    let from = open_directory(upper, &holder)?;
    match change.what {
        What::Removed => remove(to.as_fd(), &name),
        What::Special => Ok(()),
        What::Link => {
            let target = nix::fcntl::readlinkat(from.as_fd(), name.as_c_str())?;
            remove(to.as_fd(), &name)?;
            Ok(sysfs::make_link(&c_string(&target)?, to.as_fd(), &name)?)
        }
        What::File => file(from.as_fd(), to.as_fd(), &name),
        What::Replaced => {
            remove(to.as_fd(), &name)?;
            directory(from.as_fd(), to.as_fd(), &name)
        }
        What::Directory => directory(from.as_fd(), to.as_fd(), &name),
    }
}

fn plain_mode(mode: u32) -> u32 {
    mode & 0o777
}

fn directory(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    let mode = plain_mode(stat(from, name)?.st_mode);
    if stat(to, name).is_ok_and(|s| s.st_mode & libc::S_IFMT != libc::S_IFDIR) {
        remove(to, name)?;
    }
    sysfs::make_directory(to, name, mode)?;
    Ok(sysfs::set_mode(open_directory(to, name)?.as_fd(), mode)?)
}

/// Written under another name beside it and renamed, so that nobody sees half a file.
fn file(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    let source = sysfs::open_beneath(
        from,
        name,
        libc::O_RDONLY | libc::O_NOFOLLOW,
        0,
        Resolve::BENEATH_NO_LINKS,
    )?;
    let mode = plain_mode(sysfs::kind(source.as_fd())?);
    if stat(to, name).is_ok_and(|s| s.st_mode & libc::S_IFMT == libc::S_IFDIR) {
        remove(to, name)?;
    }
    let temporary = c_string(OsStr::new(&format!(".sbx-apply-{}", std::process::id())))?;
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
    let target = sysfs::open_beneath(to, &temporary, flags, 0o600, Resolve::BENEATH_NO_LINKS)?;
    let mut target = File::from(target);
    let copied = io::copy(&mut File::from(source), &mut target).and_then(|_| target.flush());
    let done = copied
        .and_then(|()| Ok(sysfs::set_mode(target.as_fd(), mode)?))
        .and_then(|()| Ok(nix::fcntl::renameat(to, temporary.as_c_str(), to, name)?));
    if done.is_err() {
        let _ = unlinkat(to, temporary.as_c_str(), UnlinkatFlags::NoRemoveDir);
    }
    done
}

/// Removes a name and everything below it, without following a link. What is not there is fine.
fn remove(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    let Ok(stat) = stat(parent, name) else {
        return Ok(());
    };
    if stat.st_mode & libc::S_IFMT != libc::S_IFDIR {
        return Ok(unlinkat(parent, name, UnlinkatFlags::NoRemoveDir)?);
    }
    let inner = open_directory(parent, name)?;
    for child in names(inner.as_fd())? {
        remove(inner.as_fd(), &child)?;
    }
    Ok(unlinkat(parent, name, UnlinkatFlags::RemoveDir)?)
}

//! One file of a layer, with everything that belongs to it.

use super::{Error, Keep, failed};
use crate::image::attribute;
use crate::sys::fs::{self, Resolve};
use crate::sys::{Errno, Result, tree};
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, UtimensatFlags, fstat, futimens, mknodat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{fchownat, linkat, symlinkat};
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// Where the first name of a file with several was copied to, by layer and inode.
pub(super) type Links = HashMap<(usize, libc::dev_t, libc::ino_t), Vec<u8>>;

/// The name of a file, there and here.
pub(super) struct Spot<'a> {
    pub(super) from: BorrowedFd<'a>,
    pub(super) to: BorrowedFd<'a>,
    /// The root of the copy.
    pub(super) root: BorrowedFd<'a>,
    pub(super) name: &'a CStr,
    pub(super) path: &'a [u8],
    pub(super) layer: usize,
    pub(super) keep: Keep,
}

/// Copies what is no directory; gives its bytes. `None` for a whiteout, and for what no layer has.
pub(super) fn copy(
    spot: &Spot<'_>,
    stat: &FileStat,
    links: &mut Links,
) -> std::result::Result<Option<u64>, Error> {
    let kind = stat.st_mode & libc::S_IFMT;
    if !matches!(kind, libc::S_IFREG | libc::S_IFLNK | libc::S_IFIFO) {
        return Ok(None);
    }
    let key = (spot.layer, stat.st_dev, stat.st_ino);
    if let Some(first) = links.get(&key)
        && linked(spot, first).map_err(failed(spot.path, "linked"))?
    {
        return Ok(Some(0));
    }
    if stat.st_nlink > 1 {
        links.entry(key).or_insert_with(|| spot.path.to_vec());
    }
    let copied = match kind {
        libc::S_IFREG => regular(spot),
        libc::S_IFLNK => symlink(spot, stat).map(|()| 0),
        _ => fifo(spot, stat).map(|()| 0),
    };
    copied.map(Some).map_err(failed(spot.path, "copied"))
}

/// Whether another name could be made: a file system has a limit, and a kernel before 5.19 has no Landlock rule that allows it.
fn linked(spot: &Spot<'_>, first: &[u8]) -> Result<bool> {
    let split = first.iter().rposition(|b| *b == b'/');
    let (folder, name) = match split {
        Some(at) => first.split_at(at),
        None => (&b"."[..], first),
    };
    let name = name.strip_prefix(b"/").unwrap_or(name);
    let c_string = |bytes: &[u8]| CString::new(bytes).map_err(|_| Errno::EINVAL);
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    let beneath = Resolve::BENEATH_NO_LINKS;
    let folder = fs::open_beneath(spot.root, &c_string(folder)?, flags, 0, beneath)?;
    let name = c_string(name)?;
    match linkat(&folder, name.as_c_str(), spot.to, spot.name, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::EMLINK | Errno::EXDEV | Errno::EPERM) => Ok(false),
        Err(errno) => Err(errno),
    }
}

fn regular(spot: &Spot<'_>) -> Result<u64> {
    // Should it be a FIFO by now, nobody is waited for.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let from = File::from(openat(spot.from, spot.name, flags, Mode::empty())?);
    let stat = fstat(&from)?;
    if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
        return Err(Errno::EINVAL);
    }
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let to = File::from(openat(spot.to, spot.name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
    let size = u64::try_from(stat.st_size).unwrap_or_default();
    if size > 0 {
        tree::copy_contents(&from, &to, size)?;
    }
    resemble(from.as_fd(), to.as_fd(), &stat, spot.keep)?;
    Ok(size)
}

/// Attributes, then the owner, then the mode (a new owner takes set-id bits away), then times.
pub(super) fn resemble(from: BorrowedFd<'_>, to: BorrowedFd<'_>, stat: &FileStat, keep: Keep) -> Result<()> {
    for (name, value) in attribute::kept(from)? {
        tree::set_attribute(to, &name, &value)?;
    }
    if keep.owners {
        fs::set_owner(to, stat.st_uid, stat.st_gid)?;
    }
    fs::set_mode(to, mode_of(stat, keep))?;
    let (access, change) = times(stat);
    futimens(to, &access, &change)
}

/// The bits of a mode that a copy has.
fn mode_of(stat: &FileStat, keep: Keep) -> u32 {
    let kept = match stat.st_mode & libc::S_IFMT {
        _ if keep.set_ids => 0o7777,
        // On a directory they say who its files belong to and who may remove them.
        libc::S_IFDIR => 0o3777,
        _ => 0o777,
    };
    stat.st_mode & kept
}

fn times(stat: &FileStat) -> (TimeSpec, TimeSpec) {
    (
        TimeSpec::new(stat.st_atime, stat.st_atime_nsec),
        TimeSpec::new(stat.st_mtime, stat.st_mtime_nsec),
    )
}

fn symlink(spot: &Spot<'_>, stat: &FileStat) -> Result<()> {
    let target = readlinkat(spot.from, spot.name)?;
    symlinkat(target.as_bytes(), spot.to, spot.name)?;
    named(spot, stat)
}

fn fifo(spot: &Spot<'_>, stat: &FileStat) -> Result<()> {
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    mknodat(spot.to, spot.name, SFlag::S_IFIFO, mode, 0)?;
    named(spot, stat)?;
    // Without waiting for a writer; after the owner, which takes set-id bits away.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let made: OwnedFd = openat(spot.to, spot.name, flags, Mode::empty())?;
    fs::set_mode(made.as_fd(), mode_of(stat, spot.keep))
}

/// Owner and times of what is not opened.
fn named(spot: &Spot<'_>, stat: &FileStat) -> Result<()> {
    if spot.keep.owners {
        let (uid, gid) = (Some(stat.st_uid.into()), Some(stat.st_gid.into()));
        fchownat(spot.to, spot.name, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    }
    let (access, change) = times(stat);
    utimensat(
        spot.to,
        spot.name,
        &access,
        &change,
        UtimensatFlags::NoFollowSymlink,
    )
}

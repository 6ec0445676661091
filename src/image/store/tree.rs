//! Trees of files that strangers have named: counting what they take, and removing them. No link is followed.

use crate::sys::{Result, uninterrupted};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;

/// How deep directories are opened inside each other. What lies deeper is moved up first, so that no tree needs more descriptors or stack.
const DEPTH: usize = 64;

/// What the files of a tree take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Size {
    /// Files of every kind, directories among them; a file with several names once.
    pub files: u64,
    /// Bytes in regular files, as their sizes say.
    pub bytes: u64,
    /// Bytes on the disk.
    pub disk: u64,
}

fn is_folder(stat: &FileStat) -> bool {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR
}

/// The names in a directory, without `.` and `..`.
pub(super) fn names(folder: OwnedFd) -> Result<Vec<CString>> {
    let mut dir = Dir::from_fd(folder)?;
    let mut found = Vec::new();
    for entry in dir.iter() {
        let entry = entry?;
        if ![&b"."[..], b".."].contains(&entry.file_name().to_bytes()) {
            found.push(entry.file_name().to_owned());
        }
    }
    Ok(found)
}

fn open_folder(parent: BorrowedFd<'_>, name: &CStr, how: OFlag) -> Result<OwnedFd> {
    let flags = how | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    uninterrupted(|| openat(parent, name, flags, Mode::empty()))
}

/// Counts what is in a tree, the directory itself included.
///
/// # Errors
/// Whatever the kernel answers for a directory that cannot be read.
pub fn measure(tree: BorrowedFd<'_>) -> Result<Size> {
    let mut size = Size::default();
    let mut seen = BTreeSet::new();
    count(&fstat(tree)?, &mut size);
    let top = open_folder(tree, c".", OFlag::O_RDONLY)?;
    // Each directory is opened by its path from the top, one name after another, so that depth needs no descriptors.
    let mut waiting: Vec<Vec<CString>> = vec![Vec::new()];
    while let Some(path) = waiting.pop() {
        let mut folder = open_folder(top.as_fd(), c".", OFlag::O_RDONLY)?;
        for name in &path {
            folder = open_folder(folder.as_fd(), name, OFlag::O_RDONLY)?;
        }
        let listed = open_folder(folder.as_fd(), c".", OFlag::O_RDONLY)?;
        for name in names(listed)? {
            let stat = fstatat(&folder, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW)?;
            if is_folder(&stat) {
                let mut inner = path.clone();
                inner.push(name);
                waiting.push(inner);
            } else if stat.st_nlink > 1 && !seen.insert((stat.st_dev, stat.st_ino)) {
                continue;
            }
            count(&stat, &mut size);
        }
    }
    Ok(size)
}

fn count(stat: &FileStat, size: &mut Size) {
    size.files += 1;
    size.disk += disk(stat);
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG {
        size.bytes += u64::try_from(stat.st_size).unwrap_or_default();
    }
}

/// What a file takes on the disk; `st_blocks` counts 512 bytes whatever the file system's blocks are.
pub(super) fn disk(stat: &FileStat) -> u64 {
    u64::try_from(stat.st_blocks).unwrap_or_default() * 512
}

/// Removes whatever has the name, a directory with all that is in it.
pub(in crate::image) fn remove(parent: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    match unlinkat(parent, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => return Ok(()),
        Err(Errno::EISDIR | Errno::EPERM) => {}
        Err(errno) => return Err(errno),
    }
    let mut moved = 0;
    loop {
        let top = enter(parent, name)?;
        let before = moved;
        empty(top.as_fd(), top.as_fd(), 0, &mut moved)?;
        if before == moved {
            return unlinkat(parent, name, UnlinkatFlags::RemoveDir);
        }
    }
}

/// Opens a directory whose files are to be removed, whatever its mode is.
fn enter(parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    let path = open_folder(parent, name, OFlag::O_PATH)?;
    if fstat(&path)?.st_mode & 0o700 != 0o700 {
        // fchmod takes no descriptor of O_PATH, and a directory of mode 0 can be opened in no other way by its owner.
        let door = format!("/proc/self/fd/{}", path.as_raw_fd());
        let mode = std::fs::Permissions::from_mode(0o700);
        let changed = std::fs::set_permissions(door, mode);
        changed.map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO)))?;
    }
    open_folder(path.as_fd(), c".", OFlag::O_RDONLY)
}

fn empty(top: BorrowedFd<'_>, folder: BorrowedFd<'_>, depth: usize, moved: &mut u64) -> Result<()> {
    for name in names(open_folder(folder, c".", OFlag::O_RDONLY)?)? {
        match unlinkat(folder, name.as_c_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => continue,
            Err(Errno::EISDIR | Errno::EPERM) => {}
            Err(errno) => return Err(errno),
        }
        if depth >= DEPTH {
            // EACCES where the directory's own `..` may not be written.
            drop(enter(folder, &name)?);
            up(top, folder, &name, moved)?;
            continue;
        }
        let inner = enter(folder, &name)?;
        empty(top, inner.as_fd(), depth + 1, moved)?;
        unlinkat(folder, name.as_c_str(), UnlinkatFlags::RemoveDir)?;
    }
    Ok(())
}

/// Moves a directory to the top of the tree, under a name that nothing has there.
fn up(top: BorrowedFd<'_>, folder: BorrowedFd<'_>, name: &CStr, moved: &mut u64) -> Result<()> {
    loop {
        *moved += 1;
        let free = CString::new(format!(".deep-{moved}")).map_err(|_| Errno::EINVAL)?;
        match renameat(folder, name, top, free.as_c_str()) {
            Err(Errno::EEXIST | Errno::ENOTEMPTY | Errno::ENOTDIR) => {}
            other => return other,
        }
    }
}

//! What trees of files take that strangers have named. No link is followed.

use crate::sys::tree::names;
use crate::sys::{Result, uninterrupted};
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

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

fn open_folder(parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
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
    let top = open_folder(tree, c".")?;
    // Each directory is opened by its path from the top, one name after another, so that depth needs no descriptors.
    let mut waiting: Vec<Vec<CString>> = vec![Vec::new()];
    while let Some(path) = waiting.pop() {
        let mut folder = open_folder(top.as_fd(), c".")?;
        for name in &path {
            folder = open_folder(folder.as_fd(), name)?;
        }
        for name in names(folder.as_fd())? {
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

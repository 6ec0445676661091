//! Removes trees that strangers have made: never through a link, whatever the modes and however deep.

use crate::sys::fs::set_mode;
use crate::sys::tree::set_mode_of_path;
use crate::sys::{Errno, Result, uninterrupted};
use nix::dir::Dir;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// Directories that are open below each other; deeper ones are moved up first, so that neither descriptors nor the stack run out.
const DEEP: usize = 64;

/// Removes what stands under a name of a directory, with everything in it. What is not there is fine.
///
/// Nothing is followed, directories without permissions get them first, and it may be interrupted at any time and called again.
///
/// # Errors
/// `EINVAL` for what is no name in a directory; else as unlinkat(2) and open(2).
pub fn remove_tree(parent: BorrowedFd<'_>, name: &OsStr) -> Result<()> {
    let bytes = name.as_bytes();
    if matches!(bytes, b"" | b"." | b"..") || bytes.contains(&b'/') {
        return Err(Errno::EINVAL);
    }
    let name = CString::new(bytes).map_err(|_| Errno::EINVAL)?;
    match unlinkat(parent, name.as_c_str(), UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => return Ok(()),
        Err(Errno::EISDIR) => {}
        Err(errno) => return Err(errno),
    }
    let mut work = Work {
        top: enter(parent, &name)?,
        next: 0,
        done: 0,
    };
    loop {
        let before = work.done;
        let top = work.top.try_clone().map_err(errno)?;
        work.empty(&top, 0)?;
        match unlinkat(parent, name.as_c_str(), UnlinkatFlags::RemoveDir) {
            // What was moved up, or what the file system did not list.
            Err(Errno::ENOTEMPTY) if work.done > before => {}
            Err(Errno::ENOENT) => return Ok(()),
            other => return other,
        }
    }
}

fn errno(e: std::io::Error) -> Errno {
    Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO))
}

/// Opens a directory for reading and makes that its owner may do everything in it.
fn enter(parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let open_as = |how| uninterrupted(|| openat(parent, name, flags | how, Mode::empty()));
    let open = || open_as(OFlag::O_RDONLY);
    let directory = match open() {
        Err(Errno::EACCES) => {
            let object = open_as(OFlag::O_PATH)?;
            set_mode_of_path(object.as_fd(), 0o700)?;
            open()?
        }
        other => other?,
    };
    if fstat(&directory)?.st_mode & 0o700 != 0o700 {
        // Not the owner: capabilities may do without, or what follows says why not.
        let _ = set_mode(directory.as_fd(), 0o700);
    }
    Ok(directory)
}

struct Work {
    top: OwnedFd,
    /// Names what is moved up.
    next: u64,
    /// Names that are gone from where they were.
    done: u64,
}

impl Work {
    fn empty(&mut self, here: &OwnedFd, depth: usize) -> Result<()> {
        // Opened anew, because copies of a descriptor share the position.
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut list = Dir::from_fd(openat(here, c".", flags, Mode::empty())?)?;
        for entry in list.iter() {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            match unlinkat(here, name, UnlinkatFlags::NoRemoveDir) {
                Ok(()) | Err(Errno::ENOENT) => self.done += 1,
                Err(Errno::EISDIR) => self.directory(here.as_fd(), name, depth)?,
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    fn directory(&mut self, parent: BorrowedFd<'_>, name: &CStr, depth: usize) -> Result<()> {
        match unlinkat(parent, name, UnlinkatFlags::RemoveDir) {
            Err(Errno::ENOTEMPTY) => {}
            other => {
                self.done += 1;
                return other;
            }
        }
        // Also a directory that is moved must be writable: its `..` changes.
        let directory = enter(parent, name)?;
        if depth >= DEEP {
            return self.move_up(parent, name);
        }
        self.empty(&directory, depth + 1)?;
        match unlinkat(parent, name, UnlinkatFlags::RemoveDir) {
            Ok(()) => {
                self.done += 1;
                Ok(())
            }
            // The next pass finds it.
            Err(Errno::ENOTEMPTY) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    fn move_up(&mut self, parent: BorrowedFd<'_>, name: &CStr) -> Result<()> {
        loop {
            let up = CString::new(format!(".{}", self.next)).map_err(|_| Errno::EINVAL)?;
            self.next += 1;
            match renameat(parent, name, &self.top, up.as_c_str()) {
                // Something of the tree has this name.
                Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOTDIR) => {}
                other => {
                    self.done += 1;
                    return other;
                }
            }
        }
    }
}

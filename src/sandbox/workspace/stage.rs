//! New files for the workspace, written before any of them gets its name, so that a full disk stops an apply before it has changed
//! anything.

use super::c_string;
use crate::sys::{Errno, uninterrupted};
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Descriptors that an apply needs beside those of unnamed files.
const SPARE: u64 = 64;

/// A file that is whole and has no name in the workspace yet.
pub(super) struct Staged<'a> {
    file: Option<File>,
    root: BorrowedFd<'a>,
    /// Its temporary name in the root, where the file system has no files without a name, or too many are open.
    named: Option<CString>,
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.named {
            let _ = unlinkat(self.root, name.as_c_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}

/// Makes files, and temporary names that are free.
pub(super) struct Stage<'a> {
    /// The workspace.
    root: BorrowedFd<'a>,
    /// How many more files may stay open.
    open: u64,
    names: u64,
}

impl<'a> Stage<'a> {
    /// Raises the limit of open files as far as the caller may.
    pub(super) fn new(root: BorrowedFd<'a>) -> Self {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or_default();
        let raised = setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
        let open = if raised { hard } else { soft };
        Self {
            root,
            open: open.saturating_sub(SPARE),
            names: 0,
        }
    }

    /// Makes an empty file near the place where it will be.
    pub(super) fn file(&mut self, near: BorrowedFd<'_>) -> io::Result<Staged<'a>> {
        let flags = OFlag::O_WRONLY | OFlag::O_TMPFILE | OFlag::O_CLOEXEC;
        if self.open > 0 {
            match uninterrupted(|| openat(near, c".", flags, private())) {
                Ok(unnamed) => {
                    self.open -= 1;
                    let file = Some(File::from(unnamed));
                    return Ok(Staged {
                        file,
                        root: self.root,
                        named: None,
                    });
                }
                // EISDIR and ENOENT: what a kernel or a file system says that takes the flag for O_DIRECTORY.
                Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::ENOENT | Errno::EMFILE) => self.open = 0,
                Err(errno) => return Err(errno.into()),
            }
        }
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let root = self.root;
        let (made, name) = self.free_name(|name| openat(root, name, flags, private()))?;
        Ok(Staged {
            file: Some(File::from(made)),
            root,
            named: Some(name),
        })
    }

    /// Gives a staged file its name, in place of what is not a directory there.
    pub(super) fn put(&mut self, mut staged: Staged<'_>, to: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
        if let Some(temporary) = staged.named.take() {
            let moved = renameat(self.root, temporary.as_c_str(), to, name);
            if moved.is_err() {
                staged.named = Some(temporary);
            }
            return Ok(moved?);
        }
        let file = staged.file.as_ref().ok_or(Errno::EBADF)?;
        // The magic link, which needs no right; AT_EMPTY_PATH needs CAP_DAC_READ_SEARCH before Linux 6.10.
        let path = c_string(OsStr::new(&format!("/proc/self/fd/{}", file.as_raw_fd())))?;
        let link = |name: &CStr| {
            linkat(
                nix::fcntl::AT_FDCWD,
                path.as_c_str(),
                to,
                name,
                AtFlags::AT_SYMLINK_FOLLOW,
            )
        };
        match link(name) {
            Err(Errno::EEXIST) => self.replace(to, name, link),
            other => Ok(other?),
        }
    }

    /// Makes something under a temporary name and renames it, so that nobody sees a moment without it.
    pub(super) fn replace(
        &mut self,
        to: BorrowedFd<'_>,
        name: &CStr,
        make: impl Fn(&CStr) -> nix::Result<()>,
    ) -> io::Result<()> {
        let ((), temporary) = self.free_name(make)?;
        let moved = renameat(to, temporary.as_c_str(), to, name);
        if moved.is_err() {
            let _ = unlinkat(to, temporary.as_c_str(), UnlinkatFlags::NoRemoveDir);
        }
        Ok(moved?)
    }

    /// Tries names until one is free.
    fn free_name<T>(&mut self, make: impl Fn(&CStr) -> nix::Result<T>) -> io::Result<(T, CString)> {
        loop {
            self.names += 1;
            let name = format!(".sbx-apply-{}-{}", std::process::id(), self.names);
            let name = c_string(OsStr::new(&name))?;
            match make(&name) {
                Err(Errno::EEXIST | Errno::EINTR) => {}
                other => return Ok((other?, name)),
            }
        }
    }
}

fn private() -> Mode {
    Mode::S_IRUSR | Mode::S_IWUSR
}

impl Staged<'_> {
    /// Fills it. A file that has a name need not stay open.
    pub(super) fn fill(&mut self, write: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
        write(self.file.as_ref().ok_or(Errno::EBADF)?)?;
        if self.named.is_some() {
            self.file = None;
        }
        Ok(())
    }
}

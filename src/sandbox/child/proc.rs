//! The child's `/proc`, and the files that it shows.

use super::super::fresh::{MINIMAL, fresh_tmpfs};
use super::super::operation::{Place, ProcFiles};
use super::Child;
use crate::sys::fs::{self, Resolve};
use crate::sys::mount::{self, Attributes};
use crate::sys::{Errno, Result};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A file of every `/proc` that shows the kernel's.
const WITNESS: &CStr = c"filesystems";

impl Child<'_> {
    /// With `own_processes` it begins as a whole one, on whose files mounts can be put, and becomes `subset=pid` behind them: the
    /// kernel then finds no file of its own any more, but for those that a mount keeps in place.
    pub(super) fn proc(&self, at: &Place, own_processes: bool, files: &ProcFiles) -> Result<()> {
        let below = self.stage(at, files)?;
        let context = mount::fsopen(c"proc")?;
        if own_processes {
            mount::fsconfig_string(context.as_fd(), c"hidepid", c"4")?;
        }
        mount::fsconfig_create(context.as_fd())?;
        let proc = mount::fsmount(context.as_fd(), MINIMAL)?;
        self.attach(&proc, at, Resolve::IN_ROOT_NO_LINKS)?;
        show(proc.as_fd(), below.as_ref(), files)?;
        if own_processes {
            mount::fsconfig_string(context.as_fd(), c"subset", c"pid")?;
            mount::fsconfig_reconfigure(context.as_fd())?;
            hidden(proc.as_fd())?;
        }
        Ok(())
    }

    /// Writes generated files to where `/proc` is going to hide them.
    fn stage(&self, at: &Place, files: &ProcFiles) -> Result<Option<OwnedFd>> {
        if files.covers.is_empty() {
            return Ok(None);
        }
        if let Some(options) = &files.staging {
            self.attach(&fresh_tmpfs(options, MINIMAL)?, at, Resolve::IN_ROOT_NO_LINKS)?;
        }
        let flags = libc::O_PATH | libc::O_DIRECTORY;
        let below = fs::open_beneath(self.root()?, &at.path, flags, 0, Resolve::IN_ROOT_NO_LINKS)?;
        for name in &files.directories {
            fs::make_directory(below.as_fd(), name, 0o555)?;
        }
        for (name, bytes) in &files.generated {
            let flags = libc::O_WRONLY | libc::O_CREAT;
            let file = fs::open_beneath(below.as_fd(), name, flags, 0o444, Resolve::BENEATH_NO_LINKS)?;
            fs::write_all(file.as_fd(), bytes)?;
        }
        Ok(Some(below))
    }
}

/// The kernel's own files are taken first: a generated directory may cover the way to them.
fn show(proc: BorrowedFd<'_>, below: Option<&OwnedFd>, files: &ProcFiles) -> Result<()> {
    let mut own: [Option<OwnedFd>; ProcFiles::OWN] = [const { None }; _];
    if files.own.len() > own.len() {
        return Err(Errno::E2BIG);
    }
    for (place, name) in own.iter_mut().zip(&files.own) {
        *place = Some(unchangeable(proc, name)?);
    }
    if let Some(below) = below {
        for name in &files.covers {
            let tree = unchangeable(below.as_fd(), name)?;
            mount::move_mount_at(tree.as_fd(), proc, name)?;
        }
    }
    for (tree, name) in own.iter().flatten().zip(&files.own) {
        mount::move_mount_at(tree.as_fd(), proc, name)?;
    }
    Ok(())
}

fn unchangeable(directory: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    let tree = mount::open_tree_at(directory, name)?;
    mount::set_attributes(tree.as_fd(), Attributes(MINIMAL.0 | Attributes::READ_ONLY), false)?;
    Ok(tree)
}

/// Fails where the kernel has taken the option and shows its files all the same.
fn hidden(proc: BorrowedFd<'_>) -> Result<()> {
    match fs::open_beneath(proc, WITNESS, libc::O_PATH, 0, Resolve::BENEATH_NO_LINKS) {
        Err(Errno::ENOENT) => Ok(()),
        Err(other) => Err(other),
        Ok(_) => Err(Errno::EOPNOTSUPP),
    }
}

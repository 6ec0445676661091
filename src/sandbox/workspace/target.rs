//! The working directory on the host while changes are applied: what may be changed is found out first, directories that are their
//! owner's to open are opened, and modes are set at the end.

use super::{DEPTH, c_string, names, open, stat};
use crate::sys::Errno;
use crate::sys::fs as sysfs;
use crate::sys::tree::set_mode_of_path;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, fstat};
use nix::unistd::{AccessFlags, UnlinkatFlags, faccessat, geteuid, unlinkat};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CStr;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The working directory.
pub(super) struct Target<'a> {
    root: BorrowedFd<'a>,
    uid: u32,
    /// Modes that directories get at the end.
    modes: BTreeMap<PathBuf, u32>,
    /// Modes that directories had, where they were changed for as long as this lasts.
    before: BTreeMap<PathBuf, u32>,
    writable: BTreeSet<PathBuf>,
}

pub(super) fn is_directory(stat: &FileStat) -> bool {
    stat.st_mode & libc::S_IFMT == libc::S_IFDIR
}

/// Splits a path into the directory that holds it, `""` for the root, and its name.
pub(super) fn split(path: &Path) -> (&Path, &OsStr) {
    (
        path.parent().unwrap_or(Path::new("")),
        path.file_name().unwrap_or_default(),
    )
}

impl<'a> Target<'a> {
    pub(super) fn new(root: BorrowedFd<'a>) -> Self {
        Self {
            root,
            uid: geteuid().as_raw(),
            modes: BTreeMap::new(),
            before: BTreeMap::new(),
            writable: BTreeSet::new(),
        }
    }

    /// Opens a directory for its names to be changed.
    pub(super) fn directory(&self, path: &Path) -> io::Result<OwnedFd> {
        let path = if path == Path::new("") {
            Path::new(".")
        } else {
            path
        };
        open(
            self.root,
            &c_string(path.as_os_str())?,
            libc::O_PATH | libc::O_DIRECTORY,
        )
    }

    /// What is there, without following a link.
    pub(super) fn look(&self, path: &Path) -> io::Result<Option<FileStat>> {
        let (holder, name) = split(path);
        match stat(self.directory(holder)?.as_fd(), &c_string(name)?) {
            Ok(found) => Ok(Some(found)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The mode that a directory gets once everything is in it.
    pub(super) fn mode_at_end(&mut self, path: &Path, mode: u32) {
        self.modes.insert(path.to_owned(), mode);
    }

    /// Makes sure that an existing directory can be entered and read, and changed if asked. One of the caller's own is opened for as
    /// long as this lasts.
    pub(super) fn prepare(&mut self, path: &Path) -> io::Result<OwnedFd> {
        let directory = self.directory(path)?;
        if self.writable.contains(path) {
            return Ok(directory);
        }
        let stat = fstat(&directory)?;
        // The mode of the working directory itself is never applied: what it forbids, somebody outside has forbidden.
        let own = stat.st_uid == self.uid && path != Path::new("");
        if own && stat.st_mode & 0o700 != 0o700 {
            set_mode_of_path(directory.as_fd(), (stat.st_mode & 0o7777) | 0o700)?;
            self.before
                .entry(path.to_owned())
                .or_insert(stat.st_mode & 0o7777);
        }
        Ok(directory)
    }

    /// The same, for names in it to be made and removed.
    pub(super) fn prepare_to_write(&mut self, path: &Path) -> io::Result<OwnedFd> {
        let directory = self.prepare(path)?;
        if !self.writable.contains(path) {
            faccessat(
                &directory,
                c".",
                AccessFlags::W_OK | AccessFlags::X_OK,
                AtFlags::AT_EACCESS,
            )?;
            self.writable.insert(path.to_owned());
        }
        Ok(directory)
    }

    /// Makes sure that the mode of a directory can be changed.
    pub(super) fn prepare_mode(&self, found: &FileStat) -> io::Result<()> {
        match self.uid == 0 || found.st_uid == self.uid {
            true => Ok(()),
            false => Err(Errno::EPERM.into()),
        }
    }

    /// Makes sure that what is there can be removed, with everything below it.
    pub(super) fn prepare_to_remove(&mut self, path: &Path, found: &FileStat) -> io::Result<()> {
        if path.components().count() > DEPTH {
            return Err(io::Error::other(format!("it is deeper than {DEPTH} directories")));
        }
        let holder = self.prepare_to_write(split(path).0)?;
        let above = fstat(&holder)?;
        let owner = self.uid == 0 || [found.st_uid, above.st_uid].contains(&self.uid);
        if above.st_mode & libc::S_ISVTX != 0 && !owner {
            return Err(Errno::EPERM.into());
        }
        if !is_directory(found) {
            return Ok(());
        }
        let directory = self.prepare(path)?;
        for name in names(directory.as_fd())? {
            let below = path.join(OsStr::from_bytes(name.as_bytes()));
            self.prepare_to_remove(&below, &stat(directory.as_fd(), &name)?)?;
        }
        Ok(())
    }

    /// Sets the modes of directories, those below before those above: what was asked for, else what was there before.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let mut modes = std::mem::take(&mut self.before);
        modes.append(&mut self.modes);
        let mut failed = Ok(());
        for (path, mode) in modes.iter().rev() {
            let set = self
                .directory(path)
                .and_then(|directory| set(directory.as_fd(), *mode));
            // What was removed, or is another thing by now, needs none.
            let gone =
                |e: &io::Error| matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
            if let Err(e) = set
                && !gone(&e)
                && failed.is_ok()
            {
                failed = Err(e);
            }
        }
        failed
    }
}

/// Permission bits; set-id bits and the sticky bit stay as the directory has them, also those that it inherited when it was made.
fn set(directory: BorrowedFd<'_>, mode: u32) -> io::Result<()> {
    let now = fstat(directory)?.st_mode & 0o7777;
    let wanted = (now & 0o7000) | (mode & 0o777);
    if now == wanted {
        return Ok(());
    }
    Ok(set_mode_of_path(directory, wanted)?)
}

/// Removes a name and everything below it, without following a link. A name that does not exist is fine.
pub(super) fn remove(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    let found = match stat(parent, name) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    if !is_directory(&found) {
        return Ok(unlinkat(parent, name, UnlinkatFlags::NoRemoveDir)?);
    }
    let inner = open(parent, name, libc::O_PATH | libc::O_DIRECTORY)?;
    for child in names(inner.as_fd())? {
        remove(inner.as_fd(), &child)?;
    }
    Ok(unlinkat(parent, name, UnlinkatFlags::RemoveDir)?)
}

/// Makes a directory that only its owner may enter until its mode is set.
pub(super) fn make(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    Ok(sysfs::make_directory(parent, name, 0o700)?)
}

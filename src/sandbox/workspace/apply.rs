//! Applies changes: first everything that can fail for want of rights, space or sense is done where nobody sees it, then names change.

use super::stage::{Stage, Staged};
use super::target::{Target, is_directory, make, remove, split};
use super::{Change, What, c_string, open, open_written};
use crate::sys::fs as sysfs;
use crate::sys::tree::copy_contents;
use nix::fcntl::readlinkat;
use nix::sys::stat::{FileStat, fstat};
use nix::unistd::fchown;
use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Why changes were not applied, or not all of them.
#[derive(Debug)]
pub struct ApplyError {
    /// Where it stopped, relative to the workspace.
    pub path: PathBuf,
    /// Why.
    pub why: io::Error,
    /// How many changes were applied before.
    pub applied: usize,
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}",
            self.path.as_os_str().as_bytes().escape_ascii(),
            self.why
        )
    }
}

/// One change, ready to be made.
enum Action<'a> {
    Nothing,
    Remove,
    Link(CString),
    File(Staged<'a>),
    /// A new directory, with its mode.
    Make(u32),
    /// A mode for a directory that stays.
    Mode(u32),
}

struct Apply<'a> {
    upper: BorrowedFd<'a>,
    target: Target<'a>,
    stage: Stage<'a>,
    umask: u32,
    /// Directories that the workspace does not have yet.
    made: BTreeSet<PathBuf>,
}

/// Applies changes to the workspace, which is open: its name does not count any more. Special files are skipped.
///
/// # Errors
/// When one cannot be applied. Rights, space and kinds are checked before the first is: then none has been.
pub fn apply(upper: &OwnedFd, workspace: &OwnedFd, changes: &[Change]) -> Result<(), ApplyError> {
    let umask = sysfs::set_umask(0o077);
    let mut apply = Apply {
        upper: upper.as_fd(),
        target: Target::new(workspace.as_fd()),
        stage: Stage::new(workspace.as_fd()),
        umask,
        made: BTreeSet::new(),
    };
    let result = apply.all(changes);
    let finished = apply.target.finish();
    sysfs::set_umask(umask);
    result.and_then(|()| {
        finished.map_err(|why| ApplyError {
            path: PathBuf::from("."),
            why,
            applied: changes.len(),
        })
    })
}

impl<'a> Apply<'a> {
    fn all(&mut self, changes: &[Change]) -> Result<(), ApplyError> {
        let failed = |change: &Change, why, applied| ApplyError {
            path: change.path.clone(),
            why,
            applied,
        };
        let mut actions = Vec::with_capacity(changes.len());
        for change in changes {
            actions.push(self.prepare(change).map_err(|why| failed(change, why, 0))?);
        }
        for (applied, (change, action)) in changes.iter().zip(actions).enumerate() {
            self.change(change, action)
                .map_err(|why| failed(change, why, applied))?;
        }
        Ok(())
    }

    /// Checks that a change can be made, and does what of it can be done without being seen.
    fn prepare(&mut self, change: &Change) -> io::Result<Action<'a>> {
        let path = &change.path;
        let holder = split(path).0;
        let found = if self.made.contains(holder) {
            None
        } else {
            self.target.prepare(holder)?;
            self.target.look(path)?
        };
        let stays = change.what == What::Directory && found.as_ref().is_some_and(is_directory);
        if change.what == What::Special || (change.what == What::Removed && found.is_none()) {
            return Ok(Action::Nothing);
        }
        match &found {
            Some(found) if stays => return self.stays(change, found),
            Some(found) => self.target.prepare_to_remove(path, found)?,
            None if self.made.contains(holder) => {}
            None => self.target.prepare_to_write(holder).map(drop)?,
        }
        Ok(match change.what {
            What::Removed => Action::Remove,
            What::Link => Action::Link(c_string(&readlinkat(
                self.written(holder)?,
                &*c_string(split(path).1)?,
            )?)?),
            What::File => Action::File(self.file(change, found.as_ref())?),
            What::Directory | What::Replaced => {
                self.made.insert(path.clone());
                Action::Make(change.mode & !self.umask)
            }
            What::Special => Action::Nothing,
        })
    }

    /// A directory that stays has the mode that was given to it, if one was.
    fn stays(&mut self, change: &Change, found: &FileStat) -> io::Result<Action<'a>> {
        // It may be closed to its own owner.
        self.target.prepare(&change.path)?;
        if found.st_mode & 0o777 == change.mode {
            return Ok(Action::Nothing);
        }
        self.target.prepare_mode(found)?;
        Ok(Action::Mode(change.mode))
    }

    /// A directory of the upper layer.
    fn written(&self, path: &Path) -> io::Result<OwnedFd> {
        let path = if path == Path::new("") {
            Path::new(".")
        } else {
            path
        };
        open(
            self.upper,
            &c_string(path.as_os_str())?,
            libc::O_PATH | libc::O_DIRECTORY,
        )
    }

    /// Copies a file to where nobody sees it yet.
    fn file(&mut self, change: &Change, found: Option<&FileStat>) -> io::Result<Staged<'a>> {
        let (holder, name) = split(&change.path);
        let from = open_written(
            self.written(holder)?.as_fd(),
            &c_string(name)?,
            libc::O_NONBLOCK,
            change.mode,
        )?;
        let stat = fstat(&from)?;
        let there = holder.ancestors().find(|path| !self.made.contains(*path));
        // Where the file system has no files without a name, they get one in the root; where that cannot be written, making one fails.
        let _ = self.target.prepare_to_write(Path::new(""));
        let near = self.target.prepare_to_write(there.unwrap_or(Path::new("")))?;
        let above = fstat(&near)?;
        let mut staged = self.stage.file(near.as_fd())?;
        let from = File::from(from);
        staged.fill(|to| {
            copy_contents(&from, to, u64::try_from(stat.st_size).unwrap_or_default())?;
            resemble(to, &above, (change.mode, self.umask), found)
        })?;
        Ok(staged)
    }

    fn change(&mut self, change: &Change, action: Action<'_>) -> io::Result<()> {
        let (holder, name) = split(&change.path);
        let name = c_string(name)?;
        let directory = || self.target.directory(holder);
        match action {
            Action::Nothing => Ok(()),
            Action::Remove => remove(directory()?.as_fd(), &name),
            Action::Make(mode) => {
                let holder = directory()?;
                remove(holder.as_fd(), &name)?;
                make(holder.as_fd(), &name)?;
                self.target.mode_at_end(&change.path, mode);
                Ok(())
            }
            Action::Mode(mode) => {
                self.target.mode_at_end(&change.path, mode);
                Ok(())
            }
            Action::Link(to) => {
                let holder = directory()?;
                self.clear_directory(holder.as_fd(), &name)?;
                let link = |name: &CStr| sysfs::make_link(&to, holder.as_fd(), name);
                self.stage.replace(holder.as_fd(), &name, link)
            }
            Action::File(staged) => {
                let holder = directory()?;
                self.clear_directory(holder.as_fd(), &name)?;
                self.stage.put(staged, holder.as_fd(), &name)
            }
        }
    }

    /// Nothing but an empty directory can be renamed over a directory.
    fn clear_directory(&self, holder: BorrowedFd<'_>, name: &CString) -> io::Result<()> {
        match super::stat(holder, name) {
            Ok(found) if is_directory(&found) => remove(holder, name),
            _ => Ok(()),
        }
    }
}

/// Sets group and mode of a file. A new one has the group of a directory whose set-id bit says so, and loses what the caller's umask
/// takes; one that was there keeps its group, and its mode unless the command has changed it.
fn resemble(
    to: &File,
    above: &FileStat,
    (mode, umask): (u32, u32),
    found: Option<&FileStat>,
) -> io::Result<()> {
    let regular = found.filter(|found| found.st_mode & libc::S_IFMT == libc::S_IFREG);
    let mut mode = if regular.is_some() { mode } else { mode & !umask };
    let inherited = (above.st_mode & libc::S_ISGID != 0).then_some(above.st_gid);
    let group = regular.map(|found| found.st_gid).or(inherited);
    if let Some(group) = group
        && fstat(to)?.st_gid != group
        && fchown(to, None, Some(group.into())).is_err()
    {
        // Rights that the old group had are no other group's.
        mode &= 0o707;
    }
    Ok(sysfs::set_mode(to.as_fd(), mode)?)
}

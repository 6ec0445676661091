//! Files that the caller names by a path, of which a sandbox may have planted a part.
//!
//! What ran in the working directory before may have put links there. None leads out of it, and none at all is followed to a file that
//! is written. Elsewhere a path means what it means to every program.

use super::fs::{self as sysfs, Resolve};
use super::walk::{Walked, walk};
use super::{Errno, fs};
use nix::fcntl::{AtFlags, renameat};
use nix::sys::stat::fstatat;
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Directories in which a sandbox may have written: the working directory, and what a command line shows inside.
#[derive(Debug, Clone, Default)]
pub struct Planted(Vec<PathBuf>);

impl Planted {
    /// The working directory alone, unless it is one that no sandbox is ever shown: `/`, or the home and what lies above it.
    #[must_use]
    pub fn workdir() -> Self {
        let home = std::env::var_os("HOME").and_then(|home| Path::new(&home).canonicalize().ok());
        let shown = |path: &PathBuf| {
            path != Path::new("/") && !home.as_ref().is_some_and(|home| home.starts_with(path))
        };
        Self(std::env::current_dir().into_iter().filter(shown).collect())
    }

    /// Adds a directory, with its links resolved.
    pub fn add(&mut self, directory: &Path) {
        self.0
            .extend(absolute(directory).and_then(|path| path.canonicalize()));
    }

    fn walk(&self, path: &Path) -> io::Result<Walked> {
        Ok(walk(&absolute(path)?, &self.0)?)
    }
}

fn absolute(path: &Path) -> io::Result<PathBuf> {
    Ok(match path.is_absolute() {
        true => path.to_owned(),
        false if path.as_os_str().is_empty() => return Err(Errno::ENOENT.into()),
        false => std::env::current_dir()?.join(path),
    })
}

/// Whether links on the way are the kernel's own, which lead where no path does (`/dev/stdin`, `/proc/self/fd/1`).
fn kernels(path: &Path) -> bool {
    path.starts_with("/proc") || (path.starts_with("/dev") && !path.starts_with("/dev/shm"))
}

/// The path without links of something that is to be read.
///
/// # Errors
/// As open(2); for a link in a directory where a sandbox may have written that leads out of it.
pub fn real(path: &Path, planted: &Planted) -> io::Result<PathBuf> {
    if kernels(path) {
        return path.canonicalize();
    }
    let walked = planted.walk(path)?;
    if walked.leads_out_of(&planted.0) {
        return Err(io::Error::other(format!(
            "a link that a sandbox may have put there leads to {}: write that path if you mean it",
            walked.real.as_os_str().as_bytes().escape_ascii()
        )));
    }
    match walked.missing {
        true => Err(Errno::ENOENT.into()),
        false => Ok(walked.real),
    }
}

/// Opens a file for reading. A FIFO is not waited for.
///
/// # Errors
/// As [`real`] and open(2).
pub fn open(path: &Path, planted: &Planted) -> io::Result<File> {
    let flags = libc::O_RDONLY | libc::O_NONBLOCK;
    let opened = match kernels(path) {
        true => fs::open(&c_string(path)?, flags)?,
        false => fs::open_without_links(&c_string(&real(path, planted)?)?, flags)?,
    };
    Ok(File::from(opened))
}

/// A place for a file that is written.
#[derive(Debug)]
pub struct Place {
    directory: OwnedFd,
    name: CString,
    /// A FIFO there may have been planted, and is not waited for.
    planted: bool,
    /// The name may be a link of the kernel's own.
    kernels: bool,
}

impl Place {
    /// Finds it.
    ///
    /// # Errors
    /// As open(2); for a link in a directory where a sandbox may have written.
    pub fn find(path: &Path, planted: &Planted) -> io::Result<Self> {
        let walked = match kernels(path) {
            true => Walked::plain(path.to_owned()),
            false => planted.walk(path)?,
        };
        if walked.planted {
            return Err(io::Error::other(format!(
                "nothing is written through a link that a sandbox may have put there; it leads to {}: write that path if you mean it",
                walked.real.as_os_str().as_bytes().escape_ascii()
            )));
        }
        let real = &walked.real;
        let name = real.file_name().ok_or(Errno::EISDIR)?;
        let above = c_string(real.parent().unwrap_or(Path::new("/")))?;
        let flags = libc::O_PATH | libc::O_DIRECTORY;
        let directory = match kernels(real) {
            true => fs::open(&above, flags)?,
            false => fs::open_without_links(&above, flags)?,
        };
        Ok(Self {
            directory,
            name: CString::new(name.as_bytes())?,
            planted: planted.0.iter().any(|guarded| real.starts_with(guarded)),
            kernels: kernels(real),
        })
    }

    /// Opens it, as it is or new.
    ///
    /// # Errors
    /// As open(2).
    pub fn open(&self) -> io::Result<File> {
        let wait = if self.planted { libc::O_NONBLOCK } else { 0 };
        self.open_with(libc::O_WRONLY | libc::O_CREAT | wait)
    }

    fn open_with(&self, flags: libc::c_int) -> io::Result<File> {
        let how = if self.kernels {
            Resolve::ANYWHERE
        } else {
            Resolve::BENEATH_NO_LINKS
        };
        let file = sysfs::open_beneath(self.directory.as_fd(), &self.name, flags, 0o666, how)?;
        Ok(File::from(file))
    }

    /// Whether something is there that is not a regular file: it is written to and not replaced.
    #[must_use]
    pub fn is_special(&self) -> bool {
        let found = fstatat(&self.directory, self.name.as_c_str(), AtFlags::empty());
        found.is_ok_and(|found| found.st_mode & libc::S_IFMT != libc::S_IFREG)
    }

    /// Writes a new file and gives it the name when it is whole.
    ///
    /// # Errors
    /// Those of `write`, and of the calls that make and name a file.
    pub fn replace<E: From<io::Error>>(&self, write: impl FnOnce(File) -> Result<File, E>) -> Result<(), E> {
        let (file, hidden) = self.hidden()?;
        let done = write(file).and_then(|file| {
            file.sync_all()?;
            let to = self.name.as_c_str();
            Ok(renameat(&self.directory, hidden.as_c_str(), &self.directory, to).map_err(io::Error::from)?)
        });
        if done.is_err() {
            let _ = unlinkat(&self.directory, hidden.as_c_str(), UnlinkatFlags::NoRemoveDir);
        }
        done
    }

    /// A new file beside it, under a name that is free.
    fn hidden(&self) -> io::Result<(File, CString)> {
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL;
        for number in 0_u64.. {
            let mut name = OsString::from(".");
            name.push(std::ffi::OsStr::from_bytes(self.name.as_bytes()));
            name.push(format!(".sbx-{}-{number}", std::process::id()));
            let name = CString::new(name.as_bytes())?;
            match sysfs::open_beneath(
                self.directory.as_fd(),
                &name,
                flags,
                0o666,
                Resolve::BENEATH_NO_LINKS,
            ) {
                Err(Errno::EEXIST) => {}
                other => return Ok((File::from(other?), name)),
            }
        }
        Err(Errno::EEXIST.into())
    }
}

fn c_string(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

//! The store's directory, and every file in it by its name beneath that.
//!
//! The worker, which reads bytes of strangers, may write here. Should one of them take it over, it could leave links behind: nothing here
//! follows one, and nothing is opened that would wait for another process.

use super::error::Error;
use crate::sys::fs::{Resolve, open_beneath, set_mode, set_owner};
use crate::sys::tree::names;
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Directories inside the store; the store itself is 0700. Others than the caller must get through: the ids that layers are mapped to.
const FOLDER: u32 = 0o755;
/// Files inside the store that may still be written.
const FILE: u32 = 0o644;

/// The directory of a store.
#[derive(Debug)]
pub(super) struct Root {
    fd: OwnedFd,
    path: PathBuf,
    /// Whom the store belongs to, when that is not who runs this: root, whose worker runs as another id.
    owner: Option<(u32, u32)>,
}

/// Refuses a directory that others than the caller could have filled. Under root it may be the ids' that its worker runs as.
///
/// # Errors
/// [`Error::Untrusted`]
pub(super) fn is_own(fd: &OwnedFd, path: &Path) -> Result<(), Error> {
    const OTHERS_WRITE: u32 = libc::S_IWGRP | libc::S_IWOTH;
    let stat = fstat(fd).map_err(|e| Error::io("read the status of", path, e))?;
    let caller = nix::unistd::geteuid();
    let untrusted = |why: String, fix: String| {
        Err(Error::Untrusted {
            path: path.to_owned(),
            why,
            fix,
        })
    };
    if !caller.is_root() && caller.as_raw() != stat.st_uid {
        let why = format!("belongs to uid {}, not to you (uid {caller})", stat.st_uid);
        return untrusted(
            why,
            "move it away, or set XDG_DATA_HOME to a directory of your own".into(),
        );
    }
    if stat.st_mode & OTHERS_WRITE != 0 {
        let why = format!("can be written by others (mode {:03o})", stat.st_mode & 0o777);
        return untrusted(
            why,
            format!("look at what is in it, then chmod 700 {}", path.display()),
        );
    }
    Ok(())
}

/// Splits off the last name.
fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('/').unwrap_or((".", name))
}

fn terminated(name: &str) -> Result<CString, Errno> {
    CString::new(name).map_err(|_| Errno::EINVAL)
}

impl Root {
    /// An open directory; `path` is for messages, and for paths that are handed out.
    pub(super) fn new(fd: OwnedFd, path: &Path) -> Result<Self, Error> {
        let stat = fstat(&fd).map_err(|e| Error::io("read the status of", path, e))?;
        let own = nix::unistd::geteuid().as_raw() == stat.st_uid;
        Ok(Self {
            fd,
            path: path.to_owned(),
            owner: (!own).then_some((stat.st_uid, stat.st_gid)),
        })
    }

    /// The absolute path of a name.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        match name {
            "." => self.path.clone(),
            name => self.path.join(name),
        }
    }

    fn error(&self, what: &'static str, name: &str) -> impl Fn(Errno) -> Error {
        let path = self.path(name);
        move |errno| Error::io(what, &path, errno)
    }

    fn raw_open(&self, name: &str, flags: libc::c_int) -> Result<OwnedFd, Errno> {
        // openat2 refuses what means nothing with O_PATH.
        let wait = match flags & libc::O_PATH {
            0 => libc::O_NONBLOCK,
            _ => 0,
        };
        let flags = flags | wait | libc::O_NOFOLLOW;
        let name = terminated(name)?;
        open_beneath(self.fd.as_fd(), &name, flags, FILE, Resolve::BENEATH_NO_LINKS)
    }

    /// Opens; `None` when it is not there.
    fn open(&self, name: &str, flags: libc::c_int) -> Result<Option<OwnedFd>, Error> {
        match self.raw_open(name, flags) {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(self.error("open", name)(errno)),
        }
    }

    /// A directory; `None` when it is not there.
    pub(super) fn folder(&self, name: &str) -> Result<Option<OwnedFd>, Error> {
        self.open(name, libc::O_RDONLY | libc::O_DIRECTORY)
    }

    /// Whether a directory is there: it is not read.
    pub(super) fn has_folder(&self, name: &str) -> Result<bool, Error> {
        self.open(name, libc::O_PATH | libc::O_DIRECTORY)
            .map(|fd| fd.is_some())
    }

    /// A directory that must be there.
    fn parent<'a>(&self, name: &'a str) -> Result<(OwnedFd, &'a str), Error> {
        let (folder, name) = split(name);
        let fd = self
            .raw_open(folder, libc::O_PATH | libc::O_DIRECTORY)
            .map_err(self.error("open", folder))?;
        Ok((fd, name))
    }

    /// A regular file to be read, and its status; `None` when it is not there.
    pub(super) fn file(&self, name: &str) -> Result<Option<(File, FileStat)>, Error> {
        let Some(fd) = self.open(name, libc::O_RDONLY)? else {
            return Ok(None);
        };
        self.regular(fd, name).map(Some)
    }

    /// A regular file to be read and written; `None` when it is not there.
    pub(super) fn writable(&self, name: &str) -> Result<Option<File>, Error> {
        let Some(fd) = self.open(name, libc::O_RDWR)? else {
            return Ok(None);
        };
        self.regular(fd, name).map(|(file, _)| Some(file))
    }

    /// The same, made when it is not there.
    pub(super) fn create(&self, name: &str) -> Result<File, Error> {
        let fd = self.raw_open(name, libc::O_RDWR | libc::O_CREAT);
        let (file, stat) = self.regular(fd.map_err(self.error("make", name))?, name)?;
        self.give(&file, name, &stat, FILE)?;
        Ok(file)
    }

    fn regular(&self, fd: OwnedFd, name: &str) -> Result<(File, FileStat), Error> {
        let stat = fstat(&fd).map_err(self.error("read the status of", name))?;
        if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
            return Err(Error::Kind {
                path: self.path(name),
                expected: "regular file",
            });
        }
        Ok((File::from(fd), stat))
    }

    /// Whatever the umask took is given back, and the owner of the store owns what is in it.
    fn give(&self, file: impl AsFd, name: &str, stat: &FileStat, mode: u32) -> Result<(), Error> {
        let own = nix::unistd::geteuid().as_raw() == stat.st_uid;
        if let (Some((uid, gid)), true) = (self.owner, own) {
            set_owner(file.as_fd(), uid, gid).map_err(self.error("change the owner of", name))?;
        }
        if own && stat.st_mode & mode != mode {
            set_mode(file.as_fd(), mode).map_err(self.error("change the mode of", name))?;
        }
        Ok(())
    }

    /// The whole of a regular file; `None` when it is not there.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let Some((mut file, stat)) = self.file(name)? else {
            return Ok(None);
        };
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        if size > limit {
            return Err(Error::Large {
                path: self.path(name),
                size,
                limit,
            });
        }
        // Files of the store are replaced and never changed, so that the size tells how much there is.
        let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
        file.read_exact(&mut bytes)
            .map_err(|e| Error::io("read", &self.path(name), e))?;
        Ok(Some(bytes))
    }

    /// Makes a directory; one that is there already is fine.
    pub(super) fn make_folder(&self, name: &str) -> Result<(), Error> {
        if let Some(fd) = self.mkdir(name)? {
            let stat = fstat(&fd).map_err(self.error("read the status of", name))?;
            self.give(&fd, name, &stat, FOLDER)?;
        }
        Ok(())
    }

    /// Makes the directory that a layer is unpacked into: it belongs to who does that, as the layer's files do.
    pub(super) fn make_tree(&self, name: &str) -> Result<OwnedFd, Error> {
        let exists = || self.error("make", name)(Errno::EEXIST);
        let fd = self.mkdir(name)?.ok_or_else(exists)?;
        set_mode(fd.as_fd(), FOLDER).map_err(self.error("change the mode of", name))?;
        Ok(fd)
    }

    fn mkdir(&self, name: &str) -> Result<Option<OwnedFd>, Error> {
        let (parent, last) = self.parent(name)?;
        match nix::sys::stat::mkdirat(&parent, last, nix::sys::stat::Mode::S_IRWXU) {
            Err(Errno::EEXIST) => return Ok(None),
            other => other.map_err(self.error("make", name))?,
        }
        self.raw_open(name, libc::O_RDONLY | libc::O_DIRECTORY)
            .map(Some)
            .map_err(self.error("open", name))
    }

    /// Writes a file under another name, makes sure that it is on the disk, and gives it its name: whoever reads sees the old file or
    /// the new one, whole. The caller sees to it that nobody else uses `temporary`.
    pub(super) fn replace(&self, name: &str, temporary: &str, bytes: &[u8]) -> Result<(), Error> {
        let mut file = self.create(temporary)?;
        let mut write = || {
            file.set_len(0)?;
            file.write_all(bytes)?;
            file.sync_data()
        };
        write().map_err(|e| Error::io("write", &self.path(temporary), e))?;
        self.rename(temporary, name)?;
        self.sync(split(name).0)
    }

    /// Renames; what has the new name is replaced, unless it is a directory that is not empty.
    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        let (from_folder, from_name) = self.parent(from)?;
        let (to_folder, to_name) = self.parent(to)?;
        nix::fcntl::renameat(&from_folder, from_name, &to_folder, to_name).map_err(self.error("rename", from))
    }

    /// Makes sure that the names in a directory are on the disk.
    pub(super) fn sync(&self, folder: &str) -> Result<(), Error> {
        let fd = self
            .raw_open(folder, libc::O_RDONLY | libc::O_DIRECTORY)
            .map_err(self.error("open", folder))?;
        nix::unistd::fsync(&fd).map_err(self.error("sync", folder))
    }

    /// Takes a file's name away; none is fine.
    pub(super) fn unlink(&self, name: &str) -> Result<(), Error> {
        let (parent, last) = self.parent(name)?;
        match unlinkat(&parent, last, UnlinkatFlags::NoRemoveDir) {
            Err(Errno::ENOENT) => Ok(()),
            other => other.map_err(self.error("remove", name)),
        }
    }

    /// The status of whatever has the name, a link itself.
    pub(super) fn status(&self, name: &str) -> Result<Option<FileStat>, Error> {
        let (parent, last) = match self.parent(name) {
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Ok(None);
            }
            other => other?,
        };
        match fstatat(&parent, last, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(self.error("read the status of", name)(errno)),
        }
    }

    /// The names in a directory, sorted; none when it is not there.
    pub(super) fn list(&self, folder: &str) -> Result<Vec<String>, Error> {
        let Some(fd) = self.folder(folder)? else {
            return Ok(Vec::new());
        };
        let mut names = names(fd.as_fd()).map_err(self.error("list", folder))?;
        names.sort_unstable();
        Ok(names
            .iter()
            .map(|name| name.to_string_lossy().into_owned())
            .collect())
    }
}

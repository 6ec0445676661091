//! Volumes: filled with what the root has at a place, and emptied, under the id map that owns their files.
//!
//! To fill one, the worker runs in the root of the image itself, so that layers, whiteouts and links mean what they mean to the sandbox
//! that the volume is for. Nothing of the image is executed.

use crate::image::job::{Fill, VOLUME};
use crate::image::store::remove_tree;
use crate::sys::tree;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, UtimensatFlags, fstat, fstatat, mkdirat, mknodat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchownat, linkat, symlinkat};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// Two descriptors a directory; the worker may open 1024.
const DEEPEST: usize = 400;
const PIECE: usize = 256 << 10;

/// Copies what the root has at a place, with owners, modes and times, and gives the volume the owner and mode of that place.
pub(super) fn fill(fill: &Fill) -> Result<(), String> {
    let to = folder(None, OsStr::new(VOLUME)).map_err(|e| format!("the volume: {e}"))?;
    let from = match &fill.from {
        Some(from) => match folder_through_links(from) {
            Ok(from) => Some(from),
            // A file there is what the mount will fail at.
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => None,
            Err(e) => return Err(format!("the image's {}: {e}", from.escape_debug())),
        },
        None => None,
    };
    let Some(from) = from else {
        let (uid, gid) = fill.owner;
        return crate::sys::fs::set_owner(to.as_fd(), uid, gid)
            .map_err(|e| format!("the volume's owner: {e}"));
    };
    let mut copy = Copy {
        links: BTreeMap::new(),
        path: Vec::new(),
        piece: vec![0; PIECE],
    };
    let top = fstat(&from).map_err(|e| copy.failed(e))?;
    copy.children(from.as_fd(), to.as_fd())
        .and_then(|()| copy.dress_folder(&from, &to, &top))
        .map_err(|e| copy.failed(e))
}

/// Removes all that is in the directory.
pub(super) fn empty() -> Result<(), String> {
    let failed = |e: Errno| format!("cannot remove the volume's files: {e}");
    let top = folder(None, OsStr::new(VOLUME)).map_err(failed)?;
    for name in names(&top).map_err(failed)? {
        remove_tree(top.as_fd(), &name).map_err(failed)?;
    }
    Ok(())
}

fn folder(parent: Option<BorrowedFd<'_>>, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    match parent {
        Some(parent) => openat(parent, name, flags, Mode::empty()),
        None => nix::fcntl::open(name, flags, Mode::empty()),
    }
}

/// Links lead nowhere but inside: this is the root.
fn folder_through_links(path: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    nix::fcntl::open(path, flags, Mode::empty())
}

fn names(folder: &OwnedFd) -> Result<Vec<CString>, Errno> {
    let listed = self::folder(Some(folder.as_fd()), OsStr::new("."))?;
    let mut found = Vec::new();
    for entry in Dir::from_fd(listed)?.iter() {
        let name = entry?.file_name().to_owned();
        if ![&b"."[..], b".."].contains(&name.to_bytes()) {
            found.push(name);
        }
    }
    Ok(found)
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

struct Copy {
    /// Files with several names, and the first path of each in the volume.
    links: BTreeMap<(u64, u64), OsString>,
    /// Where we are.
    path: Vec<OsString>,
    piece: Vec<u8>,
}

impl Copy {
    fn here(&self) -> OsString {
        self.path.join(OsStr::new("/"))
    }

    fn failed(&self, errno: Errno) -> String {
        let path = self.here().to_string_lossy().into_owned();
        let cut: String = path.chars().take(100).collect();
        format!(
            "cannot copy the image's files to the volume: {}: {errno}",
            cut.escape_debug()
        )
    }

    fn children(&mut self, from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Errno> {
        if self.path.len() > DEEPEST {
            return Err(Errno::ENAMETOOLONG);
        }
        let listed = folder(Some(from), OsStr::new("."))?;
        for name in names(&listed)? {
            self.path.push(OsStr::from_bytes(name.to_bytes()).to_owned());
            self.entry(from, to, &name)?;
            self.path.pop();
        }
        Ok(())
    }

    fn entry(&mut self, from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
        let stat = fstatat(from, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        if kind(&stat) == SFlag::S_IFDIR {
            return self.folder(from, to, name, &stat);
        }
        if stat.st_nlink > 1 {
            let here = self.here();
            if let Some(first) = self.links.get(&(stat.st_dev, stat.st_ino)) {
                let top = folder(None, OsStr::new(VOLUME))?;
                return linkat(&top, first.as_os_str(), to, name, AtFlags::empty());
            }
            self.links.insert((stat.st_dev, stat.st_ino), here);
        }
        match kind(&stat) {
            SFlag::S_IFREG => return self.file(from, to, name, &stat),
            SFlag::S_IFLNK => symlinkat(readlinkat(from, name)?.as_os_str(), to, name)?,
            SFlag::S_IFIFO => mknodat(to, name, SFlag::S_IFIFO, Mode::S_IRWXU, 0)?,
            // Sockets have nobody behind them, and devices are not made.
            _ => return Ok(()),
        }
        let owner = (Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)));
        fchownat(to, name, owner.0, owner.1, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        if kind(&stat) == SFlag::S_IFIFO {
            let mode = Mode::from_bits_truncate(stat.st_mode & 0o777);
            nix::sys::stat::fchmodat(to, name, mode, nix::sys::stat::FchmodatFlags::FollowSymlink)?;
        }
        let (read, written) = times(&stat);
        utimensat(to, name, &read, &written, UtimensatFlags::NoFollowSymlink)
    }

    fn folder(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        name: &CStr,
        stat: &FileStat,
    ) -> Result<(), Errno> {
        let name = OsStr::from_bytes(name.to_bytes());
        mkdirat(to, name, Mode::S_IRWXU)?;
        let (inner, copied) = (folder(Some(from), name)?, folder(Some(to), name)?);
        self.children(inner.as_fd(), copied.as_fd())?;
        self.dress_folder(&inner, &copied, stat)
    }

    /// Last, so that its time and rights are not those of a directory that is being filled.
    fn dress_folder(&mut self, from: &OwnedFd, to: &OwnedFd, stat: &FileStat) -> Result<(), Errno> {
        self.dress(from.as_fd(), to.as_fd(), stat, 0o3777)
    }

    fn file(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        name: &CStr,
        stat: &FileStat,
    ) -> Result<(), Errno> {
        let read = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let write = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut source = File::from(openat(from, name, read, Mode::empty())?);
        let mut target = File::from(openat(to, name, write, Mode::S_IRUSR | Mode::S_IWUSR)?);
        loop {
            let read = match source.read(&mut self.piece) {
                Ok(0) => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(errno)?,
            };
            target
                .write_all(self.piece.get(..read).unwrap_or_default())
                .map_err(errno)?;
        }
        // A file that gives itself rights would give them outside of the sandbox too, where no mount takes them.
        self.dress(source.as_fd(), target.as_fd(), stat, 0o777)
    }

    fn dress(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        stat: &FileStat,
        mode: u32,
    ) -> Result<(), Errno> {
        for name in tree::attribute_names(from)? {
            let bytes = name.to_bytes();
            if bytes.starts_with(b"user.") && !bytes.starts_with(b"user.overlay.") {
                // As large as the kernel lets one be (XATTR_SIZE_MAX).
                let value = self.piece.get_mut(..64 << 10).unwrap_or_default();
                let length = tree::attribute(from, &name, value)?;
                tree::set_attribute(to, &name, value.get(..length).unwrap_or_default())?;
            }
        }
        crate::sys::fs::set_owner(to, stat.st_uid, stat.st_gid)?;
        crate::sys::fs::set_mode(to, stat.st_mode & mode)?;
        let (read, written) = times(stat);
        nix::sys::stat::futimens(to, &read, &written)
    }
}

fn errno(error: io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

fn times(stat: &FileStat) -> (TimeSpec, TimeSpec) {
    (
        TimeSpec::new(stat.st_atime, stat.st_atime_nsec),
        TimeSpec::new(stat.st_mtime, stat.st_mtime_nsec),
    )
}

//! A directory as a tar, for `sbx import`: sorted, with every file its own, and nothing that a layer must not hold.

use super::write::{Entry, What, Writer};
use crate::image::attribute;
use crate::image::store::Kind;
use crate::sys::tree;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, fstat, fstatat};
use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// Directories below each other: each is an open descriptor.
const DEPTH: usize = 256;

/// Why a directory cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The kernel refuses.
    #[error("{}: {source}", path.display().to_string().escape_debug())]
    Read {
        /// Where, within the directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Too deep.
    #[error("{}: more than {DEPTH} directories lie below each other", .0.display().to_string().escape_debug())]
    Deep(PathBuf),
    /// The tar cannot be written.
    #[error("it cannot be written: {0}")]
    Write(#[from] io::Error),
}

/// Whose files become whose.
#[derive(Debug, Clone, Copy)]
pub struct Owners {
    /// Whether all ids are kept: by root.
    pub kept: bool,
    /// The ids that the caller may map.
    pub kind: Kind,
}

impl Owners {
    /// The caller's own id, and whatever is not mapped, is 0; of a range, the ids behind it.
    fn uid(&self, id: u32) -> u32 {
        match self.kind {
            _ if self.kept => id,
            Kind::Single | Kind::Chosen(_) => 0,
            Kind::Mapped { uids, .. } => inside(id, uids),
        }
    }

    fn gid(&self, id: u32) -> u32 {
        match self.kind {
            _ if self.kept => id,
            Kind::Single | Kind::Chosen(_) => 0,
            Kind::Mapped { gids, .. } => inside(id, gids),
        }
    }
}

/// The range holds what follows 0: the caller's own id is mapped to that.
fn inside(id: u32, (first, count): (u32, u32)) -> u32 {
    id.checked_sub(first)
        .filter(|at| *at < count)
        .map_or(0, |at| at + 1)
}

/// What has been left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Devices and sockets.
    pub special: u64,
}

/// Packs a directory. Links are packed and never followed.
///
/// # Errors
/// Something of it cannot be read.
pub fn pack<W: Write>(directory: &OwnedFd, owners: Owners, to: W) -> Result<(W, LeftOut), PackError> {
    let mut packer = Packer {
        writer: Writer::new(to),
        owners,
        linked: BTreeMap::new(),
        left_out: LeftOut::default(),
    };
    packer.directory(directory.as_fd(), b"", 0)?;
    Ok((packer.writer.finish()?, packer.left_out))
}

struct Packer<W> {
    writer: Writer<W>,
    owners: Owners,
    /// Files with several names, by device and number.
    linked: BTreeMap<(u64, u64), Vec<u8>>,
    left_out: LeftOut,
}

fn at(path: &[u8]) -> impl Fn(Errno) -> PackError {
    move |errno| PackError::Read {
        path: PathBuf::from(OsString::from_vec(path.to_vec())),
        source: errno.into(),
    }
}

impl<W: Write> Packer<W> {
    fn directory(&mut self, directory: BorrowedFd<'_>, path: &[u8], depth: usize) -> Result<(), PackError> {
        if depth > DEPTH {
            return Err(PackError::Deep(PathBuf::from(OsString::from_vec(path.to_vec()))));
        }
        let mut names = tree::names(directory).map_err(at(path))?;
        // The same directory makes the same tar.
        names.sort_unstable();
        for name in names {
            let inner = match path {
                b"" => name.to_bytes().to_vec(),
                _ => [path, b"/", name.to_bytes()].concat(),
            };
            let stat = fstatat(directory, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW);
            self.one(directory, &name, &inner, &stat.map_err(at(&inner))?, depth)?;
        }
        Ok(())
    }

    fn one(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &CString,
        path: &[u8],
        stat: &FileStat,
        depth: usize,
    ) -> Result<(), PackError> {
        match stat.st_mode & libc::S_IFMT {
            libc::S_IFDIR => {
                let fd = open(parent, name, OFlag::O_DIRECTORY).map_err(at(path))?;
                let name = [path, b"/"].concat();
                let attributes = attributes(&fd).map_err(at(path))?;
                self.entry(&name, What::Directory, stat, attributes)?;
                self.directory(fd.as_fd(), path, depth + 1)
            }
            libc::S_IFLNK => {
                let to = readlinkat(parent, name.as_c_str()).map_err(at(path))?;
                self.entry(path, What::Link(&to.into_vec()), stat, Vec::new())
            }
            libc::S_IFREG => self.file(parent, name, path),
            _ => {
                self.left_out.special += 1;
                Ok(())
            }
        }
    }

    fn file(&mut self, parent: BorrowedFd<'_>, name: &CString, path: &[u8]) -> Result<(), PackError> {
        let fd = open(parent, name, OFlag::O_NONBLOCK).map_err(at(path))?;
        let stat = fstat(&fd).map_err(at(path))?;
        if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
            return Err(at(path)(Errno::EAGAIN));
        }
        if stat.st_nlink > 1 {
            let number = (stat.st_dev, stat.st_ino);
            if let Some(first) = self.linked.get(&number).cloned() {
                return self.entry(path, What::SameAs(&first), &stat, Vec::new());
            }
            self.linked.insert(number, path.to_vec());
        }
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        let attributes = attributes(&fd).map_err(at(path))?;
        self.entry(path, What::File(size), &stat, attributes)?;
        let mut from = File::from(fd).take(size);
        let copied = self.writer.contents(size, |to| {
            match io::copy(&mut from, to)? {
                // It has become shorter: the entry has said how long it is.
                copied if copied < size => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(()),
            }
        });
        copied.map_err(|source| PackError::Read {
            path: PathBuf::from(OsString::from_vec(path.to_vec())),
            source,
        })
    }

    fn entry(
        &mut self,
        name: &[u8],
        what: What<'_>,
        stat: &FileStat,
        attributes: Vec<(Vec<u8>, Vec<u8>)>,
    ) -> Result<(), PackError> {
        Ok(self.writer.entry(&Entry {
            name,
            what,
            mode: stat.st_mode & 0o7777,
            uid: self.owners.uid(stat.st_uid),
            gid: self.owners.gid(stat.st_gid),
            time: stat.st_mtime,
            attributes,
        })?)
    }
}

fn open(parent: BorrowedFd<'_>, name: &CString, how: OFlag) -> nix::Result<OwnedFd> {
    let flags = how | OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    openat(parent, name.as_c_str(), flags, Mode::empty())
}

/// Sorted, for the same reason as the names.
fn attributes(file: &OwnedFd) -> nix::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let kept = attribute::kept(file.as_fd())?.into_iter();
    let mut found: Vec<_> = kept.map(|(name, value)| (name.into_bytes(), value)).collect();
    found.sort_unstable();
    Ok(found)
}

//! The directory that a layer goes into: where its entries' directories are, and how one entry takes another's place.
//!
//! Every directory is opened from the root with `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS`. When a link of this very
//! layer stands in an entry's way (`lib -> usr/lib`, then `lib/x`), it is resolved here, by name, inside the root as chroot(2) would (docker,
//! containers/storage and umoci do the same), and the path that comes out is opened as above: whatever a link says, nothing outside is
//! reached. Links of lower layers are not seen: there the entry makes a directory, which overlayfs shows in the link's place, as
//! containers/storage's overlay driver does.

use super::error::{Error, Result, refused, shown, system};
use super::ledger::{Last, Ledger};
use super::name::{fits, join, split};
use crate::image::limits::Limits;
use crate::image::remove::remove_tree;
use crate::sys::fs::{Resolve, open_beneath};
use crate::sys::tree::set_attribute;
use crate::sys::{Errno, fs};
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

/// Directories that stay open: an archive goes through a tree from one to the next.
const OPEN: usize = 16;
/// Links in a path, as the kernel has it.
const LINKS: u32 = 40;
const TANGLED: &str = "its path leads through more than 40 symlinks";

/// A name in a directory that is open.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    /// From the root, with no link in it.
    pub(super) path: Vec<u8>,
    pub(super) parent: Rc<OwnedFd>,
    pub(super) name: CString,
}

/// The tree.
pub(super) struct Tree<'a> {
    limits: &'a Limits,
    root: Rc<OwnedFd>,
    /// The last one used comes last.
    open: Vec<(Vec<u8>, Rc<OwnedFd>)>,
    /// The last path through a link, and what it came to.
    alias: Option<(Vec<u8>, Vec<u8>)>,
    pub(super) ledger: Ledger,
}

/// What stands under a name.
pub(super) fn look(spot: &Spot) -> nix::Result<FileStat> {
    fstatat(&spot.parent, spot.name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW)
}

pub(super) fn is(stat: &FileStat, kind: libc::mode_t) -> bool {
    stat.st_mode & libc::S_IFMT == kind
}

/// Only whiteouts are character devices here: the layer's own are made as files.
fn is_whiteout(stat: &FileStat) -> bool {
    is(stat, libc::S_IFCHR)
}

fn c_name(name: &[u8]) -> std::result::Result<CString, Errno> {
    CString::new(name).map_err(|_| Errno::EINVAL)
}

impl<'a> Tree<'a> {
    pub(super) fn new(root: BorrowedFd<'_>, limits: &'a Limits) -> Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = openat(root, c".", flags, Mode::empty()).map_err(system(b".", "opened"))?;
        let mut ledger = Ledger::default();
        ledger.directory(b"", Last::UNNAMED)?;
        Ok(Self {
            limits,
            root: Rc::new(root),
            open: Vec::with_capacity(OPEN),
            alias: None,
            ledger,
        })
    }

    /// Opens a directory whose path has no link in it.
    fn directory(&mut self, path: &[u8]) -> nix::Result<Rc<OwnedFd>> {
        if path.is_empty() {
            return Ok(self.root.clone());
        }
        if let Some(at) = self.open.iter().rposition(|(open, _)| open == path) {
            if at + 1 != self.open.len() {
                let used = self.open.remove(at);
                self.open.push(used);
            }
        } else {
            let fd = self.beneath(path, libc::O_PATH | libc::O_DIRECTORY)?;
            if self.open.len() == OPEN {
                self.open.remove(0);
            }
            self.open.push((path.to_vec(), Rc::new(fd)));
        }
        self.open.last().map(|(_, fd)| fd.clone()).ok_or(Errno::EBADF)
    }

    fn beneath(&self, path: &[u8], flags: libc::c_int) -> nix::Result<OwnedFd> {
        let path = c_name(if path.is_empty() { b"." } else { path })?;
        open_beneath(self.root.as_fd(), &path, flags, 0, Resolve::BENEATH_NO_LINKS)
    }

    /// Opens a directory such that its metadata can be set.
    pub(super) fn writable(&self, path: &[u8]) -> Result<OwnedFd> {
        self.beneath(path, libc::O_RDONLY | libc::O_DIRECTORY)
            .map_err(system(path, "opened"))
    }

    /// Where an entry goes. Directories above it that are lacking are made.
    pub(super) fn spot(&mut self, parent: &[u8], name: &[u8]) -> Result<Spot> {
        let (parent, fd) = self.parent(parent, true)?;
        self.named(parent, fd, name)
    }

    /// Where an entry is that must be there already.
    pub(super) fn existing(&mut self, path: &[u8]) -> Result<Spot> {
        let (parent, name) = split(path);
        let (parent, fd) = self.parent(parent, false)?;
        self.named(parent, fd, name)
    }

    fn named(&self, parent: Vec<u8>, fd: Rc<OwnedFd>, name: &[u8]) -> Result<Spot> {
        let path = join(&parent, name);
        fits(&path, self.limits)?;
        let name = c_name(name).map_err(system(&path, "named"))?;
        Ok(Spot {
            path,
            parent: fd,
            name,
        })
    }

    /// A directory by a path that may lead through links of this layer: its path without them.
    pub(super) fn parent(&mut self, path: &[u8], make: bool) -> Result<(Vec<u8>, Rc<OwnedFd>)> {
        let real = match &self.alias {
            Some((from, to)) if from == path => to.clone(),
            _ => path.to_vec(),
        };
        match self.directory(&real) {
            Ok(fd) => Ok((real, fd)),
            Err(Errno::ENOENT | Errno::ELOOP | Errno::ENOTDIR) => {
                let real = self.walk(path, make)?;
                let fd = self.directory(&real).map_err(system(path, "opened"))?;
                if real != path {
                    self.alias = Some((path.to_vec(), real.clone()));
                }
                Ok((real, fd))
            }
            Err(errno) => Err(system(path, "opened")(errno)),
        }
    }

    /// Goes through a path part by part.
    fn walk(&mut self, path: &[u8], make: bool) -> Result<Vec<u8>> {
        // The next part comes last; whether a link has named it.
        let mut parts: Vec<(Vec<u8>, bool)> = Vec::new();
        let push = |parts: &mut Vec<_>, path: &[u8], linked| {
            parts.extend(path.rsplit(|b| *b == b'/').map(|part| (part.to_vec(), linked)));
        };
        push(&mut parts, path, false);
        let (mut real, mut links) = (Vec::new(), 0);
        while let Some((part, linked)) = parts.pop() {
            if matches!(&part[..], b"" | b".") {
                continue;
            }
            // Only a link says so; above the root is the root.
            if part == b".." {
                real = split(&real).0.to_vec();
                continue;
            }
            let parent = self.directory(&real).map_err(system(path, "opened"))?;
            let spot = self.named(real, parent, &part)?;
            match readlinkat(&spot.parent, spot.name.as_c_str()) {
                Ok(_) if links == LINKS => return Err(refused(path, TANGLED)),
                Ok(target) => {
                    links += 1;
                    let from_root = target.as_bytes().starts_with(b"/");
                    real = if from_root {
                        Vec::new()
                    } else {
                        split(&spot.path).0.to_vec()
                    };
                    push(&mut parts, target.as_bytes(), true);
                }
                Err(Errno::ENOENT) if make && !linked => real = self.make_unnamed(spot)?,
                Err(Errno::ENOENT) => {
                    let name = shown(path);
                    return Err(Error::Absent { name, linked });
                }
                Err(Errno::EINVAL) => real = self.pass(spot, path, make)?,
                Err(errno) => return Err(system(path, "looked up")(errno)),
            }
        }
        Ok(real)
    }

    fn make_unnamed(&mut self, spot: Spot) -> Result<Vec<u8>> {
        fs::make_directory(spot.parent.as_fd(), &spot.name, 0o700).map_err(system(&spot.path, "made"))?;
        self.ledger.directory(&spot.path, Last::UNNAMED)?;
        Ok(spot.path)
    }

    /// Goes through what is no link.
    fn pass(&mut self, spot: Spot, path: &[u8], make: bool) -> Result<Vec<u8>> {
        let stat = look(&spot).map_err(system(&spot.path, "looked up"))?;
        if is(&stat, libc::S_IFDIR) {
            return Ok(spot.path);
        }
        if is_whiteout(&stat) && make {
            self.displace(&spot)?;
            self.make_unnamed(spot.clone())?;
            self.make_opaque(&spot.path)?;
            return Ok(spot.path);
        }
        Err(refused(
            path,
            "its path leads through an entry of this layer that is no directory",
        ))
    }

    /// Hides what lower layers have in a directory.
    pub(super) fn make_opaque(&mut self, path: &[u8]) -> Result<()> {
        let directory = self.writable(path)?;
        set_attribute(directory.as_fd(), c"user.overlay.opaque", b"y").map_err(system(path, "made opaque"))
    }

    /// Makes a directory; one that is there keeps its contents. One in a whiteout's place hides what lower layers have in it, as the whiteout
    /// did.
    pub(super) fn make_directory(&mut self, spot: &Spot) -> Result<()> {
        let make = || nix::sys::stat::mkdirat(&spot.parent, spot.name.as_c_str(), Mode::S_IRWXU);
        match make() {
            Err(Errno::EEXIST) => {}
            other => return other.map_err(system(&spot.path, "made")),
        }
        let stat = look(spot).map_err(system(&spot.path, "looked up"))?;
        if is(&stat, libc::S_IFDIR) {
            return Ok(());
        }
        self.displace(spot)?;
        make().map_err(system(&spot.path, "made"))?;
        if is_whiteout(&stat) {
            self.make_opaque(&spot.path)?;
        }
        Ok(())
    }

    /// Makes a whiteout. What the layer itself has there stays, whichever comes first; a directory then hides what lower layers have in it.
    pub(super) fn make_whiteout(&mut self, spot: &Spot) -> Result<()> {
        use nix::sys::stat::{SFlag, mknodat};
        match mknodat(
            &spot.parent,
            spot.name.as_c_str(),
            SFlag::S_IFCHR,
            Mode::empty(),
            0,
        ) {
            Err(Errno::EEXIST) => {}
            other => return other.map_err(system(&spot.path, "made a whiteout")),
        }
        let stat = look(spot).map_err(system(&spot.path, "looked up"))?;
        if is(&stat, libc::S_IFDIR) {
            self.make_opaque(&spot.path)?;
        }
        Ok(())
    }

    /// Makes what must not be there before; what is there goes.
    pub(super) fn fresh<T>(&mut self, spot: &Spot, make: impl Fn(&Spot) -> nix::Result<T>) -> Result<T> {
        match make(spot) {
            Err(Errno::EEXIST) => {
                self.displace(spot)?;
                make(spot).map_err(system(&spot.path, "made"))
            }
            other => other.map_err(system(&spot.path, "made")),
        }
    }

    /// Removes what stands there, a directory with all that is in it, a link and not what it leads to.
    fn displace(&mut self, spot: &Spot) -> Result<()> {
        self.alias = None;
        match unlinkat(&spot.parent, spot.name.as_c_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) => {
                self.ledger.forget(&spot.path);
                return Ok(());
            }
            Err(Errno::EISDIR) => {}
            Err(errno) => return Err(system(&spot.path, "replaced")(errno)),
        }
        let inside = |path: &[u8]| {
            path.strip_prefix(&spot.path[..])
                .is_some_and(|r| matches!(r, [] | [b'/', ..]))
        };
        self.open.retain(|(path, _)| !inside(path));
        self.ledger.forget_tree(&spot.path);
        remove_tree(spot.parent.as_fd(), OsStr::from_bytes(spot.name.to_bytes()))
            .map_err(system(&spot.path, "replaced"))
    }
}

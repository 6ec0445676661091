//! Which layer has what: whiteouts, opaque directories, and directories that several layers share.

use super::file::{self, Links};
use super::{Copied, Error, Keep, failed};
use crate::sys::fs::{self, Resolve};
use crate::sys::tree::names;
use crate::sys::{Errno, Result};
use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, fstat, fstatat};
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A directory that is still to be filled: its path from the root, and the layers that have a part of it, the topmost first.
struct Folder {
    path: Vec<u8>,
    layers: Vec<usize>,
}

/// What a name is, as far as the layers so far tell.
enum Seen {
    /// Decided: what lower layers have there is hidden.
    Closed,
    /// A directory, to which lower layers may add. Which have it; whether a lower layer has something else there, which hides the rest.
    Folder { layers: Vec<usize>, closed: bool },
}

/// One copy.
pub(super) struct Merge<'a> {
    layers: &'a [OwnedFd],
    into: BorrowedFd<'a>,
    keep: Keep,
    progress: &'a mut dyn FnMut(u64),
    links: Links,
    /// Directories get their metadata last, from the bottom up: it may forbid what is still to be done in them.
    made: Vec<(Vec<u8>, usize)>,
    copied: Copied,
}

fn kind(stat: &FileStat) -> libc::mode_t {
    stat.st_mode & libc::S_IFMT
}

/// Opens a directory by its path from the root.
fn folder(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd> {
    let path = if path.is_empty() { b"." } else { path };
    let path = CString::new(path).map_err(|_| Errno::EINVAL)?;
    let flags = libc::O_RDONLY | libc::O_DIRECTORY;
    fs::open_beneath(root, &path, flags, 0, Resolve::BENEATH_NO_LINKS)
}

pub(super) fn join(parent: &[u8], name: &CStr) -> Vec<u8> {
    match parent {
        b"" => name.to_bytes().to_vec(),
        parent => [parent, b"/", name.to_bytes()].concat(),
    }
}

impl<'a> Merge<'a> {
    pub(super) fn new(
        layers: &'a [OwnedFd],
        into: BorrowedFd<'a>,
        keep: Keep,
        progress: &'a mut dyn FnMut(u64),
    ) -> Self {
        Self {
            layers,
            into,
            keep,
            progress,
            links: Links::default(),
            made: Vec::new(),
            copied: Copied::default(),
        }
    }

    pub(super) fn run(mut self) -> std::result::Result<Copied, Error> {
        let mut waiting = vec![Folder {
            path: Vec::new(),
            layers: (0..self.layers.len()).collect(),
        }];
        while let Some(next) = waiting.pop() {
            if let Some(top) = next.layers.first() {
                self.made.push((next.path.clone(), *top));
            }
            self.fill(&next, &mut waiting)?;
        }
        while let Some((path, layer)) = self.made.pop() {
            self.finish(&path, layer)
                .map_err(failed(&path, "given its owner and mode"))?;
        }
        Ok(self.copied)
    }

    fn finish(&self, path: &[u8], layer: usize) -> Result<()> {
        let from = folder(self.layers.get(layer).ok_or(Errno::EBADF)?.as_fd(), path)?;
        let to = folder(self.into, path)?;
        file::resemble(from.as_fd(), to.as_fd(), &fstat(&from)?, self.keep)
    }

    fn fill(&mut self, here: &Folder, waiting: &mut Vec<Folder>) -> std::result::Result<(), Error> {
        let to = folder(self.into, &here.path).map_err(failed(&here.path, "opened"))?;
        let mut seen: HashMap<CString, Seen> = HashMap::new();
        for layer in &here.layers {
            let Some(root) = self.layers.get(*layer) else {
                continue;
            };
            let from = folder(root.as_fd(), &here.path).map_err(failed(&here.path, "opened"))?;
            self.part(here, *layer, &from, &to, &mut seen)?;
            let opaque = fs::has_attribute(from.as_fd(), c"user.overlay.opaque");
            if opaque.map_err(failed(&here.path, "read"))? {
                break;
            }
        }
        for (name, what) in seen {
            let Seen::Folder { layers, .. } = what else {
                continue;
            };
            let path = join(&here.path, &name);
            fs::make_directory(to.as_fd(), &name, 0o700).map_err(failed(&path, "made"))?;
            self.copied.files += 1;
            waiting.push(Folder { path, layers });
        }
        Ok(())
    }

    /// What one layer adds to a directory.
    fn part(
        &mut self,
        here: &Folder,
        layer: usize,
        from: &OwnedFd,
        to: &OwnedFd,
        seen: &mut HashMap<CString, Seen>,
    ) -> std::result::Result<(), Error> {
        for name in names(from.as_fd()).map_err(failed(&here.path, "listed"))? {
            let path = join(&here.path, &name);
            let stat = fstatat(from, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW);
            let stat = stat.map_err(failed(&path, "looked up"))?;
            let is_folder = kind(&stat) == libc::S_IFDIR;
            match seen.get_mut(&name) {
                Some(Seen::Closed) => {}
                Some(Seen::Folder { closed: true, .. }) => {}
                Some(Seen::Folder { layers, .. }) if is_folder => layers.push(layer),
                Some(Seen::Folder { closed, .. }) => *closed = true,
                None if is_folder => {
                    let layers = vec![layer];
                    seen.insert(
                        name,
                        Seen::Folder {
                            layers,
                            closed: false,
                        },
                    );
                }
                None => {
                    let spot = file::Spot {
                        from: from.as_fd(),
                        to: to.as_fd(),
                        root: self.into,
                        name: &name,
                        path: &path,
                        layer,
                        keep: self.keep,
                    };
                    if let Some(bytes) = file::copy(&spot, &stat, &mut self.links)? {
                        self.copied.files += 1;
                        self.copied.bytes += bytes;
                        (self.progress)(self.copied.bytes);
                    }
                    seen.insert(name, Seen::Closed);
                }
            }
        }
        Ok(())
    }
}

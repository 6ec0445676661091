//! Unpacked layers.

use super::error::Error;
use super::lock::{self, Holders};
use super::tree::{Size, measure};
use super::{Lock, Store, Wait};
use crate::image::dropped::Dropped;
use crate::image::owner::{Owner, Ownership};
use crate::image::remove::remove_tree;
use crate::model::Digest;
use std::ffi::OsStr;
use std::fmt;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::str::FromStr;

pub(super) const LAYERS: &str = "layers";
pub(super) const NEW: &str = ".new-";
pub(super) const OLD: &str = ".old-";
pub(super) const TREE: &str = "tree";
pub(super) const OWNERS: &str = "owners.json";
pub(super) const SIZE: &str = "size.json";
const LEFT_OUT: &str = "left-out.json";

/// Whose the files of an unpacked layer are. A layer is unpacked once for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The caller's, all of them.
    Single,
    /// Those of a range of the host's ids, which the layer's ids from 0 on are mapped to.
    Mapped {
        /// The host's id of user 0, and how many follow.
        uids: (u32, u32),
        /// The same for groups.
        gids: (u32, u32),
    },
    /// Those of a map that somebody has chosen line by line: the digest of its lines.
    Chosen(Digest),
}

impl Kind {
    /// Whether its files have owners of their own.
    #[must_use]
    pub fn ownership(&self) -> Ownership {
        match self {
            Self::Single => Ownership::Single,
            Self::Mapped { .. } | Self::Chosen(_) => Ownership::Mapped,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Single => f.write_str("single"),
            Self::Mapped { uids, gids } => {
                write!(f, "mapped-{}-{}-{}-{}", uids.0, uids.1, gids.0, gids.1)
            }
            Self::Chosen(lines) => write!(f, "chosen-{}", lines.hex()),
        }
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text == "single" {
            return Ok(Self::Single);
        }
        if let Some(hex) = text.strip_prefix("chosen-") {
            return format!("sha256:{hex}").parse().map(Self::Chosen).map_err(|_| ());
        }
        let numbers = text.strip_prefix("mapped-").ok_or(())?;
        let numbers: Vec<u32> = numbers.split('-').map_while(|n| n.parse().ok()).collect();
        let [uid, uids, gid, gids] = *numbers.as_slice() else {
            return Err(());
        };
        let kind = Self::Mapped {
            uids: (uid, uids),
            gids: (gid, gids),
        };
        // One text for one kind: `mapped-01-…` is none.
        (kind.to_string() == text).then_some(kind).ok_or(())
    }
}

/// Whether a layer is unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayerState {
    /// It is; here are its files.
    Ready(PathBuf),
    /// It is not.
    Absent,
}

/// Who unpacks a layer.
#[derive(Debug)]
pub enum Claim<'a> {
    /// Nobody: it is unpacked already.
    Ready(PathBuf),
    /// The caller.
    New(NewLayer<'a>),
}

/// A layer that is being unpacked, by nobody else. Dropped before it is committed, it is as if it had never been.
#[derive(Debug)]
pub struct NewLayer<'a> {
    store: &'a Store,
    kind: Kind,
    diff_id: Digest,
    tree: OwnedFd,
    committed: bool,
    _lock: Lock,
}

/// The directory of a layer; `state` is nothing, [`NEW`] or [`OLD`].
pub(super) fn name(kind: &Kind, state: &str, diff_id: &Digest) -> String {
    format!("{LAYERS}/{kind}/{state}{}", diff_id.hex())
}

pub(super) fn lock_name(kind: &Kind, diff_id: &Digest) -> String {
    format!("layer-{kind}-{}", diff_id.hex())
}

impl Store {
    /// Whether a layer is unpacked. One that an image in use needs stays so.
    ///
    /// # Errors
    /// As open(2).
    pub fn layer(&self, kind: &Kind, diff_id: &Digest) -> Result<LayerState, Error> {
        let tree = format!("{}/{TREE}", name(kind, "", diff_id));
        Ok(match self.root.has_folder(&tree)? {
            true => LayerState::Ready(self.root.path(&tree)),
            false => LayerState::Absent,
        })
    }

    /// Begins to unpack a layer. When another process unpacks it, that is waited for; what a dead one has left is removed.
    ///
    /// # Errors
    /// As mkdir(2); [`Error::Busy`] when another process unpacks it and must not be waited for.
    pub fn new_layer(&self, kind: Kind, diff_id: &Digest, wait: Wait<'_>) -> Result<Claim<'_>, Error> {
        if let LayerState::Ready(path) = self.layer(&kind, diff_id)? {
            return Ok(Claim::Ready(path));
        }
        let lock = lock::take(&self.root, &lock_name(&kind, diff_id), Holders::Alone, wait)?;
        let lock = lock.ok_or(Error::Busy)?;
        if let LayerState::Ready(path) = self.layer(&kind, diff_id)? {
            return Ok(Claim::Ready(path));
        }
        self.prepare(&kind)?;
        let new = name(&kind, NEW, diff_id);
        self.remove_tree(&new)?;
        self.root.make_folder(&new)?;
        let tree = self.root.make_tree(&format!("{new}/{TREE}"))?;
        Ok(Claim::New(NewLayer {
            store: self,
            kind,
            diff_id: *diff_id,
            tree,
            committed: false,
            _lock: lock,
        }))
    }

    /// Makes the directory that layers of a kind lie in. Whoever owns the store should do it, before a worker unpacks into it under another
    /// id: who makes it may remove what is in it.
    ///
    /// # Errors
    /// As mkdir(2).
    pub fn prepare(&self, kind: &Kind) -> Result<(), Error> {
        self.root.make_folder(&format!("{LAYERS}/{kind}"))
    }

    /// What a layer takes; `None` when it is not unpacked.
    ///
    /// # Errors
    /// Its size.json cannot be read.
    pub fn layer_size(&self, kind: &Kind, diff_id: &Digest) -> Result<Option<Size>, Error> {
        self.size_in(&name(kind, "", diff_id))
    }

    pub(super) fn size_in(&self, directory: &str) -> Result<Option<Size>, Error> {
        self.read_json(&format!("{directory}/{SIZE}"), 4096)
    }

    /// The owners of a layer's files, as it names them; `None` when it is not unpacked.
    ///
    /// # Errors
    /// Its owners.json cannot be read.
    pub fn layer_owners(&self, kind: &Kind, diff_id: &Digest) -> Result<Option<Vec<Owner>>, Error> {
        self.read_json(&format!("{}/{OWNERS}", name(kind, "", diff_id)), 1 << 30)
    }

    /// For whom a layer is unpacked, and what of it is not in its files.
    ///
    /// # Errors
    /// What was written beside it cannot be read.
    pub fn unpacked(&self, diff_id: &Digest) -> Result<Vec<(Kind, Dropped)>, Error> {
        let mut found = Vec::new();
        for kind in self.kinds()? {
            if self.layer(&kind, diff_id)? != LayerState::Absent {
                let left_out = self.read_json(&format!("{}/{LEFT_OUT}", name(&kind, "", diff_id)), 4096)?;
                found.push((kind, left_out.unwrap_or_default()));
            }
        }
        Ok(found)
    }

    fn read_json<T: serde::de::DeserializeOwned>(&self, name: &str, limit: u64) -> Result<Option<T>, Error> {
        let damaged = |e: serde_json::Error| Error::Damaged {
            path: self.root.path(name),
            why: crate::image::document::json(&e),
        };
        let bytes = self.root.read(name, limit)?;
        bytes
            .map(|bytes| serde_json::from_slice(&bytes).map_err(damaged))
            .transpose()
    }

    /// Removes a directory of the store with all that is in it.
    pub(super) fn remove_tree(&self, name: &str) -> Result<(), Error> {
        let (folder, last) = name.rsplit_once('/').unwrap_or((".", name));
        let Some(parent) = self.root.folder(folder)? else {
            return Ok(());
        };
        let failed = |errno| Error::io("remove", &self.root.path(name), errno);
        remove_tree(parent.as_fd(), OsStr::new(last)).map_err(failed)
    }
}

impl NewLayer<'_> {
    fn file(&self, name: &str) -> String {
        format!("{}/{name}", self::name(&self.kind, NEW, &self.diff_id))
    }

    /// The empty directory that the layer is unpacked into. It belongs to who made it and has mode 0755.
    #[must_use]
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.tree.as_fd()
    }

    /// What has been unpacked takes so much.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn measure(&self) -> Result<Size, Error> {
        measure(self.dir()).map_err(|e| Error::io("read", &self.store.root.path(&self.file(TREE)), e))
    }

    /// Keeps beside it what of the layer its files have not; nothing is kept of nothing.
    ///
    /// # Errors
    /// As write(2).
    pub fn leaves_out(&self, left_out: &Dropped) -> Result<(), Error> {
        match *left_out == Dropped::default() {
            true => Ok(()),
            false => self.write(LEFT_OUT, left_out),
        }
    }

    /// Makes it a layer: on the disk first, then by its name.
    ///
    /// # Errors
    /// As write(2), syncfs(2) and rename(2); the layer is then removed.
    pub fn commit(mut self, owners: &[Owner], size: &Size) -> Result<PathBuf, Error> {
        let root = &self.store.root;
        self.write(OWNERS, owners)?;
        self.write(SIZE, size)?;
        // One call for hundreds of thousands of files.
        nix::unistd::syncfs(&self.tree).map_err(|e| Error::io("sync", &root.path(&self.file(TREE)), e))?;
        let done = name(&self.kind, "", &self.diff_id);
        root.rename(&name(&self.kind, NEW, &self.diff_id), &done)?;
        self.committed = true;
        root.sync(&format!("{LAYERS}/{}", self.kind))?;
        Ok(root.path(&format!("{done}/{TREE}")))
    }

    fn write(&self, name: &str, what: &(impl serde::Serialize + ?Sized)) -> Result<(), Error> {
        let name = self.file(name);
        let path = self.store.root.path(&name);
        let mut to = std::io::BufWriter::new(self.store.root.create(&name)?);
        serde_json::to_writer(&mut to, what)
            .map_err(Into::into)
            .and_then(|()| to.flush())
            .map_err(|e| Error::io("write", &path, e))
    }
}

impl Drop for NewLayer<'_> {
    fn drop(&mut self) {
        if !self.committed {
            // What cannot be removed now has no name that means anything; the next one to unpack it tries again.
            let _ = self.store.remove_tree(&name(&self.kind, NEW, &self.diff_id));
        }
    }
}

//! Where images are kept: an OCI image layout, with the unpacked layers beside it.
//!
//! ```text
//! sbx-store                      the version of this layout; nothing is read without it
//! oci-layout  index.json         what other tools read; index.json names the images
//! blobs/sha256/HEX               manifests, configs, packed layers: whole, and checked before they got here
//! partial/HEX                    blobs on their way; whoever writes one holds its lock
//! partial/.spool-…               an archive on its way to the worker, likewise
//! layers/KIND/HEX/               an unpacked layer, by its diff id: tree/, owners.json, size.json, perhaps left-out.json
//! layers/KIND/.new-HEX/          one that is being unpacked
//! layers/KIND/.old-HEX/          one that is being removed
//! copies/KIND/copy-ID/            what one run has: an image's layers merged, where the kernel refuses overlay, or an upper layer
//! locks/NAME                     see below
//! ```
//!
//! A manifest in Docker's words is kept as it came, since its digest is what it is known by; skopeo finds only those in OCI's words in a
//! layout. What another program writes into index.json is read, and may be lost when it does not take the lock.
//!
//! Everything gets its name when it is whole and on the disk, by a rename; whatever dies in the middle leaves something that has no
//! meaning yet, which the next one continues or [`Store::prune`] removes.
//!
//! Locks, always taken in this order: `store` (shared by who pulls and who names, alone for who removes), `image-HEX` (shared by a
//! running sandbox, alone for who removes that image), `layer-KIND-HEX` (alone for who unpacks or removes it), the lock of a file in
//! `partial` (alone), `index` (alone for who changes index.json). `copy-ID` is held alone by the run that uses a copy.
//!
//! A run does: [`Store::open`], [`Store::find`], [`Store::use_image`], [`Store::load`], and [`Store::layer`] for each layer; what it finds
//! after `use_image` stays there for as long as that lock is held.

mod blob;
mod copies;
mod error;
mod freed;
mod index;
mod layer;
mod list;
mod lock;
mod prune;
mod root;
mod spool;
mod sweep;
mod tree;
mod verify;

#[cfg(test)]
mod tests;

pub use blob::{Partial, PartialBlob};
pub use copies::{Copy, copies};
pub use error::Error;
pub use freed::{Freed, Left, Part};
pub use index::{Image, LAYOUT_NAME};
pub use layer::{Claim, Kind, LayerState, NewLayer};
pub use list::Listed;
pub use lock::{Lock, Wait};
pub use spool::Spool;
pub use sweep::Remove;
pub use tree::{Size, measure};
pub use verify::Finding;

use super::environment::{Lookup, data_home};
use crate::sys::tree::names as sys_names;
use lock::Holders;
use nix::errno::Errno;
use root::Root;
use std::ffi::CString;
use std::fs::DirBuilder;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The version of the layout.
pub const VERSION: u64 = 1;

const MARK: &str = "sbx-store";
const FOLDERS: [&str; 5] = ["blobs", "blobs/sha256", "partial", "layers", "locks"];
const OCI_LAYOUT: (&str, &[u8]) = ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);

/// Where the store is when nobody says otherwise.
///
/// # Errors
/// Neither `XDG_DATA_HOME` nor `HOME` is an absolute path.
pub fn default_path(lookup: Lookup<'_>) -> Result<PathBuf, Error> {
    let data = data_home(lookup).ok_or(Error::NoHome)?;
    Ok(data.join("sbx"))
}

/// Whether a store may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// It must be there.
    Existing,
    /// It is made when nothing is there.
    Create {
        /// Whom it is given to when it is made: under root, the first id of the map that the worker runs in.
        give_to: Option<(u32, u32)>,
    },
}

/// An open store. Several processes, and several threads of one, may use it at once.
#[derive(Debug)]
pub struct Store {
    root: Root,
}

impl Store {
    /// Opens the store in a directory.
    ///
    /// # Errors
    /// There is none, it is of another version, or something else is there.
    pub fn open(path: &Path, how: Open) -> Result<Self, Error> {
        let make = matches!(how, Open::Create { .. });
        let fd = match (open_top(path)?, how) {
            (Some(fd), Open::Existing) => fd,
            (Some(fd), Open::Create { give_to }) => {
                // Killed before it was given away, or made by hand: there is nothing in it yet.
                if sys_names(fd.as_fd()).is_ok_and(|names| names.is_empty()) {
                    give(&fd, path, give_to)?;
                }
                fd
            }
            (None, Open::Existing) => return Err(Error::Absent(path.to_owned())),
            (None, Open::Create { give_to }) => make_top(path, give_to)?,
        };
        root::is_own(&fd, path)?;
        let root = Root::new(fd, path)?;
        loop {
            if let Some(text) = root.read(MARK, 32)? {
                check_version(path, &text)?;
                break;
            }
            let names = root.list(".")?;
            if names.iter().any(|name| name == MARK) {
                // Another process has just made it.
                continue;
            }
            if names.iter().any(|name| !name.starts_with(MARK)) {
                return Err(Error::Foreign(path.to_owned()));
            }
            if !make {
                return Err(Error::Absent(path.to_owned()));
            }
            mark(&root)?;
        }
        if make {
            complete(&root)?;
        }
        Ok(Self { root })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.root.path(".")
    }

    /// Keeps what is fetched until it has a name: nothing is removed from the store while anybody holds this.
    ///
    /// # Errors
    /// [`Error::Busy`] while something is removed and that must not be waited for.
    pub fn pulling(&self, wait: Wait<'_>) -> Result<Lock, Error> {
        lock::take(&self.root, "store", Holders::Shared, wait)?.ok_or(Error::Busy)
    }

    /// Keeps an image from being removed, for as long as anybody holds the lock or the open file that it is.
    ///
    /// # Errors
    /// As open(2) and flock(2). That the image is there is for [`Store::load`] to say, afterwards.
    pub fn use_image(&self, manifest: &crate::model::Digest) -> Result<Lock, Error> {
        let name = format!("image-{}", manifest.hex());
        lock::take(&self.root, &name, Holders::Shared, Wait::Silently)?.ok_or(Error::Busy)
    }
}

fn open_top(path: &Path) -> Result<Option<OwnedFd>, Error> {
    let failed = |errno| Error::io("open the image store", path, errno);
    let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| failed(Errno::EINVAL))?;
    match crate::sys::fs::open(&name, libc::O_RDONLY | libc::O_DIRECTORY) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(failed(errno)),
    }
}

fn make_top(path: &Path, give_to: Option<(u32, u32)>) -> Result<OwnedFd, Error> {
    let failed = |e| Error::io("make the image store", path, e);
    // 0700 for whatever is missing above it too, as the XDG base directory specification has it.
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(failed)?;
    let fd = open_top(path)?.ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))?;
    give(&fd, path, give_to)?;
    Ok(fd)
}

fn give(fd: &OwnedFd, path: &Path, to: Option<(u32, u32)>) -> Result<(), Error> {
    let Some((uid, gid)) = to else { return Ok(()) };
    crate::sys::fs::set_owner(fd.as_fd(), uid, gid).map_err(|e| Error::io("change the owner of", path, e))
}

fn check_version(path: &Path, text: &[u8]) -> Result<(), Error> {
    let text = std::str::from_utf8(text).unwrap_or_default().trim_end();
    match text.parse() {
        Ok(VERSION) => Ok(()),
        Ok(found) => Err(Error::Version {
            path: path.to_owned(),
            found,
        }),
        Err(_) => Err(Error::Foreign(path.to_owned())),
    }
}

/// Says that an empty directory is a store. Two processes may do it at once: they write the same, under names of their own.
fn mark(root: &Root) -> Result<(), Error> {
    let clock = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
    let clock = clock.map_or(0, |time| time.tv_nsec());
    let temporary = format!("{MARK}-{}-{clock}", std::process::id());
    root.replace(MARK, &temporary, format!("{VERSION}\n").as_bytes())
}

/// Makes what is missing in a store: all of it when it is new, the rest when whoever made it was killed.
fn complete(root: &Root) -> Result<(), Error> {
    for folder in FOLDERS {
        root.make_folder(folder)?;
    }
    let whole = |name: &str| root.status(name).map(|stat| stat.is_some());
    if whole(OCI_LAYOUT.0)? && whole(index::FILE)? {
        return Ok(());
    }
    let _lock = lock::take(root, index::LOCK, Holders::Alone, Wait::Silently)?;
    if !whole(OCI_LAYOUT.0)? {
        root.replace(OCI_LAYOUT.0, ".new-oci-layout", OCI_LAYOUT.1)?;
    }
    if !whole(index::FILE)? {
        index::write(root, &index::Entries::default())?;
    }
    Ok(())
}

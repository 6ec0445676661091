//! What is kept of a layer beside its files: directories that get their mode and time last, and owners that no file can carry.

use super::error::{Result, limit};
use super::pax::Time;
use crate::image::owner::{Device, Owner};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// Bytes of all names that are kept. Some hundred thousand directories or files of others; a layer that names more is made to hurt.
const BOOKS: usize = 64 << 20;
/// About what an entry of a map costs besides its name.
const EACH: usize = 96;

/// What a directory is when all is done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Last {
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// None for one that the layer does not name.
    pub(super) time: Option<Time>,
}

impl Last {
    /// Of a directory that lies above an entry and that the layer does not name, or not yet.
    pub(super) const UNNAMED: Self = Self {
        mode: 0o755,
        uid: 0,
        gid: 0,
        time: None,
    };
}

/// What an entry says of its owner.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
    pub(super) device: Option<Device>,
}

/// The books. A path sorts before everything beneath it.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    directories: BTreeMap<Vec<u8>, Last>,
    owners: BTreeMap<Vec<u8>, Said>,
    bytes: usize,
}

impl Ledger {
    pub(super) fn directory(&mut self, path: &[u8], last: Last) -> Result<()> {
        if self.directories.insert(path.to_vec(), last).is_none() {
            self.grow(path)?;
        }
        Ok(())
    }

    pub(super) fn owner(&mut self, path: &[u8], said: Said) -> Result<()> {
        if self.owners.insert(path.to_vec(), said).is_none() {
            self.grow(path)?;
        }
        Ok(())
    }

    fn grow(&mut self, path: &[u8]) -> Result<()> {
        self.bytes += path.len() + EACH;
        if self.bytes > BOOKS {
            return Err(limit(
                "the layer has too many directories and owners to keep",
                "64 MiB of names",
            ));
        }
        Ok(())
    }

    pub(super) fn said(&self, path: &[u8]) -> Option<Said> {
        self.owners.get(path).copied()
    }

    /// The entry there is replaced.
    pub(super) fn forget(&mut self, path: &[u8]) {
        if self.owners.remove(path).is_some() {
            self.bytes -= path.len() + EACH;
        }
    }

    /// The directory there is removed with all that is in it.
    pub(super) fn forget_tree(&mut self, path: &[u8]) {
        let gone = beneath(&mut self.directories, path) + beneath(&mut self.owners, path);
        self.bytes = self.bytes.saturating_sub(gone);
    }

    /// Directories, the deepest first: one without permission for us no longer stands above another.
    pub(super) fn directories(&mut self) -> impl Iterator<Item = (Vec<u8>, Last)> + use<> {
        std::mem::take(&mut self.directories).into_iter().rev()
    }

    pub(super) fn owners(self) -> Vec<Owner> {
        let owner = |(path, said): (Vec<u8>, Said)| Owner {
            path: OsString::from_vec(path),
            uid: said.uid,
            gid: said.gid,
            mode: said.mode,
            device: said.device,
        };
        self.owners.into_iter().map(owner).collect()
    }
}

/// Takes out a path and everything beneath it; how many bytes that was.
fn beneath<T>(map: &mut BTreeMap<Vec<u8>, T>, path: &[u8]) -> usize {
    // `/` is followed by `0`: between the two lies all that begins with the path and a slash.
    let (from, to) = ([path, b"/"].concat(), [path, b"0"].concat());
    let gone = map
        .extract_if(from..to, |_, _| true)
        .map(|(path, _)| path.len() + EACH)
        .sum::<usize>();
    gone + map.remove(path).map_or(0, |_| path.len() + EACH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_forgotten_and_its_neighbours_are_not() {
        let mut ledger = Ledger::default();
        for path in ["a", "a-", "a/b", "a/b/c", "a0", "b"] {
            ledger.directory(path.as_bytes(), Last::UNNAMED).expect("room");
        }
        ledger.forget_tree(b"a");
        let left: Vec<_> = ledger.directories().map(|(path, _)| path).collect();
        assert_eq!(left, [&b"b"[..], b"a0", b"a-"]);
        assert_eq!(ledger.bytes, 5 + 3 * EACH);
    }

    #[test]
    fn the_books_are_bounded() {
        let mut ledger = Ledger::default();
        let said = Said {
            uid: 1,
            gid: 1,
            mode: 0,
            device: None,
        };
        let name = |i: u32| format!("{i:04000}").into_bytes();
        assert!((0..100_000).any(|i| ledger.owner(&name(i), said).is_err()));
        assert!(ledger.bytes < BOOKS + 5000);
    }
}

//! The caller's home directories under every name and identity that a mount could ask for.

use std::path::{Path, PathBuf};

/// Device and inode number of a directory.
pub type FileId = (u64, u64);

/// The home directories that are never mounted whole. Data only: `host` resolves the names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Homes {
    /// `$HOME` and the home in passwd, each as written and with its links resolved.
    pub paths: Vec<PathBuf>,
    /// The directories of ssh keys in them, each as written and with its links resolved.
    pub keys: Vec<PathBuf>,
    /// Each home and the directories above it. A bind mount shows them under names to which no link leads.
    pub ids: Vec<FileId>,
}

impl Homes {
    /// Homes by name only.
    #[must_use]
    pub fn named(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut homes = Self::default();
        paths.into_iter().for_each(|path| homes.add(path));
        homes
    }

    /// Adds one name of a home. `/` is left out: it is the home of accounts that have none.
    pub fn add(&mut self, path: PathBuf) {
        if path == Path::new("/") || self.paths.contains(&path) {
            return;
        }
        self.add_keys(path.join(".ssh"));
        self.paths.push(path);
    }

    /// Adds one name of a directory of keys.
    pub fn add_keys(&mut self, path: PathBuf) {
        if !self.keys.contains(&path) {
            self.keys.push(path);
        }
    }

    /// Whether a directory is a home, or holds one.
    #[must_use]
    pub fn within(&self, directory: &Path) -> bool {
        self.paths.iter().any(|home| home.starts_with(directory))
    }

    /// Whether a path lies in a directory of keys, or holds one.
    #[must_use]
    pub fn shows_keys(&self, path: &Path) -> bool {
        let mut keys = self.keys.iter();
        keys.any(|keys| path.starts_with(keys) || keys.starts_with(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_hold_no_root_and_no_name_twice() {
        let homes = Homes::named(["/home/u/".into(), "/".into(), "/home/u".into()]);
        assert_eq!(homes.paths, [PathBuf::from("/home/u")]);
        for (path, within, keys) in [
            ("/", true, true),
            ("/home", true, true),
            ("/home/u", true, true),
            ("/home/u/x", false, false),
            ("/home/u/.ssh", false, true),
            ("/home/u/.ssh/id", false, true),
            ("/home/u2", false, false),
        ] {
            let path = Path::new(path);
            assert_eq!(
                (homes.within(path), homes.shows_keys(path)),
                (within, keys),
                "{path:?}"
            );
        }
    }
}

//! The caller's homes with their links resolved, and directories that are a home under another name.

use crate::model::homes::{FileId, Homes};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Resolves homes. One that does not exist keeps the name that was written.
pub(super) fn resolve(written: impl IntoIterator<Item = PathBuf>) -> Homes {
    let mut homes = Homes::default();
    for path in written {
        if homes.paths.contains(&path) {
            continue;
        }
        let real = fs::canonicalize(&path);
        homes.add(path);
        let Ok(real) = real else { continue };
        add_ids(&mut homes, &real);
        let keys = real.join(".ssh");
        if fs::symlink_metadata(&keys).is_ok_and(|keys| keys.is_symlink())
            && let Ok(keys) = fs::canonicalize(&keys)
        {
            homes.add_keys(keys);
        }
        homes.add(real);
    }
    homes
}

/// A home without `..`, which no path inside can have.
pub(super) fn without_parents(home: PathBuf) -> PathBuf {
    if home.components().any(|part| part == Component::ParentDir) {
        fs::canonicalize(&home).unwrap_or(home)
    } else {
        home
    }
}

fn add_ids(homes: &mut Homes, real: &Path) {
    for directory in real.ancestors().filter(|path| *path != Path::new("/")) {
        if let Some(id) = id(directory).filter(|id| !homes.ids.contains(id)) {
            homes.ids.push(id);
        }
    }
}

fn id(path: &Path) -> Option<FileId> {
    fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// Whether a path leads to a home, or to a directory above one, by any name: also through a bind mount.
#[must_use]
pub fn is_home_or_above(path: &Path, homes: &Homes) -> bool {
    homes.within(path) || id(path).is_some_and(|id| homes.ids.contains(&id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn homes_are_known_by_every_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let base = dir.path().canonicalize().expect("a real path");
        fs::create_dir_all(base.join("var/home/u")).expect("mkdir");
        fs::create_dir(base.join("keys")).expect("mkdir");
        symlink("var/home", base.join("home")).expect("a link");
        symlink(base.join("keys"), base.join("var/home/u/.ssh")).expect("a link");
        let homes = resolve([base.join("home/u"), base.join("none/../gone")]);
        for name in ["home/u", "home", "var/home/u", "var/home", "var", "none/../gone"] {
            assert!(homes.within(&base.join(name)), "{name}");
        }
        assert!(homes.shows_keys(&base.join("keys/id")) && homes.shows_keys(&base.join("home/u/.ssh")));
        // By identity alone, as through a bind mount.
        let nameless = Homes {
            ids: homes.ids.clone(),
            ..Homes::default()
        };
        assert!(is_home_or_above(&base.join("var"), &nameless));
        assert!(!is_home_or_above(&base.join("keys"), &nameless));
        assert!(!is_home_or_above(&base.join("gone"), &nameless));
    }
}

//! What an entry's name means, before anything is looked up.

use super::error::{Result, limit, refused, shown};
use crate::image::limits::Limits;

const WHITEOUT: &[u8] = b".wh.";
/// aufs's own files; of them only [`OPAQUE`] means something to others.
const AUFS: &[u8] = b".wh..wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Where an entry goes, relative to the layer's root and free of `.`, `..` and empty parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The root itself.
    Root,
    /// Beneath it.
    At {
        /// The directory; empty for the root.
        parent: Vec<u8>,
        /// The name there.
        name: Vec<u8>,
    },
    /// What lower layers have there is hidden.
    Whiteout {
        /// The directory.
        parent: Vec<u8>,
        /// What is hidden.
        name: Vec<u8>,
    },
    /// Everything that lower layers have in this directory is hidden.
    Opaque(Vec<u8>),
    /// Nothing for us.
    Aufs,
}

/// A path without what means nothing; `/a` is taken beneath the root as every tar does.
pub(super) fn clean(raw: &[u8], limits: &Limits) -> Result<Vec<u8>> {
    if raw.contains(&0) {
        return Err(refused(raw, "a name in a layer holds no NUL"));
    }
    let parts = || {
        raw.split(|b| *b == b'/')
            .filter(|part| !part.is_empty() && *part != b".")
    };
    if parts().any(|part| part == b"..") {
        return Err(refused(raw, "a name in a layer leads nowhere through `..`"));
    }
    let mut path = Vec::with_capacity(raw.len());
    for part in parts() {
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(part);
    }
    fits(&path, limits)?;
    Ok(path)
}

/// Whether a clean path is not too long and not too deep.
pub(super) fn fits(path: &[u8], limits: &Limits) -> Result<()> {
    if path.len() as u64 > u64::from(limits.path) {
        let what = format!("the path `{}` has {} bytes", shown(path), path.len());
        return Err(limit(what, limits.path));
    }
    let depth = path.split(|b| *b == b'/').count();
    if depth as u64 > u64::from(limits.depth) {
        let what = format!("the path `{}` has {depth} parts", shown(path));
        return Err(limit(what, limits.depth));
    }
    Ok(())
}

/// A clean path's directory and last name.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(at) => (
            path.get(..at).unwrap_or_default(),
            path.get(at + 1..).unwrap_or_default(),
        ),
        None => (b"", path),
    }
}

/// A name in a directory.
pub(super) fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    match parent {
        [] => name.to_vec(),
        _ => [parent, b"/", name].concat(),
    }
}

/// What a clean path means in a layer (image-spec, layer.md, "Whiteouts").
pub(super) fn place(path: &[u8]) -> Result<Place> {
    let (parent, name) = split(path);
    for part in parent.split(|b| *b == b'/') {
        if part.starts_with(AUFS) {
            return Ok(Place::Aufs);
        }
        if part.starts_with(WHITEOUT) {
            return Err(refused(
                path,
                "nothing can lie in a whiteout: names that begin with `.wh.` are taken",
            ));
        }
    }
    let parent = parent.to_vec();
    Ok(match name {
        b"" => Place::Root,
        OPAQUE => Place::Opaque(parent),
        name if name.starts_with(AUFS) => Place::Aufs,
        name => match name.strip_prefix(WHITEOUT) {
            Some(b"" | b"." | b"..") => {
                return Err(refused(path, "a whiteout names what it hides: `.wh.NAME`"));
            }
            Some(hidden) => Place::Whiteout {
                parent,
                name: hidden.to_vec(),
            },
            None => Place::At {
                parent,
                name: name.to_vec(),
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_beneath_the_root() {
        let limits = Limits::default();
        for (raw, path) in [
            ("a", "a"),
            ("./a", "a"),
            ("/a", "a"),
            ("//a//b/./c//", "a/b/c"),
            (".", ""),
            ("", ""),
            ("/", ""),
            ("./", ""),
            ("...", "..."),
            ("a/..b", "a/..b"),
        ] {
            assert_eq!(
                clean(raw.as_bytes(), &limits).expect(raw),
                path.as_bytes(),
                "{raw}"
            );
        }
        for raw in ["..", "../a", "a/..", "a/../b", "/..", "a\0b", "\0"] {
            assert!(clean(raw.as_bytes(), &limits).is_err(), "{raw:?}");
        }
    }

    #[test]
    fn paths_are_neither_long_nor_deep() {
        let limits = Limits {
            path: 9,
            depth: 3,
            ..Limits::default()
        };
        assert!(clean(b"./123456789", &limits).is_ok());
        assert!(clean(b"1234567890", &limits).is_err());
        assert!(clean(b"//a//b//c", &limits).is_ok());
        assert!(clean(b"a/b/c/d", &limits).is_err());
    }

    #[test]
    fn whiteouts_hide_one_name() {
        let hidden = |parent: &str, name: &str| Place::Whiteout {
            parent: parent.into(),
            name: name.into(),
        };
        for (path, meant) in [
            ("a/.wh.b", hidden("a", "b")),
            (".wh....", hidden("", "...")),
            (".wh.\n", hidden("", "\n")),
            ("a/.wh..wh..opq", Place::Opaque("a".into())),
            (".wh..wh..opq", Place::Opaque("".into())),
            (".wh..wh.plnk/1.2", Place::Aufs),
            ("a/.wh..wh.aufs", Place::Aufs),
            (
                "a/.wh",
                Place::At {
                    parent: "a".into(),
                    name: ".wh".into(),
                },
            ),
            ("", Place::Root),
        ] {
            assert_eq!(place(path.as_bytes()).expect(path), meant, "{path}");
        }
        for path in [".wh.", ".wh..", ".wh...", "a/.wh...", ".wh.a/b"] {
            assert!(place(path.as_bytes()).is_err(), "{path}");
        }
    }
}

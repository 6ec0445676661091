//! Two kinds of path that cannot be mixed up: on the host, and inside the sandbox's root.

use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// An absolute path on the host. Any bytes but NUL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct HostPath(PathBuf);

/// An absolute path inside the sandbox, without `.`, `..`, doubled or trailing slashes.
///
/// It is never joined to a host path: the engine resolves it beneath the root's file descriptor (`openat2`, `RESOLVE_IN_ROOT`).
/// Bytes, since it is clean: a plan compares thousands of them, and `Path` goes through components for that.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "PathBuf", into = "PathBuf")]
pub struct InRoot(OsString);

/// Why a path was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Not absolute.
    #[error("{} is not an absolute path", shown(.0))]
    Relative(PathBuf),
    /// `..` could leave the root.
    #[error("{} contains `..`: write the path without it", shown(.0))]
    Parent(PathBuf),
    /// The kernel takes no NUL.
    #[error("{} contains a NUL byte", shown(.0))]
    Nul(PathBuf),
    /// The kernel's `PATH_MAX`.
    #[error("a path of {0} bytes is longer than the kernel's limit of 4095")]
    Long(usize),
}

fn shown(path: &Path) -> String {
    format!("`{}`", path.as_os_str().as_bytes().escape_ascii())
}

fn check(path: &Path) -> Result<(), PathError> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.len() > 4095 {
        return Err(PathError::Long(bytes.len()));
    }
    if bytes.contains(&0) {
        return Err(PathError::Nul(path.to_owned()));
    }
    if !path.is_absolute() {
        return Err(PathError::Relative(path.to_owned()));
    }
    Ok(())
}

/// A path as it was written (`~/x` too), in the one form in which two can be compared.
#[must_use]
pub fn comparable(path: &str) -> String {
    let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
    let slash = if path.starts_with('/') { "/" } else { "" };
    format!("{slash}{}", parts.collect::<Vec<_>>().join("/"))
}

impl HostPath {
    /// Takes an absolute path as it is; symbolic links and `..` keep the host's meaning.
    ///
    /// # Errors
    /// When it is relative, too long or contains NUL.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self, PathError> {
        let path = path.into();
        check(&path)?;
        Ok(Self(path))
    }

    /// The path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

impl InRoot {
    /// The root itself.
    #[must_use]
    pub fn root() -> Self {
        Self(OsString::from("/"))
    }

    /// Normalises an absolute path.
    ///
    /// # Errors
    /// When it is relative, too long, or contains `..` or NUL.
    pub fn new(path: impl AsRef<Path>) -> Result<Self, PathError> {
        let path = path.as_ref();
        check(path)?;
        let bytes = path.as_os_str().as_bytes();
        let mut clean = Vec::with_capacity(bytes.len());
        for part in bytes.split(|b| *b == b'/') {
            match part {
                b"" | b"." => {}
                b".." => return Err(PathError::Parent(path.to_owned())),
                name => {
                    clean.push(b'/');
                    clean.extend_from_slice(name);
                }
            }
        }
        if clean.is_empty() {
            return Ok(Self::root());
        }
        Ok(Self(OsString::from_vec(clean)))
    }

    /// The path, with its leading slash.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// The path without its leading slash; `.` for the root.
    #[must_use]
    pub fn relative(&self) -> &Path {
        match self.0.as_bytes().strip_prefix(b"/") {
            Some(rest) if !rest.is_empty() => Path::new(OsStr::from_bytes(rest)),
            _ => Path::new("."),
        }
    }

    /// Up to the last slash, and behind it; `None` for the root.
    fn split(&self) -> Option<(&[u8], &[u8])> {
        let bytes = self.0.as_bytes();
        let slash = bytes.iter().rposition(|b| *b == b'/')?;
        let (parent, name) = bytes.split_at_checked(slash)?;
        Some((parent, name.get(1..).filter(|name| !name.is_empty())?))
    }

    /// The directory that holds it; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (parent, _) = self.split()?;
        Some(match parent {
            b"" => Self::root(),
            parent => Self(OsStr::from_bytes(parent).to_owned()),
        })
    }

    /// The last name; `None` for the root.
    #[must_use]
    pub fn name(&self) -> Option<&OsStr> {
        self.split().map(|(_, name)| OsStr::from_bytes(name))
    }

    /// Whether this is `other` or lies below it.
    #[must_use]
    pub fn is_beneath(&self, other: &Self) -> bool {
        match self.0.as_bytes().strip_prefix(other.0.as_bytes()) {
            Some(rest) => rest.is_empty() || rest.starts_with(b"/") || other.0.len() == 1,
            None => false,
        }
    }
}

impl fmt::Display for HostPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_os_str().as_bytes().escape_ascii())
    }
}

impl fmt::Display for InRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_os_str().as_bytes().escape_ascii())
    }
}

impl TryFrom<PathBuf> for InRoot {
    type Error = PathError;
    fn try_from(path: PathBuf) -> Result<Self, PathError> {
        Self::new(path)
    }
}

impl From<InRoot> for PathBuf {
    fn from(path: InRoot) -> Self {
        path.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_root_is_normal() {
        for (text, clean) in [("/", "/"), ("//a//b/", "/a/b"), ("/a/./b", "/a/b")] {
            assert_eq!(
                InRoot::new(text).map(|p| p.as_path().to_owned()),
                Ok(PathBuf::from(clean))
            );
        }
        for text in ["", "a", "/a/..", "/../etc", "/a\0b"] {
            assert!(InRoot::new(text).is_err(), "{text:?}");
        }
        assert!(InRoot::new(format!("/{}", "x".repeat(4096))).is_err());
    }

    #[test]
    fn beneath_goes_by_component() {
        let at = |p| InRoot::new(p).expect("a path");
        assert!(at("/usr/lib").is_beneath(&at("/usr")));
        assert!(!at("/usrlocal").is_beneath(&at("/usr")));
        assert!(at("/x").is_beneath(&InRoot::root()));
        assert!(InRoot::root().is_beneath(&InRoot::root()));
        assert!(!InRoot::root().is_beneath(&at("/x")));
    }

    #[test]
    fn a_path_has_a_parent_and_a_name() {
        let at = |p| InRoot::new(p).expect("a path");
        assert_eq!(
            (at("/a/b").parent(), at("/a/b").name()),
            (Some(at("/a")), Some(OsStr::new("b")))
        );
        assert_eq!(
            (at("/a").parent(), at("/a").name()),
            (Some(InRoot::root()), Some(OsStr::new("a")))
        );
        assert_eq!((InRoot::root().parent(), InRoot::root().name()), (None, None));
        assert_eq!(
            (at("/a/b").relative(), InRoot::root().relative()),
            (Path::new("a/b"), Path::new("."))
        );
    }
}

//! Directories of the host that are shown as one.

use super::path::HostPath;
use std::fmt;
use std::path::PathBuf;

/// The directories below an overlay, the topmost first.
///
/// They lie beneath one directory, so that one mount holds all of them: an image may have 500.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layers {
    /// The directory that holds them.
    pub within: HostPath,
    /// Their paths below it; none stands for the directory itself.
    pub names: Vec<String>,
}

impl Layers {
    /// One directory.
    #[must_use]
    pub fn of(directory: HostPath) -> Self {
        Self {
            within: directory,
            names: Vec::new(),
        }
    }

    /// Each directory, the topmost first.
    pub fn paths(&self) -> impl Iterator<Item = PathBuf> {
        let alone = self.names.is_empty().then(|| self.within.as_path().to_owned());
        alone
            .into_iter()
            .chain(self.names.iter().map(|name| self.within.as_path().join(name)))
    }
}

impl fmt::Display for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.names.len() {
            0 => write!(f, "host {}", self.within),
            1 => write!(f, "the image's layer in {}", self.within),
            n => write!(f, "the image's {n} layers in {}", self.within),
        }
    }
}

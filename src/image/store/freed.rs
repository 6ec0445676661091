//! What has been removed from a store, and what could not be.

use super::Kind;
use crate::model::Digest;
use std::path::PathBuf;

/// What has been removed, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Freed {
    /// Names that lead nowhere any more.
    pub names: Vec<String>,
    /// Images, by their manifests.
    pub images: Vec<Digest>,
    /// Images that stay although they were to go, since running sandboxes use them.
    pub used: Vec<Digest>,
    /// What took space, and how many bytes on the disk.
    pub parts: Vec<(Part, u64)>,
    /// What could not be removed. Nobody takes it for a layer any more.
    pub left: Vec<Left>,
}

/// Something that took space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A manifest, a config or a packed layer.
    Blob(Digest),
    /// A blob that had been fetched in part.
    Partial(Digest),
    /// What had come through a pipe, to be loaded.
    Spool,
    /// An unpacked layer.
    Layer(Kind, Digest),
    /// A layer that was never unpacked whole, or never removed whole.
    Unfinished(Kind, Digest),
    /// The copy of an image, of a run that was killed.
    Copy(Kind),
}

/// The directory of a layer, or a copy, that could not be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Whose its files are.
    pub kind: Kind,
    /// Where it is.
    pub path: PathBuf,
    /// Why it is still there.
    pub why: String,
}

impl Freed {
    /// Bytes on the disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|(_, bytes)| bytes).sum()
    }
}

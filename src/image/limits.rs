//! How much of a stranger's image is read at most. Each can be raised by a flag; SECURITY.md lists them.

use crate::model::Bytes;
use serde::{Deserialize, Serialize};

/// The limits of one pull, load or import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Limits {
    /// A manifest, an index, a config: they are read into memory whole.
    pub document: Bytes,
    /// Layers of an image; overlay takes no more than 500.
    pub layers: u32,
    /// A layer as it is transferred.
    pub packed: Bytes,
    /// A layer's files, unpacked.
    pub unpacked: Bytes,
    /// All layers of an image, unpacked.
    pub image: Bytes,
    /// Entries of a layer.
    pub entries: u64,
    /// How many times larger a layer may become when unpacked, once it is beyond 64 MiB: an honest text compresses to a hundredth at best.
    pub ratio: u64,
    /// Bytes of a path; the kernel's own limit is 4095.
    pub path: u32,
    /// Directories below each other.
    pub depth: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            document: Bytes(4 << 20),
            layers: 500,
            packed: Bytes(16 << 30),
            unpacked: Bytes(32 << 30),
            image: Bytes(64 << 30),
            entries: 2_000_000,
            ratio: 200,
            path: 4095,
            depth: 256,
        }
    }
}

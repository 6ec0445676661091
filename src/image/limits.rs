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

/// Why a text sets no limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// No `=`.
    #[error("`{0}`: write NAME=VALUE; the names are {NAMES}")]
    Form(String),
    /// No such limit.
    #[error("`{0}` is no limit of images; they are {NAMES}")]
    Name(String),
    /// Neither a size nor a number.
    #[error("`{0}`: {1}")]
    Value(String, String),
}

const NAMES: &str = "document, layers, packed, unpacked, image, entries, ratio, path and depth";

impl Limits {
    /// Sets a limit by `NAME=VALUE`, as the flag has it.
    ///
    /// # Errors
    /// When it is none.
    pub fn set(&mut self, text: &str) -> Result<(), LimitError> {
        let shown = || text.escape_debug().take(100).collect::<String>();
        let (name, value) = text.split_once('=').ok_or_else(|| LimitError::Form(shown()))?;
        let wrong = |why: &dyn std::fmt::Display| LimitError::Value(shown(), why.to_string());
        let size = || value.parse::<Bytes>().map_err(|e| wrong(&e));
        let number = || value.parse::<u64>().map_err(|_| wrong(&"write a whole number"));
        let small = || value.parse::<u32>().map_err(|_| wrong(&"write a whole number"));
        match name {
            "document" => self.document = size()?,
            "layers" => self.layers = small()?,
            "packed" => self.packed = size()?,
            "unpacked" => self.unpacked = size()?,
            "image" => self.image = size()?,
            "entries" => self.entries = number()?,
            "ratio" => self.ratio = number()?,
            "path" => self.path = small()?,
            "depth" => self.depth = small()?,
            other => return Err(LimitError::Name(other.escape_debug().take(100).collect())),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_can_be_set() {
        let mut limits = Limits::default();
        for text in [
            "document=8M",
            "layers=600",
            "packed=1G",
            "unpacked=2G",
            "image=3G",
            "entries=5",
            "ratio=1000",
            "path=100",
            "depth=7",
        ] {
            let before = limits.clone();
            limits.set(text).expect(text);
            assert_ne!(limits, before, "{text}");
        }
        for text in [
            "layers",
            "layers=x",
            "layers=-1",
            "layer=5",
            "packed=5 apples",
            "=",
            "",
        ] {
            assert!(limits.set(text).is_err(), "{text}");
        }
    }
}

//! Archives of images, as far as `sbx` itself has to do with them: what they are by their first bytes, and how they are written.

mod pack;
mod save;
mod write;

pub use pack::{LeftOut, Owners, PackError, pack};
pub use save::{Format, SaveError, Saved, save};
pub use write::{Entry, What, Writer};

use super::descriptor::Compression;
use serde::{Deserialize, Serialize};

/// What an archive is, or a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// An OCI image layout.
    Layout,
    /// A tar of one.
    OciArchive,
    /// What `docker save` writes.
    DockerArchive,
}

/// How many bytes tell how a tar is packed.
pub const HEAD: u64 = 512;

/// Bytes that begin no tar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotATar {
    /// Packed in a way that is not read.
    #[error("it is packed by {0}, which is not read: unpack it first, as in `{0} -dc FILE | sbx …`")]
    Packing(&'static str),
    /// Something else.
    #[error("it is no tar, plain or packed by gzip or zstd")]
    Other,
}

/// How a tar is packed, by the first [`HEAD`] bytes of it.
///
/// # Errors
/// It is none, or packed in another way.
pub fn packing(head: &[u8]) -> Result<Compression, NotATar> {
    let others: [(&[u8], &str); 3] = [
        (b"\xfd7zXZ\0", "xz"),
        (b"BZh", "bzip2"),
        (b"\x04\x22\x4d\x18", "lz4"),
    ];
    if head.starts_with(b"\x1f\x8b") {
        return Ok(Compression::Gzip);
    }
    // A skippable frame may stand first: estargz's kin do that.
    let skippable = matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]);
    if head.starts_with(b"\x28\xb5\x2f\xfd") || skippable {
        return Ok(Compression::Zstd);
    }
    if let Some((_, name)) = others.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Err(NotATar::Packing(name));
    }
    // Old tars have no magic, but all have a checksum.
    let sum: u64 = head
        .iter()
        .enumerate()
        .map(|(at, byte)| u64::from(if (148..156).contains(&at) { b' ' } else { *byte }))
        .sum();
    let said = head.get(148..156).unwrap_or_default();
    let digits: String = said.iter().map(|b| char::from(*b)).collect();
    let said = u64::from_str_radix(digits.trim_matches(['\0', ' ']), 8);
    if said == Ok(sum) {
        return Ok(Compression::None);
    }
    Err(NotATar::Other)
}

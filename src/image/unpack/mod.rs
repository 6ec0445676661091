//! Unpacks a layer into the form that overlayfs takes.
//!
//! The archive is a stranger's. Its names are taken lexically beneath the root, every directory is opened beneath it without following a
//! link ([`tree`]), files are made anew and never written through, metadata goes through descriptors ([`writer`]), and everything that is
//! read is bounded ([`stream`], [`archive`], [`ledger`]).

mod archive;
mod contents;
mod error;
mod gzip;
mod ledger;
mod name;
mod owner;
mod pax;
mod sparse;
mod stream;
mod survey;
#[cfg(test)]
mod tests;
mod tree;
mod writer;

use super::descriptor::Compression;
use super::dropped::Dropped;
use super::limits::Limits;
use super::owner::{Owner, Ownership};
use crate::model::Digest;
pub use error::Error;
use std::io::Read;
use std::os::fd::BorrowedFd;
pub use survey::{Place, decompress, diff_id, name_shown, survey};

/// How a layer is unpacked.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// How it is packed.
    pub compression: Compression,
    /// Whose its files are.
    pub ownership: Ownership,
    /// How much of it is read and made.
    pub limits: &'a Limits,
}

/// An unpacked layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// Of the whole uncompressed stream, with everything behind the archive's end.
    pub diff_id: Digest,
    /// Of files' contents, holes counted.
    pub bytes: u64,
    /// Entries of the archive.
    pub entries: u64,
    /// What the layer says and the files do not, by path: devices; with [`Ownership::Single`] also everything that is not 0:0 or has
    /// set-id bits.
    pub owners: Vec<Owner>,
    /// The root itself is opaque. overlayfs does not look for that: whoever mounts leaves out the layers below.
    pub opaque: bool,
    /// What was left out.
    pub dropped: Dropped,
}

/// Unpacks a layer. What was made before an error stays: see [`remove_tree`](super::remove::remove_tree).
///
/// `layer` is the blob, verified against its digest; `into` an empty directory of our own; `progress` hears how many packed bytes are read.
///
/// # Errors
/// See [`enum@Error`]: the layer is damaged, breaks a rule or passes a limit, or the file system refuses.
pub fn unpack(
    layer: impl Read,
    into: BorrowedFd<'_>,
    options: &Options<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<Unpacked, Error> {
    let stream = stream::Stream::new(layer, options.compression, options.limits, progress)?;
    let mut archive = archive::Archive::new(stream);
    let mut writer = writer::Writer::new(into, options)?;
    while let Some(member) = archive.next()? {
        let made = writer.entry(&mut archive, &member);
        made.map_err(|error| link_target(error, &mut archive, options.limits))?;
    }
    writer.close(archive)
}

/// Looks in the rest of the archive for the target of a hard link, for the message alone.
fn link_target(error: Error, archive: &mut archive::Archive<'_>, limits: &Limits) -> Error {
    let Error::HardLink { name, to, .. } = error else {
        return error;
    };
    let mut later = false;
    while let (false, Ok(Some(member))) = (later, archive.next()) {
        later = name::clean(&member.name, limits).is_ok_and(|path| path == to);
    }
    Error::HardLink { name, to, later }
}

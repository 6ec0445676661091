//! Why something of the store cannot be done.

use crate::image::document;
use crate::model::Digest;
use std::io;
use std::path::{Path, PathBuf};

/// What is wrong, and with which file or image.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refuses.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was to be done.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Neither variable says where it would be.
    #[error("no place for images: set XDG_DATA_HOME or HOME to an absolute path")]
    NoHome,
    /// Nothing is there.
    #[error("there is no image store at {}: the first pull makes one", .0.display())]
    Absent(PathBuf),
    /// Something else is there.
    #[error("{} is no image store of sbx (it has files and no sbx-store): name an empty directory", .0.display())]
    Foreign(PathBuf),
    /// Others could have written it.
    #[error("the image store at {} {why}: {fix}", path.display())]
    Untrusted {
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What would be right.
        fix: String,
    },
    /// A store of another version.
    #[error("the image store at {} is of version {found}, this sbx reads version {}: {}", path.display(), super::VERSION,
        if *found > super::VERSION { "use a newer sbx" } else { "move it away and pull again" })]
    Version {
        /// Where.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
    /// Something other than a file or a directory lies where one should.
    #[error("{} is no {expected}", path.display())]
    Kind {
        /// Where.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// A file that is larger than any honest one.
    #[error("{} has {size} bytes, the limit is {limit}", path.display())]
    Large {
        /// Where.
        path: PathBuf,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// index.json, size.json: not what this program writes.
    #[error("{} is damaged: {why}", path.display())]
    Damaged {
        /// Where.
        path: PathBuf,
        /// What the reader says.
        why: String,
    },
    /// A blob that something refers to is not there, or has another size.
    #[error("blob {} is not in the store: pull the image again", .0.short())]
    Missing(Digest),
    /// A blob is not what its name says.
    #[error("blob {} in the store has other contents (they hash to {}): remove the image and pull it again", expected.short(), found.short())]
    Corrupt {
        /// Its name.
        expected: Digest,
        /// What it hashes to.
        found: Digest,
    },
    /// A blob was to be finished and has another size.
    #[error("blob {} has {found} bytes, and must have {expected}", digest.short())]
    Size {
        /// Which.
        digest: Digest,
        /// What its descriptor says.
        expected: u64,
        /// What there is.
        found: u64,
    },
    /// A manifest or a config that is refused.
    #[error("blob {}: {source}", blob.short())]
    Document {
        /// Which.
        blob: Digest,
        /// Why.
        source: document::Error,
    },
    /// Several images have ids that begin so.
    #[error("`{prefix}` is the beginning of several images' ids ({found}): write more digits")]
    Ambiguous {
        /// What was asked for.
        prefix: String,
        /// What fits.
        found: String,
    },
    /// A name that cannot be kept.
    #[error("`{0}` cannot be the name of an image in the store")]
    Name(String),
    /// A running sandbox needs it.
    #[error("image {} is in use by a running sandbox: end it first", .0.short())]
    InUse(Digest),
    /// Another process has the store and must not be waited for.
    #[error("the image store is in use by another sbx that pulls or prunes: try again when it has ended")]
    Busy,
    /// Nothing has the name.
    #[error("no image `{0}` in the store")]
    NoSuchImage(String),
}

impl Error {
    /// An answer of the kernel.
    pub(super) fn io(what: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Io {
            what,
            path: path.to_owned(),
            source: source.into(),
        }
    }
}

//! Why a layer is not unpacked. Names come from the layer: they are escaped and cut when an error is made.

use crate::sys::Errno;
use std::io;

/// Why a layer is not unpacked: what, where, what would be right. The layer itself is named by the caller.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes of the layer cannot be had.
    #[error("it cannot be read: {0}")]
    Read(io::Error),
    /// What was unpacked cannot be kept.
    #[error("it cannot be written: {0}")]
    Write(io::Error),
    /// They are no gzip or zstd, or end early, or something follows.
    #[error("{0} data is damaged, ends early or is followed by something else: {1}")]
    Packing(&'static str, String),
    /// The archive ends within an entry.
    #[error("the archive ends in the middle of {0}")]
    Truncated(String),
    /// The archive is none, or not in a way that every reader understands alike.
    #[error("{entry}: {why}")]
    Archive {
        /// Which: its number, counted from 1, and its name, or that of the entry before it.
        entry: String,
        /// What is wrong and what would be right.
        why: String,
    },
    /// A name, or what is to stand there.
    #[error("`{name}`: {why}")]
    Entry {
        /// Escaped and cut.
        name: String,
        /// What is wrong and what would be right.
        why: String,
    },
    /// A hard link to what has not been unpacked.
    #[error("`{name}`: it is a hard link to `{}`, which {}", shown(.to), if *.later {
        "comes later in the archive: a hard link must follow the file"
    } else {
        "is not in this layer"
    })]
    HardLink {
        /// Escaped and cut.
        name: String,
        /// The path that it leads to, clean.
        to: Vec<u8>,
        /// Whether an entry behind it has that path.
        later: bool,
    },
    /// A path that leads through a directory that is not there.
    #[error("`{name}`: it {}", if *.linked {
        "leads through a symlink of this layer to what is not in it"
    } else {
        "is not in this layer"
    })]
    Absent {
        /// Escaped and cut.
        name: String,
        /// Whether a symlink leads there.
        linked: bool,
    },
    /// More than is read of a stranger.
    #[error("{what}: the limit is {limit} (see --image-limit)")]
    Limit {
        /// What there is too much of.
        what: String,
        /// How much there may be.
        limit: String,
    },
    /// The file system said no.
    #[error("`{name}` cannot be {what}: {}", errno.desc())]
    System {
        /// Escaped and cut.
        name: String,
        /// `made`, `written`.
        what: &'static str,
        /// Why.
        errno: Errno,
    },
    /// The owner has no place in the id map.
    #[error("`{name}` needs {kind} {id}, {map}: add sub-ids or use --map caller")]
    Unmapped {
        /// Escaped and cut.
        name: String,
        /// `uid` or `gid`.
        kind: &'static str,
        /// Which.
        id: u64,
        /// What the map has.
        map: String,
    },
}

/// The answer of everything here.
pub(super) type Result<T> = std::result::Result<T, Error>;

/// A name or another text of the layer, fit for a message.
pub(super) fn shown(bytes: &[u8]) -> String {
    let head = bytes.get(..400).unwrap_or(bytes);
    let mut text: String = String::from_utf8_lossy(head).chars().take(100).collect();
    if text.len() < bytes.len() {
        text.push('…');
    }
    text.escape_debug().to_string()
}

/// An entry that is refused.
pub(super) fn refused(name: &[u8], why: impl Into<String>) -> Error {
    Error::Entry {
        name: shown(name),
        why: why.into(),
    }
}

/// What the file system answered.
pub(super) fn system(name: &[u8], what: &'static str) -> impl FnOnce(Errno) -> Error {
    move |errno| Error::System {
        name: shown(name),
        what,
        errno,
    }
}

/// A limit that is passed.
pub(super) fn limit(what: impl Into<String>, limit: impl ToString) -> Error {
    Error::Limit {
        what: what.into(),
        limit: limit.to_string(),
    }
}

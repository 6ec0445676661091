//! Named volumes: directories that outlive the sandboxes that use them.
//!
//! ```text
//! .version              of this layout
//! .locks/NAME           see `lock`
//! NAME/data/            the files; this is what a sandbox has
//! NAME/created          seconds since 1970
//! NAME/fresh            nobody has used it yet
//! NAME/.new-data/       being filled with what an image has there; it becomes `data` when it is whole and on the disk
//! .new-NAME/            being made
//! .old-NAME/            being removed
//! ```
//!
//! They lie beside the image store and not in it: that is an OCI layout, which other tools read and `verify` knows every file of. A name
//! is one volume whatever the id map of who uses it: files belong to ids of the host, and a map only shows them by other numbers.
//!
//! No sandbox writes anywhere but below `data`, so what is above it is as this module left it. Whatever dies in the middle leaves
//! something without a meaning, which the next one takes away.

mod files;
mod filling;
mod lock;
mod name;
mod removal;
mod store;
#[cfg(test)]
mod tests;

pub use filling::{Claim, Filling, Held};
pub use name::{Name, NotAName};
pub use removal::Removal;
pub use store::{Volume, Volumes};

use super::environment::{Lookup, data_home};
use std::io;
use std::path::{Path, PathBuf};

/// Why something about a volume cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refuses.
    #[error("cannot {what} {}: {source}", path.display().to_string().escape_debug())]
    Io {
        /// What was to be done.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Neither variable says where they would be.
    #[error("no place for volumes: set XDG_DATA_HOME or HOME to an absolute path")]
    NoHome,
    /// A layout of another version.
    #[error("the volumes at {} are of version {found}, this sbx knows version {}: use the sbx that made them", path.display(), store::VERSION)]
    Version {
        /// Where.
        path: PathBuf,
        /// Their version.
        found: String,
    },
    /// There is none.
    #[error("no volume `{0}`: `sbx volume ls` lists what there is")]
    Absent(Name),
    /// It cannot be removed.
    #[error("volume `{0}` is in use by a sandbox that is running")]
    Busy(Name),
}

impl Error {
    fn io(what: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Io {
            what,
            path: path.to_owned(),
            source: source.into(),
        }
    }
}

/// Where volumes are when nobody says otherwise.
///
/// # Errors
/// Neither `XDG_DATA_HOME` nor `HOME` is an absolute path.
pub fn default_path(lookup: Lookup<'_>) -> Result<PathBuf, Error> {
    let data = data_home(lookup).ok_or(Error::NoHome)?;
    Ok(data.join("sbx-volumes"))
}

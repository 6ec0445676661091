//! Facts about the paths that a policy names.

use super::path::{HostPath, InRoot};
use std::collections::{BTreeMap, BTreeSet};

/// What kind of thing a path of the host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file, socket or FIFO.
    File,
    /// A device node.
    Device,
}

/// Facts about the paths that a policy names, looked up before the plan is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Sources of mounts and devices; those that do not exist are not in it.
    pub sources: BTreeMap<HostPath, Kind>,
    /// For a directory root: which of the places that the plan mounts on are real directories (no link) in it.
    pub places: BTreeSet<InRoot>,
    /// One of the standard streams is a terminal.
    pub terminal: bool,
}

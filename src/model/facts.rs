//! Facts about the paths that a policy names.

use super::path::{HostPath, InRoot};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Whom programs ask for the addresses of names; often a link into `/run`.
pub const RESOLVER: &str = "/etc/resolv.conf";

/// Where apt reads configuration.
pub const APT: &str = "/etc/apt/apt.conf.d";

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

/// Why a source is not mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Astray {
    /// It is one of the caller's homes, or lies above one, under a name that the homes do not have.
    Home,
    /// A link in the working directory leads out of it.
    Link,
}

/// What a path of the host leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub kind: Kind,
    /// Where, without symbolic links: this is what is opened, and a link that appears on it later makes the opening fail.
    pub real: HostPath,
}

/// What a root's own passwd and group say about a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Inside.
    pub uid: u32,
    /// Inside.
    pub gid: u32,
    /// The home directory, when it is an absolute path.
    pub home: Option<PathBuf>,
    /// The groups that the root's own group file has the user in, where no group was named for it.
    pub groups: Vec<u32>,
}

/// Whose a file is, and who may write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owned {
    /// The owner's uid on the host.
    pub uid: u32,
    /// Permission bits.
    pub mode: u32,
}

/// What the kernel tells every process about the machine: uname(2), sysinfo(2), the clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// `uname -r`.
    pub release: String,
    /// Memory in bytes.
    pub memory: u64,
    /// Seconds since the epoch.
    pub now: u64,
    /// Seconds since boot.
    pub up: u64,
}

/// Unix sockets in what is shown, by where it really is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sockets {
    /// Mount sources that are sockets.
    pub named: BTreeSet<HostPath>,
    /// The sockets beneath a directory, relative to it.
    pub beneath: BTreeMap<HostPath, Vec<PathBuf>>,
    /// Directories that were not searched to their end.
    pub unsearched: BTreeSet<HostPath>,
}

/// Facts about the paths that a policy names, looked up before the plan is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The machine, for files that tell about it.
    pub machine: Machine,
    /// Where the image is copied to, where overlay is refused.
    pub copy: Option<HostPath>,
    /// The directory on disk that an upper layer goes to, where one is asked for.
    pub upper: Option<HostPath>,
    /// Sources of mounts and devices; those that do not exist are not in it.
    pub sources: BTreeMap<HostPath, Found>,
    /// Unix sockets in the sources of mounts.
    pub sockets: Sockets,
    /// Sources that may exist but cannot be looked up, with the error.
    pub unreadable: BTreeMap<HostPath, String>,
    /// What a user's name or number means in a root with a passwd of its own, or why it means nothing.
    pub user: Option<Result<User, String>>,
    /// What the groups that are asked for by name or number mean in the root, or which of them means nothing.
    pub groups: Option<Result<Vec<u32>, String>>,
    /// The disk that each path with a rate lies on, as `8:0`, or why there is none.
    pub disks: BTreeMap<HostPath, Result<String, String>>,
    /// Sources that are not mounted for what they lead to.
    pub astray: BTreeMap<HostPath, Astray>,
    /// Whose the working directory is that is shown inside.
    pub workspace: Option<Owned>,
    /// For a directory root and for an image: which of the places that the plan mounts on are real directories (no link) in it.
    pub places: BTreeSet<InRoot>,
    /// The image has apt's directory for configuration.
    pub apt: bool,
    /// One of the standard streams is a terminal.
    pub terminal: bool,
    /// Which of the standard streams are regular files.
    pub stream_files: [bool; 3],
}

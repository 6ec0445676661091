//! What a policy is asked for, besides its profile, and why it is refused.

use super::flags::Flags;
use crate::model::{Homes, HostPath, InRoot, Layers, Origin};
use crate::seccomp;
use std::ffi::OsString;
use std::path::PathBuf;

/// What the sandbox's root is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// The host's own tools, read-only.
    Host,
    /// A directory that holds a root file system.
    Directory(HostPath),
    /// An image of the store.
    Image(Image),
    /// Nothing.
    Scratch,
}

/// An image, unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// As the user calls it.
    pub name: String,
    /// Its layers; an image without any has one empty directory.
    pub layers: Layers,
    /// What its config says.
    pub config: ImageConfig,
}

/// What an image's config says about a run (image-spec, config.md), checked where it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// Put before the command.
    pub entrypoint: Vec<OsString>,
    /// The command, when none is given.
    pub command: Vec<OsString>,
    /// Variables.
    pub environment: Vec<(OsString, OsString)>,
    /// Where the command starts.
    pub start_in: Option<PathBuf>,
    /// `NAME[:GROUP]` or `UID[:GID]`.
    pub user: Option<String>,
    /// The signal that asks it to stop.
    pub stop_signal: Option<i32>,
    /// Places for data.
    pub volumes: Vec<PathBuf>,
}

/// What a run is asked to do, besides its profile. All of it was read at the edge.
#[derive(Debug, Clone)]
pub struct Request {
    /// What to run in.
    pub root: Root,
    /// `--entrypoint`
    pub entrypoint: Option<OsString>,
    /// The command and its arguments.
    pub command: Vec<OsString>,
    /// `-w`
    pub start_in: Option<PathBuf>,
    /// The caller's working directory; `None` when it was deleted.
    pub current: Option<PathBuf>,
    /// The caller's home directory.
    pub home: Option<PathBuf>,
    /// The homes that are never mounted whole.
    pub homes: Homes,
    /// The caller's login name.
    pub user: Option<String>,
    /// The caller's environment.
    pub environment: Vec<(OsString, OsString)>,
    /// A seccomp table read from Docker's format, in place of the profile's.
    pub seccomp: Option<seccomp::Table>,
    /// The names of the profiles, for people.
    pub profile: String,
    /// What only flags say.
    pub flags: Flags,
}

impl Request {
    /// Of a caller of whom nothing is known.
    #[must_use]
    pub fn new(root: Root, command: Vec<OsString>) -> Self {
        Self {
            root,
            entrypoint: None,
            command,
            start_in: None,
            current: None,
            home: None,
            homes: Homes::default(),
            user: None,
            environment: Vec::new(),
            seccomp: None,
            profile: String::new(),
            flags: Flags::default(),
        }
    }
}

/// A contradiction, or something that is not there yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A value cannot be used.
    #[error("{what} ({origin}): {why}")]
    Value {
        /// The value.
        what: String,
        /// Who set it.
        origin: Origin,
        /// What would be right.
        why: String,
    },
    /// Nothing to run.
    #[error("no command: write it behind the image, for example `sbx run host -- ls`")]
    NoCommand,
    /// Nothing to run, and the image has no command of its own.
    #[error("no command: the image names none, so write it behind the image")]
    NoCommandInImage,
    /// The system call table.
    #[error(transparent)]
    Syscalls(#[from] seccomp::SpecError),
}

pub(super) fn refuse<T>(
    what: impl Into<String>,
    origin: &Origin,
    why: impl Into<String>,
) -> Result<T, Error> {
    Err(Error::Value {
        what: what.into(),
        origin: origin.clone(),
        why: why.into(),
    })
}

/// The caller's home keeps its path inside, so that programs find what a mount puts there. Everyone else has `/home/user`.
pub(super) fn home_inside(request: &Request) -> InRoot {
    let fallback = || InRoot::new("/home/user").unwrap_or_else(|_| InRoot::root());
    match request.home.as_deref().map(InRoot::new) {
        Some(Ok(home)) if home != InRoot::root() => home,
        _ => fallback(),
    }
}

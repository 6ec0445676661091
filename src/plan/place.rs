//! Where a step makes or mounts something, and what is there then.

use super::step::Step;
use crate::model::InRoot;

/// What a step puts at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// A directory, link or file of ours.
    Made,
    /// A file system of ours.
    Own,
    /// A tree of the host.
    Host,
    /// A device node of the host.
    Device,
    /// Over what another step has mounted.
    Over,
}

impl Holds {
    /// Whether a file system begins there.
    pub(super) fn mounts(self) -> bool {
        matches!(self, Self::Own | Self::Host | Self::Device)
    }
}

impl Step {
    /// Where a file system begins, but for the root's own.
    #[must_use]
    pub fn mounts_on(&self) -> Option<&InRoot> {
        holds(self).filter(|(_, what)| what.mounts()).map(|(at, _)| at)
    }
}

/// Where a step makes or mounts something, and what; `None` for the root and for steps that do neither.
pub(super) fn holds(step: &Step) -> Option<(&InRoot, Holds)> {
    Some(match step {
        Step::Directory(at, _) | Step::Link(at, _) | Step::File(at, _) | Step::Point(at) => (at, Holds::Made),
        Step::Tmpfs(at, ..)
        | Step::Devpts(at)
        | Step::Mqueue(at)
        | Step::Proc(at, ..)
        | Step::WorkspaceOverlay(_, at, ..) => (at, Holds::Own),
        Step::Device { at, .. } => (at, Holds::Device),
        Step::Bind(_, at, attributes) if attributes.devices => (at, Holds::Device),
        Step::Bind(_, at, _) => (at, Holds::Host),
        Step::Clear(at) => (at, Holds::Made),
        Step::Mask(at) | Step::ReadOnly(at) => (at, Holds::Over),
        _ => return None,
    })
}

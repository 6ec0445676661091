//! What the root is made of, mount by mount, parents before children.

mod image;
mod layers;
mod requested;
mod root;
mod special;

pub use layers::{Room, room};

use super::Facts;
use super::Kind;
use super::identity::Identity;
use super::kernel_files::Visible;
use super::loss::Refusal;
use super::place::holds;
use super::step::{Planned, ProcKind, Step};
use crate::model::{Host, InRoot};
use crate::policy::{Policy, Root};
use crate::profile::schema::ProcMode;
use std::collections::BTreeSet;

/// Collects steps and remembers which places are ours to make directories in.
pub(super) struct Builder<'a> {
    pub(super) policy: &'a Policy,
    host: &'a Host,
    pub(super) facts: &'a Facts,
    pub(super) steps: Vec<Planned>,
    /// Mount points, with whether what is mounted there is our own (a tmpfs or an overlay).
    pub(super) mounts: Vec<(InRoot, bool)>,
    made: BTreeSet<InRoot>,
}

/// An absolute path inside that is written in this file.
fn at(path: &str) -> InRoot {
    InRoot::new(path).unwrap_or_else(|_| InRoot::root())
}

impl<'a> Builder<'a> {
    pub(super) fn new(policy: &'a Policy, host: &'a Host, facts: &'a Facts) -> Self {
        Self {
            policy,
            host,
            facts,
            steps: Vec::new(),
            mounts: Vec::new(),
            made: BTreeSet::from([InRoot::root()]),
        }
    }

    /// All steps from the root's first mount to the pivot. `proc`: which `/proc` the host can give.
    pub(super) fn build(
        mut self,
        identity: &Identity,
        proc: Option<ProcKind>,
        visible: &Visible<'_>,
    ) -> Result<Vec<Planned>, Refusal> {
        self.root()?;
        if self.policy.root == Root::Host {
            self.host_tree();
            self.etc(identity);
        }
        if matches!(self.policy.root, Root::Image(_)) {
            self.image_etc(identity);
        }
        self.proc(proc, visible);
        self.sys(visible);
        self.dev()?;
        self.tmp();
        self.home();
        self.requested()?;
        self.devices()?;
        self.image_start();
        self.masks(proc);
        self.mask_sockets();
        if self.seals() {
            self.add(Step::SealRoot, "nothing in the root itself may be written");
        }
        self.add(Step::PivotRoot, "the host's tree is out of reach from here on");
        Ok(self.steps)
    }

    pub(super) fn add(&mut self, step: Step, reason: impl Into<String>) {
        self.steps.push(Planned {
            step,
            reason: reason.into(),
        });
    }

    /// Whether a path lies in a mount that shows the host, where no mount point may be made.
    fn covered(&self, path: &InRoot) -> bool {
        let Some(parent) = path.parent() else { return false };
        !self
            .mounts
            .iter()
            .rfind(|(m, _)| parent.is_beneath(m))
            .is_none_or(|(_, own)| *own)
    }

    /// What was asked for replaces what the root would have had below that place.
    fn clear_below(&mut self, target: &InRoot) {
        let below = |at: &InRoot| at != target && at.is_beneath(target);
        self.steps
            .retain(|p| !holds(&p.step).is_some_and(|(at, _)| below(at)));
        self.mounts.retain(|(at, _)| !below(at));
        self.made.retain(|at| !below(at));
    }

    /// Makes what a mount needs to be put on, where that place is our own. In a place that shows the host nothing is ever made.
    fn point(&mut self, target: &InRoot, kind: Kind) {
        if self.covered(target) {
            return;
        }
        if let Some(parent) = target.parent() {
            self.directory(&parent, 0o755);
        }
        match kind {
            Kind::Directory => self.directory(target, 0o755),
            Kind::File | Kind::Device => {
                if self.made.insert(target.clone()) {
                    self.add(Step::Point(target.clone()), "to mount on");
                }
            }
        }
    }

    fn directory(&mut self, target: &InRoot, mode: u32) {
        if self.covered(target) || self.made.contains(target) {
            return;
        }
        if let Some(parent) = target.parent() {
            self.directory(&parent, 0o755);
        }
        // A mount hides what was made below it before.
        if self.mounts.iter().any(|(m, _)| m == target) {
            return;
        }
        self.made.insert(target.clone());
        self.add(Step::Directory(target.clone(), mode), "to mount on");
    }
}

/// The directories of a directory root, or of an image, that something is mounted on, or made in, in every run.
#[must_use]
pub fn places(policy: &Policy) -> Vec<InRoot> {
    let mut fixed = vec!["/dev", "/tmp"];
    if policy.proc.value != ProcMode::None {
        fixed.push("/proc");
    }
    let mut all = Vec::new();
    match policy.root {
        Root::Host | Root::Scratch => return all,
        // In an overlay every other place can be made.
        Root::Image(_) => fixed.push("/etc"),
        Root::Directory(_) => {
            let binds = policy.binds.iter().filter(|b| !b.value.optional);
            all.extend(binds.map(|b| b.value.target.clone()));
            all.extend(policy.scratch.iter().map(|s| s.value.target.clone()));
        }
    }
    all.extend(fixed.into_iter().map(at));
    all
}

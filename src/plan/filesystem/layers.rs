//! What shows the layers of an image as one root: the kernel's overlay, fuse-overlayfs(1), or a copy; and where writes go.

use super::Builder;
use crate::model::host::Fact;
use crate::model::{Host, HostPath};
use crate::plan::loss::Refusal;
use crate::plan::step::{LayerOption, Step, Upper};
use crate::policy::{Image, Policy, Root};
use crate::profile::schema::{RootMode, UpperPlace, WithoutOverlay};

/// What a run needs on the disk, to be there before its plan is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Nothing.
    None,
    /// A directory for an upper layer.
    Upper,
    /// A copy of the image.
    Copy,
}

/// What the root needs on the disk.
#[must_use]
pub fn room(policy: &Policy, host: &Host) -> Room {
    let upper = if on_disk(policy) { Room::Upper } else { Room::None };
    match &policy.root {
        Root::Host | Root::Scratch => Room::None,
        Root::Directory(_) if host.overlay.works() => upper,
        Root::Directory(_) => Room::None,
        Root::Image(_) if overlay(policy, host).is_ok() || fuse(policy, host).is_ok() => upper,
        Root::Image(_) => Room::Copy,
    }
}

/// Into a root that is read-only nothing is written but our own mount points.
fn on_disk(policy: &Policy) -> bool {
    policy.upper.value == UpperPlace::Disk && policy.root_mode.value == RootMode::Ephemeral
}

/// Whether the kernel's overlay can show an image's layers, with its upper layer where it is asked for; or why not.
fn overlay(policy: &Policy, host: &Host) -> Result<(), String> {
    match (&host.image_overlay, &host.disk_upper) {
        (Fact::Missing(why), _) => Err(why.clone()),
        (Fact::Works, Fact::Missing(why)) if on_disk(policy) => {
            Err(format!("for an upper layer on this disk: {why}"))
        }
        _ => Ok(()),
    }
}

/// The program that stands in for overlay; or why it does not.
fn fuse<'a>(policy: &Policy, host: &'a Host) -> Result<&'a HostPath, String> {
    let wanted = &policy.without_overlay;
    if wanted.value == WithoutOverlay::Copy {
        return Err(format!("filesystem.without-overlay = copy, {}", wanted.origin));
    }
    // A domain of ABI 1 refuses every rename into another directory, and each file that fuse-overlayfs makes is renamed into its place.
    if host.landlock_abi == 1 {
        return Err("fuse-overlayfs needs Linux 5.19, where Landlock allows renames".into());
    }
    if let Fact::Missing(why) = &host.fuse {
        return Err(format!("fuse-overlayfs cannot be used: {why}"));
    }
    host.fuse_overlayfs
        .as_ref()
        .ok_or_else(|| "fuse-overlayfs is not installed".to_owned())
}

impl Builder<'_> {
    /// Where what is written goes.
    pub(super) fn upper(&self) -> Result<Upper, Refusal> {
        if !on_disk(self.policy) {
            let size = self.policy.upper_size.as_ref().unwrap_or(&self.policy.tmp);
            return Ok(Upper::Memory(size.value));
        }
        let refuse = |why: String| Refusal::Value {
            what: "filesystem.upper = disk".into(),
            origin: self.policy.upper.origin.clone(),
            why,
        };
        let place = self
            .facts
            .upper
            .clone()
            .ok_or_else(|| refuse("there is no image store to put it in".into()))?;
        match (&self.policy.root, &self.host.disk_upper) {
            (Root::Directory(_), Fact::Missing(why)) => Err(refuse(format!(
                "overlay takes no upper layer in {place} ({why}): use memory, or set XDG_DATA_HOME to a directory on a local file system"
            ))),
            _ => Ok(Upper::Disk(place)),
        }
    }

    /// The first of the three that can be had.
    pub(super) fn image_root(&mut self, image: &Image) -> Result<(), Refusal> {
        let name = format!("image {}", image.name.escape_debug());
        let layers = image.layers.clone();
        let refused = match overlay(self.policy, self.host) {
            Ok(()) => {
                let by = if self.host.kernel.at_least(6, 5) {
                    LayerOption::Each
                } else {
                    LayerOption::Joined
                };
                let upper = self.upper()?;
                self.add(Step::RootOverlay(layers, upper, by), name);
                return Ok(());
            }
            Err(why) => why,
        };
        match (fuse(self.policy, self.host), &self.facts.copy) {
            (Ok(program), _) => {
                let step = Step::RootFuse {
                    layers,
                    upper: self.upper()?,
                    program: program.clone(),
                };
                self.add(step, format!("{name}; overlay is refused here ({refused})"));
                Ok(())
            }
            (Err(no), Some(copy)) => {
                let reason = format!(
                    "{name}; overlay is refused here ({refused}), so a copy, removed at the end; not fuse-overlayfs: {no}"
                );
                self.add(Step::RootCopy(copy.clone()), reason);
                Ok(())
            }
            (Err(_), None) => Err(Refusal::Value {
                what: name,
                origin: self.policy.root_mode.origin.clone(),
                why: format!("its layers need overlay, which this host refuses ({refused})"),
            }),
        }
    }
}

//! What a run has on disk of its own, until its end: the upper layer of its root, or a copy of its image.

use super::Asked;
use super::copy::{self, Copied};
use crate::cli::out;
use crate::cli::report::Report;
use crate::cli::workers::Owners;
use crate::host;
use crate::model::HostPath;
use crate::plan::{self, Plan, Room, Step};
use crate::policy::Root;
use crate::profile::schema::{MapKind, UpperPlace, WithoutOverlay};
use crate::sandbox::Streams;
use crate::sys::signal::{self, SignalSet};

/// What is there, or would be.
#[derive(Debug)]
pub(in crate::cli) struct Space {
    what: Room,
    /// The directory that holds it, or it itself, once it is there.
    place: Option<HostPath>,
    held: Option<Copied>,
}

impl Default for Space {
    fn default() -> Self {
        Self {
            what: Room::None,
            place: None,
            held: None,
        }
    }
}

impl Space {
    /// Where it is, if it is this.
    pub(in crate::cli) fn of(&self, what: Room) -> Option<HostPath> {
        self.place.clone().filter(|_| self.what == what)
    }
}

/// A copy takes its time, and nobody has asked for it.
fn say_why(plan: &Plan) {
    let copy = plan.steps.iter().find(|p| matches!(p.step, Step::RootCopy(_)));
    if let Some(planned) = copy {
        let why = out::escaped(&planned.reason);
        out::words(format_args!(
            "sbx: {why}; it takes its time and its space, and `sbx doctor overlay` says what mends it"
        ));
    }
}

impl Asked {
    /// Whose the files are.
    fn owners(&mut self) -> Result<Owners, Report> {
        if let Some(image) = &self.image {
            return Ok(image.owners.clone());
        }
        // As the plan decides it for a directory.
        let map = match self.policy.map.value {
            MapKind::Auto if !self.host.caller.writes_maps => MapKind::Caller,
            map => map,
        };
        Owners::of(map, self.policy.userns.as_ref(), &mut self.host)
    }

    /// Decides what the root needs on the disk, and where that would be. `ask`: nothing is mounted later that would tell whether the
    /// device for fuse can be had.
    ///
    /// # Errors
    /// Without a store.
    pub(in crate::cli) fn choose_space(&mut self, ask: bool) -> Result<(), Report> {
        let disk = self.policy.upper.value == UpperPlace::Disk;
        if disk && self.host.disk_upper.works() && plan::room(&self.policy, &self.host) == Room::Upper {
            let place = copy::place(&self.owners()?)?;
            self.host.disk_upper = host::takes_upper_layers(place.as_path());
        }
        let refused = !(self.host.image_overlay.works() && self.host.disk_upper.works());
        let fuse = self.policy.without_overlay.value == WithoutOverlay::Fuse;
        if refused && fuse && matches!(self.policy.root, Root::Image(_)) && self.host.fuse_overlayfs.is_none()
        {
            self.host.fuse_overlayfs = host::fuse_overlayfs();
            if ask {
                self.host.fuse = host::fuse();
            }
        }
        self.space.what = plan::room(&self.policy, &self.host);
        self.space.place = match self.space.what {
            Room::None => None,
            Room::Upper | Room::Copy => Some(copy::place(&self.owners()?)?),
        };
        Ok(())
    }

    /// Makes what the root needs on the disk, once it is known that the rest of the plan can be made.
    ///
    /// # Errors
    /// As [`super::plan`], and where it cannot be made.
    pub(in crate::cli) fn make_space(&mut self, own: Streams, quiet: bool) -> Result<(), Report> {
        if self.space.held.is_some() && self.space.what == Room::Copy {
            return Ok(());
        }
        // Overlay takes an upper layer once.
        self.clear_space();
        self.choose_space(false)?;
        let made = match self.space.what {
            Room::None => return Ok(()),
            Room::Upper => {
                super::plan(self, own)?;
                copy::upper(&self.owners()?)?
            }
            Room::Copy => {
                let plan = super::plan(self, own)?;
                if !quiet {
                    say_why(&plan);
                }
                self.copy_image(quiet)?
            }
        };
        self.space.place = Some(made.path.clone());
        self.space.held = Some(made);
        Ok(())
    }

    fn copy_image(&mut self, quiet: bool) -> Result<Copied, Report> {
        let (Some(held), Root::Image(image)) = (&self.image, &self.policy.root) else {
            return Err(Report::sbx("there is no image to copy"));
        };
        // A copy takes long enough to be interrupted, and the start that failed has blocked signals. ^C goes to the process that copies
        // as well, which ends, so that what it has made can be removed.
        let _ = signal::set_mask(&SignalSet::of(&[libc::SIGINT]));
        copy::make(&held.manifest, &image.layers, &held.owners, quiet)
    }

    /// Whether there is something to remove at the end.
    #[must_use]
    pub(in crate::cli) fn leaves_something(&self) -> bool {
        self.space.held.is_some()
    }

    /// Removes what was made.
    pub(in crate::cli) fn clear_space(&mut self) {
        if let Some(made) = self.space.held.take() {
            made.remove();
        }
    }
}

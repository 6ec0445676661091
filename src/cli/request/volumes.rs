//! Named volumes of a run: taken into use before the plan is made, and filled before their first use.

use super::Asked;
use crate::cli::mount_args::Named;
use crate::cli::report::Report;
use crate::cli::store::refused;
use crate::cli::workers::{Owners, start};
use crate::image::job::{Fill, Job};
use crate::image::volume::{self, Claim, Filling, Held, Name, Volumes};
use crate::model::{Host, HostPath, IdMap, InRoot, Set};
use crate::plan::{Plan, Step};
use crate::policy::Volume;
use crate::profile::schema::{MapKind, MountMode};
use std::path::{Path, PathBuf};

/// A volume that a run asks for.
#[derive(Debug, Clone)]
pub struct Asking {
    name: Name,
    /// Where its files are, or will be.
    pub data: HostPath,
    /// Where it is shown first; that is what it is filled with.
    target: InRoot,
}

/// The volumes of the caller.
///
/// # Errors
/// There is no place for them.
pub(in crate::cli) fn open() -> Result<Volumes, Report> {
    Volumes::open(&path()?).map_err(refused)
}

fn path() -> Result<PathBuf, Report> {
    volume::default_path(&|name| std::env::var_os(name)).map_err(Report::sbx)
}

/// Where the volumes of some flags are. Nothing is made.
///
/// # Errors
/// There is no place for them.
pub(super) fn named(flags: &[Set<Named>]) -> Result<(Vec<Asking>, Vec<Set<Volume>>), Report> {
    if flags.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let volumes = Volumes::presumed(&path()?);
    let (mut asking, mut shown) = (Vec::<Asking>::new(), Vec::new());
    for flag in flags {
        let Named { name, target, mode } = &flag.value;
        let data = HostPath::new(volumes.data(name)).map_err(Report::sbx)?;
        shown.push(Set::new(
            Volume {
                source: data.clone(),
                target: target.clone(),
                writable: *mode == MountMode::Writable,
            },
            flag.origin.clone(),
        ));
        if asking.iter().all(|other| other.name != *name) {
            asking.push(Asking {
                name: name.clone(),
                data,
                target: target.clone(),
            });
        }
    }
    // All runs take the locks of several volumes in one order, so that none waits for another in a ring.
    asking.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((asking, shown))
}

/// Volumes in use. Nobody removes one as long as this is there.
#[derive(Debug, Default)]
pub struct Claimed {
    held: Vec<Held>,
    fresh: Vec<(Asking, Filling)>,
}

impl Claimed {
    /// Takes volumes into use; those that are not there are made.
    ///
    /// # Errors
    /// As mkdir(2) and flock(2).
    pub fn take(asking: &[Asking]) -> Result<Self, Report> {
        let mut all = Self::default();
        if asking.is_empty() {
            return Ok(all);
        }
        let volumes = open()?;
        for one in asking {
            match volumes.claim(&one.name).map_err(Report::sbx)? {
                Claim::Ready(held) => all.held.push(held),
                Claim::Fresh(filling) => all.fresh.push((one.clone(), filling)),
            }
        }
        Ok(all)
    }

    /// Fills those that nobody has used with what the image has at their place; without an image, or where it has nothing, they are
    /// empty and belong to the command's user.
    ///
    /// # Errors
    /// When one cannot be filled. It is then as if it had never been used.
    pub fn fill(&mut self, asked: &mut Asked, plan: &Plan) -> Result<(), Report> {
        for (asking, filling) in std::mem::take(&mut self.fresh) {
            fill(&asking, &filling, asked, plan)
                .map_err(|report| report.about(format_args!("volume `{}`", asking.name)))?;
            self.held.push(filling.commit().map_err(Report::sbx)?);
        }
        Ok(())
    }
}

/// What a plan says about ids.
struct Ids<'a> {
    uids: &'a IdMap,
    gids: &'a IdMap,
    command: (u32, u32),
}

impl Ids<'_> {
    fn of(plan: &Plan) -> Option<Ids<'_>> {
        let steps = || plan.steps.iter().map(|planned| &planned.step);
        let (uids, gids) = steps().find_map(|step| match step {
            Step::MapIds { uids, gids, .. } => Some((uids, gids)),
            _ => None,
        })?;
        let command = steps().find_map(|step| match step {
            Step::SetIds { uid, gid } => Some((*uid, *gid)),
            _ => None,
        })?;
        Some(Ids { uids, gids, command })
    }

    fn to_host(&self, (uid, gid): (u32, u32)) -> Option<(u32, u32)> {
        self.uids.to_host(uid).zip(self.gids.to_host(gid))
    }
}

fn fill(asking: &Asking, filling: &Filling, asked: &mut Asked, plan: &Plan) -> Result<(), Report> {
    let Some(ids) = Ids::of(plan) else { return Ok(()) };
    let as_root = asked.host.caller.writes_maps;
    let own = (asked.host.caller.uid, asked.host.caller.gid);
    let image = asked.image.as_ref();
    if let Some((image, owners)) = image.map(|held| (held.manifest, held.owners.clone())) {
        begin(filling, &mut asked.host)?;
        if let (true, Some(first)) = (as_root, ids.to_host((0, 0))) {
            give(&filling.path(), first)?;
        }
        let job = Job::Fill(Fill {
            from: asking.target.as_path().to_str().map(str::to_owned),
            owner: ids.command,
        });
        return start::on_volume(&job, &filling.path(), Some(&image), &owners);
    }
    let owner = ids.to_host(ids.command);
    let Some(owner) = owner.filter(|owner| *owner != own) else {
        return Ok(());
    };
    begin(filling, &mut asked.host)?;
    if as_root {
        return give(&filling.path(), owner);
    }
    let owners = Owners::of(MapKind::Range, asked.policy.userns.as_ref(), &mut asked.host)?;
    let job = Job::Fill(Fill {
        from: None,
        owner: ids.command,
    });
    start::on_volume(&job, &filling.path(), None, &owners)
}

/// What somebody has left who was killed belongs to ids that only the worker is mapped to.
fn begin(filling: &Filling, host: &mut Host) -> Result<(), Report> {
    if filling.begin().map_err(Report::sbx)? {
        return Ok(());
    }
    let owners = Owners::of(MapKind::Auto, None, host)?;
    start::on_volume(&Job::Empty, &filling.path(), None, &owners)?;
    match filling.begin().map_err(Report::sbx)? {
        true => Ok(()),
        false => Err(
            Report::sbx("files of an earlier use belong to ids that are not yours any more")
                .hint("`sbx volume rm` it, and begin again"),
        ),
    }
}

fn give(place: &Path, (uid, gid): (u32, u32)) -> Result<(), Report> {
    let given = std::os::unix::fs::lchown(place, Some(uid), Some(gid));
    given.map_err(|e| Report::sbx(format!("cannot change the owner of its directory: {e}")))
}

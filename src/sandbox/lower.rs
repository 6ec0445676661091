//! What lies below an overlay, made ready; and the ids that decide whose a new file system is.

use super::operation::{Lower, Lowers};
use super::prepare::{PrepareError, path, taken, text};
use crate::model::{IdMap, Layers};
use crate::plan::{LayerOption, MapWriter, Plan, Step};
use crate::sys::{Errno, fs};
use nix::sys::stat::fstat;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd};

/// Ids that several steps need.
pub(super) struct Ids {
    /// The command's uid and gid, when they are not those of the process that makes the mounts: a tmpfs is given to them.
    pub(super) give_to: Option<(u32, u32)>,
    /// Whether helpers write the maps, which takes as long as making a sandbox: the child does meanwhile what needs no map.
    pub(super) helped: bool,
    uids: IdMap,
    gids: IdMap,
}

impl Ids {
    pub(super) fn of(plan: &Plan) -> Self {
        let steps = || plan.steps.iter().map(|p| &p.step);
        let (uids, gids, helped) = steps()
            .find_map(|s| match s {
                Step::MapIds { uids, gids, by } => {
                    let helped = matches!(by, MapWriter::Helpers { .. });
                    Some((uids.clone(), gids.clone(), helped))
                }
                _ => None,
            })
            .unwrap_or_default();
        let own = match (uids.0.as_slice(), gids.0.as_slice()) {
            ([user], [group, ..]) if uids.is_single() => Some((user.inside, group.inside)),
            _ => None,
        };
        let command = steps().find_map(|s| match s {
            Step::SetIds { uid, gid } => Some((*uid, *gid)),
            _ => None,
        });
        Self {
            give_to: command.filter(|ids| own != Some(*ids)),
            helped,
            uids,
            gids,
        }
    }

    /// Who mounts, inside: the one id of a map that has one, else root of the map.
    pub(super) fn mounter(&self) -> Result<(CString, CString), PrepareError> {
        let first = |map: &IdMap| match map.0.as_slice() {
            [only, ..] if self.uids.is_single() => only.inside,
            _ => 0,
        };
        let digits = |id: u32| text(id.to_string(), "an id");
        Ok((digits(first(&self.uids))?, digits(first(&self.gids))?))
    }

    /// `volatile`: the upper layer is on a disk, and vanishes at the end.
    pub(super) fn lower(
        &self,
        layers: &Layers,
        by: LayerOption,
        volatile: bool,
        slot: &mut usize,
    ) -> Result<Lower, PrepareError> {
        let failed = |errno: Errno| PrepareError::Lower(layers.within.clone(), errno.desc().to_owned());
        let top = layers.paths().next().unwrap_or_default();
        let top = path(&top)?;
        let top = fs::open_without_links(&top, libc::O_PATH | libc::O_DIRECTORY).map_err(failed)?;
        self.lower_of(top.as_fd(), lowers(&layers.names, by, volatile)?, volatile, slot)
            .map_err(failed)
    }

    /// The same for a directory that is open.
    pub(super) fn lower_of(
        &self,
        top: BorrowedFd<'_>,
        layers: Lowers,
        volatile: bool,
        slot: &mut usize,
    ) -> Result<Lower, Errno> {
        let meta = fstat(top)?;
        Ok(Lower {
            layers,
            volatile,
            slot: taken(slot),
            mode: meta.st_mode & 0o1777,
            owner: self
                .uids
                .to_inside(meta.st_uid)
                .zip(self.gids.to_inside(meta.st_gid)),
        })
    }
}

/// Below `lower`, where what holds the layers is mounted.
fn lowers(names: &[String], by: LayerOption, volatile: bool) -> Result<Lowers, PrepareError> {
    if names.is_empty() {
        return Ok(Lowers::Alone);
    }
    if by == LayerOption::Each || names.len() == 1 {
        let each = names
            .iter()
            .map(|name| text(format!("lower/{name}"), "the name of a layer"));
        return each.collect::<Result<_, _>>().map(Lowers::Each);
    }
    let links = names.iter().enumerate().map(|(number, name)| {
        let target = text(format!("../lower/{name}"), "the name of a layer")?;
        Ok((target, text(number.to_string(), "a number")?))
    });
    let numbers: Vec<String> = (0..names.len()).map(|number| number.to_string()).collect();
    let options = format!(
        "userxattr{},upperdir=../upper,workdir=../work,lowerdir={}",
        if volatile { ",volatile" } else { "" },
        numbers.join(":")
    );
    Ok(Lowers::Joined {
        links: links.collect::<Result<_, PrepareError>>()?,
        options: text(options, "the options of an overlay")?,
    })
}

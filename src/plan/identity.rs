//! Which ids the sandbox has, and who writes the maps.

mod who;

use self::who::wanted;
use super::Facts;
use super::loss::Refusal;
use super::step::MapWriter;
use super::userns;
use crate::model::{Host, IdMap, IdRange, Origin};
use crate::policy::{Policy, Root, Userns};
use crate::profile::schema::MapKind;

/// The range for sbx run as root when `/etc/subuid` names none for it: far from people, services and other container tools
/// (systemd's UIDS-GIDS document leaves everything from 0x70000000 unused).
const ROOT_RANGE: IdRange = IdRange {
    inside: 0,
    host: 0x7000_0000,
    count: 65536,
};

/// The uid inside of a command that root runs without saying as whom: not 0, which images and programs treat as mighty.
const UID_FOR_ROOT: u32 = 1000;

/// What the plan does about ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// User ids.
    pub uids: IdMap,
    /// Group ids.
    pub gids: IdMap,
    /// Who writes them.
    pub by: MapWriter,
    /// uid of the command inside.
    pub uid: u32,
    /// gid of the command inside.
    pub gid: u32,
    /// The caller's own id is in no map, so mounts are made as uid 0 inside.
    pub act_as_root: bool,
    /// setgroups(2) can be called.
    pub can_drop_groups: bool,
}

/// Decides ids for a policy on a host. `drop_groups`: whether the caller's groups should go.
pub(super) fn decide(
    policy: &Policy,
    host: &Host,
    facts: &Facts,
    drop_groups: bool,
) -> Result<Identity, Refusal> {
    let chosen = match &policy.userns {
        Some(userns) => {
            let maps = userns::maps(&userns.value, host);
            Some(maps.map_err(|why| userns::refusal(policy, why))?)
        }
        None => None,
    };
    let (uid, gid) = wanted(policy, host, facts, chosen.as_ref())?;
    if let Some(maps) = chosen {
        return userns::identity(maps, host, policy, (uid, gid), drop_groups);
    }
    match policy.map.value {
        MapKind::HostRoot if host.caller.writes_maps => {
            mapped(host, policy, (whole(), whole()), (uid, gid), false)
        }
        MapKind::HostRoot => refuse(policy, "only root can map host uid 0; leave identity.map at auto"),
        _ if host.caller.writes_maps => as_root(host, policy, (uid, gid)),
        MapKind::Range => range(host, policy, (uid, gid)),
        MapKind::Auto if matches!(policy.root, Root::Image(_)) && range_maps(host).is_some() => {
            range(host, policy, (uid, gid))
        }
        MapKind::Auto | MapKind::Caller => Ok(caller(host, uid, gid, drop_groups)),
    }
}

fn refuse<T>(policy: &Policy, why: &str) -> Result<T, Refusal> {
    Err(Refusal::Value {
        what: "identity.map".into(),
        origin: policy.map.origin.clone(),
        why: why.into(),
    })
}

pub(super) fn caller(host: &Host, uid: u32, gid: u32, drop_groups: bool) -> Identity {
    let uids = IdMap::single(uid, host.caller.uid);
    let mut gids = IdMap::single(gid, host.caller.gid);
    let helper = host
        .id_helpers
        .newgidmap
        .ready()
        .filter(|_| drop_groups && !host.caller.groups.is_empty());
    let mut by = MapWriter::Child;
    let mut can_drop_groups = host.caller.groups.is_empty();
    if let (Some(helper), Some(sub)) = (helper, host.id_helpers.subgid.first()) {
        // newgidmap leaves setgroups(2) allowed only for a map that uses the caller's sub-gids: one of them is enough.
        let spare = if gid == 65533 { 65532 } else { 65533 };
        gids.0.push(IdRange {
            inside: spare,
            host: sub.host,
            count: 1,
        });
        by = MapWriter::Helpers {
            newuidmap: None,
            newgidmap: Some(helper.clone()),
        };
        can_drop_groups = true;
    }
    Identity {
        uids,
        gids,
        by,
        uid,
        gid,
        act_as_root: false,
        can_drop_groups,
    }
}

/// Who the command is where a map has more than the caller: root writes it by itself, others have the helpers write it.
pub(super) fn mapped(
    host: &Host,
    policy: &Policy,
    (uids, gids): (IdMap, IdMap),
    (uid, gid): (u32, u32),
    act_as_root: bool,
) -> Result<Identity, Refusal> {
    check_mapped(policy, &uids, &gids, uid, gid)?;
    let helpers = &host.id_helpers;
    let by = match host.caller.writes_maps {
        true => MapWriter::Supervisor,
        false => MapWriter::Helpers {
            newuidmap: helpers.newuidmap.ready().cloned(),
            newgidmap: helpers.newgidmap.ready().cloned(),
        },
    };
    Ok(Identity {
        uids,
        gids,
        by,
        uid,
        gid,
        act_as_root,
        can_drop_groups: true,
    })
}

fn range(host: &Host, policy: &Policy, ids: (u32, u32)) -> Result<Identity, Refusal> {
    if let Some(lack) = host.id_helpers.lack() {
        return refuse(
            policy,
            &format!("{lack}: see `sbx doctor id-maps`, or use caller"),
        );
    }
    let Some(maps) = range_maps(host) else {
        return refuse(
            policy,
            "no sub-ids that can be used: `sbx doctor id-maps` shows how to get them; or use caller",
        );
    };
    mapped(host, policy, maps, ids, false)
}

/// The caller as 0 and the sub-ids from 1 on; `None` where a helper or a range is lacking.
fn range_maps(host: &Host) -> Option<(IdMap, IdMap)> {
    let helpers = &host.id_helpers;
    helpers.newuidmap.ready().and(helpers.newgidmap.ready())?;
    if helpers.subuid.is_empty() || helpers.subgid.is_empty() {
        return None;
    }
    let map = userns::whole_range;
    Some((
        map(host.caller.uid, &helpers.subuid),
        map(host.caller.gid, &helpers.subgid),
    ))
}

/// The maps that the files of an image are unpacked for; `None` stands for one id, the caller's. `host` needs its id helpers looked up.
///
/// # Errors
/// For a chosen map that cannot be had here.
pub fn image_maps(
    map: MapKind,
    userns: Option<&Userns>,
    host: &Host,
) -> Result<Option<(IdMap, IdMap)>, String> {
    if let Some(userns) = userns {
        let maps = userns::maps(userns, host)?;
        let own = !host.caller.writes_maps && userns::own(&maps, host);
        return Ok(Some(maps).filter(|_| !own));
    }
    Ok(match map {
        MapKind::HostRoot if host.caller.writes_maps => Some((whole(), whole())),
        _ if host.caller.writes_maps => outer_maps(host, UID_FOR_ROOT, UID_FOR_ROOT),
        MapKind::Auto | MapKind::Range => range_maps(host),
        MapKind::Caller | MapKind::HostRoot => None,
    })
}

fn outer_maps(host: &Host, uid: u32, gid: u32) -> Option<(IdMap, IdMap)> {
    let map = |own: &[IdRange], outer: &[IdRange], wanted: u32| {
        outer_range(own, outer, wanted).map(|range| IdMap(vec![range]))
    };
    let (caller, helpers) = (&host.caller, &host.id_helpers);
    let uids = map(&helpers.subuid, &caller.outer_uids, uid)?;
    Some((uids, map(&helpers.subgid, &caller.outer_gids, gid)?))
}

/// Every id of the host, as far as 16 bits go.
fn whole() -> IdMap {
    IdMap(vec![IdRange {
        inside: 0,
        host: 0,
        count: 65536,
    }])
}

fn as_root(host: &Host, policy: &Policy, (uid, gid): (u32, u32)) -> Result<Identity, Refusal> {
    let Some(maps) = outer_maps(host, uid, gid) else {
        return refuse(
            policy,
            "the outer container has too few ids to run as one that is not its root: start it with more (podman: --userns=auto:size=65536), \
             or run sbx there as an ordinary user",
        );
    };
    mapped(host, policy, maps, (uid, gid), true)
}

/// 65536 host ids for a sandbox that root starts: its own sub-ids, else [`ROOT_RANGE`], else, where the ids that exist are few, the
/// upper half of the largest range of them, which is far from the services and people of the outer container. Never id 0.
fn outer_range(own: &[IdRange], outer: &[IdRange], wanted: u32) -> Option<IdRange> {
    let at = |host, count| IdRange {
        inside: 0,
        host,
        count,
    };
    let mut usual = own
        .iter()
        .filter(|r| r.count >= ROOT_RANGE.count)
        .map(|r| at(r.host, ROOT_RANGE.count))
        .chain([ROOT_RANGE]);
    if let Some(range) = usual.find(|r| exist(outer, r)) {
        return Some(range);
    }
    let largest = outer.iter().max_by_key(|r| r.count)?;
    let end = largest.host.checked_add(largest.count)?;
    let start = largest.host.max(1);
    let there = end.checked_sub(start)?;
    let half = (there / 2).min(ROOT_RANGE.count);
    let count = if half > wanted {
        half
    } else {
        there.min(ROOT_RANGE.count)
    };
    (count > wanted).then(|| at(end - count, count))
}

/// Whether all of a range exists where sbx runs; without a list, everything does.
pub(super) fn exist(outer: &[IdRange], range: &IdRange) -> bool {
    outer.is_empty()
        || outer.iter().any(|o| {
            let offset = range.host.checked_sub(o.host);
            offset.is_some_and(|n| o.count.checked_sub(n).is_some_and(|left| left >= range.count))
        })
}

pub(super) fn check_mapped(
    policy: &Policy,
    uids: &IdMap,
    gids: &IdMap,
    uid: u32,
    gid: u32,
) -> Result<(), Refusal> {
    if uids.to_host(uid).is_some() && gids.to_host(gid).is_some() {
        return Ok(());
    }
    let origin: Origin = policy.user.origin.clone();
    Err(Refusal::Value {
        what: format!("user {uid}:{gid}"),
        origin,
        why: format!("the map holds only {uids}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(host: u32, count: u32) -> IdRange {
        IdRange {
            inside: 0,
            host,
            count,
        }
    }

    #[test]
    fn root_takes_ids_that_exist_and_never_its_own() {
        let far = ROOT_RANGE;
        for (own, outer, wanted, expected) in [
            (vec![], vec![], 1000, Some(far)),
            (vec![ids(100_000, 65536)], vec![], 1000, Some(ids(100_000, 65536))),
            (vec![ids(100_000, 1000)], vec![], 1000, Some(far)),
            (
                vec![ids(200_000, 1 << 20)],
                vec![],
                1000,
                Some(ids(200_000, 65536)),
            ),
            // Rootless podman: 0 is the caller, 1 and up are its sub-ids.
            (
                vec![],
                vec![ids(0, 1), ids(1, 65536)],
                1000,
                Some(ids(32769, 32768)),
            ),
            // Docker with userns-remap.
            (vec![], vec![ids(0, 65536)], 1000, Some(ids(32769, 32767))),
            // Sub-ids that a line promises, but that do not exist here.
            (
                vec![ids(100_000, 65536)],
                vec![ids(0, 65536)],
                1000,
                Some(ids(32769, 32767)),
            ),
            (
                vec![ids(100_000, 65536)],
                vec![ids(0, 1 << 20)],
                1000,
                Some(ids(100_000, 65536)),
            ),
            // An id that lies beyond the half, and one that lies beyond everything.
            (vec![], vec![ids(0, 65536)], 40000, Some(ids(1, 65535))),
            (vec![], vec![ids(0, 65536)], 65535, None),
            (vec![], vec![ids(0, 1500)], 1000, Some(ids(1, 1499))),
            (vec![], vec![ids(0, 1)], 0, None),
            (vec![], vec![ids(0, 2)], 0, Some(ids(1, 1))),
            (vec![], vec![ids(u32::MAX - 5, 5)], 0, Some(ids(u32::MAX - 2, 2))),
        ] {
            let found = outer_range(&own, &outer, wanted);
            assert_eq!(found, expected, "{own:?} {outer:?} {wanted}");
            assert!(found.is_none_or(|r| r.host > 0 && exist(&outer, &r)));
        }
    }
}

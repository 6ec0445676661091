//! Maps of ids that somebody has chosen: `--userns keep-id`, `--uidmap`, `--gidmap`.

use super::identity::{Identity, caller, check_mapped, exist, mapped};
use super::loss::Refusal;
use crate::model::{Host, IdMap, IdRange, Origin};
use crate::policy::{Policy, Userns};

/// What the kernel takes in one map (user_namespaces(7)).
const LINES: usize = 340;

/// The maps that are asked for, on this host.
///
/// # Errors
/// With what is wrong, and what would be right.
pub(super) fn maps(userns: &Userns, host: &Host) -> Result<(IdMap, IdMap), String> {
    let (caller, helpers) = (&host.caller, &host.id_helpers);
    let usable = helpers.lack().is_none();
    let (uids, gids): (&[IdRange], &[IdRange]) = match usable {
        true => (&helpers.subuid, &helpers.subgid),
        false => (&[], &[]),
    };
    match userns {
        Userns::KeepId { .. } if caller.writes_maps => {
            Err("keep-id would give root's own id to the sandbox: run sbx as an ordinary user, or write --map host-root".into())
        }
        Userns::KeepId { uid, gid } => {
            let (uid, gid) = (uid.unwrap_or(caller.uid), gid.unwrap_or(caller.gid));
            // One of the two without the other would be a map that no image could be unpacked for.
            Ok(match uids.is_empty() || gids.is_empty() {
                false => (around(uid, caller.uid, uids), around(gid, caller.gid, gids)),
                true => (IdMap::single(uid, caller.uid), IdMap::single(gid, caller.gid)),
            })
        }
        Userns::Maps { uids: users, gids: groups } if caller.writes_maps => Ok((
            given("--uidmap", users, |range| of_host(range, &caller.outer_uids))?,
            given("--gidmap", groups, |range| of_host(range, &caller.outer_gids))?,
        )),
        Userns::Maps { uids: users, gids: groups } => {
            let maps = (
                given("--uidmap", users, |range| intermediate(range, caller.uid, uids))?,
                given("--gidmap", groups, |range| intermediate(range, caller.gid, gids))?,
            );
            match helpers.lack().filter(|_| !own(&maps, host)) {
                Some(lack) => Err(format!("more than your own id needs newuidmap and newgidmap: {lack} (see `sbx doctor id-maps`)")),
                None => Ok(maps),
            }
        }
    }
}

/// Whether the maps hold the caller and nobody else, which no helper is needed for.
pub(super) fn own((uids, gids): &(IdMap, IdMap), host: &Host) -> bool {
    let alone = |map: &IdMap, id: u32| map.is_single() && map.to_inside(id).is_some();
    alone(uids, host.caller.uid) && alone(gids, host.caller.gid)
}

/// What is told of a chosen map that cannot be had.
pub(super) fn refusal(policy: &Policy, why: impl Into<String>) -> Refusal {
    Refusal::Value {
        what: "the map of ids".into(),
        origin: policy
            .userns
            .as_ref()
            .map_or(Origin::Default, |u| u.origin.clone()),
        why: why.into(),
    }
}

/// Who the command is under a chosen map, and who writes it.
pub(super) fn identity(
    maps: (IdMap, IdMap),
    host: &Host,
    policy: &Policy,
    (uid, gid): (u32, u32),
    drop_groups: bool,
) -> Result<Identity, Refusal> {
    let of_root = host.caller.writes_maps;
    if !of_root && own(&maps, host) {
        check_mapped(policy, &maps.0, &maps.1, uid, gid)?;
        return Ok(caller(host, uid, gid, drop_groups));
    }
    let (uids, gids) = maps;
    let (user, group) = (host.caller.uid, host.caller.gid);
    let root = uids.to_host(0).zip(gids.to_host(0));
    let has_caller = uids.to_inside(user).is_some() && gids.to_inside(group).is_some();
    if root.is_none() && !has_caller {
        let why = "it holds neither id 0 inside nor your own, so nobody could make the mounts: add a line for one of them";
        return Err(refusal(policy, why));
    }
    // newgidmap denies setgroups(2) for a map without any of the caller's sub-gids.
    if !of_root && gids.0.iter().all(|range| range.host == group && range.count == 1) {
        let why = "its groups are yours alone, so that your other groups could not be dropped: add a --gidmap line of your sub-ids";
        return Err(refusal(policy, why));
    }
    // What is made in the root belongs to its uid 0, as in every other container.
    let act_as_root = root.is_some_and(|ids| ids != (user, group));
    mapped(host, policy, (uids, gids), (uid, gid), act_as_root)
}

/// How many ids ranges hold.
fn total(ranges: &[IdRange]) -> u32 {
    ranges
        .iter()
        .fold(0, |sum, range| sum.saturating_add(range.count))
}

/// `count` ids of these ranges from the id with the index `from` on, at `inside` and after it. As many as there are, and as many as
/// one map takes.
fn taken(ranges: &[IdRange], inside: u32, from: u32, count: u32) -> Vec<IdRange> {
    let (mut skip, mut left, mut inside) = (from, count, inside);
    let mut all = Vec::new();
    for range in ranges.iter().take(LINES - 2) {
        let there = range.count.saturating_sub(skip);
        let count = there.min(left).min(u32::MAX - inside);
        if count > 0 {
            let host = range.host + skip;
            all.push(IdRange { inside, host, count });
            (inside, left) = (inside + count, left - count);
        }
        skip = skip.saturating_sub(range.count);
    }
    all
}

/// The caller as 0 and all its sub-ids from 1 on.
pub(super) fn whole_range(caller: u32, subs: &[IdRange]) -> IdMap {
    around(0, caller, subs)
}

/// The caller at its place, the sub-ids before and behind it.
fn around(inside: u32, caller: u32, subs: &[IdRange]) -> IdMap {
    let before = inside.min(total(subs));
    let own = IdRange {
        inside,
        host: caller,
        count: 1,
    };
    let behind = taken(subs, inside.saturating_add(1), before, total(subs) - before);
    let all = taken(subs, 0, 0, before).into_iter().chain([own]).chain(behind);
    IdMap(all.collect())
}

/// Lines of a flag, translated; no id may stand in it twice.
fn given(
    flag: &str,
    lines: &[IdRange],
    translate: impl Fn(&IdRange) -> Result<Vec<IdRange>, String>,
) -> Result<IdMap, String> {
    let mut map: Vec<IdRange> = Vec::new();
    for line in lines {
        let shown = || format!("{flag} {}:{}:{}", line.inside, line.host, line.count);
        let translated = translate(line).map_err(|why| format!("{}: {why}", shown()))?;
        for range in translated {
            let twice = |at: fn(&IdRange) -> u32| {
                map.iter().any(|old| {
                    at(old) < at(&range).saturating_add(range.count)
                        && at(&range) < at(old).saturating_add(old.count)
                })
            };
            if twice(|r| r.inside) {
                return Err(format!(
                    "{}: an earlier line has some of these ids inside",
                    shown()
                ));
            }
            if twice(|r| r.host) {
                return Err(format!(
                    "{}: an earlier line has some of these ids of the host",
                    shown()
                ));
            }
            map.push(range);
        }
    }
    match map.len() {
        0 => Err(format!(
            "{flag} is missing: write one for users and one for groups"
        )),
        1..=LINES => Ok(IdMap(map)),
        n => Err(format!("{flag}: {n} lines, the kernel takes {LINES}")),
    }
}

/// 0 is the caller, 1 and more are its sub-ids.
fn intermediate(range: &IdRange, caller: u32, subs: &[IdRange]) -> Result<Vec<IdRange>, String> {
    let own = IdRange {
        inside: 0,
        host: caller,
        count: 1,
    };
    let all: Vec<IdRange> = [own].into_iter().chain(subs.iter().copied()).collect();
    let found = taken(&all, range.inside, range.host, range.count);
    if total(&found) == range.count {
        return Ok(found);
    }
    Err(match total(subs) {
        0 => "you have no sub-ids that can be used: `sbx doctor id-maps` shows how to get them".into(),
        count => {
            format!("the second number is counted from 0, which is you, to {count}, the last of your sub-ids")
        }
    })
}

/// Root names ids of the host, but never 0 in passing.
fn of_host(range: &IdRange, outer: &[IdRange]) -> Result<Vec<IdRange>, String> {
    if range.host == 0 {
        return Err("host id 0 is root: map other ids, or write --map host-root alone".into());
    }
    if exist(outer, range) {
        return Ok(vec![*range]);
    }
    Err("these ids do not exist in the container that sbx runs in".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(inside: u32, host: u32, count: u32) -> IdRange {
        IdRange { inside, host, count }
    }

    fn host() -> Host {
        let mut host = Host::debian_12();
        (host.caller.uid, host.caller.gid) = (1001, 1002);
        host.id_helpers.subuid = vec![range(0, 100_000, 65536)];
        host.id_helpers.subgid = vec![range(0, 200_000, 65536)];
        host
    }

    fn keep(uid: Option<u32>, gid: Option<u32>) -> Userns {
        Userns::KeepId { uid, gid }
    }

    #[test]
    fn the_caller_keeps_its_id_and_the_sub_ids_are_around_it() {
        let (uids, gids) = maps(&keep(None, None), &host()).expect("maps");
        assert_eq!(
            uids.0,
            [
                range(0, 100_000, 1001),
                range(1001, 1001, 1),
                range(1002, 101_001, 64535)
            ]
        );
        assert_eq!(
            (gids.to_inside(1002), gids.to_host(0)),
            (Some(1002), Some(200_000))
        );
        let (uids, gids) = maps(&keep(Some(0), Some(70000)), &host()).expect("maps");
        assert_eq!(uids.0, [range(0, 1001, 1), range(1, 100_000, 65536)]);
        assert_eq!(gids.0, [range(0, 200_000, 65536), range(70000, 1002, 1)]);
        let mut alone = host();
        alone.id_helpers.subgid.clear();
        let alone_maps = maps(&keep(None, Some(5)), &alone).expect("maps");
        assert_eq!(alone_maps, (IdMap::single(1001, 1001), IdMap::single(5, 1002)));
        assert!(own(&alone_maps, &alone));
        assert!(maps(&keep(None, None), &Host::ci_root()).is_err());
    }

    #[test]
    fn intermediate_ids_are_the_caller_and_its_sub_ids() {
        let both = |lines: &[IdRange]| Userns::Maps {
            uids: lines.to_vec(),
            gids: lines.to_vec(),
        };
        let uids = |lines: &[IdRange]| maps(&both(lines), &host()).map(|(uids, _)| uids.0);
        assert_eq!(uids(&[range(0, 0, 1)]), Ok(vec![range(0, 1001, 1)]));
        assert_eq!(
            uids(&[range(5, 0, 10)]),
            Ok(vec![range(5, 1001, 1), range(6, 100_000, 9)])
        );
        assert_eq!(
            uids(&[range(0, 1, 1000), range(1000, 0, 1)]),
            Ok(vec![range(0, 100_000, 1000), range(1000, 1001, 1)])
        );
        assert_eq!(uids(&[range(0, 1, 65536)]), Ok(vec![range(0, 100_000, 65536)]));
        for (lines, why) in [
            (&[range(0, 2, 65536)][..], "to 65536"),
            (&[range(0, 1, u32::MAX)], "to 65536"),
            (&[range(0, 1, 10), range(5, 100, 10)], "inside"),
            (&[range(0, 1, 10), range(50, 5, 10)], "of the host"),
            (&[], "is missing"),
        ] {
            let said = uids(lines).expect_err(why);
            assert!(said.contains(why), "{said}");
        }
        let many: Vec<IdRange> = (0..341).map(|n| range(n * 2, n * 2 + 1, 1)).collect();
        assert!(uids(&many).is_err());
    }

    #[test]
    fn all_lines_of_sub_ids_are_used_in_their_order() {
        let mut host = host();
        host.id_helpers.subuid = vec![range(0, 100_000, 10), range(0, 300_000, 65536)];
        host.id_helpers.subgid = vec![range(0, 200_000, 5), range(0, 400_000, 20)];
        let (uids, gids) = maps(&keep(Some(12), Some(3)), &host).expect("maps");
        let expected = [
            range(0, 100_000, 10),
            range(10, 300_000, 2),
            range(12, 1001, 1),
            range(13, 300_002, 65534),
        ];
        assert_eq!(uids.0, expected);
        let expected = [
            range(0, 200_000, 3),
            range(3, 1002, 1),
            range(4, 200_003, 2),
            range(6, 400_000, 20),
        ];
        assert_eq!(gids.0, expected);
        let lines = Userns::Maps {
            uids: vec![range(0, 0, 20)],
            gids: vec![range(0, 4, 4)],
        };
        let (uids, gids) = maps(&lines, &host).expect("maps");
        assert_eq!(
            uids.0,
            [range(0, 1001, 1), range(1, 100_000, 10), range(11, 300_000, 9)]
        );
        assert_eq!(gids.0, [range(0, 200_003, 2), range(2, 400_000, 2)]);
        let whole = whole_range(1001, &host.id_helpers.subuid);
        assert_eq!(
            whole.0,
            [
                range(0, 1001, 1),
                range(1, 100_000, 10),
                range(11, 300_000, 65536)
            ]
        );
    }

    #[test]
    fn root_names_ids_of_the_host_and_never_0() {
        let lines = |host| Userns::Maps {
            uids: vec![range(0, host, 1000)],
            gids: vec![range(0, host, 1000)],
        };
        let root = Host::ci_root();
        assert!(maps(&lines(0), &root).is_err());
        assert_eq!(
            maps(&lines(70000), &root).expect("maps").0.to_host(5),
            Some(70005)
        );
    }
}

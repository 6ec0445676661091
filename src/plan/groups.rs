//! Groups: those of the caller, which should open nothing inside, and those that the command has.

use super::identity::{self, Identity};
use super::loss::{Ledger, Refusal};
use super::{Facts, MapWriter};
use crate::model::{Host, Protection};
use crate::policy::Policy;

/// Decides ids, and whether the groups of the caller can go.
///
/// # Errors
/// When they must and cannot, or the ids cannot be had.
pub(super) fn identity(
    policy: &Policy,
    host: &Host,
    facts: &Facts,
    ledger: &mut Ledger<'_>,
) -> Result<Identity, Refusal> {
    let wanted = policy.enforcement.wants(Protection::Groups);
    let identity = identity::decide(policy, host, facts, wanted)?;
    if wanted && !identity.can_drop_groups {
        let helper = match host.id_helpers.newgidmap.usable() {
            Ok(_) => "no sub-gids".to_owned(),
            Err(why) => format!("newgidmap {why}"),
        };
        ledger.lacks(
            Protection::Groups,
            &format!("your supplementary groups stay in force on files that only they may open: {helper}"),
            "`sbx doctor id-maps` says what mends it",
        )?;
    }
    Ok(identity)
}

/// The groups of the user in the root, as far as the map has them, and those that were asked for, which it must have.
pub(super) fn supplementary(
    policy: &Policy,
    facts: &Facts,
    identity: &Identity,
) -> Result<Vec<u32>, Refusal> {
    let mapped = |gid: &u32| identity.gids.to_host(*gid).is_some();
    let user = facts.user.as_ref().and_then(|user| user.as_ref().ok());
    let own = user.map(|user| user.groups.clone()).unwrap_or_default();
    let mut all: Vec<u32> = own.into_iter().filter(mapped).collect();
    let (Some(asked), Some(first)) = (&facts.groups, policy.groups.first()) else {
        return Ok(all);
    };
    let refuse = |what: String, why: String| {
        Err(Refusal::Value {
            what,
            origin: first.origin.clone(),
            why,
        })
    };
    let asked = match asked {
        Ok(asked) => asked,
        Err(why) => return refuse("a group".into(), why.clone()),
    };
    if identity.uids.is_single() && identity.by != MapWriter::Supervisor {
        let why =
            "a map of one id has no other groups: use --map range, which needs sub-ids (sbx doctor id-maps)";
        return refuse("a group".into(), why.into());
    }
    if let Some(gid) = asked.iter().find(|gid| !mapped(gid)) {
        return refuse(
            format!("group {gid}"),
            format!("the map holds only {}", identity.gids),
        );
    }
    all.extend(asked);
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

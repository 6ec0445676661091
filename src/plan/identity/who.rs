//! Who the command is: by number, by a name of the root, or as the caller.

use super::super::generated::{NOBODY, TTY};
use super::UID_FOR_ROOT;
use crate::model::{Host, IdMap};
use crate::plan::Facts;
use crate::plan::loss::Refusal;
use crate::policy::{Policy, Root};
use crate::profile::schema::{MapKind, UserSpec};

/// Who the command is inside, as it was asked for.
///
/// # Errors
/// For a name that the root does not have.
pub(super) fn wanted(
    policy: &Policy,
    host: &Host,
    facts: &Facts,
    chosen: Option<&(IdMap, IdMap)>,
) -> Result<(u32, u32), Refusal> {
    // Whoever chooses a map and puts itself into it means to be that.
    let placed = chosen.and_then(|(uids, gids)| {
        let uid = uids.to_inside(host.caller.uid)?;
        Some((uid, gids.to_inside(host.caller.gid)?))
    });
    // A range has ids that own nothing on the host: the command runs as one of them unless told.
    let own = if let Some(own) = placed {
        own
    } else if host.caller.writes_maps || policy.map.value == MapKind::Range {
        (UID_FOR_ROOT, UID_FOR_ROOT)
    } else {
        (host.caller.uid, host.caller.gid)
    };
    if let (Root::Image(_), UserSpec::Image | UserSpec::Root | UserSpec::Ids { .. }, Some(found)) =
        (&policy.root, &policy.user.value, &facts.user)
    {
        return match found {
            Ok(user) => Ok((user.uid, user.gid)),
            Err(why) => Err(Refusal::Value {
                what: "the user".into(),
                origin: policy.user.origin.clone(),
                why: why.clone(),
            }),
        };
    }
    match &policy.user.value {
        UserSpec::Image | UserSpec::Caller => Ok(own),
        UserSpec::Root => Ok((0, 0)),
        UserSpec::Ids { uid, gid } => Ok((*uid, gid.unwrap_or(0))),
        UserSpec::Names { user, group } => {
            let why = match &facts.user {
                Some(Ok(user)) => return Ok((user.uid, user.gid)),
                Some(Err(why)) => why.clone(),
                None => match in_generated(policy, host, (user, group.as_deref()), own) {
                    Ok(ids) => return Ok(ids),
                    Err(why) => why,
                },
            };
            Err(Refusal::Value {
                what: format!("user `{}`", user.escape_debug()),
                origin: policy.user.origin.clone(),
                why,
            })
        }
    }
}

/// Where a root has no passwd and no group file of its own: what is written for it names few, and the caller is known everywhere.
fn in_generated(
    policy: &Policy,
    host: &Host,
    (user, group): (&str, Option<&str>),
    own: (u32, u32),
) -> Result<(u32, u32), String> {
    let is_host = matches!(policy.root, Root::Host);
    let known = |name: &str| host.caller.name.as_deref() == Some(name);
    let (uid, gid) = match user {
        "root" => (0, 0),
        _ if known(user) => own,
        "nobody" if is_host => (NOBODY, NOBODY),
        _ => match user.parse() {
            Ok(uid) => (uid, 0),
            Err(_) => return Err("no such name in this root; write a number, root or caller".into()),
        },
    };
    let Some(group) = group else { return Ok((uid, gid)) };
    let gid = match group {
        "root" => 0,
        _ if known(group) => own.1,
        "tty" if is_host => TTY,
        "nogroup" if is_host => NOBODY,
        _ => group.parse().map_err(|_| {
            let group = group.escape_debug();
            format!("no group `{group}` in this root; write a number")
        })?,
    };
    Ok((uid, gid))
}

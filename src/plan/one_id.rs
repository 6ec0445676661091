//! What an image expects of a system with many users, where there is one id: what would give a file away, or would make somebody else of
//! root, is answered as done.

use super::MapWriter;
use super::identity::Identity;
use crate::model::Origin;
use crate::policy::{Policy, Root};
use crate::seccomp::{Ids, Table};

/// Packages give files to many users, and one id is all that there is: what would give a file away is answered as done.
pub(super) fn filter(policy: &Policy, table: &Table, identity: &Identity) -> Table {
    let table = table.clone().with_own_ids(Ids {
        uid: identity.uid,
        gid: identity.gid,
    });
    let alone = identity.uids.is_single() && identity.by != MapWriter::Supervisor;
    if alone && matches!(policy.root, Root::Image(_)) {
        let ids: &[&str] = if identity.uid == 0 { &SET_IDS } else { &[] };
        let origin = Origin::flag("identity.map = caller, in an image");
        table.answering_done(GIVE_AWAY.iter().chain(ids).copied(), &origin)
    } else {
        table
    }
}

/// Calls that give a file to somebody else.
const GIVE_AWAY: [&str; 4] = ["chown", "fchown", "fchownat", "lchown"];
/// Calls by which root becomes somebody else.
const SET_IDS: [&str; 9] = [
    "setgid",
    "setgroups",
    "setregid",
    "setresgid",
    "setresuid",
    "setreuid",
    "setuid",
    "setfsgid",
    "setfsuid",
];

//! The guard `own-ids`: calls that set ids or owners, as far as they change nothing.
//!
//! Programs reset their ids to the ones they have (GNU make 4.3 calls `setresuid(-1, uid, -1)` before every recipe) and give files the
//! owner that they have already. Which ids those are is known once the id maps are: see [`super::Table::with_own_ids`].

use super::errno::EPERM;
use super::guard::refuse;
use super::verdict::{Check, not_equal};

/// The name of the guard.
pub(super) const OWN_IDS: &str = "own-ids";

/// `(uid_t)-1`: leaves an id as it is (setresuid(2), chown(2)).
const UNCHANGED: u32 = u32::MAX;

/// A uid and a gid, as they are inside the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ids {
    /// The user id.
    pub uid: u32,
    /// The group id.
    pub gid: u32,
}

/// What an argument holds.
#[derive(Debug, Clone, Copy)]
enum Argument {
    Uid(u8),
    Gid(u8),
}

use Argument::{Gid, Uid};

/// The arguments of each call. The last one is checked first, so that `setresuid` ends in the checks of `setreuid` and `setuid`.
const CALLS: [(&str, &[Argument]); 12] = [
    ("setuid", &[Uid(0)]),
    ("setgid", &[Gid(0)]),
    ("setfsuid", &[Uid(0)]),
    ("setfsgid", &[Gid(0)]),
    ("setreuid", &[Uid(1), Uid(0)]),
    ("setregid", &[Gid(1), Gid(0)]),
    ("setresuid", &[Uid(2), Uid(1), Uid(0)]),
    ("setresgid", &[Gid(2), Gid(1), Gid(0)]),
    ("chown", &[Gid(2), Uid(1)]),
    ("fchown", &[Gid(2), Uid(1)]),
    ("lchown", &[Gid(2), Uid(1)]),
    ("fchownat", &[Gid(3), Uid(2)]),
];

/// The checks: -1 passes, and these ids, if any.
pub(super) fn checks(own: Option<Ids>) -> impl Iterator<Item = (&'static str, Check)> {
    CALLS.into_iter().flat_map(move |(call, arguments)| {
        let check = move |argument: &Argument| (call, check(*argument, own));
        arguments.iter().map(check)
    })
}

fn check(argument: Argument, own: Option<Ids>) -> Check {
    let (number, own) = match argument {
        Uid(number) => (number, own.map(|ids| ids.uid)),
        Gid(number) => (number, own.map(|ids| ids.gid)),
    };
    let other = std::iter::once(UNCHANGED).chain(own);
    refuse(EPERM, vec![other.map(|id| not_equal(number, id)).collect()])
}

//! The supervisor gives up what it no longer needs.

use crate::sys::cred;
use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr};

/// No rights by exec, no file opened by name, no TCP: all that is left is to wait, to pass bytes and to signal.
///
/// A second wall only: where the kernel has no Landlock, the supervisor is still a process that reads nothing the sandbox wrote but
/// fixed-size records. Failure is not an error for that reason.
pub(super) fn supervisor() {
    let _ = cred::undumpable();
    let _ = cred::no_new_privileges();
    // Best effort is the crate's default: rights that the kernel does not know are left out.
    let made = Ruleset::default()
        .handle_access(AccessFs::from_all(ABI::V5))
        .and_then(|r| r.handle_access(AccessNet::from_all(ABI::V4)))
        .and_then(Ruleset::create);
    if let Ok(ruleset) = made {
        let _ = ruleset.restrict_self();
    }
}

//! The guard `set-id-bits`: no call makes a file set-user-id or set-group-id.
//!
//! A file that the caller hands over and that is the caller's own would run with the caller's rights for everybody on the host. Inside,
//! the bits mean nothing: every mount is nosuid. mkdir(2) and mkdirat(2) are not looked at, since the kernel drops the bits itself.

use super::errno::{ENOSYS, EPERM};
use super::guard::only;
use super::verdict::{Check, masked};

/// The name of the guard.
pub(super) const SET_ID_BITS: &str = "set-id-bits";

/// `S_ISUID | S_ISGID`.
const BITS: u64 = (libc::S_ISUID | libc::S_ISGID) as u64;

/// The flags with which open(2) looks at its mode: `O_CREAT` and `__O_TMPFILE`, the bit that `O_TMPFILE` has beyond `O_DIRECTORY`.
const MAKES: u64 = (libc::O_CREAT | (libc::O_TMPFILE & !libc::O_DIRECTORY)) as u64;

/// The calls that take a mode, each with the number of that argument.
const MODES: [(&str, u8); 7] = [
    ("chmod", 1),
    ("fchmod", 1),
    ("fchmodat", 2),
    ("fchmodat2", 2),
    ("creat", 1),
    ("mknod", 1),
    ("mknodat", 2),
];

/// The checks of the guard.
pub(super) fn checks() -> Vec<(&'static str, Check)> {
    let plain = |mode| vec![masked(mode, BITS, 0)];
    let mut all: Vec<_> = MODES
        .map(|(call, mode)| (call, only(EPERM, vec![plain(mode)])))
        .into();
    for (call, flags) in [("open", 1), ("openat", 2)] {
        let opens = vec![masked(flags, MAKES, 0)];
        all.push((call, only(EPERM, vec![plain(flags + 1), opens])));
    }
    // Its mode lies in memory, where no filter can look; programs fall back to openat.
    all.push(("openat2", only(ENOSYS, Vec::new())));
    all
}

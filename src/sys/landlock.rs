//! The Landlock right of Linux 7.1 (ABI 9) for named unix sockets, which the crate `landlock` does not know yet.

use super::{Result, check};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// LANDLOCK_ACCESS_FS_RESOLVE_UNIX: connect(2) and sendto(2) to a socket that was bound outside the domain.
pub const RESOLVE_UNIX: u64 = 1 << 16;
/// LANDLOCK_ACCESS_FS_REFER. Every domain denies it beneath paths that no rule names, even if it does not handle it.
pub const REFER: u64 = 1 << 13;

/// `struct landlock_ruleset_attr`, as far as files go: the kernel takes the rest for 0.
#[repr(C)]
struct RulesetAttr {
    handled_access_fs: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct PathBeneathAttr {
    allowed_access: u64,
    parent_fd: i32,
}

const RULE_PATH_BENEATH: libc::c_int = 1;

/// A rule set that denies what it handles beneath every path that no rule names. Allocates nothing.
///
/// # Errors
/// `EINVAL` before Linux 7.1; `EOPNOTSUPP` where Landlock is not active.
pub fn socket_ruleset() -> Result<OwnedFd> {
    let attr = RulesetAttr {
        handled_access_fs: RESOLVE_UNIX | REFER,
    };
    // SAFETY: `attr` has the kernel's layout and its size is given.
    let fd = check(unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &raw const attr,
            size_of::<RulesetAttr>(),
            0,
        )
    })?;
    #[allow(clippy::cast_possible_truncation, reason = "a file descriptor is an int")]
    let fd = fd as RawFd;
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Allows `access` for a path and everything beneath it.
///
/// # Errors
/// `EINVAL` for access that the rule set does not handle, or that a file cannot have.
pub fn allow(ruleset: BorrowedFd<'_>, path: BorrowedFd<'_>, access: u64) -> Result<()> {
    let attr = PathBeneathAttr {
        allowed_access: access,
        parent_fd: path.as_raw_fd(),
    };
    // SAFETY: `attr` has the kernel's layout for this kind of rule; both descriptors are live.
    check(unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset.as_raw_fd(),
            RULE_PATH_BENEATH,
            &raw const attr,
            0,
        )
    })
    .map(|_| ())
}

/// Enters a domain of these rules.
///
/// # Errors
/// `E2BIG` for the 17th domain one in another; `EPERM` without no_new_privs.
pub fn restrict_self(ruleset: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: only numbers are passed.
    check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) }).map(|_| ())
}

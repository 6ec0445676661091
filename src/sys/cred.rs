//! Credentials: ids, groups, capabilities, securebits, no_new_privs, limits, keyring.

use super::{Result, check, check_int};

/// The supplementary groups. nix asks `/proc` for their greatest possible number first.
///
/// # Errors
/// `EINVAL` when there are more than there were a moment ago.
pub fn groups() -> Result<Vec<u32>> {
    // SAFETY: with a length of 0 nothing is written.
    let count = check_int(unsafe { libc::getgroups(0, std::ptr::null_mut()) })?;
    let mut groups = vec![0; usize::try_from(count).unwrap_or_default()];
    // SAFETY: there is room for `count` groups.
    let count = check_int(unsafe { libc::getgroups(count, groups.as_mut_ptr()) })?;
    groups.truncate(usize::try_from(count).unwrap_or_default());
    Ok(groups)
}

/// Sets the supplementary groups.
///
/// # Errors
/// `EPERM` where the map was written without a helper (`setgroups` denied); `EINVAL` for an id that the map does not hold.
pub fn set_groups(groups: &[u32]) -> Result<()> {
    // SAFETY: the list is live and its length is given. The raw call: glibc's would look for other threads.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) }).map(|_| ())
}

/// Sets real, effective and saved group id.
///
/// # Errors
/// `EINVAL` for an id that the map does not hold.
pub fn set_group(gid: u32) -> Result<()> {
    // SAFETY: only numbers are passed.
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) }).map(|_| ())
}

/// Sets real, effective and saved user id.
///
/// # Errors
/// `EINVAL` for an id that the map does not hold.
pub fn set_user(uid: u32) -> Result<()> {
    // SAFETY: only numbers are passed.
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }).map(|_| ())
}

fn prctl(option: libc::c_int, a: libc::c_ulong, b: libc::c_ulong) -> Result<libc::c_int> {
    // SAFETY: the options used in this file take numbers only.
    check_int(unsafe { libc::prctl(option, a, b, 0, 0) })
}

/// A change of user id changes no capability from here on, and uid 0 gives none at exec.
///
/// # Errors
/// `EPERM` without `CAP_SETPCAP`.
pub fn fix_securebits() -> Result<()> {
    const NOROOT: libc::c_ulong = 0x1;
    const NO_SETUID_FIXUP: libc::c_ulong = 0x4;
    prctl(libc::PR_SET_SECUREBITS, NOROOT | NO_SETUID_FIXUP, 0).map(|_| ())
}

/// Takes everything but `kept` out of the bounding set.
///
/// # Errors
/// `EPERM` without `CAP_SETPCAP`.
pub fn drop_bounding(kept: u64) -> Result<()> {
    for number in 0..64u32 {
        if kept & (1 << number) == 0 {
            match prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(number), 0) {
                // The kernel's first unknown number ends the set.
                Err(super::Errno::EINVAL) => return Ok(()),
                other => other?,
            };
        }
    }
    Ok(())
}

/// `_LINUX_CAPABILITY_VERSION_3`: 64 bits, in two elements.
const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

impl CapData {
    const EMPTY: Self = Self {
        effective: 0,
        permitted: 0,
        inheritable: 0,
    };
}

static THIS_PROCESS: CapHeader = CapHeader {
    version: VERSION_3,
    pid: 0,
};

fn sets() -> Result<[CapData; 2]> {
    let mut data = [CapData::EMPTY; 2];
    // SAFETY: header and data have the layout of version 3, which takes two elements.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw const THIS_PROCESS, data.as_mut_ptr()) })?;
    Ok(data)
}

fn put_sets(data: &[CapData; 2]) -> Result<()> {
    // SAFETY: header and data have the layout of version 3, which takes two elements.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const THIS_PROCESS, data.as_ptr()) }).map(|_| ())
}

/// The call takes half of the bits at a time.
#[allow(
    clippy::cast_possible_truncation,
    reason = "the other half is the other element"
)]
fn halves(set: u64) -> [u32; 2] {
    [set as u32, (set >> 32) as u32]
}

/// The effective set of this process.
///
/// # Errors
/// None in practice.
pub fn effective_capabilities() -> Result<u64> {
    let [low, high] = sets()?;
    Ok(u64::from(low.effective) | u64::from(high.effective) << 32)
}

/// Sets the effective and permitted sets, and the inheritable one.
///
/// # Errors
/// `EPERM` when a set would grow.
pub fn set_capabilities(effective: u64, inheritable: u64) -> Result<()> {
    let mut data = [CapData::EMPTY; 2];
    for ((half, effective), inheritable) in data.iter_mut().zip(halves(effective)).zip(halves(inheritable)) {
        *half = CapData {
            effective,
            permitted: effective,
            inheritable,
        };
    }
    put_sets(&data)
}

/// Makes `kept` inheritable, with the effective and permitted sets as they are.
///
/// # Errors
/// `EPERM` when one is not permitted.
pub fn make_inheritable(kept: u64) -> Result<()> {
    let mut data = sets()?;
    for (half, kept) in data.iter_mut().zip(halves(kept)) {
        half.inheritable = kept;
    }
    put_sets(&data)
}

/// Raises `kept` in the ambient set, after which they outlive an exec by a user that is not root.
///
/// # Errors
/// `EPERM` when one is not permitted and inheritable.
pub fn raise_ambient(kept: u64) -> Result<()> {
    #[allow(clippy::cast_sign_loss, reason = "a constant of the kernel")]
    const RAISE: libc::c_ulong = libc::PR_CAP_AMBIENT_RAISE as libc::c_ulong;
    for number in (0..64u32).filter(|n| kept & (1 << n) != 0) {
        prctl(libc::PR_CAP_AMBIENT, RAISE, libc::c_ulong::from(number))?;
    }
    Ok(())
}

/// Uid 0 means nothing any more, for good: NOROOT, NO_SETUID_FIXUP, NO_CAP_AMBIENT_RAISE, each locked. KEEP_CAPS is left to the
/// command: it gives no capability, and ping(8) sets it.
///
/// # Errors
/// `EPERM` without `CAP_SETPCAP`.
pub fn lock_securebits() -> Result<()> {
    const NOROOT: libc::c_ulong = 0x3;
    const NO_SETUID_FIXUP: libc::c_ulong = 0xc;
    const NO_CAP_AMBIENT_RAISE: libc::c_ulong = 0xc0;
    prctl(
        libc::PR_SET_SECUREBITS,
        NOROOT | NO_SETUID_FIXUP | NO_CAP_AMBIENT_RAISE,
        0,
    )
    .map(|_| ())
}

/// uid 0 and capabilities go together as they always did; none can be made ambient, and that is locked.
///
/// # Errors
/// `EPERM` without `CAP_SETPCAP`.
pub fn plain_securebits() -> Result<()> {
    const NO_CAP_AMBIENT_RAISE: libc::c_ulong = 0xc0;
    prctl(libc::PR_SET_SECUREBITS, NO_CAP_AMBIENT_RAISE, 0).map(|_| ())
}

/// No exec gives rights any more.
///
/// # Errors
/// None since Linux 3.5.
pub fn no_new_privileges() -> Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).map(|_| ())
}

/// Closes `/proc/PID/{mem,environ,fd,exe}` and ptrace to processes of the same user.
///
/// # Errors
/// None in practice.
pub fn undumpable() -> Result<()> {
    prctl(libc::PR_SET_DUMPABLE, 0, 0).map(|_| ())
}

/// The kernel kills this process when its parent ends. A change of credentials forgets it, so it is set after the last one.
///
/// # Errors
/// None in practice.
pub fn die_with_parent() -> Result<()> {
    #[allow(clippy::cast_sign_loss, reason = "a signal number")]
    prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong, 0).map(|_| ())
}

/// Leaves the caller's session keyring, which no namespace hides, for a fresh empty one.
///
/// # Errors
/// `ENOSYS` without key support, `EDQUOT` when the caller's key quota is used up.
pub fn new_session_keyring() -> Result<()> {
    const JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: a null name asks for an anonymous keyring.
    check(unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            JOIN_SESSION_KEYRING,
            std::ptr::null::<libc::c_char>(),
        )
    })
    .map(|_| ())
}

/// Sets a resource limit; one that lies above the caller's own hard limit is lowered to it.
///
/// # Errors
/// `EINVAL` for an unknown resource.
pub fn set_limit(resource: u32, soft: u64, hard: u64) -> Result<()> {
    // SAFETY: `rlimit` is a plain C struct for which all zeroes is a valid value.
    let mut now: libc::rlimit = unsafe { std::mem::zeroed() };
    // SAFETY: `now` is live and of the right type.
    check_int(unsafe { libc::getrlimit(resource, &raw mut now) })?;
    let hard = hard.min(now.rlim_max);
    let wanted = libc::rlimit {
        rlim_cur: soft.min(hard),
        rlim_max: hard,
    };
    // SAFETY: `wanted` is live and of the right type.
    check_int(unsafe { libc::setrlimit(resource, &raw const wanted) }).map(|_| ())
}

/// Takes back what setarch(1) gave the caller: no randomised addresses, memory that can be executed because it can be read.
///
/// # Errors
/// As personality(2).
pub fn plain_personality() -> Result<()> {
    // SAFETY: only a number is passed; PER_LINUX is 0.
    check_int(unsafe { libc::personality(0) }).map(|_| ())
}

//! What this machine can do and who runs sbx, read into [`Host`].
//!
//! There are two ways. [`presumed`] is the start of every run: it reads what costs a few microseconds, takes the rest for granted,
//! and a step that fails later says so. [`look_for_id_helpers`] and [`tree`] are asked when a plan needs them. [`survey`] tries everything, in children that do
//! what a run would do.

mod accounts;
mod around;
mod cgroup;
mod clues;
mod disk;
pub mod explain;
mod files;
pub mod findings;
mod homes;
mod ids;
mod kernel;
mod merged;
mod mountinfo;
mod probe;
mod refusal;
pub mod sockets;
pub mod sources;
#[cfg(test)]
mod synthetic;
mod tree;
mod upper;
mod users;

pub use homes::is_home_or_above;
pub use ids::{fuse_overlayfs, look_for_id_helpers};
pub use probe::{Survey, fuse, overlay_over, survey};
pub use upper::takes_upper_layers;

use crate::model::HostPath;
use crate::model::host::{Caller, Cgroup, Fact, Host, HostTree, IdHelpers};
use crate::sys::{self, Errno};
use std::path::{Path, PathBuf};

/// Why a host cannot be looked at at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The version decides what is tried; guessing it would drop protections.
    #[error("the kernel calls itself `{0}`, which is no version: expected MAJOR.MINOR, as uname -r prints")]
    Kernel(String),
    /// uname(2).
    #[error("cannot ask the kernel for its version: {0}")]
    Release(Errno),
    /// Ids and groups.
    #[error("cannot ask the kernel who runs sbx: {0}")]
    Caller(Errno),
}

/// The host as far as it can be seen at once: version, caller, Landlock's ABI. Everything else is presumed to work as far as the
/// version allows; helpers, cgroups and the [`tree`] are not looked for.
///
/// # Errors
/// When the kernel's version cannot be read.
pub fn presumed() -> Result<Host, Error> {
    let release = sys::machine::release().map_err(Error::Release)?;
    let kernel = kernel::version(release.as_bytes())
        .ok_or_else(|| Error::Kernel(release.as_bytes().escape_ascii().to_string()))?;
    Ok(Host {
        kernel,
        caller: caller()?,
        user_namespaces: Fact::Works,
        id_helpers: IdHelpers::default(),
        landlock_abi: sys::machine::landlock_abi(),
        seccomp: Fact::Works,
        proc: kernel::proc(kernel),
        time_namespace: kernel::since(kernel, 5, 6),
        namespace_limits: Fact::Works,
        overlay: kernel::since(kernel, 5, 11),
        image_overlay: kernel::since(kernel, 5, 11),
        disk_upper: Fact::Works,
        fuse: Fact::Works,
        fuse_overlayfs: None,
        tun: Fact::Works,
        cgroup: Cgroup::NotDelegated,
        processors: Vec::new(),
        tree: HostTree::default(),
    })
}

/// The names in `/` and `/etc` that a root made of the host's programs shows.
#[must_use]
pub fn tree() -> HostTree {
    tree::look(Path::new("/"))
}

/// A mount below a directory, which keeps overlay from being made over it.
#[must_use]
pub fn mount_below(directory: &Path) -> Option<String> {
    let table = files::text(Path::new("/proc/self/mountinfo"));
    let below = |point: &String| Path::new(point) != directory && Path::new(point).starts_with(directory);
    mountinfo::mounts(&table).map(|mount| mount.point).find(below)
}

/// Where a cgroup for a sandbox can be made: below the directory that is given, else at the nearest place that is the caller's own.
#[must_use]
pub fn cgroup(given: Option<&HostPath>) -> Cgroup {
    cgroup::place(given)
}

/// The processors that the caller may use, from one that changes with each run: many sandboxes of one processor share them all.
#[must_use]
pub fn processors() -> Vec<u32> {
    let mut all = sys::process::processors().unwrap_or_default();
    let first = usize::try_from(std::process::id()).unwrap_or_default();
    let first = first.checked_rem(all.len()).unwrap_or_default();
    all.rotate_left(first);
    all
}

fn caller() -> Result<Caller, Error> {
    let uid = nix::unistd::geteuid().as_raw();
    let gid = nix::unistd::getegid().as_raw();
    let groups = sys::cred::groups().map_err(Error::Caller)?;
    // Without passwd there is still a caller: an id that a container was started with often has no line there.
    let account = files::read(Path::new("/etc/passwd"))
        .ok()
        .and_then(|passwd| accounts::account(&passwd, uid));
    let (name, passwd_home) = account.map_or((None, None), |a| (Some(a.name), a.home));
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .filter(|h| h.is_absolute());
    let homes = homes::resolve(home.iter().chain(&passwd_home).cloned());
    let home = home.map(homes::without_parents).or(passwd_home);
    let writes_maps = writes_maps(sys::cred::effective_capabilities().map_err(Error::Caller)?);
    let own = |file: &str| {
        // Two reads that an ordinary user's start need not pay for.
        let map = writes_maps.then(|| files::read(Path::new(file)).ok()).flatten();
        map.map(|m| accounts::own_ids(&m)).unwrap_or_default()
    };
    Ok(Caller {
        uid,
        gid,
        groups: groups.into_iter().filter(|g| *g != gid).collect(),
        name,
        home,
        homes,
        writes_maps,
        outer_uids: own("/proc/self/uid_map"),
        outer_gids: own("/proc/self/gid_map"),
    })
}

/// Root without these two, as in a container with `--cap-drop ALL`, writes no map but the one an ordinary user may write.
fn writes_maps(effective: u64) -> bool {
    const SETGID: u64 = 1 << 6;
    const SETUID: u64 = 1 << 7;
    effective & (SETGID | SETUID) == SETGID | SETUID
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_need_both_capabilities() {
        for (effective, expected) in [
            (0, false),
            (0x40, false),
            (0x80, false),
            (0xc0, true),
            (u64::MAX, true),
        ] {
            assert_eq!(writes_maps(effective), expected, "{effective:#x}");
        }
    }

    #[test]
    fn presumed_is_this_machine() {
        let host = presumed().expect("a host");
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("osrelease");
        assert!(
            release.starts_with(&format!("{}.{}", host.kernel.major, host.kernel.minor)),
            "{release}"
        );
        let caller = &host.caller;
        assert_eq!(caller.uid, nix::unistd::geteuid().as_raw());
        assert!(!caller.groups.contains(&caller.gid));
        if caller.uid == 0 {
            assert_eq!(caller.name.as_deref(), Some("root"));
        }
        assert!(tree().etc.iter().all(|name| !name.contains("private")));
    }
}

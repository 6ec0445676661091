//! Every fact tried for real: what `sbx doctor` tells.
//!
//! Each trial does in a child what a run would do, with the same calls, and says by number which of them failed. Nothing it makes
//! outlives it: namespaces and mounts end with the child, and a file is made only in a tmpfs of its own.

mod maps;
pub(super) mod trial;

use super::around::{self, Around};
use super::clues::Clues;
use super::{Error, cgroup, ids, presumed, tree};
use crate::model::Host;
use crate::model::host::{Caller, Cgroup, Fact, ProcMount, UserNamespaceRefusal};
use crate::sys::mount::{self, Attributes};
use crate::sys::seccomp::Instruction;
use crate::sys::{Errno, Result, cred, fs, process, seccomp};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use trial::{NOT_TRIED, OwnMap, Steps, Trial, attempt, attempt_mapped};

/// As a run makes them.
const ALL: libc::c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWNET;

/// Everything that doctor looks at.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The host with every fact tried.
    pub host: Host,
    pub(crate) clues: Clues,
    pub(crate) around: Around,
    /// What newuidmap and newgidmap made of the caller's sub-ids; `None` where there was nothing to try.
    pub(crate) maps: Option<std::result::Result<(), String>>,
}

/// Tries every fact of the host.
///
/// # Errors
/// As [`presumed`].
pub fn survey() -> std::result::Result<Survey, Error> {
    let mut host = presumed()?;
    let clues = Clues::read();
    let around = around::look(&host.caller, clues.program.as_deref());
    host.id_helpers = ids::id_helpers(&host.caller);
    host.seccomp = fact(seccomp_filter());
    host.fuse = fuse();
    host.fuse_overlayfs = ids::fuse_overlayfs();
    host.tun = device(c"/dev/net/tun");
    host.cgroup = tried_cgroup();
    host.tree = tree();
    host.user_namespaces = user_namespaces(&clues);
    let mut maps = None;
    if host.user_namespaces.works() {
        host.proc = proc();
        host.time_namespace = fact(time_namespace());
        host.namespace_limits = fact(namespace_limits());
        host.overlay = overlay_over(&around.store.parent, &host.caller);
        host.image_overlay = host.overlay.clone();
        maps = maps::attempt(&host);
    } else {
        let why = || Fact::Missing(format!("{NOT_TRIED}: no user namespace to try it in"));
        (host.time_namespace, host.namespace_limits) = (why(), why());
        (host.overlay, host.image_overlay) = (why(), why());
        host.proc = ProcMount::Refused;
    }
    Ok(Survey {
        host,
        clues,
        around,
        maps,
    })
}

/// Whether an unprivileged overlay can be mounted with this directory as its lower layer: tried in a child.
#[must_use]
pub fn overlay_over(lower: &Path, caller: &Caller) -> Fact<String> {
    fact(overlay(lower, caller))
}

/// Whether something can be mounted that a program shows through `/dev/fuse`, which must be opened in the namespace that mounts.
#[must_use]
pub fn fuse() -> Fact<String> {
    let map = OwnMap::new();
    fact(attempt(ALL, |steps| {
        steps.count(map.write())?;
        let device = steps.count(fs::open(c"/dev/fuse", libc::O_RDWR | libc::O_NONBLOCK))?;
        let mounted = mount::fuse(device.as_fd(), (c"1000", c"1000"), Attributes(0));
        steps.count(mounted).map(drop)
    }))
}

fn fact(trial: Trial) -> Fact<String> {
    trial.reason().map_or(Fact::Works, Fact::Missing)
}

/// Made, and then used: AppArmor on Ubuntu lets it be made, but without rights.
fn user_namespaces(clues: &Clues) -> Fact<UserNamespaceRefusal> {
    let map = OwnMap::new();
    let trial = attempt(ALL, |steps| {
        steps.count(map.write())?;
        steps.count(process::set_hostname(b"sbx"))?;
        steps.count(fresh(c"tmpfs", &[])).map(drop)
    });
    match trial {
        Trial::Done => Fact::Works,
        Trial::Refused(errno) => Fact::Missing(clues.refusal(false, errno)),
        Trial::Failed(_, errno) => Fact::Missing(clues.refusal(true, errno)),
        Trial::Killed => Fact::Missing(UserNamespaceRefusal::Outer),
    }
}

fn fresh(kind: &CStr, options: &[(&CStr, &CStr)]) -> Result<OwnedFd> {
    let fs = mount::fsopen(kind)?;
    for (key, value) in options {
        mount::fsconfig_string(fs.as_fd(), key, value)?;
    }
    mount::fsconfig_create(fs.as_fd())?;
    mount::fsmount(fs.as_fd(), Attributes(Attributes::NO_SUID | Attributes::NO_DEV))
}

fn proc() -> ProcMount {
    let map = OwnMap::new();
    let try_with = |options: &[(&CStr, &CStr)]| {
        attempt(ALL, |steps| {
            steps.count(map.write())?;
            steps.count(fresh(c"proc", options)).map(drop)
        })
    };
    if try_with(&[(c"hidepid", c"4"), (c"subset", c"pid")]) == Trial::Done {
        ProcMount::Private
    } else if try_with(&[]) == Trial::Done {
        ProcMount::Fresh
    } else {
        ProcMount::Refused
    }
}

fn time_namespace() -> Trial {
    const CLONE_NEWTIME: libc::c_int = 0x80;
    let map = OwnMap::new();
    attempt(ALL, |steps| {
        steps.count(map.write())?;
        steps.count(process::unshare(CLONE_NEWTIME))
    })
}

/// The limit is that of the new namespace: the host's own is not touched.
fn namespace_limits() -> Trial {
    let map = OwnMap::new();
    attempt(ALL, |steps| {
        steps.count(map.write())?;
        steps.count(fs::write_kernel_file(c"/proc/sys/user/max_user_namespaces", b"0"))
    })
}

/// With this directory (the store's, or the nearest that exists) as the lower layer and a tmpfs as the upper one: its file system is
/// what may not do. It is opened first, for its own errno.
///
/// A store of root's belongs to another id, the first one of a range: only a map that has it gives rights there.
fn overlay(lower: &Path, caller: &Caller) -> Trial {
    let Ok(path) = c_string(lower.as_os_str().as_bytes()) else {
        return Trial::Refused(Errno::EINVAL);
    };
    let owner = std::fs::metadata(lower).ok().filter(|_| caller.writes_maps);
    match owner {
        None => {
            let map = OwnMap::new();
            attempt(ALL, |steps| {
                steps.count(map.write())?;
                let tree = steps.count(tree_of(&path))?;
                layered(steps, &tree)
            })
        }
        Some(owner) => {
            let write = |pid: i32, file: &str, id: u32| {
                std::fs::write(format!("/proc/{pid}/{file}"), format!("0 {id} 1\n"))
                    .map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO)))
            };
            let map = |pid| {
                write(pid, "uid_map", owner.uid())?;
                write(pid, "gid_map", owner.gid())
            };
            attempt_mapped(ALL, map, |steps| {
                let tree = steps.count(tree_of(&path))?;
                steps.count(cred::set_group(0).and_then(|()| cred::set_user(0)))?;
                layered(steps, &tree)
            })
        }
    }
}

fn tree_of(path: &CStr) -> Result<OwnedFd> {
    mount::open_tree(fs::open(path, libc::O_PATH | libc::O_DIRECTORY)?.as_fd())
}

fn c_string(bytes: &[u8]) -> std::result::Result<CString, std::ffi::NulError> {
    CString::new(bytes)
}

fn layered(steps: &mut Steps, lower: &OwnedFd) -> trial::Answer {
    let staging = steps.count(fresh(c"tmpfs", &[(c"mode", c"755")]))?;
    // Before Linux 6.15 the upper layer has to lie on a mount that is attached; nobody else sees this one.
    let root = steps.count(fs::open(c"/", libc::O_PATH | libc::O_DIRECTORY))?;
    steps.count(mount::move_mount(staging.as_fd(), root.as_fd()))?;
    steps.count(mounted(&staging, lower))
}

/// Under a name of ours: overlay has its own meaning for `:` and a backslash.
fn mounted(staging: &OwnedFd, lower: &OwnedFd) -> Result<()> {
    for name in [c"upper", c"work", c"lower"] {
        fs::make_directory(staging.as_fd(), name, 0o755)?;
    }
    fs::change_directory(staging.as_fd())?;
    mount::move_mount(lower.as_fd(), fs::open(c"lower", libc::O_PATH)?.as_fd())?;
    let overlay = mount::fsopen(c"overlay")?;
    mount::fsconfig_flag(overlay.as_fd(), c"userxattr")?;
    for (key, name) in [
        (c"lowerdir", c"lower"),
        (c"upperdir", c"upper"),
        (c"workdir", c"work"),
    ] {
        mount::fsconfig_string(overlay.as_fd(), key, name)?;
    }
    mount::fsconfig_create(overlay.as_fd())?;
    let attributes = Attributes(Attributes::NO_SUID | Attributes::NO_DEV);
    mount::fsmount(overlay.as_fd(), attributes).map(drop)
}

/// A directory that looks delegated is, when a cgroup can be made in it: a cgroup may hold as many as `cgroup.max.descendants` says.
fn tried_cgroup() -> Cgroup {
    let found = cgroup::look();
    let Cgroup::Delegated { path, .. } = &found else {
        return found;
    };
    let own = format!("sbx-doctor-{}", std::process::id());
    let (Ok(name), Ok(path)) = (
        c_string(own.as_bytes()),
        c_string(path.as_path().as_os_str().as_bytes()),
    ) else {
        return Cgroup::NotDelegated;
    };
    let remove = |at: &OwnedFd| unlinkat(at, name.as_c_str(), UnlinkatFlags::RemoveDir);
    let trial = attempt(0, |steps| {
        let at = steps.count(fs::open(&path, libc::O_PATH | libc::O_DIRECTORY))?;
        steps.count(fs::make_directory(at.as_fd(), &name, 0o755))?;
        steps.count(remove(&at))
    });
    if trial == Trial::Done {
        return found;
    }
    // A child that was killed on the way may have left it.
    let _ = fs::open(&path, libc::O_PATH | libc::O_DIRECTORY).map(|at| remove(&at));
    Cgroup::NotDelegated
}

/// A filter that allows everything, for a child only.
fn seccomp_filter() -> Trial {
    const RETURN: u16 = 0x06;
    const ALLOW: u32 = 0x7fff_0000;
    let filter = [Instruction::plain(RETURN, ALLOW)];
    attempt(0, |steps: &mut Steps| {
        steps.count(cred::no_new_privileges())?;
        steps.count(seccomp::install(&filter))
    })
}

/// Opening is harmless: neither device does anything before it is asked to. In a child, since a driver may be slow to load.
fn device(path: &'static CStr) -> Fact<String> {
    fact(attempt(0, |steps| {
        steps.count(fs::open(path, libc::O_RDWR | libc::O_NONBLOCK).map(drop))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn overlay_works_over_what_another_id_owns() {
        let caller = presumed().expect("a host").caller;
        let dir = tempfile::tempdir().expect("a directory");
        let odd = dir.path().join("a:b\\c,d e");
        std::fs::create_dir(&odd).expect("a directory");
        std::fs::set_permissions(&odd, PermissionsExt::from_mode(0o700)).expect("chmod");
        if caller.writes_maps {
            std::os::unix::fs::chown(&odd, Some(1_000_000), Some(1_000_000)).expect("chown");
        }
        assert_eq!(overlay(&odd, &caller), Trial::Done);
    }

    #[test]
    fn overlay_is_refused_for_what_is_no_directory() {
        let caller = presumed().expect("a host").caller;
        for (path, errno) in [("/etc/passwd", Errno::ENOTDIR), ("/no/such", Errno::ENOENT)] {
            let said = overlay(Path::new(path), &caller);
            assert!(
                matches!(said, Trial::Failed(_, e) if e == errno),
                "{path}: {said:?}"
            );
        }
    }

    #[test]
    fn devices() {
        assert_eq!(device(c"/dev/null"), Fact::Works);
        assert!(matches!(device(c"/no/such"), Fact::Missing(why) if why.contains("ENOENT")));
    }
}

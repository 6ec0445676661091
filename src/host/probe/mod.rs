//! Every fact tried for real: what `sbx doctor` tells.
//!
//! Each trial does in a child what a run would do, with the same calls, and says by number which of them failed. Nothing it makes
//! outlives it: namespaces and mounts end with the child, and a file is made only in a tmpfs of its own.

mod trial;

use super::clues::Clues;
use super::{Error, cgroup, ids, presumed};
use crate::model::Host;
use crate::model::host::{Fact, ProcMount, UserNamespaceRefusal};
use crate::sys::mount::{self, Attributes};
use crate::sys::seccomp::Instruction;
use crate::sys::{Errno, Result, cred, fs, process, seccomp};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use trial::{OwnMap, Steps, Trial, attempt};

/// As a run makes them.
const ALL: libc::c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWNET;

/// The host with every fact tried.
///
/// # Errors
/// As [`presumed`].
pub fn probed() -> std::result::Result<Host, Error> {
    let mut host = presumed()?;
    host.id_helpers = ids::id_helpers(&host.caller);
    host.seccomp = fact(seccomp_filter());
    host.fuse = device("/dev/fuse");
    host.tun = device("/dev/net/tun");
    host.cgroup = cgroup::look();
    host.user_namespaces = user_namespaces(&Clues::read());
    if host.user_namespaces.works() {
        host.proc = proc();
        host.time_namespace = fact(time_namespace());
        host.namespace_limits = fact(namespace_limits());
        host.overlay = fact(overlay(&store_parent(host.caller.home.as_deref())));
    } else {
        let why = || Fact::Missing("no user namespace to try it in".to_owned());
        (host.time_namespace, host.namespace_limits, host.overlay) = (why(), why(), why());
        host.proc = ProcMount::Refused;
    }
    Ok(host)
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

/// The directory where images would be kept: its nearest parent that exists. Nothing is made there.
fn store_parent(home: Option<&Path>) -> PathBuf {
    let data = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .filter(|p| p.is_absolute())
        .or_else(|| home.map(|h| h.join(".local/share")));
    let store = data.unwrap_or_else(|| "/".into()).join("sbx");
    let found = store.ancestors().find(|p| p.is_dir());
    found.unwrap_or(Path::new("/")).to_owned()
}

/// With that directory as the lower layer and a tmpfs as the upper one: its file system is what may not do.
fn overlay(lower: &Path) -> Trial {
    let flags = nix::fcntl::OFlag::O_PATH | nix::fcntl::OFlag::O_DIRECTORY | nix::fcntl::OFlag::O_CLOEXEC;
    let lower = match nix::fcntl::open(lower, flags, nix::sys::stat::Mode::empty()) {
        Ok(fd) => fd,
        Err(errno) => return Trial::Refused(errno),
    };
    // By number, so that no character of the path has to be escaped for overlay.
    let Ok(name) = CString::new(format!("/proc/self/fd/{}", lower.as_raw_fd())) else {
        return Trial::Refused(Errno::EINVAL);
    };
    let map = OwnMap::new();
    attempt(ALL, |steps| {
        steps.count(map.write())?;
        let staging = steps.count(fresh(c"tmpfs", &[(c"mode", c"755")]))?;
        steps.count(layered(&staging, &name))
    })
}

fn layered(staging: &OwnedFd, lower: &CStr) -> Result<()> {
    fs::make_directory(staging.as_fd(), c"upper", 0o755)?;
    fs::make_directory(staging.as_fd(), c"work", 0o700)?;
    let overlay = mount::fsopen(c"overlay")?;
    mount::fsconfig_flag(overlay.as_fd(), c"userxattr")?;
    mount::fsconfig_string(overlay.as_fd(), c"lowerdir", lower)?;
    fs::change_directory(staging.as_fd())?;
    mount::fsconfig_string(overlay.as_fd(), c"upperdir", c"upper")?;
    mount::fsconfig_string(overlay.as_fd(), c"workdir", c"work")?;
    mount::fsconfig_create(overlay.as_fd())?;
    mount::fsmount(
        overlay.as_fd(),
        Attributes(Attributes::NO_SUID | Attributes::NO_DEV),
    )
    .map(drop)
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

/// Opening is harmless: neither device does anything before it is asked to.
fn device(path: &str) -> Fact<String> {
    use nix::fcntl::{OFlag, open};
    let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    match open(path, flags, nix::sys::stat::Mode::empty()) {
        Ok(_) => Fact::Works,
        Err(errno) => Fact::Missing(format!("{errno:?}: {}", errno.desc())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_is_never_made_only_its_parent_looked_at() {
        let dir = tempfile::tempdir().expect("a directory");
        let found = store_parent(Some(dir.path()));
        if std::env::var_os("XDG_DATA_HOME").is_none() {
            assert_eq!(found, dir.path());
        }
        assert!(store_parent(None).is_dir());
        assert_eq!(std::fs::read_dir(dir.path()).expect("read").count(), 0);
    }

    #[test]
    fn overlay_is_refused_for_what_is_no_directory() {
        assert_eq!(overlay(Path::new("/etc/passwd")), Trial::Refused(Errno::ENOTDIR));
        assert_eq!(overlay(Path::new("/no/such")), Trial::Refused(Errno::ENOENT));
    }

    #[test]
    fn devices() {
        assert_eq!(device("/dev/null"), Fact::Works);
        assert!(matches!(device("/no/such"), Fact::Missing(why) if why.contains("ENOENT")));
    }
}

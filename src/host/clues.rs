//! What says why a user namespace is refused: sysctls and the traces of an outer container.

use super::files;
use super::mountinfo::mounts;
use crate::model::host::UserNamespaceRefusal as Refusal;
use crate::sys::Errno;
use std::path::{Path, PathBuf};

/// The traces. Absent sysctls are those that this kernel does not have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Clues {
    /// `kernel.unprivileged_userns_clone` (Debian's and Arch's patch).
    pub(crate) userns_clone: Option<u64>,
    /// `user.max_user_namespaces`.
    pub(crate) max_user_namespaces: Option<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns`.
    pub(crate) apparmor: Option<u64>,
    /// No mount lies at `/`: this process is in a chroot.
    pub(crate) chroot: bool,
    /// A seccomp filter is on this process already, as in a container.
    pub(crate) filtered: bool,
    /// The files that docker and podman leave in their containers.
    pub(crate) container: Option<Container>,
    /// What is mounted over parts of `/proc`: the kernel then refuses a new one (`mount_too_revealing`).
    pub(crate) masked_proc: Vec<String>,
    /// This very executable, for an AppArmor profile that names it.
    pub(crate) program: Option<PathBuf>,
}

/// Which program made the container that sbx runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Container {
    /// `/.dockerenv`.
    Docker,
    /// `/run/.containerenv`.
    Podman,
}

impl Clues {
    /// Reads them. Nothing here is a decision: a file that cannot be read is an absent clue.
    pub(crate) fn read() -> Self {
        let text = |path: &str| files::text(Path::new(path));
        let container = if Path::new("/run/.containerenv").exists() {
            Some(Container::Podman)
        } else {
            Path::new("/.dockerenv").exists().then_some(Container::Docker)
        };
        let mounts = text("/proc/self/mountinfo");
        Self {
            userns_clone: files::sysctl("kernel/unprivileged_userns_clone"),
            max_user_namespaces: files::sysctl("user/max_user_namespaces"),
            apparmor: files::sysctl("kernel/apparmor_restrict_unprivileged_userns"),
            chroot: chroot(&mounts),
            filtered: filtered(&text("/proc/self/status")),
            container,
            masked_proc: masked_proc(&mounts),
            program: std::env::current_exe().ok(),
        }
    }

    /// What an errno means here. `made`: the namespace was made, and then could not be used.
    pub(crate) fn refusal(&self, made: bool, errno: Errno) -> Refusal {
        match errno {
            Errno::EPERM | Errno::EACCES if self.apparmor == Some(1) => Refusal::AppArmor,
            Errno::EPERM if self.userns_clone == Some(0) => Refusal::Sysctl,
            // EUSERS before Linux 4.9; ENOSPC also for 32 namespaces one in another.
            Errno::ENOSPC | Errno::EUSERS => Refusal::Limit,
            // docker answers ENOSYS for clone3, so that libraries fall back to clone.
            Errno::ENOSYS if self.filtered => Refusal::Outer,
            Errno::EINVAL | Errno::ENOSYS if !made => Refusal::Kernel,
            Errno::EPERM if self.chroot && !made => Refusal::Chroot,
            Errno::EPERM | Errno::EACCES if self.filtered || self.container.is_some() => Refusal::Outer,
            other => Refusal::Other(format!("{other:?}")),
        }
    }
}

/// mountinfo shows the mounts below this process's root: in a chroot that is no mount point, none of them is `/`.
fn chroot(mountinfo: &str) -> bool {
    let mut mounts = mounts(mountinfo).peekable();
    mounts.peek().is_some() && mounts.all(|m| m.point != "/")
}

/// A mount on one of the kernel's own empty directories, as `binfmt_misc` on every machine with systemd, hides nothing.
fn masked_proc(mountinfo: &str) -> Vec<String> {
    mounts(mountinfo)
        .map(|m| m.point)
        .filter(|p| p.starts_with("/proc/") && !p.starts_with("/proc/sys/fs/"))
        .collect()
}

fn filtered(status: &str) -> bool {
    let mode = status.lines().find_map(|l| l.strip_prefix("Seccomp:"));
    mode.is_some_and(|m| m.trim() == "2")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errno_is_read_with_the_sysctls() {
        let none = Clues::default();
        let debian = Clues {
            userns_clone: Some(0),
            ..none.clone()
        };
        let ubuntu = Clues {
            apparmor: Some(1),
            userns_clone: Some(1),
            ..none.clone()
        };
        let docker = Clues {
            filtered: true,
            container: Some(Container::Docker),
            ..none.clone()
        };
        let chroot = Clues {
            chroot: true,
            ..none.clone()
        };
        let other = |errno: &str| Refusal::Other(errno.into());
        for (clues, made, errno, expected) in &[
            (&debian, false, Errno::EPERM, Refusal::Sysctl),
            (&ubuntu, false, Errno::EPERM, Refusal::AppArmor),
            (&ubuntu, true, Errno::EACCES, Refusal::AppArmor),
            (&ubuntu, false, Errno::ENOSPC, Refusal::Limit),
            (&none, false, Errno::ENOSPC, Refusal::Limit),
            (&none, false, Errno::EUSERS, Refusal::Limit),
            (&none, false, Errno::EINVAL, Refusal::Kernel),
            (&none, false, Errno::ENOSYS, Refusal::Kernel),
            (&docker, false, Errno::ENOSYS, Refusal::Outer),
            (&docker, false, Errno::EPERM, Refusal::Outer),
            (&docker, true, Errno::EPERM, Refusal::Outer),
            (&chroot, false, Errno::EPERM, Refusal::Chroot),
            (&chroot, true, Errno::EPERM, other("EPERM")),
            (&none, false, Errno::EPERM, other("EPERM")),
            (&none, true, Errno::EINVAL, other("EINVAL")),
            (&none, false, Errno::EAGAIN, other("EAGAIN")),
        ] {
            assert_eq!(
                clues.refusal(*made, *errno),
                *expected,
                "{clues:?} {made} {errno}"
            );
        }
    }

    #[test]
    fn a_chroot_has_no_mount_at_its_root() {
        let line = |point: &str| format!("27 1 254:0 / {point} rw - ext4 /dev/vda rw\n");
        assert!(!chroot(&line("/")));
        assert!(!chroot(&(line("/proc") + &line("/"))));
        assert!(chroot(&line("/proc")));
        // Nothing to read says nothing.
        assert!(!chroot(""));
        assert!(!chroot("nonsense\n"));
    }

    #[test]
    fn filters() {
        assert!(filtered("Name:\tx\nSeccomp:\t2\n"));
        assert!(!filtered("Seccomp:\t0\nSeccomp_filters:\t2\n"));
        assert!(!filtered(""));
    }

    #[test]
    fn what_lies_over_proc() {
        let line = |point: &str| format!("27 1 254:0 / {point} rw - tmpfs tmpfs rw\n");
        let docker = line("/") + &line("/proc") + &line("/proc/kcore") + &line("/proc/sys");
        assert_eq!(masked_proc(&docker), ["/proc/kcore", "/proc/sys"]);
        let desktop = line("/") + &line("/proc") + &line("/proc/sys/fs/binfmt_misc") + &line("/procfs/x");
        assert_eq!(masked_proc(&desktop), [""; 0]);
    }
}

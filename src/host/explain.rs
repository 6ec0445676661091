//! What a step that failed says about the host, in one line: read after the failure, so that a run that goes well pays nothing.

use super::clues::Clues;
use super::refusal;
use crate::model::Host;
use crate::model::host::UserNamespaceRefusal as Refusal;
use crate::sys::Errno;

/// Says what most likely made a step fail, and what mends it. `step`: the word of the plan's step, or `clone3`; `errno`: the kernel's.
#[must_use]
pub fn diagnose(step: &str, errno: i32, host: &Host) -> Option<String> {
    hint(step, Errno::from_raw(errno), host, &Clues::read())
}

/// The same as a function of what was read.
fn hint(step: &str, errno: Errno, host: &Host, clues: &Clues) -> Option<String> {
    match (step, errno) {
        ("clone3", Errno::EMFILE | Errno::ENFILE) => Some("too many open files: raise `ulimit -n`".into()),
        ("clone3", Errno::ENOMEM) => Some("the kernel has no memory left for another process".into()),
        ("clone3", errno) => Some(refused(&clues.refusal(false, errno), clues)),
        // The kernel's rule for the map that every user may write (user_namespaces(7)); Ubuntu's AppArmor lets the namespace be made
        // and takes the rights that these steps need.
        ("identity" | "namespaces", Errno::EPERM | Errno::EACCES) => {
            known(clues.refusal(true, errno)).map(|refusal| refused(&refusal, clues))
        }
        ("namespaces", Errno::ENOSPC) => {
            Some("a limit of namespaces is reached: user.max_net_namespaces or user.max_time_namespaces (sysctl)".into())
        }
        ("root" | "mount", Errno::EPERM | Errno::EACCES) => mount_refused(clues),
        ("root" | "mount", Errno::ENOSPC) => {
            Some("a limit of mounts is reached: fs.mount-max or user.max_mnt_namespaces (sysctl)".into())
        }
        ("root" | "mount", Errno::ENODEV) => Some(
            "the kernel has no such file system: load its module as root (modprobe overlay), or build it in"
                .into(),
        ),
        ("root" | "mount", Errno::ENOSYS) if !host.kernel.at_least(5, 12) => Some(format!(
            "Linux 5.12 or later has the mount calls that sbx needs; this is {}.{}",
            host.kernel.major, host.kernel.minor
        )),
        ("landlock", Errno::EOPNOTSUPP | Errno::ENOSYS) => {
            Some("Landlock is not active: add landlock to the lsm= list of the kernel's command line".into())
        }
        ("landlock" | "seccomp", Errno::E2BIG) => {
            Some("sbx runs in too many sandboxes one in another: the kernel allows 16 Landlock layers".into())
        }
        ("process", Errno::EAGAIN) => Some(
            "there are as many processes as may be: sbx's own init is one (limits.pids, --pids-limit, --ulimit nproc)".into(),
        ),
        (_, Errno::EMFILE | Errno::ENFILE) => Some("too many open files: raise `ulimit -n`".into()),
        (_, Errno::ENOSYS | Errno::EPERM) if clues.filtered => Some(format!(
            "a seccomp filter is on sbx already: {}",
            refusal::mend(&Refusal::Outer, clues)
        )),
        _ => None,
    }
}

fn known(refusal: Refusal) -> Option<Refusal> {
    (!matches!(refusal, Refusal::Other(_))).then_some(refusal)
}

fn refused(why: &Refusal, clues: &Clues) -> String {
    format!("{}; {}", refusal::reason(why), refusal::mend(why, clues))
}

fn mount_refused(clues: &Clues) -> Option<String> {
    if clues.apparmor == Some(1) {
        return Some(refused(&Refusal::AppArmor, clues));
    }
    let masked = clues.masked_proc.first()?;
    Some(format!(
        "parts of the outer /proc are hidden ({}), so the kernel refuses a new one: run the outer container with \
         --security-opt systempaths=unconfined (docker) or unmask=ALL (podman)",
        masked.escape_debug()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::clues::Container;

    fn clues(change: impl FnOnce(&mut Clues)) -> Clues {
        let mut clues = Clues::default();
        change(&mut clues);
        clues
    }

    #[test]
    fn a_failure_is_explained_by_what_lies_around() {
        let none = Clues::default();
        let ubuntu = clues(|c| c.apparmor = Some(1));
        let debian = clues(|c| c.userns_clone = Some(0));
        let docker = clues(|c| {
            c.filtered = true;
            c.container = Some(Container::Docker);
        });
        let masked = clues(|c| c.masked_proc = vec!["/proc/kcore".into()]);
        for (step, errno, clues, expected) in [
            ("clone3", Errno::EPERM, &ubuntu, "apparmor"),
            ("identity", Errno::EACCES, &ubuntu, "apparmor"),
            ("mount", Errno::EACCES, &ubuntu, "apparmor"),
            ("clone3", Errno::EPERM, &debian, "unprivileged_userns_clone=1"),
            ("clone3", Errno::EPERM, &docker, "seccomp=unconfined"),
            ("clone3", Errno::ENOSPC, &none, "max_user_namespaces"),
            ("namespaces", Errno::ENOSPC, &none, "user.max_net_namespaces"),
            ("clone3", Errno::EAGAIN, &none, "ulimit -u"),
            ("clone3", Errno::EMFILE, &none, "ulimit -n"),
            ("clone3", Errno::EPERM, &none, "dmesg"),
            ("mount", Errno::EPERM, &masked, "/proc/kcore"),
            ("landlock", Errno::EOPNOTSUPP, &none, "lsm="),
            ("keyring", Errno::EPERM, &docker, "seccomp filter"),
            ("process", Errno::EAGAIN, &none, "--pids-limit"),
            ("terminal", Errno::EMFILE, &none, "ulimit -n"),
        ] {
            let said = hint(step, errno, &Host::debian_12(), clues).unwrap_or_default();
            assert!(said.contains(expected), "{step} {errno:?}: {said}");
            assert!(!said.contains('\n') && !said.ends_with('.'), "{said}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        let none = Clues::default();
        for (step, errno) in [
            ("mount", Errno::EPERM),
            ("mount", Errno::ENOENT),
            ("identity", Errno::EPERM),
            ("directory", Errno::EACCES),
            ("mount", Errno::ENOSYS),
        ] {
            assert_eq!(
                hint(step, errno, &Host::debian_12(), &none),
                None,
                "{step} {errno:?}"
            );
        }
    }
}

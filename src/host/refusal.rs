//! Why user namespaces are refused, in words, and the one thing that mends it: said by doctor and by a run that failed.

use super::clues::{Clues, Container};
use crate::model::host::UserNamespaceRefusal as Refusal;
use std::path::Path;

/// Why, in one line.
pub(super) fn reason(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Sysctl => {
            "this kernel refuses user namespaces to ordinary users (kernel.unprivileged_userns_clone = 0)"
                .into()
        }
        Refusal::Limit => {
            "the limit of user namespaces is reached (user.max_user_namespaces, or 32 one in another)".into()
        }
        Refusal::AppArmor => "AppArmor takes all rights from user namespaces of programs without a profile \
             (kernel.apparmor_restrict_unprivileged_userns = 1)"
            .into(),
        Refusal::Outer => "the container that sbx runs in refuses user namespaces".into(),
        Refusal::Kernel => "this kernel has no user namespaces (CONFIG_USER_NS)".into(),
        Refusal::Chroot => {
            "sbx runs in a chroot, where the kernel refuses user namespaces (user_namespaces(7))".into()
        }
        Refusal::Other(errno) if errno == "EAGAIN" => "the limit of processes is reached".into(),
        Refusal::Other(errno) => format!("user namespaces are refused ({errno})"),
    }
}

/// The command, file or flag that mends it.
pub(super) fn mend(refusal: &Refusal, clues: &Clues) -> String {
    match refusal {
        Refusal::Sysctl => set("kernel.unprivileged_userns_clone=1"),
        Refusal::Limit if clues.max_user_namespaces.is_some_and(|n| n < 64) => {
            set("user.max_user_namespaces=10000")
        }
        Refusal::Limit => {
            "end some sandboxes of this user, or as root: sysctl -w user.max_user_namespaces=100000".into()
        }
        Refusal::AppArmor => apparmor(clues.program.as_deref()),
        Refusal::Outer => outer(clues.container),
        Refusal::Kernel => "boot a kernel built with CONFIG_USER_NS=y".into(),
        Refusal::Chroot => {
            "enter the directory with pivot_root instead of chroot, as `systemd-nspawn -D DIR` does".into()
        }
        Refusal::Other(errno) if errno == "EAGAIN" => {
            "end some, or raise `ulimit -u` (nproc in /etc/security/limits.conf), or pids.max of the cgroup"
                .into()
        }
        Refusal::Other(_) => "ask the administrator which security module or limit refuses user namespaces: \
             `dmesg` and `journalctl -k` often name it"
            .into(),
    }
}

/// Kept over a reboot, too.
fn set(setting: &str) -> String {
    format!("as root: echo {setting} > /etc/sysctl.d/60-sbx.conf && sysctl --system")
}

/// Ubuntu's own way: a profile for one program that does nothing but allow it user namespaces.
fn apparmor(program: Option<&Path>) -> String {
    let Some(path) = program.and_then(Path::to_str).filter(|p| plain(p)) else {
        return "as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 (or install sbx under a path of plain \
                letters and write an AppArmor profile for it)"
            .into();
    };
    format!(
        "as root: printf 'abi <abi/4.0>,\\nprofile sbx {path} flags=(unconfined) {{ userns, }}\\n' > /etc/apparmor.d/sbx \
         && apparmor_parser -r /etc/apparmor.d/sbx"
    )
}

/// What means nothing to a shell, to printf and to AppArmor's patterns.
fn plain(path: &str) -> bool {
    path.bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'-' | b'_' | b'+'))
}

fn outer(container: Option<Container>) -> String {
    match container {
        Some(Container::Docker) => "start the outer container with --security-opt seccomp=unconfined \
             --security-opt apparmor=unconfined --security-opt systempaths=unconfined"
            .into(),
        Some(Container::Podman) => {
            "start the outer container with --security-opt seccomp=unconfined --security-opt unmask=ALL"
                .into()
        }
        None => "start what sbx runs in without a seccomp filter that refuses clone and unshare".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mend_can_be_pasted() {
        let at = |path: &str| Clues {
            program: Some(path.into()),
            ..Clues::default()
        };
        let mend_at = |path: &str| mend(&Refusal::AppArmor, &at(path));
        assert!(
            mend_at("/usr/local/bin/sbx")
                .contains("profile sbx /usr/local/bin/sbx flags=(unconfined) { userns, }")
        );
        for odd in [
            "/home/a b/sbx",
            "/tmp/$(reboot)/sbx",
            "/x/100%/sbx",
            "/x/{a,b}/sbx",
            "/x'/sbx",
            "/x\n/sbx",
        ] {
            assert!(!mend_at(odd).contains(odd), "{odd}");
        }
    }

    #[test]
    fn a_limit_of_zero_is_a_setting_and_one_that_is_reached_is_not() {
        let with = |n| Clues {
            max_user_namespaces: Some(n),
            ..Clues::default()
        };
        assert!(mend(&Refusal::Limit, &with(0)).contains("/etc/sysctl.d/"));
        assert!(mend(&Refusal::Limit, &with(15_000)).contains("end some sandboxes"));
    }

    #[test]
    fn each_container_has_its_flags() {
        for (container, flag) in [
            (Some(Container::Docker), "systempaths=unconfined"),
            (Some(Container::Podman), "unmask=ALL"),
            (None, "seccomp filter"),
        ] {
            let clues = Clues {
                container,
                ..Clues::default()
            };
            assert!(mend(&Refusal::Outer, &clues).contains(flag), "{container:?}");
        }
    }
}

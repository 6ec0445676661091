//! What the machine and its administrator give: cgroups, file systems, devices, the way to sbx.

use super::{Finding, untried};
use crate::host::Survey;
use crate::host::around::OnPath;
use crate::model::host::{Cgroup, Fact};

/// What holds where there is none.
const WITHOUT: &str = "memory is watched from outside, processes are counted in the user namespace, processors are whole: what else is limited is a loss";
/// What holds where there is one.
const WITH: &str = "limits.memory, pids, cpu and io hold for the sandbox as a whole, counted by the kernel, each where its controller is delegated";

/// What memory, processes and processor time of a whole sandbox are limited by.
const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];

pub(super) fn cgroup(survey: &Survey) -> Finding {
    let finding = match &survey.host.cgroup {
        Cgroup::Delegated {
            path, controllers, ..
        } => delegated(&path.to_string(), controllers),
        Cgroup::Systemd { bus, controllers } => {
            delegated(&format!("a scope of systemd ({bus})"), controllers)
        }
        Cgroup::NotDelegated => {
            Finding::missing("cgroup", "cgroup v2, but no directory of it is yours", WITHOUT)
                .mend(delegate(survey))
        }
        Cgroup::Legacy => Finding::missing(
            "cgroup",
            "cgroup v1, or v1 with a v2 tree beside it (hybrid): it cannot be delegated safely",
            WITHOUT,
        )
        .mend("boot with systemd.unified_cgroup_hierarchy=1 (or cgroup_no_v1=all without systemd)"),
        Cgroup::Absent => Finding::missing("cgroup", "no cgroup file system is mounted", WITHOUT)
            .mend("as root: mount -t cgroup2 none /sys/fs/cgroup"),
        // Nothing that a look finds: only a run learns it.
        Cgroup::Refused { place, errno } => {
            Finding::missing("cgroup", format!("{place}: {errno}"), WITHOUT).mend(delegate(survey))
        }
    };
    let own = survey.around.own_cgroup.as_deref().unwrap_or("none");
    finding
        .detail(format!("own cgroup (v2): {own}"))
        .detail(format!("systemd is init: {}", yes(survey.around.systemd)))
        .detail(format!(
            "a systemd of the user's own runs: {}",
            yes(survey.around.user_systemd)
        ))
}

fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

fn delegated(path: &str, controllers: &[String]) -> Finding {
    let lacking: Vec<&str> = CONTROLLERS
        .into_iter()
        .filter(|c| !controllers.iter().any(|have| have == c))
        .collect();
    let finding = if lacking.is_empty() {
        Finding::works("cgroup", format!("{path} is yours"), WITH)
    } else {
        Finding::degraded(
            "cgroup",
            format!("{path} is yours, without {}", lacking.join(", ")),
            WITHOUT,
        )
        .mend(
            "as root, write `[Service]` and `Delegate=cpu cpuset io memory pids` to \
             /etc/systemd/system/user@.service.d/delegate.conf, and log in anew",
        )
    };
    finding.detail(format!("controllers: {}", controllers.join(" ")))
}

fn delegate(survey: &Survey) -> String {
    if survey.around.user_systemd {
        "systemd-run --user --scope -p Delegate=yes sbx run …".into()
    } else if survey.around.systemd {
        "log in by ssh or on a console instead of su or sudo, so that systemd starts a session with a cgroup of its own".into()
    } else {
        format!(
            "as root: mkdir /sys/fs/cgroup/sbx && chown -R {} /sys/fs/cgroup/sbx, and start your shell in it",
            survey.host.caller.uid
        )
    }
}

pub(super) fn overlay(survey: &Survey) -> Finding {
    const REFUSED: &str = "an image is shown by fuse-overlayfs where that can be had (`sbx doctor fuse`), else copied for each run, which takes its time and its space; `--workspace overlay` is refused, and the root of a directory is read-only";
    let store = survey.around.store.parent.display();
    match &survey.host.overlay {
        Fact::Works => Finding::works(
            "overlay",
            format!("works with userxattr over {store}"),
            "an image runs as an overlay of its layers; `--workspace overlay` and writes to the root go to memory and leave the original alone",
        ),
        Fact::Missing(why) => untried("overlay", why, REFUSED).unwrap_or_else(|| Finding::missing(
            "overlay",
            format!("cannot be mounted over {store} ({why})"),
            REFUSED,
        )
        .mend("Linux 5.11 or later with the module overlay (as root: modprobe overlay), and the store on a local file system: set XDG_DATA_HOME")),
    }
}

pub(super) fn store(survey: &Survey) -> Finding {
    let store = &survey.around.store;
    let follows = "images would be kept there; `host` and directories need no store";
    match &store.refused {
        None => Finding::works(
            "store",
            format!("{} can be written", store.path.display()),
            follows,
        ),
        Some(why) => Finding::missing(
            "store",
            format!(
                "{} cannot be written: {}: {why}",
                store.path.display(),
                store.parent.display()
            ),
            "nothing can be kept; `host` and directories need no store",
        )
        .mend("set XDG_DATA_HOME to a directory that you may write"),
    }
    .detail(format!(
        "nearest directory that exists: {}",
        store.parent.display()
    ))
}

pub(super) fn fuse(survey: &Survey) -> Finding {
    device(
        "fuse",
        "/dev/fuse",
        &survey.host.fuse,
        match &survey.host.fuse_overlayfs {
            Some(_) => {
                "where the kernel's own overlay is refused, an image is shown by fuse-overlayfs (not under strict)"
            }
            None => {
                "nothing: fuse-overlayfs is not installed; where the kernel's own overlay is refused, an image is copied"
            }
        },
    )
}

pub(super) fn tun(survey: &Survey) -> Finding {
    device(
        "tun",
        "/dev/net/tun",
        &survey.host.tun,
        "only pasta and slirp4netns need it: the networks `none` and `host` do not",
    )
}

fn device(probe: &'static str, path: &str, fact: &Fact<String>, follows: &str) -> Finding {
    if let Fact::Missing(why) = fact
        && let Some(finding) = untried(probe, why, follows)
    {
        return finding;
    }
    match fact {
        Fact::Works => Finding::works(probe, format!("{path} can be opened"), follows),
        Fact::Missing(why) if why.starts_with("ENOENT") => {
            Finding::missing(probe, format!("there is no {path}"), follows).mend(format!(
                "as root: modprobe {probe}; in a container: start it with --device {path}"
            ))
        }
        Fact::Missing(why) if why.starts_with("EACCES") => {
            Finding::missing(probe, format!("{path} is not for you ({why})"), follows)
                .mend(format!("as root: chmod 666 {path}, as udev does where it runs"))
        }
        Fact::Missing(why) => Finding::missing(probe, format!("{path} cannot be opened ({why})"), follows)
            .mend(format!(
                "in a container: start it with --device {path}; as root: modprobe {probe}"
            )),
    }
}

pub(super) fn path(survey: &Survey) -> Finding {
    let own = survey
        .clues
        .program
        .as_ref()
        .map_or_else(|| "this program".to_owned(), |p| p.display().to_string());
    match &survey.around.path {
        OnPath::This => Finding::works("path", format!("`sbx` is {own}"), "a shell starts this one"),
        OnPath::None => Finding::degraded(
            "path",
            "no `sbx` on PATH",
            format!("it has to be called by its path, {own}"),
        )
        .mend("add its directory to PATH"),
        OnPath::Other(other) => Finding::degraded(
            "path",
            format!("`sbx` on PATH is another program: {}", other.display()),
            format!("a shell starts that one, and not {own}"),
        )
        .mend("remove the other one, or put the directory of this one before it in PATH"),
    }
}

//! What the kernel gives: its version, seccomp, Landlock, `/proc`, limits and clocks of namespaces.

use super::{Finding, untried};
use crate::host::Survey;
use crate::host::clues::Container;
use crate::model::host::{Fact, Kernel, ProcMount};

/// `mount_setattr` came with Linux 5.12, and no mount of sbx is made without it.
const OLDEST: Kernel = Kernel { major: 5, minor: 12 };

/// Up to here versions bring something that sbx uses (landlock(7), overlayfs, proc(5)).
const NEWEST_USED: Kernel = Kernel { major: 6, minor: 12 };

fn shown(kernel: Kernel) -> String {
    format!("Linux {}.{}", kernel.major, kernel.minor)
}

pub(super) fn version(survey: &Survey) -> Finding {
    let kernel = survey.host.kernel;
    let found = shown(kernel);
    if kernel < OLDEST {
        Finding::missing("kernel", found, "no run: the mount calls that every run makes are not there")
            .mend("boot Linux 5.13 or later, which has Landlock too")
    } else if kernel < NEWEST_USED {
        Finding::degraded("kernel", found, "runs, without what later kernels bring (see landlock)")
            .mend("boot Linux 6.12 or later")
    } else {
        Finding::works("kernel", found, "everything that sbx uses is in this version")
    }
    .detail("5.12 mount_setattr, without which there is no run; 5.13 Landlock; 6.7 Landlock for TCP; 6.12 Landlock for signals and abstract sockets")
}

pub(super) fn seccomp(survey: &Survey) -> Finding {
    let finding = match &survey.host.seccomp {
        Fact::Works => Finding::works(
            "seccomp",
            "a filter can be installed",
            "system calls are filtered as the profile says",
        ),
        Fact::Missing(why) => {
            const FOLLOWS: &str = "no run under a profile that requires it, as all built-in ones do";
            untried("seccomp", why, FOLLOWS).unwrap_or_else(|| {
                Finding::missing(
                    "seccomp",
                    format!("a filter cannot be installed ({why})"),
                    FOLLOWS,
                )
                .mend(
                    "boot a kernel with CONFIG_SECCOMP_FILTER=y, or let the outer container allow seccomp(2)",
                )
            })
        }
    };
    if survey.clues.filtered {
        finding.detail("a filter of whatever started sbx is in force already, and stays in force inside")
    } else {
        finding
    }
}

pub(super) fn landlock(survey: &Survey) -> Finding {
    let abi = survey.host.landlock_abi;
    let found = format!("ABI {abi}");
    let finding = match abi {
        0 => Finding::missing(
            "landlock",
            "not in this kernel, or not active",
            "no run under a profile that requires it, as default and strict do",
        )
        .mend("boot with lsm=landlock,… on the kernel's command line (Linux 5.13 or later; `cat /sys/kernel/security/lsm` shows the list)"),
        1..=3 => Finding::degraded(
            "landlock",
            found,
            "a second wall for files; none for TCP, signals and abstract sockets, where the namespaces alone hold",
        )
        .mend("boot Linux 6.12 or later"),
        4 | 5 => Finding::degraded(
            "landlock",
            found,
            "a second wall for files and TCP; none for signals and abstract sockets, where the namespaces alone hold",
        )
        .mend("boot Linux 6.12 or later"),
        _ => Finding::works(
            "landlock",
            found,
            "a second wall for files, TCP, signals and abstract sockets",
        ),
    };
    finding.detail("ABI 1 files (Linux 5.13), 4 TCP (6.7), 6 signals and abstract sockets (6.12)")
}

pub(super) fn proc(survey: &Survey) -> Finding {
    let finding = match survey.host.proc {
        ProcMount::Private => Finding::works(
            "proc",
            "a fresh /proc with its own processes only",
            "nothing of the host's processes is seen inside",
        ),
        ProcMount::Fresh => Finding::degraded(
            "proc",
            "a fresh /proc, but the kernel knows no subset=pid",
            "the kernel's own files in /proc are seen inside where the profile does not mask them",
        )
        .mend("boot Linux 5.8 or later"),
        ProcMount::Refused if !survey.host.user_namespaces.works() => Finding::missing(
            "proc",
            "not tried: no user namespace to try it in",
            "nothing of its own: see user-namespaces",
        ),
        ProcMount::Refused => Finding::missing(
            "proc",
            "the kernel refuses a new /proc, since the outer one is partly hidden",
            "there is no /proc inside, or no run where private-proc is required, as in strict",
        )
        .mend(unmask(survey)),
    };
    survey.clues.masked_proc.iter().fold(finding, |finding, path| {
        finding.detail(format!("hidden or covered in the outer /proc: {path}"))
    })
}

fn unmask(survey: &Survey) -> &'static str {
    match survey.clues.container {
        Some(Container::Docker) => "start the outer container with --security-opt systempaths=unconfined",
        Some(Container::Podman) => "start the outer container with --security-opt unmask=ALL",
        None => "as root, unmount what covers parts of /proc (sbx doctor proc lists it)",
    }
}

pub(super) fn nested_namespaces(survey: &Survey) -> Finding {
    match &survey.host.namespace_limits {
        Fact::Works => Finding::works(
            "nested-namespaces",
            "can be forbidden inside",
            "nobody inside becomes root of a namespace of its own",
        ),
        Fact::Missing(why) => {
            const FOLLOWS: &str = "user namespaces inside are forbidden by the seccomp filter alone; no run under strict, which requires both";
            untried("nested-namespaces", why, FOLLOWS).unwrap_or_else(|| {
                Finding::missing("nested-namespaces", format!("user.max_user_namespaces cannot be set inside ({why})"), FOLLOWS).mend("start the outer container with a writable /proc/sys (docker: --security-opt systempaths=unconfined)")
            })
        }
    }
}

pub(super) fn time_namespace(survey: &Survey) -> Finding {
    match &survey.host.time_namespace {
        Fact::Works => Finding::works(
            "time-namespace",
            "can be made",
            "a profile that asks for it hides the host's uptime",
        ),
        Fact::Missing(why) => {
            const FOLLOWS: &str = "the host's uptime is seen inside; nothing else changes";
            untried("time-namespace", why, FOLLOWS).unwrap_or_else(|| {
                Finding::missing("time-namespace", format!("cannot be made ({why})"), FOLLOWS)
                    .mend("boot Linux 5.6 or later with CONFIG_TIME_NS=y")
            })
        }
    }
}

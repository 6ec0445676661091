//! What a step that failed tells of the host. A run starts from facts that are presumed; the first one that does not hold is learned
//! here, and the plan is made once more.

use super::step::{Plan, Step, Upper};
use crate::model::Host;
use crate::model::host::{Cgroup, Fact, ProcMount};
use crate::sys::Errno;

/// What says nothing of overlay: a layer that is gone, and a machine that has no more to give.
const MACHINE: [Errno; 5] = [
    Errno::ENOENT,
    Errno::ENOMEM,
    Errno::ENOSPC,
    Errno::EMFILE,
    Errno::ENFILE,
];

/// The same where a file that is missing is the device.
const EXHAUSTED: [Errno; 4] = [Errno::ENOMEM, Errno::ENOSPC, Errno::EMFILE, Errno::ENFILE];

/// Takes a failed step as a fact about the host, where it is one. `false` when nothing new is learned.
pub fn learn(plan: &Plan, step: usize, errno: Errno, host: &mut Host) -> bool {
    let refused = || Fact::Missing("the kernel refuses it".into());
    let before = host.clone();
    match plan.steps.get(step).map(|p| &p.step) {
        // What `mount_too_revealing` answers; a place that cannot be mounted on has other words.
        Some(Step::Proc(..)) if errno == Errno::EPERM => host.proc = ProcMount::Refused,
        // The next rung of the ladder; a directory that was named has none below it.
        Some(Step::Cgroup(group)) => {
            host.cgroup = Cgroup::Refused {
                place: group.place(),
                errno: errno.to_string(),
            };
        }
        Some(Step::TimeNamespace) => host.time_namespace = refused(),
        Some(Step::NoNestedNamespaces) => {
            host.namespace_limits = Fact::Missing("/proc/sys is read-only".into());
        }
        // The store may lie where no overlay can be, and the workspace not.
        Some(Step::RootOverlay(layers, ..)) if !layers.names.is_empty() && MACHINE.contains(&errno) => {}
        Some(Step::RootOverlay(layers, ..)) if !layers.names.is_empty() => {
            host.image_overlay = Fact::Missing(errno.to_string());
        }
        // The store's file system may do as a lower layer and not as an upper one.
        Some(Step::RootOverlay(_, Upper::Disk(_), _)) => host.disk_upper = Fact::Missing(errno.to_string()),
        Some(Step::RootOverlay(..) | Step::WorkspaceOverlay(..)) => host.overlay = refused(),
        Some(Step::RootFuse { .. }) if EXHAUSTED.contains(&errno) => {}
        Some(Step::RootFuse { .. }) => host.fuse = Fact::Missing(errno.to_string()),
        _ => {}
    }
    *host != before
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::InRoot;
    use crate::plan::{Planned, ProcKind};

    #[test]
    fn each_fact_is_learned_once_and_several_may_be() {
        let steps = [
            Step::NoNestedNamespaces,
            Step::Proc(InRoot::root(), ProcKind::Whole, Vec::new()),
            Step::TimeNamespace,
            Step::PivotRoot,
        ];
        let planned = |step| Planned {
            step,
            reason: String::new(),
        };
        let plan = Plan {
            steps: steps.map(planned).into(),
            losses: Vec::new(),
            notes: Vec::new(),
            stop_signal: None,
        };
        let mut host = Host::landlock_abi(7);
        for (step, errno, expected) in [
            (0, Errno::EROFS, true),
            (0, Errno::EROFS, false),
            // Not what a kernel that refuses `/proc` answers.
            (1, Errno::ENOTDIR, false),
            (1, Errno::EPERM, true),
            (1, Errno::EPERM, false),
            (2, Errno::EPERM, true),
            (3, Errno::EPERM, false),
            (4, Errno::EPERM, false),
        ] {
            assert_eq!(
                learn(&plan, step, errno, &mut host),
                expected,
                "step {step}, {errno}"
            );
        }
    }
}

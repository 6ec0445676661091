//! Hints about mounts that the kernel refused: the target, or what lies below the source.

use crate::host;
use crate::plan::{Plan, Step};
use crate::sys::Errno;

/// Whether overlay was refused for this working directory alone, so that nothing is learned of the host.
pub(super) fn explains(plan: &Plan, step: usize, errno: Errno) -> bool {
    let step = plan.steps.get(step).map(|planned| &planned.step);
    step.is_some_and(|step| matches!(step, Step::WorkspaceOverlay(..)) && hint(step, errno).is_some())
}

/// Says what about a mount's place made it fail, and what would be right.
pub(super) fn hint(step: &Step, errno: Errno) -> Option<String> {
    if let Step::WorkspaceOverlay(source, ..) = step {
        return match errno {
            Errno::EINVAL => host::mount_below(source.as_path()).map(|point| {
                let point = point.escape_debug();
                format!("{point} is mounted below it, and the kernel makes no overlay over that: unmount it, or use --workspace writable")
            }),
            Errno::ESTALE => Some("the working directory was replaced by another one meanwhile: start again in it".into()),
            _ => None,
        };
    }
    let (Step::Bind(_, at, _) | Step::Tmpfs(at, ..)) = step else {
        return None;
    };
    match errno {
        Errno::ENOENT => Some(format!(
            "{at} is not in the directory of the host that is shown there, and nothing is made in one: make it on the host, or choose another target"
        )),
        Errno::ELOOP => Some(format!(
            "{at} leads through a link: write the path that it leads to"
        )),
        Errno::ENOTDIR | Errno::EINVAL => Some(format!(
            "{at} is of another kind: a directory is mounted on a directory, and a file on a file"
        )),
        _ => None,
    }
}

//! What a plan says besides: what its reader would otherwise learn from a failure.

use super::Facts;
use super::identity::Identity;
use super::step::{Planned, Step, Upper, sealed};
use crate::model::Host;
use crate::policy::Policy;
use crate::profile::schema::WorkdirMode;

/// Under root the command runs as an id that owns nothing of the host, and most of what root works in is root's.
pub(super) fn workspace_of_root(policy: &Policy, identity: &Identity, facts: &Facts) -> Option<String> {
    let source = policy.workspace.source.as_ref()?;
    let written = matches!(
        policy.workspace.mode.value,
        WorkdirMode::Writable | WorkdirMode::Overlay
    );
    let command = identity.uids.to_host(identity.uid)?;
    let of_root = facts.workspace.is_some_and(|w| w.uid == 0 && w.mode & 0o002 == 0);
    (written && of_root && command != 0).then(|| {
        format!("{source} belongs to root and the command runs as uid {command} of the host, so it writes only what everyone may: chown it, or use --map host-root")
    })
}

/// Overlay marks a directory that hides a lower one with an attribute. What is written lies in a tmpfs, which has none before Linux 6.6.
pub(super) fn unmarked_directories(steps: &[Planned], host: &Host) -> Option<String> {
    let written = steps.iter().any(|p| match p.step {
        Step::RootOverlay(_, Upper::Memory(_), _) => !sealed(steps),
        Step::WorkspaceOverlay(..) => true,
        _ => false,
    });
    (written && !host.kernel.at_least(6, 6)).then(|| {
        "before Linux 6.6 a directory that lies below an overlay cannot be removed, replaced or moved (EIO, Input/output error)".to_owned()
    })
}

/// Optional mounts and devices that are left out although they may exist.
pub(super) fn unreadable_sources(policy: &Policy, facts: &Facts) -> Option<String> {
    let binds = policy.binds.iter().filter(|b| b.value.optional);
    let devices = policy.devices.iter().filter(|d| d.value.optional);
    let sources = binds
        .map(|b| &b.value.source)
        .chain(devices.map(|d| &d.value.source));
    let named: Vec<String> = sources
        .filter_map(|source| Some(format!("{source} ({})", facts.unreadable.get(source)?)))
        .collect();
    (!named.is_empty()).then(|| format!("optional mounts left out: cannot look up {}", named.join(", ")))
}

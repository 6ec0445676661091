//! Set-id bits on files of the host: whether the sandbox could leave a program there that runs as the caller.

use super::Facts;
use super::build::add;
use super::identity::Identity;
use super::step::{Planned, Step};
use crate::model::Host;
use crate::policy::{Policy, Root};
use crate::profile::schema::{StreamFiles, TerminalMode};
use crate::seccomp::Table;

/// The filter with the guard `set-id-bits`, or without it where no such program can be left.
pub(super) fn filter(
    table: Table,
    policy: &Policy,
    (host, facts): (&Host, &Facts),
    identity: &Identity,
    steps: &[Planned],
) -> Table {
    if is_caller(host, identity)
        && (shows_files(steps) || is_passed(policy, facts) || !matches!(policy.root, Root::Image(_)))
    {
        table
    } else {
        table.with_set_id_bits()
    }
}

/// Relays the regular files on standard streams, where the profile asks for it.
pub(super) fn relay(policy: &Policy, facts: &Facts, steps: &mut Vec<Planned>) {
    let (files, wanted) = (facts.stream_files, &policy.stream_files);
    let piped = policy.terminal.value != TerminalMode::Always;
    if files.contains(&true) && piped && wanted.value == StreamFiles::Relay {
        let reason = format!("terminal.files = relay ({})", wanted.origin);
        add(steps, Step::RelayFiles(files), reason);
    }
}

/// Whether a regular file on a standard stream is handed over itself.
fn is_passed(policy: &Policy, facts: &Facts) -> bool {
    facts.stream_files.contains(&true) && policy.stream_files.value == StreamFiles::Pass
}

/// Whether some id inside is the caller: files that it makes are the caller's.
fn is_caller(host: &Host, identity: &Identity) -> bool {
    let caller = &host.caller;
    identity.uids.to_inside(caller.uid).is_some() || identity.gids.to_inside(caller.gid).is_some()
}

/// Whether files of the host can be written by name. What a package manager writes to the root of an image is not among them: it goes to
/// memory, or to a directory of the store that nobody else can enter.
fn shows_files(steps: &[Planned]) -> bool {
    steps
        .iter()
        .any(|planned| matches!(&planned.step, Step::Bind(_, _, at) if at.writable && !at.devices))
}

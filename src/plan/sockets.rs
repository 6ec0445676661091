//! Named unix sockets of the host: a mask over those that a shown directory holds, and Landlock's right where the kernel has it.

use super::build::add;
use super::filesystem::Builder;
use super::loss::{Ledger, Refusal};
use super::step::{Planned, Step};
use super::{Facts, links};
use crate::model::{Host, InRoot, Protection};
use crate::policy::Policy;

/// The first Landlock ABI with a right for named sockets (Linux 7.1).
const LANDLOCK_ABI: u8 = 9;

fn by_landlock(policy: &Policy, host: &Host) -> bool {
    policy.enforcement.wants(Protection::Landlock) && host.landlock_abi >= LANDLOCK_ABI
}

/// Whether mount sources are looked up for sockets, and directories searched for them.
#[must_use]
pub fn sockets_looked_up(policy: &Policy, host: &Host) -> Option<bool> {
    let wanted = policy.enforcement.wants(Protection::HostSockets);
    wanted.then(|| !by_landlock(policy, host))
}

/// Adds Landlock's rules, or notes what no mask covers.
///
/// # Errors
/// When more is required than this host can give.
pub(super) fn decide(
    policy: &Policy,
    host: &Host,
    facts: &Facts,
    ledger: &mut Ledger<'_>,
    steps: &mut Vec<Planned>,
) -> Result<(), Refusal> {
    if sockets_looked_up(policy, host) == Some(false) {
        // A socket that is a mount by itself was asked for by name.
        let named = policy.binds.iter().filter(|bind| {
            let found = facts.sources.get(&bind.value.source);
            found.is_some_and(|found| facts.sockets.named.contains(&found.real))
        });
        let allowed = named
            .map(|bind| links::follow(steps, &bind.value.target))
            .collect();
        add(
            steps,
            Step::LandlockSockets(allowed),
            "unix sockets in shown directories may belong to processes of the host",
        );
        return Ok(());
    }
    let unsearched: Vec<String> = facts.sockets.unsearched.iter().map(ToString::to_string).collect();
    if unsearched.is_empty() {
        return Ok(());
    }
    let reason = format!(
        "unix sockets deep in {} were not looked for and can be connected to",
        unsearched.join(", ")
    );
    ledger.lacks(
        Protection::HostSockets,
        &reason,
        "show a smaller directory, or Linux 7.1 or later",
    )
}

impl Builder<'_> {
    /// Masks each socket that was found, unless another mount lies over its directory.
    pub(super) fn mask_sockets(&mut self) {
        for bind in &self.policy.binds {
            let Some(found) = self.facts.sources.get(&bind.value.source) else {
                continue;
            };
            let target = links::follow(&self.steps, &bind.value.target);
            for relative in self.facts.sockets.beneath.get(&found.real).into_iter().flatten() {
                let Ok(at) = InRoot::new(target.as_path().join(relative)) else {
                    continue;
                };
                let over = self.mounts.iter().filter(|(mount, _)| at.is_beneath(mount));
                let nearest = over.max_by_key(|(mount, _)| mount.as_path().components().count());
                if nearest.is_some_and(|(mount, _)| *mount == target) {
                    self.add(
                        Step::Mask(at),
                        "a unix socket of the host (enforcement.host-sockets)",
                    );
                }
            }
        }
    }
}

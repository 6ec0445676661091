//! The second wall: what the mounts allow, said once more to Landlock.
//!
//! It holds where mounts do not: a magic link (`/proc/self/exe` in a `#!` line, CVE-2019-5736) or an inherited directory leads to
//! a file outside the root, and Landlock, which walks up from the file, finds no rule there.

use super::build::add;
use super::loss::{Ledger, Refusal};
use super::step::{Access, Attributes, Planned, ProcKind, Rule, Step, sealed};
use crate::model::{Host, InRoot, Protection};
use crate::policy::Policy;
use crate::profile::schema::NetworkMode;
use crate::seccomp::Table;

const NOTHING: Access = Access {
    write: false,
    execute: false,
    device: false,
};

/// Adds the wall as far as the host has it.
///
/// # Errors
/// When more of it is required.
pub(super) fn decide(
    policy: &Policy,
    host: &Host,
    ledger: &mut Ledger<'_>,
    steps: &mut Vec<Planned>,
) -> Result<(), Refusal> {
    let wants = |protection| policy.enforcement.wants(protection);
    // The rules for TCP and the scopes belong to the same domain: without it there is neither.
    let abi = if wants(Protection::Landlock) {
        host.landlock_abi
    } else {
        0
    };
    let mend = |mend| {
        if wants(Protection::Landlock) {
            mend
        } else {
            "set enforcement.landlock to prefer or require"
        }
    };
    let ports: Vec<u16> = policy.connect.iter().map(|port| port.value).collect();
    let host = policy.network.value == NetworkMode::Host;
    let network = (!host || !ports.is_empty()) && wants(Protection::LandlockNetwork);
    if network && abi < 4 {
        let reason = if host {
            "every TCP port can be connected to, on this machine too, and listened at"
        } else {
            "no second wall for TCP; the net namespace holds"
        };
        ledger.lacks(Protection::LandlockNetwork, reason, mend("Linux 6.7 or later"))?;
    }
    let scopes = wants(Protection::LandlockScopes);
    if scopes && abi < 6 {
        let reason = match policy.network.value {
            NetworkMode::Host => {
                "abstract sockets of the host can be reached; no second wall for signals, where the pid namespace holds"
            }
            _ => "no second wall for signals and abstract sockets; the pid and net namespaces hold",
        };
        ledger.lacks(Protection::LandlockScopes, reason, mend("Linux 6.12 or later"))?;
    }
    if !wants(Protection::Landlock) {
        return Ok(());
    }
    if abi == 0 {
        let mend = "boot with landlock in the lsm= list, Linux 5.13 or later";
        return ledger.lacks(Protection::Landlock, "the kernel has no Landlock", mend);
    }
    let rules = rules(steps);
    let step = Step::Landlock {
        abi,
        tcp: (network && abi >= 4).then_some(ports),
        scopes: scopes && abi >= 6,
        nodes: policy.syscalls.as_ref().is_some_and(Table::makes_nodes),
        rules,
    };
    add(steps, step, "a second wall behind the mounts");
    Ok(())
}

/// The rules that repeat the mounts among the steps. Reading is allowed everywhere in the root.
pub(super) fn rules(steps: &[Planned]) -> Vec<Rule> {
    let mut all: Vec<Rule> = Vec::new();
    for planned in steps {
        match &planned.step {
            Step::RootTmpfs(_) => put(&mut all, InRoot::root(), NOTHING),
            Step::RootBind(_) => put(
                &mut all,
                InRoot::root(),
                Access {
                    execute: true,
                    ..NOTHING
                },
            ),
            Step::RootOverlay(..) | Step::RootFuse { .. } | Step::RootCopy(_) => {
                put(
                    &mut all,
                    InRoot::root(),
                    Access {
                        execute: true,
                        write: !sealed(steps),
                        device: false,
                    },
                );
            }
            Step::Bind(_, at, a) | Step::Tmpfs(at, _, _, a) | Step::WorkspaceOverlay(_, at, _, a) => {
                put(&mut all, at.clone(), access(*a));
            }
            Step::Device { at, .. } => put(&mut all, at.clone(), access(Attributes::DEVICE)),
            Step::Devpts(at) => put(
                &mut all,
                at.clone(),
                Access {
                    device: true,
                    ..NOTHING
                },
            ),
            Step::Mqueue(at) => put(
                &mut all,
                at.clone(),
                Access {
                    write: true,
                    ..NOTHING
                },
            ),
            Step::ReadOnly(at) => {
                if let Some(rule) = all.iter_mut().find(|rule| rule.at == *at) {
                    rule.access.write = false;
                }
            }
            // /proc/self/{oom_score_adj,comm,task} are written by ordinary programs; kernel files are mounted read-only.
            Step::Proc(at, ProcKind::Whole, _) => put(
                &mut all,
                at.clone(),
                Access {
                    write: true,
                    ..NOTHING
                },
            ),
            _ => {}
        }
    }
    all
}

fn access(a: Attributes) -> Access {
    Access {
        write: a.writable && !a.devices,
        execute: a.execute,
        device: a.devices,
    }
}

/// A rule that allows nothing beyond reading adds nothing to the root's own.
fn put(all: &mut Vec<Rule>, at: InRoot, access: Access) {
    if access != NOTHING || at == InRoot::root() {
        all.push(Rule { at, access });
    }
}

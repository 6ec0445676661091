//! The second wall: what the mounts allow, said once more to Landlock.
//!
//! It holds where mounts do not: a magic link (`/proc/self/exe` in a `#!` line, CVE-2019-5736) or an inherited directory leads to
//! a file outside the root, and Landlock, which walks up from the file, finds no rule there.

use super::step::{Access, Attributes, Planned, ProcKind, Rule, Step, sealed};
use crate::model::InRoot;

const NOTHING: Access = Access {
    write: false,
    execute: false,
    device: false,
};

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
            Step::ReadOnly(at) => {
                if let Some(rule) = all.iter_mut().find(|rule| rule.at == *at) {
                    rule.access.write = false;
                }
            }
            // /proc/self/{oom_score_adj,comm,task} are written by ordinary programs; kernel files are mounted read-only.
            Step::Proc(at, ProcKind::Whole) => put(
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

//! What every plan must be, whatever policy and host it was made from. Pure; held against generated plans by a property test, and
//! asked once more by `sandbox` before a plan is carried out.

use super::links;
use super::place::{Holds, holds};
use super::step::{Plan, Step};
use crate::model::{Capability, InRoot};

/// A rule that a plan breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the plan breaks a rule of its own at step {at} ({step}): {rule}")]
pub struct Violation {
    /// Counted from 0.
    pub at: usize,
    /// The step, for people.
    pub step: String,
    /// The rule.
    pub rule: &'static str,
}

/// Steps that stand in every plan, in this order. Between them others may stand.
const ORDER: [fn(&Step) -> bool; 10] = [
    |s| matches!(s, Step::Clone(_)),
    |s| matches!(s, Step::MapIds { .. }),
    is_root,
    |s| matches!(s, Step::PivotRoot),
    |s| matches!(s, Step::SetIds { .. }),
    |s| matches!(s, Step::Capabilities(..)),
    |s| matches!(s, Step::NoNewPrivileges),
    |s| matches!(s, Step::Session),
    |s| matches!(s, Step::CloseRange),
    |s| matches!(s, Step::Exec { .. }),
];

impl Plan {
    /// Checks the order of steps and what each may touch.
    ///
    /// # Errors
    /// At the first rule that is broken.
    pub fn verify(&self) -> Result<(), Violation> {
        self.skeleton()?;
        for (at, planned) in self.steps.iter().enumerate() {
            if let Err(rule) = self.step(at, &planned.step) {
                return Err(self.broken(at, rule));
            }
        }
        Ok(())
    }

    fn broken(&self, at: usize, rule: &'static str) -> Violation {
        let step = self.steps.get(at).map(|p| p.step.to_string()).unwrap_or_default();
        Violation { at, step, rule }
    }

    /// Each step of [`ORDER`] exactly once and in its place; the command last.
    fn skeleton(&self) -> Result<(), Violation> {
        let mut after = 0;
        for wanted in ORDER {
            let mut found = self
                .steps
                .iter()
                .enumerate()
                .filter(|(_, p)| wanted(&p.step))
                .map(|(at, _)| at);
            let at = found
                .next()
                .ok_or_else(|| self.broken(after, "a step is missing behind it"))?;
            if let Some(again) = found.next() {
                return Err(self.broken(again, "it stands here twice"));
            }
            if at < after {
                return Err(self.broken(at, "it comes too early"));
            }
            after = at;
        }
        if after + 1 == self.steps.len() {
            Ok(())
        } else {
            Err(self.broken(after, "nothing comes after the command"))
        }
    }

    fn position(&self, wanted: fn(&Step) -> bool) -> Option<usize> {
        self.steps.iter().position(|p| wanted(&p.step))
    }

    fn before(&self, at: usize, other: fn(&Step) -> bool) -> bool {
        self.position(other).is_none_or(|other| at < other)
    }

    fn step(&self, at: usize, step: &Step) -> Result<(), &'static str> {
        let pivot = |s: &Step| matches!(s, Step::PivotRoot);
        match step {
            Step::Seccomp(_) if at + 2 != self.steps.len() => {
                Err("nothing but the command comes after the filter")
            }
            Step::CloseRange if !self.only_filter_after(at) => {
                Err("only the filter and the command come after it")
            }
            Step::Landlock { rules, .. } => {
                let made = super::landlock::rules(self.steps.get(..at).unwrap_or_default());
                match (
                    self.before(at, |s| matches!(s, Step::NoNewPrivileges)),
                    *rules == made,
                ) {
                    (true, _) => Err("the kernel wants no_new_privs first"),
                    (_, false) => Err("its rules are not those of the mounts"),
                    _ => Ok(()),
                }
            }
            Step::LandlockSockets(_) if self.before(at, |s| matches!(s, Step::NoNewPrivileges)) => {
                Err("the kernel wants no_new_privs first")
            }
            Step::Groups(_) if !self.before(at, |s| matches!(s, Step::SetIds { .. })) => {
                Err("groups cannot be dropped once the ids are changed")
            }
            Step::Capabilities(kept, _)
                if Capability::all().any(|c| kept.holds(c) && c.undoes_the_sandbox()) =>
            {
                Err("a kept capability undoes the sandbox")
            }
            Step::StartIn(_) if self.before(at, pivot) => Err("the directory is one of the new root"),
            step => match holds(step) {
                Some((_, _)) if !self.before(at, pivot) => Err("nothing is mounted or made after the pivot"),
                Some((place, kind)) => self.place(at, place, kind),
                None => Ok(()),
            },
        }
    }

    fn only_filter_after(&self, at: usize) -> bool {
        let rest = self.steps.get(at + 1..).unwrap_or_default();
        rest.iter()
            .all(|p| matches!(p.step, Step::Seccomp(_) | Step::Exec { .. }))
    }

    fn place(&self, at: usize, place: &InRoot, kind: Holds) -> Result<(), &'static str> {
        let earlier = self.steps.get(..at).unwrap_or_default();
        if *place != InRoot::root() && links::follow(earlier, place) != *place {
            return Err("its path leads through a link");
        }
        let governing = earlier.iter().rev().find_map(|p| match holds(&p.step) {
            Some((mount, kind)) if kind.mounts() && place.is_beneath(mount) && place != mount => Some(kind),
            _ => is_root(&p.step).then_some(Holds::Own),
        });
        match (kind, governing) {
            (_, None) => Err("it comes before the root"),
            (Holds::Made, Some(Holds::Host)) => Err("nothing may be made in a tree of the host"),
            (Holds::Device, _) if !place.as_path().starts_with("/dev") && !self.asked(at) => {
                Err("a device outside /dev that nobody asked for")
            }
            (kind, _) if kind.mounts() && self.hides(at, place) => Err("it hides an earlier mount below it"),
            _ => Ok(()),
        }
    }

    /// Whether a step is a device that a flag or a line of a profile asks for.
    fn asked(&self, at: usize) -> bool {
        let step = self.steps.get(at).map(|p| &p.step);
        matches!(step, Some(Step::Device { asked: true, .. }))
    }

    /// Whether an earlier mount lies strictly below this one.
    fn hides(&self, at: usize, place: &InRoot) -> bool {
        self.steps
            .get(..at)
            .unwrap_or_default()
            .iter()
            .any(|p| match holds(&p.step) {
                Some((mount, kind)) => kind.mounts() && mount != place && mount.is_beneath(place),
                None => false,
            })
    }
}

fn is_root(step: &Step) -> bool {
    matches!(
        step,
        Step::RootTmpfs(_)
            | Step::RootBind(_)
            | Step::RootOverlay(..)
            | Step::RootFuse { .. }
            | Step::RootCopy(_)
    )
}

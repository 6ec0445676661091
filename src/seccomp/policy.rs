//! The `[syscalls]` of a profile to a [`Table`] of verdicts.

use super::errno::{self, ENOSYS, EPERM};
use super::groups;
use super::guard::{self, GUARDS, SOCKET_FAMILIES};
use super::sockets::Family;
use super::table;
use super::verdict::{Answer, Check, Verdict};
use super::verdicts::{Entry, Kind, Kinds, Named, Table};
use crate::model::{self, Origin, Set};
use std::collections::BTreeMap;

/// What a profile says about system calls.
#[derive(Debug, Clone, Copy)]
pub struct Spec<'a> {
    /// Names and `@groups` that are allowed.
    pub allow: &'a [Set<String>],
    /// Names and `@groups` that are refused, with the name of the errno. Stronger than `allow`; a name is stronger than a group, and
    /// a later group in alphabetical order stronger than an earlier one.
    pub deny: &'a BTreeMap<String, Set<String>>,
    /// Names of [`GUARDS`].
    pub guards: &'a [Set<String>],
    /// Names of [`Family`], for the guard `socket-families`.
    pub socket_families: &'a [String],
}

/// What is wrong with a profile's `[syscalls]`. Names come from outside and are escaped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// No such call or group.
    #[error("`{name}` ({origin}) is not a system call of x86_64 or a group{}", model::question(*near))]
    UnknownCall {
        /// What was written.
        name: String,
        /// Where.
        origin: Origin,
        /// What may have been meant.
        near: Option<&'static str>,
    },
    /// No such guard.
    #[error("`{name}` ({origin}) is not a guard of system calls{}", model::question(*near))]
    UnknownGuard {
        /// What was written.
        name: String,
        /// Where.
        origin: Origin,
        /// What may have been meant.
        near: Option<&'static str>,
    },
    /// No such errno.
    #[error(
        "`{errno}` ({origin}) is not the name of an error to answer `{name}` with{}", model::question(*near)
    )]
    UnknownErrno {
        /// The call or group.
        name: String,
        /// What was written.
        errno: String,
        /// Where.
        origin: Origin,
        /// What may have been meant.
        near: Option<&'static str>,
    },
    /// No such socket family.
    #[error(
        "`{name}` is not a socket family that can be allowed: write unix, inet, inet6, tcp or netlink-route"
    )]
    UnknownFamily {
        /// What was written.
        name: String,
    },
    /// The families would have no effect.
    #[error("socket-families is set and nothing enforces it: add \"socket-families\" to syscalls.guards")]
    FamiliesWithoutGuard,
    /// The command could not be started.
    #[error(
        "execve is refused ({origin}), so the command itself could not be started: allow execve without conditions"
    )]
    NoExecve {
        /// Who refuses it.
        origin: Origin,
    },
}

/// Resolves names and groups to one verdict for every call that is known.
///
/// # Errors
/// When a name is not known, or execve is not allowed.
pub fn resolve(spec: &Spec<'_>) -> Result<Table, SpecError> {
    let mut kinds = Kinds::default();
    let unknown = kinds.add(Entry::always(Answer::Errno(ENOSYS), &Origin::Default));
    let unmentioned = kinds.add(Entry::always(Answer::Errno(EPERM), &Origin::Default));
    let allowed = allowed(spec.allow, &mut kinds)?;
    let denied = denied(spec.deny, &mut kinds)?;
    let mut guards = guards(spec)?;
    let mut calls = Vec::with_capacity(table::COUNT);
    for (number, name) in table::all() {
        let kind = match (denied.get(number), allowed.get(number)) {
            (Some(refused), _) => refused,
            // Its flags lie in memory, where no filter can look; libraries fall back to clone.
            (None, _) if name == "clone3" => unknown,
            (None, Some(allowed)) => match (guards.remove(&number), kinds.get(allowed)) {
                (Some(guarded), Some(entry)) => {
                    let guarded = Entry::guarded(guarded, &entry.origin);
                    kinds.add(guarded)
                }
                _ => allowed,
            },
            (None, None) => unmentioned,
        };
        calls.push((number, kind));
    }
    let table = Table::new(kinds, calls, Answer::Errno(ENOSYS));
    match table.execve() {
        Some(entry) if entry.verdict != Verdict::Always(Answer::Allow) => Err(SpecError::NoExecve {
            origin: entry.origin.clone(),
        }),
        _ => Ok(table),
    }
}

/// The kind of each call that some entry of a profile stands for.
struct PerCall(Vec<Option<Kind>>);

impl PerCall {
    fn new() -> Self {
        Self(vec![None; table::LAST as usize + 1])
    }

    fn get(&self, number: u32) -> Option<Kind> {
        self.0.get(number as usize).copied().flatten()
    }

    /// Calls `change` for each call that a name or group stands for.
    fn each(
        &mut self,
        name: &str,
        origin: &Origin,
        mut change: impl FnMut(&mut Option<Kind>),
    ) -> Result<(), SpecError> {
        let mut one = |number: u32| self.0.get_mut(number as usize).map(&mut change);
        if let Some(group) = groups::find(name) {
            for number in group.numbers() {
                one(number);
            }
            return Ok(());
        }
        let number = table::number(name).ok_or_else(|| unknown_call(name, origin))?;
        one(number);
        Ok(())
    }
}

fn unknown_call(name: &str, origin: &Origin) -> SpecError {
    SpecError::UnknownCall {
        name: name.escape_debug().to_string(),
        origin: origin.clone(),
        near: match name.starts_with('@') {
            true => model::meant(name, groups::GROUPS.iter().map(|group| group.name)),
            false => model::meant(name, table::all().map(|(_, name)| name)),
        },
    }
}

fn allowed(allow: &[Set<String>], kinds: &mut Kinds) -> Result<PerCall, SpecError> {
    let mut allowed = PerCall::new();
    for Set { value, origin } in allow {
        let kind = kinds.add(Entry::always(Answer::Allow, origin));
        // The first that allows it is named: later profiles only add.
        allowed.each(value, origin, |slot| {
            slot.get_or_insert(kind);
        })?;
    }
    Ok(allowed)
}

fn denied(deny: &BTreeMap<String, Set<String>>, kinds: &mut Kinds) -> Result<PerCall, SpecError> {
    let mut denied = PerCall::new();
    // `@` sorts before every letter: groups come first, and names overrule them. `_sysctl` too sorts behind it.
    for (name, Set { value, origin }) in deny {
        let errno = errno::number(value).ok_or_else(|| SpecError::UnknownErrno {
            name: name.escape_debug().to_string(),
            errno: value.escape_debug().to_string(),
            origin: origin.clone(),
            near: model::meant(value, errno::names()),
        })?;
        let kind = kinds.add(Entry::always(Answer::Errno(errno), origin));
        denied.each(name, origin, |slot| *slot = Some(kind))?;
    }
    Ok(denied)
}

/// The checks of each call, by its number.
type Guarded = BTreeMap<u32, Vec<(Named, Check)>>;

/// The checks of each call, in the order of [`GUARDS`] and not of the profile: merging profiles must not change an answer.
fn guards(spec: &Spec<'_>) -> Result<Guarded, SpecError> {
    for Set { value, origin } in spec.guards {
        guard::find(value).ok_or_else(|| SpecError::UnknownGuard {
            name: value.escape_debug().to_string(),
            origin: origin.clone(),
            near: model::meant(value, GUARDS.iter().map(|guard| guard.name)),
        })?;
    }
    let families = families(spec)?;
    let mut checks = Guarded::new();
    for guard in GUARDS {
        let Some(set) = spec.guards.iter().find(|set| set.value == guard.name) else {
            continue;
        };
        for (call, check) in guard.checks(&families) {
            let named = Named {
                guard: guard.name,
                origin: set.origin.clone(),
            };
            if let Some(number) = table::number(call) {
                checks.entry(number).or_default().push((named, check));
            }
        }
    }
    Ok(checks)
}

fn families(spec: &Spec<'_>) -> Result<Vec<Family>, SpecError> {
    if !spec.socket_families.is_empty() && !spec.guards.iter().any(|set| set.value == SOCKET_FAMILIES) {
        return Err(SpecError::FamiliesWithoutGuard);
    }
    let family = |name: &String| {
        Family::find(name).ok_or_else(|| SpecError::UnknownFamily {
            name: name.escape_debug().to_string(),
        })
    };
    spec.socket_families.iter().map(family).collect()
}

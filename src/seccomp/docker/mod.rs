//! Docker's and podman's seccomp profiles (`--security-opt seccomp=FILE`) to a [`Table`].
//!
//! What they mean is what runc and libseccomp make of them:
//! - an entry whose `includes` or `excludes` do not fit the capabilities, architecture or kernel is left out, and so is one that does
//!   what the default does;
//! - an entry without `args` overrules all entries with `args` for the same call; of the latter the first that matches answers;
//! - `args` are compared in all their 64 bits;
//! - numbers above the highest that the profile names get `ENOSYS`, unless the default is to allow;
//! - names of other architectures are passed over, and reported.
//!
//! One thing differs: a call through the 32-bit entry kills the process and x32 gets `ENOSYS`, whatever `archMap` says.

mod json;

use super::errno::{self, ENOSYS, EPERM};
use super::table;
use super::verdict::{Answer, Check, Comparison, Condition, Match, Rule, Verdict, Width};
use super::verdicts::{Entry, Table};
use crate::model::capability::UnknownCapability;
use crate::model::host::Kernel;
use crate::model::{Capability, CapabilitySet, Origin};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A profile that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// What it says.
    pub table: Table,
    /// Names that are no system calls of this architecture, escaped. Docker ignores them without a word.
    pub ignored: BTreeSet<String>,
}

/// Where in a profile: an entry of `syscalls`, or the profile's own keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(Option<usize>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(index) => write!(f, "syscalls[{index}]"),
            None => f.write_str("the seccomp profile"),
        }
    }
}

/// What is wrong with a profile. Texts come from outside and are escaped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DockerError {
    /// Not JSON, or not of this form.
    #[error("the seccomp profile is not in Docker's JSON format: {0}")]
    Json(String),
    /// No such action.
    #[error(
        "{place}: `{action}` is no action: write SCMP_ACT_ALLOW, LOG, ERRNO, TRAP, KILL_THREAD or KILL_PROCESS"
    )]
    Action {
        /// Where.
        place: Place,
        /// What was written.
        action: String,
    },
    /// An action that hands the decision to another process.
    #[error(
        "{place}: {action} asks another process for every answer, and no answer of this sandbox depends on one: write SCMP_ACT_ERRNO"
    )]
    Asks {
        /// Where.
        place: Place,
        /// Which one.
        action: String,
    },
    /// An errno out of range.
    #[error("{place}: errno {number} does not exist: write 0 to {largest}", largest = errno::LARGEST)]
    Errno {
        /// Where.
        place: Place,
        /// What was written.
        number: u64,
    },
    /// No such operator.
    #[error("{place}: `{op}` is no operator: write SCMP_CMP_EQ, NE, LT, LE, GE, GT or MASKED_EQ")]
    Operator {
        /// Where.
        place: Place,
        /// What was written.
        op: String,
    },
    /// An argument that no call has.
    #[error("{place}: args index {index}: a system call has the arguments 0 to 5")]
    Index {
        /// Where.
        place: Place,
        /// What was written.
        index: u64,
    },
    /// runc reads such an entry as "either", everybody else as "both".
    #[error("{place}: two conditions on argument {index}: write two entries if either shall do")]
    Twice {
        /// Where.
        place: Place,
        /// Which argument.
        index: u8,
    },
    /// No such capability.
    #[error("{place}: {source}")]
    Capability {
        /// Where.
        place: Place,
        /// Which one.
        source: UnknownCapability,
    },
    /// Not a kernel version.
    #[error("{place}: minKernel `{text}` is no kernel version: write for example 4.8")]
    Kernel {
        /// Where.
        place: Place,
        /// What was written.
        text: String,
    },
    /// Neither or both ways of naming the calls.
    #[error("{place}: write either `names` or the older `name`")]
    Names {
        /// Where.
        place: Place,
    },
    /// Both ways of naming the architectures.
    #[error("the seccomp profile has `architectures` and `archMap`: write one of them")]
    BothArchitectures,
    /// The profile is for other machines.
    #[error("the seccomp profile is for other architectures: add SCMP_ARCH_X86_64")]
    Architecture,
    /// The command could not be started.
    #[error(
        "the seccomp profile does not allow execve, so the command itself could not be started: allow it without args"
    )]
    NoExecve,
}

/// Reads a profile for a sandbox that keeps these capabilities, on this kernel. `origin` is who asked for it.
///
/// # Errors
/// When it is malformed, or asks for what a filter alone cannot do.
pub fn parse(
    text: &str,
    origin: &Origin,
    capabilities: CapabilitySet,
    kernel: Kernel,
) -> Result<Imported, DockerError> {
    let profile = json::Profile::read(text)?;
    profile.check_architecture()?;
    let default = answer(Place(None), &profile.default_action, profile.default_errno_ret)?;
    let mut calls: BTreeMap<u32, Call> = BTreeMap::new();
    let mut ignored = BTreeSet::new();
    for (index, entry) in profile.syscalls.iter().enumerate() {
        let place = Place(Some(index));
        // What does not apply here must still be well formed: elsewhere it would apply.
        let answer = answer(place, &entry.action, entry.errno_ret)?;
        let rule = rule(place, entry.args.as_deref().unwrap_or_default())?;
        let applies = applies(place, entry, capabilities, kernel)?;
        for name in entry.names(place)? {
            match table::number(name) {
                None => {
                    ignored.insert(name.escape_debug().to_string());
                }
                Some(number) if applies => calls.entry(number).or_default().add(&rule, answer, default),
                Some(_) => {}
            }
        }
    }
    let table = assemble(calls, default, origin);
    match table.execve() {
        Some(entry) if matches!(entry.verdict, Verdict::Always(answer) if answer.allows()) => {
            Ok(Imported { table, ignored })
        }
        _ => Err(DockerError::NoExecve),
    }
}

/// What the entries of a profile say about one call.
#[derive(Debug, Default)]
struct Call {
    always: Option<Answer>,
    checks: Vec<Check>,
}

impl Call {
    fn add(&mut self, rule: &Rule, answer: Answer, default: Answer) {
        if answer == default {
            return;
        }
        match (rule.is_empty(), self.checks.last_mut()) {
            (true, _) => self.always = self.always.or(Some(answer)),
            (false, Some(last)) if last.answer == answer => last.rules.push(rule.clone()),
            _ => self.checks.push(Check {
                rules: vec![rule.clone()],
                on: Match::Any,
                answer,
            }),
        }
    }

    fn verdict(self, default: Answer) -> Verdict {
        match self.always {
            Some(answer) => Verdict::Always(answer),
            None if self.checks.is_empty() => Verdict::Always(default),
            None => Verdict::Guarded {
                checks: self.checks,
                otherwise: default,
            },
        }
    }
}

fn assemble(mut calls: BTreeMap<u32, Call>, default: Answer, origin: &Origin) -> Table {
    let newest = calls.last_key_value().map_or(0, |(number, _)| *number);
    let beyond = if default.allows() {
        default
    } else {
        Answer::Errno(ENOSYS)
    };
    let entries = table::all().map(|(number, _)| {
        let others = if number > newest { beyond } else { default };
        let verdict = calls
            .remove(&number)
            .map_or(Verdict::Always(others), |call| call.verdict(default));
        (
            number,
            Entry {
                verdict,
                origin: origin.clone(),
                guards: Vec::new(),
            },
        )
    });
    Table::of(entries, beyond)
}

fn answer(place: Place, action: &str, errno: Option<u64>) -> Result<Answer, DockerError> {
    let number = errno.unwrap_or(EPERM.into());
    let errno = u16::try_from(number)
        .ok()
        .filter(|number| *number <= errno::LARGEST);
    let errno = errno.ok_or(DockerError::Errno { place, number })?;
    match action {
        "SCMP_ACT_ALLOW" => Ok(Answer::Allow),
        "SCMP_ACT_LOG" => Ok(Answer::Log),
        "SCMP_ACT_ERRNO" => Ok(Answer::Errno(errno)),
        "SCMP_ACT_TRAP" => Ok(Answer::Trap),
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Ok(Answer::KillThread),
        "SCMP_ACT_KILL_PROCESS" => Ok(Answer::KillProcess),
        "SCMP_ACT_TRACE" | "SCMP_ACT_NOTIFY" => Err(DockerError::Asks {
            place,
            action: action.to_owned(),
        }),
        _ => Err(DockerError::Action {
            place,
            action: action.escape_debug().to_string(),
        }),
    }
}

fn rule(place: Place, arguments: &[json::Argument]) -> Result<Rule, DockerError> {
    let mut rule = Rule::new();
    for given in arguments {
        let argument = u8::try_from(given.index).ok().filter(|index| *index < 6);
        let argument = argument.ok_or(DockerError::Index {
            place,
            index: given.index,
        })?;
        if rule.iter().any(|known: &Condition| known.argument == argument) {
            return Err(DockerError::Twice {
                place,
                index: argument,
            });
        }
        let comparison = match given.op.as_str() {
            "SCMP_CMP_EQ" => Comparison::Equal(given.value),
            "SCMP_CMP_NE" => Comparison::NotEqual(given.value),
            "SCMP_CMP_LT" => Comparison::Less(given.value),
            "SCMP_CMP_LE" => Comparison::LessOrEqual(given.value),
            "SCMP_CMP_GT" => Comparison::Greater(given.value),
            "SCMP_CMP_GE" => Comparison::GreaterOrEqual(given.value),
            "SCMP_CMP_MASKED_EQ" => Comparison::Masked {
                mask: given.value,
                value: given.value_two.unwrap_or(0),
            },
            other => {
                return Err(DockerError::Operator {
                    place,
                    op: other.escape_debug().to_string(),
                });
            }
        };
        rule.push(Condition {
            argument,
            width: Width::Full64,
            comparison,
        });
    }
    Ok(rule)
}

/// Whether an entry holds here: all of `includes`, none of `excludes`.
fn applies(
    place: Place,
    entry: &json::Entry,
    capabilities: CapabilitySet,
    kernel: Kernel,
) -> Result<bool, DockerError> {
    let (includes, excludes) = (&entry.includes, &entry.excludes);
    let held = |names: &[String]| -> Result<Vec<bool>, DockerError> {
        names
            .iter()
            .map(|name| {
                name.parse()
                    .map(|capability: Capability| capabilities.holds(capability))
            })
            .collect::<Result<_, _>>()
            .map_err(|source| DockerError::Capability { place, source })
    };
    let native = |names: &[String]| names.iter().any(|name| name == "amd64");
    let included = held(includes.caps())?.iter().all(|held| *held)
        && (includes.arches().is_empty() || native(includes.arches()))
        && includes.min_kernel(place)?.is_none_or(|least| kernel >= least);
    let excluded = held(excludes.caps())?.iter().any(|held| *held)
        || native(excludes.arches())
        || excludes.min_kernel(place)?.is_some_and(|least| kernel >= least);
    Ok(included && !excluded)
}

#[cfg(test)]
mod tests;

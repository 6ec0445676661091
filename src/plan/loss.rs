//! What a host cannot give: either a loss, listed, or a refusal.

use crate::model::{Level, Origin, Protection};
use crate::policy::Policy;
use serde::Serialize;
use std::fmt;

/// A protection that is preferred and not in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// Which.
    pub protection: Protection,
    /// What is missing, and what holds instead.
    pub reason: String,
    /// How to get it.
    pub mend: String,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.protection, self.reason)
    }
}

/// A run that must not happen: a protection is required and cannot be enforced, or a step cannot be planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A required protection.
    #[error("{protection} is required ({origin}) and cannot be enforced: {reason}")]
    Protection {
        /// Which.
        protection: Protection,
        /// Who requires it.
        origin: Origin,
        /// What is missing.
        reason: String,
        /// How to get it.
        mend: String,
    },
    /// Something that was asked for does not fit this host.
    #[error("{what} ({origin}): {why}")]
    Value {
        /// The value.
        what: String,
        /// Who set it.
        origin: Origin,
        /// What is wrong, and what would be right.
        why: String,
    },
}

impl Refusal {
    /// What mends it, when that is known.
    #[must_use]
    pub fn mend(&self) -> Option<&str> {
        match self {
            Self::Protection { mend, .. } => Some(mend),
            Self::Value { .. } => None,
        }
    }
}

/// Losses, or the first refusal.
pub(super) struct Ledger<'a> {
    pub(super) policy: &'a Policy,
    pub(super) losses: Vec<Loss>,
}

impl Ledger<'_> {
    /// Notes that a protection cannot be given.
    pub(super) fn lacks(&mut self, protection: Protection, reason: &str, mend: &str) -> Result<(), Refusal> {
        let level = self.policy.enforcement.level(protection);
        let (reason, mend) = (reason.to_owned(), mend.to_owned());
        match level.value {
            Level::Off => Ok(()),
            Level::Prefer => {
                self.losses.push(Loss {
                    protection,
                    reason,
                    mend,
                });
                Ok(())
            }
            Level::Require => Err(Refusal::Protection {
                protection,
                origin: level.origin,
                reason,
                mend,
            }),
        }
    }
}

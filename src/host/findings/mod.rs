//! What doctor tells, as values: each probe with its state, what follows for a run, and what mends it. A pure function of a survey.

mod identity;
mod kernel;
mod machine;

#[cfg(test)]
mod tests;

use super::Survey;
use super::probe::trial::NOT_TRIED;
use serde::Serialize;
use std::fmt;

/// How well something works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// All of it.
    Works,
    /// In part, or in another way.
    Degraded,
    /// Not at all.
    Missing,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Works => "works",
            Self::Degraded => "degraded",
            Self::Missing => "missing",
        })
    }
}

/// What one probe found. Texts may hold names from outside: whoever prints them escapes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// The word for it on doctor's command line.
    pub probe: &'static str,
    /// How well it works.
    pub state: State,
    /// What was seen.
    pub found: String,
    /// What follows from it for a run.
    pub follows: String,
    /// The one command, file or flag that mends it.
    pub mend: Option<String>,
    /// More, for whoever asks for this probe alone.
    pub details: Vec<String>,
}

impl Finding {
    fn new(probe: &'static str, state: State, found: impl Into<String>, follows: impl Into<String>) -> Self {
        Self {
            probe,
            state,
            found: found.into(),
            follows: follows.into(),
            mend: None,
            details: Vec::new(),
        }
    }

    fn works(probe: &'static str, found: impl Into<String>, follows: impl Into<String>) -> Self {
        Self::new(probe, State::Works, found, follows)
    }

    fn degraded(probe: &'static str, found: impl Into<String>, follows: impl Into<String>) -> Self {
        Self::new(probe, State::Degraded, found, follows)
    }

    fn missing(probe: &'static str, found: impl Into<String>, follows: impl Into<String>) -> Self {
        Self::new(probe, State::Missing, found, follows)
    }

    fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }

    fn detail(mut self, detail: impl Into<String>) -> Self {
        self.details.push(detail.into());
        self
    }
}

/// What could not be tried has the mend of what it was to be tried in.
fn untried(probe: &'static str, why: &str, follows: &str) -> Option<Finding> {
    why.starts_with(NOT_TRIED)
        .then(|| Finding::missing(probe, why, follows).mend("mend user-namespaces first"))
}

/// A probe: its word, and what it makes of a survey.
type Probe = (&'static str, fn(&Survey) -> Finding);

/// What decides whether a run works at all comes first.
const PROBES: [Probe; 14] = [
    ("kernel", kernel::version),
    ("user-namespaces", identity::user_namespaces),
    ("seccomp", kernel::seccomp),
    ("landlock", kernel::landlock),
    ("proc", kernel::proc),
    ("id-maps", identity::id_maps),
    ("nested-namespaces", kernel::nested_namespaces),
    ("time-namespace", kernel::time_namespace),
    ("cgroup", machine::cgroup),
    ("overlay", machine::overlay),
    ("store", machine::store),
    ("fuse", machine::fuse),
    ("tun", machine::tun),
    ("path", machine::path),
];

/// The words for the probes, in the order in which they are told.
#[must_use]
pub fn words() -> [&'static str; 14] {
    PROBES.map(|(word, _)| word)
}

/// What every probe found.
#[must_use]
pub fn findings(survey: &Survey) -> Vec<Finding> {
    PROBES.iter().map(|(_, look)| look(survey)).collect()
}

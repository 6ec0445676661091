//! Where a value came from, so that every line of a plan and every refusal can name it.

use serde::Serialize;
use std::fmt::{self, Write};
use std::sync::Arc;

/// The place that set a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case", tag = "from")]
pub enum Origin {
    /// A profile that is part of the binary, with the line in its file under `profiles/`.
    BuiltIn {
        /// The profile's name.
        profile: Arc<str>,
        /// Counted from 1.
        line: u32,
    },
    /// A profile file, as the user would name it.
    File {
        /// The path, for people.
        path: Arc<str>,
        /// Counted from 1.
        line: u32,
        /// Counted from 1, in characters.
        column: u32,
    },
    /// A flag of the command line, as typed (`--network host`).
    Flag {
        /// The flag and its value.
        text: Arc<str>,
    },
    /// The image's configuration.
    Image,
    /// Nothing set it: what holds when no profile says anything.
    Default,
}

impl Origin {
    /// An origin for a flag.
    #[must_use]
    pub fn flag(text: impl Into<Arc<str>>) -> Self {
        Self::Flag { text: text.into() }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn { profile, line } => write!(f, "profile {profile}, line {line}"),
            Self::File { path, line, column } => {
                plain(f, path)?;
                write!(f, ":{line}:{column}")
            }
            Self::Flag { text } => {
                f.write_str("the flag ")?;
                plain(f, text)
            }
            Self::Image => f.write_str("the image"),
            Self::Default => f.write_str("no profile sets it"),
        }
    }
}

/// Without what a terminal would act on: flags and paths may come from whoever is not trusted.
fn plain(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text.chars().try_for_each(|c| {
        if c.is_control() {
            write!(f, "{}", c.escape_default())
        } else {
            f.write_char(c)
        }
    })
}

/// A value together with the place that set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set<T> {
    /// The value.
    pub value: T,
    /// Who set it.
    pub origin: Origin,
}

impl<T> Set<T> {
    /// A value and its origin.
    pub fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }

    /// Keeps the origin, changes the value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Set<U> {
        Set {
            value: f(self.value),
            origin: self.origin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_acts_on_is_not_shown() {
        let shown = Origin::flag("-v /\u{1b}[2J\n:/é").to_string();
        assert_eq!(shown, "the flag -v /\\u{1b}[2J\\n:/é");
    }
}

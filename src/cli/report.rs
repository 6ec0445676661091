//! What the user is told when something goes wrong, and the exit code that goes with it.

use std::fmt;

/// What kind of failure it is; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The command line is wrong: exit code 125 for `run`, as docker and podman do, 2 elsewhere.
    Usage,
    /// sbx itself failed, or refused: 125.
    Sbx,
    /// The command cannot be executed: 126.
    CannotExecute,
    /// The command was not found: 127.
    NotFound,
    /// A check that was asked for answered no (`profile check`, `why`, `doctor`): 1.
    Negative,
}

/// One failure, in one line, with hints that mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Its kind.
    pub kind: Kind,
    /// What went wrong, where, and what would be right. Lower case, no full stop. May already hold several lines (profile excerpts).
    pub message: String,
    /// What to do about it, each a line.
    pub hints: Vec<String>,
}

impl Report {
    /// A failure without hints.
    pub fn new(kind: Kind, message: impl fmt::Display) -> Self {
        Self {
            kind,
            message: message.to_string(),
            hints: Vec::new(),
        }
    }

    /// sbx failed or refused.
    pub fn sbx(message: impl fmt::Display) -> Self {
        Self::new(Kind::Sbx, message)
    }

    /// The command line is wrong.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hints.push(hint.to_string());
        self
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sbx: {}", self.message)?;
        for hint in &self.hints {
            write!(f, "\n  {hint}")?;
        }
        Ok(())
    }
}

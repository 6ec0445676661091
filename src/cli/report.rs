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

    /// The same words as `run` gives them: whoever starts it reads 2 as the command's own exit code.
    #[must_use]
    pub fn of_run(mut self) -> Self {
        if self.kind == Kind::Usage {
            self.kind = Kind::Sbx;
        }
        self
    }

    /// A command line that does not parse, in one line.
    #[must_use]
    pub fn of_arguments(error: &clap::Error, run: bool) -> Self {
        use clap::error::{ContextKind, ContextValue};
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        let message = super::out::escaped(first.strip_prefix("error: ").unwrap_or(first));
        let missing = text
            .lines()
            .skip(1)
            .take_while(|line| line.starts_with("  "))
            .map(str::trim);
        let message = missing.fold(message, |all, line| {
            format!("{all} {}", super::out::escaped(line))
        });
        let kind = if run { Kind::Sbx } else { Kind::Usage };
        let mut report = Self::new(kind, message.trim_end_matches(':'));
        let typed = error.context().find_map(|(what, value)| match (what, value) {
            (ContextKind::InvalidArg | ContextKind::InvalidSubcommand, ContextValue::String(word)) => {
                Some(word)
            }
            _ => None,
        });
        if let Some(answer) = typed.and_then(|word| super::foreign::answer(word)) {
            return report.hint(answer);
        }
        if let Some(near) = suggestion(error) {
            report = report.hint(format!("did you mean `{}`?", super::out::escaped(near)));
        }
        report.hint("`sbx --help` and `sbx VERB --help` list what there is")
    }

    /// The exit code that goes with it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Usage => 2,
            Kind::Sbx => 125,
            Kind::CannotExecute => 126,
            Kind::NotFound => 127,
        }
    }

    /// Says before the message what it is about.
    #[must_use]
    pub fn about(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// Names the caller's own limit that the last error met, if it was one and no hint names it yet.
    #[must_use]
    pub fn with_limits(self) -> Self {
        let limits = [
            (
                libc::EFBIG,
                "File too large",
                "ulimit -f",
                "a file grew beyond the caller's own limit: raise `ulimit -f`",
            ),
            (
                libc::EMFILE,
                "Too many open files",
                "ulimit -n",
                "too many open files: raise `ulimit -n`",
            ),
        ];
        let met = limits.into_iter().find(|(errno, words, limit, _)| {
            let said = self.message.contains(words) || self.message.contains(&format!("os error {errno})"));
            said && !self.hints.iter().any(|hint| hint.contains(limit))
        });
        match met {
            Some((.., hint)) => self.hint(hint),
            None => self,
        }
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hints.push(hint.to_string());
        self
    }
}

/// The parser's suggestions are the most similar words, however far they are: one is shown only if it may have been meant.
fn suggestion(error: &clap::Error) -> Option<&str> {
    use clap::error::{ContextKind, ContextValue};
    // With a value that is wrong the flag is named, too.
    let kinds = [
        ContextKind::InvalidValue,
        ContextKind::InvalidSubcommand,
        ContextKind::InvalidArg,
    ];
    let typed = kinds.into_iter().find_map(|kind| match error.get(kind) {
        Some(ContextValue::String(word)) => Some(word.as_str()),
        _ => None,
    })?;
    let suggested = error.context().filter(|(what, _)| {
        matches!(
            what,
            ContextKind::SuggestedArg | ContextKind::SuggestedValue | ContextKind::SuggestedSubcommand
        )
    });
    let words = suggested.flat_map(|(_, value)| match value {
        ContextValue::String(one) => std::slice::from_ref(one),
        ContextValue::Strings(all) => all.as_slice(),
        _ => &[],
    });
    crate::model::meant(typed, words.map(String::as_str))
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

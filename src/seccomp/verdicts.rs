//! One verdict for every system call, with the place that decided it: what is printed, explained and compiled.

use super::compile;
use super::program::{CompileError, Program};
use super::table;
use super::verdict::{Answer, Check, Verdict};
use crate::model::Origin;

/// The verdicts of one sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// By rising number.
    entries: Vec<(u32, Entry)>,
    others: Answer,
}

/// What one call gets, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it gets.
    pub verdict: Verdict,
    /// Who allows it, or refuses it altogether.
    pub origin: Origin,
    /// The guards that look at its arguments.
    pub guards: Vec<Named>,
}

/// A guard, and who asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its name.
    pub guard: &'static str,
    /// Who asked for it.
    pub origin: Origin,
}

/// How many calls get what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Whatever their arguments are.
    pub allowed: usize,
    /// Depending on their arguments.
    pub guarded: usize,
    /// Known and never carried out.
    pub refused: usize,
}

/// The answer to "why is this call allowed or refused?".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation<'a> {
    /// Its name.
    pub name: &'static str,
    /// Its number.
    pub number: u32,
    /// What it gets, and why.
    pub entry: &'a Entry,
}

impl Entry {
    pub(super) fn always(answer: Answer, origin: &Origin) -> Self {
        Self {
            verdict: Verdict::Always(answer),
            origin: origin.clone(),
            guards: Vec::new(),
        }
    }

    /// Allowed, but for what guards refuse.
    pub(super) fn guarded(guarded: Vec<(Named, Check)>, origin: &Origin) -> Self {
        let (guards, checks): (_, Vec<_>) = guarded.into_iter().unzip();
        // A list of what is allowed that is empty (no socket family) allows nothing: there is nothing to be looked at.
        let verdict = match checks.iter().find(|check: &&Check| check.rules.is_empty()) {
            Some(check) => Verdict::Always(check.answer),
            None => Verdict::Guarded {
                checks,
                otherwise: Answer::Allow,
            },
        };
        Self {
            verdict,
            origin: origin.clone(),
            guards,
        }
    }
}

impl Table {
    /// A table of these entries, by rising number; every number that has none gets `others`.
    pub(super) fn new(entries: Vec<(u32, Entry)>, others: Answer) -> Self {
        debug_assert!(entries.is_sorted_by_key(|(number, _)| *number));
        Self { entries, others }
    }

    fn get(&self, number: u32) -> Option<&Entry> {
        let at = self
            .entries
            .binary_search_by_key(&number, |(number, _)| *number)
            .ok()?;
        self.entries.get(at).map(|(_, entry)| entry)
    }

    /// The same, where these calls return 0 without being carried out, as far as they were allowed at all.
    #[must_use]
    pub fn answering_done<'a>(&self, names: impl Iterator<Item = &'a str>, origin: &Origin) -> Self {
        let mut table = self.clone();
        for number in names.filter_map(table::number) {
            let found = table.entries.iter_mut().find(|(at, _)| *at == number);
            if let Some((_, entry)) = found.filter(|(_, entry)| entry.verdict.may_allow()) {
                *entry = Entry::always(Answer::Errno(0), origin);
            }
        }
        table
    }

    /// Whether mknod(2) is carried out for device nodes: no guard looks at what it makes.
    #[must_use]
    pub fn makes_nodes(&self) -> bool {
        let entry = table::number("mknodat").and_then(|number| self.get(number));
        entry.is_some_and(|entry| entry.verdict == Verdict::Always(Answer::Allow))
    }

    /// What the command's own start gets.
    pub(super) fn execve(&self) -> Option<&Entry> {
        table::number("execve").and_then(|number| self.get(number))
    }

    /// What a number gets, x32 numbers included: what the program has to answer.
    #[cfg(test)]
    pub(super) fn verdict(&self, number: u32) -> Verdict {
        match self.get(number) {
            Some(entry) => entry.verdict.clone(),
            None if number >= table::X32 => Verdict::Always(compile::X32_ANSWER),
            None => Verdict::Always(self.others),
        }
    }

    /// What numbers get that no table knows.
    #[cfg(test)]
    pub(super) fn others(&self) -> Answer {
        self.others
    }

    /// What a call gets and who decided it; `None` for a name that is no system call.
    #[must_use]
    pub fn explain(&self, name: &str) -> Option<Explanation<'_>> {
        let number = table::number(name)?;
        self.entry(number)
    }

    /// All calls that are known, by rising number.
    pub fn iter(&self) -> impl Iterator<Item = Explanation<'_>> {
        self.entries.iter().filter_map(|(number, _)| self.entry(*number))
    }

    fn entry(&self, number: u32) -> Option<Explanation<'_>> {
        let entry = self.get(number)?;
        Some(Explanation {
            name: table::name(number)?,
            number,
            entry,
        })
    }

    /// How many calls get what.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts {
            allowed: 0,
            guarded: 0,
            refused: 0,
        };
        for (_, entry) in &self.entries {
            match &entry.verdict {
                Verdict::Always(answer) if answer.allows() => counts.allowed += 1,
                guarded @ Verdict::Guarded { .. } if guarded.may_allow() => counts.guarded += 1,
                _ => counts.refused += 1,
            }
        }
        counts
    }

    /// One line for people.
    #[must_use]
    pub fn summary(&self) -> String {
        let Counts {
            allowed,
            guarded,
            refused,
        } = self.counts();
        let all = allowed + guarded + refused;
        let carried_out = allowed + guarded;
        format!(
            "{carried_out} of {all} calls allowed ({guarded} by their arguments), {refused} refused, others {}",
            self.others
        )
    }

    /// The filter.
    ///
    /// # Errors
    /// When it would be longer than the kernel takes.
    pub fn compile(&self) -> Result<Program, CompileError> {
        compile::compile(
            self.entries
                .iter()
                .map(|(number, entry)| (*number, &entry.verdict)),
            self.others,
        )
    }

    /// SHA-256 of the filter, in hexadecimal.
    ///
    /// # Errors
    /// As [`Self::compile`].
    pub fn digest(&self) -> Result<String, CompileError> {
        self.compile().map(|program| program.digest())
    }
}

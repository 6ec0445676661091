//! One verdict for every system call, with the place that decided it: what is printed, explained and compiled.

use super::compile;
use super::ids::{self, Ids};
use super::modes;
use super::program::{CompileError, Program};
use super::table;
use super::verdict::{Answer, Check, Verdict};
use crate::model::Origin;
use std::num::NonZeroU32;

/// The verdicts of one sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    kinds: Kinds,
    /// By rising number.
    calls: Vec<(u32, Kind)>,
    others: Answer,
}

/// The entries of a table. Most calls share one of a few: an entry for each call would be a tenth of the memory of a start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Kinds(Vec<Entry>);

/// One of [`Kinds`], counted from one: a list with a place for each call is a quarter as long where none takes no room of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind(NonZeroU32);

impl Kinds {
    pub(super) fn add(&mut self, entry: Entry) -> Kind {
        self.0.push(entry);
        let count = u32::try_from(self.0.len()).ok().and_then(NonZeroU32::new);
        Kind(count.unwrap_or(NonZeroU32::MAX))
    }

    pub(super) fn get(&self, kind: Kind) -> Option<&Entry> {
        self.0.get(kind.0.get() as usize - 1)
    }

    fn get_mut(&mut self, kind: Kind) -> Option<&mut Entry> {
        self.0.get_mut(kind.0.get() as usize - 1)
    }
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

impl Entry {
    /// Takes a guard off. Guards and checks go in pairs, but for a call that a guard refuses whatever its arguments are.
    fn lift(&mut self, guard: &str) {
        let mut kept = self.guards.iter().map(|named| named.guard != guard);
        match &mut self.verdict {
            Verdict::Guarded { checks, .. } => checks.retain(|_| kept.next().unwrap_or(true)),
            Verdict::Always(_) if kept.any(|kept| kept) => return,
            Verdict::Always(answer) => *answer = Answer::Allow,
        }
        self.guards.retain(|named| named.guard != guard);
        if self.guards.is_empty() {
            self.verdict = Verdict::Always(Answer::Allow);
        }
    }
}

impl Table {
    /// A table of these calls, by rising number; every number that is not among them gets `others`.
    pub(super) fn new(kinds: Kinds, calls: Vec<(u32, Kind)>, others: Answer) -> Self {
        debug_assert!(calls.is_sorted_by_key(|(number, _)| *number));
        Self { kinds, calls, others }
    }

    /// The same, with an entry for each call.
    pub(super) fn of(entries: impl IntoIterator<Item = (u32, Entry)>, others: Answer) -> Self {
        let mut kinds = Kinds::default();
        let calls = entries
            .into_iter()
            .map(|(number, entry)| (number, kinds.add(entry)));
        let calls = calls.collect();
        Self::new(kinds, calls, others)
    }

    fn get(&self, number: u32) -> Option<&Entry> {
        let at = self
            .calls
            .binary_search_by_key(&number, |(number, _)| *number)
            .ok()?;
        self.kinds.get(self.calls.get(at)?.1)
    }

    fn get_mut(&mut self, call: &str) -> Option<&mut Entry> {
        let number = table::number(call)?;
        let at = self
            .calls
            .binary_search_by_key(&number, |(number, _)| *number)
            .ok()?;
        self.kinds.get_mut(self.calls.get(at)?.1)
    }

    fn entries(&self) -> impl Iterator<Item = (u32, &Entry)> {
        let entry = |(number, kind): &(u32, Kind)| Some((*number, self.kinds.get(*kind)?));
        self.calls.iter().filter_map(entry)
    }

    /// The same, where these calls return 0 without being carried out, as far as they were allowed whatever their arguments are.
    #[must_use]
    pub fn answering_done<'a>(mut self, names: impl Iterator<Item = &'a str>, origin: &Origin) -> Self {
        let done = self.kinds.add(Entry::always(Answer::Errno(0), origin));
        for number in names.filter_map(table::number) {
            let allowed = |entry: &Entry| matches!(entry.verdict, Verdict::Always(answer) if answer.allows());
            if !self.get(number).is_some_and(allowed) {
                continue;
            }
            if let Some((_, kind)) = self.calls.iter_mut().find(|(at, _)| *at == number) {
                *kind = done;
            }
        }
        self
    }

    /// The same, where the guard `own-ids` lets these ids pass as well as -1.
    #[must_use]
    pub fn with_own_ids(mut self, own: Ids) -> Self {
        for ((call, before), (_, after)) in ids::checks(None).zip(ids::checks(Some(own))) {
            let Some(Entry {
                verdict: Verdict::Guarded { checks, .. },
                guards,
                ..
            }) = self.get_mut(call)
            else {
                continue;
            };
            let guarded = guards.iter().map(|named| named.guard == ids::OWN_IDS).zip(checks);
            for (own, check) in guarded {
                if own && *check == before {
                    *check = after.clone();
                }
            }
        }
        self
    }

    /// The same without the guard `set-id-bits`.
    #[must_use]
    pub fn with_set_id_bits(mut self) -> Self {
        for entry in &mut self.kinds.0 {
            if entry.guards.iter().any(|named| named.guard == modes::SET_ID_BITS) {
                entry.lift(modes::SET_ID_BITS);
            }
        }
        self
    }

    /// Whether mknod(2) is carried out for device nodes: no guard looks at what it makes.
    #[must_use]
    pub fn makes_nodes(&self) -> bool {
        let entry = table::number("mknodat").and_then(|number| self.get(number));
        entry.is_some_and(|entry| entry.verdict == Verdict::Always(Answer::Allow))
    }

    /// Whether POSIX message queues can be opened.
    #[must_use]
    pub fn opens_queues(&self) -> bool {
        self.may_allow("mq_open")
    }

    /// Whether SysV shared memory segments can be made.
    #[must_use]
    pub fn makes_segments(&self) -> bool {
        self.may_allow("shmget")
    }

    fn may_allow(&self, name: &str) -> bool {
        let entry = table::number(name).and_then(|number| self.get(number));
        entry.is_some_and(|entry| entry.verdict.may_allow())
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
        let entry = self.get(number)?;
        explanation(number, entry)
    }

    /// All calls that are known, by rising number.
    pub fn iter(&self) -> impl Iterator<Item = Explanation<'_>> {
        self.entries()
            .filter_map(|(number, entry)| explanation(number, entry))
    }

    /// How many calls get what.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts {
            allowed: 0,
            guarded: 0,
            refused: 0,
        };
        for (_, entry) in self.entries() {
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
        let verdicts = self.entries().map(|(number, entry)| (number, &entry.verdict));
        compile::compile(verdicts, self.others)
    }

    /// SHA-256 of the filter, in hexadecimal.
    ///
    /// # Errors
    /// As [`Self::compile`].
    pub fn digest(&self) -> Result<String, CompileError> {
        self.compile().map(|program| program.digest())
    }
}

fn explanation(number: u32, entry: &Entry) -> Option<Explanation<'_>> {
    Some(Explanation {
        name: table::name(number)?,
        number,
        entry,
    })
}

//! One [`Check`] of arguments to BPF.
//!
//! The conditions of all rules make a graph: where one holds, the next one of its rule is asked; where one fails, the next rule that
//! can still hold is entered behind the conditions that are known to hold. So a check of `a and b, or a and c` asks `a` once. What
//! one condition is in BPF stands in [`super::condition`].

use super::compile::CompileError;
use super::condition::{Exit, Parts, Word, cut, parts};
use super::program::{Instruction, Program, code};
use super::verdict::{Check, Comparison, Condition, Match, Rule};
use super::writer::{Label, Target, Writer};

/// Writes a check: where it gives no answer, the call goes on to `pass`. The accumulator may hold anything before.
///
/// # Errors
/// When a condition looks at an argument that no call has, or the conditions are more than any filter has instructions.
pub(super) fn compile(writer: &mut Writer, check: &Check, pass: Target) -> Result<Target, CompileError> {
    let answer = Target::answer(check.answer);
    let (matched, missed) = match check.on {
        Match::Any => (answer, pass),
        Match::None => (pass, answer),
    };
    if check.rules.iter().any(Vec::is_empty) {
        return Ok(matched);
    }
    let conditions = check.rules.iter().map(Vec::len).sum();
    if conditions > Program::LONGEST {
        return Err(CompileError::TooLong(conditions));
    }
    if let Some(bad) = check.rules.iter().flatten().find(|c| c.argument > 5) {
        return Err(CompileError::Argument(bad.argument));
    }
    let mut steps = steps(&grouped(&check.rules), conditions);
    mark(&mut steps);
    Block {
        since: writer.len(),
        writer,
        missed: Entry::both(missed),
        matched: Entry::both(matched),
        written: vec![Entry::both(missed); steps.len()],
    }
    .write(&steps)
}

/// The rules with those side by side that begin alike. Their order does not count: a check matches when any holds.
fn grouped(rules: &[Rule]) -> Vec<&Rule> {
    let mut grouped: Vec<&Rule> = Vec::with_capacity(rules.len());
    for rule in rules {
        match grouped.iter().rposition(|known| known.first() == rule.first()) {
            Some(at) => grouped.insert(at + 1, rule),
            None => grouped.push(rule),
        }
    }
    grouped
}

/// Where a condition leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    Step(usize),
    Match,
    Miss,
}

/// One condition of the check.
#[derive(Debug)]
struct Step {
    parts: Parts,
    holds: Goal,
    fails: Goal,
    /// Whether anything leads here.
    reached: bool,
    /// Whether something leads here that does not leave the word in the accumulator that is looked at first.
    load: bool,
}

/// All conditions, rule by rule. Goals only lead forward.
fn steps(rules: &[&Rule], conditions: usize) -> Vec<Step> {
    let mut steps = Vec::with_capacity(conditions);
    let mut rest = rules;
    while let [rule, others @ ..] = rest {
        let end = steps.len() + rule.len();
        for (at, condition) in rule.iter().enumerate() {
            let next = steps.len() + 1;
            steps.push(Step {
                parts: parts(*condition),
                holds: if next < end { Goal::Step(next) } else { Goal::Match },
                fails: after(rule.get(..at).unwrap_or_default(), *condition, others, end),
                reached: false,
                load: false,
            });
        }
        rest = others;
    }
    steps
}

/// Where to go on, among rules whose steps begin at `start`, when it is known that some conditions hold and one fails.
fn after(known: &[Condition], failed: Condition, rules: &[&Rule], mut start: usize) -> Goal {
    let refuted = |c: &Condition| *c == failed || known.iter().any(|known| excludes(*known, *c));
    for rule in rules {
        if !rule.iter().any(refuted) {
            let skipped = rule.iter().take_while(|c| known.contains(c)).count();
            return if skipped < rule.len() {
                Goal::Step(start + skipped)
            } else {
                Goal::Match
            };
        }
        start += rule.len();
    }
    Goal::Miss
}

/// Whether `other` cannot hold where `known` does: the same bits of the same argument would have two values.
fn excludes(known: Condition, other: Condition) -> bool {
    if known.argument != other.argument || known.width != other.width {
        return false;
    }
    let differing = match (known.comparison, other.comparison) {
        (Comparison::Equal(one), Comparison::Equal(two)) => one ^ two,
        (
            Comparison::Masked { mask, value: one },
            Comparison::Masked {
                mask: same,
                value: two,
            },
        ) if mask == same => (one ^ two) & mask,
        _ => 0,
    };
    cut(known.width, differing) != 0
}

/// Marks what is reached, and by whom with the wrong word.
fn mark(steps: &mut [Step]) {
    let enter = |steps: &mut [Step], goal: Goal, held: Option<Word>| {
        if let Goal::Step(to) = goal
            && let Some(step) = steps.get_mut(to)
        {
            step.reached = true;
            step.load |= held != Some(step.parts.word());
        }
    };
    enter(steps, Goal::Step(0), None);
    for at in 0..steps.len() {
        let Some(&Step {
            parts,
            holds,
            fails,
            reached: true,
            ..
        }) = steps.get(at)
        else {
            continue;
        };
        for part in parts.all() {
            for exit in [part.yes, part.no] {
                match exit {
                    Exit::Next => {}
                    Exit::Holds => enter(steps, holds, Some(part.word)),
                    Exit::Fails => enter(steps, fails, Some(part.word)),
                }
            }
        }
    }
}

/// The two ways into something that is written.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// What must be in the accumulator for the short one.
    word: Option<Word>,
    held: Target,
    load: Target,
}

impl Entry {
    /// Of something that does not look at the accumulator.
    fn both(target: Target) -> Self {
        Self {
            word: None,
            held: target,
            load: target,
        }
    }

    fn from(self, word: Word) -> Target {
        if self.word == Some(word) {
            self.held
        } else {
            self.load
        }
    }
}

/// A check that is being written, from its last condition to its first.
struct Block<'a> {
    writer: &'a mut Writer,
    /// Where it begins in the writer: tests are shared inside a block only, where they are near.
    since: usize,
    matched: Entry,
    missed: Entry,
    /// By step.
    written: Vec<Entry>,
}

impl Block<'_> {
    fn write(mut self, steps: &[Step]) -> Result<Target, CompileError> {
        for (at, step) in steps.iter().enumerate().rev().filter(|(_, step)| step.reached) {
            let entry = self.step(step)?;
            if let Some(slot) = self.written.get_mut(at) {
                *slot = entry;
            }
        }
        Ok(self.written.first().map_or(self.missed, |first| *first).load)
    }

    fn entry(&self, goal: Goal) -> Entry {
        match goal {
            Goal::Match => self.matched,
            Goal::Miss => self.missed,
            Goal::Step(at) => self.written.get(at).copied().unwrap_or(self.missed),
        }
    }

    fn step(&mut self, step: &Step) -> Result<Entry, CompileError> {
        let (holds, fails) = (self.entry(step.holds), self.entry(step.fails));
        let parts = step.parts.all();
        let mut next = fails;
        for (at, part) in parts.iter().enumerate().rev() {
            let way = |exit| match exit {
                Exit::Next => next.from(part.word),
                Exit::Holds => holds.from(part.word),
                Exit::Fails => fails.from(part.word),
            };
            let (yes, no) = (way(part.yes), way(part.no));
            let label = self.writer.test_once(part.test, yes, no, self.since)?;
            let before = at.checked_sub(1).and_then(|at| parts.get(at));
            let load = before.map_or(step.load, |before| before.word != part.word);
            next = Entry {
                word: Some(part.word),
                held: Target::At(label),
                load: if load {
                    self.load(part.word, label)?
                } else {
                    Target::At(label)
                },
            };
        }
        Ok(next)
    }

    /// Loads a word in front of `label`.
    fn load(&mut self, word: Word, label: Label) -> Result<Target, CompileError> {
        let mut label = label;
        if word.mask != u32::MAX {
            label = self
                .writer
                .before(label, Instruction::plain(code::AND, word.mask))?;
        }
        let load = Instruction::plain(code::LOAD, word.offset);
        self.writer.before(label, load).map(Target::At)
    }
}

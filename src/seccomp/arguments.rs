//! One [`Check`] of arguments to BPF.
//!
//! The conditions of all rules make a graph: where one holds, the next one of its rule is asked; where one fails, the next rule that
//! can still hold is entered behind the conditions that are known to hold. So a check of `a and b, or a and c` asks `a` once. What
//! one condition is in BPF stands in [`super::condition`].

use super::condition::{Exit, Word, parts};
use super::program::{CompileError, Instruction, Program, code};
use super::verdict::{Check, Comparison, Condition, Match, Rule, Width};
use super::writer::{Label, Target, Test, Writer};

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
    if check.rules.is_empty() {
        return Ok(missed);
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
    let block = Block {
        since: writer.len(),
        writer,
        missed,
        matched,
        steps,
    };
    block.write()
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

/// Where a test leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    Step(usize),
    Match,
    Miss,
}

/// One test of a condition of the check.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// What must be in the accumulator.
    word: Word,
    test: Test,
    yes: Goal,
    no: Goal,
    /// Whether anything leads here.
    reached: bool,
    /// Whether something leads here that leaves another word in the accumulator.
    load: bool,
    /// Once it is written: the way in with the word in the accumulator, and the way in without.
    entries: Option<(Label, Label)>,
}

/// All tests of all conditions, rule by rule. Goals only lead forward.
fn steps(rules: &[&Rule], conditions: usize) -> Vec<Step> {
    let mut steps = Vec::with_capacity(conditions);
    let mut rest = rules;
    while let [rule, others @ ..] = rest {
        let end = steps.len() + length(rule);
        for (at, condition) in rule.iter().enumerate() {
            let parts = parts(*condition);
            let next = steps.len() + parts.all().len();
            let holds = if next < end { Goal::Step(next) } else { Goal::Match };
            let fails = after(rule.get(..at).unwrap_or_default(), *condition, others, end);
            for part in parts.all() {
                let goal = |exit| match exit {
                    Exit::Next => Goal::Step(steps.len() + 1),
                    Exit::Holds => holds,
                    Exit::Fails => fails,
                };
                steps.push(Step {
                    word: part.word,
                    test: part.test,
                    yes: goal(part.yes),
                    no: goal(part.no),
                    reached: false,
                    load: false,
                    entries: None,
                });
            }
        }
        rest = others;
    }
    steps
}

/// How many tests some conditions are.
fn length(conditions: &[Condition]) -> usize {
    conditions
        .iter()
        .map(|condition| match condition.width {
            Width::Low32 => 1,
            Width::Full64 => parts(*condition).all().len(),
        })
        .sum()
}

/// Where to go on, among rules whose tests begin at `start`, when it is known that some conditions hold and one fails.
fn after(known: &[Condition], failed: Condition, rules: &[&Rule], mut start: usize) -> Goal {
    let refuted = |c: &Condition| *c == failed || known.iter().any(|known| excludes(*known, *c));
    for rule in rules {
        if !rule.iter().any(refuted) {
            let skipped = rule.iter().take_while(|c| known.contains(c)).count();
            return match rule.split_at_checked(skipped) {
                Some((skipped, [_, ..])) => Goal::Step(start + length(skipped)),
                _ => Goal::Match,
            };
        }
        start += length(rule);
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
    known.width.cut(differing) != 0
}

/// Marks what is reached, and what is reached with another word in the accumulator than it looks at.
fn mark(steps: &mut [Step]) {
    if let Some(first) = steps.first_mut() {
        first.reached = true;
        first.load = true;
    }
    let mut rest = steps;
    let mut at = 0;
    while let [step, others @ ..] = rest {
        at += 1;
        for goal in [step.yes, step.no] {
            if let Goal::Step(to) = goal
                && step.reached
                && let Some(next) = others.get_mut(to - at)
            {
                next.reached = true;
                next.load |= next.word != step.word;
            }
        }
        rest = others;
    }
}

/// A check that is being written, from its last test to its first.
struct Block<'a> {
    writer: &'a mut Writer,
    /// Where it begins in the writer: tests are shared inside a block only, where they are near.
    since: usize,
    matched: Target,
    missed: Target,
    steps: Vec<Step>,
}

impl Block<'_> {
    fn write(mut self) -> Result<Target, CompileError> {
        for at in (0..self.steps.len()).rev() {
            let Some(&step @ Step { reached: true, .. }) = self.steps.get(at) else {
                continue;
            };
            let (yes, no) = (self.way(step.yes, step.word)?, self.way(step.no, step.word)?);
            let label = self.writer.test_once(step.test, yes, no, self.since)?;
            let load = if step.load {
                self.load(step.word, label)?
            } else {
                label
            };
            if let Some(step) = self.steps.get_mut(at) {
                step.entries = Some((label, load));
            }
        }
        let first = self.steps.first().and_then(|step| step.entries);
        first.map(|(_, load)| Target::At(load)).ok_or(CompileError::Hole)
    }

    /// The way to a goal with this word in the accumulator.
    fn way(&self, goal: Goal, word: Word) -> Result<Target, CompileError> {
        match goal {
            Goal::Match => Ok(self.matched),
            Goal::Miss => Ok(self.missed),
            Goal::Step(to) => {
                let step = self.steps.get(to).ok_or(CompileError::Hole)?;
                let (held, load) = step.entries.ok_or(CompileError::Hole)?;
                Ok(Target::At(if step.word == word { held } else { load }))
            }
        }
    }

    /// Loads a word in front of `label`.
    fn load(&mut self, word: Word, label: Label) -> Result<Label, CompileError> {
        let mut label = label;
        if word.mask != u32::MAX {
            label = self
                .writer
                .before(label, Instruction::plain(code::AND, word.mask))?;
        }
        let load = Instruction::plain(code::LOAD, word.offset);
        self.writer.before(label, load)
    }
}

#[cfg(test)]
mod tests {
    use super::super::verdict::Answer;
    use super::super::verdict::{equal, masked};
    use super::*;

    /// The codes of a check, from the first one.
    fn codes(rules: Vec<Rule>) -> Vec<u16> {
        let check = Check {
            rules,
            on: Match::Any,
            answer: Answer::Errno(1),
        };
        let mut writer = Writer::new(64);
        compile(&mut writer, &check, Target::answer(Answer::Allow)).expect("compiles");
        let program = writer.finish().expect("short");
        program.instructions.iter().map(|i| i.code).collect()
    }

    #[test]
    fn nothing_is_asked_or_loaded_twice() {
        const END: [u16; 2] = [code::RETURN; 2];
        let (a, b, c) = (equal(0, 1), equal(1, 2), equal(1, 3));
        let one = [code::LOAD, code::JUMP_EQUAL];
        // One word, many values.
        assert_eq!(
            codes(vec![vec![b], vec![c]]),
            [&one[..], &one[1..], &END].concat()
        );
        // `a and b, or a and c`, with another rule between them, which finds its word in place.
        let other = vec![equal(0, 9)];
        assert_eq!(
            codes(vec![vec![a, b], other, vec![a, c]]),
            [&one[..], &one, &one[1..], &one[1..], &END].concat()
        );
        // Two rules that end alike share their end.
        assert_eq!(
            codes(vec![vec![a, masked(1, 6, 2)], vec![equal(0, 4), masked(1, 6, 2)]]),
            [
                &one[..],
                &one[1..],
                &[code::LOAD, code::AND, code::JUMP_EQUAL],
                &END
            ]
            .concat()
        );
    }

    #[test]
    fn an_argument_that_no_call_has_is_an_error() {
        let check = Check {
            rules: vec![vec![equal(6, 1)]],
            on: Match::Any,
            answer: Answer::Errno(1),
        };
        let result = compile(&mut Writer::new(8), &check, Target::answer(Answer::Allow));
        assert!(matches!(result, Err(CompileError::Argument(6))));
    }
}

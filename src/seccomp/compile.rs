//! From verdicts to one BPF program: numbers in a binary tree of ranges, argument checks in blocks behind it.
//!
//! A tree because the kernel runs a new filter once for every number, to learn which calls it always allows: a chain of 400
//! comparisons makes that cost 0.6 ms of every start, a tree a tenth of it.
//!
//! The program is written from its end to its beginning. BPF only jumps forward, so whatever is jumped to stands already, and its
//! distance is known.

use super::arguments::{self, PASS};
use super::errno::ENOSYS;
use super::program::{Instruction, Program, code};
use super::table::{self, ARCH, X32};
use super::verdict::{Answer, Check, Verdict};
use std::collections::BTreeMap;

/// Why verdicts could not be made a program.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// Longer than the kernel takes.
    #[error("the filter has {0} instructions and the kernel takes {longest}: use fewer conditions on arguments", longest = Program::LONGEST)]
    TooLong(usize),
    /// The compiler of argument conditions refused one.
    #[error("a condition on arguments cannot be compiled")]
    Condition(#[source] seccompiler::BackendError),
    /// The compiler of argument conditions wrote something else than it is known to write.
    #[error("the compiled conditions on arguments do not have the form that they are known by")]
    Form,
    /// A conditional jump over more than 255 instructions was left.
    #[error("a jump of the filter is too long")]
    Jump,
}

/// What every filter answers to a number with the x32 bit: that the kernel has no such ABI. Its table shares numbers with ours, so a
/// filter that forgot it would be passed by.
pub(super) const X32_ANSWER: Answer = Answer::Errno(ENOSYS);

/// Instructions that the built-in profiles' filters fit in.
const ROOM: usize = 512;

/// Compiles one verdict for each listed number (rising), and one answer for every other number below the x32 bit.
///
/// # Errors
/// When the conditions on arguments are too many.
pub(super) fn compile<'a>(
    verdicts: impl Iterator<Item = (u32, &'a Verdict)>,
    others: Answer,
) -> Result<Program, CompileError> {
    let mut writer = Writer {
        reversed: Vec::with_capacity(ROOM),
        ..Writer::default()
    };
    let ranges = writer.ranges(verdicts, others)?;
    let root = writer.tree(&ranges)?;
    if writer.distance(root) > 0 {
        writer.jump(root)?;
    }
    writer.push(Instruction::plain(code::LOAD, 0));
    writer.push(Instruction::plain(code::RETURN, Answer::KillProcess.action()));
    writer.push(Instruction {
        code: code::JUMP_EQUAL,
        jt: 1,
        jf: 0,
        k: ARCH,
    });
    writer.push(Instruction::plain(code::LOAD, 4));
    let mut instructions = writer.reversed;
    if instructions.len() > Program::LONGEST {
        return Err(CompileError::TooLong(instructions.len()));
    }
    instructions.reverse();
    Ok(Program { instructions })
}

/// A place in the program, counted from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Label(usize);

/// What the tree leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaf {
    /// A return.
    Answer(Answer),
    /// A block of argument checks.
    Block(Label),
}

/// The numbers from `start` up to the start of the next range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    start: u32,
    leaf: Leaf,
}

/// Writes a program from its end to its beginning.
#[derive(Default)]
struct Writer<'a> {
    reversed: Vec<Instruction>,
    /// The last return of each kind that was written.
    returns: BTreeMap<Answer, Label>,
    /// Calls that are checked alike share a block.
    blocks: BTreeMap<&'a Verdict, Label>,
}

impl<'a> Writer<'a> {
    fn push(&mut self, instruction: Instruction) -> Label {
        self.reversed.push(instruction);
        Label(self.reversed.len() - 1)
    }

    /// How many instructions the one that is written next would skip to get to `label`.
    fn distance(&self, label: Label) -> usize {
        self.reversed.len() - label.0 - 1
    }

    fn jump(&mut self, label: Label) -> Result<Label, CompileError> {
        let k = u32::try_from(self.distance(label)).map_err(|_| CompileError::Jump)?;
        Ok(self.push(Instruction::plain(code::JUMP, k)))
    }

    /// `label`, or a jump to it that stands near enough for a conditional jump written `spare` instructions later.
    fn near(&mut self, label: Label, spare: usize) -> Result<Label, CompileError> {
        if self.distance(label) + spare <= usize::from(u8::MAX) {
            Ok(label)
        } else {
            self.jump(label)
        }
    }

    /// Writes the blocks, and cuts all numbers into ranges of one answer.
    fn ranges(
        &mut self,
        verdicts: impl Iterator<Item = (u32, &'a Verdict)>,
        others: Answer,
    ) -> Result<Vec<Range>, CompileError> {
        let others = Leaf::Answer(others);
        let mut ranges = vec![Range {
            start: 0,
            leaf: others,
        }];
        let mut add = |start, leaf| {
            ranges.pop_if(|last| last.start == start);
            if ranges.last().is_none_or(|last| last.leaf != leaf) {
                ranges.push(Range { start, leaf });
            }
        };
        for (number, verdict) in verdicts {
            let leaf = match verdict {
                Verdict::Always(answer) => Leaf::Answer(*answer),
                Verdict::Guarded { checks, otherwise } => {
                    Leaf::Block(self.block(verdict, checks, *otherwise)?)
                }
            };
            add(number, leaf);
            add(number + 1, others);
        }
        add(X32, Leaf::Answer(X32_ANSWER));
        Ok(ranges)
    }

    /// Writes the checks of one call: each passes on to the next.
    fn block(
        &mut self,
        verdict: &'a Verdict,
        checks: &[Check],
        otherwise: Answer,
    ) -> Result<Label, CompileError> {
        if let Some(label) = self.blocks.get(verdict) {
            return Ok(*label);
        }
        let mut next = None;
        for check in checks.iter().rev() {
            for instruction in arguments::compile(check)?.into_iter().rev() {
                match (instruction, next) {
                    (PASS, None) => self.push(Instruction::plain(code::RETURN, otherwise.action())),
                    (PASS, Some(next)) => self.jump(next)?,
                    (other, _) => self.push(other),
                };
            }
            next = Some(Label(self.reversed.len() - 1));
        }
        let label = next.ok_or(CompileError::Form)?;
        self.blocks.insert(verdict, label);
        Ok(label)
    }

    /// Writes the tree over some neighbouring ranges.
    fn tree(&mut self, ranges: &[Range]) -> Result<Label, CompileError> {
        let (below, above) = match ranges {
            [] => return Err(CompileError::Form),
            [one] => return Ok(self.leaf(one.leaf)),
            more => more.split_at(middle(more)),
        };
        let Some(&Range { start, .. }) = above.first() else {
            return Err(CompileError::Form);
        };
        let above = self.tree(above)?;
        let below = self.tree(below)?;
        let above = self.near(above, 1)?;
        let below = self.near(below, 0)?;
        let short = |distance: usize| u8::try_from(distance).map_err(|_| CompileError::Jump);
        let (jt, jf) = (short(self.distance(above))?, short(self.distance(below))?);
        Ok(self.push(Instruction {
            code: code::JUMP_GREATER_EQUAL,
            jt,
            jf,
            k: start,
        }))
    }

    /// A block, or a return: the last one of its kind where that is near, else a new one, which costs no more than a jump.
    fn leaf(&mut self, leaf: Leaf) -> Label {
        let answer = match leaf {
            Leaf::Block(label) => return label,
            Leaf::Answer(answer) => answer,
        };
        if let Some(label) = self
            .returns
            .get(&answer)
            .filter(|label| self.distance(**label) < 128)
        {
            return *label;
        }
        let label = self.push(Instruction::plain(code::RETURN, answer.action()));
        self.returns.insert(answer, label);
        label
    }
}

/// Where to part ranges (two at least) so that about as many numbers lie below as above: the kernel asks for each number once.
fn middle(ranges: &[Range]) -> usize {
    let number = |range: Option<&Range>| range.map_or(0, |range| range.start.min(table::LAST));
    let half = number(ranges.first()).midpoint(number(ranges.last()));
    let above = ranges.partition_point(|range| number(Some(range)) < half);
    (above.saturating_sub(1)..=above)
        .filter(|at| (1..ranges.len()).contains(at))
        .min_by_key(|at| number(ranges.get(*at)).abs_diff(half))
        .unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::super::interpret::{self, Call};
    use super::super::verdict::{Comparison, Condition, Match, Width};
    use super::*;

    fn guarded(value: u64) -> Verdict {
        let condition = Condition {
            argument: 0,
            width: Width::Low32,
            comparison: Comparison::Equal(value),
        };
        let check = Check {
            rules: vec![vec![condition]],
            on: Match::Any,
            answer: Answer::Errno(1),
        };
        Verdict::Guarded {
            checks: vec![check],
            otherwise: Answer::Allow,
        }
    }

    fn action(program: &Program, number: u32, argument: u64) -> u32 {
        let call = Call {
            number,
            arch: ARCH,
            arguments: [argument, 0, 0, 0, 0, 0],
            ..Call::default()
        };
        interpret::run(program, &call).expect("runs").action
    }

    #[test]
    fn trampolines_reach_far_blocks() {
        // Each call has a block of its own, so that the tree and the blocks are far longer than a conditional jump.
        let verdicts: Vec<_> = (0..400).map(|n| (n, guarded(u64::from(n)))).collect();
        let program = compile(verdicts.iter().map(|(n, v)| (*n, v)), Answer::Errno(38)).expect("compiles");
        assert_eq!(interpret::check(&program), Ok(()));
        for n in 0..400 {
            assert_eq!(action(&program, n, n.into()), Answer::Errno(1).action(), "{n}");
            assert_eq!(action(&program, n, 1000), Answer::Allow.action(), "{n}");
        }
        assert_eq!(action(&program, 400, 0), Answer::Errno(38).action());
    }

    #[test]
    fn equal_checks_share_a_block() {
        let one = guarded(7);
        let same = guarded(7);
        let length = |verdicts: &[(u32, &Verdict)]| {
            compile(verdicts.iter().copied(), Answer::Allow)
                .expect("compiles")
                .instructions
                .len()
        };
        assert_eq!(length(&[(5, &one), (6, &same)]), length(&[(5, &one), (6, &one)]));
        assert!(length(&[(5, &one), (6, &guarded(8))]) > length(&[(5, &one), (6, &one)]));
    }

    #[test]
    fn too_long_is_an_error() {
        let verdicts: Vec<_> = (0..900).map(|n| (n, guarded(n.into()))).collect();
        let result = compile(verdicts.iter().map(|(n, v)| (*n, v)), Answer::Allow);
        assert!(matches!(result, Err(CompileError::TooLong(_))), "{result:?}");
    }

    #[test]
    fn a_filter_of_one_answer() {
        let program = compile(std::iter::empty(), Answer::Allow).expect("compiles");
        assert_eq!(interpret::check(&program), Ok(()));
        assert_eq!(action(&program, 7, 0), Answer::Allow.action());
        assert_eq!(action(&program, X32 | 7, 0), X32_ANSWER.action());
    }
}

//! From verdicts to one BPF program: numbers in a binary tree, argument checks in blocks behind it.

use super::arguments;
use super::errno::ENOSYS;
use super::program::{CompileError, Instruction, Program, code};
use super::table::{ARCH, X32};
use super::tree::{self, Range};
use super::verdict::{Answer, Check, Verdict};
use super::writer::{Target, Writer};

/// What every filter answers to a number with the x32 bit: that the kernel has no such ABI. Its table shares numbers with ours, so a
/// filter that forgot it would be passed by.
pub(super) const X32_ANSWER: Answer = Answer::Errno(ENOSYS);

/// Instructions that the built-in profiles' filters fit in.
const ROOM: usize = 320;

/// Ranges of numbers that the built-in profiles have.
const RANGES: usize = 160;

/// Compiles one verdict for each listed number (rising), and one answer for every other number below the x32 bit.
///
/// # Errors
/// When the conditions on arguments are too many.
pub fn compile<'a>(
    verdicts: impl Iterator<Item = (u32, &'a Verdict)>,
    others: Answer,
) -> Result<Program, CompileError> {
    let mut blocks = Blocks {
        writer: Writer::new(ROOM),
        written: Vec::new(),
    };
    let others = Target::answer(others);
    let mut ranges = Vec::with_capacity(RANGES);
    let mut next = 0;
    for (number, verdict) in verdicts {
        if number > next {
            tree::add(&mut ranges, next, others);
        }
        tree::add(&mut ranges, number, blocks.target(verdict)?);
        next = number + 1;
    }
    tree::add(&mut ranges, next, others);
    tree::add(&mut ranges, X32, Target::answer(X32_ANSWER));
    finish(blocks.writer, &ranges)
}

/// Writes what every call goes through first.
fn finish(mut writer: Writer, ranges: &[Range]) -> Result<Program, CompileError> {
    let root = tree::write(&mut writer, ranges)?;
    writer.fall_to(root)?;
    writer.push(Instruction::plain(code::LOAD, 0));
    writer.push(Instruction::plain(code::RETURN, Answer::KillProcess.action()));
    writer.push(Instruction {
        code: code::JUMP_EQUAL,
        jt: 1,
        jf: 0,
        k: ARCH,
    });
    writer.push(Instruction::plain(code::LOAD, 4));
    writer.finish()
}

/// The blocks of argument checks.
struct Blocks<'a> {
    writer: Writer,
    /// Calls that are checked alike, or end in the same checks, share a block. They are few, and most of them differ in their lengths
    /// already.
    written: Vec<(&'a [Check], Answer, Target)>,
}

impl<'a> Blocks<'a> {
    fn target(&mut self, verdict: &'a Verdict) -> Result<Target, CompileError> {
        match verdict {
            Verdict::Always(answer) => Ok(Target::answer(*answer)),
            Verdict::Guarded { checks, otherwise } => self.block(checks, *otherwise),
        }
    }

    /// Writes the checks of one call: each passes on to the next.
    fn block(&mut self, checks: &'a [Check], otherwise: Answer) -> Result<Target, CompileError> {
        let Some((first, others)) = checks.split_first() else {
            return Ok(Target::answer(otherwise));
        };
        let same = |(known, end, _): &&(&[Check], Answer, Target)| *known == checks && *end == otherwise;
        if let Some((.., target)) = self.written.iter().find(same) {
            return Ok(*target);
        }
        let next = self.block(others, otherwise)?;
        let target = arguments::compile(&mut self.writer, first, next)?;
        self.written.push((checks, otherwise, target));
        Ok(target)
    }
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
        let verdicts: Vec<_> = (0..2000).map(|n| (n, guarded(n.into()))).collect();
        let result = compile(verdicts.iter().map(|(n, v)| (*n, v)), Answer::Allow);
        assert!(matches!(result, Err(CompileError::TooLong(_))));
    }

    #[test]
    fn a_filter_of_one_answer() {
        let program = compile(std::iter::empty(), Answer::Allow).expect("compiles");
        assert_eq!(interpret::check(&program), Ok(()));
        assert_eq!(action(&program, 7, 0), Answer::Allow.action());
        assert_eq!(action(&program, X32 | 7, 0), X32_ANSWER.action());
    }
}

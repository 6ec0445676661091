//! All numbers, cut into ranges of one target, as a binary tree of comparisons.
//!
//! A tree because the kernel runs a new filter once for every number, to learn which calls it always allows: a chain of 400
//! comparisons makes that cost 0.6 ms of every start, a tree a tenth of it. Its leaves are stretches of one target with a few single
//! numbers that differ: such a number costs one test for equality there, and two comparisons as a range of its own.

use super::program::{CompileError, code};
use super::table;
use super::writer::{Target, Test, Writer};

/// The most numbers of a stretch that differ: the kernel tries all of them for every other number of it.
const MOST: usize = 4;

/// The numbers from `start` up to the start of the next range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: u32,
    pub(super) target: Target,
}

/// A leaf of the tree: ranges of which the first gives the target, and each other one has it too or is a single number.
#[derive(Debug, Clone, Copy)]
struct Stretch<'a> {
    first: Range,
    more: &'a [Range],
}

/// Adds a range that begins at `start`, above all others.
pub(super) fn add(ranges: &mut Vec<Range>, start: u32, target: Target) {
    if ranges.last().is_none_or(|last| last.target != target) {
        ranges.push(Range { start, target });
    }
}

/// Writes the tree over all ranges.
///
/// # Errors
/// When there is no range.
pub(super) fn write(writer: &mut Writer, ranges: &[Range]) -> Result<Target, CompileError> {
    over(writer, &stretches(ranges))
}

fn stretches(ranges: &[Range]) -> Vec<Stretch<'_>> {
    let mut stretches = Vec::with_capacity(ranges.len());
    let mut rest = ranges;
    while let [first, others @ ..] = rest {
        let (more, left) = others.split_at(reach(first.target, others));
        stretches.push(Stretch { first: *first, more });
        rest = left;
    }
    stretches
}

/// How many of the ranges that follow one with `target` belong to its stretch: it ends in a range with `target` again.
fn reach(target: Target, others: &[Range]) -> usize {
    let (mut end, mut differing) = (0, 0);
    loop {
        let rest = others.get(end..).unwrap_or_default();
        let single = |pair: &[Range]| matches!(pair, [one, next] if one.target != target && next.start - one.start == 1);
        let singles = rest.windows(2).take_while(|pair| single(pair)).count();
        differing += singles;
        let back = rest.get(singles).is_some_and(|range| range.target == target);
        if singles == 0 || !back || differing > MOST {
            return end;
        }
        end += singles + 1;
    }
}

/// Writes the tree over some neighbouring stretches.
fn over(writer: &mut Writer, stretches: &[Stretch<'_>]) -> Result<Target, CompileError> {
    let (below, above) = match stretches {
        [] => return Err(CompileError::Hole),
        [one] => return leaf(writer, one),
        more => more.split_at(middle(more)),
    };
    let start = above.first().map_or(0, |stretch| stretch.first.start);
    let above = over(writer, above)?;
    let below = over(writer, below)?;
    let test = Test {
        code: code::JUMP_GREATER_EQUAL,
        k: start,
    };
    writer.test(test, above, below).map(Target::At)
}

fn leaf(writer: &mut Writer, stretch: &Stretch<'_>) -> Result<Target, CompileError> {
    let mut target = stretch.first.target;
    for range in stretch.more.iter().rev() {
        if range.target != stretch.first.target {
            let test = Test {
                code: code::JUMP_EQUAL,
                k: range.start,
            };
            target = Target::At(writer.test(test, range.target, target)?);
        }
    }
    Ok(target)
}

/// Where to part stretches (two at least) so that about as many numbers lie below as above: the kernel asks for each number once.
fn middle(stretches: &[Stretch<'_>]) -> usize {
    let number = |stretch: Option<&Stretch<'_>>| stretch.map_or(0, |s| s.first.start.min(table::LAST));
    let half = number(stretches.first()).midpoint(number(stretches.last()));
    let above = stretches.partition_point(|stretch| number(Some(stretch)) < half);
    (above.saturating_sub(1)..=above)
        .filter(|at| (1..stretches.len()).contains(at))
        .min_by_key(|at| number(stretches.get(*at)).abs_diff(half))
        .unwrap_or(1)
}

//! One [`Condition`] as tests of 32-bit words, which are all that BPF has.

use super::program::code;
use super::verdict::{Comparison, Condition, Width};
use super::writer::Test;

/// What a test wants in the accumulator: a word of `seccomp_data`, under a mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) offset: u32,
    pub(super) mask: u32,
}

/// Where a test leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// To the next test of the condition.
    Next,
    /// The condition holds.
    Holds,
    /// It does not.
    Fails,
}

/// One test of a condition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) word: Word,
    pub(super) test: Test,
    pub(super) yes: Exit,
    pub(super) no: Exit,
}

impl Part {
    /// A test of a whole word.
    fn whole(offset: u32, code: u16, k: u32, yes: Exit, no: Exit) -> Self {
        let mask = u32::MAX;
        Self {
            word: Word { offset, mask },
            test: Test { code, k },
            yes,
            no,
        }
    }
}

/// The tests of one condition, in order.
#[derive(Debug)]
pub(super) struct Parts {
    list: [Part; 3],
    length: usize,
}

impl Parts {
    pub(super) fn all(&self) -> &[Part] {
        self.list.get(..self.length).unwrap_or_default()
    }

    /// The last one repeated fills the list: nothing looks at it.
    fn one(only: Part) -> Self {
        Self {
            list: [only; 3],
            length: 1,
        }
    }

    fn two(first: Part, second: Part) -> Self {
        Self {
            list: [first, second, second],
            length: 2,
        }
    }
}

/// The tests of a condition whose argument exists.
pub(super) fn parts(condition: Condition) -> Parts {
    let lower = 16 + 8 * u32::from(condition.argument);
    let upper = match condition.width {
        Width::Low32 => None,
        Width::Full64 => Some(lower + 4),
    };
    let (holds, fails) = (Exit::Holds, Exit::Fails);
    match condition.comparison {
        Comparison::Equal(value) => masked(lower, upper, value, u64::MAX, (holds, fails)),
        Comparison::NotEqual(value) => masked(lower, upper, value, u64::MAX, (fails, holds)),
        Comparison::Masked { mask, value } => masked(lower, upper, value, mask, (holds, fails)),
        Comparison::Greater(value) => above(lower, upper, value, code::JUMP_GREATER, (holds, fails)),
        Comparison::LessOrEqual(value) => above(lower, upper, value, code::JUMP_GREATER, (fails, holds)),
        Comparison::GreaterOrEqual(value) => {
            above(lower, upper, value, code::JUMP_GREATER_EQUAL, (holds, fails))
        }
        Comparison::Less(value) => above(lower, upper, value, code::JUMP_GREATER_EQUAL, (fails, holds)),
    }
}

/// Whether the bits under `mask` are those of `value`: the upper half first, unless no bit of it counts.
fn masked(lower: u32, upper: Option<u32>, value: u64, mask: u64, (is, is_not): (Exit, Exit)) -> Parts {
    let last = bits(lower, low(value), low(mask), is, is_not);
    match upper.filter(|_| high(mask) != 0) {
        Some(upper) => Parts::two(bits(upper, high(value), high(mask), Exit::Next, is_not), last),
        None => Parts::one(last),
    }
}

/// One half. A test of bits leaves the whole word in the accumulator, for the next test to look at.
fn bits(offset: u32, value: u32, mask: u32, is: Exit, is_not: Exit) -> Part {
    let value = value & mask;
    let single = value == mask && mask.is_power_of_two();
    let whole = |code, k, yes, no| Part::whole(offset, code, k, yes, no);
    match mask {
        u32::MAX => whole(code::JUMP_EQUAL, value, is, is_not),
        _ if value == 0 => whole(code::JUMP_SET, mask, is_not, is),
        _ if single => whole(code::JUMP_SET, mask, is, is_not),
        _ => Part {
            word: Word { offset, mask },
            ..whole(code::JUMP_EQUAL, value, is, is_not)
        },
    }
}

/// Whether the argument is above `value`, or not below it, as `test` has it for the lower half.
fn above(lower: u32, upper: Option<u32>, value: u64, test: u16, (is, is_not): (Exit, Exit)) -> Parts {
    let last = Part::whole(lower, test, low(value), is, is_not);
    match upper {
        None => Parts::one(last),
        Some(upper) => Parts {
            list: [
                Part::whole(upper, code::JUMP_GREATER, high(value), is, Exit::Next),
                Part::whole(upper, code::JUMP_EQUAL, high(value), Exit::Next, is_not),
                last,
            ],
            length: 3,
        },
    }
}

fn low(value: u64) -> u32 {
    value as u32
}

fn high(value: u64) -> u32 {
    (value >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(width: Width, comparison: Comparison) -> Vec<(u32, u16, u32)> {
        let condition = Condition {
            argument: 1,
            width,
            comparison,
        };
        let all = parts(condition);
        let one = |part: &Part| (part.word.offset, part.test.code, part.test.k);
        all.all().iter().map(one).collect()
    }

    #[test]
    fn only_halves_that_count_are_asked() {
        let (low, high) = (24, 28);
        let masked = |mask, value| Comparison::Masked { mask, value };
        for (width, comparison, expected) in [
            (
                Width::Low32,
                Comparison::Equal(7 << 32 | 5),
                vec![(low, code::JUMP_EQUAL, 5)],
            ),
            (
                Width::Full64,
                Comparison::Equal(7 << 32 | 5),
                vec![(high, code::JUMP_EQUAL, 7), (low, code::JUMP_EQUAL, 5)],
            ),
            (Width::Full64, masked(6, 0), vec![(low, code::JUMP_SET, 6)]),
            (Width::Full64, masked(4, 4), vec![(low, code::JUMP_SET, 4)]),
            (
                Width::Full64,
                masked(1 << 40 | 6, 2),
                vec![(high, code::JUMP_SET, 1 << 8), (low, code::JUMP_EQUAL, 2)],
            ),
            (
                Width::Full64,
                Comparison::Less(5),
                vec![
                    (high, code::JUMP_GREATER, 0),
                    (high, code::JUMP_EQUAL, 0),
                    (low, code::JUMP_GREATER_EQUAL, 5),
                ],
            ),
        ] {
            assert_eq!(codes(width, comparison), expected, "{comparison:?}");
        }
    }
}

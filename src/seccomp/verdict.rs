//! What a filter answers to one system call: at once, or after looking at its arguments.
//!
//! [`Verdict::answer`] says in plain Rust what the compiled program must do: it is the model that the tests hold it against.

use super::errno;
use std::fmt;

/// What happens to a call (seccomp(2), the `SECCOMP_RET_*` values).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// It is carried out.
    Allow,
    /// It is carried out, and the kernel's audit log names it.
    Log,
    /// It returns this error without being carried out; 0 is "done".
    Errno(u16),
    /// The thread gets `SIGSYS`.
    Trap,
    /// The thread is killed.
    KillThread,
    /// The whole process is killed.
    KillProcess,
}

impl Answer {
    /// The value that a filter returns to the kernel.
    #[must_use]
    pub fn action(self) -> u32 {
        match self {
            Self::Allow => libc::SECCOMP_RET_ALLOW,
            Self::Log => libc::SECCOMP_RET_LOG,
            Self::Errno(number) => libc::SECCOMP_RET_ERRNO | u32::from(number),
            Self::Trap => libc::SECCOMP_RET_TRAP,
            Self::KillThread => libc::SECCOMP_RET_KILL_THREAD,
            Self::KillProcess => libc::SECCOMP_RET_KILL_PROCESS,
        }
    }

    /// Whether the call is carried out.
    #[must_use]
    pub fn allows(self) -> bool {
        matches!(self, Self::Allow | Self::Log)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow => f.write_str("allowed"),
            Self::Log => f.write_str("allowed and logged"),
            Self::Errno(number) => match errno::name(*number) {
                Some(name) => f.write_str(name),
                None => write!(f, "errno {number}"),
            },
            Self::Trap => f.write_str("SIGSYS"),
            Self::KillThread => f.write_str("the thread is killed"),
            Self::KillProcess => f.write_str("the process is killed"),
        }
    }
}

/// How much of an argument is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Width {
    /// The low 32 bits: what the kernel itself looks at where the argument is an `int`. Whoever compares more there is passed by with
    /// a bit set in the upper half (CVE-2019-10063).
    Low32,
    /// All 64 bits.
    Full64,
}

impl Width {
    /// A value as far as a condition of this width looks at it.
    pub(super) fn cut(self, value: u64) -> u64 {
        match self {
            Self::Low32 => value & u64::from(u32::MAX),
            Self::Full64 => value,
        }
    }
}

/// One comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Comparison {
    /// The argument is this value.
    Equal(u64),
    /// It is another.
    NotEqual(u64),
    /// It is below, unsigned.
    Less(u64),
    /// It is below or the same.
    LessOrEqual(u64),
    /// It is above.
    Greater(u64),
    /// It is above or the same.
    GreaterOrEqual(u64),
    /// Its bits under `mask` are `value`.
    Masked {
        /// The bits that are looked at.
        mask: u64,
        /// What they must be; bits outside the mask do not count.
        value: u64,
    },
}

/// One comparison with one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Condition {
    /// Counted from 0; the kernel passes six.
    pub argument: u8,
    /// How much of it.
    pub width: Width,
    /// With what.
    pub comparison: Comparison,
}

impl Condition {
    /// Whether it holds.
    #[must_use]
    pub fn holds(self, arguments: &[u64; 6]) -> bool {
        let whole = arguments
            .get(usize::from(self.argument))
            .copied()
            .unwrap_or_default();
        let cut = |value| self.width.cut(value);
        let is = cut(whole);
        match self.comparison {
            Comparison::Equal(value) => is == cut(value),
            Comparison::NotEqual(value) => is != cut(value),
            Comparison::Less(value) => is < cut(value),
            Comparison::LessOrEqual(value) => is <= cut(value),
            Comparison::Greater(value) => is > cut(value),
            Comparison::GreaterOrEqual(value) => is >= cut(value),
            Comparison::Masked { mask, value } => is & cut(mask) == cut(value & mask),
        }
    }
}

/// Conditions that must all hold.
pub type Rule = Vec<Condition>;

/// One question about the arguments: the answer is given, or the next question is asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Check {
    /// It matches when one of these holds. Never empty, and no rule in it is.
    pub rules: Vec<Rule>,
    /// Whether the answer is given on a match, or without one.
    pub on: Match,
    /// What is answered.
    pub answer: Answer,
}

/// When a [`Check`] gives its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Match {
    /// When a rule holds: the rules list what is refused.
    Any,
    /// When none holds: the rules list all that is allowed.
    None,
}

impl Check {
    /// Its answer, where it gives one.
    #[must_use]
    pub fn answer(&self, arguments: &[u64; 6]) -> Option<Answer> {
        let matched = self
            .rules
            .iter()
            .any(|rule| rule.iter().all(|condition| condition.holds(arguments)));
        (matched == (self.on == Match::Any)).then_some(self.answer)
    }
}

/// What a filter answers to one system call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Whatever its arguments are.
    Always(Answer),
    /// The first check that answers decides, else `otherwise`.
    Guarded {
        /// In order; never empty.
        checks: Vec<Check>,
        /// What is answered when none of them answers.
        otherwise: Answer,
    },
}

impl Verdict {
    /// What happens to a call with these arguments.
    #[must_use]
    pub fn answer(&self, arguments: &[u64; 6]) -> Answer {
        match self {
            Self::Always(answer) => *answer,
            Self::Guarded { checks, otherwise } => checks
                .iter()
                .find_map(|check| check.answer(arguments))
                .unwrap_or(*otherwise),
        }
    }

    /// Whether the call is carried out for some arguments at least.
    #[must_use]
    pub fn may_allow(&self) -> bool {
        match self {
            Self::Always(answer) => answer.allows(),
            Self::Guarded { checks, otherwise } => {
                otherwise.allows() || checks.iter().any(|check| check.answer.allows())
            }
        }
    }
}

/// The low half of an argument is `value`.
pub(super) fn equal(argument: u8, value: u32) -> Condition {
    Condition {
        argument,
        width: Width::Low32,
        comparison: Comparison::Equal(value.into()),
    }
}

/// The low half of an argument is anything but `value`.
pub(super) fn not_equal(argument: u8, value: u32) -> Condition {
    Condition {
        argument,
        width: Width::Low32,
        comparison: Comparison::NotEqual(value.into()),
    }
}

/// The low half of an argument is `value` under `mask`.
pub(super) fn masked(argument: u8, mask: u64, value: u64) -> Condition {
    Condition {
        argument,
        width: Width::Low32,
        comparison: Comparison::Masked { mask, value },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, Masked, NotEqual};

    fn holds(width: Width, comparison: Comparison, argument: u64) -> bool {
        Condition {
            argument: 1,
            width,
            comparison,
        }
        .holds(&[0, argument, 0, 0, 0, 0])
    }

    #[test]
    fn low_half_ignores_the_upper_bits() {
        let high = 0xffff_ffff_0000_5412;
        assert!(holds(Width::Low32, Equal(0x5412), high));
        assert!(!holds(Width::Full64, Equal(0x5412), high));
        assert!(!holds(Width::Low32, NotEqual(0x5412), high));
        assert!(holds(Width::Full64, Greater(0x5412), high));
        assert!(!holds(Width::Low32, Greater(0x5412), high));
    }

    #[test]
    fn comparisons() {
        for (comparison, below, same, above) in [
            (Equal(5), false, true, false),
            (NotEqual(5), true, false, true),
            (Less(5), true, false, false),
            (LessOrEqual(5), true, true, false),
            (Greater(5), false, false, true),
            (GreaterOrEqual(5), false, true, true),
            (
                Masked {
                    mask: 0b110,
                    value: 0b101,
                },
                true,
                true,
                false,
            ),
        ] {
            for width in [Width::Low32, Width::Full64] {
                let got = [4, 5, 6].map(|argument| holds(width, comparison, argument));
                assert_eq!(got, [below, same, above], "{comparison:?} {width:?}");
            }
        }
    }
}

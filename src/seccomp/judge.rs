//! seccompiler as an independent judge: it compiles each check too, and both programs answer alike.
//!
//! It is used by nothing else: what it writes is about three times as long as our own, and each instruction costs every start.

use super::compile;
use super::guard::GUARDS;
use super::interpret::{self, Call};
use super::program::{Instruction, Program};
use super::samples::{check, interesting};
use super::sockets::Family;
use super::table::ARCH;
use super::verdict::{Answer, Check, Comparison, Condition, Match, Verdict, Width};
use proptest::prelude::*;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use std::collections::BTreeMap;

/// The call that is checked: its number is all that the filters know.
const NUMBER: u32 = 16;

/// What is answered where the check answers, and where it does not.
const GIVEN: u16 = 13;
const PASSED: Answer = Answer::Allow;

/// Combinations of arguments that a check is asked.
const MOST: usize = 20_000;

fn ours(check: &Check) -> Program {
    let verdict = Verdict::Guarded {
        checks: vec![Check {
            answer: Answer::Errno(GIVEN),
            ..check.clone()
        }],
        otherwise: PASSED,
    };
    let program = compile::compile(std::iter::once((NUMBER, &verdict)), PASSED).expect("compiles");
    assert_eq!(interpret::check(&program), Ok(()));
    program
}

fn theirs(check: &Check) -> Program {
    let rules = check.rules.iter().map(|rule| {
        let conditions: Result<_, _> = rule.iter().map(|condition| condition_of(*condition)).collect();
        SeccompRule::new(conditions?)
    });
    let rules: Result<Vec<_>, BackendError> = rules.collect();
    let (given, passed) = (SeccompAction::Errno(GIVEN.into()), SeccompAction::Allow);
    let (on_match, otherwise) = match check.on {
        Match::Any => (given, passed),
        Match::None => (passed, given),
    };
    let rules = BTreeMap::from([(NUMBER.into(), rules.expect("rules"))]);
    let filter = SeccompFilter::new(rules, otherwise, on_match, TargetArch::x86_64).expect("filter");
    let program: BpfProgram = filter.try_into().expect("compiles");
    let ours = |i: &seccompiler::sock_filter| Instruction {
        code: i.code,
        jt: i.jt,
        jf: i.jf,
        k: i.k,
    };
    Program {
        instructions: program.iter().map(ours).collect(),
    }
}

fn condition_of(condition: Condition) -> Result<SeccompCondition, BackendError> {
    let length = match condition.width {
        Width::Low32 => SeccompCmpArgLen::Dword,
        Width::Full64 => SeccompCmpArgLen::Qword,
    };
    let (operator, value) = match condition.comparison {
        Comparison::Equal(value) => (SeccompCmpOp::Eq, value),
        Comparison::NotEqual(value) => (SeccompCmpOp::Ne, value),
        Comparison::Less(value) => (SeccompCmpOp::Lt, value),
        Comparison::LessOrEqual(value) => (SeccompCmpOp::Le, value),
        Comparison::Greater(value) => (SeccompCmpOp::Gt, value),
        Comparison::GreaterOrEqual(value) => (SeccompCmpOp::Ge, value),
        Comparison::Masked { mask, value } => (SeccompCmpOp::MaskedEq(mask), value),
    };
    SeccompCondition::new(condition.argument, length, operator, value)
}

/// For each argument the values at which a condition on it could change its mind, or any one value.
fn values(check: &Check) -> [Vec<u64>; 6] {
    std::array::from_fn(|argument| {
        let conditions = check.rules.iter().flatten();
        let about: Vec<_> = conditions
            .filter(|c| usize::from(c.argument) == argument)
            .map(|c| vec![*c])
            .collect();
        if about.is_empty() {
            return vec![0x1234_5678_9abc_def0];
        }
        interesting(&[Check {
            rules: about,
            ..check.clone()
        }])
    })
}

/// Asks both programs about combinations of values: all of them, or as many that are spread evenly.
fn compare(check: &Check, extra: &[[u64; 6]]) {
    let (ours, theirs) = (ours(check), theirs(check));
    let values = values(check);
    let all = values
        .iter()
        .fold(1_usize, |all, list| all.saturating_mul(list.len()));
    let chosen = (0..all).step_by((all / MOST) | 1).map(|at| {
        let mut left = at;
        values.each_ref().map(|list| {
            let value = list[left % list.len()];
            left /= list.len();
            value
        })
    });
    for arguments in chosen.chain(extra.iter().copied()) {
        let call = Call {
            number: NUMBER,
            arch: ARCH,
            arguments,
            ..Call::default()
        };
        let answer = |program| interpret::run(program, &call).expect("runs").action;
        assert_eq!(answer(&ours), answer(&theirs), "{arguments:x?} {check:#?}");
    }
}

#[test]
fn guards_are_compiled_as_seccompiler_does() {
    let families = Family::ALL.map(|(_, family)| family);
    for guard in GUARDS {
        // A check without rules is an answer, and never compiled.
        for (_, check) in guard
            .checks(&families)
            .iter()
            .filter(|(_, check)| !check.rules.is_empty())
        {
            compare(check, &[]);
        }
    }
}

#[test]
fn guards_are_shorter_than_seccompiler_has_them() {
    let families = Family::ALL.map(|(_, family)| family);
    for guard in GUARDS {
        for (call, check) in guard.checks(&families) {
            let (ours, theirs) = (ours(&check).instructions.len(), theirs(&check).instructions.len());
            // Ours also knows the numbers with the x32 bit.
            assert!(
                ours <= theirs + 2,
                "{} {call}: {ours} instructions, not {theirs}",
                guard.name
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn checks_are_compiled_as_seccompiler_does(
        check in check(),
        extra in prop::collection::vec(any::<[u64; 6]>(), 16),
    ) {
        compare(&check, &extra);
    }
}

//! Conditions, checks and verdicts at random, and the arguments at which they could be wrong.

use super::errno;
use super::verdict::{Answer, Check, Comparison, Condition, Match, Verdict, Width};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Argument values at which some comparison could change its mind.
pub(super) fn interesting(checks: &[Check]) -> Vec<u64> {
    let mut values = BTreeSet::from([0, 1, u64::MAX, u64::from(u32::MAX), 1 << 32]);
    for condition in checks.iter().flat_map(|check| &check.rules).flatten() {
        let (value, mask) = match condition.comparison {
            Comparison::Equal(v) | Comparison::NotEqual(v) | Comparison::Less(v) => (v, u64::MAX),
            Comparison::LessOrEqual(v) | Comparison::Greater(v) | Comparison::GreaterOrEqual(v) => {
                (v, u64::MAX)
            }
            Comparison::Masked { mask, value } => (value, mask),
        };
        values.extend([
            value,
            value.wrapping_sub(1),
            value.wrapping_add(1),
            !value,
            mask,
            !mask,
            value | !mask,
        ]);
        values.extend(
            (0..64)
                .filter(|bit| mask != u64::MAX && mask >> bit & 1 == 1)
                .map(|bit| value ^ 1 << bit),
        );
    }
    // The same again under bits that a 32-bit comparison must not see.
    values
        .iter()
        .flat_map(|value| [*value, value ^ 0xdead_beef_0000_0000, value ^ 1 << 32])
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

fn condition() -> impl Strategy<Value = Condition> {
    let value = prop_oneof![
        0..4_u64,
        any::<u64>(),
        (0..64_u32).prop_map(|bit| 1 << bit),
        Just(0xffff_ffff)
    ];
    let comparison = (0..7, value.clone(), value).prop_map(|(kind, value, mask)| match kind {
        0 => Comparison::Equal(value),
        1 => Comparison::NotEqual(value),
        2 => Comparison::Less(value),
        3 => Comparison::LessOrEqual(value),
        4 => Comparison::Greater(value),
        5 => Comparison::GreaterOrEqual(value),
        _ => Comparison::Masked { mask, value },
    });
    let width = prop_oneof![Just(Width::Low32), Just(Width::Full64)];
    (0..6_u8, width, comparison).prop_map(|(argument, width, comparison)| Condition {
        argument,
        width,
        comparison,
    })
}

pub(super) fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        Just(Answer::Allow),
        Just(Answer::Log),
        (0..=errno::LARGEST).prop_map(Answer::Errno),
        Just(Answer::Trap),
        Just(Answer::KillThread),
        Just(Answer::KillProcess),
    ]
}

/// Few arguments with few values, so that rules repeat, imply and exclude each other's conditions.
fn narrow() -> impl Strategy<Value = Condition> {
    let mask = prop_oneof![Just(1), Just(3), Just(0xf), Just(0x3_0000_0003)];
    let comparison = (0..9, 0..3_u64, mask).prop_map(|(kind, value, mask)| match kind {
        0..=3 => Comparison::Equal(value),
        4 => Comparison::NotEqual(value),
        5 => Comparison::Greater(value),
        6 => Comparison::Less(value),
        _ => Comparison::Masked { mask, value },
    });
    let width = prop_oneof![3 => Just(Width::Low32), 1 => Just(Width::Full64)];
    (0..3_u8, width, comparison).prop_map(|(argument, width, comparison)| Condition {
        argument,
        width,
        comparison,
    })
}

/// One check.
pub(super) fn check() -> impl Strategy<Value = Check> {
    let wide = prop::collection::vec(prop::collection::vec(condition(), 1..4), 1..4);
    let narrow = prop::collection::vec(prop::collection::vec(narrow(), 1..5), 1..8);
    (prop_oneof![wide, narrow], any::<bool>(), answer()).prop_map(|(rules, any, answer)| Check {
        rules,
        on: if any { Match::Any } else { Match::None },
        answer,
    })
}

pub(super) fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        4 => answer().prop_map(Verdict::Always),
        1 => (prop::collection::vec(check(), 1..3), answer())
            .prop_map(|(checks, otherwise)| Verdict::Guarded { checks, otherwise }),
    ]
}

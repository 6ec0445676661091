//! One [`Check`] of arguments to BPF, compiled by seccompiler.
//!
//! seccompiler writes whole filters for one number: architecture, number, rules, two answers. What stands before the rules is cut
//! off, since the tree has been through it, and the answer that means "go on" is a marker that the caller replaces.

use super::compile::CompileError;
use super::program::{Instruction, code};
use super::verdict::{Answer, Check, Comparison, Condition, Match, Width};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};
use std::collections::BTreeMap;

/// The marker: returned where the check gives no answer. No [`Answer`] is a `SECCOMP_RET_TRACE`.
pub(super) const PASS: Instruction = Instruction {
    code: code::RETURN,
    jt: 0,
    jf: 0,
    k: libc::SECCOMP_RET_TRACE | 0x5a5a,
};

/// What seccompiler writes before the first rule's conditions: load and test the architecture, kill, load and test the number, into
/// the rule, past the rule.
const HEAD: [u16; 7] = [
    code::LOAD,
    code::JUMP_EQUAL,
    code::RETURN,
    code::LOAD,
    code::JUMP_EQUAL,
    code::JUMP,
    code::JUMP,
];

/// Compiles a check to instructions that start with any accumulator and end in its answer or in [`PASS`].
///
/// # Errors
/// When seccompiler cannot express it.
pub(super) fn compile(check: &Check) -> Result<Vec<Instruction>, CompileError> {
    let rules: Result<Vec<_>, _> = check.rules.iter().map(|rule| rule_of(rule)).collect();
    let pass = SeccompAction::Trace(PASS.k & libc::SECCOMP_RET_DATA);
    let answer = action_of(check.answer);
    let (on_match, otherwise) = match check.on {
        Match::Any => (answer, pass),
        Match::None => (pass, answer),
    };
    let rules = BTreeMap::from([(0, rules.map_err(CompileError::Condition)?)]);
    let filter = SeccompFilter::new(rules, otherwise, on_match, TargetArch::x86_64);
    let program: BpfProgram = filter
        .and_then(TryInto::try_into)
        .map_err(CompileError::Condition)?;
    let (head, body) = program.split_at_checked(HEAD.len()).ok_or(CompileError::Form)?;
    if !head.iter().map(|i| i.code).eq(HEAD) {
        return Err(CompileError::Form);
    }
    Ok(body
        .iter()
        .map(|i| Instruction {
            code: i.code,
            jt: i.jt,
            jf: i.jf,
            k: i.k,
        })
        .collect())
}

fn rule_of(rule: &[Condition]) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(
        rule.iter()
            .map(|condition| condition_of(*condition))
            .collect::<Result<_, _>>()?,
    )
}

fn condition_of(condition: Condition) -> Result<SeccompCondition, seccompiler::BackendError> {
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

fn action_of(answer: Answer) -> SeccompAction {
    match answer {
        Answer::Allow => SeccompAction::Allow,
        Answer::Log => SeccompAction::Log,
        Answer::Errno(number) => SeccompAction::Errno(number.into()),
        Answer::Trap => SeccompAction::Trap,
        Answer::KillThread => SeccompAction::KillThread,
        Answer::KillProcess => SeccompAction::KillProcess,
    }
}

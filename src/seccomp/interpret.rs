//! An interpreter for the classic BPF that seccomp accepts: proves a program before the kernel sees it.
//!
//! It is stricter than the kernel's own check where the kernel is generous: what [`Program`]s never need is a fault.

use super::program::{Instruction, Program, code};

/// What the kernel hands to a filter (`struct seccomp_data`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Call {
    /// The number, as the register holds it.
    pub number: u32,
    /// The entry it came through.
    pub arch: u32,
    /// Where it was made.
    pub instruction_pointer: u64,
    /// Its arguments.
    pub arguments: [u64; 6],
}

/// What a program did with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The value that it returned (`SECCOMP_RET_*`).
    pub action: u32,
    /// Whether it looked at an argument or the instruction pointer. When it did not, the kernel answers from its allow bitmap,
    /// or at least knows that the answer never changes.
    pub looked_inside: bool,
    /// How many instructions ran.
    pub steps: usize,
}

/// What is wrong with a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It has no instruction, or more than the kernel takes.
    #[error("a filter of {0} instructions: the kernel takes 1 to 4096")]
    Length(usize),
    /// A jump leads outside it. A backward jump is one of these: offsets are unsigned.
    #[error("instruction {at} jumps outside the filter")]
    Jump {
        /// The instruction.
        at: usize,
    },
    /// A load outside `seccomp_data`, or across two of its words.
    #[error("instruction {at} loads from offset {offset}, which is no word of seccomp_data")]
    Load {
        /// The instruction.
        at: usize,
        /// Where it loads from.
        offset: u32,
    },
    /// An instruction that a filter of ours never holds.
    #[error("instruction {at} has the code {code:#06x}, which a filter does not need")]
    Code {
        /// The instruction.
        at: usize,
        /// Its code.
        code: u16,
    },
    /// It can run past its end.
    #[error("instruction {at} is the last one and does not return")]
    End {
        /// The instruction.
        at: usize,
    },
}

/// Looks at every instruction without running any: whether each is known, stays inside, and none can run past the end.
///
/// # Errors
/// The first [`Fault`] in the program.
pub fn check(program: &Program) -> Result<(), Fault> {
    let length = program.instructions.len();
    if !(1..=Program::LONGEST).contains(&length) {
        return Err(Fault::Length(length));
    }
    for (at, instruction) in program.instructions.iter().enumerate() {
        check_one(*instruction, at, length)?;
    }
    Ok(())
}

fn check_one(instruction: Instruction, at: usize, length: usize) -> Result<(), Fault> {
    let inside = |offset: u32| usize::try_from(offset).is_ok_and(|offset| offset < length - at - 1);
    let falls_through = match instruction.code {
        code::RETURN => return Ok(()),
        code::LOAD => {
            load(&Call::default(), instruction.k).ok_or(Fault::Load {
                at,
                offset: instruction.k,
            })?;
            true
        }
        code::AND => true,
        code::JUMP => inside(instruction.k),
        code::JUMP_EQUAL | code::JUMP_GREATER | code::JUMP_GREATER_EQUAL | code::JUMP_SET => {
            inside(instruction.jt.into()) && inside(instruction.jf.into())
        }
        code => return Err(Fault::Code { at, code }),
    };
    match (falls_through, at + 1 < length) {
        (false, _) => Err(Fault::Jump { at }),
        (true, false) => Err(Fault::End { at }),
        (true, true) => Ok(()),
    }
}

/// Runs a program on one call.
///
/// # Errors
/// When it does what [`check`] would have refused.
pub fn run(program: &Program, call: &Call) -> Result<Outcome, Fault> {
    let instructions = &program.instructions;
    let (mut at, mut accumulator, mut looked_inside) = (0_usize, 0_u32, false);
    // Every jump leads forward, so the length bounds the steps.
    for steps in 1..=instructions.len() {
        let Some(&Instruction { code, jt, jf, k }) = instructions.get(at) else {
            return Err(Fault::Jump { at });
        };
        let mut skip = 0;
        match code {
            code::RETURN => {
                return Ok(Outcome {
                    action: k,
                    looked_inside,
                    steps,
                });
            }
            code::LOAD => {
                accumulator = load(call, k).ok_or(Fault::Load { at, offset: k })?;
                looked_inside |= k >= 8;
            }
            code::AND => accumulator &= k,
            code::JUMP => skip = k,
            code::JUMP_EQUAL => skip = if accumulator == k { jt } else { jf }.into(),
            code::JUMP_GREATER => skip = if accumulator > k { jt } else { jf }.into(),
            code::JUMP_GREATER_EQUAL => skip = if accumulator >= k { jt } else { jf }.into(),
            code::JUMP_SET => skip = if accumulator & k != 0 { jt } else { jf }.into(),
            code => return Err(Fault::Code { at, code }),
        }
        let skip = usize::try_from(skip).map_err(|_| Fault::Jump { at })?;
        at = at
            .checked_add(skip)
            .and_then(|at| at.checked_add(1))
            .ok_or(Fault::Jump { at })?;
    }
    Err(Fault::End {
        at: instructions.len().saturating_sub(1),
    })
}

/// One word of `seccomp_data`: number, arch, then 64-bit values, each with its low half first on this architecture.
fn load(call: &Call, offset: u32) -> Option<u32> {
    let half = |value: u64| {
        if offset.is_multiple_of(8) {
            value as u32
        } else {
            (value >> 32) as u32
        }
    };
    match offset {
        0 => Some(call.number),
        4 => Some(call.arch),
        8 | 12 => Some(half(call.instruction_pointer)),
        16..64 if offset.is_multiple_of(4) => {
            let index = usize::try_from((offset - 16) / 8).ok()?;
            call.arguments.get(index).map(|argument| half(*argument))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(instructions: &[(u16, u8, u8, u32)]) -> Program {
        Program {
            instructions: instructions
                .iter()
                .map(|&(code, jt, jf, k)| Instruction { code, jt, jf, k })
                .collect(),
        }
    }

    #[test]
    fn faults() {
        let end = (code::RETURN, 0, 0, 7);
        for (fault, instructions) in [
            (Fault::Length(0), vec![]),
            (Fault::Length(4097), vec![end; 4097]),
            (Fault::Jump { at: 0 }, vec![(code::JUMP, 0, 0, 1), end]),
            (
                Fault::Jump { at: 1 },
                vec![(code::AND, 0, 0, 1), (code::JUMP, 0, 0, u32::MAX - 1), end],
            ),
            (Fault::Jump { at: 0 }, vec![(code::JUMP_EQUAL, 0, 1, 9), end]),
            (Fault::Jump { at: 0 }, vec![(code::JUMP_SET, 255, 0, 9), end]),
            (
                Fault::Load { at: 0, offset: 64 },
                vec![(code::LOAD, 0, 0, 64), end],
            ),
            (
                Fault::Load { at: 0, offset: 18 },
                vec![(code::LOAD, 0, 0, 18), end],
            ),
            (Fault::Code { at: 0, code: 0x34 }, vec![(0x34, 0, 0, 0), end]),
            (Fault::End { at: 1 }, vec![end, (code::LOAD, 0, 0, 0)]),
        ] {
            assert_eq!(check(&program(&instructions)), Err(fault), "{instructions:?}");
        }
        assert_eq!(check(&program(&[end])), Ok(()));
    }

    #[test]
    fn running_a_faulty_program_is_an_error_too() {
        for instructions in [
            vec![],
            vec![(code::JUMP, 0, 0, u32::MAX)],
            vec![(code::LOAD, 0, 0, 2)],
            vec![(code::AND, 0, 0, 1)],
        ] {
            assert!(
                run(&program(&instructions), &Call::default()).is_err(),
                "{instructions:?}"
            );
        }
    }

    #[test]
    fn words_of_the_call() {
        let call = Call {
            number: 1,
            arch: 2,
            instruction_pointer: 0x4_0000_0003,
            arguments: [0x6_0000_0005, 0, 0, 0, 0, 0x8_0000_0007],
        };
        for (offset, word) in [
            (0, 1),
            (4, 2),
            (8, 3),
            (12, 4),
            (16, 5),
            (20, 6),
            (56, 7),
            (60, 8),
        ] {
            let loaded = run(
                &program(&[
                    (code::LOAD, 0, 0, offset),
                    (code::JUMP_EQUAL, 0, 1, word),
                    (code::RETURN, 0, 0, 1),
                    (code::RETURN, 0, 0, 0),
                ]),
                &call,
            );
            assert_eq!(
                loaded,
                Ok(Outcome {
                    action: 1,
                    looked_inside: offset >= 8,
                    steps: 3
                }),
                "{offset}"
            );
        }
    }
}

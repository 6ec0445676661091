//! A BPF program as seccomp(2) takes it.

pub use crate::sys::seccomp::Instruction;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The instruction codes that a filter of ours holds (`linux/bpf_common.h`).
pub mod code {
    /// `BPF_LD | BPF_W | BPF_ABS`: load a word of `seccomp_data`.
    pub const LOAD: u16 = 0x20;
    /// `BPF_ALU | BPF_AND | BPF_K`
    pub const AND: u16 = 0x54;
    /// `BPF_JMP | BPF_JA`
    pub const JUMP: u16 = 0x05;
    /// `BPF_JMP | BPF_JEQ | BPF_K`
    pub const JUMP_EQUAL: u16 = 0x15;
    /// `BPF_JMP | BPF_JGT | BPF_K`
    pub const JUMP_GREATER: u16 = 0x25;
    /// `BPF_JMP | BPF_JGE | BPF_K`
    pub const JUMP_GREATER_EQUAL: u16 = 0x35;
    /// `BPF_JMP | BPF_JSET | BPF_K`
    pub const JUMP_SET: u16 = 0x45;
    /// `BPF_RET | BPF_K`
    pub const RETURN: u16 = 0x06;
}

/// Why verdicts could not be made a program.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// Longer than the kernel takes.
    #[error("the filter has {0} instructions and the kernel takes {longest}: use fewer conditions on arguments", longest = Program::LONGEST)]
    TooLong(usize),
    /// A condition looks at an argument that no call has.
    #[error("a condition looks at argument {0} of a call, and the last one that a call has is 5")]
    Argument(u8),
    /// A jump over more instructions than it can express was left.
    #[error("a jump of the filter is too long")]
    Jump,
    /// A jump to nothing was left.
    #[error("a jump of the filter leads to nothing")]
    Hole,
}

/// One whole filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// What seccomp(2) takes.
    pub instructions: Vec<Instruction>,
}

impl Program {
    /// `BPF_MAXINSNS`: the kernel takes no longer one.
    pub const LONGEST: usize = 4096;

    /// SHA-256 of the instructions as they lie in memory, in hexadecimal: equal programs are the same filter.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for i in &self.instructions {
            hash.update(i.code.to_ne_bytes());
            hash.update([i.jt, i.jf]);
            hash.update(i.k.to_ne_bytes());
        }
        hash.finalize().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

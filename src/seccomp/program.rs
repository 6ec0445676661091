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

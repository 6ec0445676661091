//! System call policy to one BPF program, and an interpreter that proves it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`table`], [`errno`] | names and numbers of system calls and errors |
//! | [`groups`] | `@files` and the other names for many calls |
//! | [`guard`], [`ids`], [`modes`], [`sockets`] | conditions on arguments, by name |
//! | [`policy`] | a profile's `[syscalls]` to a [`Table`] |
//! | [`docker`] | Docker's JSON format to a [`Table`] |
//! | [`verdict`], [`verdicts`] | what each call gets and who decided it; the model of the program |
//! | [`compile`], [`program`] | verdicts to BPF: a tree of numbers, blocks for their arguments |
//! | [`interpret`] | BPF to answers: the check that the program is the model |
//!
//! What every filter does, whatever the profile says:
//! - a call through another entry than the 64-bit one (`int 0x80`, a 32-bit program) kills the process, because its numbers mean
//!   something else; a number with the x32 bit gets `ENOSYS`;
//! - a call that is known and not allowed gets `EPERM`; a number that is not known, or newer than the table, gets `ENOSYS`, so that
//!   libraries fall back; so does clone3, whose flags lie in memory where no filter can look;
//! - a call that is allowed without conditions reaches its answer without a look at its arguments, so that the kernel answers it from
//!   its bitmap and it costs nothing.

mod arguments;
pub mod compile;
mod condition;
pub mod docker;
pub mod errno;
pub mod groups;
pub mod guard;
mod ids;
pub mod interpret;
mod ioctls;
#[cfg(test)]
mod judge;
mod modes;
#[cfg(test)]
mod oracle;
pub mod policy;
pub mod program;
#[cfg(test)]
mod samples;
pub mod sockets;
pub mod table;
mod tree;
pub mod verdict;
pub mod verdicts;
mod writer;

pub use docker::DockerError;
pub use ids::Ids;
pub use policy::{Spec, SpecError, resolve};
pub use program::{CompileError, Instruction, Program};
pub use verdict::{Answer, Verdict};
pub use verdicts::{Counts, Entry, Explanation, Table};

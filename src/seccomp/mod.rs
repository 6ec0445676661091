//! System call policy to one BPF program, and an interpreter that proves it.
mod arguments;
pub mod compile;
pub mod errno;
pub mod groups;
pub mod guard;
pub mod interpret;
mod ioctls;
mod nearest;
pub mod policy;
pub mod program;
pub mod sockets;
pub mod table;
pub mod verdict;
pub mod verdicts;

pub use compile::CompileError;
pub use policy::{Spec, SpecError, resolve};
pub use program::{Instruction, Program};
pub use verdict::{Answer, Verdict};
pub use verdicts::{Counts, Entry, Explanation, Table};

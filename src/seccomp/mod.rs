//! System call policy to one BPF program, and an interpreter that proves it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`table`], [`errno`] | names and numbers of system calls and errors |
//! | [`groups`] | `@files` and the other names for many calls |
//! | [`guard`], [`sockets`] | conditions on arguments, by name |
//! | [`policy`] | a profile's `[syscalls]` to a [`Table`] |
//! | [`docker`] | Docker's JSON format to a [`Table`] |
//! | [`verdict`], [`verdicts`] | what each call gets and who decided it; the model of the program |
//! | [`compile`], [`program`] | verdicts to BPF |
//! | [`interpret`] | BPF to answers: the check that the program is the model |
//!
//! What every filter does, whatever the profile says:
//! - a call through another entry than the 64-bit one (`int 0x80`, a 32-bit program) kills the process, because its numbers mean
//!   something else; a number with the x32 bit gets `ENOSYS`;
//! - a call that is known and not allowed gets `EPERM`; a number that is not known, or newer than the table, gets `ENOSYS`, so that
//!   libraries fall back; so does clone3, whose flags lie in memory where no filter can look;
//! - a call that is allowed without conditions reaches its answer without a look at its arguments, so that the kernel answers it from
//!   its bitmap and it costs nothing.
//!
//! # The built-in profiles
//!
//! The tables below are compiled and counted by the tests of this module.
//!
//! `strict`: 229 calls, 15 of them guarded; 440 instructions. Out are ids and owners, System V and POSIX queues, the old asynchronous
//! input and output, and what came after Linux 6.3.
//!
//! ```toml
//! # strict
//! allow = ["@basic", "@io", "@files", "@xattr", "@processes", "@memory", "@signals", "@time", "@events", "@sockets",
//!          "@terminal", "@sandboxing", "@scheduling"]
//! guards = ["clone-namespaces", "terminal-injection", "ioctl-list", "socket-families", "setsockopt-surface", "msg-oob",
//!           "prctl-surface", "personality", "mknod-types"]
//! socket-families = ["unix", "inet", "inet6"]
//!
//! [deny]
//! # Optional or new: libraries ask whether the kernel has them, and go on without.
//! "@recent" = "ENOSYS"
//! "@recent-optional" = "ENOSYS"
//! "@io-uring" = "ENOSYS"
//! "@aio" = "ENOSYS"
//! "@mq" = "ENOSYS"
//! "@sysv-ipc" = "ENOSYS"
//! "@exotic" = "ENOSYS"
//! "@keyring" = "ENOSYS"
//! "@mount-api" = "ENOSYS"
//! "@obsolete" = "ENOSYS"
//! ```
//!
//! `default`: 289 calls, 8 of them guarded; 350 instructions. What Docker allows without capabilities, less what exploits use more than
//! programs do (ptrace, `modify_ldt`, `memfd_secret`, vmsplice, file handles, `remap_file_pages`).
//!
//! ```toml
//! # default
//! allow = ["@basic", "@io", "@files", "@xattr", "@processes", "@memory", "@signals", "@time", "@events", "@sockets",
//!          "@terminal", "@sandboxing", "@scheduling", "@recent", "@rare", "@ids", "@scheduling-class", "@aio", "@mq",
//!          "@sysv-ipc"]
//! guards = ["clone-namespaces", "terminal-injection", "socket-families", "setsockopt-surface", "personality-common",
//!           "mknod-types"]
//! socket-families = ["unix", "inet", "inet6", "netlink-route"]
//!
//! [deny]
//! "@recent-optional" = "ENOSYS"
//! "@io-uring" = "ENOSYS"
//! "@exotic" = "ENOSYS"
//! "@keyring" = "ENOSYS"
//! "@mount-api" = "ENOSYS"
//! "@obsolete" = "ENOSYS"
//! ```
//!
//! `build`: `default` and ptrace, for debuggers and leak checkers in test suites (the filter holds for the traced process too since
//! Linux 4.8; nothing outside the pid namespace can be traced).
//!
//! ```toml
//! # build
//! allow = ["@basic", "@io", "@files", "@xattr", "@processes", "@memory", "@signals", "@time", "@events", "@sockets",
//!          "@terminal", "@sandboxing", "@scheduling", "@recent", "@rare", "@ids", "@scheduling-class", "@aio", "@mq",
//!          "@sysv-ipc", "ptrace"]
//! guards = ["clone-namespaces", "terminal-injection", "socket-families", "setsockopt-surface", "personality-common",
//!           "mknod-types"]
//! socket-families = ["unix", "inet", "inet6", "netlink-route"]
//!
//! [deny]
//! "@recent-optional" = "ENOSYS"
//! "@io-uring" = "ENOSYS"
//! "@exotic" = "ENOSYS"
//! "@keyring" = "ENOSYS"
//! "@mount-api" = "ENOSYS"
//! "@obsolete" = "ENOSYS"
//! ```

mod arguments;
pub mod compile;
pub mod docker;
pub mod errno;
pub mod groups;
pub mod guard;
pub mod interpret;
mod ioctls;
mod nearest;
#[cfg(test)]
mod oracle;
pub mod policy;
pub mod program;
pub mod sockets;
pub mod table;
pub mod verdict;
pub mod verdicts;

pub use compile::CompileError;
pub use docker::DockerError;
pub use policy::{Spec, SpecError, resolve};
pub use program::{Instruction, Program};
pub use verdict::{Answer, Verdict};
pub use verdicts::{Counts, Entry, Explanation, Table};

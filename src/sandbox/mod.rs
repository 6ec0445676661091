//! Effects: a plan becomes system calls here, and nowhere else.
//!
//! `prepare` allocates everything; `spawn` clones; `child` and `init` run on the other side and never allocate; `supervise` waits.

mod buffer;
mod cgroup;
mod child;
mod command;
mod confine;
mod fresh;
mod helper;
mod init;
mod lower;
mod message;
mod operation;
mod outcome;
mod output;
mod prepare;
mod scope;
mod spawn;
mod supervise;
mod terminal;
mod watch;
pub mod workspace;

use std::time::Duration;

pub use cgroup::Counts;
pub use operation::Streams;
pub use outcome::{Counter, Ended, Outcome, Whole};
pub use prepare::{PrepareError, Prepared, prepare};
pub use spawn::{Running, StartError};
pub use supervise::{Serve, SuperviseError, Supervised};

/// How long a process has nothing to do before it is worth its while to call [`crate::sys::memory::release_unused`]: short commands never
/// pay for it.
const IDLE: Duration = Duration::from_millis(100);

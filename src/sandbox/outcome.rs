//! How a run ended.

use std::time::Duration;

/// Why it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The command exited with this code.
    Exited(i32),
    /// The command was killed by this signal.
    Signaled(i32),
    /// The time was up; everything was killed.
    Timeout,
    /// Something outside killed the sandbox as a whole.
    Killed(i32),
}

/// What is known at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Why it ended.
    pub ended: Ended,
    /// From clone3 to the end of the last process.
    pub wall: Duration,
    /// Processor time in user mode, of everything inside that was waited for.
    pub user: Duration,
    /// Likewise in the kernel.
    pub system: Duration,
    /// The largest resident set of one process, in bytes.
    pub memory_peak: u64,
}

impl Ended {
    /// The exit code of docker and podman: the command's own, or 128 and the signal's number.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        let code = match self {
            Self::Exited(code) => code,
            Self::Signaled(signal) | Self::Killed(signal) => 128 + signal,
            Self::Timeout => 128 + libc::SIGKILL,
        };
        u8::try_from(code & 0xff).unwrap_or(255)
    }

    /// The word in the result record.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Exited(_) => "exited",
            Self::Signaled(_) => "signaled",
            Self::Timeout => "timeout",
            Self::Killed(_) => "killed",
        }
    }

    /// The signal, where one ended it.
    #[must_use]
    pub fn signal(self) -> Option<i32> {
        match self {
            Self::Exited(_) => None,
            Self::Signaled(signal) | Self::Killed(signal) => Some(signal),
            Self::Timeout => Some(libc::SIGKILL),
        }
    }
}

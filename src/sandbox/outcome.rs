//! How a run ended.

use crate::plan::{Plan, Step};
use crate::policy::Resource;
use crate::sys::Errno;
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
    /// The memory of the sandbox as a whole was used up; everything was killed.
    OutOfMemory,
    /// What was written to the disk was more than may be; everything was killed.
    DiskFull,
    /// More was written to standard output and standard error than may be; everything was killed.
    Output,
    /// The command has used its processor time (RLIMIT_CPU), and this signal told it so.
    CpuTime(i32),
    /// The command wrote a file larger than it may be (RLIMIT_FSIZE).
    FileSize,
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
    /// The most that was seen on the disk of what was written to the root, where somebody looked.
    pub disk_peak: Option<u64>,
    /// What was written to standard output and standard error, where it was counted.
    pub output: Option<u64>,
    /// Why some of it could not be written.
    pub output_lost: Option<Errno>,
    /// Why the file that is standard input could not be read to its end.
    pub input_lost: Option<Errno>,
    /// What was counted of the sandbox as a whole.
    pub whole: Whole,
}

/// Who counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Counter {
    /// Nobody.
    #[default]
    None,
    /// The supervisor looked now and then.
    Watch,
    /// The kernel, in a cgroup.
    Cgroup,
}

/// What was counted of the sandbox as a whole. `None`: not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Whole {
    /// Who counted.
    pub by: Counter,
    /// The most memory at once, in bytes; of a watch, the most that was seen.
    pub memory_peak: Option<u64>,
    /// How often somebody was slowed down for want of memory.
    pub memory_slowed: Option<u64>,
    /// The most that was swapped out at once, in bytes.
    pub swap_peak: Option<u64>,
    /// The most processes and threads at once; likewise.
    pub pids_peak: Option<u64>,
    /// How often a process was refused because there were as many as may be.
    pub pids_refused: Option<u64>,
    /// How many processes the kernel killed for want of memory.
    pub oom_kills: Option<u64>,
    /// Processor time in user mode, in microseconds.
    pub cpu_user: Option<u64>,
    /// Likewise in the kernel.
    pub cpu_system: Option<u64>,
    /// For how many microseconds it had to wait because its share was used up.
    pub cpu_throttled: Option<u64>,
    /// Bytes read from block devices, and written to them.
    pub io_bytes: [Option<u64>; 2],
    /// How often they were read, and written.
    pub io_times: [Option<u64>; 2],
    /// For how many microseconds something in it, and everything in it, had to wait for processors, memory and block devices (PSI).
    pub pressure: [[Option<u64>; 2]; 3],
}

/// Limits of each process that end it: with a signal of their own, or with one that everybody sends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Deadly {
    /// The hard limit of processor time, in seconds, at which SIGKILL comes.
    cpu_seconds: Option<u64>,
}

impl Deadly {
    pub(super) fn of(plan: &Plan) -> Self {
        let all = plan.steps.iter().filter_map(|p| match &p.step {
            Step::Limits(limits) => Some(limits),
            _ => None,
        });
        let cpu = all.flatten().find(|l| l.resource == Resource::Cpu);
        Self {
            cpu_seconds: cpu.map(|l| l.hard).filter(|hard| *hard != u64::MAX),
        }
    }

    /// What an end by a signal was, by what is known besides. For its limit the kernel counts a whole tick of the clock for whoever runs
    /// when it ticks, for the usage it does not: they differ by a tenth and more. `used`: processor time of everything that was waited for.
    pub(super) fn judge(self, ended: Ended, used: Duration, whole: &Whole) -> Ended {
        let oom = whole.oom_kills.is_some_and(|n| n > 0);
        match ended {
            Ended::Signaled(libc::SIGXCPU) => Ended::CpuTime(libc::SIGXCPU),
            Ended::Signaled(libc::SIGXFSZ) => Ended::FileSize,
            // With memory.oom.group the kernel kills all, our init too.
            Ended::Signaled(libc::SIGKILL) | Ended::Killed(libc::SIGKILL) if oom => Ended::OutOfMemory,
            Ended::Signaled(libc::SIGKILL)
                if self
                    .cpu_seconds
                    .is_some_and(|s| used.as_millis() >= u128::from(s) * 750) =>
            {
                Ended::CpuTime(libc::SIGKILL)
            }
            other => other,
        }
    }
}

impl Ended {
    /// The exit code of docker and podman: the command's own, or 128 and the signal's number.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        let code = match self {
            Self::Exited(code) => code,
            other => 128 + other.signal().unwrap_or_default(),
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
            Self::OutOfMemory => "oom",
            Self::DiskFull => "disk",
            Self::Output => "output",
            Self::CpuTime(_) => "cpu-time",
            Self::FileSize => "file-size",
            Self::Killed(_) => "killed",
        }
    }

    /// The signal, where one ended it.
    #[must_use]
    pub fn signal(self) -> Option<i32> {
        match self {
            Self::Exited(_) => None,
            Self::Signaled(signal) | Self::Killed(signal) | Self::CpuTime(signal) => Some(signal),
            Self::Timeout | Self::OutOfMemory | Self::DiskFull | Self::Output => Some(libc::SIGKILL),
            Self::FileSize => Some(libc::SIGXFSZ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_it_is_told_apart() {
        let none = Whole::default();
        let oom = Whole {
            oom_kills: Some(1),
            ..Whole::default()
        };
        let (kill, long) = (libc::SIGKILL, Duration::from_secs(2));
        let deadly = Deadly { cpu_seconds: Some(2) };
        for (ended, used, whole, expected) in [
            (Ended::Exited(137), long, &oom, Ended::Exited(137)),
            (
                Ended::Signaled(kill),
                Duration::ZERO,
                &none,
                Ended::Signaled(kill),
            ),
            (Ended::Signaled(kill), long, &none, Ended::CpuTime(kill)),
            (Ended::Signaled(kill), long, &oom, Ended::OutOfMemory),
            (Ended::Killed(kill), Duration::ZERO, &oom, Ended::OutOfMemory),
            (Ended::Killed(kill), long, &none, Ended::Killed(kill)),
            (
                Ended::Signaled(libc::SIGTERM),
                long,
                &oom,
                Ended::Signaled(libc::SIGTERM),
            ),
            (
                Ended::Signaled(libc::SIGXCPU),
                Duration::ZERO,
                &none,
                Ended::CpuTime(libc::SIGXCPU),
            ),
            (
                Ended::Signaled(libc::SIGXFSZ),
                Duration::ZERO,
                &none,
                Ended::FileSize,
            ),
            (Ended::Timeout, long, &oom, Ended::Timeout),
        ] {
            assert_eq!(deadly.judge(ended, used, whole), expected, "{ended:?}");
        }
        assert_eq!(
            Deadly::default().judge(Ended::Signaled(kill), long, &none),
            Ended::Signaled(kill)
        );
    }
}

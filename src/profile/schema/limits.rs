//! `[limits]`: what may be used up.

use super::Maybe;
use crate::model::{Bytes, Processors, Set, Span};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `[limits]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// `memory`
    pub memory: Maybe<Bytes>,
    /// `memory-high`: from here on the kernel slows down whoever asks for more, and takes back what it can.
    pub memory_high: Maybe<Bytes>,
    /// `swap`: how much may be swapped out besides `memory`.
    pub swap: Maybe<Bytes>,
    /// `pids`
    pub pids: Maybe<u64>,
    /// `cpu`, in hundredths of a processor (`"1.5"` is 150).
    pub cpu: Maybe<u64>,
    /// `cpu-weight`: its share beside others that want the processors too, 1 to 10000; 100 is what everybody has.
    pub cpu_weight: Maybe<u64>,
    /// `processors`: the only ones that may be used.
    pub processors: Maybe<Processors>,
    /// `io`: rates of the disks that paths lie on. The same path replaces.
    pub io: Vec<Set<IoLimit>>,
    /// `time`: wall-clock time after which everything is killed.
    pub time: Maybe<Span>,
    /// `output`: the most that may be written to standard output and standard error together.
    pub output: Maybe<Bytes>,
    /// `open-files`, for each process.
    pub open_files: Maybe<u64>,
    /// `file-size`: the largest file that can be written.
    pub file_size: Maybe<Bytes>,
    /// `locked-memory`, for each process.
    pub locked_memory: Maybe<Bytes>,
    /// `--ulimit`, by the names of setrlimit(2) in docker's spelling (`nofile`, `nproc`, …): soft and hard. Later ones replace.
    pub ulimits: BTreeMap<String, Set<Ulimit>>,
}

/// What may pass in a second to and from the disk that a path lies on, or that it names. Not said: no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct IoLimit {
    /// On the host; `~/` and relative paths as in a mount.
    pub path: String,
    /// Bytes that are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_bps: Option<Bytes>,
    /// Bytes that are written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_bps: Option<Bytes>,
    /// Reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_iops: Option<u64>,
    /// Writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_iops: Option<u64>,
}

impl IoLimit {
    /// The four, by the names that io.max of a cgroup has for them.
    #[must_use]
    pub fn rates(&self) -> [(&'static str, Option<u64>); 4] {
        [
            ("rbps", self.read_bps.map(|b| b.0)),
            ("wbps", self.write_bps.map(|b| b.0)),
            ("riops", self.read_iops),
            ("wiops", self.write_iops),
        ]
    }
}

/// Soft and hard limit; `u64::MAX` is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Ulimit {
    /// What is in force.
    pub soft: u64,
    /// How far a process may raise it.
    pub hard: u64,
}

/// Why a limit was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write SOFT or SOFT:HARD, each a whole number, or unlimited")]
pub struct UlimitError;

impl std::str::FromStr for Ulimit {
    type Err = UlimitError;

    /// `SOFT` or `SOFT:HARD`; -1 is unlimited, as docker writes it.
    fn from_str(text: &str) -> Result<Self, UlimitError> {
        let number = |n: &str| match n {
            "-1" | "unlimited" => Ok(u64::MAX),
            n => n.parse().map_err(|_| UlimitError),
        };
        let (soft, hard) = text.split_once(':').unwrap_or((text, text));
        Ok(Self {
            soft: number(soft)?,
            hard: number(hard)?,
        })
    }
}

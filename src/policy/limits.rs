//! Resource limits by their names.

use crate::model::{Bytes, HostPath};
use crate::profile::schema::IoLimit;
use serde::Serialize;
use std::fmt;

/// How much may be swapped out, as docker counts it: memory and swap together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swap {
    /// So much of both.
    Together(Bytes),
    /// So much besides the memory.
    Besides(Bytes),
    /// As much as the host has.
    Unlimited,
}

impl Swap {
    /// How much may be swapped out, `None` without end, where so much memory may be used.
    #[must_use]
    pub fn besides(self, memory: Option<Bytes>) -> Option<u64> {
        match self {
            Self::Together(both) => Some(both.0.saturating_sub(memory.map_or(0, |m| m.0))),
            Self::Besides(bytes) => Some(bytes.0),
            Self::Unlimited => None,
        }
    }
}

/// Rates of the disk that a path lies on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Io {
    /// On the host.
    pub path: HostPath,
    /// What may pass in a second.
    pub limit: IoLimit,
}

/// RLIMIT_DATA of each process (bytes) behind a `limits.memory` that is enforced by polling: four times `memory`, at least 16 GiB.
///
/// A backstop against a process that fills memory while the supervisor is not scheduled. RLIMIT_DATA counts writable private mappings,
/// used or not, and runtimes map far more than they use: a JVM commits 1/64 of the machine's memory at start, Go arenas of 64 MiB, each
/// thread a stack of 8 MiB. 16 GiB leaves room for a JVM on a machine of 512 GiB and a thousand threads.
pub(super) fn data_backstop(memory: Bytes) -> u64 {
    memory.0.saturating_mul(4).max(16 << 30)
}

/// A resource of setrlimit(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are those of setrlimit(2)")]
pub enum Resource {
    Cpu,
    Fsize,
    Data,
    Stack,
    Core,
    Rss,
    Nproc,
    Nofile,
    Memlock,
    As,
    Locks,
    Sigpending,
    Msgqueue,
    Nice,
    Rtprio,
    Rttime,
}

const TABLE: [(Resource, &str, u32); 16] = [
    (Resource::Cpu, "cpu", libc::RLIMIT_CPU),
    (Resource::Fsize, "fsize", libc::RLIMIT_FSIZE),
    (Resource::Data, "data", libc::RLIMIT_DATA),
    (Resource::Stack, "stack", libc::RLIMIT_STACK),
    (Resource::Core, "core", libc::RLIMIT_CORE),
    (Resource::Rss, "rss", libc::RLIMIT_RSS),
    (Resource::Nproc, "nproc", libc::RLIMIT_NPROC),
    (Resource::Nofile, "nofile", libc::RLIMIT_NOFILE),
    (Resource::Memlock, "memlock", libc::RLIMIT_MEMLOCK),
    (Resource::As, "as", libc::RLIMIT_AS),
    (Resource::Locks, "locks", libc::RLIMIT_LOCKS),
    (Resource::Sigpending, "sigpending", libc::RLIMIT_SIGPENDING),
    (Resource::Msgqueue, "msgqueue", libc::RLIMIT_MSGQUEUE),
    (Resource::Nice, "nice", libc::RLIMIT_NICE),
    (Resource::Rtprio, "rtprio", libc::RLIMIT_RTPRIO),
    (Resource::Rttime, "rttime", libc::RLIMIT_RTTIME),
];

impl Resource {
    /// By docker's name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        TABLE.iter().find(|(_, n, _)| *n == name).map(|(r, ..)| *r)
    }

    /// All names, for a message.
    #[must_use]
    pub fn names() -> String {
        TABLE.map(|(_, n, _)| n).join(", ")
    }

    /// The kernel's number.
    #[must_use]
    pub fn number(self) -> u32 {
        TABLE
            .iter()
            .find(|(r, ..)| *r == self)
            .map_or(u32::MAX, |(.., n)| *n)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(TABLE.iter().find(|(r, ..)| r == self).map_or("?", |(_, n, _)| n))
    }
}

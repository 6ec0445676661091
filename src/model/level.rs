//! How much a protection is wanted, and which protections a host may lack.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What happens where the host cannot give a protection. The names are those of Landlock's compatibility levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Without it the run stops with exit code 125.
    Require,
    /// Without it the run goes on and lists a loss.
    Prefer,
    /// It is not asked for.
    Off,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Require => "require",
            Self::Prefer => "prefer",
            Self::Off => "off",
        })
    }
}

/// A protection that some hosts cannot give. Each is a key of the profile's `[enforcement]` table.
///
/// What no supported kernel lacks (namespaces, mounts, empty capability sets, `no_new_privs`) has no level: it is always in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// The seccomp filter of `[syscalls]`.
    Seccomp,
    /// Landlock's file system rules (Linux 5.13, ABI 1).
    Landlock,
    /// Landlock's TCP rules (Linux 6.7, ABI 4); a second wall behind the net namespace.
    LandlockNetwork,
    /// Landlock's abstract-socket and signal scopes (Linux 6.12, ABI 6); a second wall behind the net and pid namespaces.
    LandlockScopes,
    /// Named unix sockets in shown directories cannot be connected to: by a mask, or by Landlock (Linux 7.1, ABI 9).
    HostSockets,
    /// The caller's supplementary groups are dropped; needs newgidmap, because a one-id map may not call setgroups(2).
    Groups,
    /// `/proc` shows the sandbox's own processes only (`hidepid=4,subset=pid`, Linux 5.8).
    PrivateProc,
    /// No user namespace can be made inside (`user.max_user_namespaces = 0`).
    NestedNamespaces,
    /// The boot-time clock of the host is hidden by a time namespace (Linux 5.6).
    TimeNamespace,
    /// `limits.memory` holds for the whole sandbox, not only for each process.
    Memory,
    /// `limits.pids` is enforced.
    Pids,
    /// `limits.cpu` is enforced.
    Cpu,
    /// `limits.io` is enforced.
    Io,
    /// What is written to the root has a limit, also where it goes to the disk.
    Disk,
}

impl Protection {
    /// All protections, in the order in which they are printed.
    pub const ALL: [Self; 14] = [
        Self::Seccomp,
        Self::Landlock,
        Self::LandlockNetwork,
        Self::LandlockScopes,
        Self::HostSockets,
        Self::Groups,
        Self::PrivateProc,
        Self::NestedNamespaces,
        Self::TimeNamespace,
        Self::Memory,
        Self::Pids,
        Self::Cpu,
        Self::Io,
        Self::Disk,
    ];

    /// The key in `[enforcement]`.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Seccomp => "seccomp",
            Self::Landlock => "landlock",
            Self::LandlockNetwork => "landlock-network",
            Self::LandlockScopes => "landlock-scopes",
            Self::HostSockets => "host-sockets",
            Self::Groups => "groups",
            Self::PrivateProc => "private-proc",
            Self::NestedNamespaces => "nested-namespaces",
            Self::TimeNamespace => "time-namespace",
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
            Self::Io => "io",
            Self::Disk => "disk",
        }
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

//! Capabilities by name (capabilities(7)).

use super::reference::shown;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One capability, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Capability(u8);

/// A set of capabilities, bit n for capability n.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CapabilitySet(pub u64);

/// The names of capabilities(7), in the kernel's order.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// A name that capabilities(7) does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a capability: use a name of capabilities(7), for example NET_BIND_SERVICE")]
pub struct UnknownCapability(String);

impl Capability {
    /// Every capability that this version knows.
    pub fn all() -> impl Iterator<Item = Self> {
        (0u8..).take(NAMES.len()).map(Self)
    }

    /// The number of the last one, as `/proc/sys/kernel/cap_last_cap` has it.
    #[must_use]
    pub fn last() -> usize {
        NAMES.len().saturating_sub(1)
    }

    /// The kernel's number.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }

    /// Whether holding it inside would undo another protection, so that no profile may keep it.
    ///
    /// `SYS_ADMIN` mounts, `SYS_RESOURCE` raises `user.max_user_namespaces` again, `SYS_PTRACE` and `SETPCAP` widen what is kept.
    #[must_use]
    pub fn undoes_the_sandbox(self) -> bool {
        matches!(
            NAMES.get(usize::from(self.0)),
            Some(
                &("SYS_ADMIN"
                    | "SYS_RESOURCE"
                    | "SYS_PTRACE"
                    | "SETPCAP"
                    | "SYS_MODULE"
                    | "SYS_RAWIO"
                    | "BPF"
                    | "MKNOD")
            )
        )
    }
}

impl CapabilitySet {
    /// Nothing.
    pub const EMPTY: Self = Self(0);

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Both.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it holds `capability`.
    #[must_use]
    pub fn holds(self, capability: Capability) -> bool {
        self.0 & (1 << capability.0) != 0
    }
}

impl FromIterator<Capability> for CapabilitySet {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        Self(capabilities.into_iter().fold(0, |bits, c| bits | 1 << c.0))
    }
}

impl FromStr for Capability {
    type Err = UnknownCapability;

    fn from_str(text: &str) -> Result<Self, UnknownCapability> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        let place = NAMES.iter().position(|n| *n == name);
        place
            .and_then(|n| u8::try_from(n).ok())
            .map(Self)
            .ok_or_else(|| UnknownCapability(shown(text)))
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES.get(usize::from(self.0)).copied().unwrap_or("?"))
    }
}

impl fmt::Display for CapabilitySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (i, c) in Capability::all().filter(|c| self.holds(*c)).enumerate() {
            write!(f, "{}{c}", if i == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Capability {
    type Error = UnknownCapability;
    fn try_from(text: String) -> Result<Self, UnknownCapability> {
        text.parse()
    }
}

impl From<Capability> for String {
    fn from(capability: Capability) -> Self {
        capability.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(
            "cap_sys_admin".parse::<Capability>().map(Capability::number),
            Ok(21)
        );
        assert_eq!(
            "CHECKPOINT_RESTORE".parse::<Capability>().map(Capability::number),
            Ok(40)
        );
        assert!("ROOT".parse::<Capability>().is_err());
        let long = "x\u{1b}".repeat(1000);
        assert!(
            long.parse::<Capability>()
                .is_err_and(|e| e.to_string().len() < 1000)
        );
        let set: CapabilitySet = Capability::all().collect();
        assert_eq!(set.0, (1 << 41) - 1);
    }
}

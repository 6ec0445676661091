//! User and group ids, and the maps between the host's and the sandbox's.

use serde::Serialize;
use std::fmt;

/// One line of a `uid_map` or `gid_map` (user_namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct IdRange {
    /// The first id inside.
    pub inside: u32,
    /// The first id on the host.
    pub host: u32,
    /// How many ids.
    pub count: u32,
}

/// A whole map. An id that it does not hold appears inside as 65534.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct IdMap(pub Vec<IdRange>);

impl IdMap {
    /// A map of one id.
    #[must_use]
    pub fn single(inside: u32, host: u32) -> Self {
        Self(vec![IdRange {
            inside,
            host,
            count: 1,
        }])
    }

    /// The host id of an id inside.
    #[must_use]
    pub fn to_host(&self, inside: u32) -> Option<u32> {
        self.0.iter().find_map(|r| {
            let offset = inside.checked_sub(r.inside)?;
            (offset < r.count).then(|| r.host + offset)
        })
    }

    /// The id inside of a host id.
    #[must_use]
    pub fn to_inside(&self, host: u32) -> Option<u32> {
        self.0.iter().find_map(|r| {
            let offset = host.checked_sub(r.host)?;
            (offset < r.count).then(|| r.inside + offset)
        })
    }

    /// As the kernel and newuidmap(1) take it: a line each.
    #[must_use]
    pub fn lines(&self) -> String {
        let line = |r: &IdRange| format!("{} {} {}\n", r.inside, r.host, r.count);
        self.0.iter().map(line).collect()
    }

    /// Whether it is one id only, which its owner may write without a helper.
    #[must_use]
    pub fn is_single(&self) -> bool {
        matches!(self.0.as_slice(), [one] if one.count == 1)
    }
}

impl fmt::Display for IdMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, r) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            match r.count {
                1 => write!(f, "{comma}{} -> {}", r.host, r.inside)?,
                n => write!(f, "{comma}{}+{n} -> {}+{n}", r.host, r.inside)?,
            }
        }
        Ok(())
    }
}

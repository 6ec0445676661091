//! Merging: what a later profile does to an earlier one.
//!
//! | kind of value | rule |
//! |---|---|
//! | one value | the later replaces the earlier |
//! | `allow`, `guards`, `pass`, `masked`, `publish` | add up |
//! | `mounts`, `tmpfs`, `devices`, `io` | add up; the same target or path replaces |
//! | `set`, `deny`, `ulimits`, `[enforcement]` | by key, the later replaces |
//! | `capabilities`, `root-capabilities`, `socket-families` | replaced as a whole |
//! | `syscalls.allow` after an earlier `deny` of the same word | lifts it |

use super::schema::{
    Device, Environment, Filesystem, Identity, IoLimit, Limits, Maybe, Mount, Namespaces, Network, Profile,
    Syscalls, Terminal, Tmpfs,
};
use crate::model::Set;
use std::collections::BTreeMap;

fn later<T>(earlier: &mut Maybe<T>, later: Maybe<T>) {
    if later.is_some() {
        *earlier = later;
    }
}

fn both<T: PartialEq>(earlier: &mut Vec<Set<T>>, later: Vec<Set<T>>) {
    for new in later {
        // The first to say it stays the one who said it.
        if !earlier.iter().any(|old| old.value == new.value) {
            earlier.push(new);
        }
    }
}

fn by_target<T, K: PartialEq>(earlier: &mut Vec<Set<T>>, later: Vec<Set<T>>, target: impl Fn(&T) -> K) {
    for new in later {
        earlier.retain(|old| target(&old.value) != target(&new.value));
        earlier.push(new);
    }
}

fn mounts_by_target(earlier: &mut Vec<Set<Mount>>, later: Vec<Set<Mount>>) {
    by_target(earlier, later, |m| {
        m.target.clone().unwrap_or_else(|| m.source.clone())
    });
}

fn tmpfs_by_target(earlier: &mut Vec<Set<Tmpfs>>, later: Vec<Set<Tmpfs>>) {
    by_target(earlier, later, |t| t.target.clone());
}

fn devices_by_source(earlier: &mut Vec<Set<Device>>, later: Vec<Set<Device>>) {
    by_target(earlier, later, |d| d.source.clone());
}

fn io_by_path(earlier: &mut Vec<Set<IoLimit>>, later: Vec<Set<IoLimit>>) {
    by_target(earlier, later, |io| io.path.clone());
}

fn by_key<K: Ord, V>(earlier: &mut BTreeMap<K, V>, later: BTreeMap<K, V>) {
    earlier.extend(later);
}

/// Merges each field by a rule. The pattern has no `..`: a new field that no rule names does not compile.
macro_rules! fields {
    ($type:ident: $earlier:expr, $later:expr; $($rule:path: $($field:ident),+;)+) => {{
        let $type { $($($field),+),+ } = $later;
        $($($rule(&mut $earlier.$field, $field);)+)+
    }};
}

impl Profile {
    /// This profile, and then the other.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.add(other);
        self
    }

    /// The same in place: a profile is two kibibytes, and a start would move several.
    pub fn add(&mut self, other: Self) {
        fields! { Profile: self, other;
            later: description;
            Identity::add: identity;
            Filesystem::add: filesystem;
            Network::add: network;
            Syscalls::add: syscalls;
            Limits::add: limits;
            Environment::add: environment;
            Terminal::add: terminal;
            Namespaces::add: namespaces;
            by_key: enforcement;
        }
    }
}

impl Identity {
    fn add(&mut self, other: Self) {
        fields! { Identity: self, other;
            later: map, user, capabilities, root_capabilities;
        }
    }
}

impl Filesystem {
    fn add(&mut self, other: Self) {
        fields! { Filesystem: self, other;
            later: root, workdir, home, proc, tmp, upper, upper_size, without_overlay, execute;
            mounts_by_target: mounts;
            tmpfs_by_target: tmpfs;
            devices_by_source: devices;
            both: masked;
        }
    }
}

impl Network {
    fn add(&mut self, other: Self) {
        fields! { Network: self, other;
            later: mode;
            both: allow, publish;
        }
    }
}

impl Syscalls {
    fn add(&mut self, other: Self) {
        self.deny
            .retain(|word, _| !other.allow.iter().any(|allowed| allowed.value == *word));
        fields! { Syscalls: self, other;
            both: allow, guards;
            by_key: deny;
            later: socket_families;
        }
    }
}

impl Limits {
    fn add(&mut self, other: Self) {
        fields! { Limits: self, other;
            later: memory, memory_high, swap, pids, cpu, cpu_weight, processors, time, output, open_files, file_size, locked_memory;
            io_by_path: io;
            by_key: ulimits;
        }
    }
}

impl Environment {
    fn add(&mut self, other: Self) {
        fields! { Environment: self, other;
            both: pass;
            by_key: set;
        }
    }
}

impl Terminal {
    fn add(&mut self, other: Self) {
        fields! { Terminal: self, other;
            later: mode, files;
        }
    }
}

impl Namespaces {
    fn add(&mut self, other: Self) {
        fields! { Namespaces: self, other;
            later: hostname, init;
        }
    }
}

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

use super::schema::{Maybe, Profile};
use crate::model::Set;
use std::collections::BTreeMap;

fn later<T>(earlier: Maybe<T>, later: Maybe<T>) -> Maybe<T> {
    later.or(earlier)
}

fn both<T: PartialEq>(mut earlier: Vec<Set<T>>, later: Vec<Set<T>>) -> Vec<Set<T>> {
    for new in later {
        // The first to say it stays the one who said it.
        if !earlier.iter().any(|old| old.value == new.value) {
            earlier.push(new);
        }
    }
    earlier
}

fn by_target<T, K: PartialEq>(
    mut earlier: Vec<Set<T>>,
    later: Vec<Set<T>>,
    target: impl Fn(&T) -> K,
) -> Vec<Set<T>> {
    for new in later {
        earlier.retain(|old| target(&old.value) != target(&new.value));
        earlier.push(new);
    }
    earlier
}

fn by_key<K: Ord, V>(mut earlier: BTreeMap<K, V>, later: BTreeMap<K, V>) -> BTreeMap<K, V> {
    earlier.extend(later);
    earlier
}

impl Profile {
    /// This profile, and then the other.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.description = later(self.description, other.description);
        let (a, b) = (&mut self.identity, other.identity);
        a.map = later(a.map.take(), b.map);
        a.user = later(a.user.take(), b.user);
        a.capabilities = later(a.capabilities.take(), b.capabilities);
        a.root_capabilities = later(a.root_capabilities.take(), b.root_capabilities);
        self.filesystem = filesystem(self.filesystem, other.filesystem);
        let (a, b) = (&mut self.network, other.network);
        a.mode = later(a.mode.take(), b.mode);
        a.allow = both(std::mem::take(&mut a.allow), b.allow);
        a.publish = both(std::mem::take(&mut a.publish), b.publish);
        let (a, b) = (&mut self.syscalls, other.syscalls);
        a.deny
            .retain(|word, _| !b.allow.iter().any(|allowed| allowed.value == *word));
        a.allow = both(std::mem::take(&mut a.allow), b.allow);
        a.deny = by_key(std::mem::take(&mut a.deny), b.deny);
        a.guards = both(std::mem::take(&mut a.guards), b.guards);
        a.socket_families = later(a.socket_families.take(), b.socket_families);
        self.limits = limits(self.limits, other.limits);
        let (a, b) = (&mut self.environment, other.environment);
        a.pass = both(std::mem::take(&mut a.pass), b.pass);
        a.set = by_key(std::mem::take(&mut a.set), b.set);
        self.terminal.mode = later(self.terminal.mode, other.terminal.mode);
        self.namespaces.hostname = later(self.namespaces.hostname, other.namespaces.hostname);
        self.namespaces.init = later(self.namespaces.init, other.namespaces.init);
        self.enforcement = by_key(self.enforcement, other.enforcement);
        self
    }
}

fn filesystem(a: super::schema::Filesystem, b: super::schema::Filesystem) -> super::schema::Filesystem {
    super::schema::Filesystem {
        root: later(a.root, b.root),
        workdir: later(a.workdir, b.workdir),
        home: later(a.home, b.home),
        proc: later(a.proc, b.proc),
        tmp: later(a.tmp, b.tmp),
        upper: later(a.upper, b.upper),
        upper_size: later(a.upper_size, b.upper_size),
        without_overlay: later(a.without_overlay, b.without_overlay),
        execute: later(a.execute, b.execute),
        mounts: by_target(a.mounts, b.mounts, |m| {
            m.target.clone().unwrap_or_else(|| m.source.clone())
        }),
        tmpfs: by_target(a.tmpfs, b.tmpfs, |t| t.target.clone()),
        devices: by_target(a.devices, b.devices, |d| d.source.clone()),
        masked: both(a.masked, b.masked),
    }
}

fn limits(a: super::schema::Limits, b: super::schema::Limits) -> super::schema::Limits {
    super::schema::Limits {
        memory: later(a.memory, b.memory),
        memory_high: later(a.memory_high, b.memory_high),
        swap: later(a.swap, b.swap),
        pids: later(a.pids, b.pids),
        cpu: later(a.cpu, b.cpu),
        cpu_weight: later(a.cpu_weight, b.cpu_weight),
        processors: later(a.processors, b.processors),
        io: by_target(a.io, b.io, |io| io.path.clone()),
        time: later(a.time, b.time),
        output: later(a.output, b.output),
        open_files: later(a.open_files, b.open_files),
        file_size: later(a.file_size, b.file_size),
        locked_memory: later(a.locked_memory, b.locked_memory),
        ulimits: by_key(a.ulimits, b.ulimits),
    }
}

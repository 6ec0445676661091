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
    Environment, Filesystem, Identity, Limits, Maybe, Namespaces, Network, Profile, Syscalls, Terminal,
};
use crate::model::Set;

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

impl Profile {
    /// This profile, and then the other.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.add(other);
        self
    }

    /// The same in place: a profile is two kibibytes, and a start would move several. Every field is named, so that a new one that
    /// nobody merges does not compile.
    pub fn add(&mut self, other: Self) {
        let Self {
            description,
            identity,
            filesystem,
            network,
            syscalls,
            limits,
            environment,
            terminal: Terminal { mode },
            namespaces: Namespaces { hostname, init },
            enforcement,
        } = other;
        later(&mut self.description, description);
        self.identity.add(identity);
        self.filesystem.add(filesystem);
        self.network.add(network);
        self.syscalls.add(syscalls);
        self.limits.add(limits);
        self.environment.add(environment);
        later(&mut self.terminal.mode, mode);
        later(&mut self.namespaces.hostname, hostname);
        later(&mut self.namespaces.init, init);
        self.enforcement.extend(enforcement);
    }
}

impl Identity {
    fn add(&mut self, other: Self) {
        let Self {
            map,
            user,
            capabilities,
            root_capabilities,
        } = other;
        later(&mut self.map, map);
        later(&mut self.user, user);
        later(&mut self.capabilities, capabilities);
        later(&mut self.root_capabilities, root_capabilities);
    }
}

impl Filesystem {
    fn add(&mut self, other: Self) {
        let Self {
            root,
            workdir,
            home,
            proc,
            tmp,
            upper,
            upper_size,
            without_overlay,
            execute,
            mounts,
            tmpfs,
            devices,
            masked,
        } = other;
        later(&mut self.root, root);
        later(&mut self.workdir, workdir);
        later(&mut self.home, home);
        later(&mut self.proc, proc);
        later(&mut self.tmp, tmp);
        later(&mut self.upper, upper);
        later(&mut self.upper_size, upper_size);
        later(&mut self.without_overlay, without_overlay);
        later(&mut self.execute, execute);
        by_target(&mut self.mounts, mounts, |m| {
            m.target.clone().unwrap_or_else(|| m.source.clone())
        });
        by_target(&mut self.tmpfs, tmpfs, |t| t.target.clone());
        by_target(&mut self.devices, devices, |d| d.source.clone());
        both(&mut self.masked, masked);
    }
}

impl Network {
    fn add(&mut self, other: Self) {
        let Self { mode, allow, publish } = other;
        later(&mut self.mode, mode);
        both(&mut self.allow, allow);
        both(&mut self.publish, publish);
    }
}

impl Syscalls {
    fn add(&mut self, other: Self) {
        let Self {
            allow,
            deny,
            guards,
            socket_families,
        } = other;
        self.deny
            .retain(|word, _| !allow.iter().any(|allowed| allowed.value == *word));
        both(&mut self.allow, allow);
        self.deny.extend(deny);
        both(&mut self.guards, guards);
        later(&mut self.socket_families, socket_families);
    }
}

impl Limits {
    fn add(&mut self, other: Self) {
        let Self {
            memory,
            memory_high,
            swap,
            pids,
            cpu,
            cpu_weight,
            processors,
            io,
            time,
            output,
            open_files,
            file_size,
            locked_memory,
            ulimits,
        } = other;
        later(&mut self.memory, memory);
        later(&mut self.memory_high, memory_high);
        later(&mut self.swap, swap);
        later(&mut self.pids, pids);
        later(&mut self.cpu, cpu);
        later(&mut self.cpu_weight, cpu_weight);
        later(&mut self.processors, processors);
        by_target(&mut self.io, io, |io| io.path.clone());
        later(&mut self.time, time);
        later(&mut self.output, output);
        later(&mut self.open_files, open_files);
        later(&mut self.file_size, file_size);
        later(&mut self.locked_memory, locked_memory);
        self.ulimits.extend(ulimits);
    }
}

impl Environment {
    fn add(&mut self, other: Self) {
        let Self { pass, set } = other;
        both(&mut self.pass, pass);
        self.set.extend(set);
    }
}

//! The words of a profile: which keys a table has, which words a key takes. One list, read by the parser, the printer and the schema.

use super::schema::{
    Execute, HomeMode, MapKind, MountMode, NetworkMode, ProcMode, RootMode, StreamFiles, TerminalMode,
    UpperPlace, WithoutOverlay, WorkdirMode,
};
use crate::model::Level;

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Any text.
    Text,
    /// A size, such as `64M`.
    Size,
    /// A span of time, such as `10m`.
    Span,
    /// A whole number.
    Number,
    /// A number of processors, such as `1.5`.
    Processors,
    /// `true` or `false`.
    Bool,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// A list of tables with these keys.
    Tables(&'static [(&'static str, Takes)]),
    /// A table from text to text.
    TextMap,
    /// A table from a resource's name to `"SOFT"` or `"SOFT:HARD"`.
    Ulimits,
}

/// A key of a section.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The table; empty for the top.
    pub section: &'static str,
    /// The key.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// One line for people.
    pub about: &'static str,
}

/// A type that is written as one word of a closed list.
pub trait Word: Copy + PartialEq + Sized + 'static {
    /// The words, with what they mean, from the tightest to the widest: `tighten` compares their places.
    const WORDS: &'static [(&'static str, Self)];
    /// The words alone, in the same order.
    const NAMES: &'static [&'static str];

    /// The word for a value.
    fn word(self) -> &'static str {
        Self::WORDS
            .iter()
            .find(|(_, v)| *v == self)
            .map_or("?", |(w, _)| w)
    }
}

macro_rules! words {
    ($($type:ident { $($word:literal => $variant:ident),* $(,)? })*) => {
        $(impl Word for $type {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, $type::$variant)),*];
            const NAMES: &'static [&'static str] = &[$($word),*];
        })*
    };
}

words! {
    MapKind { "auto" => Auto, "caller" => Caller, "range" => Range, "host-root" => HostRoot }
    RootMode { "read-only" => ReadOnly, "ephemeral" => Ephemeral, "kept" => Kept }
    WorkdirMode { "none" => None, "read-only" => ReadOnly, "overlay" => Overlay, "writable" => Writable }
    UpperPlace { "memory" => Memory, "disk" => Disk }
    WithoutOverlay { "copy" => Copy, "fuse" => Fuse }
    HomeMode { "none" => None, "empty" => Empty }
    ProcMode { "none" => None, "own-processes" => OwnProcesses, "masked" => Masked }
    Execute { "read-only-places" => ReadOnlyPlaces, "anywhere" => Anywhere }
    MountMode { "read-only" => ReadOnly, "writable" => Writable }
    NetworkMode { "none" => None, "gateway" => Gateway, "nat" => Nat, "host" => Host }
    TerminalMode { "auto" => Auto, "always" => Always }
    StreamFiles { "relay" => Relay, "pass" => Pass }
    Level { "require" => Require, "prefer" => Prefer, "off" => Off }
}

const fn key(section: &'static str, name: &'static str, takes: Takes, about: &'static str) -> Key {
    Key {
        section,
        name,
        takes,
        about,
    }
}

const LEVEL: Takes = Takes::Word(Level::NAMES);
const MODE: Takes = Takes::Word(MountMode::NAMES);
/// Keys of a `filesystem.mounts` entry.
pub const MOUNT: &[(&str, Takes)] = &[
    ("source", Takes::Text),
    ("target", Takes::Text),
    ("mode", MODE),
    ("optional", Takes::Bool),
    ("execute", Takes::Bool),
];
/// Keys of a `filesystem.tmpfs` entry.
pub const TMPFS: &[(&str, Takes)] = &[
    ("target", Takes::Text),
    ("size", Takes::Size),
    ("inodes", Takes::Number),
    ("mode", Takes::Text),
    ("execute", Takes::Bool),
];
/// Keys of a `filesystem.devices` entry.
pub const DEVICE: &[(&str, Takes)] = &[
    ("source", Takes::Text),
    ("target", Takes::Text),
    ("optional", Takes::Bool),
];

/// Keys of a `limits.io` entry.
pub const IO: &[(&str, Takes)] = &[
    ("path", Takes::Text),
    ("read-bps", Takes::Size),
    ("write-bps", Takes::Size),
    ("read-iops", Takes::Number),
    ("write-iops", Takes::Number),
];

/// Every key there is.
pub const KEYS: &[Key] = &[
    key("", "description", Takes::Text, "one line for people"),
    key(
        "",
        "extends",
        Takes::Texts,
        "profiles to start from, by name or path; later ones win",
    ),
    key(
        "identity",
        "map",
        Takes::Word(MapKind::NAMES),
        "how ids are mapped",
    ),
    key(
        "identity",
        "user",
        Takes::Text,
        "image, root, caller, UID[:GID] or NAME[:GROUP]",
    ),
    key(
        "identity",
        "capabilities",
        Takes::Texts,
        "kept inside the user namespace; replaced as a whole",
    ),
    key(
        "identity",
        "root-capabilities",
        Takes::Texts,
        "what root of an image has besides, over the ids of its range; replaced as a whole",
    ),
    key(
        "filesystem",
        "root",
        Takes::Word(RootMode::NAMES),
        "how the root may be written",
    ),
    key(
        "filesystem",
        "workdir",
        Takes::Word(WorkdirMode::NAMES),
        "the working directory",
    ),
    key(
        "filesystem",
        "home",
        Takes::Word(HomeMode::NAMES),
        "the caller's home directory inside",
    ),
    key(
        "filesystem",
        "proc",
        Takes::Word(ProcMode::NAMES),
        "what /proc shows",
    ),
    key(
        "filesystem",
        "tmp",
        Takes::Size,
        "size of /tmp, /dev/shm and of every tmpfs that names none",
    ),
    key(
        "filesystem",
        "upper",
        Takes::Word(UpperPlace::NAMES),
        "where writes to a root that is ephemeral go: memory (as much as tmp says), or disk (as much as upper-size says, else without a limit)",
    ),
    key(
        "filesystem",
        "upper-size",
        Takes::Size,
        "the most that may be written to the root: as much as tmp in memory, and no limit on the disk, when not said",
    ),
    key(
        "filesystem",
        "without-overlay",
        Takes::Word(WithoutOverlay::NAMES),
        "an image's root where the kernel refuses overlay: copy, or fuse (fuse-overlayfs, else a copy)",
    ),
    key(
        "filesystem",
        "execute",
        Takes::Word(Execute::NAMES),
        "where programs may be executed from",
    ),
    key(
        "filesystem",
        "mounts",
        Takes::Tables(MOUNT),
        "bind mounts; add up, the same target replaces",
    ),
    key(
        "filesystem",
        "tmpfs",
        Takes::Tables(TMPFS),
        "tmpfs mounts; add up, the same target replaces",
    ),
    key(
        "filesystem",
        "devices",
        Takes::Tables(DEVICE),
        "device nodes of the host; add up",
    ),
    key(
        "filesystem",
        "masked",
        Takes::Texts,
        "paths inside that are hidden; add up",
    ),
    key(
        "network",
        "mode",
        Takes::Word(NetworkMode::NAMES),
        "which network the sandbox has",
    ),
    key(
        "network",
        "allow",
        Takes::Texts,
        "destinations for the gateway; add up",
    ),
    key("network", "publish", Takes::Texts, "published ports; add up"),
    key(
        "syscalls",
        "allow",
        Takes::Texts,
        "calls and @groups; add up, and lift an earlier profile's deny",
    ),
    key(
        "syscalls",
        "deny",
        Takes::TextMap,
        "calls and @groups, with the errno to answer; stronger than allow",
    ),
    key(
        "syscalls",
        "guards",
        Takes::Texts,
        "named conditions on arguments; add up",
    ),
    key(
        "syscalls",
        "socket-families",
        Takes::Texts,
        "families that socket(2) may take; replaced as a whole",
    ),
    key(
        "limits",
        "memory",
        Takes::Size,
        "of the whole sandbox: counted by a cgroup where one can be had, else watched",
    ),
    key(
        "limits",
        "memory-high",
        Takes::Size,
        "from here on whoever asks for more is slowed down; needs a cgroup",
    ),
    key(
        "limits",
        "swap",
        Takes::Size,
        "how much may be swapped out besides the memory, none when not said; needs a cgroup",
    ),
    key("limits", "pids", Takes::Number, "processes and threads at once"),
    key(
        "limits",
        "cpu",
        Takes::Processors,
        "processors, for example 1.5; whole ones where there is no cgroup",
    ),
    key(
        "limits",
        "cpu-weight",
        Takes::Number,
        "the share beside others, 1 to 10000, where 100 is everybody's; needs a cgroup",
    ),
    key(
        "limits",
        "processors",
        Takes::Text,
        "the only processors that may be used, for example 0-2,5",
    ),
    key(
        "limits",
        "io",
        Takes::Tables(IO),
        "rates of the disk that a path lies on, in a second; needs a cgroup",
    ),
    key(
        "limits",
        "time",
        Takes::Span,
        "wall-clock time after which everything is killed",
    ),
    key(
        "limits",
        "output",
        Takes::Size,
        "the most that may be written to standard output and standard error together; more ends everything",
    ),
    key("limits", "open-files", Takes::Number, "for each process"),
    key(
        "limits",
        "file-size",
        Takes::Size,
        "the largest file that can be written",
    ),
    key("limits", "locked-memory", Takes::Size, "for each process"),
    key(
        "limits",
        "ulimits",
        Takes::Ulimits,
        "by docker's names, \"SOFT\" or \"SOFT:HARD\"",
    ),
    key(
        "environment",
        "pass",
        Takes::Texts,
        "variables taken from the caller; a trailing * is allowed; add up",
    ),
    key(
        "environment",
        "set",
        Takes::TextMap,
        "fixed variables; later ones replace",
    ),
    key(
        "terminal",
        "mode",
        Takes::Word(TerminalMode::NAMES),
        "when there is a pseudo-terminal",
    ),
    key(
        "terminal",
        "files",
        Takes::Word(StreamFiles::NAMES),
        "regular files on standard streams: relayed through a pipe, or passed as they are",
    ),
    key("namespaces", "hostname", Takes::Text, "the host name inside"),
    key("namespaces", "init", Takes::Bool, "whether a small init is pid 1"),
    key("enforcement", "seccomp", LEVEL, "the system call filter"),
    key(
        "enforcement",
        "landlock",
        LEVEL,
        "Landlock's file system rules (Linux 5.13)",
    ),
    key(
        "enforcement",
        "landlock-network",
        LEVEL,
        "Landlock's TCP rules (Linux 6.7), behind the net namespace",
    ),
    key(
        "enforcement",
        "landlock-scopes",
        LEVEL,
        "Landlock's scopes (Linux 6.12), behind the pid and net namespaces",
    ),
    key(
        "enforcement",
        "host-sockets",
        LEVEL,
        "unix sockets in shown directories cannot be connected to",
    ),
    key(
        "enforcement",
        "groups",
        LEVEL,
        "the caller's supplementary groups are dropped",
    ),
    key(
        "enforcement",
        "private-proc",
        LEVEL,
        "/proc shows own processes only (Linux 5.8)",
    ),
    key(
        "enforcement",
        "nested-namespaces",
        LEVEL,
        "no user namespace can be made inside",
    ),
    key(
        "enforcement",
        "time-namespace",
        LEVEL,
        "the host's uptime is hidden (Linux 5.6)",
    ),
    key(
        "enforcement",
        "memory",
        LEVEL,
        "limits.memory holds for the sandbox as a whole",
    ),
    key("enforcement", "pids", LEVEL, "limits.pids is enforced"),
    key(
        "enforcement",
        "cpu",
        LEVEL,
        "limits.cpu, cpu-weight and processors are enforced",
    ),
    key("enforcement", "io", LEVEL, "limits.io is enforced"),
    key(
        "enforcement",
        "disk",
        LEVEL,
        "what is written to the root has a limit, also where it goes to the disk",
    ),
];

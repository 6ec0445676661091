//! What a policy holds.

use super::flags::Userns;
use super::limits::{Io, Resource, Swap};
use super::request::Root;
use crate::model::{
    Bytes, CapabilitySet, Homes, HostPath, InRoot, Level, Origin, Processors, Protection, Set, Span,
};
use crate::profile::schema::{
    HomeMode, MapKind, NetworkMode, ProcMode, RootMode, StreamFiles, TerminalMode, UpperPlace, UserSpec,
    WithoutOverlay, WorkdirMode,
};
use crate::seccomp::Table;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::IpAddr;

/// Everything that was asked for, with nothing left to decide but what the host can give.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The names of the profiles, as given.
    pub profile: String,
    /// What the sandbox's root is made of.
    pub root: Root,
    /// Whether it may be written.
    pub root_mode: Set<RootMode>,
    /// Where goes what is written to it, if it may be.
    pub upper: Set<UpperPlace>,
    /// The most of it; in memory as much as `tmp`, and on the disk without end, when not said.
    pub upper_size: Option<Set<Bytes>>,
    /// What an image's root is where the kernel refuses overlay.
    pub without_overlay: Set<WithoutOverlay>,
    /// How ids are mapped.
    pub map: Set<MapKind>,
    /// A map that is chosen line by line, in place of `map`.
    pub userns: Option<Set<Userns>>,
    /// Who the command runs as.
    pub user: Set<UserSpec>,
    /// Groups besides those that the root's own files give the user.
    pub groups: Vec<Set<String>>,
    /// Kept inside the user namespace.
    pub capabilities: Set<CapabilitySet>,
    /// What root of an image has besides, over a range of ids.
    pub root_capabilities: Set<CapabilitySet>,
    /// The caller's working directory.
    pub workspace: Workspace,
    /// Where the command starts.
    pub start_in: InRoot,
    /// The caller's homes, which are never mounted whole.
    pub homes: Homes,
    /// The home directory inside, and what it looks like.
    pub home: (InRoot, Set<HomeMode>),
    /// What `/proc` shows.
    pub proc: Set<ProcMode>,
    /// Binds, parents before children, the workspace among them unless it is an overlay.
    pub binds: Vec<Set<Bind>>,
    /// tmpfs mounts, likewise.
    pub scratch: Vec<Set<Scratch>>,
    /// Size of `/tmp`, of `/dev/shm` and of what else names no size.
    pub tmp: Set<Bytes>,
    /// Size of `/dev/shm`.
    pub shm: Set<Bytes>,
    /// Whether files in writable places may be executed.
    pub execute_written: bool,
    /// Device nodes besides the minimal ones.
    pub devices: Vec<Set<Device>>,
    /// Hidden paths.
    pub masked: Vec<Set<InRoot>>,
    /// Which network.
    pub network: Set<NetworkMode>,
    /// The only TCP ports that may be connected to, and none listened at; empty: no such rule.
    pub connect: Vec<Set<u16>>,
    /// Names and addresses for `/etc/hosts`.
    pub hosts: Vec<Set<(String, IpAddr)>>,
    /// Servers that are asked for names, in place of the host's.
    pub dns: Vec<Set<IpAddr>>,
    /// The system call table; `None` when seccomp is off.
    pub syscalls: Option<Table>,
    /// Resource limits of each process.
    pub limits: Vec<Set<Limit>>,
    /// A ceiling for the memory of the whole sandbox.
    pub memory: Option<Set<Bytes>>,
    /// Where whoever asks for more memory is slowed down.
    pub memory_high: Option<Set<Bytes>>,
    /// How much of it may be swapped out; nothing when not said.
    pub swap: Option<Set<Swap>>,
    /// A ceiling for the processes and threads of the whole sandbox, also among `limits`.
    pub pids: Option<Set<u64>>,
    /// A ceiling for processor use, in hundredths.
    pub cpu: Option<Set<u64>>,
    /// The share beside others that want the processors too.
    pub cpu_weight: Option<Set<u64>>,
    /// Rates of disks.
    pub io: Vec<Set<Io>>,
    /// The only processors that may be used.
    pub processors: Option<Set<Processors>>,
    /// The cgroup in which the sandbox's own is made, instead of the one that is found.
    pub cgroup_parent: Option<Set<HostPath>>,
    /// Wall-clock time after which everything is killed.
    pub time: Option<Set<Span>>,
    /// The most that may be written to standard output and standard error together.
    pub output: Option<Set<Bytes>>,
    /// The whole environment.
    pub environment: Vec<EnvVar>,
    /// When there is a pseudo-terminal.
    pub terminal: Set<TerminalMode>,
    /// What the command gets for a standard stream that is a regular file.
    pub stream_files: Set<StreamFiles>,
    /// The host name inside.
    pub hostname: Set<String>,
    /// Whether pid 1 is our init.
    pub init: Set<bool>,
    /// What the command gets when sbx is asked to end by SIGTERM, in place of that.
    pub stop_signal: Option<Set<i32>>,
    /// The command, not empty.
    pub command: Vec<OsString>,
    /// What happens where the host cannot.
    pub enforcement: Enforcement,
    /// What the user should know, though nothing is lost.
    pub notes: Vec<String>,
}

/// What becomes of the caller's working directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// How.
    pub mode: Set<WorkdirMode>,
    /// On the host; the same path inside. `None` when the mode is `none`.
    pub source: Option<HostPath>,
}

/// A part of the host's tree shown inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// On the host.
    pub source: HostPath,
    /// Inside.
    pub target: InRoot,
    /// Whether it may be written.
    pub writable: bool,
    /// Whether files in it may be executed.
    pub execute: bool,
    /// Left out when the source does not exist.
    pub optional: bool,
}

/// A tmpfs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scratch {
    /// Inside.
    pub target: InRoot,
    /// The most it holds.
    pub size: Bytes,
    /// The most files and directories; one for each page of its size when not said.
    pub inodes: Option<u64>,
    /// Permission bits.
    pub mode: u32,
    /// Whether files in it may be executed.
    pub execute: bool,
}

/// A device node of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// On the host.
    pub source: HostPath,
    /// Inside.
    pub target: InRoot,
    /// Left out when it does not exist.
    pub optional: bool,
}

/// One resource limit, as setrlimit(2) takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Which.
    pub resource: Resource,
    /// In force.
    pub soft: u64,
    /// How far it may be raised.
    pub hard: u64,
}

/// One variable of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvVar {
    /// Without `=`.
    pub name: OsString,
    /// Any bytes.
    pub value: OsString,
    /// Who set it.
    pub origin: Origin,
}

/// A level for each protection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Enforcement(pub(super) BTreeMap<Protection, Set<Level>>);

/// Whether something is protected, and who decided.
pub type Protected = Set<Level>;

impl Enforcement {
    /// The level of a protection; what no profile mentions is preferred.
    #[must_use]
    pub fn level(&self, protection: Protection) -> Set<Level> {
        self.0
            .get(&protection)
            .cloned()
            .unwrap_or(Set::new(Level::Prefer, Origin::Default))
    }

    /// Whether it is asked for at all.
    #[must_use]
    pub fn wants(&self, protection: Protection) -> bool {
        self.level(protection).value != Level::Off
    }
}

impl Policy {
    /// Whether anything is limited that a cgroup limits best.
    #[must_use]
    pub fn limits_the_whole(&self) -> bool {
        self.memory.is_some()
            || self.memory_high.is_some()
            || self.cpu_weight.is_some()
            || !self.io.is_empty()
            || self.pids.is_some()
            || self.cpu.is_some()
            || self.processors.is_some()
            || self.cgroup_parent.is_some()
    }
}

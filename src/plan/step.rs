//! The steps. `sandbox` turns each into system calls; nothing else may mount, clone or confine.

mod words;

use super::limits::Group;
use super::loss::Loss;
use crate::model::{Bytes, CapabilitySet, HostPath, IdMap, InRoot, Layers, Processors, Set, Span};
use crate::policy::Limit;
use crate::seccomp::Table;
use std::ffi::OsString;

/// A whole run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// In the order in which they happen.
    pub steps: Vec<Planned>,
    /// Preferred protections that are not in force.
    pub losses: Vec<Loss>,
    /// What the user should know, though nothing is lost.
    pub notes: Vec<String>,
    /// What the command gets in place of SIGTERM.
    pub stop_signal: Option<Set<i32>>,
}

/// A step and why it is there.
#[derive(Debug, Clone)]
pub struct Planned {
    /// What is done.
    pub step: Step,
    /// Why: the line of the profile, the flag, or the rule that holds for every run.
    pub reason: String,
}

/// The namespaces that a sandbox may have or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Namespaces {
    /// A net namespace too, unless the host's network is used.
    pub net: bool,
}

/// Who writes the id maps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MapWriter {
    /// The new process itself: a map of its own one id needs no right.
    Child,
    /// The supervisor, which is root.
    Supervisor,
    /// The set-uid helpers; the one that is `None` is not needed, and the child writes that map.
    Helpers {
        /// newuidmap(1).
        newuidmap: Option<HostPath>,
        /// newgidmap(1).
        newgidmap: Option<HostPath>,
    },
}

/// Attributes of a mount, besides `nosuid`, which every mount has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// It may be written.
    pub writable: bool,
    /// Files may be executed.
    pub execute: bool,
    /// Device nodes may be opened.
    pub devices: bool,
}

impl Attributes {
    /// Read and execute.
    pub const READ_EXECUTE: Self = Self {
        writable: false,
        execute: true,
        devices: false,
    };
    /// Read.
    pub const READ: Self = Self {
        writable: false,
        execute: false,
        devices: false,
    };
    /// A device node.
    pub const DEVICE: Self = Self {
        writable: true,
        execute: false,
        devices: true,
    };
}

/// How overlay is told of several layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerOption {
    /// One by one: `lowerdir+`, Linux 6.5.
    Each,
    /// In one option, with a colon between them; mount(2) takes a page of it.
    Joined,
}

/// Where what is written to a root of layers goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upper {
    /// To a tmpfs of this size.
    Memory(Bytes),
    /// To this directory, which is the run's own.
    Disk(HostPath),
}

/// How much a tmpfs holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// Bytes.
    pub bytes: Bytes,
    /// Files and directories; one for each page of its size when not said.
    pub inodes: Option<u64>,
}

impl From<Bytes> for Holding {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, inodes: None }
    }
}

/// Who has the capabilities that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// The command and all that it starts, whoever they are: ambient, and nothing changes with the user.
    Command,
    /// uid 0, as long as it is uid 0: what capabilities(7) says of root, within these.
    Root,
}

/// Which `/proc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcKind {
    /// `hidepid=4,subset=pid`: the user's own processes, and of the kernel's files those that the step names.
    OwnProcesses,
    /// Everything of a fresh `/proc`; kernel files are masked by later steps.
    Whole,
}

/// A file in `/proc` that differs from what the kernel would show there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcFile {
    /// Relative to `/proc`.
    pub path: &'static str,
    /// What it holds; `None` for the kernel's own file, in a `/proc` that would hide it.
    pub content: Option<Vec<u8>>,
}

impl ProcFile {
    pub(super) fn generated(path: &'static str, text: String) -> Self {
        Self {
            path,
            content: Some(text.into_bytes()),
        }
    }
}

/// What Landlock allows beneath a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Files may be written, made, removed, renamed.
    pub write: bool,
    /// Files may be executed.
    pub execute: bool,
    /// Devices may be written and controlled.
    pub device: bool,
}

/// One Landlock rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Everything beneath it.
    pub at: InRoot,
    /// What is allowed besides reading.
    pub access: Access,
}

/// One step.
#[derive(Debug, Clone)]
pub enum Step {
    /// A cgroup of the sandbox's own, made before it and removed after it; clone3 puts its first process there.
    Cgroup(Group),
    /// The supervisor looks how much memory all processes together hold, and ends them when it is more.
    WatchMemory(Bytes),
    /// A process of its own looks how much is written to a directory of the disk, and everything ends when it is more.
    WatchDisk {
        /// The most.
        most: Bytes,
        /// The directory.
        at: HostPath,
        /// Whether files count that are open and have no name any more; a program that shows the root holds them itself.
        nameless: bool,
    },
    /// Wall-clock time after which everything is killed.
    Deadline(Span),
    /// What is written to standard output and standard error is counted on its way; everything ends when it is more.
    CountOutput(Bytes),
    /// Standard streams that are regular files become pipes, which the supervisor relays.
    RelayFiles([bool; 3]),
    /// All namespaces, which clone3 makes at once; that of the network is made by the child where a helper writes the maps meanwhile.
    Clone(Namespaces),
    /// Writes `uid_map` and `gid_map`.
    MapIds {
        /// User ids.
        uids: IdMap,
        /// Group ids.
        gids: IdMap,
        /// Who writes them.
        by: MapWriter,
    },
    /// unshare(CLONE_NEWTIME) with the clocks set back to 0.
    TimeNamespace,
    /// `user.max_user_namespaces = 0`, which only the namespace's own CAP_SYS_RESOURCE could raise again.
    NoNestedNamespaces,
    /// Acts as uid and gid 0 of the namespace while mounts are made: the caller's own id is not in the map.
    ActAsRoot,
    /// The root is a small tmpfs.
    RootTmpfs(Bytes),
    /// The root is a directory of the host.
    RootBind(HostPath),
    /// The root is directories of the host under a layer that vanishes.
    RootOverlay(Layers, Upper, LayerOption),
    /// The same by fuse-overlayfs(1), which runs in a sandbox of its own.
    RootFuse {
        /// What lies below.
        layers: Layers,
        /// What is written.
        upper: Upper,
        /// The program.
        program: HostPath,
    },
    /// The root is a directory of the host that nobody else uses: a copy of an image, made for this run.
    RootCopy(HostPath),
    /// What is no directory goes away, so that one, or a file of ours, can be made in its place. Only in an overlay or a copy.
    Clear(InRoot),
    /// A directory in our own tmpfs.
    Directory(InRoot, u32),
    /// A symbolic link in our own tmpfs.
    Link(InRoot, std::path::PathBuf),
    /// A generated file in our own tmpfs.
    File(InRoot, Vec<u8>),
    /// An empty file in our own tmpfs, to mount on.
    Point(InRoot),
    /// A part of the host's tree.
    Bind(HostPath, InRoot, Attributes),
    /// A device node of the host.
    Device {
        /// On the host.
        source: HostPath,
        /// Inside.
        at: InRoot,
        /// A flag or a line of a profile asks for it, and no rule of every run.
        asked: bool,
    },
    /// A fresh tmpfs.
    Tmpfs(InRoot, Holding, u32, Attributes),
    /// A fresh `/proc`, and files in it that are generated or shown all the same.
    Proc(InRoot, ProcKind, Vec<ProcFile>),
    /// A fresh devpts.
    Devpts(InRoot),
    /// The message queues of the sandbox's own ipc namespace, where the kernel has any.
    Mqueue(InRoot),
    /// The working directory under a layer that can be looked at afterwards.
    WorkspaceOverlay(HostPath, InRoot, Bytes, Attributes),
    /// Something empty over a path, where there is one.
    Mask(InRoot),
    /// Read-only from here on, where it exists.
    ReadOnly(InRoot),
    /// The root itself read-only from here on.
    SealRoot,
    /// pivot_root and detach of the host's tree.
    PivotRoot,
    /// sethostname.
    Hostname(String),
    /// Brings `lo` up.
    Loopback,
    /// A fresh session keyring.
    Keyring,
    /// A pseudo-terminal in the sandbox's own devpts, whose master the supervisor holds.
    Terminal,
    /// Where the command starts.
    StartIn(InRoot),
    /// sched_setaffinity: these processors and no others.
    Processors(Processors),
    /// setrlimit.
    Limits(Vec<Limit>),
    /// setgroups(2): no groups but these, by their ids inside; none of them is the caller's own.
    Groups(Vec<u32>),
    /// The ids that the command runs as.
    SetIds {
        /// uid inside.
        uid: u32,
        /// gid inside.
        gid: u32,
    },
    /// All five sets emptied but for these; securebits locked.
    Capabilities(CapabilitySet, Holder),
    /// prctl(PR_SET_NO_NEW_PRIVS).
    NoNewPrivileges,
    /// A Landlock domain.
    Landlock {
        /// Rights of this ABI are handled.
        abi: u8,
        /// TCP is refused but for connecting to these ports (ABI 4); `None`: it is left alone.
        tcp: Option<Vec<u16>>,
        /// Abstract sockets and signals are scoped (ABI 6).
        scopes: bool,
        /// Character devices may be made, as far as the kernel lets anybody: 0:0, by which a layer says that a file is gone.
        nodes: bool,
        /// What is allowed.
        rules: Vec<Rule>,
    },
    /// A Landlock domain in which no unix socket of the host can be connected to, but for these.
    LandlockSockets(Vec<InRoot>),
    /// The init forks; what follows happens in its child. Without it the command is pid 1.
    Init,
    /// A session of its own, or, on a pseudo-terminal below init, a process group of its own in init's session; signals at
    /// their defaults.
    Session,
    /// close_range: nothing but 0, 1 and 2 outlives exec.
    CloseRange,
    /// The system call filter.
    Seccomp(Table),
    /// execve.
    Exec {
        /// The command and its arguments.
        command: Vec<OsString>,
        /// The whole environment.
        environment: Vec<(OsString, OsString)>,
    },
}

/// Whether the root itself becomes read-only.
pub(super) fn sealed(steps: &[Planned]) -> bool {
    steps.iter().any(|p| matches!(p.step, Step::SealRoot))
}

//! The steps. `sandbox` turns each into system calls; nothing else may mount, clone or confine.

use super::limits::Group;
use super::loss::Loss;
use crate::model::{Bytes, CapabilitySet, HostPath, IdMap, InRoot, Layers, Processors, Set, Span};
use crate::policy::Limit;
use crate::seccomp::Table;
use std::ffi::OsString;
use std::fmt;

/// A whole run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// In the order in which they happen.
    pub steps: Vec<Planned>,
    /// Preferred protections that are not in force.
    pub losses: Vec<Loss>,
    /// What the user should know, though nothing is lost.
    pub notes: Vec<String>,
    /// Wall-clock time after which everything is killed.
    pub time: Option<Span>,
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

/// The namespaces that are made by clone3.
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

impl fmt::Display for Upper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(size) => write!(f, "a tmpfs of {size}"),
            Self::Disk(at) => write!(f, "a layer on disk in {at}"),
        }
    }
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

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.bytes)?;
        self.inodes.map_or(Ok(()), |n| write!(f, " and {n} inodes"))
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
    /// `hidepid=4,subset=pid`: the user's own processes, nothing of the kernel.
    OwnProcesses,
    /// Everything of a fresh `/proc`; kernel files are masked by later steps.
    Whole,
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
    /// clone3 with all namespaces at once.
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
    /// A fresh `/proc`.
    Proc(InRoot, ProcKind),
    /// A fresh devpts.
    Devpts(InRoot),
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
        /// TCP is refused (ABI 4).
        network: bool,
        /// Abstract sockets and signals are scoped (ABI 6).
        scopes: bool,
        /// Character devices may be made, as far as the kernel lets anybody: 0:0, by which a layer says that a file is gone.
        nodes: bool,
        /// What is allowed.
        rules: Vec<Rule>,
    },
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

impl Step {
    /// The word in the first column of `sbx plan`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Clone(_) | Self::TimeNamespace | Self::NoNestedNamespaces | Self::Hostname(_) => {
                "namespaces"
            }
            Self::MapIds { .. } | Self::ActAsRoot | Self::Groups(_) | Self::SetIds { .. } => "identity",
            Self::RootTmpfs(_)
            | Self::RootBind(_)
            | Self::RootOverlay(..)
            | Self::RootFuse { .. }
            | Self::RootCopy(_)
            | Self::SealRoot
            | Self::PivotRoot => "root",
            Self::Clear(_) | Self::Directory(..) | Self::Link(..) | Self::File(..) | Self::Point(_) => "make",
            Self::Bind(..)
            | Self::Device { .. }
            | Self::Tmpfs(..)
            | Self::Proc(..)
            | Self::Devpts(_)
            | Self::WorkspaceOverlay(..)
            | Self::Mask(_)
            | Self::ReadOnly(_) => "mount",
            Self::Loopback => "network",
            Self::Keyring => "keyring",
            Self::Terminal => "terminal",
            Self::StartIn(_) => "directory",
            Self::Cgroup(_)
            | Self::WatchMemory(_)
            | Self::WatchDisk { .. }
            | Self::Processors(_)
            | Self::Limits(_) => "limits",
            Self::Capabilities(..) | Self::NoNewPrivileges => "rights",
            Self::Landlock { .. } => "landlock",
            Self::Init | Self::Session | Self::CloseRange => "process",
            Self::Seccomp(_) => "seccomp",
            Self::Exec { .. } => "exec",
        }
    }
}

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.writable { "writable" } else { "read-only" })?;
        f.write_str(" nosuid")?;
        if !self.devices {
            f.write_str(" nodev")?;
        }
        if !self.execute {
            f.write_str(" noexec")?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clone(n) => write!(
                f,
                "user mount pid{} ipc uts cgroup",
                if n.net { " net" } else { "" }
            ),
            Self::MapIds { uids, gids, by } => {
                let by = match by {
                    MapWriter::Child => "no helper",
                    MapWriter::Supervisor => "written as root",
                    MapWriter::Helpers { newuidmap: None, .. } => "groups by newgidmap",
                    MapWriter::Helpers { .. } => "by newuidmap and newgidmap",
                };
                write!(f, "users {uids}; groups {gids}; {by}")
            }
            Self::TimeNamespace => f.write_str("time, clocks from 0"),
            Self::NoNestedNamespaces => {
                f.write_str("no user namespace inside (user.max_user_namespaces = 0)")
            }
            Self::ActAsRoot => f.write_str("mounts are made as uid 0 inside"),
            Self::RootTmpfs(size) => write!(f, "tmpfs {size}"),
            Self::RootBind(source) => write!(f, "host {source}, read-only nosuid nodev"),
            Self::RootOverlay(layers, upper, _) => write!(f, "overlay of {layers} and {upper}"),
            Self::RootFuse { layers, upper, .. } => {
                write!(
                    f,
                    "fuse-overlayfs of {layers} and {upper}, in a sandbox of its own"
                )
            }
            Self::RootCopy(at) => write!(f, "copy of the image's layers in {at}, nosuid nodev"),
            Self::Clear(at) => write!(f, "no {at} but a directory"),
            Self::Directory(at, mode) => write!(f, "directory {at} {mode:o}"),
            Self::Link(at, target) => write!(f, "link {at} -> {}", target.display()),
            Self::File(at, bytes) => write!(f, "file {at}, {} bytes", bytes.len()),
            Self::Point(at) => write!(f, "empty file {at}"),
            Self::Bind(source, at, attributes) => write!(f, "{at}: host {source}, {attributes}"),
            Self::Device { source, at, .. } => write!(f, "{at}: host {source}, {}", Attributes::DEVICE),
            Self::Tmpfs(at, size, mode, attributes) => write!(f, "{at}: tmpfs {size} {mode:o}, {attributes}"),
            Self::Proc(at, ProcKind::OwnProcesses) => write!(f, "{at}: proc, own processes only"),
            Self::Proc(at, ProcKind::Whole) => write!(f, "{at}: proc"),
            Self::Devpts(at) => write!(f, "{at}: devpts of its own"),
            Self::WorkspaceOverlay(source, at, size, a) => {
                write!(f, "{at}: overlay of host {source} and a tmpfs of {size}, {a}")
            }
            Self::Mask(at) => write!(f, "{at}: hidden"),
            Self::ReadOnly(at) => write!(f, "{at}: read-only"),
            Self::SealRoot => f.write_str("read-only from here on"),
            Self::PivotRoot => f.write_str("pivot_root, the host's tree detached"),
            Self::Hostname(name) => write!(f, "host name {name}"),
            Self::Loopback => f.write_str("loopback up"),
            Self::Keyring => f.write_str("a fresh session keyring"),
            Self::Terminal => f.write_str("a pseudo-terminal of its own"),
            Self::StartIn(at) => write!(f, "{at}"),
            Self::Cgroup(group) => write!(f, "{group}"),
            Self::WatchMemory(most) => {
                write!(f, "memory of all processes together {most}, watched from outside")
            }
            Self::WatchDisk { most, at, .. } => {
                write!(f, "what is written to {at} {most}, watched from outside")
            }
            Self::Processors(list) => write!(f, "processors {list}"),
            Self::Limits(limits) => {
                for (i, l) in limits.iter().enumerate() {
                    write!(f, "{}{} {}", if i == 0 { "" } else { ", " }, l.resource, l.soft)?;
                }
                Ok(())
            }
            Self::Groups(none) if none.is_empty() => f.write_str("no supplementary groups"),
            Self::Groups(groups) => {
                f.write_str("supplementary groups")?;
                groups.iter().try_for_each(|group| write!(f, " {group}"))
            }
            Self::SetIds { uid, gid } => write!(f, "uid {uid} gid {gid}"),
            Self::Capabilities(kept, Holder::Command) => {
                write!(f, "capabilities kept: {kept}; securebits locked")
            }
            Self::Capabilities(kept, Holder::Root) => write!(f, "capabilities of root: {kept}"),
            Self::NoNewPrivileges => f.write_str("no new privileges"),
            Self::Landlock {
                abi,
                network,
                scopes,
                nodes,
                rules,
            } => {
                write!(f, "ABI {abi}, {} rules", rules.len())?;
                f.write_str(if *network { ", no TCP" } else { "" })?;
                f.write_str(if *nodes { ", device nodes" } else { "" })?;
                f.write_str(if *scopes {
                    ", signals and abstract sockets scoped"
                } else {
                    ""
                })
            }
            Self::Init => f.write_str("init as pid 1, the command below it"),
            Self::Session => f.write_str("a session of its own"),
            Self::CloseRange => f.write_str("descriptors from 3 on closed at exec"),
            Self::Seccomp(table) => write!(f, "{}", table.summary()),
            Self::Exec { command, environment } => {
                for word in command {
                    write!(f, "{} ", word.display().to_string().escape_debug())?;
                }
                write!(f, "({} variables)", environment.len())
            }
        }
    }
}

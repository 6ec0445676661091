//! How a step is written: its word in the first column of `sbx plan`, and what is done, on one line.

use super::{Attributes, Holder, Holding, MapWriter, ProcKind, Step, Upper};
use std::fmt;

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
            | Self::Mqueue(_)
            | Self::WorkspaceOverlay(..)
            | Self::Mask(_)
            | Self::ReadOnly(_) => "mount",
            Self::Loopback => "network",
            Self::Keyring => "keyring",
            Self::Terminal | Self::RelayFiles(_) => "terminal",
            Self::StartIn(_) => "directory",
            Self::Cgroup(_)
            | Self::WatchMemory(_)
            | Self::WatchDisk { .. }
            | Self::Deadline(_)
            | Self::CountOutput(_)
            | Self::Processors(_)
            | Self::Limits(_) => "limits",
            Self::Capabilities(..) | Self::NoNewPrivileges => "rights",
            Self::Landlock { .. } | Self::LandlockSockets(_) => "landlock",
            Self::Init | Self::Session | Self::CloseRange => "process",
            Self::Seccomp(_) => "seccomp",
            Self::Exec { .. } => "exec",
        }
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
            Self::Proc(at, kind, files) => {
                f.write_fmt(format_args!("{at}: proc"))?;
                f.write_str(match kind {
                    ProcKind::OwnProcesses => ", own processes only",
                    ProcKind::Whole => "",
                })?;
                for (generated, words) in [(false, "; of the kernel's files"), (true, "; generated")] {
                    let these = files.iter().filter(|file| file.content.is_some() == generated);
                    for (i, file) in these.enumerate() {
                        write!(f, "{} {}", if i == 0 { words } else { "" }, file.path)?;
                    }
                }
                Ok(())
            }
            Self::Devpts(at) => write!(f, "{at}: devpts of its own"),
            Self::Mqueue(at) => write!(f, "{at}: mqueue of its own"),
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
            Self::RelayFiles(streams) => {
                let names = ["input", "output", "error"].iter().zip(streams);
                let names = names.filter(|(_, file)| **file).map(|(name, _)| *name);
                let names: Vec<_> = names.collect();
                write!(f, "standard {} relayed through a pipe", names.join(" and "))
            }
            Self::Terminal => f.write_str("a pseudo-terminal of its own"),
            Self::StartIn(at) => write!(f, "{at}"),
            Self::Cgroup(group) => write!(f, "{group}"),
            Self::Deadline(time) => write!(f, "everything ends after {time}"),
            Self::CountOutput(most) => write!(
                f,
                "standard output and error are counted; more than {most} ends everything"
            ),
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
                tcp,
                scopes,
                nodes,
                rules,
            } => {
                write!(f, "ABI {abi}, {} rules", rules.len())?;
                match tcp.as_deref() {
                    None => {}
                    Some([]) => f.write_str(", no TCP")?,
                    Some(ports) => {
                        f.write_str(", TCP to ports")?;
                        ports.iter().try_for_each(|port| write!(f, " {port}"))?;
                    }
                }
                f.write_str(if *nodes { ", device nodes" } else { "" })?;
                f.write_str(if *scopes {
                    ", signals and abstract sockets scoped"
                } else {
                    ""
                })
            }
            Self::LandlockSockets(allowed) => {
                f.write_str("unix sockets of the host closed")?;
                for (i, at) in allowed.iter().enumerate() {
                    write!(f, "{} {at}", if i == 0 { ", but for" } else { "," })?;
                }
                Ok(())
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

impl fmt::Display for Upper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(size) => write!(f, "a tmpfs of {size}"),
            Self::Disk(at) => write!(f, "a layer on disk in {at}"),
        }
    }
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.bytes)?;
        self.inodes.map_or(Ok(()), |n| write!(f, " and {n} inodes"))
    }
}

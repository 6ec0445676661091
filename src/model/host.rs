//! What a host can do, as plain data: probed by `host`, read by `plan`, built by hand in tests.

use super::homes::Homes;
use super::id::IdRange;
use super::path::HostPath;
use serde::Serialize;
use std::path::PathBuf;

/// What is known of the machine and of the caller: what a plan asks, and what only doctor tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Host {
    /// The running kernel's version.
    pub kernel: Kernel,
    /// Who runs sbx.
    pub caller: Caller,
    /// Whether an unprivileged user namespace with all its rights can be had.
    pub user_namespaces: Fact<UserNamespaceRefusal>,
    /// The set-uid helpers and the caller's subordinate ids.
    pub id_helpers: IdHelpers,
    /// Landlock's ABI; 0 where there is none.
    pub landlock_abi: u8,
    /// Whether a seccomp filter can be installed.
    pub seccomp: Fact<String>,
    /// Which kind of `/proc` can be mounted in a new pid namespace.
    pub proc: ProcMount,
    /// Whether a time namespace can be made.
    pub time_namespace: Fact<String>,
    /// Whether `user.max_user_namespaces` can be set from inside a new user namespace.
    pub namespace_limits: Fact<String>,
    /// Whether overlay can be mounted by an unprivileged user.
    pub overlay: Fact<String>,
    /// Whether it can over the layers in the image store, whose file system may not do.
    pub image_overlay: Fact<String>,
    /// Whether the file system of the image store can hold the upper layer of an overlay.
    pub disk_upper: Fact<String>,
    /// `/dev/fuse`.
    pub fuse: Fact<String>,
    /// fuse-overlayfs(1), looked for only where overlay is refused.
    pub fuse_overlayfs: Option<HostPath>,
    /// `/dev/net/tun`.
    pub tun: Fact<String>,
    /// Where a cgroup could be made.
    pub cgroup: Cgroup,
    /// The processors that the caller may use, in the order in which a run takes them. Empty: not looked at.
    pub processors: Vec<u32>,
    /// How the host's own tree is laid out, for the `host` root.
    pub tree: HostTree,
}

/// A fact of the host: it works, or why it does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact<R> {
    /// It was tried and works, or nothing speaks against it.
    Works,
    /// It does not, for this reason.
    Missing(R),
}

impl<R> Fact<R> {
    /// Whether it works.
    #[must_use]
    pub fn works(&self) -> bool {
        matches!(self, Self::Works)
    }
}

/// A kernel version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Kernel {
    /// 6 of 6.18.
    pub major: u16,
    /// 18 of 6.18.
    pub minor: u16,
}

impl Kernel {
    /// Whether it is this version or a later one.
    #[must_use]
    pub fn at_least(self, major: u16, minor: u16) -> bool {
        self >= Self { major, minor }
    }
}

/// The user who runs sbx.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Caller {
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// Supplementary groups, without `gid` itself.
    pub groups: Vec<u32>,
    /// The login name, where passwd has one.
    pub name: Option<String>,
    /// The home directory: `$HOME` when absolute, else passwd's.
    pub home: Option<PathBuf>,
    /// The directories that are never mounted whole: `$HOME` and passwd's home.
    #[serde(skip)]
    pub homes: Homes,
    /// Whether it holds `CAP_SETUID` and `CAP_SETGID` (root, also in a CI container) and can write any id map itself.
    pub writes_maps: bool,
    /// The user ids that exist in the user namespace sbx itself runs in, by their number there (`host`); `inside` is not used. Empty:
    /// all of them. Looked up only when `writes_maps`: a nested container has few, and a map cannot name others.
    pub outer_uids: Vec<IdRange>,
    /// The same for group ids.
    pub outer_gids: Vec<IdRange>,
}

/// Why user namespaces are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserNamespaceRefusal {
    /// `kernel.unprivileged_userns_clone = 0` (Debian's older kernels).
    Sysctl,
    /// `user.max_user_namespaces = 0`, or the limit is reached.
    Limit,
    /// `kernel.apparmor_restrict_unprivileged_userns = 1` (Ubuntu 23.10 and later): made, but without rights.
    AppArmor,
    /// A seccomp filter or security module of an outer container answers `EPERM`.
    Outer,
    /// The kernel has none (`CONFIG_USER_NS`).
    Kernel,
    /// The root directory is a chroot: `clone` answers `EPERM` (user_namespaces(7)).
    Chroot,
    /// Something else, with the errno's name.
    Other(String),
}

/// newuidmap(1), newgidmap(1) and what they would allow the caller.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct IdHelpers {
    /// `newuidmap`.
    pub newuidmap: Helper,
    /// `newgidmap`.
    pub newgidmap: Helper,
    /// The caller's ranges in `/etc/subuid`; `inside` is not used.
    pub subuid: Vec<IdRange>,
    /// The caller's ranges in `/etc/subgid`.
    pub subgid: Vec<IdRange>,
}

/// A set-uid helper.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Helper {
    /// It is there and may raise its rights.
    Ready(HostPath),
    /// Not on the host, or not looked for.
    #[default]
    Missing,
    /// Neither set-uid nor with file capabilities.
    NoPrivilege(HostPath),
    /// On a file system mounted `nosuid`.
    NoSuidMount(HostPath),
    /// The caller has set `no_new_privs`, as containers and services do: nothing that it starts raises its rights.
    NoNewPrivileges(HostPath),
}

impl IdHelpers {
    /// What keeps one of the two from being used; `None` when nothing does.
    #[must_use]
    pub fn lack(&self) -> Option<String> {
        let named = [("newuidmap", &self.newuidmap), ("newgidmap", &self.newgidmap)];
        named
            .into_iter()
            .find_map(|(name, helper)| Some(format!("{name} {}", helper.usable().err()?)))
    }
}

impl Helper {
    /// Its path.
    ///
    /// # Errors
    /// With what keeps it from being used, as words that follow its name.
    pub fn usable(&self) -> Result<&HostPath, &'static str> {
        match self {
            Self::Ready(path) => Ok(path),
            Self::Missing => Err("is not installed"),
            Self::NoPrivilege(_) => Err("is neither set-uid root nor has file capabilities"),
            Self::NoSuidMount(_) => Err("lies on a file system mounted nosuid"),
            Self::NoNewPrivileges(_) => Err("gets no rights, because whoever started sbx set no_new_privs"),
        }
    }

    /// Its path, when it can be used.
    #[must_use]
    pub fn ready(&self) -> Option<&HostPath> {
        self.usable().ok()
    }
}

/// Which `/proc` can be mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProcMount {
    /// A fresh one with `hidepid=4,subset=pid` (Linux 5.8).
    Private,
    /// A fresh one, but the kernel knows no `subset=pid`.
    Fresh,
    /// None: the host's own `/proc` is partly masked, as in a container (`mount_too_revealing`).
    Refused,
}

/// What the caller may do with cgroups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cgroup {
    /// A cgroup v2 directory that belongs to the caller, and in which cgroups with controllers can be made.
    Delegated {
        /// The directory.
        path: HostPath,
        /// The controllers that it offers.
        controllers: Vec<String>,
        /// Whether this process, and no other, lives in it: a cgroup that gives controllers on has no processes of its own, so it has
        /// to move into a leaf first.
        own: bool,
    },
    /// cgroup v2, nothing delegated, but a systemd that makes scopes with `Delegate=yes` for the caller.
    Systemd {
        /// Its D-Bus socket, or the one where it listens itself.
        bus: HostPath,
        /// The controllers that it has to give on.
        controllers: Vec<String>,
    },
    /// cgroup v2, nothing delegated.
    NotDelegated,
    /// cgroup v1, or v1 with an empty v2 tree beside it.
    Legacy,
    /// No cgroup file system is mounted.
    Absent,
    /// One was found and could not be used, which is not tried again.
    Refused {
        /// What was found.
        place: String,
        /// The answer.
        errno: String,
    },
}

/// The parts of the host's tree that the `host` root is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HostTree {
    /// `/bin`, `/sbin`, `/lib`, `/lib32`, `/lib64`, `/libx32`: a symbolic link with its target, or a directory.
    pub top: Vec<(String, TopEntry)>,
    /// The names in `/etc` that programs read and that hold no secret, those that are there, but for links into `/usr`.
    pub etc: Vec<String>,
    /// These, with their targets.
    pub etc_links: Vec<(String, PathBuf)>,
    /// `/opt`, `/nix/store`, `/gnu/store`, `/snap`: other places where distributions keep programs, those that exist.
    pub stores: Vec<String>,
}

/// One name at the top of the host's tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TopEntry {
    /// A symbolic link, as on merged-/usr hosts.
    Link(PathBuf),
    /// A directory.
    Directory,
}

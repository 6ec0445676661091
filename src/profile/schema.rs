//! What a profile may say. Every value is optional here: merging and `policy::resolve` leave nothing optional.
//!
//! The flags of the command line make a [`Profile`] of their own, merged last.

mod limits;

pub use limits::{IoLimit, Limits, Ulimit, UlimitError};

use crate::model::{Bytes, Capability, InRoot, Level, Protection, Set};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How large `/tmp` is where no profile says it.
pub const TMP: Bytes = Bytes(64 << 20);

/// A value that a profile may leave unsaid.
pub type Maybe<T> = Option<Set<T>>;

/// One profile, or the flags, or the result of merging several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// One line for people.
    pub description: Maybe<String>,
    /// `[identity]`
    pub identity: Identity,
    /// `[filesystem]`
    pub filesystem: Filesystem,
    /// `[network]`
    pub network: Network,
    /// `[syscalls]`
    pub syscalls: Syscalls,
    /// `[limits]`
    pub limits: Limits,
    /// `[environment]`
    pub environment: Environment,
    /// `[terminal]`
    pub terminal: Terminal,
    /// `[namespaces]`
    pub namespaces: Namespaces,
    /// `[enforcement]`: a level for each protection that a host may lack.
    pub enforcement: BTreeMap<Protection, Set<Level>>,
}

/// `[identity]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// `map`
    pub map: Maybe<MapKind>,
    /// `user`: `image`, `root`, `caller`, `UID[:GID]`, `NAME[:GROUP]`.
    pub user: Maybe<UserSpec>,
    /// `capabilities`: kept inside the user namespace. Replaced as a whole by a later profile.
    pub capabilities: Maybe<Vec<Capability>>,
    /// `root-capabilities`: what root of an image has besides, over the ids of its own range. Replaced as a whole by a later profile.
    pub root_capabilities: Maybe<Vec<Capability>>,
}

/// How ids are mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MapKind {
    /// Caller for `host` and directories; range for images when the caller has sub-ids.
    Auto,
    /// One id, the caller's.
    Caller,
    /// The caller and its subordinate range, or an unprivileged range when sbx runs as root.
    Range,
    /// Host uid 0 stays uid 0: only for sbx run as root, and only when asked for by name.
    HostRoot,
}

/// Who the command runs as, inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum UserSpec {
    /// What the image says; the caller for `host`, directories and `scratch`.
    Image,
    /// uid 0 and gid 0 inside.
    Root,
    /// The caller's own numbers.
    Caller,
    /// Numbers.
    Ids {
        /// uid inside.
        uid: u32,
        /// gid inside; the uid's own number when not given is not assumed: it is 0, as docker does.
        gid: Option<u32>,
    },
    /// Names, looked up in the root's own passwd and group.
    Names {
        /// User name.
        user: String,
        /// Group name or number.
        group: Option<String>,
    },
}

/// `[filesystem]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filesystem {
    /// `root`
    pub root: Maybe<RootMode>,
    /// `workdir`
    pub workdir: Maybe<WorkdirMode>,
    /// `home`
    pub home: Maybe<HomeMode>,
    /// `proc`
    pub proc: Maybe<ProcMode>,
    /// `tmp`: the size of `/tmp`, of `/dev/shm` and of every tmpfs that names no size.
    pub tmp: Maybe<Bytes>,
    /// `upper`: where goes what is written to the root of an image or of a directory.
    pub upper: Maybe<UpperPlace>,
    /// `upper-size`: the most of it. `tmp` in memory when left out, and no limit on the disk.
    pub upper_size: Maybe<Bytes>,
    /// `without-overlay`: what an image's root is where the kernel refuses overlay.
    pub without_overlay: Maybe<WithoutOverlay>,
    /// `execute`: whether files in writable places may be executed.
    pub execute: Maybe<Execute>,
    /// `mounts`: later ones with the same target replace earlier ones; others add up.
    pub mounts: Vec<Set<Mount>>,
    /// `tmpfs`: likewise.
    pub tmpfs: Vec<Set<Tmpfs>>,
    /// `devices`: device nodes of the host, bound to the same path.
    pub devices: Vec<Set<Device>>,
    /// `masked`: paths inside that are hidden behind something empty.
    pub masked: Vec<Set<InRoot>>,
}

/// How the root may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RootMode {
    /// Not at all.
    ReadOnly,
    /// Into a layer that vanishes.
    Ephemeral,
    /// Into a layer that is kept.
    Kept,
}

/// Where what is written to the root lies until the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpperPlace {
    /// In a tmpfs as large as `tmp` says.
    Memory,
    /// In a directory beside the image store: watched where `upper-size` is said, else without a limit.
    Disk,
}

/// What stands in for overlay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WithoutOverlay {
    /// A copy of the image, made for the run.
    Copy,
    /// fuse-overlayfs(1) in a sandbox of its own, where it can be had; else a copy.
    Fuse,
}

/// What becomes of the working directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkdirMode {
    /// It is not there.
    None,
    /// It can be read.
    ReadOnly,
    /// Writes are kept aside: listed by `--diff`, applied by `--apply`, else thrown away.
    Overlay,
    /// It can be written.
    Writable,
}

/// What the caller's home directory looks like inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HomeMode {
    /// No such directory.
    None,
    /// An empty tmpfs at the same path.
    Empty,
}

/// What `/proc` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProcMode {
    /// The caller's own processes (`hidepid=4,subset=pid`), and of the kernel's files a few that programs read, most of them generated.
    OwnProcesses,
    /// All of the sandbox's processes; kernel files masked or read-only, as container runtimes do.
    Masked,
    /// No `/proc`.
    None,
}

/// Where programs may be executed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Execute {
    /// Only from places that cannot be written (`noexec` elsewhere).
    ReadOnlyPlaces,
    /// From everywhere.
    Anywhere,
}

/// One bind mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Mount {
    /// On the host; `~/` is the caller's home, a relative path starts at the working directory.
    pub source: String,
    /// Inside; the source's own path when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// How it may be used.
    #[serde(default = "MountMode::read_only")]
    pub mode: MountMode,
    /// Left out without a word when the source does not exist.
    #[serde(default)]
    pub optional: bool,
    /// Overrides `filesystem.execute` for this mount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execute: Option<bool>,
}

/// How a mount may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MountMode {
    /// Read.
    ReadOnly,
    /// Read and written.
    Writable,
}

impl MountMode {
    fn read_only() -> Self {
        Self::ReadOnly
    }
}

/// One tmpfs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Tmpfs {
    /// Inside.
    pub target: InRoot,
    /// `filesystem.tmp` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Bytes>,
    /// How many files and directories; one for each page of its size when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inodes: Option<u64>,
    /// Permission bits, octal text, `1777` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Overrides `filesystem.execute` for this mount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execute: Option<bool>,
}

/// One device node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Device {
    /// The node on the host.
    pub source: String,
    /// Inside; the same path when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<InRoot>,
    /// Left out without a word when the node does not exist.
    #[serde(default)]
    pub optional: bool,
}

/// `[network]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// `mode`
    pub mode: Maybe<NetworkMode>,
    /// `allow`: destinations for the gateway.
    pub allow: Vec<Set<String>>,
    /// `publish`: ports, as `-p` takes them.
    pub publish: Vec<Set<String>>,
}

/// Which network the sandbox has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkMode {
    /// Loopback only.
    None,
    /// Only to what `allow` lists.
    Gateway,
    /// User-mode NAT by a helper process.
    Nat,
    /// The host's own network.
    Host,
}

/// `[syscalls]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Syscalls {
    /// `allow`: names and `@groups`. Adds up.
    pub allow: Vec<Set<String>>,
    /// `deny`: names and `@groups`, with the errno's name to answer (`EPERM`, `ENOSYS`). Stronger than `allow`.
    pub deny: BTreeMap<String, Set<String>>,
    /// `guards`: named conditions on arguments. Adds up.
    pub guards: Vec<Set<String>>,
    /// `socket-families`: which address families socket(2) may take; replaced as a whole.
    pub socket_families: Maybe<Vec<String>>,
}

/// `[environment]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// `pass`: names taken from the caller's environment; a trailing `*` is allowed. Adds up.
    pub pass: Vec<Set<String>>,
    /// `set`: fixed values. Later ones replace.
    pub set: BTreeMap<String, Set<String>>,
}

/// `[terminal]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terminal {
    /// `mode`
    pub mode: Maybe<TerminalMode>,
    /// `files`
    pub files: Maybe<StreamFiles>,
}

/// What the command gets for a standard stream that is a regular file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StreamFiles {
    /// A pipe, which the supervisor relays: the file itself is out of reach.
    Relay,
    /// The file's own descriptor.
    Pass,
}

/// When the command gets a pseudo-terminal of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TerminalMode {
    /// When one of its standard streams is a terminal.
    Auto,
    /// Always (`-t`).
    Always,
}

/// `[namespaces]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// `hostname`
    pub hostname: Maybe<String>,
    /// `init`: whether a small init of ours is pid 1.
    pub init: Maybe<bool>,
}

/// A user that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a user: write image, root, caller, NAME, NAME:GROUP, UID or UID:GID (0 to 2147483647)")]
pub struct NotAUser(String);

impl std::str::FromStr for UserSpec {
    type Err = NotAUser;

    /// Numbers are taken only as plain digits up to 2^31-1: a sign or an overflow must never become uid 0 (CVE-2026-30892).
    fn from_str(text: &str) -> Result<Self, NotAUser> {
        let bad = || NotAUser(text.escape_debug().to_string());
        match text {
            "image" => return Ok(Self::Image),
            "root" => return Ok(Self::Root),
            "caller" => return Ok(Self::Caller),
            _ => {}
        }
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let number = |part: &str| -> Result<Option<u32>, NotAUser> {
            if part.is_empty() || part.len() > 256 {
                return Err(bad());
            }
            if part.bytes().all(|b| b.is_ascii_digit()) {
                let id = part.parse().ok().filter(|id| *id <= 0x7fff_ffff);
                return id.map(Some).ok_or_else(bad);
            }
            let first_is_fine = !part.starts_with(['-', '+']);
            let name = part
                .chars()
                .all(|c| !c.is_control() && !matches!(c, ':' | ',' | '/' | ' '));
            if first_is_fine && name {
                Ok(None)
            } else {
                Err(bad())
            }
        };
        let gid = group.map(number).transpose()?;
        match (number(user)?, gid) {
            (Some(uid), None) => Ok(Self::Ids { uid, gid: None }),
            (Some(uid), Some(Some(gid))) => Ok(Self::Ids { uid, gid: Some(gid) }),
            _ => Ok(Self::Names {
                user: user.to_owned(),
                group: group.map(str::to_owned),
            }),
        }
    }
}

impl TryFrom<String> for UserSpec {
    type Error = NotAUser;
    fn try_from(text: String) -> Result<Self, NotAUser> {
        text.parse()
    }
}

impl From<UserSpec> for String {
    fn from(user: UserSpec) -> Self {
        match user {
            UserSpec::Image => "image".to_owned(),
            UserSpec::Root => "root".to_owned(),
            UserSpec::Caller => "caller".to_owned(),
            UserSpec::Ids { uid, gid: None } => uid.to_string(),
            UserSpec::Ids { uid, gid: Some(gid) } => format!("{uid}:{gid}"),
            UserSpec::Names { user, group: None } => user,
            UserSpec::Names {
                user,
                group: Some(group),
            } => format!("{user}:{group}"),
        }
    }
}

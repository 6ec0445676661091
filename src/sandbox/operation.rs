//! Prepared steps: what the child walks through. Every string is a C string, every list is built.

use crate::model::homes::FileId;
use crate::model::{Bytes, Processors};
use crate::plan::{Access, Attributes, Holder};
use crate::sys::process::ProcessorMask;
use crate::sys::process::Strings;
use crate::sys::seccomp::Instruction;
use crate::sys::{fs, mount, tty};
use std::ffi::{CStr, CString};

/// A path inside the new root, relative to the root's descriptor.
#[derive(Debug)]
pub(super) struct Place {
    /// `.` for the root itself.
    pub(super) path: CString,
    /// The directory that holds it, and its name in it; `None` when that directory is the root.
    pub(super) parent: Option<CString>,
    /// Its last name.
    pub(super) name: CString,
}

/// What a fresh tmpfs is made with.
#[derive(Debug)]
pub(super) struct TmpfsOptions {
    pub(super) size: CString,
    /// How many files: each takes kernel memory that the size does not count.
    pub(super) inodes: CString,
    pub(super) mode: CString,
    /// uid and gid inside, when they are not those of the process that mounts.
    pub(super) owner: Option<(CString, CString)>,
}

impl TmpfsOptions {
    pub(super) fn new(size: Bytes, mode: u32, owner: Option<(u32, u32)>) -> Self {
        // Digits hold no NUL.
        let text = |digits: String| CString::new(digits).unwrap_or_default();
        Self {
            size: text(size.0.to_string()),
            inodes: text(inodes(size).to_string()),
            mode: text(format!("{mode:o}")),
            owner: owner.map(|(uid, gid)| (text(uid.to_string()), text(gid.to_string()))),
        }
    }
}

impl TmpfsOptions {
    /// With so many files, where it is said how many.
    pub(super) fn with_inodes(mut self, inodes: Option<u64>) -> Self {
        if let Some(inodes) = inodes {
            self.inodes = CString::new(inodes.to_string()).unwrap_or_default();
        }
        self
    }
}

/// One inode for each page of its size: whoever writes into every file meets the size first. Without a number the kernel allows half as
/// many as the machine has pages, and a million empty files take a gibibyte that no size counts.
fn inodes(size: Bytes) -> u64 {
    const PAGE: u64 = 4096;
    const LEAST: u64 = 16 << 10;
    (size.0 / PAGE).max(LEAST)
}

/// The directory below an overlay.
#[derive(Debug)]
pub(super) struct Lower {
    /// Where it was opened into.
    pub(super) slot: usize,
    /// Its permission bits.
    pub(super) mode: u32,
    /// uid and gid inside, when both are mapped.
    pub(super) owner: Option<(u32, u32)>,
    /// Which directories of it.
    pub(super) layers: Lowers,
    /// The kernel need not sync what is written above it.
    pub(super) volatile: bool,
}

/// What the upper layer of an overlay stands on.
#[derive(Debug)]
pub(super) enum Scratch {
    /// A tmpfs of its own.
    Tmpfs(TmpfsOptions),
    /// A directory of the host that nobody else uses, opened into a slot. It vanishes at the end, so that nothing need be synced.
    Slot(usize),
}

/// How overlay is told of what lies below. Every path is relative to the staging directory, where `lower` is what was opened.
#[derive(Debug)]
pub(super) enum Lowers {
    /// What was opened itself.
    Alone,
    /// Directories in it, the topmost first, one by one.
    Each(Vec<CString>),
    /// The same in one option: links with names as short as can be, and the options of mount(2).
    Joined {
        links: Vec<(CString, CString)>,
        options: CString,
    },
}

/// One thing the child does. What is rare and long is on the heap: there are a hundred of these, and each page of them is touched.
#[derive(Debug)]
pub(super) enum Operation {
    /// Writes a file of the kernel.
    KernelFile(&'static CStr, Vec<u8>),
    /// Waits for the supervisor to say that the maps are written.
    AwaitMaps,
    /// Hands the supervisor its user namespace.
    TellNamespace,
    /// unshare(CLONE_NEWCGROUP): the cgroup that clone3 has put us into becomes the root of what can be seen.
    UnshareCgroup,
    /// unshare(CLONE_NEWNET), which takes as long as all other namespaces together: a helper writes the maps meanwhile.
    UnshareNetwork,
    /// unshare(CLONE_NEWTIME).
    UnshareTime,
    /// Becomes uid 0 and gid 0 inside.
    ActAsRoot,
    /// Opens a part of the host's tree as a detached copy, with its attributes, into a slot.
    Open {
        slot: usize,
        path: CString,
        attributes: mount::Attributes,
        /// Device and inode that it must be, where the supervisor holds it too.
        same: Option<FileId>,
    },
    /// The root is a tmpfs.
    RootTmpfs(Box<TmpfsOptions>),
    /// The root is what a slot holds.
    RootBind(usize),
    /// The root is an overlay of a host directory and of what takes the writes.
    RootOverlay(Box<(Lower, Scratch)>),
    /// Opens `/dev/fuse` into a slot.
    OpenFuse(usize),
    /// The root is what a program shows that is handed the device in a slot. The user and the group that mount.
    RootFuse {
        slot: usize,
        user: CString,
        group: CString,
    },
    /// unlink, but for directories.
    Clear(Place),
    /// mkdir.
    Directory(Place, u32),
    /// symlink.
    Link(Place, CString),
    /// A file with this content.
    File(Place, Vec<u8>),
    /// Mounts what a slot holds.
    Attach { slot: usize, at: Place },
    /// Makes an empty file and mounts over it what a slot holds: one walk to the place instead of two.
    AttachToNew { slot: usize, at: Place },
    /// Mounts a tmpfs.
    Tmpfs {
        at: Place,
        options: Box<TmpfsOptions>,
        attributes: mount::Attributes,
    },
    /// Mounts a `/proc`.
    Proc {
        at: Place,
        own_processes: bool,
        files: Box<ProcFiles>,
    },
    /// Mounts a devpts.
    Devpts(Place),
    /// Mounts the message queues of the ipc namespace; passes over a kernel without them.
    Mqueue(Place),
    /// Mounts an overlay over the workspace and sends its upper directory to the supervisor.
    WorkspaceOverlay {
        at: Place,
        below: Box<(Lower, TmpfsOptions)>,
        attributes: mount::Attributes,
    },
    /// Hides a file behind `/dev/null`, a directory behind an empty tmpfs; a path that does not exist needs none.
    Mask(Place),
    /// Read-only from here on, if the path exists.
    ReadOnly(Place),
    /// The root's own mount read-only.
    SealRoot,
    /// pivot_root and detach.
    PivotRoot,
    /// sethostname.
    Hostname(Vec<u8>),
    /// `lo` up.
    Loopback,
    /// A fresh session keyring.
    Keyring,
    /// Makes a pseudo-terminal and sends its master to the supervisor.
    Terminal,
    /// chdir.
    StartIn(Place),
    /// sched_setaffinity.
    Processors(Box<ProcessorMask>),
    /// setrlimit.
    Limit { resource: u32, soft: u64, hard: u64 },
    /// setgroups(2).
    Groups(Vec<u32>),
    /// setresgid, setresuid.
    SetIds { uid: u32, gid: u32, change: bool },
    /// Sets emptied, securebits locked.
    Capabilities(u64, Holder),
    /// no_new_privs.
    NoNewPrivileges,
    /// One rule for the Landlock domain.
    LandlockRule { at: Place, access: Access, nodes: bool },
    /// Enters the Landlock domain.
    LandlockEnforce,
    /// Enters a Landlock domain without named unix sockets of the host, but for these.
    LandlockSockets(Vec<Place>),
    /// What follows happens in init's child.
    Init,
    /// A new session, or a group in the terminal's foreground.
    Session,
    /// close_range.
    CloseRange,
    /// The filter.
    Seccomp(Vec<Instruction>),
    /// execve.
    Exec(Box<Exec>),
}

/// Files that a `/proc` shows in place of, or besides, those that its options leave. Every path is relative to it.
#[derive(Debug)]
pub(super) struct ProcFiles {
    /// Where generated files lie: a tmpfs of their own, unless the root is one.
    pub(super) staging: Option<TmpfsOptions>,
    /// Directories of generated files, parents first.
    pub(super) directories: Vec<CString>,
    pub(super) generated: Vec<(CString, Vec<u8>)>,
    /// The first names of generated files: each is mounted.
    pub(super) covers: Vec<CString>,
    /// The kernel's own; at most [`Self::OWN`].
    pub(super) own: Vec<CString>,
}

impl ProcFiles {
    /// How many of the kernel's own files there may be.
    pub(super) const OWN: usize = 8;
}

/// A command as execve(2) takes it.
#[derive(Debug)]
pub(super) struct Exec {
    /// Where it may be, in turn.
    pub(super) candidates: Vec<CString>,
    pub(super) arguments: Strings,
    pub(super) environment: Strings,
}

/// The kinds of the standard streams: input, output, error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Streams {
    /// Terminals, which go through a pseudo-terminal of the sandbox's own.
    pub terminal: [bool; 3],
    /// Regular files.
    pub file: [bool; 3],
    /// Directories and descriptors of `O_PATH`.
    pub place: [bool; 3],
}

impl Streams {
    /// Looks at the supervisor's own streams.
    #[must_use]
    pub fn of_this_process() -> Self {
        let mut all = Self::terminals();
        for number in 0..3_u8 {
            let at = usize::from(number);
            all.terminal[at] = tty::is_terminal(number.into());
            if !all.terminal[at] {
                (all.file[at], all.place[at]) = fs::stream_kind(number.into());
            }
        }
        all
    }

    /// Nothing but terminals.
    #[must_use]
    pub fn terminals() -> Self {
        Self {
            terminal: [true; 3],
            ..Self::default()
        }
    }

    /// Whether any is a terminal.
    #[must_use]
    pub fn any(self) -> bool {
        self.terminal.contains(&true)
    }
}

/// The kernel's bits for a list of processors.
pub(super) fn mask(list: &Processors) -> ProcessorMask {
    let mut mask: ProcessorMask = [0; 16];
    for number in list.numbers() {
        let word = usize::try_from(number / 64).ok().and_then(|at| mask.get_mut(at));
        if let Some(word) = word {
            *word |= 1 << (number % 64);
        }
    }
    mask
}

/// The kernel's bits for a plan's attributes. Nothing in a sandbox is ever set-id.
pub(super) fn bits(a: Attributes) -> mount::Attributes {
    let mut bits = mount::Attributes::NO_SUID;
    for (wanted, bit) in [
        (!a.writable, mount::Attributes::READ_ONLY),
        (!a.devices, mount::Attributes::NO_DEV),
        (!a.execute, mount::Attributes::NO_EXEC),
    ] {
        if wanted {
            bits |= bit;
        }
    }
    mount::Attributes(bits)
}

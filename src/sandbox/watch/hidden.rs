//! Memory that no process shows, and the bounds on it.
//!
//! The pages of a shared memory object (memfd, shared anonymous mapping, SysV segment) stay when every process has unmapped them, and an
//! ordinary user sees the size of the object only through an open descriptor. Such objects and the buffers of sockets are bounded by what
//! the machine has less of since the command began: `/proc/meminfo` is one read. Only when that would pass the limit are the processes
//! searched for places where the sandbox could hide memory.

use super::count::{self, MemoryFiles, Process};
use crate::sys::memory;
use std::os::fd::AsRawFd;

/// Memory of the whole machine in use, in bytes. Swap counts as memory.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Machine {
    /// Shared memory and tmpfs.
    shared: u64,
}

impl Machine {
    pub(super) fn now(buffer: &mut Vec<u8>) -> Self {
        Self::parse(count::read("/proc/meminfo", buffer))
    }

    fn parse(text: &[u8]) -> Self {
        let of = |name| count::kibibytes(text, name).unwrap_or_default();
        Self {
            shared: of("Shmem") + of("SwapTotal").saturating_sub(of("SwapFree")),
        }
    }
}

/// The least that the machine had in use since the command began. What others give back meanwhile lowers it.
#[derive(Debug)]
pub(super) struct Baseline(Machine);

impl Baseline {
    pub(super) fn new(now: Machine) -> Self {
        Self(now)
    }

    pub(super) fn follow(&mut self, now: Machine) {
        self.0.shared = self.0.shared.min(now.shared);
    }

    /// The most shared memory that the sandbox can have.
    pub(super) fn shared(&self, now: Machine) -> u64 {
        now.shared.saturating_sub(self.0.shared)
    }
}

/// How the kernel's own mount of shared memory objects looks in `/proc`.
#[derive(Debug)]
struct Objects {
    number: u64,
    /// `00:01`, the device in `maps`.
    device: String,
    /// The mount in `fdinfo`.
    mount: u64,
}

impl Objects {
    fn of_this_kernel() -> Option<Self> {
        let file = memory::memory_file().ok()?;
        let found = nix::sys::stat::fstat(&file).ok()?;
        let mut buffer = count::buffer();
        let info = count::read(&format!("/proc/self/fdinfo/{}", file.as_raw_fd()), &mut buffer);
        Some(Self {
            number: found.st_dev,
            device: format!(
                "{:02x}:{:02x}",
                libc::major(found.st_dev),
                libc::minor(found.st_dev)
            ),
            mount: field(info, "mnt_id")?,
        })
    }
}

/// Lines of `/proc` that one search reads at most; what it did not get to counts as hidden.
const LINES: usize = 1 << 16;

/// Whether the sandbox has shared memory whose size is unknown: an object that is mapped or open and not among `known`, a descriptor
/// in a socket's queue, or a process that cannot be searched.
///
/// `segments`: the size of SysV shared memory segments is known.
pub(super) fn shared(processes: &[Process], known: &MemoryFiles, segments: bool) -> bool {
    let Some(objects) = Objects::of_this_kernel() else {
        return true;
    };
    let known = |inode: u64| known.seen.contains(&(objects.number, inode));
    let mut buffer = count::buffer();
    let mut left = LINES;
    processes.iter().any(|process| {
        let maps = count::read(&process.path("maps"), &mut buffer);
        mapped(maps, &objects.device, (&known, segments), &mut left)
            || count::tables(*process)
                .into_iter()
                .any(|table| open(table, objects.mount, known, (&mut buffer, &mut left)))
    })
}

/// Takes one from a number of lines. `false`: there are none left.
fn spend(left: &mut usize) -> bool {
    *left = left.saturating_sub(1);
    *left > 0
}

/// proc_pid_maps(5): addresses, rights, offset, device, inode, name. On the kernel's own mount only segments are named `/SYSV…`.
fn mapped(
    maps: &[u8],
    device: &str,
    (known, segments): (impl Fn(u64) -> bool, bool),
    left: &mut usize,
) -> bool {
    maps.split(|b| *b == b'\n').any(|line| {
        let mut words = line.split(|b| *b == b' ').skip(3);
        let here = words.next() == Some(device.as_bytes());
        let inode = words.next().and_then(number);
        let mut segment = || {
            words
                .find(|word| !word.is_empty())
                .is_some_and(|name| name.starts_with(b"/SYSV"))
        };
        !spend(left) || here && inode.is_some_and(|inode| !known(inode)) && !(segments && segment())
    })
}

fn open(
    table: Process,
    mount: u64,
    known: impl Fn(u64) -> bool,
    (buffer, left): (&mut Vec<u8>, &mut usize),
) -> bool {
    let at = table.path("fdinfo");
    let entries = match std::fs::read_dir(&at) {
        Ok(entries) => entries,
        // One that has ended holds nothing.
        Err(error) => return error.kind() == std::io::ErrorKind::PermissionDenied,
    };
    entries.flatten().any(|entry| {
        let info = count::read(&format!("{at}/{}", entry.file_name().display()), buffer);
        let object = field(info, "mnt_id") == Some(mount);
        let inode = field(info, "ino");
        !spend(left)
            || object && inode.is_none_or(|inode| !known(inode))
            || field(info, "scm_fds").is_some_and(|queued| queued > 0)
    })
}

/// `NAME:`, a tab and the number.
fn field(info: &[u8], name: &str) -> Option<u64> {
    let mut lines = info.split(|b| *b == b'\n');
    let value = lines.find_map(|line| line.strip_prefix(name.as_bytes())?.strip_prefix(b":"))?;
    number(value)
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

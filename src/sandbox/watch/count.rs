//! Memory of the sandbox's processes, from the host's `/proc`.
//!
//! All of a sandbox's processes descend from its first: whoever loses its parent is adopted by pid 1 of its namespace. What is read here
//! are numbers that the kernel writes; names that the sandbox chooses are passed over.

use crate::sys::process::same_descriptors;
use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;

/// A process, by pids of the host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Process {
    pub(super) pid: i32,
    /// A thread that still has its memory and descriptors: the leader, unless it has exited before the others.
    pub(super) thread: i32,
    pub(super) tasks: u64,
}

impl Process {
    pub(super) fn path(self, file: &str) -> String {
        format!("/proc/{}/task/{}/{file}", self.pid, self.thread)
    }
}

/// Bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Memory without a file, swapped or not, and huge pages and page tables.
    pub(super) private: u64,
    /// Shared memory and files in tmpfs, as far as they are mapped.
    pub(super) shared: u64,
    /// Page tables, which `private` includes: they are no part of `smaps_rollup`.
    tables: u64,
}

impl Held {
    fn plus(self, other: Self) -> Self {
        Self {
            private: self.private + other.private,
            shared: self.shared + other.shared,
            tables: self.tables + other.tables,
        }
    }
}

/// What all processes hold at the most.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rough {
    pub(super) held: Held,
    pub(super) tasks: u64,
}

/// The longest file of `/proc` that is read: `status` lists up to 65536 groups, `maps` and `children` have a line or a word for each
/// mapping and child.
const LONGEST: usize = 8 << 20;

/// Reads a file of `/proc` as far as [`LONGEST`]; empty where it cannot be read.
pub(super) fn read<'a>(path: &str, buffer: &'a mut Vec<u8>) -> &'a [u8] {
    let mut filled = 0;
    if let Ok(mut file) = File::open(path) {
        while let Ok(got @ 1..) = file.read(buffer.get_mut(filled..).unwrap_or_default()) {
            filled += got;
            if filled == buffer.len() && filled < LONGEST {
                buffer.resize(filled * 2, 0);
            }
        }
    }
    buffer.get(..filled).unwrap_or_default()
}

/// Room for most files of `/proc` about one process.
pub(super) fn buffer() -> Vec<u8> {
    vec![0; 4096]
}

/// The command's process, or the first one that is below init now.
pub(super) fn command((first, is_it): (i32, bool)) -> Option<i32> {
    if is_it {
        return Some(first);
    }
    let mut buffer = buffer();
    numbers(read(&format!("/proc/{first}/task/{first}/children"), &mut buffer)).next()
}

/// As the kernel lists them.
fn numbers(text: &[u8]) -> impl Iterator<Item = i32> {
    text.split(|b| *b == b' ')
        .filter_map(|n| std::str::from_utf8(n).ok()?.parse().ok())
}

/// The first process and all below it; our own init is left out.
pub(super) fn below((first, counts): (i32, bool)) -> Vec<Process> {
    let mut found = Vec::new();
    let mut buffer = buffer();
    let mut waiting = vec![first];
    // More than a sandbox may have; a process that is seen twice while its parent changes ends this too.
    while let (Some(pid), true) = (waiting.pop(), found.len() < MOST) {
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
            continue;
        };
        let mut count = 0;
        for task in tasks.flatten() {
            count += 1;
            let name = task.file_name();
            let Some(name) = name.to_str() else { continue };
            waiting.extend(numbers(read(
                &format!("/proc/{pid}/task/{name}/children"),
                &mut buffer,
            )));
        }
        if counts || pid != first {
            found.push(Process {
                pid,
                thread: pid,
                tasks: count,
            });
        }
    }
    found
}

const MOST: usize = 1 << 16;

/// Threads of a process, by pids of the host.
pub(super) fn threads(pid: i32) -> impl Iterator<Item = i32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    tasks.filter_map(|task| task.file_name().to_str()?.parse().ok())
}

/// A thread for each descriptor table of a process: clone(2) gives a thread one of its own unless `CLONE_FILES` is set.
pub(super) fn tables(process: Process) -> Vec<Process> {
    let mut found = vec![process];
    if process.tasks > 1 {
        for thread in threads(process.pid).filter(|t| *t != process.thread) {
            if !found.iter().any(|known| same_descriptors(known.thread, thread)) {
                found.push(Process { thread, ..process });
            }
        }
    }
    found
}

/// Sums up `status`, which everybody may read and which costs the kernel nothing: pages that several processes share count for each.
///
/// A leader that has exited while other threads run on has no memory in its own `status`; then the first thread that has counts.
pub(super) fn rough(processes: &mut [Process]) -> Rough {
    let mut buffer = buffer();
    processes.iter_mut().fold(Rough::default(), |sum, process| {
        let mut held = status(read(&process.path("status"), &mut buffer));
        if held.is_none() && process.tasks > 1 {
            for thread in threads(process.pid) {
                let other = Process { thread, ..*process };
                held = status(read(&other.path("status"), &mut buffer));
                if held.is_some() {
                    *process = other;
                    break;
                }
            }
        }
        Rough {
            held: sum.held.plus(held.unwrap_or_default()),
            tasks: sum.tasks + process.tasks,
        }
    })
}

/// Sums up `smaps_rollup`, for which the kernel walks through all pages. A process that hides them counts in full.
pub(super) fn exact(processes: &[Process]) -> Held {
    let mut buffer = buffer();
    processes.iter().fold(Held::default(), |sum, process| {
        let whole = status(read(&process.path("status"), &mut buffer)).unwrap_or_default();
        let held = shares(read(&process.path("smaps_rollup"), &mut buffer));
        sum.plus(held.map_or(whole, |held| Held {
            private: held.private + whole.tables,
            ..held
        }))
    })
}

/// `NAME:   123 kB`
pub(super) fn kibibytes(text: &[u8], name: &str) -> Option<u64> {
    let line = text
        .split(|b| *b == b'\n')
        .find_map(|line| line.strip_prefix(name.as_bytes())?.strip_prefix(b":"))?;
    let number = std::str::from_utf8(line)
        .ok()?
        .trim()
        .strip_suffix("kB")?
        .trim_end()
        .parse::<u64>()
        .ok()?;
    Some(number << 10)
}

/// `None` for a process, or a thread, that has no memory any more.
fn status(text: &[u8]) -> Option<Held> {
    let of = |name| kibibytes(text, name).unwrap_or_default();
    let anonymous = kibibytes(text, "RssAnon")?;
    let tables = of("VmPTE");
    Some(Held {
        private: anonymous + of("VmSwap") + of("HugetlbPages") + tables,
        shared: of("RssShmem"),
        tables,
    })
}

fn shares(text: &[u8]) -> Option<Held> {
    let of = |name| kibibytes(text, name).unwrap_or_default();
    Some(Held {
        private: kibibytes(text, "Pss_Anon")? + of("SwapPss") + of("Private_Hugetlb") + of("Shared_Hugetlb"),
        shared: kibibytes(text, "Pss_Shmem")?,
        tables: 0,
    })
}

/// Files of memfd_create(2) that are open, mapped or not.
#[derive(Debug, Default)]
pub(super) struct MemoryFiles {
    /// Device and inode.
    pub(super) seen: HashSet<(u64, u64)>,
    pub(super) bytes: u64,
}

/// The memory files in the descriptor table of each process: their pages need not be mapped anywhere.
pub(super) fn memory_files(processes: &[Process]) -> MemoryFiles {
    let mut files = MemoryFiles::default();
    for table in processes.iter().flat_map(|p| tables(*p)) {
        let Ok(open) = std::fs::read_dir(table.path("fd")) else {
            continue;
        };
        for entry in open.flatten() {
            // By its name first: asking a file of a network file system how large it is could take for ever.
            let path = entry.path();
            let memory = std::fs::read_link(&path)
                .is_ok_and(|to| to.as_os_str().as_encoded_bytes().starts_with(b"/memfd:"));
            if !memory {
                continue;
            }
            if let Ok(found) = std::fs::metadata(&path)
                && files.seen.insert((found.dev(), found.ino()))
            {
                files.bytes += found.blocks() * 512;
            }
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_kernel() {
        let text = b"Name:\tx\nRssAnon:\t     100 kB\nRssFile:\t 7 kB\nRssShmem:\t   20 kB\nVmPTE:\t 8 kB\nVmSwap:\t 3 kB\nHugetlbPages:\t 1 kB\n";
        assert_eq!(
            status(text),
            Some(Held {
                private: 112 << 10,
                shared: 20 << 10,
                tables: 8 << 10,
            })
        );
        // A kernel thread or a dead process has none.
        assert_eq!(status(b"Name:\tRssAnon: 100 kB\n"), None);
        let text = b"55-7f ---p 00000000 00:00 0 [rollup]\nPss:  50 kB\nPss_Anon: 30 kB\nPss_File: 10 kB\nPss_Shmem: 10 kB\nSwapPss: 5 kB\n";
        assert_eq!(
            shares(text),
            Some(Held {
                private: 35 << 10,
                shared: 10 << 10,
                tables: 0,
            })
        );
        assert_eq!(shares(b""), None);
    }

    #[test]
    fn this_process_is_found_with_what_it_holds() {
        let own = i32::try_from(std::process::id()).expect("a pid");
        let held = vec![1u8; 64 << 20];
        let mut processes = below((own, true));
        assert!(processes.iter().any(|p| p.pid == own));
        assert!(rough(&mut processes).held.private > 64 << 20, "{}", held.len());
        assert!(exact(&processes).private > 64 << 20);
        assert!(below((own, false)).iter().all(|p| p.pid != own));
    }
}

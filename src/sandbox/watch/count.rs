//! What processes hold, by the host's `/proc`.
//!
//! All of a sandbox's processes descend from its first: whoever loses its parent is adopted by pid 1 of its namespace. What is read here
//! are numbers that the kernel writes; names that the sandbox chooses are passed over.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;

/// One process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Process {
    pub(super) pid: i32,
    tasks: u64,
}

/// Bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Memory without a file, swapped or not.
    pub(super) private: u64,
    /// Shared memory and files in tmpfs, as far as they are mapped.
    pub(super) shared: u64,
}

impl Held {
    fn plus(self, other: Self) -> Self {
        Self {
            private: self.private + other.private,
            shared: self.shared + other.shared,
        }
    }
}

/// What all processes hold at the most.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rough {
    pub(super) held: Held,
    pub(super) tasks: u64,
}

/// The start of a file; nothing where it cannot be read.
fn start(path: &str, buffer: &mut [u8]) -> usize {
    let mut filled = 0;
    if let Ok(mut file) = File::open(path) {
        while let Ok(got @ 1..) = file.read(buffer.get_mut(filled..).unwrap_or_default()) {
            filled += got;
        }
    }
    filled
}

/// The command's process, or the first one that is below init now.
pub(super) fn command((first, is_it): (i32, bool)) -> Option<i32> {
    if is_it {
        return Some(first);
    }
    let mut buffer = [0; 128];
    let filled = start(&format!("/proc/{first}/task/{first}/children"), &mut buffer);
    numbers(buffer.get(..filled)?).next()
}

/// As the kernel lists them.
fn numbers(text: &[u8]) -> impl Iterator<Item = i32> {
    text.split(|b| *b == b' ')
        .filter_map(|n| std::str::from_utf8(n).ok()?.parse().ok())
}

/// The first process and all below it; our own init is left out.
pub(super) fn below((first, counts): (i32, bool)) -> Vec<Process> {
    let mut found = Vec::new();
    let mut buffer = vec![0; 16 << 10];
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
            let filled = start(&format!("/proc/{pid}/task/{name}/children"), &mut buffer);
            waiting.extend(numbers(buffer.get(..filled).unwrap_or_default()));
        }
        if counts || pid != first {
            found.push(Process { pid, tasks: count });
        }
    }
    found
}

const MOST: usize = 1 << 16;

/// By `status`, which everybody may read and which costs the kernel nothing: pages that several share are counted for each.
pub(super) fn rough(processes: &[Process]) -> Rough {
    let mut buffer = [0; 4096];
    processes.iter().fold(Rough::default(), |sum, process| {
        let filled = start(&format!("/proc/{}/status", process.pid), &mut buffer);
        Rough {
            held: sum.held.plus(status(buffer.get(..filled).unwrap_or_default())),
            tasks: sum.tasks + process.tasks,
        }
    })
}

/// By `smaps_rollup`, for which the kernel walks through all their pages. A process that hides them counts in full.
pub(super) fn exact(processes: &[Process]) -> Held {
    let mut buffer = [0; 4096];
    processes.iter().fold(Held::default(), |sum, process| {
        let filled = start(&format!("/proc/{}/smaps_rollup", process.pid), &mut buffer);
        let text = buffer.get(..filled).unwrap_or_default();
        let held = shares(text).unwrap_or_else(|| rough(&[*process]).held);
        sum.plus(held)
    })
}

/// `NAME:   123 kB`
fn kibibytes(text: &[u8], name: &str) -> Option<u64> {
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

fn status(text: &[u8]) -> Held {
    let of = |name| kibibytes(text, name).unwrap_or_default();
    Held {
        private: of("RssAnon") + of("VmSwap"),
        shared: of("RssShmem"),
    }
}

fn shares(text: &[u8]) -> Option<Held> {
    Some(Held {
        private: kibibytes(text, "Pss_Anon")? + kibibytes(text, "SwapPss").unwrap_or_default(),
        shared: kibibytes(text, "Pss_Shmem")?,
    })
}

/// Files of memfd_create(2), mapped or not: what is written to them is in nobody's pages.
pub(super) fn memory_files(processes: &[Process]) -> u64 {
    let mut seen = HashSet::new();
    let mut sum = 0;
    for process in processes {
        let Ok(open) = std::fs::read_dir(format!("/proc/{}/fd", process.pid)) else {
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
                && seen.insert((found.dev(), found.ino()))
            {
                sum += found.blocks() * 512;
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_kernel() {
        let text = b"Name:\tx\nRssAnon:\t     100 kB\nRssFile:\t 7 kB\nRssShmem:\t   20 kB\nVmSwap:\t 3 kB\n";
        assert_eq!(
            status(text),
            Held {
                private: 103 << 10,
                shared: 20 << 10
            }
        );
        // A kernel thread or a dead process has none.
        assert_eq!(status(b"Name:\tRssAnon: 100 kB\n"), Held::default());
        let text = b"55-7f ---p 00000000 00:00 0 [rollup]\nPss:  50 kB\nPss_Anon: 30 kB\nPss_File: 10 kB\nPss_Shmem: 10 kB\nSwapPss: 5 kB\n";
        assert_eq!(
            shares(text),
            Some(Held {
                private: 35 << 10,
                shared: 10 << 10
            })
        );
        assert_eq!(shares(b""), None);
    }

    #[test]
    fn this_process_is_found_with_what_it_holds() {
        let own = i32::try_from(std::process::id()).expect("a pid");
        let held = vec![1u8; 64 << 20];
        let processes = below((own, true));
        assert!(processes.iter().any(|p| p.pid == own));
        assert!(rough(&processes).held.private > 64 << 20, "{}", held.len());
        assert!(exact(&processes).private > 64 << 20);
        assert!(below((own, false)).iter().all(|p| p.pid != own));
    }
}

//! How much there is below a directory that somebody hostile writes to, and in files that have no name any more.

use crate::sandbox::watch::count::{self, Process};
use crate::sys::tree;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};
use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

/// Each level holds a descriptor. What lies deeper counts as too much: nobody means to have that, and it could hide anything.
const DEEPEST: usize = 200;

/// The least that a file takes. As in a tmpfs, there are as many files as the size has pages.
const PAGE: u64 = 4096;

/// Bytes below a directory.
pub(super) fn used(directory: BorrowedFd<'_>) -> u64 {
    below(directory, 0, &mut HashSet::new())
}

fn below(directory: BorrowedFd<'_>, depth: usize, seen: &mut HashSet<(u64, u64)>) -> u64 {
    if depth > DEEPEST {
        return u64::MAX;
    }
    let mut sum: u64 = 0;
    // One that has gone meanwhile holds nothing.
    for name in tree::names(directory).unwrap_or_default() {
        let Ok(found) = fstatat(directory, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW) else {
            continue;
        };
        // A file with several names is there once.
        if is_directory(&found) || found.st_nlink < 2 || seen.insert((found.st_dev, found.st_ino)) {
            sum = sum.saturating_add(size(&found));
        }
        if !is_directory(&found) {
            continue;
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        if let Ok(inner) = openat(directory, name.as_c_str(), flags, Mode::empty()) {
            sum = sum.saturating_add(below(inner.as_fd(), depth + 1, seen));
        }
    }
    sum
}

fn is_directory(found: &FileStat) -> bool {
    found.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits()
}

fn size(found: &FileStat) -> u64 {
    u64::try_from(found.st_blocks)
        .unwrap_or(0)
        .saturating_mul(512)
        .max(PAGE)
}

/// Bytes in files of the root that processes have open and that have no name any more.
pub(super) fn nameless(processes: &[Process]) -> u64 {
    let mut seen = HashSet::new();
    let mut sum: u64 = 0;
    for table in processes.iter().flat_map(|p| count::tables(*p)) {
        let Some(root) = mount_of_root(&text(&table.path("mountinfo"))) else {
            continue;
        };
        let Ok(open) = std::fs::read_dir(table.path("fd")) else {
            continue;
        };
        for entry in open.flatten() {
            let path = entry.path();
            let gone =
                std::fs::read_link(&path).is_ok_and(|to| to.as_os_str().as_bytes().ends_with(b" (deleted)"));
            // By the number of its mount first: asking a network file system could take for ever.
            let number = entry.file_name();
            let info = text(&table.path(&format!("fdinfo/{}", number.display())));
            if !gone || mount_of_file(&info) != Some(root) {
                continue;
            }
            if let Ok(found) = std::fs::metadata(&path)
                && seen.insert((found.dev(), found.ino()))
            {
                sum = sum.saturating_add(found.blocks().saturating_mul(512));
            }
        }
    }
    sum
}

fn text(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// proc_pid_mountinfo(5): the first field is the mount's number, the fifth where it is.
fn mount_of_root(mountinfo: &str) -> Option<u64> {
    let root = |line: &&str| line.split(' ').nth(4) == Some("/");
    let line = mountinfo.lines().rfind(root)?;
    line.split(' ').next()?.parse().ok()
}

fn mount_of_file(info: &str) -> Option<u64> {
    info.lines()
        .find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write;

    #[test]
    fn everything_below_counts_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let top = File::open(dir.path()).expect("it");
        assert_eq!(used(top.as_fd()), 0);
        let inner = dir.path().join("a/b");
        std::fs::create_dir_all(&inner).expect("directories");
        let empty = used(top.as_fd());
        assert!((2 * PAGE..64 << 10).contains(&empty), "{empty}");
        std::fs::write(inner.join("big"), vec![1; 1 << 20]).expect("a file");
        let one = used(top.as_fd()) - empty;
        assert!((1 << 20..(1 << 20) + (64 << 10)).contains(&one), "{one}");
        // Another name of it is the same file; a link leads nowhere; a file of no bytes is one all the same.
        std::fs::hard_link(inner.join("big"), dir.path().join("again")).expect("a name");
        assert!(used(top.as_fd()) - empty < (1 << 20) + (64 << 10));
        std::os::unix::fs::symlink("/usr", dir.path().join("out")).expect("a link");
        for n in 0..100 {
            File::create(inner.join(n.to_string())).expect("a file");
        }
        let all = used(top.as_fd()) - empty - one;
        assert!((101 * PAGE..150 * PAGE).contains(&all), "{all}");
    }

    #[test]
    fn what_lies_too_deep_is_too_much() {
        let dir = tempfile::tempdir().expect("a directory");
        let top = File::open(dir.path()).expect("it");
        let deep = |n: usize| dir.path().join("d/".repeat(n));
        std::fs::create_dir_all(deep(DEEPEST)).expect("directories");
        assert!(used(top.as_fd()) < 10 << 20);
        std::fs::create_dir_all(deep(DEEPEST + 1)).expect("one more");
        assert_eq!(used(top.as_fd()), u64::MAX);
    }

    #[allow(clippy::disallowed_methods, reason = "a test")]
    #[test]
    fn a_file_without_a_name_is_found_on_its_mount() {
        let dir = tempfile::tempdir_in("/var/tmp").expect("a directory");
        let path = dir.path().join("gone");
        let mut file = File::create(&path).expect("a file");
        file.write_all(&vec![1; 1 << 20]).expect("bytes");
        file.sync_all().expect("sync");
        // A process that has this file and no other: what tests have at the same time would be counted here.
        let mut sleeper = std::process::Command::new("sleep");
        let mut sleeper = sleeper.arg("60").stdin(file).spawn().expect("a process");
        let pid = i32::try_from(sleeper.id()).expect("a pid");
        let here = || nameless(&count::below((pid, true)));
        let before = here();
        std::fs::remove_file(&path).expect("gone");
        // Where the directory lies on another mount than the root, it is nobody's.
        let mount = mount_of_file(&text(&format!("/proc/{pid}/fdinfo/0")));
        let same = mount == mount_of_root(&text(&format!("/proc/{pid}/mountinfo")));
        let after = here();
        sleeper.kill().expect("killed");
        sleeper.wait().expect("its end");
        assert_eq!((before, after), (0, if same { 1 << 20 } else { 0 }));
    }
}

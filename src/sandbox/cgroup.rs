//! A cgroup of the sandbox's own: made before it, asked at its end, removed for sure.
//!
//! Whoever uses one holds a lock on its directory. The kernel drops it when its holder dies, so that the next run knows what is left over.

use super::outcome::{Counter, Whole};
use crate::plan::Group;
use crate::sys::{Errno, fs, socket, tree};
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

const PREFIX: &str = "sbx-";
/// Where the supervisor itself goes when its own cgroup must have no processes.
const LEAF: &str = "sbx-supervisor-";

/// A cgroup that is in use.
#[derive(Debug)]
pub(super) struct Cgroup {
    parent: OwnedFd,
    name: CString,
    directory: Flock<File>,
    /// The leaf that this process has moved to, out of `parent`.
    leaf: Option<CString>,
    controllers: Vec<&'static str>,
}

impl Cgroup {
    /// Makes it, with all its limits.
    pub(super) fn make(group: &Group) -> Result<Self, Errno> {
        let scope = group.scope.as_ref().map(super::scope::enter).transpose()?;
        let parent = scope.as_ref().unwrap_or(&group.parent);
        let path = CString::new(parent.as_path().as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
        let parent = fs::open(&path, libc::O_RDONLY | libc::O_DIRECTORY)?;
        sweep(parent.as_fd());
        let leaf = group.own.then(|| into_leaf(parent.as_fd())).transpose()?;
        let given_on = read(parent.as_fd(), c"cgroup.subtree_control");
        for controller in &group.controllers {
            if !given_on.split_whitespace().any(|c| c == *controller) {
                write(
                    parent.as_fd(),
                    c"cgroup.subtree_control",
                    &format!("+{controller}"),
                )?;
            }
        }
        let (name, directory) = fresh(parent.as_fd())?;
        let made = Self {
            parent,
            name,
            directory,
            leaf,
            controllers: group.controllers.clone(),
        };
        for (file, value) in &group.files {
            let file = CString::new(*file).map_err(|_| Errno::EINVAL)?;
            match write(made.fd(), &file, value) {
                // A kernel without swap accounting has no such file, and nothing to forbid.
                Err(Errno::ENOENT) if file.as_c_str() == c"memory.swap.max" => {}
                Err(errno) => {
                    made.remove();
                    return Err(errno);
                }
                Ok(()) => {}
            }
        }
        Ok(made)
    }

    /// For clone3.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// What the supervisor still needs when it gives up its rights: to remove in the first, and to write there too when it has to go
    /// back to where it was; to read and write in the second.
    pub(super) fn places(&self) -> (BorrowedFd<'_>, bool, BorrowedFd<'_>) {
        (self.parent.as_fd(), self.leaf.is_some(), self.fd())
    }

    /// What was counted.
    pub(super) fn counted(&self) -> Whole {
        let text = |file: &CStr| read(self.fd(), file);
        let number = |file: &CStr| text(file).trim().parse().ok();
        let pressure = |file: &CStr| keyed(text(file).lines().next().unwrap_or_default(), "total");
        let (cpu, io) = (text(c"cpu.stat"), text(c"io.stat"));
        Whole {
            by: Counter::Cgroup,
            memory_peak: number(c"memory.peak"),
            pids_peak: number(c"pids.peak"),
            pids_refused: flat(&text(c"pids.events"), "max"),
            oom_kills: flat(&text(c"memory.events"), "oom_kill"),
            cpu_user: flat(&cpu, "user_usec"),
            cpu_system: flat(&cpu, "system_usec"),
            cpu_throttled: flat(&cpu, "throttled_usec"),
            io_read: total(&io, "rbytes"),
            io_written: total(&io, "wbytes"),
            pressure: [
                pressure(c"cpu.pressure"),
                pressure(c"memory.pressure"),
                pressure(c"io.pressure"),
            ],
        }
    }

    /// Kills what is left in it and removes it.
    pub(super) fn remove(self) {
        end(self.parent.as_fd(), self.fd(), &self.name);
        let Some(leaf) = &self.leaf else {
            return;
        };
        // Back to where this process was, so that nothing of ours is left: a cgroup that gives controllers on takes no process.
        let given_on: Vec<String> = self.controllers.iter().map(|c| format!("-{c}")).collect();
        for controller in given_on {
            let _ = write(self.parent.as_fd(), c"cgroup.subtree_control", &controller);
        }
        if write(self.parent.as_fd(), c"cgroup.procs", "0").is_ok() {
            let _ = unlinkat(self.parent.as_fd(), leaf.as_c_str(), UnlinkatFlags::RemoveDir);
        }
    }
}

/// A new directory that nobody else has, locked.
fn fresh(parent: BorrowedFd<'_>) -> Result<(CString, Flock<File>), Errno> {
    for attempt in 0..64 {
        let name = named(PREFIX, attempt)?;
        match fs::make_directory(parent, &name, 0o755) {
            Err(Errno::EEXIST) => continue,
            other => other?,
        }
        // Between the two another run may take it for a leftover and remove it.
        match open(parent, &name).and_then(lock) {
            Ok(held) => return Ok((name, held)),
            Err(Errno::ENOENT | Errno::EWOULDBLOCK | Errno::ENODEV) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::EAGAIN)
}

fn named(prefix: &str, attempt: u32) -> Result<CString, Errno> {
    let name = match attempt {
        0 => format!("{prefix}{}", std::process::id()),
        n => format!("{prefix}{}-{n}", std::process::id()),
    };
    CString::new(name).map_err(|_| Errno::EINVAL)
}

fn open(parent: BorrowedFd<'_>, name: &CStr) -> Result<File, Errno> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    fs::open_beneath(parent, name, flags, 0, fs::Resolve::IN_ROOT_NO_LINKS).map(File::from)
}

fn lock(directory: File) -> Result<Flock<File>, Errno> {
    Flock::lock(directory, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno)
}

/// Removes what runs that were killed have left: whose lock nobody holds.
fn sweep(parent: BorrowedFd<'_>) {
    for name in tree::names(parent).unwrap_or_default() {
        if name.to_bytes().starts_with(LEAF.as_bytes()) {
            // While its supervisor is in it the kernel keeps it.
            let _ = unlinkat(parent, name.as_c_str(), UnlinkatFlags::RemoveDir);
        } else if name.to_bytes().starts_with(PREFIX.as_bytes())
            && let Ok(left) = open(parent, &name).and_then(lock)
        {
            end(parent, left.as_fd(), &name);
        }
    }
}

/// Kills everything in a cgroup (Linux 5.14) and removes it. The last process may take a moment to be gone.
fn end(parent: BorrowedFd<'_>, directory: BorrowedFd<'_>, name: &CStr) {
    for attempt in 0..50 {
        match unlinkat(parent, name, UnlinkatFlags::RemoveDir) {
            Err(Errno::EBUSY) => {}
            _ => return,
        }
        if attempt == 0 {
            let _ = write(directory, c"cgroup.kill", "1");
        }
        let _ = socket::poll(&mut [], 2);
    }
}

/// This process goes to a leaf of its own cgroup, where it was alone.
fn into_leaf(parent: BorrowedFd<'_>) -> Result<CString, Errno> {
    let name = named(LEAF, 0)?;
    match fs::make_directory(parent, &name, 0o755) {
        Err(Errno::EEXIST) => {}
        other => other?,
    }
    let leaf = open(parent, &name)?;
    write(leaf.as_fd(), c"cgroup.procs", "0")?;
    Ok(name)
}

fn write(directory: BorrowedFd<'_>, file: &CStr, text: &str) -> Result<(), Errno> {
    let file = fs::open_beneath(directory, file, libc::O_WRONLY, 0, fs::Resolve::IN_ROOT_NO_LINKS)?;
    fs::write_all(file.as_fd(), text.as_bytes())
}

fn read(directory: BorrowedFd<'_>, file: &CStr) -> String {
    let mut text = String::new();
    if let Ok(file) = fs::open_beneath(directory, file, libc::O_RDONLY, 0, fs::Resolve::IN_ROOT_NO_LINKS) {
        let _ = File::from(file).take(64 << 10).read_to_string(&mut text);
    }
    text
}

/// `NAME 12` on a line of its own.
fn flat(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// `NAME=12` among others.
fn keyed(line: &str, name: &str) -> Option<u64> {
    line.split(' ')
        .find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

/// The same in every line, summed. `None` where there is no such file or nothing was done.
fn total(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .filter_map(|line| keyed(line, name))
        .reduce(|a, b| a.saturating_add(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_cgroup() {
        let events = "low 0\nhigh 0\nmax 7\noom 2\noom_kill 1\noom_group_kill 1\n";
        assert_eq!(
            (flat(events, "oom_kill"), flat(events, "max"), flat(events, "no")),
            (Some(1), Some(7), None)
        );
        let io = "8:0 rbytes=100 wbytes=5 rios=1\n8:16 rbytes=11 wbytes=0 rios=1\n";
        assert_eq!(
            (total(io, "rbytes"), total(io, "wbytes"), total("", "rbytes")),
            (Some(111), Some(5), None)
        );
        assert_eq!(
            keyed("some avg10=0.00 avg60=0.00 avg300=0.00 total=42", "total"),
            Some(42)
        );
    }
}

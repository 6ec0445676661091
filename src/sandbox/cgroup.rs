//! A cgroup of the sandbox's own: made before it, asked at its end, removed for sure.
//!
//! Whoever uses one holds a lock on its directory. The kernel drops it when its holder dies, so that the next run knows what is left over.

mod counted;

pub use counted::Counts;

use super::outcome::Whole;
use super::scope;
use crate::plan::Group;
use crate::sys::{Errno, fs, socket, tree};
use nix::fcntl::{AtFlags, Flock, FlockArg};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{AccessFlags, UnlinkatFlags, faccessat, unlinkat};
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
    /// The leaf that this process has moved to, out of `parent`, and goes back from at the end.
    leaf: Option<CString>,
    /// Whether `parent` is a scope: systemd removes it with all that is left in it when this process ends.
    scope: bool,
    controllers: Vec<&'static str>,
    counts: Counts,
}

/// A cgroup that is to be made. Where it will lie in a scope, that is asked for already.
#[derive(Debug)]
pub(super) struct Asked {
    group: Group,
    controllers: Vec<&'static str>,
    counts: Counts,
    scope: Option<Result<scope::Asked, Errno>>,
}

impl Asked {
    pub(super) fn new(group: &Group, counts: Counts) -> Self {
        let counting: &[&str] = if counts == Counts::All {
            &group.counting
        } else {
            &[]
        };
        let controllers: Vec<_> = group.controllers.iter().chain(counting).copied().collect();
        Self {
            group: group.clone(),
            scope: group.scope.as_ref().map(|bus| scope::ask(bus, &controllers)),
            controllers,
            counts,
        }
    }

    /// Makes it, with all its limits.
    pub(super) fn make(self) -> Result<Cgroup, Errno> {
        let Self {
            group,
            controllers,
            counts,
            scope,
        } = self;
        let entered = |asked: Result<scope::Asked, Errno>| asked?.entered();
        let scope = scope.map(entered).transpose()?;
        let parent = scope.as_ref().unwrap_or(&group.parent);
        let path = CString::new(parent.as_path().as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
        let parent = fs::open(&path, libc::O_RDONLY | libc::O_DIRECTORY)?;
        let leaf = group.own.then(|| into_leaf(parent.as_fd())).transpose()?;
        give_on(parent.as_fd(), &controllers, &group.controllers)?;
        let (name, directory) = fresh(parent.as_fd())?;
        let made = Cgroup {
            parent,
            name,
            directory,
            leaf: leaf.filter(|_| scope.is_none()),
            scope: scope.is_some(),
            controllers,
            counts,
        };
        // What is new has no limit, so that none need be lifted.
        for (file, value) in group.files.iter().filter(|(_, value)| value != "max") {
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
}

impl Cgroup {
    /// For clone3.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// What the supervisor still needs when it gives up its rights: to remove in the first, and to write there too when it has to go
    /// back to where it was; to read and write in the second.
    pub(super) fn places(&self) -> (BorrowedFd<'_>, bool, BorrowedFd<'_>) {
        (self.parent.as_fd(), self.leaf.is_some(), self.fd())
    }

    /// Stops everything in it, or lets it go on. `false`: the kernel cannot (before 5.2).
    pub(super) fn freeze(&self, frozen: bool) -> bool {
        write(self.fd(), c"cgroup.freeze", if frozen { "1" } else { "0" }).is_ok()
    }

    /// What was counted.
    pub(super) fn counted(&self) -> Whole {
        counted::of(self.counts, |file| read(self.fd(), file))
    }

    /// Removes what runs that were killed have left beside it: whose lock nobody holds. A new scope has nothing in it.
    pub(super) fn sweep(&self) {
        if !self.scope {
            sweep(self.parent.as_fd());
        }
    }

    /// Kills what is left in it and removes it.
    pub(super) fn remove(self) {
        end(self.parent.as_fd(), self.fd(), &self.name);
        let Some(leaf) = &self.leaf else {
            return;
        };
        // Back to where this process was, so that nothing of ours is left: a cgroup that gives controllers on takes no process.
        let given_on = self.controllers.iter().map(|c| format!("-{c}"));
        let _ = change(self.parent.as_fd(), given_on.collect());
        if write(self.parent.as_fd(), c"cgroup.procs", "0").is_ok() {
            let _ = unlinkat(self.parent.as_fd(), leaf.as_c_str(), UnlinkatFlags::RemoveDir);
        }
    }
}

/// A new directory that nobody else has, locked.
fn fresh(parent: BorrowedFd<'_>) -> Result<(CString, Flock<File>), Errno> {
    for attempt in 0..64 {
        let name = named(PREFIX, attempt)?;
        match mkdirat(parent, name.as_c_str(), Mode::from_bits_truncate(0o755)) {
            // What a run of this number has left: it may have processes in it.
            Err(Errno::EEXIST) => continue,
            other => other?,
        }
        // Between the two another run may take it for a leftover and remove it.
        match open(parent, &name).and_then(lock) {
            // It may have taken it and let it go before it was ours to hold: nothing is in a directory that is gone.
            Ok(held) if is_in(held.as_fd(), c"cgroup.procs") => return Ok((name, held)),
            Ok(_) => {}
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

/// Gives controllers on to what lies below; without one that is not needed it goes on.
fn give_on(parent: BorrowedFd<'_>, controllers: &[&str], needed: &[&str]) -> Result<(), Errno> {
    let given_on = read(parent, c"cgroup.subtree_control").unwrap_or_default();
    let missing = |of: &[&str]| -> Vec<String> {
        let given = |name: &&&str| given_on.split_whitespace().any(|c| c == **name);
        of.iter()
            .filter(|name| !given(name))
            .map(|name| format!("+{name}"))
            .collect()
    };
    change(parent, missing(controllers)).or_else(|_| change(parent, missing(needed)))
}

/// All at once: each write has the kernel go through everything below.
fn change(parent: BorrowedFd<'_>, controllers: Vec<String>) -> Result<(), Errno> {
    if controllers.is_empty() {
        return Ok(());
    }
    write(parent, c"cgroup.subtree_control", &controllers.join(" "))
}

fn is_in(directory: BorrowedFd<'_>, file: &CStr) -> bool {
    faccessat(directory, file, AccessFlags::F_OK, AtFlags::empty()).is_ok()
}

/// This process goes to a leaf of its own cgroup, where it was alone.
fn into_leaf(parent: BorrowedFd<'_>) -> Result<CString, Errno> {
    let name = named(LEAF, 0)?;
    match fs::make_directory(parent, &name, 0o755) {
        Err(Errno::EEXIST) => {}
        other => other?,
    }
    let processes = [name.to_bytes(), b"/cgroup.procs"].concat();
    let processes = CString::new(processes).map_err(|_| Errno::EINVAL)?;
    write(parent, &processes, "0")?;
    Ok(name)
}

fn write(directory: BorrowedFd<'_>, file: &CStr, text: &str) -> Result<(), Errno> {
    let file = fs::open_beneath(directory, file, libc::O_WRONLY, 0, fs::Resolve::IN_ROOT_NO_LINKS)?;
    fs::write_all(file.as_fd(), text.as_bytes())
}

fn read(directory: BorrowedFd<'_>, file: &CStr) -> Option<String> {
    // Of most all, in one call.
    let mut text = String::with_capacity(4 << 10);
    let file = fs::open_beneath(directory, file, libc::O_RDONLY, 0, fs::Resolve::IN_ROOT_NO_LINKS).ok()?;
    File::from(file)
        .take(64 << 10)
        .read_to_string(&mut text)
        .ok()
        .map(|_| text)
}

//! A ceiling for what is written to an upper layer on disk: nobody gives an ordinary user a quota, so that somebody looks.
//!
//! What is written belongs to ids that are not the caller's, behind directories that the caller may not enter. A process of its own looks:
//! it joins the sandbox's user namespace, where it may read every directory of the sandbox's own ids and nothing else that the caller could not, and
//! tells the supervisor how much there is. Asking the file system how much is free costs one call; only what that leaves in doubt is counted.

mod tree;

use super::count;
use crate::model::{Bytes, HostPath};
use crate::sandbox::{confine, init};
use crate::sys::process::{self, Side};
use crate::sys::socket::{self, Watch};
use crate::sys::{Errno, cred, fs};
use std::convert::Infallible;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

/// What a plan asks to be watched.
#[derive(Debug)]
pub(in crate::sandbox) struct WatchedDisk {
    most: u64,
    directory: OwnedFd,
    /// Whether files that are open and have no name any more can be found: a program that shows the root holds them itself.
    nameless: bool,
}

impl WatchedDisk {
    pub(in crate::sandbox) fn new(most: Bytes, directory: &HostPath, nameless: bool) -> Result<Self, Errno> {
        let path = directory.as_path().as_os_str().as_bytes();
        let path = CString::new(path).map_err(|_| Errno::EINVAL)?;
        Ok(Self {
            most: most.0,
            directory: fs::open(&path, libc::O_RDONLY | libc::O_DIRECTORY)?,
            nameless,
        })
    }
}

/// The process that looks.
#[derive(Debug)]
pub(in crate::sandbox) struct DiskWatch {
    pid: i32,
    _pidfd: OwnedFd,
    from: OwnedFd,
    most: u64,
    peak: u64,
}

impl DiskWatch {
    /// Starts it, and waits until it is where it can look. `namespace`: the sandbox's user namespace; `first`: its first process, and
    /// whether that is the sandbox's own and not our init.
    pub(in crate::sandbox) fn start(
        watched: &WatchedDisk,
        namespace: &OwnedFd,
        first: (i32, bool),
    ) -> Result<Self, Errno> {
        let (from, to) = socket::pair()?;
        match process::fork()? {
            Side::Child => {
                let _ = serve(watched, namespace, &to, first);
                process::exit_now(1)
            }
            Side::Parent(pidfd, pid) => {
                drop(to);
                let made = Self {
                    pid,
                    _pidfd: pidfd,
                    from,
                    most: watched.most,
                    peak: 0,
                };
                match made.receive(true) {
                    Ok(Some(_)) => Ok(made),
                    other => {
                        made.end();
                        Err(other.err().unwrap_or(Errno::EPROTO))
                    }
                }
            }
        }
    }

    /// What is ready when it has said something.
    pub(in crate::sandbox) fn fd(&self) -> i32 {
        self.from.as_raw_fd()
    }

    /// Takes what it has said. `true`: over the limit.
    pub(in crate::sandbox) fn hear(&mut self) -> Result<bool, Errno> {
        while let Some(used) = self.receive(false)? {
            self.peak = self.peak.max(used);
        }
        Ok(self.peak > self.most)
    }

    fn receive(&self, wait: bool) -> Result<Option<u64>, Errno> {
        let mut bytes = [0; 8];
        match socket::receive(self.from.as_fd(), &mut bytes, wait) {
            Ok((8, _)) => Ok(Some(u64::from_ne_bytes(bytes))),
            // It has died, and nobody looks any more.
            Ok(_) | Err(Errno::ECONNRESET) => Err(Errno::EPIPE),
            Err(Errno::EAGAIN) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Ends it. The most that it has seen.
    pub(in crate::sandbox) fn end(self) -> u64 {
        let _ = process::kill(self.pid, libc::SIGKILL);
        let _ = process::wait(self.pid, true, false);
        self.peak
    }
}

/// CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE: to enter directories, and to see which files a process has open.
const KEPT: u64 = 1 << 2 | 1 << 19;

fn serve(
    watched: &WatchedDisk,
    namespace: &OwnedFd,
    to: &OwnedFd,
    first: (i32, bool),
) -> Result<Infallible, Errno> {
    init::let_go_of_streams()?;
    init::close_all_but([
        watched.directory.as_raw_fd(),
        namespace.as_raw_fd(),
        to.as_raw_fd(),
    ])?;
    process::enter_user_namespace(namespace.as_fd())?;
    cred::set_capabilities(KEPT, 0)?;
    // Behind the change of rights, which the kernel takes as the end of that wish.
    cred::die_with_parent()?;
    confine::watch(true);
    tell(to, 0)?;
    let mut look = Look::new(watched.most);
    loop {
        let free = free(watched.directory.as_fd())?;
        if look.due(free) {
            let before = Instant::now();
            let nameless = if watched.nameless {
                tree::nameless(&count::below(first))
            } else {
                0
            };
            let used = tree::used(watched.directory.as_fd()).saturating_add(nameless);
            look.found(free, used, before.elapsed());
            tell(to, used)?;
        }
        let millis = i32::try_from(look.period(free).as_millis()).unwrap_or(i32::MAX);
        let mut hangup = [Watch {
            fd: to.as_raw_fd(),
            write: false,
            ready: false,
        }];
        // It never speaks to us: what is to be heard is its end.
        if socket::poll(&mut hangup, millis).is_err() || hangup.iter().any(|w| w.ready) {
            return Err(Errno::EPIPE);
        }
    }
}

fn tell(to: &OwnedFd, used: u64) -> Result<(), Errno> {
    socket::send(to.as_fd(), &used.to_ne_bytes(), None)
}

/// How much is free where it is written, whoever writes.
fn free(directory: BorrowedFd<'_>) -> Result<u64, Errno> {
    let found = nix::sys::statvfs::fstatvfs(directory)?;
    Ok(found.blocks_free().saturating_mul(found.fragment_size()))
}

/// The fastest that a disk fills, the page cache before it.
const FASTEST: u64 = 4 << 30;
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(1);

/// When to count again.
#[derive(Debug)]
struct Look {
    most: u64,
    last: Option<(Instant, Duration)>,
    free: u64,
    used: u64,
}

impl Look {
    fn new(most: u64) -> Self {
        Self {
            most,
            last: None,
            free: 0,
            used: 0,
        }
    }

    /// The most that there can be by now, if nobody else has freed anything.
    fn bound(&self, free: u64) -> u64 {
        self.used.saturating_add(self.free.saturating_sub(free))
    }

    fn due(&self, free: u64) -> bool {
        self.last
            .is_none_or(|(at, cost)| self.due_after(free, at.elapsed(), cost))
    }

    /// What somebody else frees hides what is written here, so that it is counted now and then in any case. Counting takes 2 % of the
    /// time while there is room, and a fifth when it has to be known.
    fn due_after(&self, free: u64, since: Duration, cost: Duration) -> bool {
        let full = self.bound(free) > self.most && since >= cost.saturating_mul(4);
        let changed = free != self.free && since >= cost.saturating_mul(50).max(LONGEST);
        full || changed || since >= cost.saturating_mul(200).max(LONGEST.saturating_mul(10))
    }

    fn found(&mut self, free: u64, used: u64, cost: Duration) {
        self.last = Some((Instant::now(), cost));
        (self.free, self.used) = (free, used);
    }

    fn period(&self, free: u64) -> Duration {
        let left = self.most.saturating_sub(self.bound(free));
        Duration::from_micros(left.saturating_mul(1000) / (FASTEST / 1000)).clamp(SHORTEST, LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_when_it_has_to() {
        const G: u64 = 1 << 30;
        let secs = Duration::from_secs;
        let cost = Duration::from_millis(10);
        let mut look = Look::new(2 * G);
        assert!(look.due(50 * G));
        look.found(50 * G, G, cost);
        // Nothing has changed: only now and then.
        assert!(!look.due_after(50 * G, secs(9), cost));
        assert!(look.due_after(50 * G, secs(10), cost));
        assert!(!look.due_after(50 * G, secs(10), secs(1)));
        // Somebody has written, and there is room.
        assert!(!look.due_after(49 * G + G / 2, Duration::from_millis(900), cost));
        assert!(look.due_after(49 * G + G / 2, secs(1), cost));
        // Somebody has written so much that it may have been too much: at once.
        assert!(look.due_after(49 * G - 1, Duration::from_millis(40), cost));
        assert!(!look.due_after(49 * G - 1, Duration::from_millis(39), cost));
        // What others have freed does not make it less.
        assert_eq!((look.bound(60 * G), look.bound(49 * G)), (G, 2 * G));
        assert_eq!(look.period(50 * G).as_millis(), 250);
        assert_eq!(look.period(48 * G), SHORTEST);
        look.found(50 * G, 0, cost);
        assert_eq!(Look::new(u64::MAX).period(0), LONGEST);
    }
}

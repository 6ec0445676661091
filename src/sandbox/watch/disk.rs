//! A ceiling for what is written to an upper layer on disk: nobody gives an ordinary user a quota, so that somebody looks.
//!
//! Asking the file system how much is free costs one call; only what that leaves in doubt is counted.

mod tree;

use super::count;
use crate::model::{Bytes, HostPath};
use crate::sys::{Errno, fs};
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

    pub(super) fn fd(&self) -> i32 {
        self.directory.as_raw_fd()
    }

    fn used(&self, first: (i32, bool)) -> u64 {
        let nameless = if self.nameless {
            tree::nameless(&count::below(first))
        } else {
            0
        };
        tree::used(self.directory.as_fd()).saturating_add(nameless)
    }
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

/// The watch itself.
#[derive(Debug)]
pub(super) struct Look {
    watched: WatchedDisk,
    first: (i32, bool),
    next: Option<Instant>,
    plan: Schedule,
}

impl Look {
    pub(super) fn new(watched: WatchedDisk, first: (i32, bool)) -> Self {
        let plan = Schedule::new(watched.most);
        Self {
            watched,
            first,
            next: None,
            plan,
        }
    }

    /// How long until the next look.
    pub(super) fn wait(&self) -> Option<Duration> {
        let now = Instant::now();
        Some(
            self.next
                .map_or(Duration::ZERO, |next| next.saturating_duration_since(now)),
        )
    }

    /// Looks, when it is time; counts, when it has to. Whether there is too much, and how much there has been.
    pub(super) fn look(&mut self) -> Result<Option<(bool, u64)>, Errno> {
        if self.next.is_some_and(|next| Instant::now() < next) {
            return Ok(None);
        }
        let free = free(self.watched.directory.as_fd())?;
        let mut found = None;
        if self.plan.due(free) {
            let before = Instant::now();
            let used = self.watched.used(self.first);
            self.plan.found(free, used, before.elapsed());
            found = Some((used > self.watched.most, self.plan.peak));
        }
        self.next = Some(Instant::now() + self.plan.period(free));
        Ok(found)
    }
}

/// When to count again.
#[derive(Debug)]
struct Schedule {
    most: u64,
    peak: u64,
    last: Option<(Instant, Duration)>,
    free: u64,
    used: u64,
}

impl Schedule {
    fn new(most: u64) -> Self {
        Self {
            most,
            peak: 0,
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
        self.peak = self.peak.max(used);
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
        let mut look = Schedule::new(2 * G);
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
        assert_eq!(Schedule::new(u64::MAX).period(0), LONGEST);
    }
}

//! A ceiling for the memory of the sandbox as a whole where there is no cgroup: the supervisor looks, and ends everything.
//!
//! It sums what the processes hold, shared pages by their share, and what lies in tmpfs. It looks seldom while that is far from the
//! limit and often when it is near; and the more a look costs, the less often while nothing grows.
//!
//! Pressure (PSI) wakes nobody here: `/proc/pressure/memory` tells of the whole machine, which a sandbox at its limit does not strain, and an
//! ordinary user is told every two seconds at the soonest, which is later than any look.

mod apart;
mod count;
mod disk;

pub(super) use apart::{Apart, Looker, Seen};

use crate::model::Bytes;
use crate::plan::{Plan, Step, Upper};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What a plan asks to be watched.
#[derive(Debug)]
pub(super) struct Watched {
    most: u64,
    /// Where what is written lies in memory.
    tmpfs: Vec<PathBuf>,
}

impl Watched {
    pub(super) fn new(most: Bytes) -> Self {
        Self {
            most: most.0,
            tmpfs: Vec::new(),
        }
    }

    /// Our own tmpfs mounts; those of the host that are shown inside are not the sandbox's.
    pub(super) fn written_to_memory(&mut self, plan: &Plan) {
        for planned in &plan.steps {
            let place = match &planned.step {
                Step::Tmpfs(at, ..) | Step::WorkspaceOverlay(_, at, ..) => at.relative(),
                Step::RootOverlay(_, Upper::Memory(_), _) => Path::new(""),
                // Whoever answers for this root could let the supervisor wait for ever.
                Step::RootFuse { .. } => break,
                _ => continue,
            };
            self.tmpfs.push(place.to_owned());
        }
    }
}

/// The fastest that memory fills: some processors writing to fresh pages.
const FASTEST: u64 = 4 << 30;
const SHORTEST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_secs(1);

/// When to look again.
fn period(most: u64, (before, now): (u64, u64), cost: Duration) -> Duration {
    let left = most.saturating_sub(now);
    let by_distance = Duration::from_micros(left.saturating_mul(1000) / (FASTEST / 1000));
    let grows = now > before.saturating_add(most / 64);
    // Looking takes 0.1 % of one processor while nothing grows (waking up for it comes on top), and 5 % at the most.
    let by_cost = cost.saturating_mul(if grows { 20 } else { 1000 });
    by_distance.max(by_cost).clamp(SHORTEST, LONGEST)
}

/// The watch itself.
#[derive(Debug)]
pub(super) struct MemoryWatch {
    watched: Watched,
    /// The first process, and whether it is the sandbox's own and not our init.
    first: (i32, bool),
    places: Option<Vec<OwnedFd>>,
    next: Option<Instant>,
    last: u64,
    /// The most that was seen, in bytes and tasks.
    peak: (u64, u64),
}

impl MemoryWatch {
    pub(super) fn new(watched: Watched, pid: i32, init: bool) -> Self {
        Self {
            watched,
            first: (pid, !init),
            places: None,
            next: None,
            last: 0,
            peak: (0, 0),
        }
    }

    /// The command has been executed.
    pub(super) fn begin(&mut self) {
        // At once, before anything inside has had the time to move away what lies above them.
        self.places = count::command(self.first).and_then(|pid| self.open(pid));
        // What is done before this has grown past the limit of one process is not worth a look.
        self.next = Some(Instant::now() + period(self.watched.most, (0, 0), Duration::ZERO).min(LONGEST / 4));
    }

    /// The most memory and tasks that were seen, if it has looked at all.
    pub(super) fn seen(&self) -> (Option<u64>, Option<u64>) {
        let (memory, tasks) = self.peak;
        ((tasks > 0).then_some(memory), (tasks > 0).then_some(tasks))
    }

    /// How long until the next look.
    pub(super) fn wait(&self) -> Option<Duration> {
        self.next
            .map(|next| next.saturating_duration_since(Instant::now()))
    }

    /// Looks, when it is time. `true`: over the limit.
    pub(super) fn look(&mut self) -> bool {
        if self.next.is_none_or(|next| Instant::now() < next) {
            return false;
        }
        let before = cpu_time();
        let used = self.used();
        let cost = cpu_time().saturating_sub(before);
        self.next = Some(Instant::now() + period(self.watched.most, (self.last, used), cost));
        self.last = used;
        self.peak.0 = self.peak.0.max(used);
        used > self.watched.most
    }

    fn used(&mut self) -> u64 {
        let processes = count::below(self.first);
        let written = self.written();
        let rough = count::rough(&processes);
        self.peak.1 = self.peak.1.max(rough.tasks);
        let files = count::memory_files(&processes);
        // A file in memory that is mapped as well is in both: the larger of the two is at least half of what there is.
        let whole = |held: count::Held| held.private + held.shared.max(files + written);
        let most = whole(rough.held);
        if most <= self.watched.most {
            return most;
        }
        // Pages that were shared by fork were counted for each: only now is it worth its while to ask for shares.
        whole(count::exact(&processes))
    }

    /// Bytes in our tmpfs mounts.
    fn written(&self) -> u64 {
        let used = |place: &OwnedFd| {
            let found = nix::sys::statfs::fstatfs(place).ok()?;
            let size = u64::try_from(found.block_size()).ok()?;
            Some((found.blocks() - found.blocks_free()).saturating_mul(size))
        };
        self.places.iter().flatten().filter_map(used).sum()
    }

    fn open(&self, pid: i32) -> Option<Vec<OwnedFd>> {
        let root = OwnedFd::from(File::open(format!("/proc/{pid}/root")).ok()?);
        let open = |place: &PathBuf| open_below(root.try_clone().ok()?, place);
        Some(self.watched.tmpfs.iter().filter_map(open).collect())
    }
}

/// Name by name and through no link: what confines the supervisor leaves it no openat2(2), whose flags a filter cannot see.
fn open_below(mut at: OwnedFd, place: &Path) -> Option<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    for name in place.components() {
        at = openat(&at, name.as_os_str(), flags, Mode::empty()).ok()?;
    }
    Some(at)
}

fn cpu_time() -> Duration {
    use nix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_often_only_where_it_is_near() {
        const G: u64 = 1 << 30;
        let micros = Duration::from_micros;
        // Far from the limit: as long as the fastest needs to get there.
        assert_eq!(period(2 * G, (0, 0), micros(50)).as_millis(), 500);
        assert_eq!(period(G, (G / 2, G / 2), micros(50)).as_millis(), 125);
        // Near it: as often as is cheap while nothing grows, and more often when it does.
        assert_eq!(period(G, (G, G), micros(50)).as_millis(), 50);
        assert_eq!(period(G, (G / 2, G), micros(50)), SHORTEST);
        assert_eq!(period(G, (G / 2, G), micros(1000)).as_millis(), 20);
        // Never so seldom that it is no watch.
        assert_eq!(period(100 * G, (0, 0), micros(50)), LONGEST);
        assert_eq!(period(G, (G, G), micros(100_000)), LONGEST);
        assert_eq!(period(u64::MAX, (0, 0), micros(50)), LONGEST);
    }
}

//! A limit on the memory of the whole sandbox where there is no cgroup, enforced by polling: the supervisor adds up what the processes
//! hold (shared pages by their share), memory files and tmpfs, and kills everything above the limit. It polls seldom while that is far
//! from the limit and often when it is near; and the more a poll costs, the less often while nothing grows.
//!
//! Pressure (PSI) wakes nobody here: `/proc/pressure/memory` tells of the whole machine, which a sandbox at its limit does not strain, and an
//! ordinary user is told every two seconds at the soonest, which is later than any look.

mod apart;
mod count;
mod disk;
mod hidden;

pub(super) use apart::{Apart, Looker, Seen};

use self::hidden::{Baseline, Machine};
use crate::model::Bytes;
use crate::plan::{Plan, Step, Upper};
use crate::seccomp::Table;
use crate::sys::memory;
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
    /// Whether processes can make SysV shared memory segments.
    segments: bool,
}

/// The size of the SysV shared memory segments of the sandbox, which only a process in its ipc namespace can ask for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Segments {
    /// There cannot be any.
    None,
    /// Nobody of ours is in that namespace.
    Unknown,
    /// This process is there.
    Own,
    /// Init tells, in bytes, when it is asked.
    ByInit { asked: bool, told: Option<u64> },
}

impl Segments {
    fn bytes(self) -> Option<u64> {
        match self {
            Self::None => Some(0),
            Self::Unknown => None,
            Self::Own => memory::segments().ok().or(Some(0)),
            Self::ByInit { told, .. } => told,
        }
    }
}

impl Watched {
    pub(super) fn new(most: Bytes) -> Self {
        Self {
            most: most.0,
            tmpfs: Vec::new(),
            segments: true,
        }
    }

    /// Our own tmpfs mounts; those of the host that are shown inside are not the sandbox's.
    pub(super) fn written_to_memory(&mut self, plan: &Plan) {
        let filter = plan.steps.iter().find_map(|planned| match &planned.step {
            Step::Seccomp(table) => Some(table),
            _ => None,
        });
        self.segments = filter.is_none_or(Table::makes_segments);
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
    baseline: Baseline,
    search: Search,
    segments: Segments,
}

/// The last search for memory that no process shows.
#[derive(Debug, Default)]
struct Search {
    /// When it was, what it cost, and the bound on the memory in use that led to it.
    last: Option<(Instant, Duration, u64)>,
    /// Whether there was shared memory of unknown size. Only the second search in a row is believed: a descriptor may be in a socket's
    /// queue for a moment.
    found: bool,
}

impl Search {
    /// Searching takes 0.1 % of one processor while nothing grows, and 5 % at the most.
    fn due(&self, bound: u64, most: u64) -> bool {
        self.last.is_none_or(|(at, cost, before)| {
            let grows = bound > before.saturating_add(most / 64);
            self.found || at.elapsed() >= cost.saturating_mul(if grows { 20 } else { 1000 })
        })
    }
}

impl MemoryWatch {
    /// `joined`: this process is in the sandbox's ipc namespace.
    pub(super) fn new(watched: Watched, pid: i32, init: bool, joined: bool) -> Self {
        let segments = match (watched.segments, joined, init) {
            (false, ..) => Segments::None,
            (true, true, _) => Segments::Own,
            (true, false, true) => Segments::ByInit {
                asked: false,
                told: None,
            },
            (true, false, false) => Segments::Unknown,
        };
        Self {
            watched,
            segments,
            first: (pid, !init),
            places: None,
            next: None,
            last: 0,
            peak: (0, 0),
            baseline: Baseline::new(Machine::now(&mut count::buffer())),
            search: Search::default(),
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

    /// Whether init is to be asked for [`Segments`] now.
    pub(super) fn asks(&mut self) -> bool {
        match &mut self.segments {
            Segments::ByInit { asked, .. } => std::mem::take(asked),
            Segments::None | Segments::Unknown | Segments::Own => false,
        }
    }

    /// Init has told the bytes in segments: polls at once.
    pub(super) fn told(&mut self, bytes: u64) {
        if let Segments::ByInit { told, .. } = &mut self.segments {
            *told = Some(bytes);
            self.next = self.next.map(|_| Instant::now());
        }
    }

    /// Looks, when it is time. `true`: over the limit.
    pub(super) fn look(&mut self) -> bool {
        if self.next.is_none_or(|next| Instant::now() < next) {
            return false;
        }
        let before = cpu_time();
        let (used, searching) = self.used();
        let cost = cpu_time().saturating_sub(before + searching);
        self.next = Some(Instant::now() + period(self.watched.most, (self.last, used), cost));
        self.last = used;
        self.peak.0 = self.peak.0.max(used);
        used > self.watched.most
    }

    /// Bytes in use, and the processor time for what is not done in every poll.
    fn used(&mut self) -> (u64, Duration) {
        let most = self.watched.most;
        let mut processes = count::below(self.first);
        let written = self.written();
        let rough = count::rough(&mut processes);
        self.peak.1 = self.peak.1.max(rough.tasks);
        let files = count::memory_files(&processes);
        let now = Machine::now(&mut count::buffer());
        self.baseline.follow(now);
        // A file in memory that is mapped as well is in both: the larger of the two is at least half of what there is.
        let segments = self.segments.bytes();
        let unmapped = files.bytes + written + segments.unwrap_or_default();
        let shown = |held: count::Held| (held.private, held.shared.max(unmapped));
        let (mut private, mut shared) = shown(rough.held);
        if private + shared > most {
            // Pages that were shared by fork were counted for each: only now is it worth its while to ask for shares.
            (private, shared) = shown(count::exact(&processes));
        }
        let bound = private + self.baseline.shared(now).max(shared);
        if private + shared > most || bound <= most || !self.search.due(bound, most) {
            return (private + shared, Duration::ZERO);
        }
        let before = cpu_time();
        let found = matches!(self.segments, Segments::Unknown)
            || hidden::shared(&processes, &files, segments.is_some());
        let again = std::mem::replace(&mut self.search.found, found);
        if let Segments::ByInit { asked, .. } = &mut self.segments {
            *asked = true;
        }
        let cost = cpu_time().saturating_sub(before);
        self.search.last = Some((Instant::now(), cost, bound));
        let used = if again && self.search.found {
            bound
        } else {
            private + shared
        };
        (used, cost)
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

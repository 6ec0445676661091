//! A process of its own that looks, where the supervisor may not: what is inside belongs to ids that are not the caller's.
//!
//! It joins the sandbox's user namespace, where it may enter every directory of the sandbox's own ids and see which files its processes
//! have open, and nothing else that the caller could not. What it has seen it tells the supervisor.

use super::disk::{Look, WatchedDisk};
use super::{MemoryWatch, Watched};
use crate::model::{Bytes, HostPath};
use crate::plan::{MapWriter, Plan, Planned, Step};
use crate::sandbox::outcome::Ended;
use crate::sandbox::prepare::PrepareError;
use crate::sandbox::{confine, init};
use crate::sys::process::{self, Side};
use crate::sys::socket::{self, Watch};
use crate::sys::{Errno, cred, memory};
use std::convert::Infallible;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

/// What it is to look at.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Apart {
    /// The step that asks for it.
    pub(in crate::sandbox) step: usize,
    pub(in crate::sandbox) disk: Option<WatchedDisk>,
    pub(in crate::sandbox) memory: Option<Watched>,
}

impl Apart {
    pub(in crate::sandbox) fn of_disk(
        step: u32,
        most: Bytes,
        at: &HostPath,
        nameless: bool,
    ) -> Result<Self, PrepareError> {
        let watched = WatchedDisk::new(most, at, nameless)
            .map_err(|errno| PrepareError::Watched(at.clone(), errno.to_string()))?;
        Ok(Self {
            step: usize::try_from(step).unwrap_or_default(),
            disk: Some(watched),
            memory: None,
        })
    }

    /// Of processes under sub-ids the caller may not see which files they have open, memfds among them. The step for which the user
    /// namespace is needed, where it was not before.
    pub(in crate::sandbox) fn take_over(
        apart: &mut Option<Self>,
        watched: &mut Option<Watched>,
        plan: &Plan,
    ) -> Option<u32> {
        let others = |p: &Planned| match &p.step {
            Step::MapIds { by, .. } => matches!(
                by,
                MapWriter::Helpers {
                    newuidmap: Some(_),
                    ..
                }
            ),
            _ => false,
        };
        let of_memory = |p: &Planned| matches!(p.step, Step::WatchMemory(_));
        let step = plan.steps.iter().position(of_memory)?;
        if !plan.steps.iter().any(others) {
            return None;
        }
        let first = apart.is_none();
        let made = apart.get_or_insert_with(|| Self {
            step,
            ..Self::default()
        });
        made.memory = watched.take();
        first.then(|| u32::try_from(step).unwrap_or(u32::MAX))
    }
}

/// The process.
#[derive(Debug)]
pub(in crate::sandbox) struct Looker {
    pid: i32,
    _pidfd: OwnedFd,
    channel: OwnedFd,
    seen: Seen,
}

/// The most that was seen.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::sandbox) struct Seen {
    pub(in crate::sandbox) disk: Option<u64>,
    /// Bytes and tasks.
    pub(in crate::sandbox) memory: Option<(u64, u64)>,
}

/// What it says: a kind, whether that is too much, and the most of it in two numbers.
type Words = [u64; 4];
const READY: u64 = 0;
const DISK: u64 = 1;
const MEMORY: u64 = 2;

impl Looker {
    /// Starts it, and waits until it is where it can look. `namespaces`: the sandbox's user and ipc namespaces; `first`: its first process, and
    /// whether that is the sandbox's own and not our init.
    pub(in crate::sandbox) fn start(
        apart: Apart,
        namespaces: (&OwnedFd, Option<&OwnedFd>),
        first: (i32, bool),
    ) -> Result<Self, Errno> {
        let (ours, theirs) = socket::pair()?;
        match process::fork()? {
            Side::Child => {
                let _ = serve(apart, namespaces, &theirs, first);
                process::exit_now(1)
            }
            Side::Parent(pidfd, pid) => {
                drop(theirs);
                let made = Self {
                    pid,
                    _pidfd: pidfd,
                    channel: ours,
                    seen: Seen::default(),
                };
                match receive(&made.channel, true) {
                    Ok(Some(_)) => Ok(made),
                    other => {
                        made.end();
                        Err(other.err().unwrap_or(Errno::EPROTO))
                    }
                }
            }
        }
    }

    /// The command has been executed.
    pub(in crate::sandbox) fn begin(&self) {
        // One that has died is heard of.
        let _ = socket::send(self.channel.as_fd(), &[0], None);
    }

    /// What is ready when it has said something.
    pub(in crate::sandbox) fn fd(&self) -> i32 {
        self.channel.as_raw_fd()
    }

    /// Takes what it has said: which limit was passed, if one was.
    pub(in crate::sandbox) fn hear(&mut self) -> Result<Option<Ended>, Errno> {
        let mut ended = None;
        while let Some([kind, over, a, b]) = receive(&self.channel, false)? {
            let over = over != 0;
            match kind {
                DISK => {
                    self.seen.disk = Some(a);
                    ended = ended.or(over.then_some(Ended::DiskFull));
                }
                MEMORY => {
                    self.seen.memory = Some((a, b));
                    ended = ended.or(over.then_some(Ended::OutOfMemory));
                }
                _ => {}
            }
        }
        Ok(ended)
    }

    /// Ends it.
    pub(in crate::sandbox) fn end(self) -> Seen {
        let _ = process::kill(self.pid, libc::SIGKILL);
        let _ = process::wait(self.pid, true, false);
        self.seen
    }
}

fn receive(channel: &OwnedFd, wait: bool) -> Result<Option<Words>, Errno> {
    let mut bytes = [0; size_of::<Words>()];
    match socket::receive(channel.as_fd(), &mut bytes, wait) {
        Ok((got, _)) if got == bytes.len() => {
            let (words, _) = bytes.as_chunks::<8>();
            let mut all = Words::default();
            for (to, from) in all.iter_mut().zip(words) {
                *to = u64::from_ne_bytes(*from);
            }
            Ok(Some(all))
        }
        // It has died, and nobody looks any more.
        Ok(_) | Err(Errno::ECONNRESET) => Err(Errno::EPIPE),
        Err(Errno::EAGAIN) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn tell(to: &OwnedFd, words: Words) -> Result<(), Errno> {
    let bytes = words.map(u64::to_ne_bytes);
    socket::send(to.as_fd(), bytes.as_flattened(), None)
}

/// CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE: to enter directories, and to see which files a process has open.
const KEPT: u64 = 1 << 2 | 1 << 19;

fn serve(
    apart: Apart,
    (namespace, ipc): (&OwnedFd, Option<&OwnedFd>),
    to: &OwnedFd,
    first: (i32, bool),
) -> Result<Infallible, Errno> {
    init::let_go_of_streams()?;
    let directory = apart.disk.as_ref().map_or(to.as_raw_fd(), WatchedDisk::fd);
    let ipc_fd = ipc.map_or(to.as_raw_fd(), AsRawFd::as_raw_fd);
    init::close_all_but([directory, namespace.as_raw_fd(), to.as_raw_fd(), ipc_fd])?;
    process::enter_user_namespace(namespace.as_fd())?;
    let (pid, own) = first;
    let segments = apart.memory.as_ref().is_some_and(|watched| watched.segments);
    let joined = segments && ipc.is_some();
    if let Some(ipc) = ipc.filter(|_| joined) {
        process::enter_ipc_namespace(ipc.as_fd())?;
    }
    cred::set_capabilities(KEPT, 0)?;
    // Behind the change of rights, which the kernel takes as the end of that wish.
    cred::die_with_parent()?;
    confine::watch(true);
    tell(to, [READY, 0, 0, 0])?;
    let mut disk = apart.disk.map(|watched| Look::new(watched, first));
    let mut held = apart
        .memory
        .map(|watched| MemoryWatch::new(watched, pid, !own, joined));
    let mut told = (0, 0);
    loop {
        let next = disk.as_ref().and_then(Look::wait);
        let next = next
            .into_iter()
            .chain(held.as_ref().and_then(MemoryWatch::wait))
            .min();
        if listen(to, next)? {
            held.iter_mut().for_each(MemoryWatch::begin);
        }
        if let Some((over, used)) = disk.as_mut().map(Look::look).transpose()?.flatten() {
            tell(to, [DISK, u64::from(over), used, 0])?;
        }
        if let Some(watch) = &mut held {
            let over = watch.look();
            let (bytes, tasks) = watch.peak;
            // The supervisor is woken for what is new alone.
            if over || bytes > told.0 || tasks > told.1 {
                told = (bytes.saturating_add(bytes / 64), tasks);
                tell(to, [MEMORY, u64::from(over), bytes, tasks])?;
            }
        }
        memory::release_unused();
    }
}

/// Waits. `true`: the command has been executed, which is all that it is ever told; else it hears the supervisor's end.
fn listen(from: &OwnedFd, wait: Option<Duration>) -> Result<bool, Errno> {
    let mut watch = [Watch::read(from.as_raw_fd())];
    socket::poll(&mut watch, socket::millis(wait))?;
    if !watch.iter().any(Watch::ready) {
        return Ok(false);
    }
    match socket::receive(from.as_fd(), &mut [0], false) {
        Ok((1, _)) => Ok(true),
        Ok(_) => Err(Errno::EPIPE),
        Err(Errno::EAGAIN) => Ok(false),
        Err(errno) => Err(errno),
    }
}

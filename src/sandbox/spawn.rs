//! clone3, and the two sides right after it.

use super::cgroup::Cgroup;
use super::child::Child;
use super::helper;
use super::init;
use super::message::Message;
use super::operation::{Operation, Streams};
use super::outcome::{Deadly, Whole};
use super::output::{Inlet, Outlets};
use super::prepare::Prepared;
use super::terminal;
use super::watch::{Apart, Watched};
use crate::model::Bytes;
use crate::sys::memory::{Shared, Stack};
use crate::sys::process::{self, Side};
use crate::sys::signal::{self, SignalSet};
use crate::sys::{Errno, fs, socket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Signals that reach the supervisor and are meant for the command, or tell about it.
pub(super) const HANDLED: [i32; 11] = [
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGHUP,
    libc::SIGQUIT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGWINCH,
    libc::SIGTSTP,
    libc::SIGCONT,
    libc::SIGCHLD,
    libc::SIGPIPE,
];

/// What clone(2) says of a cgroup that it may not use: another's, one that gives controllers on, a threaded one, one that is gone.
const UNUSABLE: [Errno; 4] = [Errno::EACCES, Errno::EBUSY, Errno::EOPNOTSUPP, Errno::ENODEV];

/// Room for the stack of the process that becomes the command: what it still does between init and execve needs little.
const STACK: usize = 64 << 10;

/// A sandbox that has been cloned.
#[derive(Debug)]
pub struct Running {
    pub(super) pidfd: OwnedFd,
    pub(super) pid: i32,
    pub(super) control: OwnedFd,
    pub(super) signals: OwnedFd,
    pub(super) since: Instant,
    pub(super) init: bool,
    /// What the command gets in place of SIGTERM.
    pub(super) stop_signal: i32,
    /// Which streams were given to the pseudo-terminal.
    pub(super) streams: Streams,
    /// Which of ours are terminals.
    pub(super) own: Streams,
    /// Whether the command was started in the foreground of its terminal.
    pub(super) attended: bool,
    /// Its cgroup.
    pub(super) group: Option<Cgroup>,
    /// The working directory below an overlay.
    pub(super) workspace: Option<OwnedFd>,
    /// What is watched.
    pub(super) watched: Option<Watched>,
    /// What a process of its own watches.
    pub(super) apart: Option<Apart>,
    pub(super) deadly: Deadly,
    /// When everything is killed.
    pub(super) time: Option<Duration>,
    /// How much may be written to standard output and error.
    pub(super) output: Option<Bytes>,
    /// Where that is counted.
    pub(super) outlets: Outlets,
}

/// Why there is no sandbox.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The clone itself, or something before it.
    #[error("clone3: {0}")]
    Clone(Errno),
    /// The plan could not be prepared.
    #[error("{0}")]
    Prepare(String),
    /// The id maps could not be written.
    #[error("{0}")]
    Maps(String),
    /// A step failed.
    #[error("step {step}: {errno}")]
    Step {
        /// Index into the plan.
        step: usize,
        /// Why.
        errno: Errno,
    },
}

impl StartError {
    /// What the child says.
    pub(super) fn of_child(step: u32, errno: i32) -> Self {
        Self::Step {
            step: usize::try_from(step).unwrap_or(usize::MAX),
            errno: Errno::from_raw(errno),
        }
    }
}

impl Prepared {
    /// Clones, and has the id maps written where that is the supervisor's part. `streams`: which streams are given to a pseudo-terminal;
    /// `own`: which of ours are terminals.
    ///
    /// # Errors
    /// When the kernel refuses the namespaces or a helper the maps. What the child fails at is told by [`Running::supervise`].
    pub fn spawn(mut self, streams: Streams, own: Streams) -> Result<Running, StartError> {
        let all = SignalSet::of(&HANDLED);
        signal::set_mask(&all).map_err(StartError::Clone)?;
        let signals = signal::signal_fd(&all).map_err(StartError::Clone)?;
        let (control, theirs) = socket::pair().map_err(StartError::Clone)?;
        let mut slots: Vec<Option<OwnedFd>> = (0..self.slots).map(|_| None).collect();
        let workspace = self.workspace.take();
        let (init, stop_signal, maps) = (self.init, self.stop_signal, self.maps.take());
        let attended = terminal::attended(streams, own, init);
        let since = Instant::now();
        let (watched, apart, deadly) = (self.watched.take(), self.apart.take(), self.deadly);
        let (time, output) = (self.time, self.output);
        let (outlets, inlets) = self.pipes(streams)?;
        let group = match self.group.take() {
            Some((step, group)) => Some((
                step,
                group.make().map_err(|errno| StartError::Step { step, errno })?,
            )),
            None => None,
        };
        let into = group.as_ref().map(|(_, group)| group.fd());
        let side = match (process::clone_into(self.namespaces, into), group) {
            (Ok(side), group) => (side, group.map(|(_, group)| group)),
            (Err(errno), Some((step, group))) if UNUSABLE.contains(&errno) => {
                group.remove();
                return Err(StartError::Step { step, errno });
            }
            (Err(errno), group) => {
                if let Some((_, group)) = group {
                    group.remove();
                }
                return Err(StartError::Clone(errno));
            }
        };
        match side.0 {
            Side::Child => {
                // Its lock is the supervisor's: what is held here ends with exec.
                std::mem::forget((side.1, apart));
                // The supervisor's end must not keep the channel open, or its death would go unseen.
                drop((control, workspace));
                drop(outlets);
                child_main(self, theirs.as_fd(), &mut slots, (streams, attended, &inlets))
            }
            Side::Parent(pidfd, pid) => {
                drop((theirs, inlets));
                drop(self.ruleset.take());
                // The child is at work meanwhile.
                side.1.iter().for_each(Cgroup::sweep);
                // Every page that is written now is copied first, since the child has it too: what the child reads stays as it is
                // until the end.
                std::mem::forget((self.operations, slots));
                let running = Running {
                    pidfd,
                    pid,
                    control,
                    signals,
                    since,
                    init,
                    stop_signal,
                    streams,
                    own,
                    attended,
                    group: side.1,
                    workspace,
                    watched,
                    apart,
                    deadly,
                    time,
                    output: output.map(|(_, most)| most),
                    outlets,
                };
                if let Some((by, uids, gids)) = maps {
                    if let Err(why) = helper::write_maps(&by, &uids, &gids, pid) {
                        running.destroy();
                        let failed = running.failed();
                        running.finish();
                        return Err(failed.unwrap_or(StartError::Maps(why)));
                    }
                    // A child that has failed meanwhile says so itself.
                    let _ = Message::MapsWritten.send(running.control.as_fd(), None);
                }
                Ok(running)
            }
        }
    }
}

impl Prepared {
    /// Pipes in place of streams: outputs that are counted, and files that are relayed.
    fn pipes(&self, streams: Streams) -> Result<(Outlets, Vec<Inlet>), StartError> {
        let (Some(step), [input, output, error]) = (
            self.output
                .map(|(step, _)| step)
                .or(self.relayed.map(|(step, _)| step)),
            self.relayed.map_or([false; 3], |(_, files)| files),
        ) else {
            return Ok((Outlets::default(), Vec::new()));
        };
        let counted = self.output.is_some();
        let outputs = streams.terminal.map(|terminal| !terminal);
        let piped = [
            input && outputs[0],
            (output || counted) && outputs[1],
            (error || counted) && outputs[2],
        ];
        Outlets::make(piped, streams, self.file_size).map_err(|errno| StartError::Step { step, errno })
    }
}

impl Running {
    /// What was counted; the cgroup is removed.
    pub(super) fn finish(self) -> Whole {
        let Some(group) = self.group else {
            return Whole::default();
        };
        let counted = group.counted();
        group.remove();
        counted
    }

    /// What a child that is gone has failed at: nobody can write the maps of that.
    fn failed(&self) -> Option<StartError> {
        while let Ok(Some((message, _))) = Message::receive(self.control.as_fd(), false) {
            if let Message::Failed { step, errno } = message {
                return Some(StartError::of_child(step, errno));
            }
        }
        None
    }

    /// Kills everything inside and waits until it is gone.
    pub(super) fn destroy(&self) {
        let _ = process::signal_pidfd(self.pidfd.as_fd(), libc::SIGKILL);
        let _ = process::wait(self.pid, true, false);
    }
}

/// What the process that becomes the command needs. It has init's memory until it execs, or a copy where the kernel is old.
struct Below<'a, 'b> {
    child: &'a mut Child<'b>,
    operations: &'a [(u32, Operation)],
    /// The step and the error, which reach init even from a copy. A message could not: it would have to pass the filter.
    failed: Shared,
}

fn child_main(
    mut prepared: Prepared,
    control: BorrowedFd<'_>,
    slots: &mut [Option<OwnedFd>],
    (streams, attended, inlets): (Streams, bool, &[Inlet]),
) -> ! {
    // First: the caller's would take rights from every directory that is made for the new root.
    fs::set_umask(0o022);
    let mut child = Child {
        control,
        slots,
        ruleset: prepared.ruleset.take(),
        abi: prepared.abi,
        root: None,
        slave: None,
        streams: streams.terminal,
        inlets,
        below_init: prepared.init,
        arguments: prepared.arguments,
        attended,
    };
    for (at, (step, operation)) in (1..).zip(&prepared.operations) {
        let done = match operation {
            Operation::Init => {
                let rest = prepared.operations.get(at..).unwrap_or_default();
                start_below(&mut child, rest, *step)
            }
            other => child.run(other),
        };
        if let Err(errno) = done {
            fail(control, *step, errno);
        }
    }
    process::exit_now(125)
}

fn fail(control: BorrowedFd<'_>, step: u32, errno: Errno) -> ! {
    let _ = Message::Failed {
        step,
        errno: errno as i32,
    }
    .send(control, None);
    process::exit_now(125)
}

/// Makes the command's process and becomes init. Comes back only when that process could not be made.
fn start_below(child: &mut Child<'_>, rest: &[(u32, Operation)], step: u32) -> Result<(), Errno> {
    init::harden(child.arguments)?;
    if child.slave.is_some() {
        child.lead_session()?;
    }
    let mut below = Below {
        child,
        operations: rest,
        failed: Shared::new()?,
    };
    let mut stack = Stack::new(STACK)?;
    let pid = process::vfork_run(&mut stack, run_below, &mut below)?;
    // There is no error 0: then it runs.
    let [step_below, errno] = below.failed.get();
    if errno != 0 {
        fail(child.control, step_below, Errno::from_raw(errno.cast_signed()));
    }
    match init::serve(child.control, child.slave.take(), pid) {
        Ok(never) => match never {},
        Err(errno) => fail(child.control, step, errno),
    }
}

fn run_below(below: &mut Below<'_, '_>) -> libc::c_int {
    for (step, operation) in below.operations {
        if let Err(errno) = below.child.run(operation) {
            below.failed.put([*step, (errno as i32).cast_unsigned()]);
            break;
        }
    }
    125
}

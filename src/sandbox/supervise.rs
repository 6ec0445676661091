//! Waits, hears, relays, counts the time.

mod drain;
mod jobs;

use super::IDLE;
use super::cgroup::Cgroup;
use super::confine;
use super::message::Message;
use super::outcome::{Counter, Ended, Outcome};
use super::output::{Allowance, Outlets};
use super::spawn::{Running, StartError};
use super::terminal::{self, Relay};
use super::watch::{Apart, Looker, MemoryWatch, Seen};
use crate::sys::process::{self, Status, Usage};
use crate::sys::signal::{self, Arrived};
use crate::sys::socket::{self, Watch};
use crate::sys::{Errno, cred, memory};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// A run that has ended.
#[derive(Debug)]
pub struct Supervised {
    /// How.
    pub outcome: Outcome,
    /// The directory that holds what was written to an overlaid workspace.
    pub upper: Option<OwnedFd>,
    /// The working directory itself, as it was opened for the overlay.
    pub workspace: Option<OwnedFd>,
    /// When writing about the end is given up: a reader that has stopped must not hold up a run that was to end.
    pub until: Option<Instant>,
}

/// What went wrong while waiting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SuperviseError {
    /// The sandbox never came to be.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A system call that cannot fail has failed.
    #[error("while waiting for the sandbox: {0}")]
    Wait(Errno),
    /// Nobody sees any more how much there is.
    #[error("the process that watched the limits has ended ({0}): everything inside was killed")]
    Looker(Errno),
}

impl From<Errno> for SuperviseError {
    fn from(errno: Errno) -> Self {
        Self::Wait(errno)
    }
}

/// Starts the program that shows the root through a device; gives the process that ends it when it is killed.
pub type Serve<'a> = &'a mut dyn FnMut(OwnedFd) -> Option<i32>;

/// What is known so far.
struct State<'a> {
    serve: Option<Serve<'a>>,
    /// The process that shows the root. A child of ours that is not waited for here, so that its number stays its own.
    server: Option<i32>,
    relay: Option<Relay>,
    upper: Option<OwnedFd>,
    started: bool,
    /// Whether the code that is not needed for waiting has been let go.
    slim: bool,
    /// Signals that came before there was a command.
    early: Vec<Arrived>,
    /// The command has stopped because it asks for keys in the background: by which signal, and when this run stops with it.
    asking: Option<(i32, Instant)>,
    channel: bool,
    /// The sandbox's ipc namespace, until the process that watches apart has it.
    ipc: Option<OwnedFd>,
    /// A signal has asked sbx to end.
    told_to_end: bool,
    ended: Option<Ended>,
    deadline: Option<Instant>,
    failed: Option<StartError>,
    watch: Option<MemoryWatch>,
    apart: Option<Apart>,
    looker: Option<Looker>,
    outlets: Outlets,
    allowance: Allowance,
}

impl Running {
    /// Waits for the end. `give_up_rights`: nothing is to be opened afterwards. `serve`: for a root that a program shows.
    ///
    /// # Errors
    /// When a step of the child failed.
    pub fn supervise(
        mut self,
        give_up_rights: bool,
        serve: Option<Serve<'_>>,
    ) -> Result<Supervised, SuperviseError> {
        let mut state = State {
            serve,
            server: None,
            relay: None,
            upper: None,
            started: false,
            slim: false,
            early: Vec::new(),
            asking: None,
            channel: true,
            ipc: None,
            told_to_end: false,
            ended: None,
            deadline: self.time.map(|t| self.since + t),
            failed: None,
            watch: self
                .watched
                .take()
                .map(|w| MemoryWatch::new(w, self.pid, self.init, false)),
            apart: self.apart.take(),
            looker: None,
            outlets: std::mem::take(&mut self.outlets),
            allowance: Allowance::new(self.output),
        };
        let result = self.wait_for_end(&mut state, give_up_rights);
        let seen = state.looker.take().map_or_else(Seen::default, Looker::end);
        if result.is_err() {
            state.end_server();
            self.destroy();
        }
        state.outlets.end_of_input();
        let until = state.drain(self.signals.as_fd());
        let (init, since, deadly) = (self.init, self.since, self.deadly);
        let workspace = self.workspace.take();
        let mut whole = self.finish();
        let usage = result?;
        if let Some(failed) = state.failed {
            return Err(failed.into());
        }
        let (status, usage) = usage;
        let ended = state.ended.unwrap_or(match status {
            Status::Exited(code) if !init => Ended::Exited(code),
            Status::Signaled(signal) if !init => Ended::Signaled(signal),
            Status::Signaled(signal) => Ended::Killed(signal),
            _ => Ended::Killed(libc::SIGKILL),
        });
        if let Some(watch) = &state.watch {
            whole.by = Counter::Watch;
            (whole.memory_peak, whole.pids_peak) = watch.seen();
        }
        if let Some((memory, tasks)) = seen.memory {
            whole.by = Counter::Watch;
            (whole.memory_peak, whole.pids_peak) = (Some(memory), Some(tasks));
        }
        let (user, system) = (
            Duration::from_micros(usage.user_micros),
            Duration::from_micros(usage.system_micros),
        );
        let outcome = Outcome {
            ended: deadly.judge(ended, user + system, &whole),
            wall: since.elapsed(),
            user,
            system,
            memory_peak: usage.peak_bytes,
            disk_peak: seen.disk,
            output: state.allowance.passed(),
            output_lost: state.outlets.failed(),
            input_lost: state.outlets.unread(),
            whole,
        };
        Ok(Supervised {
            outcome,
            upper: state.upper,
            workspace,
            until,
        })
    }

    fn wait_for_end(
        &self,
        state: &mut State<'_>,
        give_up_rights: bool,
    ) -> Result<(Status, Usage), SuperviseError> {
        let mut idle = false;
        loop {
            let mut watches = [Watch::NONE; 13];
            watches[0] = Watch::read(self.control.as_raw_fd()).when(state.channel);
            watches[1] = Watch::read(self.signals.as_raw_fd());
            watches[2] = Watch::read(self.pidfd.as_raw_fd());
            watches[3] = Watch::read(state.looker.as_ref().map_or(-1, Looker::fd));
            state.watch_streams(&mut watches[4..]);
            let patience = state.patience();
            if std::mem::take(&mut idle) {
                // Last: every function that is called behind it is mapped again.
                memory::release_unused();
            }
            socket::poll(&mut watches, patience)?;
            if watches[0].ready() {
                self.hear(state, give_up_rights)?;
            }
            if watches[1].ready() {
                while let Some(arrived) = signal::next_signal(self.signals.as_fd())? {
                    self.forward(state, arrived);
                }
            }
            state.step_streams(&watches[4..]);
            if state.allowance.exceeded() {
                self.put_an_end(state, Ended::Output);
            }
            if state.outlets.full() {
                self.put_an_end(state, Ended::FileSize);
            }
            self.hold_on(state);
            if watches[2].ready() {
                // What was said before the end is heard before the end is believed.
                while state.channel {
                    self.hear(state, false)?;
                }
                if let Some((_, status, usage)) = process::wait(self.pid, true, false)? {
                    return Ok((status, usage));
                }
            }
            if watches[3].ready() {
                self.hear_of_limits(state)?;
            }
            if state.ended.is_none() && state.watch.as_mut().is_some_and(MemoryWatch::look) {
                self.put_an_end(state, Ended::OutOfMemory);
            }
            if state.watch.as_mut().is_some_and(MemoryWatch::asks) {
                // An init that has ended has nothing to tell.
                let _ = Message::CountSegments.send(self.control.as_fd(), None);
            }
            // A look at the memory needs code, which is given back behind it as well.
            if state.started && !watches.iter().any(Watch::ready) && (!state.slim || state.watch.is_some()) {
                (state.slim, idle) = (true, true);
            }
            if state.deadline.is_some_and(|d| d <= Instant::now()) && state.ended.is_none() {
                state.deadline = None;
                self.put_an_end(state, Ended::Timeout);
            }
        }
    }

    /// Kills everything inside, for a reason of ours; the first one stays.
    fn put_an_end(&self, state: &mut State<'_>, why: Ended) {
        if state.ended.is_none() {
            state.ended = Some(why);
            let _ = process::signal_pidfd(self.pidfd.as_fd(), libc::SIGKILL);
            state.end_server();
        }
    }

    fn hear(&self, state: &mut State<'_>, give_up_rights: bool) -> Result<(), Errno> {
        let (message, fd) = match Message::receive(self.control.as_fd(), false) {
            Ok(Some(heard)) => heard,
            Ok(None) => {
                state.channel = false;
                // Without init the channel closes when the command is executed.
                if !self.init && state.failed.is_none() {
                    self.started(state, give_up_rights);
                }
                return Ok(());
            }
            Err(Errno::EAGAIN) => return Ok(()),
            Err(errno) => return Err(errno),
        };
        match message {
            Message::Failed { step, errno } => {
                state.failed = Some(StartError::of_child(step, errno));
            }
            Message::Master => {
                state.relay = fd.map(|master| Relay::new(master, self.streams, self.own, self.attended));
            }
            Message::Upper => state.upper = fd,
            Message::IpcNamespace => state.ipc = fd,
            Message::Namespace => self.watch_apart(state, fd),
            Message::Fuse => {
                if let (Some(device), Some(serve)) = (fd, state.serve.as_mut()) {
                    state.server = serve(device);
                }
            }
            Message::Started => self.started(state, give_up_rights),
            Message::Stopped(signal) => self.stopped(state, signal),
            Message::Exited(code) => state.end(Ended::Exited(code)),
            Message::Signaled(signal) => state.end(Ended::Signaled(signal)),
            Message::Segments(pages) => {
                if let Some(watch) = &mut state.watch {
                    watch.told(u64::from(pages) * 4096);
                }
            }
            Message::MapsWritten | Message::Signal(..) | Message::GoOn(_) | Message::CountSegments => {}
        }
        Ok(())
    }

    /// Before the command is executed: what cannot be watched does not begin.
    fn watch_apart(&self, state: &mut State<'_>, namespace: Option<OwnedFd>) {
        let (Some(apart), Some(namespace)) = (state.apart.take(), namespace) else {
            return;
        };
        let step = apart.step;
        let ipc = state.ipc.take();
        match Looker::start(apart, (&namespace, ipc.as_ref()), (self.pid, !self.init)) {
            Ok(looker) => state.looker = Some(looker),
            Err(errno) => {
                state.failed = Some(StartError::Step { step, errno });
                let _ = process::signal_pidfd(self.pidfd.as_fd(), libc::SIGKILL);
            }
        }
    }

    fn hear_of_limits(&self, state: &mut State<'_>) -> Result<(), SuperviseError> {
        let heard = state.looker.as_mut().map(Looker::hear).transpose();
        if let Some(ended) = heard.map_err(SuperviseError::Looker)?.flatten() {
            self.put_an_end(state, ended);
        }
        Ok(())
    }

    /// The command has been executed.
    fn started(&self, state: &mut State<'_>, give_up_rights: bool) {
        state.started = true;
        terminal::let_go();
        if let Some(watch) = &mut state.watch {
            watch.begin();
        }
        state.looker.iter().for_each(Looker::begin);
        if give_up_rights && state.watch.is_some() {
            confine::watch(self.group.is_none());
        } else if give_up_rights {
            confine::supervisor(self.group.as_ref().map(Cgroup::places));
        } else {
            let _ = cred::undumpable();
        }
        for arrived in std::mem::take(&mut state.early) {
            self.forward(state, arrived);
        }
    }
}

impl State<'_> {
    /// A process that waits for a file of the root cannot be killed while whoever shows it does not answer.
    fn end_server(&mut self) {
        if let Some(server) = self.server.take() {
            let _ = process::kill(server, libc::SIGKILL);
        }
    }

    /// A timeout that has already struck stays the reason.
    fn end(&mut self, ended: Ended) {
        self.ended.get_or_insert(ended);
    }

    /// Milliseconds until the time is up, for poll.
    fn patience(&self) -> i32 {
        if self.asking.is_some() {
            return 10;
        }
        let idle = (!self.slim).then_some(IDLE);
        // Once it is known why it ends, all that is waited for is the end.
        let time = self.deadline.filter(|_| self.ended.is_none());
        let time = time.map(|d| d.saturating_duration_since(Instant::now()));
        let look = self.watch.as_ref().filter(|_| self.ended.is_none());
        let look = look.and_then(MemoryWatch::wait);
        socket::millis([idle, time, look].into_iter().flatten().min())
    }
}

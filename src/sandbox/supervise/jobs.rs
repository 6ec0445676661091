//! Signals on their way to the command, and job control: what stops and goes on, and who has the terminal.

use super::State;
use crate::sandbox::message::Message;
use crate::sandbox::spawn::{HANDLED, Running};
use crate::sandbox::terminal::Relay;
use crate::sys::process;
use crate::sys::signal::{self, Arrived, SignalSet};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long a command that asks for keys in the background waits before it stops as a job.
const PATIENCE: Duration = Duration::from_millis(100);

impl Running {
    /// Signals go to the command; those that a terminal sends to a whole group go to its whole group.
    pub(super) fn forward(&self, state: &mut State<'_>, arrived: Arrived) {
        // A key of the terminal is for the command; a pager behind this run goes on.
        state.told_to_end |= arrived.ends() && !arrived.from_kernel;
        match arrived.signal {
            libc::SIGCHLD | libc::SIGPIPE => {}
            libc::SIGWINCH if state.relay.is_some() => {
                if let Some(relay) = &state.relay {
                    relay.resize();
                }
            }
            // With init it becomes attended when it asks for keys; without, nobody can see it ask.
            libc::SIGCONT => {
                if let Some(relay) = state.relay.as_mut().filter(|r| !self.init && r.in_front()) {
                    relay.attend();
                }
            }
            libc::SIGTSTP => {
                if !self.freeze(true) && state.started {
                    self.tell(libc::SIGSTOP, true);
                }
                if let Some(relay) = &mut state.relay {
                    relay.flush(&mut state.allowance);
                }
                self.suspend(state, libc::SIGTSTP, arrived.from_kernel);
            }
            _ if !state.started => {
                if !state.early.contains(&arrived) {
                    state.early.push(arrived);
                }
            }
            // Who asks sbx to end asks the command to end, in the way that its image says.
            libc::SIGTERM => self.tell(self.stop_signal, arrived.from_kernel),
            signal => self.tell(signal, arrived.from_kernel),
        }
    }

    fn tell(&self, signal: i32, group: bool) {
        if self.init {
            let _ = Message::Signal(signal, group).send(self.control.as_fd(), None);
        } else {
            let _ = process::signal_pidfd(self.pidfd.as_fd(), signal);
        }
    }

    fn go_on(&self, front: bool) {
        if self.init {
            let _ = Message::GoOn(front).send(self.control.as_fd(), None);
        } else {
            let _ = process::signal_pidfd(self.pidfd.as_fd(), libc::SIGCONT);
        }
    }

    /// The command has stopped: because it asks for keys, which it gets if this run may take them, or else as a job stops.
    pub(super) fn stopped(&self, state: &mut State<'_>, signal: i32) {
        let asks = matches!(signal, libc::SIGTTIN | libc::SIGTTOU);
        // First, since the shell may put us in front as soon as the user has read it.
        if let Some(relay) = &mut state.relay {
            relay.flush(&mut state.allowance);
        }
        if asks && state.relay.is_some() {
            state.asking = Some((signal, Instant::now() + PATIENCE));
            self.hold_on(state);
        } else {
            self.suspend(state, signal, true);
        }
    }

    /// A command that asks for keys gets them when this run is in front. Until it is, or stops too, there is a moment: a shell whose
    /// user answers at once does not know yet that its job has stopped, and puts it in front without continuing it.
    pub(super) fn hold_on(&self, state: &mut State) {
        let Some((signal, until)) = state.asking else {
            return;
        };
        match state.relay.as_mut().filter(|r| r.in_front()) {
            Some(relay) => {
                relay.attend();
                state.asking = None;
                self.go_on(true);
            }
            None if until <= Instant::now() => {
                state.asking = None;
                self.suspend(state, signal, true);
            }
            None => {}
        }
    }

    /// Stops as the command did, so that the user's shell sees a stopped job; goes on with it.
    fn suspend(&self, state: &mut State<'_>, signal: i32, group: bool) {
        let asks = matches!(signal, libc::SIGTTIN | libc::SIGTTOU);
        let signal = if asks { signal } else { libc::SIGTSTP };
        let attended = state.relay.as_ref().is_some_and(Relay::attended);
        if let Some(relay) = &mut state.relay {
            relay.restore();
        }
        // The job is the whole sandbox, and not only the group of its command.
        let frozen = self.freeze(true);
        let stopped = self.stop_ourselves(state, signal, group);
        if frozen {
            self.freeze(false);
        }
        let mut front = false;
        if let Some(relay) = state
            .relay
            .as_mut()
            .filter(|r| (attended || asks) && r.in_front())
        {
            relay.attend();
            front = true;
        }
        if !state.started {
            return;
        }
        if !stopped && asks && !front {
            // No shell is there that could ever put this run in the foreground: what the kernel does to such jobs.
            self.tell(libc::SIGHUP, true);
        }
        self.go_on(front);
    }

    /// Stops everything in the sandbox's cgroup, or lets it go on. `false`: there is none.
    fn freeze(&self, frozen: bool) -> bool {
        self.group.as_ref().is_some_and(|group| group.freeze(frozen))
    }

    /// Whether we were stopped, or let go on before that: the kernel passes over keys' signals where no shell could continue us.
    fn stop_ourselves(&self, state: &mut State<'_>, signal: i32, group: bool) -> bool {
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        let open: Vec<i32> = HANDLED.into_iter().filter(|s| *s != libc::SIGTSTP).collect();
        let asks = matches!(signal, libc::SIGTTIN | libc::SIGTTOU);
        let _ = signal::set_mask(&SignalSet::of(&open));
        // Last before the stop, which would take it back (signal(7)): whoever lets a job go on at once does not wait until it has stopped.
        let mut continued = self.pass_on(state);
        if !continued {
            if !asks || !state.relay.as_ref().is_some_and(Relay::wait_for_front) {
                let _ = process::kill(if group { 0 } else { own }, signal);
            }
            continued = self.pass_on(state);
        }
        let _ = signal::set_mask(&SignalSet::of(&HANDLED));
        continued
    }

    /// Passes on what has arrived meanwhile. Whether we are continued.
    fn pass_on(&self, state: &mut State<'_>) -> bool {
        let mut continued = false;
        while let Ok(Some(arrived)) = signal::next_signal(self.signals.as_fd()) {
            match arrived.signal {
                libc::SIGCONT => continued = true,
                libc::SIGTSTP | libc::SIGWINCH => {}
                _ => self.forward(state, arrived),
            }
        }
        continued
    }
}

//! The end of a run, when nobody writes any more and not everything has been read.

use super::State;
use crate::sandbox::outcome::Ended;
use crate::sandbox::terminal::Relay;
use crate::sys::signal;
use crate::sys::socket::{self, Watch};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

/// What is not there at once will not come; and what this run itself has ended is not waited for much longer.
const PATIENCE: Duration = Duration::from_secs(1);

impl State<'_> {
    /// Passes on what the command wrote before it ended, however slowly it is read: until a signal asks for the end, or the time is up.
    /// Gives the time at which writing about the end is given up.
    pub(super) fn drain(&mut self, signals: BorrowedFd<'_>) -> Option<Instant> {
        let by_itself = matches!(self.ended, None | Some(Ended::Exited(_) | Ended::Signaled(_)));
        let soon = Instant::now() + PATIENCE;
        let until = if by_itself { self.deadline } else { Some(soon) };
        self.pass_on_rest(signals, until, by_itself);
        self.relay.iter_mut().for_each(Relay::restore);
        if self.allowance.exceeded() && by_itself {
            self.ended = Some(Ended::Output);
        } else if self.outlets.full() && by_itself {
            self.ended = Some(Ended::FileSize);
        }
        // The same time for all that is still to be written, and a moment in any case.
        let soon = soon.max(Instant::now() + PATIENCE / 4);
        if by_itself && !self.told_to_end {
            self.deadline.map(|deadline| deadline.max(soon))
        } else {
            Some(soon)
        }
    }

    fn pass_on_rest(&mut self, signals: BorrowedFd<'_>, until: Option<Instant>, by_itself: bool) {
        let mut last = Instant::now();
        self.relay.iter_mut().for_each(Relay::take_no_keys);
        while self.unsent() || self.open() {
            let mut watches = [Watch::NONE; 10];
            watches[9] = Watch::read(signals.as_raw_fd());
            self.watch_streams(&mut watches[..9]);
            // A run that was told to end waits for a reader that goes on, and not for one that has stopped.
            let until = if self.unsent() && !self.told_to_end {
                until
            } else {
                Some(until.map_or(last + PATIENCE, |until| until.min(last + PATIENCE)))
            };
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if socket::poll(&mut watches, socket::millis(left)).is_err()
                || watches[9].ready() && ends(signals)
            {
                self.told_to_end = true;
                break;
            }
            if watches.iter().any(Watch::ready) {
                last = Instant::now();
            } else if left.is_some_and(|left| left.is_zero()) {
                if self.unsent() && by_itself && !self.told_to_end {
                    self.ended = Some(Ended::Timeout);
                }
                break;
            }
            self.step_streams(&watches[..9]);
        }
    }

    /// What to wait for: four of the terminal, five of the pipes.
    pub(super) fn watch_streams(&self, watches: &mut [Watch]) {
        let terminal = self.relay.as_ref().map_or([Watch::NONE; 4], Relay::watches);
        for (to, from) in watches
            .iter_mut()
            .zip(terminal.into_iter().chain(self.outlets.watches()))
        {
            *to = from;
        }
    }

    /// Moves bytes where poll has seen that it can be done.
    pub(super) fn step_streams(&mut self, watches: &[Watch]) {
        let (terminal, outlets) = watches.split_at_checked(4).unwrap_or_default();
        if let Some(relay) = &mut self.relay {
            relay.step(terminal, &mut self.allowance);
        }
        self.outlets.step(outlets, &mut self.allowance);
    }

    fn unsent(&self) -> bool {
        self.relay.as_ref().is_some_and(Relay::unsent) || self.outlets.unsent()
    }

    fn open(&self) -> bool {
        self.relay.as_ref().is_some_and(Relay::open) || self.outlets.open()
    }
}

/// Whether one of the signals that have arrived asks for an end.
fn ends(signals: BorrowedFd<'_>) -> bool {
    let mut end = false;
    while let Ok(Some(arrived)) = signal::next_signal(signals) {
        end |= arrived.ends();
    }
    end
}

//! The end of a run, when nobody writes any more and not everything has been read.

use super::State;
use crate::sandbox::outcome::Ended;
use crate::sandbox::terminal::Relay;
use crate::sys::signal::{self, Arrived};
use crate::sys::socket::{self, Watch};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

/// What is not there at once will not come; and what this run itself has ended is not waited for much longer.
const PATIENCE: Duration = Duration::from_secs(1);

impl State<'_> {
    /// What the command wrote before it ended still comes out, however slowly it is read: until a signal says that it need not, or the
    /// time is up.
    pub(super) fn drain(&mut self, signals: BorrowedFd<'_>) {
        let by_itself = matches!(self.ended, None | Some(Ended::Exited(_) | Ended::Signaled(_)));
        let until = if by_itself {
            self.deadline
        } else {
            Some(Instant::now() + PATIENCE)
        };
        let mut last = Instant::now();
        self.relay.iter_mut().for_each(Relay::take_no_keys);
        while self.unsent() || self.open() {
            let mut watches = [Watch::NONE; 9];
            watches[8] = Watch::read(signals.as_raw_fd());
            self.watch_streams(&mut watches[..8]);
            let until = if self.unsent() {
                until
            } else {
                Some(last + PATIENCE)
            };
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if socket::poll(&mut watches, socket::millis(left)).is_err()
                || watches[8].ready() && ends(signals)
            {
                break;
            }
            if watches.iter().any(Watch::ready) {
                last = Instant::now();
            } else if left.is_some_and(|left| left.is_zero()) {
                if self.unsent() && by_itself {
                    self.ended = Some(Ended::Timeout);
                }
                break;
            }
            self.step_streams(&watches[..8]);
        }
        self.relay.iter_mut().for_each(Relay::restore);
        if self.allowance.exceeded() && by_itself {
            self.ended = Some(Ended::Output);
        }
    }

    /// What to wait for: four of the terminal, four of what is counted.
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
    while let Ok(Some(Arrived { signal, .. })) = signal::next_signal(signals) {
        end |= matches!(
            signal,
            libc::SIGTERM | libc::SIGINT | libc::SIGHUP | libc::SIGQUIT
        );
    }
    end
}

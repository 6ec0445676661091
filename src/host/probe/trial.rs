//! One thing tried in a child made for it: what it does ends with it, and it ends.

use crate::sys::process::{self, CloneFlags, Side};
use crate::sys::{Errno, Result, cred, fs, socket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Longer than any of them takes on a loaded machine; a mount on a dead network file system takes for ever.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// How the reason begins when the child itself could not be made: it says nothing about what was to be tried.
pub(crate) const NOT_TRIED: &str = "not tried";

/// How a trial went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trial {
    /// Everything could be done.
    Done,
    /// The child itself could not be made.
    Refused(Errno),
    /// This step, counted from 0, failed.
    Failed(u8, Errno),
    /// It was killed: after five seconds, or by the kernel (a seccomp filter that kills).
    Killed,
}

impl Trial {
    /// Why it did not go, for a fact.
    pub(crate) fn reason(self) -> Option<String> {
        match self {
            Self::Done => None,
            Self::Killed => Some("the attempt was killed, or took more than five seconds".into()),
            Self::Refused(e) => Some(format!("{NOT_TRIED}: no child could be made, {e:?}")),
            Self::Failed(_, e) => Some(format!("{e:?}: {}", e.desc())),
        }
    }
}

/// Which id of the child a map names.
#[derive(Debug)]
pub(crate) struct OwnMap {
    uid: String,
    gid: String,
}

impl OwnMap {
    /// Id 1000 inside is the caller outside: the map that every user may write.
    pub(crate) fn new() -> Self {
        Self {
            uid: format!("1000 {} 1\n", nix::unistd::geteuid()),
            gid: format!("1000 {} 1\n", nix::unistd::getegid()),
        }
    }

    /// Writes it from inside.
    pub(crate) fn write(&self) -> Result<()> {
        fs::write_kernel_file(c"/proc/self/setgroups", b"deny")?;
        fs::write_kernel_file(c"/proc/self/uid_map", self.uid.as_bytes())?;
        fs::write_kernel_file(c"/proc/self/gid_map", self.gid.as_bytes())
    }
}

/// Says which step is next and keeps its answer.
#[derive(Debug, Default)]
pub(crate) struct Steps(u8);

impl Steps {
    /// Counts an answer; the first failure ends the trial.
    pub(crate) fn count<T>(&mut self, answer: Result<T>) -> std::result::Result<T, (u8, Errno)> {
        let step = self.0;
        self.0 = step.saturating_add(1);
        answer.map_err(|errno| (step, errno))
    }
}

/// What the body of a trial answers.
pub(crate) type Answer = std::result::Result<(), (u8, Errno)>;

/// Does `body` in a child with new namespaces. `body` must not allocate: another thread of a test may hold the allocator's lock.
pub(crate) fn attempt(namespaces: libc::c_int, body: impl FnOnce(&mut Steps) -> Answer) -> Trial {
    attempt_mapped(namespaces, |_| Ok(()), body)
}

/// The same, after `map` has written what the child's ids are: as only root may who stands outside.
pub(crate) fn attempt_mapped(
    namespaces: libc::c_int,
    map: impl FnOnce(i32) -> Result<()>,
    body: impl FnOnce(&mut Steps) -> Answer,
) -> Trial {
    let Ok((here, there)) = socket::pair() else {
        return Trial::Refused(Errno::EMFILE);
    };
    match process::clone_into(CloneFlags(u64::from(namespaces.cast_unsigned())), None) {
        Err(errno) => Trial::Refused(errno),
        Ok(Side::Child) => {
            // Whoever kills doctor ends what it tries, too.
            let _ = cred::die_with_parent();
            drop(here);
            if !matches!(socket::receive(there.as_fd(), &mut [0], true), Ok((1, _))) {
                process::exit_now(0)
            }
            let said = match body(&mut Steps::default()) {
                Ok(()) => [u8::MAX, 0, 0, 0, 0],
                Err((step, errno)) => {
                    let [a, b, c, d] = (errno as i32).to_ne_bytes();
                    [step, a, b, c, d]
                }
            };
            let _ = socket::send(there.as_fd(), &said, None);
            process::exit_now(0)
        }
        Ok(Side::Parent(child, pid)) => {
            drop(there);
            let said = match map(pid).and_then(|()| socket::send(here.as_fd(), b"x", None)) {
                Ok(()) => hear(&here),
                Err(errno) => Trial::Refused(errno),
            };
            // A first process of a pid namespace takes everything in it along.
            let _ = process::signal_pidfd(child.as_fd(), libc::SIGKILL);
            let _ = process::wait(pid, true, false);
            said
        }
    }
}

/// Waits until a descriptor can be read, or the time is up. A signal (a stop and a continue) does not shorten the wait.
pub(crate) fn readable(fd: BorrowedFd<'_>, patience: Duration) -> bool {
    let end = Instant::now() + patience;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let mut watch = [socket::Watch::read(fd.as_raw_fd())];
        if socket::poll(&mut watch, socket::millis(Some(left))).is_err() {
            return false;
        }
        if watch[0].ready() || left.is_zero() {
            return watch[0].ready();
        }
    }
}

fn hear(here: &OwnedFd) -> Trial {
    if !readable(here.as_fd(), PATIENCE) {
        return Trial::Killed;
    }
    let mut said = [0u8; 5];
    match socket::receive(here.as_fd(), &mut said, false) {
        Ok((5, _)) if said[0] == u8::MAX => Trial::Done,
        Ok((5, _)) => {
            let [step, a, b, c, d] = said;
            Trial::Failed(step, Errno::from_raw(i32::from_ne_bytes([a, b, c, d])))
        }
        _ => Trial::Killed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_says_which_step_failed() {
        let none = 0;
        assert_eq!(attempt(none, |s| s.count(Ok(()))), Trial::Done);
        let second = |s: &mut Steps| {
            s.count(Ok(()))?;
            s.count(Err(Errno::EXDEV))
        };
        assert_eq!(attempt(none, second), Trial::Failed(1, Errno::EXDEV));
        // CLONE_NEWNS with CLONE_FS is what the kernel calls a contradiction.
        let nonsense = libc::CLONE_NEWUSER | libc::CLONE_FS;
        assert_eq!(attempt(nonsense, |_| Ok(())), Trial::Refused(Errno::EINVAL));
        assert_eq!(attempt(none, |_| process::exit_now(3)), Trial::Killed);
    }

    #[test]
    fn a_trial_that_hangs_is_killed_and_reaped() {
        let start = Instant::now();
        let hang = |_: &mut Steps| loop {
            let _ = socket::poll(&mut [], 60_000);
        };
        assert_eq!(attempt(0, hang), Trial::Killed);
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}

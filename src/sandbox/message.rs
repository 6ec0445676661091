//! What supervisor and init say to each other: fixed records, so that neither side allocates or parses.

use crate::sys::{Errno, Result, socket};
use std::os::fd::{BorrowedFd, OwnedFd};

/// One message. Both ends are this very program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message {
    /// To the child: the id maps are written, go on.
    MapsWritten,
    /// To init: send this signal to the command, or (second) to its whole process group.
    Signal(i32, bool),
    /// To init: the command goes on, in its terminal's foreground or behind it.
    GoOn(bool),
    /// To init: ask for `Segments`.
    CountSegments,
    /// From init: pages in SysV shared memory segments of the sandbox's ipc namespace.
    Segments(u32),
    /// From the child: a step failed.
    Failed {
        /// Index into the plan.
        step: u32,
        /// Why.
        errno: i32,
    },
    /// From the child: here is the master of its pseudo-terminal.
    Master,
    /// From the child: here is the directory that holds what is written to the workspace.
    Upper,
    /// From the child: here is `/dev/fuse`, mounted as its root, for the program that is to show something there.
    Fuse,
    /// From the child: here is its ipc namespace, for the process that watches limits apart.
    IpcNamespace,
    /// From the child: here is its user namespace.
    Namespace,
    /// From init: the command has been executed.
    Started,
    /// From init: the command has stopped, by a key of its terminal or by itself.
    Stopped(i32),
    /// From init: the command has exited.
    Exited(i32),
    /// From init: the command was killed by a signal.
    Signaled(i32),
}

const SIZE: usize = 12;

impl Message {
    fn numbers(self) -> (u32, i32, i32) {
        match self {
            Self::MapsWritten => (1, 0, 0),
            Self::Signal(n, group) => (2, n, i32::from(group)),
            Self::Failed { step, errno } => (3, step.cast_signed(), errno),
            Self::Master => (4, 0, 0),
            Self::Upper => (5, 0, 0),
            Self::Started => (6, 0, 0),
            Self::Stopped(n) => (7, n, 0),
            Self::Exited(n) => (8, n, 0),
            Self::Signaled(n) => (9, n, 0),
            Self::GoOn(front) => (10, i32::from(front), 0),
            Self::Fuse => (11, 0, 0),
            Self::Namespace => (12, 0, 0),
            Self::CountSegments => (13, 0, 0),
            Self::Segments(pages) => (14, pages.cast_signed(), 0),
            Self::IpcNamespace => (15, 0, 0),
        }
    }

    fn from_numbers(kind: u32, a: i32, b: i32) -> Option<Self> {
        Some(match kind {
            1 => Self::MapsWritten,
            2 => Self::Signal(a, b != 0),
            3 => Self::Failed {
                step: a.cast_unsigned(),
                errno: b,
            },
            4 => Self::Master,
            5 => Self::Upper,
            6 => Self::Started,
            7 => Self::Stopped(a),
            8 => Self::Exited(a),
            9 => Self::Signaled(a),
            10 => Self::GoOn(a != 0),
            11 => Self::Fuse,
            12 => Self::Namespace,
            13 => Self::CountSegments,
            14 => Self::Segments(a.cast_unsigned()),
            15 => Self::IpcNamespace,
            _ => return None,
        })
    }

    /// Sends it, with a descriptor or without.
    pub(super) fn send(self, socket: BorrowedFd<'_>, fd: Option<BorrowedFd<'_>>) -> Result<()> {
        let (kind, a, b) = self.numbers();
        let mut bytes = [0u8; SIZE];
        let words = [kind.to_ne_bytes(), a.to_ne_bytes(), b.to_ne_bytes()];
        for (to, from) in bytes.iter_mut().zip(words.as_flattened()) {
            *to = *from;
        }
        socket::send(socket, &bytes, fd)
    }

    /// The next one; `None` when the other end is closed.
    pub(super) fn receive(socket: BorrowedFd<'_>, wait: bool) -> Result<Option<(Self, Option<OwnedFd>)>> {
        let mut bytes = [0u8; SIZE];
        let mut received = socket::receive(socket, &mut bytes, wait);
        if matches!(received, Err(Errno::ECONNRESET)) {
            // The other end is gone and had not read everything: unix(7) tells that once, before what it has said itself.
            received = socket::receive(socket, &mut bytes, wait);
        }
        let (got, fd) = match received {
            Err(Errno::ECONNRESET) => return Ok(None),
            other => other?,
        };
        if got == 0 {
            return Ok(None);
        }
        let word = |i: usize| {
            let mut word = [0u8; 4];
            for (to, from) in word.iter_mut().zip(bytes.iter().skip(i * 4)) {
                *to = *from;
            }
            u32::from_ne_bytes(word)
        };
        let message = Self::from_numbers(word(0), word(1).cast_signed(), word(2).cast_signed());
        message
            .filter(|_| got == SIZE)
            .map(|m| Some((m, fd)))
            .ok_or(Errno::EPROTO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn every_message_survives_the_way() {
        let (one, other) = socket::pair().expect("a pair");
        let all = [
            Message::MapsWritten,
            Message::Signal(15, true),
            Message::Failed { step: 7, errno: 13 },
            Message::Master,
            Message::Upper,
            Message::IpcNamespace,
            Message::Namespace,
            Message::Started,
            Message::Stopped(20),
            Message::Exited(255),
            Message::Signaled(9),
            Message::GoOn(true),
            Message::Fuse,
            Message::CountSegments,
            Message::Segments(u32::MAX),
        ];
        for message in all {
            message.send(one.as_fd(), Some(one.as_fd())).expect("sent");
            let (got, fd) = Message::receive(other.as_fd(), true)
                .expect("received")
                .expect("open");
            assert_eq!(got, message);
            assert!(fd.is_some());
        }
        drop(one);
        assert!(Message::receive(other.as_fd(), true).expect("received").is_none());
    }

    /// Linux answers with ECONNRESET first, and keeps what was said.
    #[test]
    fn the_last_word_of_one_who_went_without_reading_is_heard() {
        let (one, other) = socket::pair().expect("a pair");
        Message::MapsWritten.send(one.as_fd(), None).expect("sent");
        let last = Message::Failed { step: 7, errno: 13 };
        last.send(other.as_fd(), None).expect("sent");
        drop(other);
        let heard = || Message::receive(one.as_fd(), true).expect("received");
        assert_eq!(heard().expect("a message").0, last);
        assert!(heard().is_none());
    }
}

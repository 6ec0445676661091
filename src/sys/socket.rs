//! The channel between supervisor and init: whole messages, with descriptors where needed.

use super::{Errno, Result, check, check_int};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// A connected pair that keeps message borders; both ends close at exec.
///
/// # Errors
/// `EMFILE`.
pub fn pair() -> Result<(OwnedFd, OwnedFd)> {
    let mut fds: [RawFd; 2] = [-1; 2];
    // SAFETY: the array has room for two descriptors.
    check_int(unsafe {
        libc::socketpair(
            libc::AF_UNIX,
            libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC,
            0,
            fds.as_mut_ptr(),
        )
    })?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    let one = unsafe { OwnedFd::from_raw_fd(fds[0]) };
    // SAFETY: as above.
    let other = unsafe { OwnedFd::from_raw_fd(fds[1]) };
    Ok((one, other))
}

/// Room for the header of one descriptor, aligned as the kernel wants it.
#[repr(C, align(8))]
struct Control([u8; 32]);

/// Sends one message, with a descriptor or without.
///
/// # Errors
/// `EPIPE` when the other end is closed.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], fd: Option<BorrowedFd<'_>>) -> Result<()> {
    let mut part = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let mut control = Control([0; 32]);
    // SAFETY: `msghdr` is a plain C struct for which all zeroes is a valid value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    if let Some(fd) = fd {
        message.msg_control = control.0.as_mut_ptr().cast();
        // SAFETY: a pure computation.
        message.msg_controllen = unsafe { libc::CMSG_SPACE(4) } as usize;
        // SAFETY: `message` holds a live control buffer that is larger than one header and one descriptor.
        let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
        // SAFETY: as above; a pure computation.
        let length = unsafe { libc::CMSG_LEN(4) } as usize;
        let filled = libc::cmsghdr {
            cmsg_len: length,
            cmsg_level: libc::SOL_SOCKET,
            cmsg_type: libc::SCM_RIGHTS,
        };
        // SAFETY: `header` points into the control buffer, aligned to 8.
        unsafe { header.write(filled) };
        // SAFETY: as above.
        let data = unsafe { libc::CMSG_DATA(header) };
        // SAFETY: the control buffer has room for four more bytes behind the header.
        unsafe { data.cast::<RawFd>().write_unaligned(fd.as_raw_fd()) };
    }
    super::uninterrupted(|| {
        // SAFETY: everything that `message` points to lives through the call.
        check(unsafe {
            libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) as libc::c_long
        })
    })
    .map(|_| ())
}

/// Receives one message; 0 bytes mean that the other end is closed.
///
/// # Errors
/// `EAGAIN` when `wait` is off and there is none.
pub fn receive(socket: BorrowedFd<'_>, bytes: &mut [u8], wait: bool) -> Result<(usize, Option<OwnedFd>)> {
    let mut part = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let mut control = Control([0; 32]);
    // SAFETY: `msghdr` is a plain C struct for which all zeroes is a valid value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len();
    let flags = libc::MSG_CMSG_CLOEXEC | if wait { 0 } else { libc::MSG_DONTWAIT };
    let got = super::uninterrupted(|| {
        // SAFETY: everything that `message` points to lives through the call.
        check(unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) as libc::c_long })
    })?;
    // SAFETY: the kernel has filled `message`; the control buffer is live.
    let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    let mut fd = None;
    if !header.is_null() {
        // SAFETY: not null, so it points to a whole header in the control buffer.
        let head = unsafe { header.read() };
        if head.cmsg_level == libc::SOL_SOCKET && head.cmsg_type == libc::SCM_RIGHTS {
            // SAFETY: as above.
            let data = unsafe { libc::CMSG_DATA(header) };
            // SAFETY: SCM_RIGHTS carries at least one descriptor.
            let raw = unsafe { data.cast::<RawFd>().read_unaligned() };
            // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
            fd = Some(unsafe { OwnedFd::from_raw_fd(raw) });
        }
    }
    usize::try_from(got).map(|n| (n, fd)).map_err(|_| Errno::EIO)
}

/// What to wait for, and what was seen.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct Watch(libc::pollfd);

impl Watch {
    /// Waits for nothing.
    pub const NONE: Self = Self::of(-1, 0);

    const fn of(fd: RawFd, events: i16) -> Self {
        Self(libc::pollfd {
            fd,
            events,
            revents: 0,
        })
    }

    /// Waits until it can be read; for nothing where the descriptor is negative.
    #[must_use]
    pub fn read(fd: RawFd) -> Self {
        Self::of(fd, libc::POLLIN)
    }

    /// Waits until it can be written; for nothing where the descriptor is negative.
    #[must_use]
    pub fn write(fd: RawFd) -> Self {
        Self::of(fd, libc::POLLOUT)
    }

    /// Seen: what was waited for, or the other end is gone.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.0.revents != 0
    }

    /// Waits for it only then.
    #[must_use]
    pub fn when(self, wanted: bool) -> Self {
        if wanted { self } else { Self::NONE }
    }
}

/// So much time for [`poll`], never less; `None` is for ever.
#[must_use]
pub fn millis(time: Option<Duration>) -> i32 {
    time.map_or(-1, |time| {
        i32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
    })
}

/// Waits for one of these, or for so many milliseconds (negative: for ever). An interrupted wait sees nothing.
///
/// # Errors
/// As poll(2).
pub fn poll(watches: &mut [Watch], millis: i32) -> Result<()> {
    for watch in watches.iter_mut() {
        watch.0.revents = 0;
    }
    // SAFETY: the slice is live, and each of its elements is a pollfd and nothing else.
    match check_int(unsafe { libc::poll(watches.as_mut_ptr().cast(), watches.len() as libc::nfds_t, millis) })
    {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno),
    }
}

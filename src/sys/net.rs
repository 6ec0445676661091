//! The loopback interface of a new net namespace.

use super::{Result, check_int};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Brings `lo` up, which a new net namespace leaves down: programs talk to themselves over 127.0.0.1.
///
/// # Errors
/// `EPERM` without rights over the net namespace.
pub fn loopback_up() -> Result<()> {
    // SAFETY: only numbers are passed.
    let fd = check_int(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: `ifreq` is a plain C struct for which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo\0") {
        #[allow(clippy::cast_possible_wrap, reason = "ASCII")]
        {
            *to = *from as libc::c_char;
        }
    }
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the flags are a short in this request"
    )]
    {
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    }
    // SAFETY: SIOCSIFFLAGS reads one `ifreq`.
    check_int(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) }).map(|_| ())
}

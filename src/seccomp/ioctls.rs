//! The ioctl requests that the guards name (ioctl_tty(2), `asm-generic/ioctls.h`).

/// Types a character into the terminal's input, as if its user had (CVE-2017-5226).
pub(super) const TIOCSTI: u32 = 0x5412;
/// Pastes the selection into a virtual console (CVE-2023-28100).
pub(super) const TIOCLINUX: u32 = 0x541c;
/// Loads a line discipline (N_HDLC and others: CVE-2017-2636), on any terminal.
pub(super) const TIOCSETD: u32 = 0x5423;

/// What the guard `ioctl-list` lets through: terminals as their user uses them, pseudo-terminals of the sandbox's own devpts (script,
/// tmux, openpty(3)), and what any descriptor knows. The caller's terminal is on no descriptor inside, so none of these reaches it.
///
/// Left out on purpose, each with what programs do instead:
/// - `FICLONE`, `FICLONERANGE`: cp copies;
/// - `FS_IOC_GETFLAGS`, `FS_IOC_SETFLAGS`, `FS_IOC_FSGETXATTR`: Landlock does not stop them; tar and cp go on without;
/// - `SIOCGIF*`: there is only loopback to be listed;
/// - `BLK*`, `RND*`, `KD*`, `VT*`, `LOOP_*`: no such device is there.
pub(super) const LIST: [u32; 33] = [
    0x5401,      // TCGETS: isatty(3)
    0x5402,      // TCSETS
    0x5403,      // TCSETSW
    0x5404,      // TCSETSF
    0x802c_542a, // TCGETS2: glibc 2.42 and later use these four
    0x402c_542b, // TCSETS2
    0x402c_542c, // TCSETSW2
    0x402c_542d, // TCSETSF2
    0x5405,      // TCGETA: the oldest form, for static programs
    0x5406,      // TCSETA
    0x5407,      // TCSETAW
    0x5408,      // TCSETAF
    0x5409,      // TCSBRK: tcdrain(3)
    0x5425,      // TCSBRKP: tcsendbreak(3)
    0x540a,      // TCXONC: tcflow(3)
    0x540b,      // TCFLSH: tcflush(3)
    0x540f,      // TIOCGPGRP: job control
    0x5410,      // TIOCSPGRP
    0x5429,      // TIOCGSID
    0x5411,      // TIOCOUTQ, which is SIOCOUTQ too
    0x5413,      // TIOCGWINSZ
    0x5414,      // TIOCSWINSZ
    0x5424,      // TIOCGETD
    0x8004_5430, // TIOCGPTN: ptsname(3)
    0x4004_5431, // TIOCSPTLCK: unlockpt(3)
    0x5441,      // TIOCGPTPEER: openpty(3) of newer libraries
    0x540e,      // TIOCSCTTY: login_tty(3)
    0x5422,      // TIOCNOTTY
    0x541b,      // FIONREAD, which is SIOCINQ too
    0x5421,      // FIONBIO
    0x5452,      // FIOASYNC
    0x5451,      // FIOCLEX
    0x5450,      // FIONCLEX
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_libc() {
        assert_eq!(
            [TIOCSTI, TIOCLINUX, TIOCSETD].map(u64::from),
            [libc::TIOCSTI, libc::TIOCLINUX, 0x5423]
        );
        for request in [
            libc::TCGETS,
            libc::TCSETS,
            libc::TCSETSW,
            libc::TCSETSF,
            libc::TCGETS2,
            libc::TCSETS2,
            libc::TCSETSW2,
            libc::TCSETSF2,
            libc::TCGETA,
            libc::TCSETAF,
            libc::TCSBRK,
            libc::TCSBRKP,
            libc::TCXONC,
            libc::TCFLSH,
            libc::TIOCGPGRP,
            libc::TIOCSPGRP,
            libc::TIOCGSID,
            libc::TIOCOUTQ,
            libc::TIOCGWINSZ,
            libc::TIOCSWINSZ,
            libc::TIOCGPTN,
            libc::TIOCSPTLCK,
            libc::TIOCGPTPEER,
            libc::TIOCSCTTY,
            libc::TIOCNOTTY,
            libc::TIOCSWINSZ,
            libc::FIONREAD,
            libc::FIONBIO,
            libc::FIOASYNC,
            libc::FIOCLEX,
            libc::FIONCLEX,
        ] {
            assert!(
                LIST.iter().any(|known| u64::from(*known) == request),
                "{request:#x}"
            );
        }
        assert!(!LIST.contains(&TIOCSTI) && !LIST.contains(&TIOCLINUX));
    }
}

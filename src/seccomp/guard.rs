//! Named guards: conditions on the arguments of calls that are otherwise allowed.
//!
//! A guard whose call is not allowed has no effect; several guards on one call are asked in the order of [`GUARDS`].

use super::errno::{EAFNOSUPPORT, ENOTTY, EOPNOTSUPP, EPERM};
use super::ids::{self, OWN_IDS};
use super::ioctls;
use super::modes::{self, SET_ID_BITS};
use super::sockets;
use super::verdict::{Answer, Check, Comparison, Condition, Match, Rule, Width, equal, masked, not_equal};

/// One guard.
#[derive(Clone, Copy)]
pub struct Guard {
    /// What a profile's `syscalls.guards` calls it.
    pub name: &'static str,
    /// What it refuses, in one line.
    pub about: &'static str,
    /// Its checks, given the profile's socket families.
    checks: fn(&[sockets::Family]) -> Vec<(&'static str, Check)>,
}

impl Guard {
    /// The calls that it looks at, each with its check.
    #[must_use]
    pub fn checks(&self, families: &[sockets::Family]) -> Vec<(&'static str, Check)> {
        (self.checks)(families)
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The guard of a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Guard> {
    GUARDS.iter().find(|guard| guard.name == name)
}

/// The name of the guard that `syscalls.socket-families` belongs to.
pub const SOCKET_FAMILIES: &str = "socket-families";

/// Every guard. Where two look at one call, the first answers first.
pub const GUARDS: &[Guard] = &[
    Guard {
        name: "clone-namespaces",
        about: "clone and unshare that make a namespace: EPERM",
        checks: |_| clone_namespaces(),
    },
    Guard {
        name: "terminal-injection",
        about: "ioctl TIOCSTI and TIOCLINUX, which type into a terminal, and TIOCSETD, which loads line disciplines: EPERM",
        checks: |_| {
            vec![(
                "ioctl",
                refuse(
                    EPERM,
                    [ioctls::TIOCSTI, ioctls::TIOCLINUX, ioctls::TIOCSETD]
                        .map(|request| vec![equal(1, request)])
                        .into(),
                ),
            )]
        },
    },
    Guard {
        name: "ioctl-list",
        about: "every ioctl but a short list for terminals and descriptors: ENOTTY",
        checks: |_| {
            vec![(
                "ioctl",
                refuse(
                    ENOTTY,
                    vec![ioctls::LIST.iter().map(|known| not_equal(1, *known)).collect()],
                ),
            )]
        },
    },
    Guard {
        name: SOCKET_FAMILIES,
        about: "sockets of a family or kind that the profile does not list: EAFNOSUPPORT",
        checks: socket_families,
    },
    Guard {
        name: "setsockopt-surface",
        about: "setsockopt for TLS in the kernel, packet filter tables and IPsec policies: EPERM",
        checks: |_| vec![("setsockopt", refuse(EPERM, sockets::risky_options()))],
    },
    Guard {
        name: "msg-oob",
        about: "sending and receiving out-of-band data: EOPNOTSUPP",
        checks: |_| message_out_of_band(),
    },
    Guard {
        name: "prctl-surface",
        about: "prctl PR_SET_MM and PR_SET_PTRACER: EPERM",
        checks: |_| {
            vec![(
                "prctl",
                refuse(
                    EPERM,
                    vec![vec![equal(0, PR_SET_MM)], vec![equal(0, PR_SET_PTRACER)]],
                ),
            )]
        },
    },
    Guard {
        name: "personality",
        about: "personality but for asking and for the plain one: EPERM",
        checks: |_| vec![personality(&[PER_LINUX, PER_ASK])],
    },
    Guard {
        name: "personality-common",
        about: "personality but for asking, Linux, Linux32 and the 2.6 version number: EPERM",
        checks: |_| {
            vec![personality(&[
                PER_LINUX,
                PER_ASK,
                PER_LINUX32,
                UNAME26,
                UNAME26 | PER_LINUX32,
            ])]
        },
    },
    Guard {
        name: "mknod-types",
        about: "mknod and mknodat but for files, pipes and sockets: EPERM",
        checks: |_| vec![("mknod", file_types(1)), ("mknodat", file_types(2))],
    },
    Guard {
        name: OWN_IDS,
        about: "setuid, chown and their kin with ids other than -1 and those of the command: EPERM",
        checks: |_| ids::checks(None).collect(),
    },
    Guard {
        name: SET_ID_BITS,
        about: "set-user-id and set-group-id bits where files of the caller's could get them: EPERM; openat2: ENOSYS",
        checks: |_| modes::checks(),
    },
];

const PR_SET_MM: u32 = 35;
const PR_SET_PTRACER: u32 = 0x5961_6d61;

const PER_LINUX: u32 = 0;
const PER_LINUX32: u32 = 8;
const UNAME26: u32 = 0x2_0000;
/// Not a personality: asks for the present one.
const PER_ASK: u32 = 0xffff_ffff;

/// `CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET`.
/// `CLONE_NEWTIME` has a bit of the exit signal, so that clone cannot ask for it.
const NAMESPACES: u64 = 0x7e02_0000;

/// What unshare may still be asked for: `CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM`. A list of
/// what is harmless, because unshare gets flags that clone does not have (`CLONE_NEWTIME`, and newer ones).
const UNSHARED: u64 = 0x0005_0f00;

fn clone_namespaces() -> Vec<(&'static str, Check)> {
    let none_of = |mask| Condition {
        argument: 0,
        width: Width::Full64,
        comparison: Comparison::Masked { mask, value: 0 },
    };
    vec![
        ("clone", only(EPERM, vec![vec![none_of(NAMESPACES)]])),
        ("unshare", only(EPERM, vec![vec![none_of(!UNSHARED)]])),
    ]
}

fn socket_families(families: &[sockets::Family]) -> Vec<(&'static str, Check)> {
    let sockets = families.iter().flat_map(|family| family.rules()).collect();
    // The other families have no pairs.
    let pairs = vec![vec![equal(0, sockets::AF_UNIX)]];
    vec![
        ("socket", only(EAFNOSUPPORT, sockets)),
        ("socketpair", only(EAFNOSUPPORT, pairs)),
    ]
}

/// Out-of-band data on unix sockets has been a use-after-free more than once (CVE-2025-38236); hardly a program sends any.
fn message_out_of_band() -> Vec<(&'static str, Check)> {
    const MSG_OOB: u64 = 1;
    [
        ("sendto", 3),
        ("sendmsg", 2),
        ("sendmmsg", 3),
        ("recvfrom", 3),
        ("recvmsg", 2),
        ("recvmmsg", 3),
    ]
    .map(|(call, flags)| {
        (
            call,
            refuse(EOPNOTSUPP, vec![vec![masked(flags, MSG_OOB, MSG_OOB)]]),
        )
    })
    .into()
}

fn personality(allowed: &[u32]) -> (&'static str, Check) {
    (
        "personality",
        refuse(
            EPERM,
            vec![allowed.iter().map(|known| not_equal(0, *known)).collect()],
        ),
    )
}

/// Devices are refused: the kernel would too without `CAP_MKNOD`, and an image's root may be given one.
fn file_types(mode: u8) -> Check {
    const S_IFMT: u64 = 0o170_000;
    let types = [0, 0o100_000, 0o010_000, 0o140_000];
    only(
        EPERM,
        types
            .iter()
            .map(|kind| vec![masked(mode, S_IFMT, *kind)])
            .collect(),
    )
}

/// Refuses what one of the rules describes.
pub(super) fn refuse(errno: u16, rules: Vec<Rule>) -> Check {
    Check {
        rules,
        on: Match::Any,
        answer: Answer::Errno(errno),
    }
}

/// Refuses what none of the rules describes.
pub(super) fn only(errno: u16, rules: Vec<Rule>) -> Check {
    Check {
        rules,
        on: Match::None,
        answer: Answer::Errno(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::errno::ENOSYS;
    use crate::seccomp::table;
    use sockets::Family::{Inet, Inet6, NetlinkRoute, Unix};

    /// What a guard answers to a call; `None` where it lets the call through.
    fn ask(guard: &str, call: &str, arguments: [u64; 6]) -> Option<u16> {
        let checks = find(guard)
            .expect(guard)
            .checks(&[Unix, Inet, Inet6, NetlinkRoute]);
        let (_, check) = checks.iter().find(|(name, _)| *name == call).expect(call);
        check.answer(&arguments).map(|answer| match answer {
            Answer::Errno(number) => number,
            other => panic!("{other:?}"),
        })
    }

    fn arguments(given: &[u64]) -> [u64; 6] {
        std::array::from_fn(|n| given.get(n).copied().unwrap_or_default())
    }

    #[test]
    fn tcp_is_neither_udp_nor_another_protocol() {
        let guard = find(SOCKET_FAMILIES)
            .expect("a guard")
            .checks(&[sockets::Family::Tcp]);
        let (_, check) = guard.iter().find(|(call, _)| *call == "socket").expect("socket");
        for (given, allowed) in [
            ([2, 1, 0], true),
            ([10, 0x80801, 6], true),
            ([2, 2, 0], false),
            ([10, 2, 17], false),
            ([2, 1, 262], false),
            ([1, 1, 0], false),
        ] {
            assert_eq!(check.answer(&arguments(&given)).is_none(), allowed, "{given:?}");
        }
    }

    #[test]
    fn guards_look_at_calls_that_exist() {
        for guard in GUARDS {
            for (call, check) in guard.checks(&[Unix]) {
                assert!(table::number(call).is_some(), "{}: {call}", guard.name);
                assert!(
                    (call == "openat2" || !check.rules.is_empty())
                        && check.rules.iter().all(|rule| !rule.is_empty()),
                    "{}",
                    guard.name
                );
            }
        }
    }

    #[test]
    fn answers() {
        const HIGH: u64 = 0xdead_beef_0000_0000;
        let cases: &[(&str, &str, &[u64], Option<u16>)] = &[
            // fork() of glibc, a thread, a user namespace, any namespace with an exit signal.
            ("clone-namespaces", "clone", &[0x0120_0011], None),
            ("clone-namespaces", "clone", &[0x003d_0f00], None),
            ("clone-namespaces", "clone", &[0x1000_0000], Some(EPERM)),
            ("clone-namespaces", "clone", &[0x0002_0011], Some(EPERM)),
            ("clone-namespaces", "unshare", &[0x400], None),
            ("clone-namespaces", "unshare", &[0x80], Some(EPERM)),
            ("clone-namespaces", "unshare", &[0x1000_0000], Some(EPERM)),
            ("clone-namespaces", "unshare", &[HIGH], Some(EPERM)),
            // CVE-2019-10063: the upper half does not hide the request.
            ("terminal-injection", "ioctl", &[0, 0x5412], Some(EPERM)),
            ("terminal-injection", "ioctl", &[0, HIGH | 0x5412], Some(EPERM)),
            ("terminal-injection", "ioctl", &[0, HIGH | 0x541c], Some(EPERM)),
            ("terminal-injection", "ioctl", &[0, HIGH | 0x5423], Some(EPERM)),
            ("terminal-injection", "ioctl", &[0, 0x5401], None),
            ("ioctl-list", "ioctl", &[0, 0x5401], None),
            ("ioctl-list", "ioctl", &[0, 0x5413], None),
            ("ioctl-list", "ioctl", &[0, 0x541b], None),
            ("ioctl-list", "ioctl", &[0, 0x5412], Some(ENOTTY)),
            ("ioctl-list", "ioctl", &[0, 0x4008_6602], Some(ENOTTY)),
            // unix stream, TCP, UDP, TCP over IPv6, route netlink.
            ("socket-families", "socket", &[1, 0x80001, 0], None),
            ("socket-families", "socket", &[2, 1, 6], None),
            ("socket-families", "socket", &[2, 0x802, 17], None),
            ("socket-families", "socket", &[10, 1, 0], None),
            ("socket-families", "socket", &[HIGH | 10, HIGH | 1, HIGH], None),
            ("socket-families", "socket", &[16, 0x80003, 0], None),
            // Raw, SCTP, MPTCP, ping, netfilter netlink, packet, AF_ALG, vsock.
            ("socket-families", "socket", &[2, 3, 255], Some(EAFNOSUPPORT)),
            ("socket-families", "socket", &[2, 1, 132], Some(EAFNOSUPPORT)),
            ("socket-families", "socket", &[2, 1, 262], Some(EAFNOSUPPORT)),
            ("socket-families", "socket", &[2, 2, 1], Some(EAFNOSUPPORT)),
            ("socket-families", "socket", &[16, 3, 12], Some(EAFNOSUPPORT)),
            ("socket-families", "socket", &[17, 3, 0], Some(EAFNOSUPPORT)),
            ("socket-families", "socket", &[38, 5, 0], Some(EAFNOSUPPORT)),
            ("socket-families", "socket", &[40, 1, 0], Some(EAFNOSUPPORT)),
            ("socket-families", "socketpair", &[1, 1, 0], None),
            ("socket-families", "socketpair", &[30, 5, 0], Some(EAFNOSUPPORT)),
            // TCP_NODELAY, SO_REUSEADDR, TCP_ULP, TLS, tables, IPsec; IPV6_TCLASS has the number of a table option and is ssh's.
            ("setsockopt-surface", "setsockopt", &[3, 6, 1], None),
            ("setsockopt-surface", "setsockopt", &[3, 1, 2], None),
            ("setsockopt-surface", "setsockopt", &[3, 41, 67], None),
            ("setsockopt-surface", "setsockopt", &[3, 41, 66], None),
            (
                "setsockopt-surface",
                "setsockopt",
                &[3, 6, HIGH | 31],
                Some(EPERM),
            ),
            ("setsockopt-surface", "setsockopt", &[3, 282, 1], Some(EPERM)),
            ("setsockopt-surface", "setsockopt", &[3, 0, 64], Some(EPERM)),
            ("setsockopt-surface", "setsockopt", &[3, 0, 67], Some(EPERM)),
            ("setsockopt-surface", "setsockopt", &[3, 0, 96], Some(EPERM)),
            ("setsockopt-surface", "setsockopt", &[3, 0, 128], Some(EPERM)),
            ("setsockopt-surface", "setsockopt", &[3, 41, 64], Some(EPERM)),
            ("setsockopt-surface", "setsockopt", &[3, 0, 17], Some(EPERM)),
            ("setsockopt-surface", "setsockopt", &[3, 41, 35], Some(EPERM)),
            ("msg-oob", "sendto", &[3, 0, 0, 0x4000], None),
            ("msg-oob", "sendto", &[3, 0, 0, 0x4001], Some(EOPNOTSUPP)),
            ("msg-oob", "recvmsg", &[3, 0, 1], Some(EOPNOTSUPP)),
            ("prctl-surface", "prctl", &[15], None),
            ("prctl-surface", "prctl", &[35], Some(EPERM)),
            ("prctl-surface", "prctl", &[0x5961_6d61], Some(EPERM)),
            ("personality", "personality", &[0xffff_ffff], None),
            ("personality", "personality", &[u64::MAX], None),
            ("personality", "personality", &[8], Some(EPERM)),
            ("personality-common", "personality", &[0x2_0008], None),
            ("personality-common", "personality", &[0x4_0000], Some(EPERM)),
            ("mknod-types", "mknod", &[0, 0o10_644], None),
            ("mknod-types", "mknod", &[0, 0o644], None),
            ("mknod-types", "mknod", &[0, 0o60_644], Some(EPERM)),
            ("mknod-types", "mknodat", &[0, 0, 0o20_666], Some(EPERM)),
            ("mknod-types", "mknodat", &[0, 0, 0o140_777], None),
            ("set-id-bits", "chmod", &[0, 0o755], None),
            ("set-id-bits", "chmod", &[0, 0o4755], Some(EPERM)),
            ("set-id-bits", "fchmod", &[0, HIGH | 0o2755], Some(EPERM)),
            ("set-id-bits", "fchmodat2", &[0, 0, 0o1777], None),
            // A mode counts where a file is made.
            ("set-id-bits", "openat", &[0, 0, 0o102, 0o4755], Some(EPERM)),
            (
                "set-id-bits",
                "openat",
                &[0, 0, 0o20_200_001, 0o4755],
                Some(EPERM),
            ),
            ("set-id-bits", "openat", &[0, 0, 0o200_000, 0o4755], None),
            ("set-id-bits", "open", &[0, 0o102, 0o644], None),
            ("set-id-bits", "openat2", &[], Some(ENOSYS)),
            // Pseudo-terminals of one's own.
            ("ioctl-list", "ioctl", &[0, 0x8004_5430], None),
            ("ioctl-list", "ioctl", &[0, 0x540e], None),
        ];
        for (guard, call, given, expected) in cases {
            assert_eq!(
                ask(guard, call, arguments(given)),
                *expected,
                "{guard}: {call} {given:x?}"
            );
        }
    }
}

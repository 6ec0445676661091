//! Which sockets and socket options the guards know.

use super::verdict::{Rule, equal, masked};

/// `AF_UNIX`
pub(super) const AF_UNIX: u32 = 1;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
const AF_NETLINK: u32 = 16;

const SOCK_STREAM: u64 = 1;
const SOCK_DGRAM: u64 = 2;
const SOCK_RAW: u64 = 3;
/// The type's own bits; the others are `SOCK_CLOEXEC` and `SOCK_NONBLOCK`.
const SOCK_TYPE: u64 = 0xf;

const IPPROTO_TCP: u32 = 6;
const IPPROTO_UDP: u32 = 17;
const NETLINK_ROUTE: u32 = 0;

/// A socket family that a profile can allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Unix sockets of every type.
    Unix,
    /// TCP and UDP over IPv4: no raw sockets, no ping, SCTP, MPTCP or UDP-Lite.
    Inet,
    /// The same over IPv6.
    Inet6,
    /// TCP alone, over IPv4 and IPv6: Landlock has rules for its ports, and none for UDP.
    Tcp,
    /// Route netlink, with which libraries list interfaces and addresses; no other netlink.
    NetlinkRoute,
}

impl Family {
    /// Every family, with what `syscalls.socket-families` calls it.
    pub const ALL: [(&'static str, Self); 5] = [
        ("unix", Self::Unix),
        ("inet", Self::Inet),
        ("inet6", Self::Inet6),
        ("tcp", Self::Tcp),
        ("netlink-route", Self::NetlinkRoute),
    ];

    /// The family of a name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, family)| *family)
    }

    /// The arguments of socket(2) that it covers.
    pub(super) fn rules(self) -> Vec<Rule> {
        let of_type = |kind| masked(1, SOCK_TYPE, kind);
        let internet = |domain| {
            [
                (SOCK_STREAM, 0),
                (SOCK_STREAM, IPPROTO_TCP),
                (SOCK_DGRAM, 0),
                (SOCK_DGRAM, IPPROTO_UDP),
            ]
            .map(|(kind, protocol)| vec![equal(0, domain), of_type(kind), equal(2, protocol)])
            .into()
        };
        let tcp = |domain| {
            [0, IPPROTO_TCP].map(|protocol| vec![equal(0, domain), of_type(SOCK_STREAM), equal(2, protocol)])
        };
        match self {
            // The kernel has no types and protocols of unix sockets beyond the harmless ones.
            Self::Unix => vec![vec![equal(0, AF_UNIX)]],
            Self::Inet => internet(AF_INET),
            Self::Inet6 => internet(AF_INET6),
            Self::Tcp => [tcp(AF_INET), tcp(AF_INET6)].concat(),
            Self::NetlinkRoute => [SOCK_RAW, SOCK_DGRAM]
                .map(|kind| vec![equal(0, AF_NETLINK), of_type(kind), equal(2, NETLINK_ROUTE)])
                .into(),
        }
    }
}

/// Options of setsockopt(2) behind which a large part of the published kernel exploits lies, and that need no privilege (TLS) or only
/// one inside a user namespace.
pub(super) fn risky_options() -> Vec<Rule> {
    const SOL_IP: u32 = 0;
    const SOL_TCP: u32 = 6;
    const SOL_IPV6: u32 = 41;
    const SOL_TLS: u32 = 282;
    const TCP_ULP: u32 = 31;
    let options = |level, mask: u32, first: u64| vec![equal(1, level), masked(2, mask.into(), first)];
    vec![
        vec![equal(1, SOL_TCP), equal(2, TCP_ULP)],
        vec![equal(1, SOL_TLS)],
        // 64 to 67: ip_tables.
        options(SOL_IP, !3, 64),
        // 96 to 99: arp_tables.
        options(SOL_IP, !3, 96),
        // 128 to 131: ebtables.
        options(SOL_IP, !3, 128),
        // 64 and 65: ip6_tables. 66 and 67 are IPV6_RECVTCLASS and IPV6_TCLASS, which ssh sets.
        options(SOL_IPV6, !1, 64),
        // IP_IPSEC_POLICY and IP_XFRM_POLICY.
        options(SOL_IP, !1, 16),
        // IPV6_IPSEC_POLICY and IPV6_XFRM_POLICY.
        options(SOL_IPV6, !1, 34),
    ]
}

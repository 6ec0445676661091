//! No network means no network: only the sandbox's own loopback, and nothing that gets beyond it.

use super::{
    ALL, Attack, BUILT_IN, attack, bytes, in_a_network_of_its_own, landlock, outside, profile, under,
};
use crate::util::{Dir, skip, within};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::time::Duration;

/// `struct sockaddr_in`
fn v4(address: Ipv4Addr, port: u16) -> String {
    let mut of = vec![2, 0];
    of.extend(port.to_be_bytes());
    of.extend(address.octets());
    of.extend([0; 8]);
    bytes(&of)
}

/// `struct sockaddr_in6` of `::1`.
fn v6_loopback(port: u16) -> String {
    let mut of = vec![10, 0];
    of.extend(port.to_be_bytes());
    of.extend([0; 4]);
    of.extend(std::net::Ipv6Addr::LOCALHOST.octets());
    of.extend([0; 4]);
    bytes(&of)
}

#[test]
fn there_is_no_interface_but_loopback() {
    let script = "tail -n +3 /proc/self/net/dev | cut -d: -f1 | tr -d ' '";
    for name in ALL {
        assert_eq!(under(name).shell(script).ok(), "lo", "{name}");
    }
    if under(&profile("host-network")).shell(script).ok() == "lo" {
        skip("interfaces", "this host has none but loopback either");
    }
}

#[test]
fn loopback_of_the_host_is_out_of_reach() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let program = format!("socket 2 1 0; connect $0 {} @len", v4(Ipv4Addr::LOCALHOST, port));
    for name in &in_a_network_of_its_own() {
        attack(name, &program).refused("connect", &["ECONNREFUSED", "EACCES"]);
    }
    attack(&profile("host-network"), &program).number("connect");
}

#[test]
fn loopback_of_the_host_is_out_of_reach_over_ipv6() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        return skip("ipv6", "this host has no ::1");
    };
    let port = listener.local_addr().expect("an address").port();
    let program = format!("socket 10 1 0; connect $0 {} @len", v6_loopback(port));
    for name in BUILT_IN {
        attack(name, &program).refused(
            "connect",
            &["ECONNREFUSED", "EACCES", "EADDRNOTAVAIL", "ENETUNREACH"],
        );
    }
    attack(&profile("host-network"), &program).number("connect");
}

#[test]
fn datagrams_do_not_reach_the_host() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket
        .set_read_timeout(Some(Duration::from_millis(100)))
        .expect("a timeout");
    let port = socket.local_addr().expect("an address").port();
    let program = format!(
        "socket 2 2 0; sendto $0 @s:leaked 6 0 {} 16",
        v4(Ipv4Addr::LOCALHOST, port)
    );
    let mut buffer = [0; 16];
    for name in BUILT_IN {
        // Sent, into its own loopback, where nobody is.
        assert_eq!(attack(name, &program).of("sendto"), "6", "{name}");
        assert!(socket.recv(&mut buffer).is_err(), "{name}");
    }
    attack(&profile("host-network"), &program).number("sendto");
    assert_eq!(socket.recv(&mut buffer).expect("the datagram"), 6);
}

#[test]
fn no_address_beyond_loopback_has_a_route() {
    // A public name server, the metadata service of clouds, private networks, the way out of a NAT helper; TCP and UDP.
    for address in [
        [8, 8, 8, 8],
        [169, 254, 169, 254],
        [10, 0, 2, 2],
        [192, 168, 0, 1],
        [172, 17, 0, 1],
    ] {
        for kind in [1, 2] {
            let program = format!("socket 2 {kind} 0; connect $0 {} @len", v4(address.into(), 53));
            for name in BUILT_IN {
                attack(name, &program).refused("connect", &["ENETUNREACH", "EACCES"]);
            }
        }
    }
    let program = format!("socket 2 2 0; connect $0 {} @len", v4([8, 8, 8, 8].into(), 53));
    if outside(&program).of("connect") == "ENETUNREACH" {
        return skip("route", "this host has no way out either");
    }
    attack(&profile("host-network"), &program).number("connect");
}

#[test]
fn landlock_stands_behind_the_namespace() {
    // On its own loopback, where the namespace has nothing against it.
    let at = v4(Ipv4Addr::LOCALHOST, 9);
    let program = format!("socket 2 1 0; bind $0 {at} @len; socket 2 1 0; connect $2 {at} @len");
    let strict = attack("strict", &program);
    if landlock() < 4 {
        // There is no such wall, which every run tells (losses.rs); the namespace is all there is.
        strict.refused("connect", &["ECONNREFUSED"]);
    } else {
        strict.refused("bind", &["EACCES"]);
        strict.refused("connect", &["EACCES"]);
    }
    attack(&profile("no-landlock-strict"), &program).refused("connect", &["ECONNREFUSED"]);
}

#[test]
fn a_server_inside_is_not_seen_outside() {
    let connect = |name: &str| {
        // A port that is free on the host, taken inside.
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|l| l.local_addr())
            .expect("a port")
            .port();
        let at = v4(Ipv4Addr::UNSPECIFIED, port);
        let program = format!("socket 2 1 0; bind $0 {at} @len; listen $0 8; sleep 60000");
        let (mut command, _home) = under(name)
            .args(["host", "--", "/attacker", &program])
            .into_command();
        let dir = Dir::new();
        let said = std::fs::File::create(dir.path().join("said")).expect("a file");
        command.stdin(std::process::Stdio::null()).stdout(said);
        let mut server = super::Victim(command.spawn().expect("sbx"));
        within(Duration::from_secs(10), "the server listens", || {
            dir.read("said").contains("listen=")
        });
        assert!(
            dir.read("said").contains("listen=0\n"),
            "{name}: {}",
            dir.read("said")
        );
        let reached = std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        assert!(server.lives(), "{name}");
        reached
    };
    assert!(connect(&profile("host-network")));
    // Strict's Landlock lets nobody be a server: that is off here, so that the namespace stands alone.
    for name in ["default", &profile("no-landlock-strict")] {
        assert!(!connect(name), "{name}");
    }
}

#[test]
fn the_network_cannot_be_configured() {
    // SIOCSIFFLAGS on lo, a route by netlink, a new interface by netlink; with every capability that a profile can keep.
    // RTM_NEWLINK with an acknowledgement: the first interface, loopback, loses IFF_UP. RTM_NEWROUTE: a default route through it.
    let netlink = "netlink-answer 32 0x00050010 1 0 0 1 0 1";
    let route = "netlink-answer 36 0x04050018 1 0 2 0x0100fe03 0 0x00040008 1";
    let ioctl = "socket 2 2 0; ioctl $0 0x8914 @d:28524,0,0,0,0,0,0,0,0,0";
    for program in [netlink, route] {
        attack("strict", program).refused("netlink-answer", &["EAFNOSUPPORT"]);
        attack("default", program).refused("netlink-answer", &["EPERM"]);
        let open = under("default").args(["--cap-add", "NET_ADMIN"]).attack(program);
        assert_eq!(open.number("netlink-answer"), 0, "{program}");
    }
    attack("strict", ioctl).refused("ioctl", &["ENOTTY", "EPERM"]);
    attack("default", ioctl).refused("ioctl", &["EPERM"]);
    under("default")
        .args(["--cap-add", "NET_ADMIN"])
        .attack(ioctl)
        .number("ioctl");
}

#[test]
fn sockets_of_the_host_are_not_listed() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let script = format!("cat /proc/self/net/tcp /proc/self/net/unix 2>/dev/null | grep -c ':{port:04X} '");
    for name in BUILT_IN {
        assert_eq!(under(name).shell(&script).stdout().trim(), "0", "{name}");
    }
    assert_eq!(
        under(&profile("host-network")).shell(&script).stdout().trim(),
        "1"
    );
}

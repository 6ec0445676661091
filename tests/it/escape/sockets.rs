//! Kinds of sockets and their options: each door is tried by really making the call.

use super::kernel::door;
use super::{Attack, BUILT_IN, attack, profile, under};
use crate::util::skip;

#[test]
fn socket_families_are_a_short_list() {
    // unix, inet, inet6; default has route netlink as well.
    let program: String = (0..64)
        .map(|family| format!("socket {family} 1 0; socket {family} 3 0;"))
        .collect();
    let open = |name: &str| {
        let answers = attack(name, &program).all("socket");
        let families = answers.chunks(2).enumerate();
        families
            .filter(|(_, answers)| answers.iter().any(|a| a != "EAFNOSUPPORT"))
            .map(|(family, _)| family)
            .collect::<Vec<_>>()
    };
    assert_eq!(open("strict"), [1, 2, 10]);
    assert_eq!(open("default"), [1, 2, 10, 16]);
    let all = open(&profile("no-seccomp"));
    assert!(
        all.contains(&17),
        "packet sockets reach the kernel without the filter: {all:?}"
    );
}

#[test]
fn af_alg_is_refused() {
    for name in BUILT_IN {
        attack(name, "socket 38 5 0").refused("socket", &["EAFNOSUPPORT"]);
    }
    if attack(&profile("no-seccomp"), "socket 38 5 0").of("socket") == "EAFNOSUPPORT" {
        skip("kernel-af-alg", "this kernel has no AF_ALG, filter or not");
    }
}

#[test]
fn vsock_is_refused() {
    for name in BUILT_IN {
        attack(name, "socket 40 1 0").refused("socket", &["EAFNOSUPPORT"]);
    }
    if attack(&profile("no-seccomp"), "socket 40 1 0").of("socket") == "EAFNOSUPPORT" {
        skip("kernel-vsock", "this kernel has no AF_VSOCK, filter or not");
    }
}

#[test]
fn raw_sockets_and_odd_protocols_are_refused() {
    let program = "socket 2 3 255; socket 10 3 58; socket 17 3 768; socket 2 2 1; socket 2 1 132; socket 2 1 262; socket 16 3 12";
    for name in BUILT_IN {
        let answers = attack(name, program).all("socket");
        assert_eq!(answers, ["EAFNOSUPPORT"; 7], "{name}");
    }
    let open = under(&profile("no-seccomp"))
        .args(["--cap-add", "NET_RAW"])
        .attack(program)
        .all("socket");
    for (answer, what) in open.iter().zip(["raw", "raw IPv6", "packet"]) {
        assert!(answer.parse::<i64>().is_ok(), "{what}: {answer}");
    }
}

#[test]
fn tls_in_the_kernel_is_refused() {
    // TCP_ULP, and the options that follow it. The upper half of an argument does not hide it.
    for (level, option) in [("6", "31"), ("6", "0x100000000000001f"), ("282", "1")] {
        door(
            &format!("socket 2 1 0; setsockopt $0 {level} {option} @s:tls 4"),
            "setsockopt",
            &["EPERM"],
        );
    }
}

#[test]
fn packet_filter_tables_are_refused() {
    // IPT_SO_SET_REPLACE asks for CAP_NET_ADMIN, and says EPERM as well: with that capability it gets further.
    let program = "socket 2 1 0; setsockopt $0 0 64 @z:8 8";
    for name in BUILT_IN {
        under(name)
            .args(["--cap-add", "NET_ADMIN"])
            .attack(program)
            .refused("setsockopt", &["EPERM"]);
    }
    let open = under(&profile("no-seccomp"))
        .args(["--cap-add", "NET_ADMIN"])
        .attack(program);
    assert_ne!(open.of("setsockopt"), "EPERM");
}

#[test]
fn out_of_band_data_is_refused() {
    let program = "socketpair 1 1 0 @z:8; sendto 3 @s:x 1 1 0 0; recvfrom 4 @z:8 1 1 0 0; \
                   sendmsg 3 @w:0,0,0,0,0,0,0 1; recvmsg 4 @w:0,0,0,0,0,0,0 1; \
                   sendmmsg 3 @w:0,0,0,0,0,0,0,0 1 1; recvmmsg 4 @w:0,0,0,0,0,0,0,0 1 1 0";
    let answers = attack("strict", program);
    for step in ["sendto", "recvfrom", "sendmsg", "recvmsg", "sendmmsg", "recvmmsg"] {
        answers.refused(step, &["EOPNOTSUPP"]);
    }
    // Default allows it: some programs want it.
    assert_eq!(attack("default", program).number("sendto"), 1);
}

//! Ways to speak to processes of the host: sockets, queues, shared memory, keys, the terminal.

use super::{
    ALL, Answers, Attack, BUILT_IN, attack, attacker, attacker_command, finish, in_a_network_of_its_own,
    landlock, outside, profile, under, unix,
};
use crate::util::{Dir, Sbx, binary, skip};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::process::Stdio;

/// A name that no other test uses.
fn unique(what: &str) -> String {
    format!("sbx-test-{what}-{}", std::process::id())
}

#[test]
fn abstract_sockets_of_the_host_are_out_of_reach() {
    let name = unique("abstract");
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let _listener = UnixListener::bind_addr(&address).expect("a listener");
    let program = format!("socket 1 1 0; connect $0 {} @len", unix(&format!("\0{name}")));
    for name in &in_a_network_of_its_own() {
        attack(name, &program).refused("connect", &["ECONNREFUSED", "EPERM"]);
    }
    attack(&profile("host-network"), &program).number("connect");
    // The second wall alone: Landlock's scope, in the network of the host.
    let on_the_hosts = |flags: &[&str]| {
        let sbx = under("default").args(["--network", "host"]);
        sbx.args(flags).attack(&program)
    };
    if landlock() < 6 {
        // There is no such wall: it can be reached, which is told, or nothing runs.
        on_the_hosts(&[]).number("connect");
        let told = Sbx::new(["run", "--network", "host", "host", "--", "true"]).out();
        told.code(0)
            .says("landlock-scopes: abstract sockets of the host can be reached");
        let required = on_the_hosts(&["--enforce", "landlock-scopes=require"]).0;
        required.code(125).says("landlock-scopes is required");
    } else {
        on_the_hosts(&[]).refused("connect", &["EPERM"]);
    }
}

#[test]
fn abstract_datagrams_do_not_reach_the_host() {
    let name = unique("datagram");
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let socket = UnixDatagram::bind_addr(&address).expect("a socket");
    socket.set_nonblocking(true).expect("nonblocking");
    let at = unix(&format!("\0{name}"));
    let program = format!(
        "socket 1 2 0; sendto $0 @s:leaked 6 0 {at} {}",
        at.split(',').count()
    );
    for name in BUILT_IN {
        attack(name, &program).refused("sendto", &["ECONNREFUSED", "EPERM"]);
        assert!(socket.recv(&mut [0; 8]).is_err());
    }
    attack(&profile("host-network"), &program).number("sendto");
    assert_eq!(socket.recv(&mut [0; 8]).expect("a datagram"), 6);
}

#[test]
fn sockets_with_a_path_are_out_of_reach() {
    // As podman.sock, the D-Bus socket or ssh-agent's would be.
    let dir = Dir::new();
    let path = dir.path().join("agent");
    let _listener = UnixListener::bind(&path).expect("a listener");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("chmod");
    let program = format!(
        "socket 1 1 0; connect $0 {} @len",
        unix(&path.display().to_string())
    );
    for name in ["strict", "default", "build", &profile("no-landlock-strict")] {
        attack(name, &program).refused("connect", &["ENOENT"]);
    }
    let bind = format!("{0}:{0}:ro", dir.path().display());
    under("default")
        .args(["-v", &bind])
        .attack(&program)
        .number("connect");
}

#[test]
fn no_directory_of_host_sockets_is_shown() {
    // Through every mount but the host's programs, which are many and hold none.
    let script = "find / \\( -path /usr -o -path /opt -o -path /proc \\) -prune -o -type s -print 2>/dev/null; \
                  ls -A /run; ls -A /var/run/ 2>/dev/null; true";
    for name in ALL {
        assert_eq!(under(name).shell(script).ok(), "", "{name}");
    }
    let dir = Dir::new();
    let _listener = UnixListener::bind(dir.path().join("agent")).expect("a listener");
    let bind = format!("{}:/run/shown:ro", dir.path().display());
    let shown = under("default").args(["-v", &bind]).shell(script).ok();
    assert!(shown.starts_with("/run/shown/agent\nshown"), "{shown}");
}

#[test]
fn system_v_shared_memory_of_the_host_is_out_of_reach() {
    let key = 0x5b0_0000 + i64::from(std::process::id());
    // Made with read permission for everybody, and filled by its maker: a byte of zero.
    let made = outside(&format!(
        "shmget {key} 4096 0o1666; msgget {key} 0o1666; semget {key} 1 0o1666"
    ));
    made.number("shmget");
    let program = format!("shared-memory {key}; msgget {key} 0; semget {key} 0 0");
    let reached = outside(&program);
    for step in ["shared-memory", "msgget", "semget"] {
        attack("strict", &program).refused(step, &["ENOSYS"]);
        attack("default", &program).refused(step, &["ENOENT"]);
        attack(&profile("no-seccomp"), &program).refused(step, &["ENOENT"]);
        reached.number(step);
    }
    outside(&format!(
        "shmget {key} 0 0; shmctl $0 0 0; msgget {key} 0; msgctl $2 0 0; semget {key} 0 0; semctl $4 0 0"
    ));
}

#[test]
fn message_queues_of_the_host_are_out_of_reach() {
    let name = unique("queue");
    outside(&format!("mq_open @s:{name} 0o102 0o666 0")).number("mq_open");
    let program = format!("mq_open @s:{name} 0 0 0");
    attack("strict", &program).refused("mq_open", &["ENOSYS"]);
    attack("default", &program).refused("mq_open", &["ENOENT"]);
    attack(&profile("no-seccomp"), &program).refused("mq_open", &["ENOENT"]);
    let reached = outside(&format!("{program}; mq_unlink @s:{name}"));
    reached.number("mq_open");
}

#[test]
fn posix_shared_memory_of_the_host_is_out_of_reach() {
    let name = unique("shm");
    let path = format!("/dev/shm/{name}");
    std::fs::write(&path, "shared").expect("/dev/shm");
    let program = format!("openat -100 @s:{path} 0");
    for name in ALL {
        attack(name, &program).refused("openat", &["ENOENT"]);
    }
    outside(&program).number("openat");
    std::fs::remove_file(&path).expect("remove");
}

#[test]
fn keys_of_the_caller_s_session_are_out_of_reach() {
    let name = unique("key");
    // KEYCTL_SEARCH in the session keyring, and the search that request_key does.
    let program = format!("keyctl 10 -3 @s:user @s:{name} 0; request_key @s:user @s:{name} 0 0");
    let keeper = |sandbox: Option<&str>| {
        let mut command = attacker_command(["as:keeper", &name]);
        if let Some(profile) = sandbox {
            let bind = format!("{}:/attacker:ro", attacker().display());
            command.arg(binary()).args([
                "run",
                "--quiet",
                "--profile",
                profile,
                "-v",
                &bind,
                "host",
                "--",
                "/attacker",
            ]);
        } else {
            command.arg(attacker());
        }
        Answers(finish(
            command.arg(&program).current_dir("/").stdin(Stdio::null()),
        ))
    };
    for step in ["keyctl", "request_key"] {
        for name in BUILT_IN {
            keeper(Some(name)).refused(step, &["ENOSYS"]);
        }
        // Where the filter is off, the keyring is still a fresh one.
        for name in ["no-seccomp", "no-seccomp-default"] {
            keeper(Some(&profile(name))).refused(step, &["ENOKEY"]);
        }
        keeper(None).number(step);
    }
}

#[test]
fn keys_of_the_caller_s_user_are_out_of_reach() {
    let name = unique("user-key");
    // The user keyring, which no session has to link.
    outside(&format!("add_key @s:user @s:{name} @s:x 1 -4")).number("add_key");
    let program = format!("keyctl 10 -4 @s:user @s:{name} 0");
    for name in BUILT_IN {
        attack(name, &program).refused("keyctl", &["ENOSYS"]);
    }
    attack(&profile("no-seccomp"), &program).refused("keyctl", &["ENOKEY"]);
    // The same search inside finds what was put there.
    let inside = format!("add_key @s:user @s:{name} @s:x 1 -4; {program}");
    attack(&profile("no-seccomp"), &inside).number("keyctl");
    let found = outside(&format!("{program}; keyctl 9 $0 -4"));
    assert!(
        found
            .all("keyctl")
            .first()
            .is_some_and(|key| key.parse::<i64>().is_ok())
    );
}

/// Runs the attack on a terminal, and gives what was typed into it.
fn typed(sandbox: Option<&[&str]>, program: &str) -> String {
    let mut command = attacker_command(["as:terminal"]);
    if let Some(flags) = sandbox {
        let bind = format!("{}:/attacker:ro", attacker().display());
        command
            .arg(binary())
            .args(["run", "--quiet", "-v", &bind])
            .args(flags)
            .args(["host", "--", "/attacker"]);
    } else {
        command.arg(attacker());
    }
    let out = Answers(finish(command.arg(program).current_dir("/").stdin(Stdio::null())));
    // The attack ran at all.
    assert!(
        out.0.stdout().contains("ioctl="),
        "{}{}",
        out.0.stdout(),
        out.0.stderr()
    );
    out.of("typed")
}

#[test]
fn cve_2017_5226_nothing_is_typed_into_the_terminal() {
    // TIOCSTI on every standard stream and on /dev/tty; the upper half of the request must not hide it (CVE-2019-10063).
    let program = "ioctl 0 0x5412 @s:x; ioctl 1 0x5412 @s:x; ioctl 2 0x5412 @s:x; \
                   openat -100 @s:/dev/tty 2; ioctl $3 0x5412 @s:x; ioctl 0 0x100005412 @s:x";
    let no_seccomp = profile("no-seccomp");
    for name in ["strict", "default", "build", &no_seccomp] {
        for flags in [
            &["--profile", name][..],
            &["--profile", name, "-t"],
            &["--profile", name, "--init=false"],
        ] {
            assert_eq!(typed(Some(flags), program), "\"\"", "{flags:?}");
        }
    }
    for name in BUILT_IN {
        let answers = under(name).args(["-t"]).attack(program).all("ioctl");
        assert_eq!(answers.len(), 5, "{name}");
        for answer in answers {
            assert!(answer == "EPERM" || answer == "ENOTTY", "{name}: {answer}");
        }
    }
    if typed(None, program) == "\"\"" {
        skip(
            "tiocsti",
            "this kernel has dev.tty.legacy_tiocsti = 0: nothing is typed outside either",
        );
    }
}

#[test]
fn cve_2023_28100_tioclinux_is_refused() {
    for name in BUILT_IN {
        under(name)
            .args(["-t"])
            .attack("ioctl 0 0x541c @b:3; ioctl 0 0x10000541c @b:3")
            .refused("ioctl", &["EPERM", "ENOTTY"]);
    }
    let open = under(&profile("no-seccomp"))
        .args(["-t"])
        .attack("ioctl 0 0x541c @b:3")
        .of("ioctl");
    assert_ne!(open, "EPERM");
}

#[test]
fn the_caller_s_terminal_is_never_held() {
    // What the payload has is a pseudo-terminal of its own: another device number, and no way to the caller's by name.
    let program = "ioctl 0 0x5401 @z:64; fds; readlink @s:/proc/self/fd/0 @z:64 64; openat -100 @s:/dev/pts/1 2; openat -100 @s:/dev/console 2";
    let mut command = attacker_command(["as:terminal"]);
    let bind = format!("{}:/attacker:ro", attacker().display());
    command.arg(binary()).args([
        "run",
        "--quiet",
        "--profile",
        "strict",
        "-v",
        &bind,
        "host",
        "--",
        "/attacker",
        program,
    ]);
    let out = Answers(finish(command.current_dir("/").stdin(Stdio::null())));
    assert!(out.0.stdout().contains("fd 0 /dev/pts/0"), "{}", out.0.stdout());
    let opened: Vec<String> = out.all("openat").iter().map(|a| a.trim().to_owned()).collect();
    assert_eq!(opened, ["ENOENT", "ENOENT"]);
    // The device behind it, told by the caller's shell and then by whoever is called.
    let device = "stat -Lc dev=%d:%i /dev/fd/0";
    let sbx = binary().display().to_string();
    let twice = |call: &str| {
        let mut command = attacker_command(["as:terminal", "sh", "-c"]);
        let script = format!("{device}; {call} {device}");
        let out = Answers(finish(command.arg(script).current_dir("/").stdin(Stdio::null())));
        let seen = out.all("dev");
        assert_eq!(seen.len(), 2, "{}", out.0.stdout());
        seen
    };
    for name in ALL {
        for flags in ["", "-t"] {
            let seen = twice(&format!("{sbx} run --quiet --profile {name} {flags} host --"));
            assert_ne!(seen[0], seen[1], "{name} {flags}");
        }
    }
    let plain = twice("env");
    assert_eq!(plain[0], plain[1], "a plain child holds it");
}

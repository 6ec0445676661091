//! Unix sockets in the directories that a sandbox shows: strict closes them, whether they can be written or not.

use super::{ALL, Answers, Attack, under, unix};
use crate::util::{Dir, Sbx};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;

/// What a connection is answered with: by the mask, or by Landlock.
const CLOSED: [&str; 2] = ["ECONNREFUSED", "EACCES"];

fn for_everybody(path: &Path) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o777)).expect("chmod");
}

/// A project with a listening socket in a directory of it, as an editor or an agent has one.
fn project() -> (Dir, UnixListener, UnixDatagram) {
    let dir = Dir::open();
    std::fs::create_dir_all(dir.path().join(".editor/run")).expect("mkdir");
    let (stream, datagram) = (dir.path().join(".editor/run/s"), dir.path().join("d"));
    let listener = UnixListener::bind(&stream).expect("a listener");
    let socket = UnixDatagram::bind(&datagram).expect("a socket");
    socket.set_nonblocking(true).expect("nonblocking");
    for path in [stream, datagram] {
        for_everybody(&path);
    }
    (dir, listener, socket)
}

fn program(top: &Path) -> String {
    let at = |name: &str| unix(&top.join(name).display().to_string());
    let datagram = at("d");
    format!(
        "socket 1 1 0; connect $0 {} @len; socket 1 2 0; sendto $2 @s:leaked 6 0 {datagram} {}",
        at(".editor/run/s"),
        datagram.split(',').count()
    )
}

#[test]
fn sockets_in_shown_directories_are_closed_in_strict() {
    let (dir, _listener, socket) = project();
    let own = dir.path();
    let shown = |how: &str| format!("{}:/shown:{how}", own.display());
    let run = |profile: &str, how: &str, flags: &[&str]| -> Answers {
        let sbx = under(profile).args(flags);
        match how {
            "workdir" => sbx.within(own).attack(&program(own)),
            how => sbx
                .args(["-v", &shown(how)])
                .attack(&program(Path::new("/shown"))),
        }
    };
    for how in ["workdir", "ro", "rw"] {
        let answers = run("strict", how, &[]);
        answers.refused("connect", &CLOSED);
        answers.refused("sendto", &CLOSED);
        assert!(socket.recv(&mut [0; 8]).is_err(), "{how}");
        // Without the protection, and in profiles that leave it off.
        for name in ALL {
            let open = run(name, how, &["--enforce", "host-sockets=off"]);
            open.number("connect");
            open.number("sendto");
            assert_eq!(socket.recv(&mut [0; 8]).expect("a datagram"), 6, "{name} {how}");
        }
        for name in ["default", "build"] {
            run(name, how, &[]).number("connect");
            assert_eq!(socket.recv(&mut [0; 8]).expect("a datagram"), 6, "{name} {how}");
            run(name, how, &["--enforce", "host-sockets=require"]).refused("connect", &CLOSED);
        }
    }
}

#[test]
fn socket_that_a_flag_names_can_be_used_in_strict() {
    let (dir, _listener, _socket) = project();
    let named = format!("{}:/agent", dir.path().join(".editor/run/s").display());
    let program = format!("socket 1 1 0; connect $0 {} @len", unix("/agent"));
    under("strict")
        .args(["-v", &named])
        .attack(&program)
        .number("connect");
}

#[test]
fn directory_that_is_too_large_to_search_is_named() {
    let dir = Dir::new();
    for number in 0..600 {
        std::fs::create_dir(dir.path().join(number.to_string())).expect("mkdir");
    }
    let run = |level: &str| {
        let flags = [
            "run",
            "--profile",
            "strict",
            "--enforce",
            level,
            "host",
            "--",
            "true",
        ];
        Sbx::new(flags).within(dir.path()).out()
    };
    if super::landlock() >= 9 {
        run("host-sockets=require").code(0);
        return;
    }
    let name = dir.path().display().to_string();
    run("host-sockets=prefer")
        .code(0)
        .says("host-sockets: unix sockets deep in ")
        .says(&name);
    run("host-sockets=require")
        .code(125)
        .says("host-sockets is required")
        .says(&name);
}

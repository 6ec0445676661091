//! A transient scope of the user's systemd, into which this process goes: a cgroup that is delegated to it.
//!
//! One call over the session bus, and the wait for its job. A library for D-Bus would be many times the size of what is said here.

mod wire;

use crate::model::HostPath;
use crate::sys::Errno;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use wire::{Call, Message, Value};

/// How long systemd may take. It answers in a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
const TOP: &str = "/sys/fs/cgroup";

/// Moves this process into a scope of its own. Where that is.
pub(super) fn enter(bus: &HostPath) -> Result<HostPath, Errno> {
    let until = Instant::now() + PATIENCE;
    let mut socket = UnixStream::connect(bus.as_path()).map_err(errno)?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(errno)?;
    authenticate(&mut socket)?;
    // Its number alone is taken again by a later process while systemd still removes the scope of the earlier.
    let nanos = std::time::UNIX_EPOCH.elapsed().map_or(0, |t| t.subsec_nanos());
    // And a name that `cgroup::sweep` does not take for what a run has left: a later cgroup may lie beside this scope.
    let unit = format!("run-sbx-{}-{nanos:08x}.scope", std::process::id());
    for (serial, call) in (1..).zip(calls(&unit)) {
        socket.write_all(&call.bytes(serial)).map_err(errno)?;
    }
    while Instant::now() < until {
        let message = receive(&mut socket)?;
        match message {
            // No systemd behind the bus, or one that refuses: there is no scope to wait for.
            Message::Error => return Err(Errno::EPERM),
            Message::JobRemoved { unit: of, result } if of == unit => {
                return if result == "done" {
                    here()
                } else {
                    Err(Errno::EPERM)
                };
            }
            _ => {}
        }
    }
    Err(Errno::ETIMEDOUT)
}

fn errno(error: std::io::Error) -> Errno {
    match error.kind() {
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => Errno::ETIMEDOUT,
        _ => error.raw_os_error().map_or(Errno::EPROTO, Errno::from_raw),
    }
}

/// The D-Bus specification, "Authentication Protocol": the kernel tells the other side who we are.
fn authenticate(socket: &mut UnixStream) -> Result<(), Errno> {
    let uid = nix::unistd::geteuid().to_string();
    let hex: String = uid.bytes().map(|b| format!("{b:02x}")).collect();
    socket
        .write_all(format!("\0AUTH EXTERNAL {hex}\r\n").as_bytes())
        .map_err(errno)?;
    let mut line = Vec::new();
    // Byte for byte: what comes after the line belongs to somebody else.
    while !line.ends_with(b"\r\n") && line.len() < 1024 {
        let mut byte = [0];
        socket.read_exact(&mut byte).map_err(errno)?;
        line.extend(byte);
    }
    if !line.starts_with(b"OK ") {
        return Err(Errno::EACCES);
    }
    socket.write_all(b"BEGIN\r\n").map_err(errno)
}

fn calls(unit: &str) -> [Call; 3] {
    const DBUS: &str = "org.freedesktop.DBus";
    const SYSTEMD: &str = "org.freedesktop.systemd1";
    const MANAGER: &str = "org.freedesktop.systemd1.Manager";
    let pid = std::process::id();
    let words = format!("sbx {pid}");
    let rule = format!("type='signal',interface='{MANAGER}',member='JobRemoved'");
    let to = |destination, path, interface, member| Call::new([destination, path, interface, member]);
    [
        to(DBUS, "/org/freedesktop/DBus", DBUS, "Hello"),
        to(DBUS, "/org/freedesktop/DBus", DBUS, "AddMatch").with("s", &[Value::Text(&rule)]),
        to(
            SYSTEMD,
            "/org/freedesktop/systemd1",
            MANAGER,
            "StartTransientUnit",
        )
        .with(
            "ssa(sv)a(sa(sv))",
            &[
                Value::Text(unit),
                Value::Text("fail"),
                Value::Properties(&[
                    ("Description", Value::Text(&words)),
                    ("Delegate", Value::Bool(true)),
                    ("PIDs", Value::Numbers(&[pid])),
                    // A scope that failed is kept until somebody asks why, which nobody will.
                    ("CollectMode", Value::Text("inactive-or-failed")),
                ]),
                Value::None,
            ],
        ),
    ]
}

fn receive(socket: &mut UnixStream) -> Result<Message, Errno> {
    let mut head = [0; wire::HEAD];
    socket.read_exact(&mut head).map_err(errno)?;
    let (fields, body) = wire::lengths(&head).ok_or(Errno::EPROTO)?;
    let mut rest = vec![0; fields.next_multiple_of(8) + body];
    socket.read_exact(&mut rest).map_err(errno)?;
    let (fields, body) = (rest.get(..fields), rest.get(fields.next_multiple_of(8)..));
    Ok(wire::message(
        &head,
        fields.unwrap_or_default(),
        body.unwrap_or_default(),
    ))
}

/// The cgroup that this process is in now.
fn here() -> Result<HostPath, Errno> {
    let own = std::fs::read_to_string("/proc/self/cgroup").map_err(errno)?;
    let path = own
        .lines()
        .find_map(|line| line.strip_prefix("0::/"))
        .ok_or(Errno::ENOENT)?;
    HostPath::new(PathBuf::from(TOP).join(path)).map_err(|_| Errno::ENOENT)
}

//! A transient scope of the user's systemd, into which this process goes: a cgroup that is delegated to it.
//!
//! One call over the session bus, and the wait for its job. A library for D-Bus would be many times the size of what is said here.

mod wire;

use crate::model::HostPath;
use crate::sys::Errno;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use wire::{Call, Message, Value};

/// How long systemd may take. It answers in a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
const TOP: &str = "/sys/fs/cgroup";
/// Where a systemd listens itself, in the directory of what runs: root's, whose bus is elsewhere, is asked here only.
const MANAGER: &str = "systemd/private";

/// A scope that was asked for, which ends with this process. While systemd makes it there are other things to do.
#[derive(Debug)]
pub(super) struct Asked {
    socket: UnixStream,
    unit: String,
}

/// Asks for a scope of its own for this process, which has these controllers.
pub(super) fn ask(bus: &HostPath, controllers: &[&str]) -> Result<Asked, Errno> {
    // Its number alone is taken again by a later process while systemd still removes the scope of the earlier.
    let nanos = std::time::UNIX_EPOCH.elapsed().map_or(0, |t| t.subsec_nanos());
    // And a name that `cgroup::sweep` does not take for what a run has left: a later cgroup may lie beside this scope.
    let unit = format!("run-sbx-{}-{nanos:08x}.scope", std::process::id());
    let (mut socket, said) = reached(bus, start(&unit, controllers))?;
    socket.write_all(&said).map_err(errno)?;
    Ok(Asked { socket, unit })
}

impl Asked {
    /// Waits until this process is in it. Where that is.
    pub(super) fn entered(self) -> Result<HostPath, Errno> {
        wait(&self.socket, &self.unit, PATIENCE, || here(&self.unit))
    }
}

/// The manager itself where its own socket is, as systemctl(1) does it: half of the way is left out, and a bus that is somebody else's.
/// With it, what is to be said there.
fn reached(bus: &HostPath, start: Call) -> Result<(UnixStream, Vec<u8>), Errno> {
    let given = bus.as_path();
    let alone = given.ends_with(MANAGER);
    let manager = if alone {
        given.to_owned()
    } else {
        given.with_file_name(MANAGER)
    };
    match UnixStream::connect(manager) {
        Ok(socket) => return Ok((socket, words(&[start]))),
        Err(error) if alone => return Err(errno(error)),
        Err(_) => {}
    }
    let socket = UnixStream::connect(given).map_err(errno)?;
    let [hello, listen] = introduction();
    Ok((socket, words(&[hello, listen, start])))
}

/// Hears what is answered until this process has been moved, of which the manager itself tells before it tells that the job is done.
fn wait(
    socket: &UnixStream,
    unit: &str,
    patience: Duration,
    place: impl Fn() -> Result<HostPath, Errno>,
) -> Result<HostPath, Errno> {
    let until = Instant::now() + patience;
    socket.set_read_timeout(Some(patience)).map_err(errno)?;
    let mut answers = BufReader::new(socket);
    authenticated(&mut answers)?;
    while Instant::now() < until {
        match receive(&mut answers)? {
            // No systemd behind the bus, or one that refuses: there is no scope to wait for.
            Message::Error => return Err(Errno::EPERM),
            Message::JobRemoved { unit: of, result } if of == unit => {
                return if result == "done" {
                    place()
                } else {
                    Err(Errno::EPERM)
                };
            }
            _ => {
                if let Ok(place) = place() {
                    return Ok(place);
                }
            }
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

/// The D-Bus specification, "Authentication Protocol": the kernel tells the other side who we are, so nothing is waited for in between.
fn words(calls: &[Call]) -> Vec<u8> {
    let uid = nix::unistd::geteuid().to_string();
    let hex: String = uid.bytes().map(|b| format!("{b:02x}")).collect();
    let mut said = format!("\0AUTH EXTERNAL {hex}\r\nBEGIN\r\n").into_bytes();
    for (serial, call) in (1..).zip(calls) {
        said.extend(call.bytes(serial));
    }
    said
}

fn authenticated(answers: &mut BufReader<&UnixStream>) -> Result<(), Errno> {
    let mut line = Vec::new();
    answers
        .by_ref()
        .take(1024)
        .read_until(b'\n', &mut line)
        .map_err(errno)?;
    line.starts_with(b"OK ").then_some(()).ok_or(Errno::EACCES)
}

/// What only a bus wants to hear: who speaks, and that the ends of jobs are to be told.
fn introduction() -> [Call; 2] {
    const DBUS: &str = "org.freedesktop.DBus";
    const RULE: &str = "type='signal',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";
    let to = |member| Call::new([DBUS, "/org/freedesktop/DBus", DBUS, member]);
    [to("Hello"), to("AddMatch").with("s", &[Value::Text(RULE)])]
}

fn start(unit: &str, controllers: &[&str]) -> Call {
    let pid = std::process::id();
    let description = format!("sbx {pid}");
    Call::new([
        "org.freedesktop.systemd1",
        "/org/freedesktop/systemd1",
        "org.freedesktop.systemd1.Manager",
        "StartTransientUnit",
    ])
    .with(
        "ssa(sv)a(sa(sv))",
        &[
            Value::Text(unit),
            Value::Text("fail"),
            Value::Properties(&[
                ("Description", Value::Text(&description)),
                // And no others: systemd gives each on from the top, and takes it back behind the scope, which has the kernel wait for
                // every process of the user's each time.
                ("DelegateControllers", Value::Texts(controllers)),
                ("PIDs", Value::Numbers(&[pid])),
                // What may be is said by the sandbox's own cgroup. Not said here, a scope has less than the session that it was in
                // (systemd-system.conf(5), DefaultTasksMax=).
                ("TasksMax", Value::Number(u64::MAX)),
                // A scope that failed is kept until somebody asks why, which nobody will.
                ("CollectMode", Value::Text("inactive-or-failed")),
            ]),
            Value::None,
        ],
    )
}

fn receive(answers: &mut BufReader<&UnixStream>) -> Result<Message, Errno> {
    let mut head = [0; wire::HEAD];
    answers.read_exact(&mut head).map_err(errno)?;
    let (fields, body) = wire::lengths(&head).ok_or(Errno::EPROTO)?;
    let mut rest = vec![0; fields.next_multiple_of(8) + body];
    answers.read_exact(&mut rest).map_err(errno)?;
    let (fields, body) = (rest.get(..fields), rest.get(fields.next_multiple_of(8)..));
    Ok(wire::message(
        &head,
        fields.unwrap_or_default(),
        body.unwrap_or_default(),
    ))
}

/// The cgroup that this process is in now: that scope, or nobody has moved it.
fn here(unit: &str) -> Result<HostPath, Errno> {
    let own = std::fs::read_to_string("/proc/self/cgroup").map_err(errno)?;
    let path = own
        .lines()
        .find_map(|line| line.strip_prefix("0::/"))
        .filter(|path| path.ends_with(unit))
        .ok_or(Errno::ENOENT)?;
    HostPath::new(PathBuf::from(TOP).join(path)).map_err(|_| Errno::ENOENT)
}

#[cfg(test)]
mod tests;

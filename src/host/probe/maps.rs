//! newuidmap and newgidmap, started for a child that does nothing: only they know what they accept.

use super::trial::{PATIENCE, readable};
use crate::model::host::{Caller, Host};
use crate::model::{HostPath, IdRange};
use crate::sys::process::{self, CloneFlags, Side, Status, Strings};
use crate::sys::{self, cred, fs, socket};
use nix::fcntl::OFlag;
use std::ffi::CString;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// What newuidmap says about a map fits in one line; no more of it is read.
const MOST_SAID: u64 = 512;

/// The shell's exit code for a command that is not there.
const CANNOT_START: i32 = 127;

/// Has the helpers write the maps of a run with a range. `None`: there is nothing to try, since root writes maps itself, or a helper
/// or sub-ids are missing.
pub(super) fn attempt(host: &Host) -> Option<Result<(), String>> {
    let helpers = &host.id_helpers;
    let Caller {
        uid,
        gid,
        writes_maps: false,
        ..
    } = host.caller
    else {
        return None;
    };
    let (newuidmap, newgidmap) = (helpers.newuidmap.ready()?, helpers.newgidmap.ready()?);
    let (subuid, subgid) = (&helpers.subuid, &helpers.subgid);
    if subuid.is_empty() || subgid.is_empty() {
        return None;
    }
    Some(with_a_namespace(|pid| {
        run(newuidmap, pid, uid, subuid)?;
        run(newgidmap, pid, gid, subgid)
    }))
}

/// A child in a user namespace of its own, for as long as `body` takes.
fn with_a_namespace(body: impl FnOnce(i32) -> Result<(), String>) -> Result<(), String> {
    match process::clone_into(CloneFlags(libc::CLONE_NEWUSER as u64), None) {
        Err(errno) => Err(format!("no user namespace to map: {errno}")),
        Ok(Side::Child) => {
            let _ = cred::die_with_parent();
            // Ends by itself, should neither kill reach it.
            let _ = socket::poll(&mut [], 60_000);
            process::exit_now(0)
        }
        Ok(Side::Parent(child, pid)) => {
            let answer = body(pid);
            let _ = process::signal_pidfd(child.as_fd(), libc::SIGKILL);
            let _ = process::wait(pid, true, false);
            answer
        }
    }
}

/// Only numbers follow the helper's name, and its environment is empty, as in a run.
fn run(helper: &HostPath, pid: i32, own: u32, subs: &[IdRange]) -> Result<(), String> {
    let name = helper.as_path().file_name().unwrap_or_default();
    let name = name.display().to_string();
    let c_string = |bytes: &[u8]| CString::new(bytes).map_err(|e| e.to_string());
    let path = c_string(helper.as_path().as_os_str().as_bytes())?;
    let mut arguments = vec![path.clone()];
    let mut numbers = vec![pid.unsigned_abs(), 0, own, 1];
    let mut inside: u32 = 1;
    for sub in subs {
        numbers.extend([inside, sub.host, sub.count]);
        inside = inside.saturating_add(sub.count);
    }
    for number in numbers {
        arguments.push(c_string(number.to_string().as_bytes())?);
    }
    let (arguments, environment) = (Strings::new(arguments), Strings::new(Vec::new()));
    let (reader, writer) =
        nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(|e| e.to_string())?;
    match process::fork() {
        Err(errno) => Err(format!("cannot start {name}: {errno}")),
        Ok(Side::Child) => {
            let _ = cred::die_with_parent();
            if streams(&writer).is_ok() {
                process::execute(&path, &arguments, &environment);
            }
            process::exit_now(CANNOT_START)
        }
        Ok(Side::Parent(child, pid)) => {
            drop(writer);
            finish(&name, &child, pid, reader)
        }
    }
}

/// What it says on standard error is kept, and nothing else is given to it.
fn streams(writer: &OwnedFd) -> sys::Result<()> {
    let null = fs::open(c"/dev/null", libc::O_RDWR)?;
    fs::duplicate_onto(null.as_fd(), 0)?;
    fs::duplicate_onto(null.as_fd(), 1)?;
    fs::duplicate_onto(writer.as_fd(), 2)
}

fn finish(name: &str, child: &OwnedFd, pid: i32, reader: OwnedFd) -> Result<(), String> {
    let in_time = readable(child.as_fd(), PATIENCE);
    if !in_time {
        // It runs as root, but its real user id is the caller's: kill(2) allows that.
        let _ = process::signal_pidfd(child.as_fd(), libc::SIGKILL);
    }
    match process::wait(pid, true, false) {
        _ if !in_time => Err(format!("{name} took more than five seconds")),
        Ok(Some((_, Status::Exited(0), _))) => Ok(()),
        Ok(Some((_, Status::Exited(CANNOT_START), _))) => Err(format!("{name} cannot be started")),
        _ => Err(format!("{name} refused the map: {}", said(reader))),
    }
}

fn said(reader: OwnedFd) -> String {
    let mut bytes = Vec::new();
    // The helper has ended: what is in the pipe is all that it said.
    let _ = std::fs::File::from(reader)
        .take(MOST_SAID)
        .read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> (tempfile::TempDir, HostPath) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("helper");
        sys::script::write(&path, &format!("#!/bin/sh\n{text}\n"));
        let path = HostPath::new(path).expect("a path");
        (dir, path)
    }

    fn run_script(text: &str) -> Result<(), String> {
        let (_dir, path) = script(text);
        let sub = IdRange {
            inside: 0,
            host: 100_000,
            count: 65536,
        };
        run(&path, 77, 1000, &[sub])
    }

    #[test]
    fn a_helper_is_told_the_map_and_nothing_else() {
        assert_eq!(
            run_script("test \"$*\" = '77 0 1000 1 1 100000 65536' && test -z \"$HOME\""),
            Ok(())
        );
        let refused = run_script("echo 'uid range [0-1) not allowed' >&2; exit 1");
        assert_eq!(
            refused,
            Err("helper refused the map: uid range [0-1) not allowed".into())
        );
    }

    #[test]
    fn a_helper_that_talks_or_hangs_does_not_hold_doctor_up() {
        // More than a pipe holds; its writes fail instead of blocking.
        let talker = run_script("head -c 200000 /dev/zero | tr '\\0' x >&2; exit 1");
        assert!(talker.is_err_and(|e| e.len() < 600));
        assert_eq!(
            run_script("exec sleep 60"),
            Err("helper took more than five seconds".into())
        );
        let missing = HostPath::new("/no/such/helper").expect("a path");
        let sub = IdRange {
            inside: 0,
            host: 1,
            count: 1,
        };
        assert_eq!(
            run(&missing, 77, 1000, &[sub]),
            Err("helper cannot be started".into())
        );
    }
}

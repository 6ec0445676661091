//! What is said to a bus, and each way in which it may not do it.

use super::*;
use answers::{message, removed};

#[path = "../../../tests/it/util/bus.rs"]
mod answers;

const UNIT: &str = "run-sbx-7-00000001.scope";
const OK: &[u8] = b"OK 0123456789abcdef0123456789abcdef\r\n";

/// The end of a conversation in which the other side has said all this, and then nothing, or nothing any more. `moved`: at which look
/// this process is in the scope.
fn heard(answers: &[&[u8]], gone: bool, moved: usize) -> Result<(), Errno> {
    let (ours, mut theirs) = UnixStream::pair().expect("a pair");
    theirs.write_all(&answers.concat()).expect("written");
    if gone {
        theirs.shutdown(std::net::Shutdown::Write).expect("shut");
    }
    let looks = std::cell::Cell::new(0);
    let place = || {
        looks.set(looks.get() + 1);
        match looks.get() >= moved {
            true => HostPath::new("/moved").map_err(|_| Errno::EINVAL),
            false => Err(Errno::ENOENT),
        }
    };
    wait(&ours, UNIT, Duration::from_millis(50), place).map(drop)
}

#[test]
fn each_end_of_a_conversation() {
    let (done, other) = (removed(UNIT, "done"), removed("other.scope", "failed"));
    let (failed, canceled) = (removed(UNIT, "failed"), removed(UNIT, "canceled"));
    let (error, reply) = (message(3, b"", b""), message(2, b"\x05\x01u\0\x01\0\0\0", b""));
    for (answers, gone, expected) in [
        (&[OK, &reply, &reply, &done][..], false, Ok(())),
        (&[OK, &other, &done], false, Ok(())),
        (&[OK, &reply, &error, &done], false, Err(Errno::EPERM)),
        (&[OK, &failed], false, Err(Errno::EPERM)),
        (&[OK, &canceled], false, Err(Errno::EPERM)),
        (&[b"REJECTED EXTERNAL\r\n"], false, Err(Errno::EACCES)),
        (&[], true, Err(Errno::EACCES)),
        (&[b"OK"], true, Err(Errno::EACCES)),
        (&[OK], true, Err(Errno::EPROTO)),
        (&[OK, &done[..done.len() - 1]], true, Err(Errno::EPROTO)),
        // Another byte order, and no message at all.
        (
            &[OK, b"B\x04\0\x01\0\0\0\0\0\0\0\0\0\0\0\0"],
            false,
            Err(Errno::EPROTO),
        ),
        (&[OK, b"garbage that is long enough"], false, Err(Errno::EPROTO)),
        (&[&[b'x'; 4096]], false, Err(Errno::EACCES)),
        // Somebody else's end, and silence: not for ever.
        (&[OK, &other], false, Err(Errno::ETIMEDOUT)),
        (&[], false, Err(Errno::ETIMEDOUT)),
    ] {
        // At the last answer, as a bus tells nothing else.
        let moved = expected.map_or(usize::MAX, |()| answers.len() - 1);
        assert_eq!(
            heard(answers, gone, moved),
            expected,
            "{:?}",
            answers.concat().escape_ascii().to_string()
        );
    }
}

#[test]
fn a_process_that_is_there_waits_for_no_end_of_the_job() {
    let (done, other) = (removed(UNIT, "done"), removed("other.scope", "failed"));
    assert_eq!(heard(&[OK, &other], false, 1), Ok(()));
    assert_eq!(heard(&[OK, &other, &other], false, 2), Ok(()));
    assert_eq!(heard(&[OK, &other, &other], false, 3), Err(Errno::ETIMEDOUT));
    // A job that is done and has moved nobody.
    assert_eq!(heard(&[OK, &done], false, 2), Err(Errno::ENOENT));
}

#[test]
fn a_bus_is_introduced_to_and_a_manager_is_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let bus = HostPath::new(dir.path().join("bus")).expect("a path");
    let call = || start(UNIT, &["memory", "pids"]);
    assert_eq!(reached(&bus, call()).map(drop), Err(Errno::ENOENT));
    let listen =
        |name: &str| std::os::unix::net::UnixListener::bind(dir.path().join(name)).expect("a socket");
    let said = || {
        let (_, said) = reached(&bus, call()).expect("a socket");
        String::from_utf8_lossy(&said).into_owned()
    };
    let _bus = listen("bus");
    let told = said();
    assert!(
        told.starts_with("\0AUTH EXTERNAL 3") && told.contains("\r\nBEGIN\r\nl\x01"),
        "{told:?}"
    );
    for word in [
        "Hello",
        "AddMatch",
        "StartTransientUnit",
        UNIT,
        "DelegateControllers",
        "pids",
    ] {
        assert!(told.contains(word), "{word}: {told:?}");
    }
    std::fs::create_dir(dir.path().join("systemd")).expect("a directory");
    let manager = listen("systemd/private");
    let told = said();
    assert!(told.contains("StartTransientUnit") && !told.contains("Hello") && !told.contains("AddMatch"));
    // One that is dead has left its socket.
    drop(manager);
    assert!(said().contains("Hello"));
}

#[test]
fn a_job_that_is_done_has_moved_this_process() {
    assert_eq!(here(UNIT), Err(Errno::ENOENT));
}

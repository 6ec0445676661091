//! Blobs: cut, resumed, too long, too short, other than announced.

use super::server::{Asked, Reply, Server};
use super::{Reach, content, descriptor, fails};
use sbx::image::registry::Error;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const SIZE: usize = 300_000;

/// Fetches [`content`] into a file that begins with `there`; what is in the file then, and what was said.
fn fetch(server: &Server, there: &[u8]) -> (Vec<u8>, Result<(), Error>) {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(there).expect("room");
    let done = Reach::plain(server)
        .client()
        .blob(&descriptor(&content(SIZE)), &file, &|_| {});
    (bytes(&mut file), done)
}

fn bytes(file: &mut File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.rewind().expect("a file");
    file.read_to_end(&mut bytes).expect("a file");
    bytes
}

/// An honest answer to a range.
fn part(asked: &Asked, until: usize) -> Reply {
    let all = content(SIZE);
    match asked.from() {
        None => Reply::ok(&all),
        Some(from) => Reply::new(206)
            .header("Content-Range", format!("bytes {from}-{}/{SIZE}", until - 1))
            .body(&all[from..until]),
    }
}

/// A whole body of this length is announced, and this comes.
fn announced(length: usize, body: &[u8]) -> Reply {
    Reply::new(200).header("Content-Length", length).piece(body)
}

#[test]
fn a_blob_comes_whole_and_tells_how_far_it_is() {
    let server = Server::plain(|asked| part(asked, SIZE));
    let mut file = tempfile::tempfile().expect("a file");
    let seen = Mutex::new(Vec::new());
    let progress = |n| seen.lock().expect("no panic").push(n);
    let client = Reach::plain(&server).client();
    client
        .blob(&descriptor(&content(SIZE)), &file, &progress)
        .expect("the blob");
    assert_eq!(bytes(&mut file), content(SIZE));
    let seen = seen.into_inner().expect("no panic");
    assert!(
        seen.is_sorted() && seen.last() == Some(&(SIZE as u64)),
        "{seen:?}"
    );
    assert_eq!(server.asked()[0].header("range"), None);
    // And again: it is there.
    client
        .blob(&descriptor(&content(SIZE)), &file, &|_| {})
        .expect("the blob");
    assert_eq!(server.paths().len(), 1);
}

#[test]
fn a_blob_of_nothing_is_not_asked_for() {
    let server = Server::plain(|_| Reply::new(500));
    let file = tempfile::tempfile().expect("a file");
    let client = Reach::plain(&server).client();
    client.blob(&descriptor(b""), &file, &|_| {}).expect("the blob");
    let lie = sbx::image::descriptor::Descriptor {
        size: 0,
        ..descriptor(b"x")
    };
    fails(client.blob(&lie, &file, &|_| {}), "digest: the bytes have");
}

#[test]
fn what_was_there_is_not_fetched_again() {
    let server = Server::plain(|asked| part(asked, SIZE));
    let (got, done) = fetch(&server, &content(SIZE)[..100_001]);
    done.expect("the blob");
    assert_eq!(got, content(SIZE));
    assert_eq!(server.asked()[0].header("range"), Some("bytes=100001-"));
}

#[test]
fn a_cut_connection_is_resumed() {
    // A third comes each time, and more cuts than tries are forgiven because each brought something.
    let server = Server::plain(|asked| {
        let from = asked.from().unwrap_or(0);
        let all = content(SIZE);
        let end = (from + SIZE / 9).min(SIZE);
        let reply = match from {
            0 => Reply::new(200),
            _ => Reply::new(206).header("Content-Range", format!("bytes {from}-{}/{SIZE}", SIZE - 1)),
        };
        reply.header("Content-Length", SIZE - from).piece(&all[from..end])
    });
    let (got, done) = fetch(&server, b"");
    done.expect("the blob");
    assert_eq!(got, content(SIZE));
    assert!(server.paths().len() >= 9);
}

#[test]
fn small_honest_ranges_are_put_together() {
    let server = Server::plain(|asked| match asked.from() {
        None => announced(SIZE, &content(SIZE)[..1000]),
        Some(from) => part(asked, (from + 100_000).min(SIZE)),
    });
    let (got, done) = fetch(&server, b"");
    done.expect("the blob");
    assert_eq!(got, content(SIZE));
}

#[test]
fn without_progress_it_ends_and_keeps_what_it_has() {
    let server = Server::plain(|asked| match asked.from() {
        None => announced(SIZE, &content(SIZE)[..1000]),
        Some(_) => Reply::raw(""),
    });
    let (got, done) = fetch(&server, b"");
    fails(done, "the connection ended");
    assert_eq!(got, content(SIZE)[..1000]);
    // Nor is it progress to get the same again and again.
    let server = Server::plain(|_| announced(SIZE, &content(SIZE)[..1000]));
    let start = Instant::now();
    fails(fetch(&server, b"").1, "the connection ended");
    assert!(start.elapsed() < Duration::from_secs(20) && server.paths().len() <= 6);
}

#[test]
fn a_registry_without_ranges_starts_over() {
    let server = Server::plain(|_| Reply::ok(content(SIZE)));
    let (got, done) = fetch(&server, &content(SIZE)[..1000]);
    done.expect("the blob");
    assert_eq!(got, content(SIZE));
}

#[test]
fn a_range_that_cannot_be_given_starts_over_once() {
    let server = Server::plain(|asked| match asked.from() {
        Some(_) => Reply::new(416).body(""),
        None => Reply::ok(content(SIZE)),
    });
    let (got, done) = fetch(&server, &content(SIZE)[..1000]);
    done.expect("the blob");
    assert_eq!(got, content(SIZE));
    let server = Server::plain(|asked| match asked.from() {
        Some(_) => Reply::new(416).body(""),
        None => announced(SIZE, &content(SIZE)[..1000]),
    });
    fails(fetch(&server, &content(SIZE)[..1000]).1, "answers 416");
}

#[test]
fn what_was_there_and_was_wrong_is_given_up_once() {
    let honest = Server::plain(|asked| part(asked, SIZE));
    let stale: [&[u8]; 3] = [&[0; 1000], &[0; SIZE], &[0; SIZE + 1]];
    for there in stale {
        let (got, done) = fetch(&honest, there);
        done.expect("the blob");
        assert!(got == content(SIZE));
    }
}

#[test]
fn lying_ranges_are_refused_and_nothing_is_kept() {
    let all = content(SIZE);
    for (range, body) in [
        ("bytes 0-299999/300000", &all[..]),
        ("bytes 999-299999/300000", &all[999..]),
        ("bytes 1001-299999/300000", &all[1001..]),
        ("bytes 1000-299999/300001", &all[1000..]),
        ("bytes 1000-300000/*", &all[1000..]),
        ("bytes 1000-299998/300000", &all[1000..]),
        ("bytes 1000-18446744073709551615/*", &all[1000..]),
        ("bytes 2000-1000/300000", &all[1000..]),
        ("nonsense", &all[1000..]),
        ("", &all[1000..]),
    ] {
        let reply = Reply::new(206).header("Content-Range", range).body(body);
        let server = Server::plain(move |_| reply.clone());
        let (got, done) = fetch(&server, &all[..1000]);
        fails(done, "range:");
        assert_eq!(got.len(), 0, "{range}");
    }
    // A part that nobody asked for.
    let reply = Reply::new(206).header("Content-Range", "bytes 0-299999/300000");
    let server = Server::plain(move |_| reply.clone().body(content(SIZE)));
    fails(fetch(&server, b"").1, "range:");
}

#[test]
fn other_bytes_are_refused_and_nothing_is_kept() {
    let mut other = content(SIZE);
    other[SIZE - 1] ^= 1;
    let server = Server::plain(move |_| Reply::ok(&other));
    let (got, done) = fetch(&server, b"");
    fails(done, "digest: the bytes have");
    assert_eq!(got.len(), 0);
    assert_eq!(server.paths().len(), 1, "a lie is not asked for twice");
}

#[test]
fn other_lengths_are_refused_and_nothing_is_kept() {
    let all = content(SIZE);
    let chunked = |body: &[u8]| {
        let head = format!("{:x}\r\n", body.len());
        let body = [head.as_bytes(), body, b"\r\n0\r\n\r\n"].concat();
        Reply::new(200).header("Transfer-Encoding", "chunked").piece(body)
    };
    for (reply, says) in [
        (Reply::ok(&all[1..]), "announces 299999 bytes instead of 300000"),
        (
            Reply::ok([&all[..], b"x"].concat()),
            "announces 300001 bytes instead of 300000",
        ),
        (
            announced(1 << 40, &all),
            "announces 1099511627776 bytes instead of 300000",
        ),
        (chunked(&all[1..]), "end after 299999 of 300000"),
        (chunked(&[&all[..], b"x"].concat()), "go on beyond the 300000"),
        (
            Reply::new(200).piece([&all[..], b"x"].concat()),
            "go on beyond the 300000",
        ),
        (Reply::new(200).piece(&all).endless(), "go on beyond the 300000"),
    ] {
        let server = Server::plain(move |_| reply.clone());
        let (got, done) = fetch(&server, b"");
        assert!(fails(done, says).to_string().contains("size:"), "{says}");
        assert_eq!(got.len(), 0, "{says}");
        assert_eq!(server.paths().len(), 1, "{says}");
    }
}

#[test]
fn more_than_is_read_is_not_begun() {
    let server = Server::plain(|_| Reply::new(500));
    let huge = sbx::image::descriptor::Descriptor {
        size: u64::MAX,
        ..descriptor(b"x")
    };
    let file = tempfile::tempfile().expect("a file");
    fails(
        Reach::plain(&server).client().blob(&huge, &file, &|_| {}),
        "size:",
    );
    assert_eq!(server.paths(), [""; 0]);
}

#[test]
fn drops_are_given_up() {
    let slow = announced(SIZE, &content(500)).slowly(Duration::from_millis(20));
    let server = Server::plain(move |_| slow.clone());
    let start = Instant::now();
    fails(fetch(&server, b"").1, "less than 100 bytes came");
    assert!(start.elapsed() < Duration::from_secs(20));
    // Or nothing at all after a beginning.
    let stalled = announced(SIZE, &content(500)).paused(Duration::from_secs(60));
    let server = Server::plain(move |_| stalled.clone());
    let start = Instant::now();
    fails(fetch(&server, b"").1, "less than 100 bytes came");
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn several_layers_come_at_once() {
    let server = Server::plain(|asked| {
        let n: u8 = asked
            .path
            .ends_with(&sbx::model::Digest::of(&content(1000)).hex())
            .into();
        Reply::ok(content(1000 * (2 - usize::from(n))))
    });
    let client = Reach::plain(&server).client();
    let done = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for length in [1000, 2000] {
            let (client, done) = (&client, &done);
            scope.spawn(move || {
                let file = tempfile::tempfile().expect("a file");
                client
                    .blob(&descriptor(&content(length)), &file, &|_| {})
                    .expect("the blob");
                done.fetch_add(1, Ordering::SeqCst);
            });
        }
    });
    assert_eq!(done.load(Ordering::SeqCst), 2);
}

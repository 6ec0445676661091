//! Blobs and manifests that are pushed.

use super::server::{Asked, Reply, Server};
use super::{BASIC, MANIFEST, Reach, content, descriptor, fails};
use sbx::image::descriptor::Descriptor;
use sbx::model::Digest;
use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};

const SIZE: usize = 200_000;

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("room");
    file
}

fn push(reach: &Reach) -> Result<(), sbx::image::registry::Error> {
    let bytes = content(SIZE);
    reach.client().upload(&descriptor(&bytes), &file(&bytes), &|_| {})
}

/// A session that goes on wherever the last answer says.
fn session(asked: &Asked) -> Reply {
    match asked.method.as_str() {
        "POST" => Reply::new(202).header("Location", "/upload/1?state=a").body(""),
        "PATCH" => Reply::new(202).header("Location", "/upload/2?state=b").body(""),
        _ => Reply::new(201).body(""),
    }
}

#[test]
fn a_blob_goes_out_whole() {
    let server = Server::plain(session);
    let seen = std::sync::Mutex::new(Vec::new());
    let progress = |n| seen.lock().expect("no panic").push(n);
    let bytes = content(SIZE);
    let client = Reach::plain(&server).client();
    client
        .upload(&descriptor(&bytes), &file(&bytes), &progress)
        .expect("it goes out");
    let digest = format!("sha256%3A{}", Digest::of(&bytes).hex());
    assert_eq!(
        server.paths(),
        [
            "POST /v2/some/thing/blobs/uploads/".to_owned(),
            format!("PUT /upload/1?state=a&digest={digest}"),
        ]
    );
    let put = &server.asked()[1];
    assert!(put.body == bytes);
    assert_eq!(put.header("content-type"), Some("application/octet-stream"));
    assert_eq!(put.header("transfer-encoding"), None);
    let seen = seen.into_inner().expect("no panic");
    assert!(seen.is_sorted() && seen.last() == Some(&(SIZE as u64)));
    // One of nothing, too.
    client
        .upload(&descriptor(b""), &file(b""), &|_| {})
        .expect("it goes out");
}

#[test]
fn chunks_are_sent_to_whoever_wants_them() {
    let large = 17 << 20;
    let bytes = content(large);
    for wants in [true, false] {
        let server = Server::plain(move |asked| match asked.method.as_str() {
            "POST" if wants => session(asked).header("OCI-Chunk-Min-Length", 1000),
            "PUT" if asked.body.len() > large / 2 => Reply::new(413).body(""),
            _ => session(asked),
        });
        let client = Reach::plain(&server).client();
        client
            .upload(&descriptor(&bytes), &file(&bytes), &|_| {})
            .expect("it goes out");
        let chunks: Vec<Asked> = server
            .asked()
            .into_iter()
            .filter(|a| a.method == "PATCH")
            .collect();
        let ranges: Vec<&str> = chunks
            .iter()
            .map(|c| c.header("content-range").expect("a range"))
            .collect();
        assert_eq!(ranges, ["0-16777215", "16777216-17825791"]);
        assert!(chunks.iter().map(|c| c.body.clone()).collect::<Vec<_>>().concat() == bytes);
        let last = server.asked().pop().expect("a PUT");
        assert!(
            last.path.starts_with("/upload/2?state=b&digest=sha256%3A") && last.body.is_empty(),
            "{}",
            last.path
        );
    }
}

#[test]
fn what_breaks_begins_anew() {
    let count = AtomicU32::new(0);
    let server = Server::plain(move |asked| {
        let broken = asked.method == "PUT" && count.fetch_add(1, Ordering::SeqCst) < 2;
        match broken {
            true if count.load(Ordering::SeqCst) == 1 => Reply::new(500).body(""),
            true => Reply::raw(""),
            false => session(asked),
        }
    });
    push(&Reach::plain(&server)).expect("it goes out");
    let posts = server.paths().iter().filter(|p| p.starts_with("POST")).count();
    assert_eq!(posts, 3);
    // For ever it is not tried.
    let server = Server::plain(|asked| match asked.method.as_str() {
        "PUT" => Reply::new(503).body(""),
        _ => session(asked),
    });
    fails(push(&Reach::plain(&server)), "answers 503");
}

#[test]
fn another_host_may_store_but_learns_nothing() {
    let store = Server::plain(session);
    let to = format!("http://127.0.0.1:{}/upload", store.port);
    let server = Server::plain(move |asked| match asked.header("authorization") {
        Some(BASIC) => Reply::new(202).header("Location", &to).body(""),
        _ => Reply::challenge("Basic realm=x"),
    });
    push(&Reach::plain(&server).password()).expect("it goes out");
    assert_eq!(store.asked()[0].header("authorization"), None);
}

#[test]
fn an_upload_goes_nowhere_else() {
    for (to, says) in [
        ("http://registry.test/upload", "https never leads to http"),
        ("https://169.254.169.254/", "may not send there"),
        ("file:///tmp/x", "which is refused"),
    ] {
        let server = Server::tls(move |_| Reply::new(202).header("Location", to).body(""));
        fails(push(&Reach::tls("registry.test", &server)), says);
    }
    let server = Server::plain(|_| Reply::new(202).body(""));
    fails(push(&Reach::plain(&server)), "without saying where");
    // A body is not sent on.
    let other = Server::plain(session);
    let to = format!("http://127.0.0.1:{}/", other.port);
    let server = Server::plain(move |_| Reply::redirect(&to));
    fails(push(&Reach::plain(&server)), "answers 307");
    assert_eq!(other.paths(), [""; 0]);
}

#[test]
fn what_the_registry_makes_of_it_is_checked() {
    let server = Server::plain(|asked| match asked.method.as_str() {
        "PUT" => Reply::new(201)
            .header("Docker-Content-Digest", Digest::of(b"x"))
            .body(""),
        _ => session(asked),
    });
    fails(push(&Reach::plain(&server)), "digest: the bytes have");
    let client = Reach::plain(&server).client();
    let oci = "application/vnd.oci.image.manifest.v1+json";
    fails(
        client.put_manifest("12", oci, MANIFEST.as_bytes()),
        "digest: the bytes have",
    );
    let short = Descriptor {
        size: 7,
        ..descriptor(b"x")
    };
    fails(
        client.upload(&short, &file(b"x"), &|_| {}),
        "size: the file has 1 bytes",
    );
}

#[test]
fn a_manifest_goes_out_under_its_name() {
    let server = Server::plain(|_| Reply::new(201).body(""));
    let client = Reach::plain(&server).client();
    let digest = Digest::of(MANIFEST.as_bytes()).to_string();
    for reference in ["12", &digest] {
        client
            .put_manifest(reference, "some/type", MANIFEST.as_bytes())
            .expect("it goes out");
        let asked = server.asked().pop().expect("a PUT");
        assert_eq!(asked.path, format!("/v2/some/thing/manifests/{reference}"));
        assert_eq!(asked.header("content-type"), Some("some/type"));
        assert_eq!(asked.body, MANIFEST.as_bytes());
    }
    for reference in ["../x", "", &Digest::of(b"x").to_string()] {
        fails(
            client.put_manifest(reference, "some/type", MANIFEST.as_bytes()),
            "under a tag or under its own digest",
        );
    }
}

#[test]
fn what_is_there_need_not_be_pushed() {
    for (status, expected) in [(200, Some(true)), (404, Some(false)), (400, None)] {
        let server = Server::plain(move |_| Reply::new(status));
        let found = Reach::plain(&server).client().has_blob(&Digest::of(b"x"));
        assert_eq!(found.ok(), expected);
        assert_eq!(
            server.paths(),
            [format!("HEAD /v2/some/thing/blobs/{}", Digest::of(b"x"))]
        );
    }
}

#[test]
fn pushing_asks_for_more_than_pulling() {
    let auth = Server::plain(|_| Reply::ok(r#"{"token":"abc"}"#));
    let realm = format!("http://127.0.0.1:{}/", auth.port);
    let server = Server::plain(move |asked| match asked.header("authorization") {
        Some(_) => Reply::new(200).body(MANIFEST),
        None => Reply::challenge(format!("Bearer realm=\"{realm}\"")),
    });
    let client = Reach::plain(&server).client();
    assert!(client.manifest("12").is_ok());
    assert!(client.has_blob(&Digest::of(b"x")).is_ok());
    assert_eq!(
        auth.paths(),
        [
            "GET /?scope=repository%3Asome%2Fthing%3Apull",
            "GET /?scope=repository%3Asome%2Fthing%3Apull%2Cpush",
        ]
    );
}

#[test]
fn a_registry_may_take_its_time_to_store() {
    // Longer than it may take for any other answer.
    let stored = "HTTP/1.1 201 Stored\r\nContent-Length: 0\r\n\r\n";
    let server = Server::plain(move |asked| match asked.method.as_str() {
        "PUT" => Reply::raw(stored).slowly(std::time::Duration::from_millis(40)),
        _ => session(asked),
    });
    push(&Reach::plain(&server)).expect("it goes out");
}

//! Manifests, and who is spoken to at all.

use super::server::{Asked, Reply, Server, silent};
use super::{MANIFEST, Reach, fails};
use sbx::image::registry::Error;
use sbx::model::Digest;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";

fn manifest(_: &Asked) -> Reply {
    Reply::ok(MANIFEST).header("Content-Type", format!("{OCI}; charset=utf-8"))
}

/// The first answers, and the manifest after them.
fn first(replies: Vec<Reply>) -> Server {
    let count = AtomicU32::new(0);
    Server::plain(move |asked| {
        let n = count.fetch_add(1, Ordering::SeqCst);
        replies
            .get(n as usize)
            .cloned()
            .unwrap_or_else(|| manifest(asked))
    })
}

#[test]
fn a_manifest_comes_with_its_type_and_digest() {
    let server = Server::plain(manifest);
    let client = Reach::plain(&server).client();
    let found = client.manifest("12").expect("a manifest");
    assert_eq!(
        (found.bytes.as_slice(), found.media_type.as_str()),
        (MANIFEST.as_bytes(), OCI)
    );
    let digest = Digest::of(MANIFEST.as_bytes());
    assert_eq!(found.digest, digest);
    assert_eq!(
        client.manifest(&digest.to_string()).expect("the same").digest,
        digest
    );
    let asked = &server.asked()[0];
    assert_eq!(server.paths()[0], "GET /v2/some/thing/manifests/12");
    assert_eq!(asked.header("accept-encoding"), Some("identity"));
    assert!(asked.header("user-agent").is_some_and(|n| n.starts_with("sbx/")));
    for kind in [
        "vnd.oci.image.index.v1",
        "vnd.oci.image.manifest.v1",
        "manifest.list.v2",
        "manifest.v2",
    ] {
        assert!(
            asked.header("accept").is_some_and(|a| a.contains(kind)),
            "{asked:?}"
        );
    }
}

#[test]
fn another_manifest_than_the_one_asked_for_is_refused() {
    let server = Server::plain(manifest);
    let client = Reach::plain(&server).client();
    let other = Digest::of(b"another");
    let error = fails(client.manifest(&other.to_string()), "digest: the bytes have");
    assert!(error.to_string().contains(&other.to_string()), "{error}");
    // Nor is one that the registry itself calls otherwise.
    let server = Server::plain(move |a| manifest(a).header("Docker-Content-Digest", other));
    fails(
        Reach::plain(&server).client().manifest("12"),
        "digest: the bytes have",
    );
}

#[test]
fn what_is_no_manifest_is_refused() {
    for (reply, says) in [
        (
            Reply::ok("<html>login</html>").header("Content-Type", "text/html"),
            "got `text/html`",
        ),
        (
            Reply::ok("{}").header(
                "Content-Type",
                "application/vnd.docker.distribution.manifest.v1+prettyjws",
            ),
            "manifest schema 1",
        ),
        (
            Reply::ok(r#"{"schemaVersion":1}"#).header("Content-Type", OCI),
            "manifest schema 1",
        ),
        (
            Reply::ok("x".repeat(65 << 10)),
            "size: the answer goes on beyond 65536",
        ),
        (
            Reply::new(200).piece("{ }".repeat(99)).endless(),
            "size: the answer goes on beyond 65536",
        ),
        (Reply::raw("garbage\r\n\r\n"), "makes no sense"),
        (Reply::raw("HTTP/1.1 99999 Huh\r\n\r\n"), "makes no sense"),
        (
            Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc"),
            "makes no sense",
        ),
        (
            Reply::raw("HTTP/1.1 200 OK\r\nbroken\x01header\r\n\r\n"),
            "makes no sense",
        ),
        (
            Reply::raw(format!("HTTP/1.1 200 OK\r\n{}", "X: 0123456789\r\n".repeat(4000))),
            "makes no sense",
        ),
        (
            Reply::raw(format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(200_000))),
            "makes no sense",
        ),
    ] {
        let server = Server::plain(move |_| reply.clone());
        fails(Reach::plain(&server).client().manifest("12"), says);
    }
}

#[test]
fn what_is_not_there_is_said_in_the_registrys_words() {
    let body = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest\u001b[31m unknown"}]}"#;
    let server = Server::plain(move |_| Reply::new(404).body(body));
    let client = Reach::plain(&server).client();
    let error = fails(
        client.manifest("nope"),
        "some/thing:nope is not there: the registry says `manifest\\u{1b}[31m unknown`",
    );
    assert!(matches!(error, Error::NotFound { .. }));
    assert_eq!(server.paths().len(), 1, "what is not there is asked for once");
    fails(client.digest_of("nope"), "some/thing:nope is not there");
}

#[test]
fn the_digest_of_a_tag_is_had_without_the_manifest() {
    let digest = Digest::of(MANIFEST.as_bytes());
    for (reply, expected) in [
        (
            Reply::new(200).header("Docker-Content-Digest", digest),
            Some(digest),
        ),
        (Reply::new(200), None),
        (Reply::new(200).header("Docker-Content-Digest", "sha512:00"), None),
        (Reply::new(200).header("Docker-Content-Digest", "../../x"), None),
        (Reply::new(405), None),
    ] {
        let server = Server::plain(move |_| reply.clone().header("Content-Length", 700));
        let found = Reach::plain(&server).client().digest_of("12");
        assert_eq!(found.expect("an answer"), expected);
        assert_eq!(server.paths(), ["HEAD /v2/some/thing/manifests/12"]);
    }
}

#[test]
fn no_reference_leaves_its_repository() {
    let server = Server::plain(manifest);
    let client = Reach::plain(&server).client();
    for reference in ["../../other/manifests/1", "a/b", "a?b", "", "sha256:00"] {
        fails(client.manifest(reference), "a tag is up to 128");
    }
    assert_eq!(server.paths(), [""; 0]);
}

#[test]
fn a_busy_registry_is_asked_again() {
    for status in [429, 500, 502, 503] {
        let server = first(vec![Reply::new(status).body("busy"); 2]);
        let client = Reach::plain(&server).client();
        assert!(client.manifest("12").is_ok(), "{status}");
        assert_eq!(server.paths().len(), 3);
    }
    let server = first(vec![Reply::new(503).body(""); 99]);
    fails(Reach::plain(&server).client().manifest("12"), "answers 503");
    assert_eq!(server.paths().len(), 4);
    // A status that does not pass is not tried again.
    let server = first(vec![Reply::new(400).body(""); 99]);
    fails(Reach::plain(&server).client().manifest("12"), "answers 400");
    assert_eq!(server.paths().len(), 1);
}

#[test]
fn retry_after_is_waited_for_but_not_for_ever() {
    let wait = |after: &str, longest: u64| {
        let server = first(vec![Reply::new(429).header("Retry-After", after).body("")]);
        let mut reach = Reach::plain(&server);
        reach.patience.longest_wait = Duration::from_millis(longest);
        let client = reach.client();
        let start = Instant::now();
        assert!(client.manifest("12").is_ok());
        start.elapsed()
    };
    assert!(wait("1", 5000) >= Duration::from_secs(1));
    assert!(wait("86400", 100) < Duration::from_secs(5));
    assert!(wait("Fri, 31 Dec 9999 23:59:59 GMT", 100) < Duration::from_secs(5));
    assert!(wait("whenever", 5000) < Duration::from_secs(1));
}

#[test]
fn connections_that_end_too_soon_are_made_again() {
    let cut = Reply::new(200).header("Content-Length", 700).piece("{\"sch");
    let server = first(vec![
        Reply::raw(""),
        cut.clone(),
        Reply::raw("HTTP/1.1 200 OK\r\nContent-"),
    ]);
    assert!(Reach::plain(&server).client().manifest("12").is_ok());
    let server = first(vec![cut; 99]);
    fails(
        Reach::plain(&server).client().manifest("12"),
        "the connection ended",
    );
}

#[test]
fn whoever_says_nothing_is_left() {
    let (_listener, port) = silent();
    let mut reach = Reach::of(format!("127.0.0.1:{port}"));
    reach.patience.connect = Duration::from_millis(300);
    let start = Instant::now();
    fails(reach.client().manifest("12"), "less than 100 bytes came");
    assert!(start.elapsed() < Duration::from_secs(20));
    // Headers that never end, one at a time.
    let dripping = Reply::raw(format!("HTTP/1.1 200 OK\r\n{}", "X: 1\r\n".repeat(2000)));
    let dripping = dripping.slowly(Duration::from_millis(20));
    let server = Server::plain(move |_| dripping.clone());
    let start = Instant::now();
    fails(
        Reach::plain(&server).client().manifest("12"),
        "less than 100 bytes came",
    );
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn nobody_there_is_said_at_once() {
    let (listener, port) = silent();
    drop(listener);
    let reach = Reach::of(format!("127.0.0.1:{port}"));
    fails(reach.client().manifest("12"), "cannot be reached");
    fails(
        Reach::of("nowhere.test".to_owned()).client().manifest("12"),
        "host nowhere.test: it has no addresses",
    );
}

#[test]
fn only_certificates_of_known_authorities_count() {
    let server = Server::tls(manifest);
    let found = Reach::tls("registry.test", &server).client().manifest("12");
    assert!(found.is_ok(), "{found:?}");
    // Without the authority, even at the loopback address, where http would be allowed.
    for host in ["registry.test", "localhost", "127.0.0.1"] {
        let mut reach = Reach::tls(host, &server);
        reach.transport.authorities.clear();
        fails(reach.client().manifest("12"), "certificate authorities");
    }
    // With another one.
    let mut reach = Reach::tls("registry.test", &server);
    reach.transport.authorities = include_str!("tls/host.pem").to_owned();
    fails(reach.client().manifest("12"), "the certificate is not trusted");
    // Under another name.
    fails(
        Reach::tls("other.test", &server).client().manifest("12"),
        "the certificate is not trusted",
    );
    // The authority may be the host's own.
    let mut reach = Reach::tls("registry.test", &server);
    reach.endpoint.authorities = vec![std::mem::take(&mut reach.transport.authorities)];
    assert!(reach.client().manifest("12").is_ok());
}

#[test]
fn insecure_takes_any_certificate_and_http() {
    let server = Server::tls(manifest);
    let mut reach = Reach::tls("other.test", &server).insecure();
    reach.transport.authorities.clear();
    assert!(reach.client().manifest("12").is_ok());
    let server = Server::plain(manifest);
    let host = || format!("registry.test:{}", server.port);
    assert!(Reach::of(host()).insecure().client().manifest("12").is_ok());
    // No other name is spoken to without TLS, wherever it is.
    let reach = Reach::of(host());
    assert!(reach.client().manifest("12").is_err());
    assert_eq!(server.paths().len(), 1);
}

#[test]
fn a_registry_is_told_from_what_is_none() {
    let server = Server::plain(|_| Reply::ok("{}"));
    assert!(Reach::plain(&server).client().ping().is_ok());
    assert_eq!(server.paths(), ["GET /v2/"]);
    let server = Server::plain(|_| Reply::new(404).body(""));
    fails(Reach::plain(&server).client().ping(), "is not there");
}

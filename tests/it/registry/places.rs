//! Where a registry may send one to, and what goes through a proxy.

use super::server::{Reply, Server, arrived, silent};
use super::{MANIFEST, Reach, content, descriptor, fails};
use sbx::image::job::Proxies;
use sbx::image::registry::{Client, Error};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

fn blob(client: &Client) -> Result<(), Error> {
    let file = tempfile::tempfile().expect("a file");
    client.blob(&descriptor(&content(1000)), &file, &|_| {})
}

/// A registry that sends everybody there.
fn sending<T: std::fmt::Display>(to: T) -> impl Fn(&super::server::Asked) -> Reply + Send + Sync + use<T> {
    let to = to.to_string();
    move |_| Reply::redirect(&to)
}

#[test]
fn redirects_are_followed_to_where_the_bytes_are() {
    let cdn = Server::tls(|_| Reply::ok(content(1000)));
    let server = Server::tls(sending(format!(
        "https://elsewhere.example:{}/x?sig=%2F",
        cdn.port
    )));
    blob(&Reach::tls("registry.test", &server).client()).expect("the blob");
    assert_eq!(cdn.paths(), ["GET /x?sig=%2F"]);
    // On the same host too, and relative.
    let server = Server::plain(|asked| match asked.path.as_str() {
        "/elsewhere" => Reply::ok(content(1000)),
        _ => Reply::redirect("/elsewhere"),
    });
    blob(&Reach::plain(&server).client()).expect("the blob");
}

#[test]
fn a_resumed_blob_is_resumed_where_it_is_sent_to() {
    let cdn = Server::plain(|asked| match asked.from() {
        Some(from) => Reply::new(206)
            .header("Content-Range", format!("bytes {from}-999/1000"))
            .body(&content(1000)[from..]),
        None => Reply::new(200)
            .header("Content-Length", 1000)
            .piece(&content(1000)[..400]),
    });
    let server = Server::plain(sending(format!("http://127.0.0.1:{}/", cdn.port)));
    blob(&Reach::plain(&server).client()).expect("the blob");
    assert_eq!(cdn.asked()[1].header("range"), Some("bytes=400-"));
}

#[test]
fn https_never_leads_to_http_nor_to_anything_else() {
    let plain = Server::plain(|_| Reply::ok(content(1000)));
    for (to, says) in [
        (
            format!("http://elsewhere.example:{}/", plain.port),
            "https never leads to http",
        ),
        (
            format!("http://registry.test:{}/", plain.port),
            "https never leads to http",
        ),
        (
            format!("http://127.0.0.1:{}/", plain.port),
            "https never leads to http",
        ),
        ("file:///etc/passwd".to_owned(), "which is refused"),
        ("ftp://elsewhere.example/x".to_owned(), "only https"),
        (
            "https://u:p@elsewhere.example/".to_owned(),
            "a name or a password",
        ),
        ("https://".to_owned(), "which is refused"),
        ("unix:/run/docker.sock".to_owned(), "which is refused"),
        (
            "https://caf\u{e9}.example/".to_owned(),
            "without a readable Location",
        ),
        ("\u{1b}[31m".to_owned(), "makes no sense"),
    ] {
        let server = Server::tls(sending(to));
        fails(blob(&Reach::tls("registry.test", &server).client()), says);
        assert_eq!(server.paths().len(), 1);
    }
    assert_eq!(plain.paths(), [""; 0]);
    let server = Server::tls(|_| Reply::new(302).body(""));
    fails(
        blob(&Reach::tls("registry.test", &server).client()),
        "without a readable Location",
    );
    // What is in a query may be a key: it is not shown.
    let server = Server::tls(sending("http://elsewhere.example/x?sig=abcdef"));
    let error = fails(blob(&Reach::tls("registry.test", &server).client()), "refused");
    assert!(!error.to_string().contains("abcdef"));
}

#[test]
fn insecure_is_the_registry_and_not_where_it_sends_to() {
    let cdn = Server::tls(|_| Reply::ok(content(1000)));
    let server = Server::tls(sending(format!("https://elsewhere.example:{}/", cdn.port)));
    let mut reach = Reach::tls("other.test", &server).insecure();
    blob(&reach.client()).expect("the blob");
    reach.transport.authorities = include_str!("tls/host.pem").to_owned();
    fails(blob(&reach.client()), "the certificate is not trusted");
}

#[test]
fn nobody_is_followed_for_ever() {
    let server = Server::plain(|asked| Reply::redirect(format!("{}x", asked.path)));
    fails(
        blob(&Reach::plain(&server).client()),
        "it was the redirect after 5",
    );
    assert_eq!(server.paths().len(), 6);
}

#[test]
fn no_registry_leads_to_metadata() {
    for to in [
        "https://169.254.169.254/latest/meta-data/",
        "https://metadata.test/",
        "https://[::ffff:169.254.169.254]/",
        "https://[fe80::1]/",
    ] {
        for host in ["registry.test", "public.test"] {
            let server = Server::tls(sending(to));
            let error = fails(
                blob(&Reach::tls(host, &server).client()),
                "a registry elsewhere may not send there",
            );
            assert!(matches!(error, Error::Address { .. }), "{error}");
        }
    }
    // Not even one on this machine.
    let server = Server::plain(sending("http://169.254.169.254/latest/"));
    fails(
        blob(&Reach::plain(&server).client()),
        "a registry elsewhere may not send there",
    );
}

#[test]
fn a_public_registry_does_not_lead_behind_the_firewall() {
    let (here, port) = silent();
    for to in [
        format!("https://127.0.0.1:{port}/"),
        format!("https://localhost:{port}/"),
        format!("https://[::1]:{port}/"),
        format!("https://0.0.0.0:{port}/"),
        // A name of the attacker's that leads here.
        format!("https://registry.test:{port}/"),
        "https://10.0.0.1/".to_owned(),
        "https://192.168.0.1/".to_owned(),
    ] {
        let server = Server::tls(sending(to));
        let error = fails(
            blob(&Reach::tls("public.test", &server).client()),
            "a registry elsewhere may not send there",
        );
        assert!(matches!(error, Error::Address { .. }), "{error}");
    }
    assert!(arrived(&here).is_none());
}

/// A proxy that knows the way to every name: the port at this machine. Tells what it was asked.
fn proxy() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let remembered = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let asked = Arc::clone(&remembered);
            std::thread::spawn(move || tunnel(stream, &asked));
        }
    });
    (port, asked)
}

fn tunnel(mut client: TcpStream, asked: &Mutex<Vec<String>>) -> io::Result<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.split(' ').nth(1).expect("a target").to_owned();
    asked.lock().expect("no panic").push(head);
    let port = target.rsplit(':').next().expect("a port");
    let mut server = TcpStream::connect(("127.0.0.1", port.parse().expect("a port")))?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || io::copy(&mut from, &mut to));
    io::copy(&mut server, &mut client).map(|_| ())
}

fn through(server: &Server, proxy: String, direct: &[&str]) -> Reach {
    // A name that only the proxy knows.
    let mut reach = Reach::of(format!("nowhere.test:{}", server.port)).insecure();
    reach.transport.proxies = Proxies {
        http: Some(proxy.clone()),
        https: Some(proxy),
        direct: direct.iter().map(|d| (*d).to_owned()).collect(),
    };
    reach
}

#[test]
fn a_proxy_is_spoken_through() {
    let server = Server::tls(|_| Reply::ok(MANIFEST));
    let (port, asked) = proxy();
    let reach = through(&server, format!("http://u:p@127.0.0.1:{port}"), &["other.test"]);
    reach.client().manifest("12").expect("the manifest");
    let heads = asked.lock().expect("no panic").clone();
    assert!(
        heads[0].starts_with(&format!("CONNECT nowhere.test:{} HTTP/1.1\r\n", server.port)),
        "{heads:?}"
    );
    assert!(
        heads[0].contains("Proxy-Authorization: Basic dTpw\r\n"),
        "{heads:?}"
    );
    assert!(
        server
            .asked()
            .iter()
            .all(|a| a.header("proxy-authorization").is_none())
    );
    // For whom it is not, it is not asked; nobody else knows the name, then.
    let before = asked.lock().expect("no panic").len();
    let reach = through(&server, format!("http://127.0.0.1:{port}"), &["test"]);
    fails(reach.client().manifest("12"), "it has no addresses");
    assert_eq!(asked.lock().expect("no panic").len(), before);
}

#[test]
fn a_proxy_is_no_way_around_the_gate() {
    for to in [
        "https://169.254.169.254/x",
        "https://127.0.0.1/x",
        "https://localhost/x",
    ] {
        let server = Server::tls(sending(to));
        let (port, asked) = proxy();
        let reach = through(&server, format!("http://127.0.0.1:{port}"), &[]);
        fails(blob(&reach.client()), "a registry elsewhere may not send there");
        let heads = asked.lock().expect("no panic").concat();
        assert!(
            !heads.contains("169.254") && !heads.contains("CONNECT 127"),
            "{heads}"
        );
    }
}

#[test]
fn a_proxy_that_is_none_is_said() {
    let server = Server::tls(|_| Reply::ok(MANIFEST));
    for proxy in [
        "socks5://127.0.0.1:1",
        "socks5h://u:secret@127.0.0.1:1",
        "nonsense://x",
        "http://",
        "::",
    ] {
        let reach = through(&server, proxy.to_owned(), &[]);
        fails(reach.client().manifest("12"), "no proxy that is spoken to");
    }
    let refusing = Server::plain(|_| Reply::new(407).body(""));
    let reach = through(&server, format!("http://127.0.0.1:{}", refusing.port), &[]);
    fails(reach.client().manifest("12"), "the proxy refuses");
}

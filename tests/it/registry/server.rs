//! A registry that does whatever a test wants of it, and remembers what it was asked.

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The authority that the servers' certificate is of.
pub const AUTHORITY: &str = include_str!("tls/ca.pem");
pub const CERTIFICATE: &[u8] = include_bytes!("tls/host.pem");
/// Of no use but to these tests.
pub const KEY: &[u8] = include_bytes!("tls/host.key");

/// What a server was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Where a `Range: bytes=N-` begins.
    pub fn from(&self) -> Option<usize> {
        let range = self.header("range")?.strip_prefix("bytes=")?;
        range.strip_suffix('-')?.parse().ok()
    }
}

/// What it answers: pieces of bytes, sent one after another; then the connection is closed.
#[derive(Clone, Default)]
pub struct Reply {
    status: u16,
    headers: Vec<String>,
    pieces: Vec<Vec<u8>>,
    /// Between the pieces.
    pause: Duration,
    /// No headers are made up: the pieces are all.
    raw: bool,
    /// The last piece comes again and again.
    endless: bool,
}

impl Reply {
    pub fn new(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    pub fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::new(200).body(body)
    }

    pub fn raw(bytes: impl AsRef<[u8]>) -> Self {
        Self {
            raw: true,
            pieces: vec![bytes.as_ref().to_vec()],
            ..Self::default()
        }
    }

    pub fn redirect(to: impl std::fmt::Display) -> Self {
        Self::new(307).header("Location", to).body("")
    }

    pub fn challenge(challenge: impl std::fmt::Display) -> Self {
        Self::new(401).header("WWW-Authenticate", challenge).body("")
    }

    pub fn header(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.headers.push(format!("{name}: {value}\r\n"));
        self
    }

    /// A body of the right length.
    pub fn body(self, body: impl AsRef<[u8]>) -> Self {
        let length = body.as_ref().len();
        self.header("Content-Length", length).piece(body)
    }

    pub fn piece(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.pieces.push(bytes.as_ref().to_vec());
        self
    }

    /// Each byte alone, with a pause after it.
    pub fn slowly(mut self, pause: Duration) -> Self {
        let all = self.pieces.concat();
        self.pieces = all.into_iter().map(|b| vec![b]).collect();
        self.pause = pause;
        self
    }

    pub fn paused(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    pub fn endless(mut self) -> Self {
        self.endless = true;
        self
    }

    fn send(&self, to: &mut dyn Write) -> io::Result<()> {
        if !self.raw {
            write!(to, "HTTP/1.1 {} Whatever\r\n", self.status)?;
            write!(to, "{}Connection: close\r\n\r\n", self.headers.concat())?;
            to.flush()?;
        }
        for piece in &self.pieces {
            to.write_all(piece)?;
            to.flush()?;
            std::thread::sleep(self.pause);
        }
        if !self.endless {
            return Ok(());
        }
        loop {
            to.write_all(self.pieces.last().expect("a piece"))?;
            std::thread::sleep(self.pause);
        }
    }
}

type Handler = dyn Fn(&Asked) -> Reply + Send + Sync;

/// A server on a port of its own. It ends with the process.
pub struct Server {
    pub port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Speaks http.
    pub fn plain(handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(None, Arc::new(handler))
    }

    /// Speaks https, with a certificate of [`AUTHORITY`].
    pub fn tls(handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let certificate = CertificateDer::from_pem_slice(CERTIFICATE).expect("a certificate");
        let key = PrivateKeyDer::from_pem_slice(KEY).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("a key for the certificate");
        Self::start(Some(Arc::new(config)), Arc::new(handler))
    }

    fn start(tls: Option<Arc<ServerConfig>>, handler: Arc<Handler>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let remembered = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tls, handler, asked) = (tls.clone(), Arc::clone(&handler), Arc::clone(&remembered));
                std::thread::spawn(move || {
                    // Whoever is cut off by the client is done.
                    let _ = match tls {
                        None => serve(stream, &*handler, &asked),
                        Some(config) => ServerConnection::new(config)
                            .map_err(io::Error::other)
                            .and_then(|tls| serve(StreamOwned::new(tls, stream), &*handler, &asked)),
                    };
                });
            }
        });
        Self { port, asked }
    }

    /// Everything that was asked so far, but for the question whether it speaks https.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }

    /// The paths with their methods.
    pub fn paths(&self) -> Vec<String> {
        let shown = |a: Asked| format!("{} {}", a.method, a.path);
        self.asked().into_iter().map(shown).collect()
    }
}

fn serve(mut stream: impl Read + Write, handler: &Handler, asked: &Mutex<Vec<Asked>>) -> io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
        if head == [0x16] {
            // A TLS greeting where http is spoken.
            return Ok(());
        }
    }
    let head = String::from_utf8(head).expect("text");
    let mut lines = head.lines();
    let first: Vec<String> = lines
        .next()
        .unwrap_or_default()
        .split(' ')
        .map(str::to_owned)
        .collect();
    let headers: Vec<(String, String)> = lines
        .filter_map(|l| l.split_once(": "))
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(n, _)| n.eq_ignore_ascii_case("content-length"));
    let mut body = vec![0; length.map_or(0, |(_, v)| v.parse().expect("a length"))];
    stream.read_exact(&mut body)?;
    let one = Asked {
        method: first[0].clone(),
        path: first[1].clone(),
        headers,
        body,
    };
    asked.lock().expect("no panic").push(one.clone());
    handler(&one).send(&mut stream)?;
    stream.flush()
}

/// Something that hears and says nothing, for as long as it lives.
pub fn silent() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}

/// What arrives at a port within a moment, if anything does.
pub fn arrived(listener: &TcpListener) -> Option<TcpStream> {
    listener.set_nonblocking(true).expect("a listener");
    listener.accept().ok().map(|(stream, _)| stream)
}

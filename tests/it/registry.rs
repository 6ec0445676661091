//! The registry client against registries that lie, stall, send elsewhere and want what they should not get.

mod blobs;
mod credentials;
mod documents;
mod places;
mod real;
pub mod server;
mod uploads;

use sbx::image::descriptor::Descriptor;
use sbx::image::job::{Credentials, Endpoint, Transport};
use sbx::image::limits::Limits;
use sbx::image::registry::{Client, Error, Patience, Resolve};
use sbx::model::{Bytes, Digest};
use server::{AUTHORITY, Server};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Every name of these tests is at the loopback address; one pretends to have a public address besides.
struct Names;

impl Resolve for Names {
    fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, Error> {
        let here = IpAddr::from([127, 0, 0, 1]);
        Ok(match name {
            "public.test" => vec![here, IpAddr::from([203, 0, 113, 1])],
            "metadata.test" => vec![IpAddr::from([169, 254, 169, 254])],
            "nowhere.test" => Vec::new(),
            _ => vec![here],
        })
    }
}

/// Waits that a test can wait for.
fn patience() -> Patience {
    Patience {
        connect: Duration::from_secs(5),
        headers: Duration::from_millis(700),
        store: Duration::from_secs(5),
        window: Duration::from_millis(700),
        least: 100,
        tries: 4,
        first_wait: Duration::from_millis(5),
        longest_wait: Duration::from_millis(50),
        redirects: 5,
    }
}

fn limits() -> Limits {
    Limits {
        document: Bytes(64 << 10),
        packed: Bytes(4 << 20),
        ..Limits::default()
    }
}

/// How a test reaches its server.
struct Reach {
    endpoint: Endpoint,
    transport: Transport,
    patience: Patience,
}

impl Reach {
    /// By http, which is spoken at the loopback address.
    fn plain(server: &Server) -> Self {
        Self::of(format!("127.0.0.1:{}", server.port))
    }

    /// By https, under a name.
    fn tls(name: &str, server: &Server) -> Self {
        let mut reach = Self::of(format!("{name}:{}", server.port));
        reach.transport.authorities = AUTHORITY.to_owned();
        reach
    }

    fn of(host: String) -> Self {
        Self {
            endpoint: Endpoint {
                host,
                repository: "some/thing".to_owned(),
                insecure: false,
                credentials: None,
                authorities: Vec::new(),
            },
            transport: Transport::default(),
            patience: patience(),
        }
    }

    fn password(mut self) -> Self {
        self.endpoint.credentials = Some(Credentials::Password {
            name: "user".to_owned(),
            password: "the secret".to_owned(),
        });
        self
    }

    fn identity(mut self) -> Self {
        self.endpoint.credentials = Some(Credentials::IdentityToken("the+refresh/token".to_owned()));
        self
    }

    fn insecure(mut self) -> Self {
        self.endpoint.insecure = true;
        self
    }

    fn client(&self) -> Client {
        let made = Client::with_patience(
            &self.endpoint,
            &self.transport,
            &limits(),
            Arc::new(Names),
            self.patience,
        );
        made.expect("a client")
    }
}

/// `user:the secret`
const BASIC: &str = "Basic dXNlcjp0aGUgc2VjcmV0";
const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#;

fn descriptor(bytes: &[u8]) -> Descriptor {
    Descriptor {
        media_type: "application/octet-stream".to_owned(),
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        platform: None,
        annotations: BTreeMap::new(),
    }
}

/// Bytes that are not all alike.
fn content(length: usize) -> Vec<u8> {
    (0..length)
        .map(|i| u8::try_from((i * 31 + i / 251) % 256).expect("a byte"))
        .collect()
}

/// That it failed, saying this, in one line of plain text.
#[track_caller]
fn fails<T: std::fmt::Debug>(done: Result<T, Error>, says: &str) -> Error {
    let error = done.expect_err("it should have failed");
    let text = error.to_string();
    assert!(text.contains(says), "{text:?} does not say {says:?}");
    assert!(text.len() < 500 && !text.contains(char::is_control), "{text:?}");
    assert!(
        !text.contains("secret") && !text.contains("refresh/token"),
        "{text:?}"
    );
    error
}

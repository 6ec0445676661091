//! A registry in a thread of the test, which serves the images that it is given.

use crate::registry::server::{Asked, Reply, Server};
use crate::util::image::Built;
use sbx::model::Digest;
use std::collections::BTreeMap;

/// `me:pass`, as HTTP says it.
const BASIC: &str = "Basic bWU6cGFzcw==";

/// What there is, by path.
#[derive(Default)]
pub struct Registry {
    there: BTreeMap<String, (String, Vec<u8>)>,
    locked: bool,
    server: Option<Server>,
}

impl Registry {
    /// Has an image under tags of a name.
    pub fn image(mut self, name: &str, tags: &[&str], image: &Built) -> Self {
        let mut put = |place: String, kind: &str, bytes: &[u8]| {
            let path = format!("/v2/test/{name}/{place}");
            self.there.insert(path, (kind.to_owned(), bytes.to_vec()));
        };
        for (digest, bytes) in &image.blobs {
            put(format!("blobs/{digest}"), "application/octet-stream", bytes);
        }
        for tag in tags {
            put(format!("manifests/{tag}"), &image.media_type, &image.manifest);
        }
        self
    }

    /// Only `me` with the password `pass` gets in.
    pub fn locked(mut self) -> Self {
        self.locked = true;
        self
    }

    pub fn serve(mut self) -> Self {
        let there = std::mem::take(&mut self.there);
        let locked = self.locked;
        self.server = Some(Server::plain(move |asked| answer(&there, locked, asked)));
        self
    }

    /// HOST:PORT
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.server.as_ref().expect("served").port)
    }

    /// The full name of an image: `one:1`.
    pub fn name(&self, image: &str) -> String {
        format!("{}/test/{image}", self.host())
    }
}

fn answer(there: &BTreeMap<String, (String, Vec<u8>)>, locked: bool, asked: &Asked) -> Reply {
    if locked && asked.header("authorization") != Some(BASIC) {
        return Reply::challenge("Basic realm=\"test\"");
    }
    if asked.path == "/v2/" {
        return Reply::ok("{}");
    }
    let Some((kind, bytes)) = there.get(&asked.path) else {
        return Reply::new(404).body("{}");
    };
    let reply = Reply::new(200)
        .header("Content-Type", kind)
        .header("Docker-Content-Digest", Digest::of(bytes));
    match asked.method.as_str() {
        "HEAD" => reply.header("Content-Length", bytes.len()),
        _ => reply.body(bytes),
    }
}

//! A registry in a thread of the test, and images of a few files.

use crate::registry::server::{Asked, Reply, Server};
use sbx::model::Digest;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// `me:pass`, as HTTP says it.
const BASIC: &str = "Basic bWU6cGFzcw==";
/// What would act on a terminal, if it were shown as it is.
pub const EVIL: &str = "\u{1b}[31mred\u{9b}32m\u{202e}\r\u{7f}";

/// What there is, by path.
#[derive(Default)]
pub struct Registry {
    there: BTreeMap<String, (String, Vec<u8>)>,
    locked: bool,
    server: Option<Server>,
}

/// A file of a layer: its path, mode, owner and contents; a directory has none.
pub type Entry<'a> = (&'a str, u32, u64, Option<&'a [u8]>);

/// A packed layer.
pub fn layer(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, mode, owner, content) in entries {
        let mut header = tar::Header::new_ustar();
        header.set_mode(*mode);
        header.set_uid(*owner);
        header.set_gid(*owner);
        header.set_mtime(0);
        let content = content.unwrap_or_else(|| {
            header.set_entry_type(tar::EntryType::Directory);
            &[]
        });
        header.set_size(content.len() as u64);
        builder
            .append_data(&mut header, path, content)
            .expect("in memory");
    }
    builder.into_inner().expect("in memory")
}

/// A layer that a shell can run in, with directories of several users, closed ones and deep ones among them.
pub fn base(busybox: &[u8]) -> Vec<u8> {
    let deep: String = (0..90).map(|n| format!("d{n}/")).collect();
    let deep = format!("var/{deep}");
    let mut entries: Vec<Entry<'_>> = vec![
        ("bin/", 0o755, 0, None),
        ("bin/sh", 0o755, 0, Some(busybox)),
        ("bin/cat", 0o755, 0, Some(busybox)),
        ("tmp/", 0o1777, 0, None),
        ("srv/", 0o700, 1000, None),
        ("srv/closed/", 0o000, 33, None),
        ("srv/closed/file", 0o000, 33, Some(b"x")),
        ("srv/set", 0o6755, 1000, Some(b"x")),
    ];
    let ends: Vec<usize> = deep.match_indices('/').map(|(at, _)| at + 1).collect();
    entries.extend(ends.iter().map(|end| (&deep[..*end], 0o500, 1000, None)));
    layer(&entries)
}

fn described(kind: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": kind, "digest": Digest::of(bytes), "size": bytes.len() })
}

impl Registry {
    fn put(&mut self, name: &str, kind: &str, bytes: &[u8]) {
        let path = format!("/v2/test/{name}/blobs/{}", Digest::of(bytes));
        self.there.insert(path, (kind.to_owned(), bytes.to_vec()));
    }

    /// Puts an image under tags of a name.
    pub fn image(&mut self, name: &str, tags: &[&str], layers: &[Vec<u8>]) {
        let run = json!({
            "Cmd": ["sh", "-c", "cat /says"], "Env": ["PATH=/bin", format!("EVIL={EVIL}")],
            "Labels": {"name": name}, "StopSignal": "SIGINT", "ExposedPorts": {"80/tcp": {}},
        });
        self.image_with(name, tags, layers, &run);
    }

    /// The same, with what its config says about a run.
    pub fn image_with(&mut self, name: &str, tags: &[&str], layers: &[Vec<u8>], run: &Value) {
        let ids: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
        let config = json!({
            "architecture": "amd64", "os": "linux", "created": "2020-01-02T03:04:05Z",
            "config": run,
            "rootfs": {"type": "layers", "diff_ids": ids},
            "history": [
                {"created": "2020-01-01T00:00:00Z", "created_by": "base"},
                {"created_by": "ENV A=b", "empty_layer": true},
                {"created_by": format!("RUN {EVIL} {}", "x".repeat(200)), "comment": EVIL},
            ],
        });
        let config = config.to_string().into_bytes();
        let packed: Vec<Value> = layers
            .iter()
            .map(|layer| described("application/vnd.oci.image.layer.v1.tar", layer))
            .collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "layers": packed,
            "config": described("application/vnd.oci.image.config.v1+json", &config),
        });
        for layer in layers {
            self.put(name, "application/octet-stream", layer);
        }
        self.put(name, "application/octet-stream", &config);
        for tag in tags {
            let path = format!("/v2/test/{name}/manifests/{tag}");
            let bytes = manifest.to_string().into_bytes();
            self.there.insert(path, (MANIFEST.to_owned(), bytes));
        }
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

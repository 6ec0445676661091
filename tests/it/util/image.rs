//! Images made of nothing: an OCI image in memory, to be written as a layout, to be served, and to be lied about.

use super::Dir;
use super::tar::{Entry, Tar};
use sbx::model::Digest;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// How a layer is packed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    None,
    Gzip,
    Zstd,
}

/// One layer: its tar and its blob.
#[derive(Clone)]
struct Layer {
    tar: Vec<u8>,
    packing: Packing,
}

/// An image that is being put together.
#[derive(Clone)]
pub struct Image {
    layers: Vec<Layer>,
    /// The whole document; `rootfs` is filled in when it is built.
    pub config: Value,
}

/// An image as it is served: its manifest, and blobs by their digests.
#[derive(Clone)]
pub struct Built {
    pub manifest: Vec<u8>,
    pub media_type: String,
    pub blobs: BTreeMap<String, Vec<u8>>,
}

/// The program that is every program; `None`, and a skip, where there is no static one.
pub fn busybox() -> Option<Vec<u8>> {
    let program = std::fs::read("/bin/busybox").ok();
    if program.is_none() {
        super::skip("busybox", "no static /bin/busybox (package busybox-static)");
    }
    program
}

impl Image {
    pub fn new() -> Self {
        let config = json!({"architecture": "amd64", "os": "linux", "config": {}});
        Self {
            layers: Vec::new(),
            config,
        }
    }

    /// One static program at `/bin/busybox`, with its names; nothing else, not even `/etc`. `None`, and a skip, where there is none.
    pub fn busybox() -> Option<Self> {
        let program = busybox()?;
        let links = [
            "sh", "cat", "ls", "id", "env", "pwd", "echo", "stat", "sleep", "test", "chown", "true",
            "readlink", "hostname", "mount", "find", "rm", "touch", "sort", "grep", "mkdir", "chmod", "sed",
            "uniq",
        ];
        let links = links.map(|name| Entry::symlink(format!("bin/{name}"), "busybox"));
        let first = [Entry::folder("bin/"), Entry::program("bin/busybox", program)];
        let image = Self::new().add(Tar::new(first.into_iter().chain(links)));
        Some(
            image
                .set("Env", json!(["PATH=/bin"]))
                .set("Cmd", json!(["/bin/sh"])),
        )
    }

    /// The attacking program at `/attacker`, which is the entry point.
    pub fn attacker() -> Self {
        let program = std::fs::read(super::attacker()).expect("the attacker");
        Self::new()
            .add(Tar::new([Entry::program("attacker", program)]))
            .set("Entrypoint", json!(["/attacker"]))
    }

    pub fn add(self, tar: Tar) -> Self {
        self.packed(tar.bytes(), Packing::Gzip)
    }

    pub fn layer(self, entries: impl IntoIterator<Item = Entry>) -> Self {
        self.add(Tar::new(entries))
    }

    pub fn packed(mut self, tar: Vec<u8>, packing: Packing) -> Self {
        self.layers.push(Layer { tar, packing });
        self
    }

    /// A key of the config's `config`.
    pub fn set(mut self, key: &str, value: Value) -> Self {
        self.config["config"][key] = value;
        self
    }

    pub fn build(mut self) -> Built {
        let diff_ids = self.layers.iter().map(|l| Digest::of(&l.tar).to_string());
        if self.config.get("rootfs").is_none() {
            self.config["rootfs"] = json!({"type": "layers", "diff_ids": diff_ids.collect::<Vec<_>>()});
        }
        Built::of(&self.config, self.layers.iter().map(pack))
    }
}

/// Its media type and its blob.
fn pack(layer: &Layer) -> (String, Vec<u8>) {
    let (suffix, blob) = match layer.packing {
        Packing::None => ("", layer.tar.clone()),
        Packing::Gzip => ("+gzip", gzip(&layer.tar)),
        Packing::Zstd => (
            "+zstd",
            zstd::encode_all(layer.tar.as_slice(), 1).expect("memory"),
        ),
    };
    (format!("{LAYER}{suffix}"), blob)
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    to.write_all(bytes).expect("memory");
    to.finish().expect("memory")
}

/// What a document says of bytes.
pub fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(bytes).to_string(), "size": bytes.len()})
}

/// Adds a blob and gives its descriptor.
pub fn put(blobs: &mut BTreeMap<String, Vec<u8>>, media_type: &str, bytes: Vec<u8>) -> Value {
    let descriptor = descriptor(media_type, &bytes);
    blobs.insert(Digest::of(&bytes).to_string(), bytes);
    descriptor
}

impl Built {
    /// A config, and blobs that are said to be its layers, true or not.
    pub fn of(config: &Value, layers: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let mut blobs = BTreeMap::new();
        let layers: Vec<Value> = layers
            .into_iter()
            .map(|(kind, blob)| put(&mut blobs, &kind, blob))
            .collect();
        let config = put(&mut blobs, CONFIG, serde_json::to_vec(config).expect("JSON"));
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        Self {
            manifest: serde_json::to_vec(&manifest).expect("JSON"),
            media_type: MANIFEST.to_owned(),
            blobs,
        }
    }

    pub fn digest(&self) -> String {
        Digest::of(&self.manifest).to_string()
    }

    /// The manifest, changed.
    pub fn edit(mut self, change: impl FnOnce(&mut Value)) -> Self {
        let mut manifest = serde_json::from_slice(&self.manifest).expect("JSON");
        change(&mut manifest);
        self.manifest = serde_json::to_vec(&manifest).expect("JSON");
        self
    }

    /// The digest of a layer's blob.
    pub fn layer(&self, at: usize) -> String {
        let manifest: Value = serde_json::from_slice(&self.manifest).expect("JSON");
        manifest["layers"][at]["digest"]
            .as_str()
            .expect("a text")
            .to_owned()
    }

    /// Several images under one name, by platform.
    pub fn index(images: &[(&str, Self)]) -> Self {
        let mut blobs = BTreeMap::new();
        let mut manifests = Vec::new();
        for (platform, image) in images {
            blobs.extend(image.blobs.clone());
            let mut words = platform.split('/');
            let mut entry = put(&mut blobs, &image.media_type, image.manifest.clone());
            entry["platform"] = json!({"os": words.next(), "architecture": words.next()});
            if let Some(variant) = words.next() {
                entry["platform"]["variant"] = json!(variant);
            }
            manifests.push(entry);
        }
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        Self {
            manifest: serde_json::to_vec(&index).expect("JSON"),
            media_type: INDEX.to_owned(),
            blobs,
        }
    }

    /// The files of an OCI layout, by name, where the image is called so, or has no name.
    pub fn files(&self, name: Option<&str>) -> BTreeMap<String, Vec<u8>> {
        let mut blobs = self.blobs.clone();
        let mut entry = put(&mut blobs, &self.media_type, self.manifest.clone());
        if let Some(name) = name {
            entry["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        }
        let index = json!({"schemaVersion": 2, "manifests": [entry]});
        let place = |(digest, bytes): (String, _)| (format!("blobs/{}", digest.replace(':', "/")), bytes);
        let mut files: BTreeMap<_, _> = blobs.into_iter().map(place).collect();
        files.insert("index.json".to_owned(), index.to_string().into_bytes());
        files.insert(
            "oci-layout".to_owned(),
            br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
        );
        files
    }

    /// An OCI layout in a directory of its own, where the image is called `it`.
    pub fn layout(&self) -> (Dir, PathBuf) {
        let dir = Dir::new();
        for (name, bytes) in self.files(Some("it")) {
            dir.write(&format!("oci/{name}"), bytes);
        }
        let path = dir.path().join("oci");
        (dir, path)
    }
}

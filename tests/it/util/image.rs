//! Images made of nothing: an OCI image in memory, to be written as a layout, to be served, and to be lied about.

use super::tar::{Entry, Tar};
use crate::util::Dir;
use sbx::model::Digest;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

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

impl Image {
    pub fn new() -> Self {
        let config = json!({"architecture": "amd64", "os": "linux", "config": {}});
        Self {
            layers: Vec::new(),
            config,
        }
    }

    /// One static program at `/bin/busybox`, with its names; nothing else, not even `/etc`.
    pub fn busybox() -> Option<Self> {
        let program = std::fs::read("/bin/busybox").ok()?;
        let links = [
            "sh", "cat", "ls", "id", "env", "pwd", "echo", "stat", "sleep", "test", "chown", "true",
            "readlink", "hostname", "mount", "find", "rm", "touch",
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
        let mut blobs = BTreeMap::new();
        let mut layers = Vec::new();
        for layer in &self.layers {
            let (blob, suffix) = pack(layer);
            layers.push(put(&mut blobs, &format!("{LAYER}{suffix}"), blob));
        }
        let diff_ids = self.layers.iter().map(|l| Digest::of(&l.tar).to_string());
        if self.config.get("rootfs").is_none() {
            self.config["rootfs"] = json!({"type": "layers", "diff_ids": diff_ids.collect::<Vec<_>>()});
        }
        let config = serde_json::to_vec(&self.config).expect("JSON");
        let config = put(&mut blobs, CONFIG, config);
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        Built {
            manifest: serde_json::to_vec(&manifest).expect("JSON"),
            media_type: MANIFEST.to_owned(),
            blobs,
        }
    }
}

fn pack(layer: &Layer) -> (Vec<u8>, &'static str) {
    match layer.packing {
        Packing::None => (layer.tar.clone(), ""),
        Packing::Gzip => {
            let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            to.write_all(&layer.tar).expect("memory");
            (to.finish().expect("memory"), "+gzip")
        }
        Packing::Zstd => (
            zstd::encode_all(layer.tar.as_slice(), 1).expect("memory"),
            "+zstd",
        ),
    }
}

/// Adds a blob and gives its descriptor.
pub fn put(blobs: &mut BTreeMap<String, Vec<u8>>, media_type: &str, bytes: Vec<u8>) -> Value {
    let digest = Digest::of(&bytes).to_string();
    let descriptor = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
    blobs.insert(digest, bytes);
    descriptor
}

impl Built {
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

    /// An OCI layout in a directory of its own, where the image is called `it`.
    pub fn layout(&self) -> (Dir, PathBuf) {
        let dir = Dir::new();
        dir.write("oci/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
        let mut blobs = self.blobs.clone();
        let mut entry = put(&mut blobs, &self.media_type, self.manifest.clone());
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": "it"});
        let index = json!({"schemaVersion": 2, "manifests": [entry]});
        dir.write("oci/index.json", index.to_string());
        for (digest, bytes) in blobs {
            dir.write(&format!("oci/blobs/{}", digest.replace(':', "/")), bytes);
        }
        let path = dir.path().join("oci");
        (dir, path)
    }
}

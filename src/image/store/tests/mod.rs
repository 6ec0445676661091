//! A store in a directory of the test's own, and images of a few bytes.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests start processes and speak with them"
)]

mod hostile;
// Named so, these may print and start threads.
#[cfg(test)]
mod many;
mod plain;
mod removal;
#[cfg(test)]
mod skopeo;
#[cfg(test)]
mod waits;

use super::*;
use crate::image::descriptor::Descriptor;
use crate::image::document::OCI_MANIFEST;
use crate::model::Digest;
use serde_json::{Value, json};
use std::io::Write;

pub(super) const X: &str = "docker.io/library/x:1";
pub(super) const Y: &str = "docker.io/library/y:1";

/// In memory where that is possible: syncfs would write out whatever else this machine is doing.
pub(super) fn place() -> tempfile::TempDir {
    let memory = tempfile::tempdir_in("/dev/shm");
    memory.or_else(|_| tempfile::tempdir()).expect("a directory")
}

pub(super) fn create() -> (tempfile::TempDir, Store) {
    let dir = place();
    let store = open(dir.path());
    (dir, store)
}

pub(super) fn open(dir: &Path) -> Store {
    Store::open(&dir.join("store"), Open::Create { give_to: None }).expect("a store")
}

/// An image whose layers are these bytes; a layer's diff id is what its bytes hash to, for lack of packing.
pub(super) struct Made {
    pub(super) manifest: Descriptor,
    pub(super) blobs: Vec<Vec<u8>>,
    pub(super) layers: Vec<Digest>,
    pub(super) id: Digest,
}

pub(super) fn image(layers: &[&str], label: &str) -> Made {
    let mut blobs: Vec<Vec<u8>> = layers.iter().map(|text| text.as_bytes().to_vec()).collect();
    let ids: Vec<Digest> = blobs.iter().map(|bytes| Digest::of(bytes)).collect();
    let config = json!({
        "architecture": "amd64", "os": "linux", "created": "2024-01-02T03:04:05Z",
        "config": {"Labels": {"label": label}, "Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": ids},
    });
    let config = config.to_string().into_bytes();
    let described: Vec<Value> = blobs
        .iter()
        .map(|bytes| json!(Descriptor::of("application/vnd.oci.image.layer.v1.tar", bytes)))
        .collect();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": described,
        "config": Descriptor::of("application/vnd.oci.image.config.v1+json", &config),
    });
    let manifest = manifest.to_string().into_bytes();
    let id = Digest::of(&config);
    let described = Descriptor::of(OCI_MANIFEST, &manifest);
    blobs.extend([config, manifest]);
    Made {
        manifest: described,
        blobs,
        layers: ids,
        id,
    }
}

/// Puts all of an image into a store, unpacked too, and names it.
pub(super) fn put(store: &Store, made: &Made, name: &str) {
    let _kept = store.pulling(Wait::Silently).expect("the lock");
    for blob in &made.blobs {
        store.put_blob(blob).expect("a blob");
    }
    for layer in &made.layers {
        unpack(store, Kind::Single, layer);
    }
    store.name(name, &made.manifest, None).expect("a name");
}

pub(super) fn unpack(store: &Store, kind: Kind, layer: &Digest) {
    if let Claim::New(new) = store.new_layer(kind, layer, Wait::Silently).expect("a layer") {
        for name in ["a", "b"] {
            file(&new, name, layer.hex().as_bytes());
        }
        let size = new.measure().expect("a size");
        new.commit(&[], &size).expect("committed");
    }
}

pub(super) fn file(new: &NewLayer<'_>, name: &str, bytes: &[u8]) {
    let flags = nix::fcntl::OFlag::O_CREAT | nix::fcntl::OFlag::O_WRONLY;
    let fd = nix::fcntl::openat(new.dir(), name, flags, nix::sys::stat::Mode::S_IRWXU).expect("a file");
    std::fs::File::from(fd).write_all(bytes).expect("written");
}

pub(super) fn prune(store: &Store, all: bool) -> Freed {
    store
        .prune(all, false, Wait::Silently, &mut |kind, _| panic!("{kind}"))
        .expect("pruned")
}

/// What verify finds, as text.
pub(super) fn findings(store: &Store) -> Vec<String> {
    let found = store.verify(&mut |_, _, _| {}).expect("verified");
    found.iter().map(ToString::to_string).collect()
}

/// Every name below a directory, sorted.
pub(super) fn tree_of(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().expect("a type").is_dir() {
            found.extend(
                tree_of(&entry.path())
                    .iter()
                    .map(|inner| format!("{name}/{inner}")),
            );
        }
        found.push(name);
    }
    found.sort();
    found
}

/// How much of each kind has gone.
impl Freed {
    fn count(&self, of: impl Fn(&Part) -> bool) -> usize {
        self.parts.iter().filter(|(part, _)| of(part)).count()
    }

    /// How many blobs.
    pub(super) fn blobs(&self) -> usize {
        self.count(|part| matches!(part, Part::Blob(_)))
    }

    /// How many layers.
    pub(super) fn layers(&self) -> usize {
        self.count(|part| matches!(part, Part::Layer(..)))
    }

    /// How many blobs that had been fetched in part.
    pub(super) fn partials(&self) -> usize {
        self.count(|part| matches!(part, Part::Partial(_)))
    }
}

//! Archives that are made up for the tests: an honest one of each form, and what can be done to it.

use crate::util::image::Built;
use crate::util::tar::{Entry, Tar};
use sbx::model::Digest;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A layer with one file.
pub fn layer(name: &str, data: &[u8]) -> Vec<u8> {
    Tar::new([Entry::file(name, data)]).bytes()
}

fn config(diff_ids: &[Digest]) -> Value {
    let diff_ids: Vec<_> = diff_ids.iter().map(Digest::to_string).collect();
    json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    })
}

/// The files of an archive, by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// An OCI layout with one image, which has no name, of blobs of one kind.
pub fn layout(layers: &[&[u8]], kind: &str, diff_ids: &[Digest]) -> Files {
    let layers = layers.iter().map(|layer| (kind.to_owned(), layer.to_vec()));
    Built::of(&config(diff_ids), layers).files(None)
}

/// What docker saves: one image of one layer.
pub fn docker(layer: &[u8], diff_id: Digest) -> Files {
    let config = config(&[diff_id]).to_string().into_bytes();
    let name = format!("{}.json", Digest::of(&config).hex());
    let list = json!([{ "Config": name, "RepoTags": ["stranger:1"], "Layers": ["a/layer.tar"] }]);
    Files::from([
        (name, config),
        ("manifest.json".to_owned(), list.to_string().into_bytes()),
        ("a/layer.tar".to_owned(), layer.to_vec()),
    ])
}

pub fn packed(files: &Files) -> Vec<u8> {
    let file = |(name, data): (&String, _)| Entry::file(name, data);
    Tar::new(files.iter().map(file)).bytes()
}

//! Archives that are made up for the tests: an honest one of each form, and what can be done to it.

use sbx::model::Digest;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A tar entry as it is: the name is not looked at.
pub fn entry(tar: &mut Vec<u8>, name: &str, flag: u8, link: &str, data: &[u8], size: u64) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::new(flag));
    header.set_mode(0o644);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    tar.extend_from_slice(header.as_bytes());
    tar.extend_from_slice(data);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

pub fn file(tar: &mut Vec<u8>, name: &str, data: &[u8]) {
    entry(tar, name, b'0', "", data, data.len() as u64);
}

pub fn ended(mut tar: Vec<u8>) -> Vec<u8> {
    tar.resize(tar.len() + 1024, 0);
    tar
}

/// A layer with one file.
pub fn layer(name: &str, data: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    file(&mut tar, name, data);
    ended(tar)
}

pub fn config(diff_ids: &[Digest]) -> Vec<u8> {
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": diff_ids.iter().map(Digest::to_string).collect::<Vec<_>>() },
    });
    serde_json::to_vec(&config).expect("JSON")
}

pub fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": Digest::of(bytes).to_string(), "size": bytes.len() })
}

pub fn manifest(config: &[u8], layers: &[(&str, &[u8])]) -> Vec<u8> {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": layers.iter().map(|(kind, bytes)| descriptor(kind, bytes)).collect::<Vec<_>>(),
    });
    serde_json::to_vec(&manifest).expect("JSON")
}

pub fn blob(bytes: &[u8]) -> String {
    format!("blobs/sha256/{}", Digest::of(bytes).hex())
}

/// The files of an archive, by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// An OCI layout with one image, of one layer.
pub fn layout(layer: &[u8], kind: &str, diff_id: Digest) -> Files {
    let config = config(&[diff_id]);
    let manifest = manifest(&config, &[(kind, layer)]);
    let index = json!({ "schemaVersion": 2, "manifests": [descriptor(MANIFEST, &manifest)] });
    Files::from([
        (
            "oci-layout".to_owned(),
            br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
        ),
        ("index.json".to_owned(), serde_json::to_vec(&index).expect("JSON")),
        (blob(&config), config),
        (blob(&manifest), manifest),
        (blob(layer), layer.to_vec()),
    ])
}

/// What docker saves: one image of one layer.
pub fn docker(layer: &[u8], diff_id: Digest) -> Files {
    let config = config(&[diff_id]);
    let name = format!("{}.json", Digest::of(&config).hex());
    let list = json!([{ "Config": name, "RepoTags": ["stranger:1"], "Layers": ["a/layer.tar"] }]);
    Files::from([
        (name, config),
        (
            "manifest.json".to_owned(),
            serde_json::to_vec(&list).expect("JSON"),
        ),
        ("a/layer.tar".to_owned(), layer.to_vec()),
    ])
}

pub fn packed(files: &Files) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, data) in files {
        file(&mut tar, name, data);
    }
    ended(tar)
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(bytes).expect("gzip");
    packer.finish().expect("gzip")
}

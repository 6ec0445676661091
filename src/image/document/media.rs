//! Media types: what a document and a layer are announced as.

use super::error::{Error, shown};
use crate::image::descriptor::{Compression, Descriptor};

/// A manifest, in OCI's words.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An index, in OCI's words.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// A manifest, in Docker's words: the same shape.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// An index, in Docker's words: the same shape.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// Docker's schema 1, plain and signed.
const SCHEMA_1: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];
/// A config, in OCI's words.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const CONFIGS: [&str; 2] = [OCI_CONFIG, "application/vnd.docker.container.image.v1+json"];
/// In Docker's words.
const LAYERS: [(&str, Compression); 3] = [
    ("application/vnd.docker.image.rootfs.diff.tar", Compression::None),
    (
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        Compression::Gzip,
    ),
    (
        "application/vnd.docker.image.rootfs.diff.tar.zstd",
        Compression::Zstd,
    ),
];

/// What to ask a registry for (`Accept`).
#[must_use]
pub fn accepted() -> [&'static str; 4] {
    [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST]
}

/// A layer that is packed so, in OCI's words.
pub(in crate::image) fn layer_type(packing: Compression) -> &'static str {
    match packing {
        Compression::None => "application/vnd.oci.image.layer.v1.tar",
        Compression::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
        Compression::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
    }
}

/// A media type that a document is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Manifest,
    Index,
}

pub(super) fn kind(media_type: &str) -> Result<Kind, Error> {
    match media_type {
        OCI_MANIFEST | DOCKER_MANIFEST => Ok(Kind::Manifest),
        OCI_INDEX | DOCKER_LIST => Ok(Kind::Index),
        other if SCHEMA_1.contains(&other) => Err(Error::Schema1),
        other => Err(Error::MediaType(shown(other))),
    }
}

pub(super) fn is_config(media_type: &str) -> bool {
    CONFIGS.contains(&media_type)
}

/// How a layer is packed.
pub(super) fn compression(layer: &Descriptor) -> Result<Compression, Error> {
    let text = layer.media_type.as_str();
    let packings = [Compression::None, Compression::Gzip, Compression::Zstd];
    let known = packings.map(|packing| (layer_type(packing), packing));
    if let Some((_, packing)) = known.iter().chain(&LAYERS).find(|(known, _)| *known == text) {
        return Ok(*packing);
    }
    if text.ends_with("+encrypted") {
        return Err(Error::Encrypted(layer.digest));
    }
    let (layer, media_type) = (layer.digest, shown(text));
    if text.contains(".nondistributable.") || text.contains(".foreign.") {
        return Err(Error::Foreign { layer, media_type });
    }
    Err(Error::Packing { layer, media_type })
}

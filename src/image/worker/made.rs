//! Manifests of images that come without one: of what `docker save` writes, and of a mere tar.

use super::layout::Image;
use super::origin::Found;
use crate::image::descriptor::{Compression, Descriptor};
use crate::image::document::{self, Document, OCI_CONFIG, OCI_MANIFEST};
use crate::image::limits::Limits;
use crate::model::Digest;
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u8,
    media_type: &'static str,
    config: &'a Descriptor,
    layers: &'a [Descriptor],
}

/// A config by its bytes.
pub(super) fn config(bytes: &[u8]) -> Descriptor {
    Descriptor::of(OCI_CONFIG, bytes)
}

/// A layer by what it hashes to as it is packed.
pub(super) fn layer(packing: Compression, digest: Digest, size: u64) -> Descriptor {
    Descriptor::new(document::layer_type(packing), digest, size)
}

/// An image of these; as strict with what is made here as with what strangers make.
pub(super) fn image(
    config: &Descriptor,
    layers: &[Descriptor],
    diff_ids: Vec<Digest>,
    limits: &Limits,
) -> Result<Image, String> {
    let manifest = Manifest {
        schema_version: 2,
        media_type: OCI_MANIFEST,
        config,
        layers,
    };
    let bytes = serde_json::to_vec(&manifest).map_err(|e| e.to_string())?;
    let parsed = document::parse(&bytes, OCI_MANIFEST, limits).map_err(|e| e.to_string())?;
    let Document::Manifest(manifest) = parsed else {
        return Err("it cannot have a manifest".to_owned());
    };
    Ok(Image {
        found: Found {
            descriptor: Descriptor::of(OCI_MANIFEST, &bytes),
            bytes,
            manifest,
        },
        names: Vec::new(),
        odd_name: None,
        diff_ids,
    })
}

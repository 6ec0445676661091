//! Manifests and indexes: OCI's and Docker's, which have one shape.

use super::error::{Error, json, shown};
use super::media::{self, Kind, OCI_MANIFEST};
use crate::image::descriptor::{Compression, Descriptor};
use crate::image::limits::Limits;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// What a media type announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// One image.
    Manifest(Manifest),
    /// The images of one name, by platform.
    Index(Index),
}

/// One image: its config and its layers, the lowest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// How it is run, and what its layers unpack to.
    pub config: Descriptor,
    /// What it is made of.
    pub layers: Vec<Layer>,
}

/// A layer and how it is packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The blob.
    pub descriptor: Descriptor,
    /// How it is packed.
    pub compression: Compression,
}

/// The images of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// In the order of the document; the first that fits is the one.
    pub manifests: Vec<Descriptor>,
}

/// What all four types have in common, and what tells them apart. A key that stands twice is refused by the reader.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: u64,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    #[serde(default, deserialize_with = "list")]
    layers: Option<List>,
    #[serde(default, deserialize_with = "list")]
    manifests: Option<List>,
    fs_layers: Option<IgnoredAny>,
}

/// A list; Go writes `null` for an empty one.
type List = Option<Vec<Descriptor>>;

/// Tells a list that is `null` from one that is absent.
fn list<'de, D: Deserializer<'de>>(from: D) -> Result<Option<List>, D::Error> {
    List::deserialize(from).map(Some)
}

/// Reads a document as what it was announced as: by its descriptor, or by the registry's `Content-Type`.
///
/// # Errors
/// What [`Error`] lists; nothing of the document is used then.
pub fn parse(bytes: &[u8], media_type: &str, limits: &Limits) -> Result<Document, Error> {
    let announced = media_type.split(';').next().unwrap_or_default().trim_end();
    let kind = media::kind(announced)?;
    let raw = read(bytes, limits)?;
    check(raw, announced, kind, limits)
}

/// Reads a manifest whose bytes were checked before, as the type that it names itself (OCI's, when it names none).
///
/// # Errors
/// As [`parse`]; an index is refused.
pub fn parse_stored(bytes: &[u8], limits: &Limits) -> Result<Manifest, Error> {
    let raw = read(bytes, limits)?;
    let announced = raw.media_type.clone().unwrap_or_else(|| OCI_MANIFEST.to_owned());
    let kind = media::kind(&announced)?;
    match check(raw, &announced, kind, limits)? {
        Document::Manifest(manifest) => Ok(manifest),
        Document::Index(_) => Err(Error::MediaType(shown(&announced))),
    }
}

fn read(bytes: &[u8], limits: &Limits) -> Result<Raw, Error> {
    let (size, limit) = (bytes.len() as u64, limits.document.0);
    if size > limit {
        return Err(Error::Large { size, limit });
    }
    serde_json::from_slice(bytes).map_err(|e| Error::Json(json(&e)))
}

fn check(raw: Raw, announced: &str, kind: Kind, limits: &Limits) -> Result<Document, Error> {
    match raw.schema_version {
        2 => {}
        1 => return Err(Error::Schema1),
        other => return Err(Error::Schema(other)),
    }
    if let Some(inside) = raw.media_type.as_deref().filter(|inside| *inside != announced) {
        return Err(Error::Mismatch {
            inside: shown(inside),
            announced: shown(announced),
        });
    }
    let both = [
        ("layers", raw.layers.iter().flatten().next().is_some()),
        ("config", raw.config.is_some()),
        ("manifests", raw.manifests.iter().flatten().next().is_some()),
        ("fsLayers", raw.fs_layers.is_some()),
    ];
    let own = match kind {
        Kind::Manifest => ["layers", "config"],
        Kind::Index => ["manifests", "manifests"],
    };
    let alien = both.iter().find(|(name, there)| *there && !own.contains(name));
    if let Some((alien, _)) = alien {
        return Err(Error::Ambiguous(own[0], alien));
    }
    match kind {
        Kind::Manifest => manifest(raw, limits).map(Document::Manifest),
        Kind::Index => index(raw, limits).map(Document::Index),
    }
}

fn manifest(raw: Raw, limits: &Limits) -> Result<Manifest, Error> {
    let missing = |key: &str| Error::Json(format!("a manifest must have `{key}`"));
    let config = raw.config.ok_or_else(|| missing("config"))?;
    let artifact = raw.artifact_type.filter(|text| !text.is_empty());
    if let Some(artifact) = artifact {
        return Err(Error::Artifact(shown(&artifact)));
    }
    if !media::is_config(&config.media_type) {
        return Err(Error::Artifact(shown(&config.media_type)));
    }
    let descriptors = raw.layers.ok_or_else(|| missing("layers"))?.unwrap_or_default();
    let (count, limit) = (descriptors.len(), limits.layers);
    if count > usize::try_from(limit).unwrap_or(usize::MAX) {
        return Err(Error::Layers { count, limit });
    }
    size("config", &config, 1, limits.document.0)?;
    let mut layers = Vec::with_capacity(count);
    for descriptor in descriptors {
        let compression = match media::compression(&descriptor)? {
            // No bytes are the same empty archive whatever they are called; gzip and zstd would miss their headers.
            _ if descriptor.size == 0 => Compression::None,
            compression => compression,
        };
        size("layer", &descriptor, 0, limits.packed.0)?;
        layers.push(Layer {
            descriptor,
            compression,
        });
    }
    Ok(Manifest { config, layers })
}

fn index(raw: Raw, limits: &Limits) -> Result<Index, Error> {
    let missing = || Error::Json("an index must have `manifests`".to_owned());
    let manifests = raw.manifests.ok_or_else(missing)?.unwrap_or_default();
    for descriptor in &manifests {
        size("manifest", descriptor, 1, limits.document.0)?;
    }
    Ok(Index { manifests })
}

/// A document has a byte at least; a layer may be an empty archive.
fn size(what: &'static str, descriptor: &Descriptor, least: u64, limit: u64) -> Result<(), Error> {
    let (digest, size) = (descriptor.digest, descriptor.size);
    if size < least || size > limit {
        return Err(Error::Size {
            what,
            digest,
            size,
            least,
            limit,
        });
    }
    Ok(())
}

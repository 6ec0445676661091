//! Images of the store as one file. The same images under the same names make the same bytes.

use super::write::{Entry, What, Writer};
use crate::image::descriptor::{Compression, Descriptor};
use crate::image::document::OCI_INDEX;
use crate::image::store::{self, LAYOUT_NAME, Store};
use crate::model::Digest;
use serde::Serialize;
use sha2::Digest as _;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};

const BUFFER: usize = 128 << 10;

/// How images are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A tar of an OCI image layout.
    OciArchive,
    /// As `docker save` writes it; layers stay packed as they are.
    DockerArchive,
}

/// An image, and the names under which it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Its manifest.
    pub manifest: Digest,
    /// What the manifest is said to be.
    pub media_type: String,
    /// Full names; none is fine.
    pub names: Vec<String>,
}

/// Why it cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The store does not have it, or not as it should be.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The file cannot be written.
    #[error("{0}")]
    Write(#[from] io::Error),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u8,
    media_type: &'static str,
    manifests: Vec<Descriptor>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

/// Writes images. Every blob is checked once more while it is.
///
/// # Errors
/// See [`SaveError`]; what was written until then is of no use.
pub fn save<W: Write>(store: &Store, images: &[Saved], format: Format, to: W) -> Result<W, SaveError> {
    let mut writer = Writer::new(to);
    match format {
        Format::OciArchive => oci(store, images, &mut writer)?,
        Format::DockerArchive => docker(store, images, &mut writer)?,
    }
    Ok(writer.finish()?)
}

fn json(what: &impl Serialize) -> Result<Vec<u8>, SaveError> {
    serde_json::to_vec(what).map_err(|e| SaveError::Write(e.into()))
}

fn oci<W: Write>(store: &Store, images: &[Saved], writer: &mut Writer<W>) -> Result<(), SaveError> {
    let mut blobs = BTreeMap::new();
    let mut manifests: Vec<Descriptor> = Vec::new();
    for image in images {
        let (manifest, _, _) = store.load(&image.manifest)?;
        let size = store.blob_size(&image.manifest)?;
        let size = size.ok_or(store::Error::Missing(image.manifest))?;
        blobs.insert(image.manifest, size);
        let parts = manifest.layers.iter().map(|layer| &layer.descriptor);
        blobs.extend(parts.chain([&manifest.config]).map(|d| (d.digest, d.size)));
        manifests.extend(listed(image, size));
    }
    let index = Index {
        schema_version: 2,
        media_type: OCI_INDEX,
        manifests,
    };
    writer.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    writer.file("index.json", &json(&index)?)?;
    for name in ["blobs/", "blobs/sha256/"] {
        writer.entry(&Entry {
            name: name.as_bytes(),
            mode: 0o755,
            ..Entry::default()
        })?;
    }
    for (digest, size) in blobs {
        blob(
            store,
            &digest,
            size,
            &format!("blobs/sha256/{}", digest.hex()),
            writer,
        )?;
    }
    Ok(())
}

/// An image's entries in an index: one for each name, or one without.
fn listed(image: &Saved, size: u64) -> Vec<Descriptor> {
    let entry = |name: Option<&String>| Descriptor {
        media_type: image.media_type.clone(),
        digest: image.manifest,
        size,
        platform: None,
        annotations: name
            .map(|name| (LAYOUT_NAME.to_owned(), name.clone()))
            .into_iter()
            .collect(),
    };
    match image.names.as_slice() {
        [] => vec![entry(None)],
        names => names.iter().map(|name| entry(Some(name))).collect(),
    }
}

fn docker<W: Write>(store: &Store, images: &[Saved], writer: &mut Writer<W>) -> Result<(), SaveError> {
    let mut blobs = BTreeMap::new();
    let mut listed = Vec::new();
    for image in images {
        let (manifest, _, _) = store.load(&image.manifest)?;
        let config = format!("{}.json", manifest.config.digest.hex());
        blobs.insert(config.clone(), (manifest.config.digest, manifest.config.size));
        let mut layers = Vec::new();
        for layer in &manifest.layers {
            let ending = match layer.compression {
                Compression::None => "tar",
                Compression::Gzip => "tar.gz",
                Compression::Zstd => "tar.zst",
            };
            let name = format!("{}.{ending}", layer.descriptor.digest.hex());
            blobs.insert(name.clone(), (layer.descriptor.digest, layer.descriptor.size));
            layers.push(name);
        }
        listed.push(DockerImage {
            config,
            repo_tags: image.names.clone(),
            layers,
        });
    }
    writer.file("manifest.json", &json(&listed)?)?;
    for (name, (digest, size)) in blobs {
        blob(store, &digest, size, &name, writer)?;
    }
    Ok(())
}

fn blob<W: Write>(
    store: &Store,
    digest: &Digest,
    size: u64,
    name: &str,
    writer: &mut Writer<W>,
) -> Result<(), SaveError> {
    let from = store.open_blob(digest)?;
    let found = from.metadata()?.len();
    if found != size {
        return Err(store::Error::Missing(*digest).into());
    }
    writer.entry(&Entry {
        name: name.as_bytes(),
        what: What::File(size),
        mode: 0o644,
        ..Entry::default()
    })?;
    let mut hash = sha2::Sha256::new();
    writer.contents(size, |to| copy(&mut from.take(size), to, size, &mut hash))?;
    let found = Digest::of_hash(hash.finalize().into());
    if found != *digest {
        let expected = *digest;
        return Err(store::Error::Corrupt { expected, found }.into());
    }
    Ok(())
}

/// Copies exactly so many bytes.
fn copy(from: &mut impl Read, to: &mut dyn Write, size: u64, hash: &mut sha2::Sha256) -> io::Result<()> {
    let (mut buffer, mut left) = (vec![0; BUFFER], size);
    while left > 0 {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let chunk = buffer.get(..read).unwrap_or_default();
        hash.update(chunk);
        to.write_all(chunk)?;
        left -= read as u64;
    }
    Ok(())
}

//! index.json: which images there are, and what they are called.
//!
//! An entry a name; an image that has lost its last name has an entry without one, until it is removed.

use super::error::Error;
use super::lock::{self, Holders, Wait};
use super::root::Root;
use super::{Store, blob};
use crate::image::descriptor::{Descriptor, Platform};
use crate::image::document::{self, OCI_INDEX};
use crate::image::limits::Limits;
use crate::model::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub(super) const FILE: &str = "index.json";
pub(super) const LOCK: &str = "index";
/// Some hundred bytes a name.
const LIMIT: u64 = 64 << 20;

/// The annotation that names an image in a layout (image-spec, annotations.md).
pub const LAYOUT_NAME: &str = "org.opencontainers.image.ref.name";
/// The digest that the registry answered for the name: of an index, where it has one.
const SOURCE: &str = "sbx.source";
/// The digest of the config, so that an id is found without reading every manifest.
const CONFIG: &str = "sbx.config";

/// index.json as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entries {
    schema_version: u64,
    #[serde(default)]
    media_type: Option<String>,
    pub(super) manifests: Vec<Descriptor>,
}

impl Default for Entries {
    fn default() -> Self {
        Self {
            schema_version: 2,
            media_type: Some(OCI_INDEX.to_owned()),
            manifests: Vec::new(),
        }
    }
}

/// An image in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// What it is called; nothing, when another image has taken its name.
    pub names: Vec<String>,
    /// Its manifest.
    pub manifest: Digest,
    /// What the manifest is said to be.
    pub media_type: String,
    /// Its id, the digest of its config; `None` when another program has put it here and the manifest cannot be read.
    pub id: Option<Digest>,
    /// What the registry answered for the name that it was found by (for any, when it was found by its id).
    pub source: Option<Digest>,
    /// What it runs on, when the index that it was chosen from said so.
    pub platform: Option<Platform>,
}

pub(super) fn name_of(entry: &Descriptor) -> Option<&str> {
    entry.annotations.get(LAYOUT_NAME).map(String::as_str)
}

fn digest_in(entry: &Descriptor, annotation: &str) -> Option<Digest> {
    entry.annotations.get(annotation)?.parse().ok()
}

pub(super) fn read(root: &Root) -> Result<Entries, Error> {
    let damaged = |why: String| Error::Damaged {
        path: root.path(FILE),
        why,
    };
    let Some(bytes) = root.read(FILE, LIMIT)? else {
        return Ok(Entries::default());
    };
    let entries: Entries = serde_json::from_slice(&bytes).map_err(|e| damaged(document::json(&e)))?;
    match entries.schema_version {
        2 => Ok(entries),
        other => Err(damaged(format!("schemaVersion is {other}, and must be 2"))),
    }
}

/// Writes it anew. The caller holds the lock.
pub(super) fn write(root: &Root, entries: &Entries) -> Result<(), Error> {
    let bytes = serde_json::to_vec(entries).map_err(|e| Error::Damaged {
        path: root.path(FILE),
        why: e.to_string(),
    })?;
    root.replace(FILE, ".new-index.json", &bytes)
}

/// Reads it, changes it and writes it, with nobody else in between.
pub(super) fn update<T>(root: &Root, change: impl FnOnce(&mut Vec<Descriptor>) -> T) -> Result<T, Error> {
    let _lock = lock::take(root, LOCK, Holders::Alone, Wait::Silently)?;
    let mut entries = read(root)?;
    let before = entries.manifests.clone();
    let answer = change(&mut entries.manifests);
    if entries.manifests != before {
        write(root, &entries)?;
    }
    Ok(answer)
}

/// Takes a name from whatever has it; an image that had no other stays, without one.
fn release(entries: &mut Vec<Descriptor>, name: &str) -> bool {
    let Some(at) = entries.iter().position(|entry| name_of(entry) == Some(name)) else {
        return false;
    };
    let mut freed = entries.remove(at);
    release(entries, name);
    if !entries.iter().any(|entry| entry.digest == freed.digest) {
        freed.annotations.remove(LAYOUT_NAME);
        freed.annotations.remove(SOURCE);
        entries.push(freed);
    }
    true
}

/// The whole name fits in a line of a message and in a command line, and cannot be taken for an id.
fn check_name(name: &str) -> Result<(), Error> {
    let odd = |c: char| !(c.is_ascii_alphanumeric() || "._-:@/+[]".contains(c));
    if name.is_empty() || name.len() > 1024 || name.contains(odd) || is_id(name) {
        return Err(Error::Name(document::shown(name)));
    }
    Ok(())
}

fn is_id(text: &str) -> bool {
    text.starts_with("sha256:")
        || (4..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

impl Store {
    /// Finds an image by its full name, or by its id or the digest of its manifest: whole, or the first digits of it, at least four.
    ///
    /// # Errors
    /// [`Error::Ambiguous`]; index.json cannot be read.
    pub fn find(&self, wanted: &str) -> Result<Option<Image>, Error> {
        let entries = read(&self.root)?.manifests;
        if let Some(entry) = entries.iter().find(|entry| name_of(entry) == Some(wanted)) {
            return Ok(Some(self.image(entry, &entries)));
        }
        let digits = wanted.strip_prefix("sha256:").unwrap_or(wanted);
        if !is_id(digits) {
            return Ok(None);
        }
        let digits = digits.to_ascii_lowercase();
        let fits = |digest: &Digest| digest.hex().starts_with(&digits);
        let mut found: BTreeMap<Digest, Image> = BTreeMap::new();
        for entry in &entries {
            if fits(&entry.digest) || self.id(entry).is_some_and(|id| fits(&id)) {
                found.insert(entry.digest, self.image(entry, &entries));
            }
        }
        let mut ids: Vec<_> = found.values().map(|image| image.id).collect();
        ids.dedup();
        if ids.len() > 1 {
            let found: Vec<_> = found
                .values()
                .map(|i| i.id.unwrap_or(i.manifest).short())
                .collect();
            return Err(Error::Ambiguous {
                prefix: digits,
                found: found.join(", "),
            });
        }
        Ok(found.into_values().next())
    }

    fn id(&self, entry: &Descriptor) -> Option<Digest> {
        digest_in(entry, CONFIG).or_else(|| {
            let limits = Limits::default();
            let bytes = self.document(&entry.digest, &limits).ok()?;
            document::parse_stored(&bytes, &limits)
                .ok()
                .map(|manifest| manifest.config.digest)
        })
    }

    fn image(&self, entry: &Descriptor, entries: &[Descriptor]) -> Image {
        let same: Vec<_> = entries.iter().filter(|e| e.digest == entry.digest).collect();
        let source = match name_of(entry) {
            Some(_) => digest_in(entry, SOURCE),
            None => None,
        };
        Image {
            names: same
                .iter()
                .filter_map(|e| name_of(e))
                .map(str::to_owned)
                .collect(),
            manifest: entry.digest,
            media_type: entry.media_type.clone(),
            id: self.id(entry),
            source,
            platform: entry.platform.clone(),
        }
    }

    /// Every image, in the order in which they came.
    ///
    /// # Errors
    /// index.json cannot be read.
    pub fn all(&self) -> Result<Vec<Image>, Error> {
        let entries = read(&self.root)?.manifests;
        let mut images: Vec<Image> = Vec::new();
        for entry in &entries {
            if !images.iter().any(|image| image.manifest == entry.digest) {
                images.push(self.image(entry, &entries));
            }
        }
        Ok(images)
    }

    /// Names an image, all of whose blobs are there. Whatever had the name loses it. `source` is what the registry answered for the name,
    /// so that one that has not moved is known by its answer alone.
    ///
    /// # Errors
    /// A blob is missing; the name is none.
    pub fn name(&self, name: &str, manifest: &Descriptor, source: Option<&Digest>) -> Result<(), Error> {
        check_name(name)?;
        // Between the look at the blobs and the name nobody may remove them.
        let _kept = self.pulling(Wait::Silently)?;
        let mut entry = self.entry(manifest)?;
        entry.annotations.insert(LAYOUT_NAME.to_owned(), name.to_owned());
        if let Some(source) = source {
            entry.annotations.insert(SOURCE.to_owned(), source.to_string());
        }
        update(&self.root, |entries| {
            release(entries, name);
            entries.retain(|e| e.digest != entry.digest || name_of(e).is_some());
            entries.push(entry);
        })
    }

    /// Keeps an image, all of whose blobs are there, under its digest: it has no name, unless it has one already.
    ///
    /// # Errors
    /// A blob is missing.
    pub fn keep(&self, manifest: &Descriptor) -> Result<(), Error> {
        let _kept = self.pulling(Wait::Silently)?;
        let entry = self.entry(manifest)?;
        update(&self.root, |entries| {
            if entries.iter().all(|e| e.digest != entry.digest) {
                entries.push(entry);
            }
        })
    }

    /// The entry of an image that is whole, without a name.
    fn entry(&self, manifest: &Descriptor) -> Result<Descriptor, Error> {
        let (read, _, id) = self.load(&manifest.digest)?;
        self.check_type(manifest)?;
        let blobs = read.layers.iter().map(|layer| &layer.descriptor);
        for blob in blobs.chain([&read.config, manifest]) {
            if self.blob_size(&blob.digest)? != Some(blob.size) {
                return Err(Error::Missing(blob.digest));
            }
        }
        Ok(Descriptor {
            annotations: BTreeMap::from([(CONFIG.to_owned(), id.to_string())]),
            ..manifest.clone()
        })
    }

    /// A manifest that is announced as something else would be refused by whoever reads the layout next.
    fn check_type(&self, manifest: &Descriptor) -> Result<(), Error> {
        let limits = Limits::default();
        let bytes = self.document(&manifest.digest, &limits)?;
        let read = document::parse(&bytes, &manifest.media_type, &limits);
        read.map(drop).map_err(|source| Error::Document {
            blob: manifest.digest,
            source,
        })
    }

    /// Takes a name away, and nothing else; whether anything had it.
    ///
    /// # Errors
    /// index.json cannot be read or written.
    pub fn unname(&self, name: &str) -> Result<bool, Error> {
        update(&self.root, |entries| release(entries, name))
    }

    /// Whether a blob with this digest lies in the store.
    ///
    /// # Errors
    /// As stat(2).
    pub fn has_blob(&self, digest: &Digest) -> Result<bool, Error> {
        self.root
            .status(&blob::blob_name(digest))
            .map(|stat| stat.is_some())
    }
}

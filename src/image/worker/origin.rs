//! Bringing an image into the store, wherever its blobs come from: everything is checked alike.

use super::layers;
use super::talk::Talk;
use crate::image::descriptor::{Descriptor, Platform};
use crate::image::document::{self, Config, Document, Index, Manifest};
use crate::image::job::{Stage, Terms};
use crate::image::limits::Limits;
use crate::image::platform;
use crate::image::store::{Lock, Partial, Store, Wait};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;

/// Where blobs come from.
pub(super) trait Origin: Sync {
    /// A manifest, by its descriptor. It has that digest.
    fn manifest(&self, wanted: &Descriptor) -> Result<Vec<u8>, String>;

    /// Fills `into`, which may hold the beginning already, with a blob. It has that digest and that size when this returns.
    fn blob(&self, wanted: &Descriptor, into: &File, progress: &(dyn Fn(u64) + Sync)) -> Result<(), String>;
}

/// An image, as its manifest has it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) descriptor: Descriptor,
    pub(super) bytes: Vec<u8>,
    pub(super) manifest: Manifest,
}

/// What images are brought into.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) store: &'a Store,
    pub(super) terms: &'a Terms,
    pub(super) talk: &'a Talk,
}

/// Keeps everything in the store while it is worked with; who removes from it is waited for.
pub(super) fn kept(store: &Store, talk: &Talk) -> Result<Lock, String> {
    let mut say = || talk.note("waiting for another sbx, which removes images");
    let lock = store.pulling(Wait::Saying(&mut say));
    lock.map_err(|e| e.to_string())
}

/// Reads what is announced as a manifest or an index.
pub(super) fn parse(bytes: &[u8], announced: &Descriptor, limits: &Limits) -> Result<Document, String> {
    let parsed = document::parse(bytes, &announced.media_type, limits);
    parsed.map_err(|e| format!("manifest {}: {e}", announced.digest.short()))
}

/// The image of an index that runs on a platform.
pub(super) fn choose(
    origin: &dyn Origin,
    index: &Index,
    wanted: &Platform,
    limits: &Limits,
) -> Result<Found, String> {
    let chosen = platform::choose(&index.manifests, wanted).map_err(|e| e.to_string())?;
    let bytes = origin.manifest(chosen)?;
    let refused = |why: String| format!("manifest {}: {why}: refused", chosen.digest.short());
    if bytes.len() as u64 != chosen.size {
        let (found, said) = (bytes.len(), chosen.size);
        return Err(refused(format!(
            "it has {found} bytes, and the index says {said}"
        )));
    }
    // What the index calls it: whoever calls it otherwise is not asked twice.
    match parse(&bytes, chosen, limits)? {
        Document::Manifest(manifest) => Ok(Found {
            descriptor: Descriptor {
                platform: Some(wanted.clone()),
                annotations: BTreeMap::new(),
                ..chosen.clone()
            },
            bytes,
            manifest,
        }),
        Document::Index(_) => Err(refused("an index inside an index".to_owned())),
    }
}

/// Brings an image's config, layers and manifest into the store, and unpacks it. It has no name yet.
pub(super) fn bring(origin: &dyn Origin, found: &Found, into: &Target<'_>) -> Result<Config, String> {
    let config = config(origin, &found.manifest, into)?;
    if let Some(note) = other_platform(&config, &into.terms.platform) {
        into.talk.note(note);
    }
    let wanted: Vec<_> = found
        .manifest
        .layers
        .iter()
        .zip(config.diff_ids.iter().copied())
        .collect();
    let fetch = |layer: &document::Layer| blob(origin, &layer.descriptor, into);
    layers::all(
        into.store,
        &wanted,
        into.terms.kind,
        &into.terms.limits,
        &fetch,
        into.talk,
    )?;
    into.store.put_blob(&found.bytes).map_err(|e| e.to_string())?;
    Ok(config)
}

/// Brings the config of an image into the store, and lists its layers, each once.
pub(super) fn prepare(
    origin: &dyn Origin,
    found: &Found,
    into: &Target<'_>,
) -> Result<Vec<Descriptor>, String> {
    let config = config(origin, &found.manifest, into)?;
    if let Some(note) = other_platform(&config, &into.terms.platform) {
        into.talk.note(note);
    }
    let mut seen = BTreeSet::new();
    let layers = found.manifest.layers.iter().map(|layer| layer.descriptor.clone());
    Ok(layers.filter(|layer| seen.insert(layer.digest)).collect())
}

fn config(origin: &dyn Origin, manifest: &Manifest, into: &Target<'_>) -> Result<Config, String> {
    let wanted = &manifest.config;
    let about = |why: String| format!("config {}: {why}", wanted.digest.short());
    if wanted.size > into.terms.limits.document.0 {
        return Err(about(format!(
            "it has {} bytes, and at most {} are read",
            wanted.size, into.terms.limits.document
        )));
    }
    fetch(origin, into.store, wanted, &|_| ())?;
    let bytes = into
        .store
        .document(&wanted.digest, &into.terms.limits)
        .map_err(|e| about(e.to_string()))?;
    Config::parse(&bytes, manifest.layers.len(), &into.terms.limits).map_err(|e| about(e.to_string()))
}

fn other_platform(config: &Config, wanted: &Platform) -> Option<String> {
    (config.os != wanted.os || config.architecture != wanted.architecture).then(|| {
        format!(
            "the image is made for {}/{}, not for {wanted}",
            config.os.escape_debug(),
            config.architecture.escape_debug()
        )
    })
}

/// Fetches a blob, and reports its progress.
pub(super) fn blob(origin: &dyn Origin, wanted: &Descriptor, into: &Target<'_>) -> Result<(), String> {
    let there = into.store.has_blob(&wanted.digest).unwrap_or(false);
    if there {
        into.talk.stage(wanted, Stage::Present, wanted.size);
        return Ok(());
    }
    let tick = into.talk.ticker(wanted, Stage::Transfer);
    fetch(origin, into.store, wanted, &tick)
}

/// Fetches a blob, unless it is there; its origin has checked its size and digest when it is committed.
pub(super) fn fetch(
    origin: &dyn Origin,
    store: &Store,
    wanted: &Descriptor,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), String> {
    let about = |why: String| format!("blob {}: {why}", wanted.digest.short());
    match store
        .partial(wanted, Wait::Silently)
        .map_err(|e| about(e.to_string()))?
    {
        Partial::Complete => Ok(()),
        Partial::Open(open) => {
            origin.blob(wanted, open.file(), progress)?;
            open.commit().map_err(|e| about(e.to_string()))
        }
    }
}

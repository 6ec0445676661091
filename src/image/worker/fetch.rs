//! A pull: what a name is at a registry, then every blob of it, then the name.

use super::layers;
use super::talk::Talk;
use crate::image::descriptor::Descriptor;
use crate::image::document::{self, Config, Document, Layer, Manifest};
use crate::image::job::{Endpoint, Pull, Stage};
use crate::image::platform;
use crate::image::registry::{self, Client};
use crate::image::store::{LayerState, Partial, Store, Wait};
use crate::model::Digest;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Fetches an image from the first place that has it.
pub(super) fn pull(store: &Store, job: &Pull, talk: &Arc<Talk>) -> Result<Digest, String> {
    let _kept = store
        .pulling(Wait::Saying(&mut || {
            talk.note("waiting for another sbx, which removes images")
        }))
        .map_err(|e| e.to_string())?;
    let mut why = String::from("no place to pull from");
    for (at, endpoint) in job.endpoints.iter().enumerate() {
        match from(store, job, endpoint, talk) {
            Ok(digest) => return Ok(digest),
            Err(error) => {
                if at + 1 < job.endpoints.len() {
                    talk.note(format!("{}: {error}; trying the next place", endpoint.host));
                }
                why = error;
            }
        }
    }
    Err(why)
}

/// An image as one place has it.
struct Found {
    /// What the name is there: an index, where there is one.
    source: Digest,
    descriptor: Descriptor,
    bytes: Vec<u8>,
    manifest: Manifest,
}

fn from(store: &Store, job: &Pull, endpoint: &Endpoint, talk: &Arc<Talk>) -> Result<Digest, String> {
    let text = |e: registry::Error| e.to_string();
    let resolve: Arc<dyn registry::Resolve> = talk.clone();
    let client = Client::new(endpoint, &job.transport, &job.limits, resolve).map_err(text)?;
    if let Some(there) = unchanged(store, job, &client)? {
        return Ok(there);
    }
    let found = look_up(job, &client)?;
    let config = config(store, job, &client, &found.manifest)?;
    if let Some(note) = other_platform(&config, job) {
        talk.note(note);
    }
    let wanted: Vec<_> = found
        .manifest
        .layers
        .iter()
        .zip(config.diff_ids.iter().copied())
        .collect();
    let fetch = |layer: &Layer| blob(store, &client, &layer.descriptor, talk);
    layers::all(store, &wanted, job.kind, &job.limits, &fetch, talk)?;
    let stored = store.put_blob(&found.bytes).map_err(|e| e.to_string())?;
    store
        .name(&job.name, &found.descriptor, Some(&found.source))
        .map_err(|e| e.to_string())?;
    Ok(stored)
}

/// The image, when the registry answers for the name what it answered when it was pulled, and everything of it is there.
fn unchanged(store: &Store, job: &Pull, client: &Client) -> Result<Option<Digest>, String> {
    let Some(image) = store.find(&job.name).map_err(|e| e.to_string())? else {
        return Ok(None);
    };
    if image
        .platform
        .as_ref()
        .is_some_and(|platform| *platform != job.platform)
    {
        return Ok(None);
    }
    let source = match (&job.digest, &job.tag) {
        (Some(digest), _) => Some(*digest),
        (None, Some(tag)) => client.digest_of(tag).map_err(|e| e.to_string())?,
        (None, None) => None,
    };
    if source.is_none() || image.source != source {
        return Ok(None);
    }
    let Ok((manifest, config, _)) = store.load(&image.manifest) else {
        return Ok(None);
    };
    for (layer, diff_id) in manifest.layers.iter().zip(&config.diff_ids) {
        let ready = matches!(store.layer(&job.kind, diff_id), Ok(LayerState::Ready(_)));
        if !ready || !store.has_blob(&layer.descriptor.digest).unwrap_or(false) {
            return Ok(None);
        }
    }
    Ok(Some(image.manifest))
}

fn look_up(job: &Pull, client: &Client) -> Result<Found, String> {
    let asked = match (&job.digest, &job.tag) {
        (Some(digest), _) => digest.to_string(),
        (None, Some(tag)) => tag.clone(),
        (None, None) => "latest".to_owned(),
    };
    let first = client.manifest(&asked).map_err(|e| e.to_string())?;
    let refused = |digest: &Digest, e: document::Error| format!("manifest {}: {e}", digest.short());
    let parsed = document::parse(&first.bytes, &first.media_type, &job.limits);
    match parsed.map_err(|e| refused(&first.digest, e))? {
        Document::Manifest(manifest) => Ok(Found {
            source: first.digest,
            descriptor: Descriptor {
                media_type: first.media_type,
                digest: first.digest,
                size: first.bytes.len() as u64,
                platform: None,
                annotations: BTreeMap::new(),
            },
            bytes: first.bytes,
            manifest,
        }),
        Document::Index(index) => {
            let chosen = platform::choose(&index.manifests, &job.platform).map_err(|e| e.to_string())?;
            let second = client
                .manifest(&chosen.digest.to_string())
                .map_err(|e| e.to_string())?;
            if second.bytes.len() as u64 != chosen.size {
                return Err(format!(
                    "manifest {}: it has {} bytes, and the index says {}: refused",
                    chosen.digest.short(),
                    second.bytes.len(),
                    chosen.size
                ));
            }
            // What the index calls it: a registry that calls it otherwise is not asked twice.
            let parsed = document::parse(&second.bytes, &chosen.media_type, &job.limits);
            match parsed.map_err(|e| refused(&chosen.digest, e))? {
                Document::Manifest(manifest) => Ok(Found {
                    source: first.digest,
                    descriptor: Descriptor {
                        platform: Some(job.platform.clone()),
                        annotations: BTreeMap::new(),
                        ..chosen.clone()
                    },
                    bytes: second.bytes,
                    manifest,
                }),
                Document::Index(_) => Err(format!(
                    "manifest {}: an index inside an index: refused",
                    chosen.digest.short()
                )),
            }
        }
    }
}

fn config(store: &Store, job: &Pull, client: &Client, manifest: &Manifest) -> Result<Config, String> {
    let wanted = &manifest.config;
    let about = |why: String| format!("config {}: {why}", wanted.digest.short());
    if wanted.size > job.limits.document.0 {
        return Err(about(format!(
            "it has {} bytes, and at most {} are read",
            wanted.size, job.limits.document
        )));
    }
    fetch(store, client, wanted, &|_| ())?;
    let bytes = store
        .document(&wanted.digest, &job.limits)
        .map_err(|e| about(e.to_string()))?;
    Config::parse(&bytes, manifest.layers.len(), &job.limits).map_err(|e| about(e.to_string()))
}

fn other_platform(config: &Config, job: &Pull) -> Option<String> {
    let wanted = &job.platform;
    (config.os != wanted.os || config.architecture != wanted.architecture).then(|| {
        format!(
            "the image is made for {}/{}, not for {wanted}",
            config.os.escape_debug(),
            config.architecture.escape_debug()
        )
    })
}

fn blob(store: &Store, client: &Client, wanted: &Descriptor, talk: &Talk) -> Result<(), String> {
    let there = store.has_blob(&wanted.digest).unwrap_or(false);
    if there {
        talk.stage(wanted, Stage::Present, wanted.size);
        return Ok(());
    }
    let tick = talk.ticker(wanted, Stage::Transfer);
    fetch(store, client, wanted, &tick)
}

/// Fetches a blob, unless it is there; the client has checked its size and digest when it is committed.
fn fetch(
    store: &Store,
    client: &Client,
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
            client
                .blob(wanted, open.file(), progress)
                .map_err(|e| e.to_string())?;
            open.commit().map_err(|e| about(e.to_string()))
        }
    }
}

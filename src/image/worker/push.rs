//! A push: what a registry has already is not sent again; the manifest goes last.

use super::talk::Talk;
use super::{origin, several};
use crate::image::descriptor::Descriptor;
use crate::image::job::{Push, Stage};
use crate::image::registry::{Client, Resolve};
use crate::image::store::Store;
use crate::model::Digest;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Pushes an image of the store.
pub(super) fn push(store: &Store, job: &Push, talk: &Arc<Talk>) -> Result<Digest, String> {
    let _kept = origin::kept(store, talk)?;
    let (manifest, ..) = store.load(&job.manifest).map_err(|e| e.to_string())?;
    let bytes = store.document(&job.manifest, &job.limits);
    let bytes = bytes.map_err(|e| e.to_string())?;
    let resolve: Arc<dyn Resolve> = talk.clone();
    let client = Client::new(&job.endpoint, &job.transport, &job.limits, resolve);
    let client = client.map_err(|e| e.to_string())?;
    let mut seen = BTreeSet::new();
    let layers = manifest.layers.iter().map(|layer| &layer.descriptor);
    let blobs: Vec<_> = layers
        .chain([&manifest.config])
        .filter(|blob| seen.insert(blob.digest))
        .collect();
    several::each(&blobs, &|blob| send(store, &client, blob, talk))?;
    let reference = job.tag.clone().unwrap_or_else(|| job.manifest.to_string());
    client
        .put_manifest(&reference, &job.media_type, &bytes)
        .map_err(|e| e.to_string())?;
    Ok(job.manifest)
}

fn send(store: &Store, client: &Client, blob: &Descriptor, talk: &Talk) -> Result<(), String> {
    if client.has_blob(&blob.digest).map_err(|e| e.to_string())? {
        talk.stage(blob, Stage::Present, blob.size);
        return Ok(());
    }
    let file = store.open_blob(&blob.digest).map_err(|e| e.to_string())?;
    let tick = talk.ticker(blob, Stage::Send);
    client.upload(blob, &file, &tick).map_err(|e| e.to_string())?;
    talk.stage(blob, Stage::Complete, blob.size);
    Ok(())
}

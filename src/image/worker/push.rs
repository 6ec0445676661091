//! A push: what a registry has already is not sent again; the manifest goes last.

use super::talk::Talk;
use crate::image::descriptor::Descriptor;
use crate::image::job::{Push, Stage};
use crate::image::registry::{Client, Resolve};
use crate::image::store::{Store, Wait};
use crate::model::Digest;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How many blobs are sent at once.
const AT_ONCE: usize = 4;

/// Pushes an image of the store.
pub(super) fn push(store: &Store, job: &Push, talk: &Arc<Talk>) -> Result<Digest, String> {
    let _kept = store.pulling(Wait::Silently).map_err(|e| e.to_string())?;
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
    all(&blobs, &|blob| send(store, &client, blob, talk))?;
    let reference = job.tag.clone().unwrap_or_else(|| job.manifest.to_string());
    client
        .put_manifest(&reference, &job.media_type, &bytes)
        .map_err(|e| e.to_string())?;
    Ok(job.manifest)
}

fn all(
    blobs: &[&Descriptor],
    send: &(dyn Fn(&Descriptor) -> Result<(), String> + Sync),
) -> Result<(), String> {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(None::<String>));
    let lock = || failed.lock().unwrap_or_else(PoisonError::into_inner);
    let work = || {
        while lock().is_none() {
            let Some(blob) = blobs.get(next.fetch_add(1, Ordering::Relaxed)) else {
                return;
            };
            if let Err(why) = send(blob) {
                lock().get_or_insert(why);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..AT_ONCE.min(blobs.len()) {
            scope.spawn(work);
        }
        work();
    });
    match lock().take() {
        Some(why) => Err(why),
        None => Ok(()),
    }
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

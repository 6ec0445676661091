//! Layers, several at once: each is fetched, if it has to be, and unpacked.

use super::talk::Talk;
use super::{origin, several};
use crate::image::document::Layer;
use crate::image::dropped::Dropped;
use crate::image::job::{Stage, Unpack};
use crate::image::limits::Limits;
use crate::image::store::{Claim, Kind, Store, Wait};
use crate::image::unpack::{self, Options};
use crate::model::Digest;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// A layer and what it unpacks to.
pub(super) type Wanted<'a> = (&'a Layer, Digest);

/// What fetches a blob that is not there.
pub(super) type Fetch<'a> = &'a (dyn Fn(&Layer) -> Result<(), String> + Sync);

/// Unpacks every layer of an image that is in the store.
pub(super) fn unpack_image(store: &Store, job: &Unpack, talk: &Talk) -> Result<(), String> {
    let _kept = origin::kept(store, talk)?;
    let (manifest, config, _) = store.load(&job.manifest).map_err(|e| e.to_string())?;
    let wanted: Vec<Wanted<'_>> = manifest.layers.iter().zip(config.diff_ids).collect();
    let there = |layer: &Layer| match store.has_blob(&layer.descriptor.digest) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!(
            "layer {} is not in the store any more: pull the image again",
            layer.descriptor.digest.short()
        )),
        Err(e) => Err(e.to_string()),
    };
    all(store, &wanted, job.kind, &job.limits, &there, talk)
}

/// Fetches and unpacks; the first that fails stops the others before their next layer.
pub(super) fn all(
    store: &Store,
    wanted: &[Wanted<'_>],
    kind: Kind,
    limits: &Limits,
    fetch: Fetch<'_>,
    talk: &Talk,
) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    // One image may name a layer twice; who waits for itself waits for ever.
    let wanted: Vec<_> = wanted
        .iter()
        .filter(|(layer, _)| seen.insert(layer.descriptor.digest))
        .collect();
    let sum = Mutex::default();
    several::each(&wanted, &|(layer, diff_id)| {
        fetch(layer)?;
        one(store, layer, *diff_id, kind, limits, &sum, talk)
    })?;
    let sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    sum.dropped.told().into_iter().for_each(|told| talk.note(told));
    Ok(())
}

/// Of the layers that have been unpacked.
#[derive(Default)]
struct Sum {
    bytes: u64,
    dropped: Dropped,
}

fn one(
    store: &Store,
    layer: &Layer,
    diff_id: Digest,
    kind: Kind,
    limits: &Limits,
    sum: &Mutex<Sum>,
    talk: &Talk,
) -> Result<(), String> {
    let blob = &layer.descriptor;
    let about = |why: String| format!("layer {}: {why}", blob.digest.short());
    let claim = store.new_layer(kind, &diff_id, Wait::Silently);
    let Claim::New(new) = claim.map_err(|e| about(e.to_string()))? else {
        talk.stage(blob, Stage::Complete, blob.size);
        return Ok(());
    };
    let packed = store.open_blob(&blob.digest).map_err(|e| about(e.to_string()))?;
    let options = Options {
        compression: layer.compression,
        ownership: kind.ownership(),
        limits,
    };
    let tick = talk.ticker(blob, Stage::Unpack);
    let made = unpack::unpack(packed, new.dir(), &options, &mut |bytes| tick(bytes));
    let made = made.map_err(|e| about(e.to_string()))?;
    if made.diff_id != diff_id {
        return Err(about(format!(
            "it unpacks to {}, and the image's config says {}: refused",
            made.diff_id.short(),
            diff_id.short()
        )));
    }
    let bytes = {
        let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
        sum.bytes = sum.bytes.saturating_add(made.bytes);
        sum.dropped += made.dropped;
        sum.bytes
    };
    if bytes > limits.image.0 {
        return Err(about(format!(
            "the image unpacks to more than {}: --image-limit image=SIZE raises it",
            limits.image
        )));
    }
    let keep = || {
        let size = new.measure()?;
        new.leaves_out(&made.dropped)?;
        new.commit(&made.owners, &size)
    };
    keep().map_err(|e| about(e.to_string()))?;
    talk.stage(blob, Stage::Complete, blob.size);
    Ok(())
}

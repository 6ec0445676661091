//! A pull: the meaning of a name at a registry, then every blob of the image.

use super::origin::{self, Found, Origin, Target};
use super::several;
use super::talk::Talk;
use crate::image::descriptor::Descriptor;
use crate::image::document::Document;
use crate::image::job::{Endpoint, Event, Pull};
use crate::image::registry::{self, Client};
use crate::image::store::{LayerState, Store};
use crate::model::Digest;
use std::fs::File;
use std::sync::Arc;

impl Origin for Client {
    fn manifest(&self, wanted: &Descriptor) -> Result<Vec<u8>, String> {
        let answer = Self::manifest(self, &wanted.digest.to_string());
        answer.map(|document| document.bytes).map_err(|e| e.to_string())
    }

    fn blob(&self, wanted: &Descriptor, into: &File, progress: &(dyn Fn(u64) + Sync)) -> Result<(), String> {
        Self::blob(self, wanted, into, progress).map_err(|e| e.to_string())
    }
}

/// Fetches an image from the first place that has it.
pub(super) fn pull(store: &Store, job: &Pull, talk: &Arc<Talk>) -> Result<Event, String> {
    let _kept = origin::kept(store, talk)?;
    let mut why = String::from("no place to pull from");
    for (at, endpoint) in job.endpoints.iter().enumerate() {
        match from(store, job, endpoint, talk) {
            Ok(event) => return Ok(event),
            Err(error) => {
                if let Some(next) = job.endpoints.get(at + 1) {
                    talk.note(format!("{error}; trying {}", next.host));
                }
                why = error;
            }
        }
    }
    Err(why)
}

fn from(store: &Store, job: &Pull, endpoint: &Endpoint, talk: &Arc<Talk>) -> Result<Event, String> {
    let text = |e: registry::Error| e.to_string();
    let resolve: Arc<dyn registry::Resolve> = talk.clone();
    let client = Client::new(endpoint, &job.transport, &job.terms.limits, resolve).map_err(text)?;
    if let Some(there) = unchanged(store, job, &client)? {
        return Ok(Event::Done(there));
    }
    let (source, found) = look_up(job, &client)?;
    let into = Target {
        store,
        terms: &job.terms,
        talk,
    };
    let fetch = |blob: &Descriptor| origin::blob(&client, blob, &into);
    let layers: Vec<_> = origin::prepare(&client, &found, &into)?;
    several::each(&layers, &fetch)?;
    store.put_blob(&found.bytes).map_err(|e| e.to_string())?;
    Ok(Event::Fetched {
        image: found.descriptor,
        source,
    })
}

/// The image, when the registry answers for the name what it answered when it was pulled, and everything of it is there.
fn unchanged(store: &Store, job: &Pull, client: &Client) -> Result<Option<Digest>, String> {
    let Some(image) = store.find(&job.name).map_err(|e| e.to_string())? else {
        return Ok(None);
    };
    if image
        .platform
        .as_ref()
        .is_some_and(|platform| *platform != job.terms.platform)
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
        let ready = matches!(store.layer(&job.terms.kind, diff_id), Ok(LayerState::Ready(_)));
        if !ready || !store.has_blob(&layer.descriptor.digest).unwrap_or(false) {
            return Ok(None);
        }
    }
    Ok(Some(image.manifest))
}

/// What the name is at the registry (an index, where there is one), and the image that it means here.
fn look_up(job: &Pull, client: &Client) -> Result<(Digest, Found), String> {
    let asked = match (&job.digest, &job.tag) {
        (Some(digest), _) => digest.to_string(),
        (None, Some(tag)) => tag.clone(),
        (None, None) => "latest".to_owned(),
    };
    let first = client.manifest(&asked).map_err(|e| e.to_string())?;
    let announced = Descriptor::new(first.media_type, first.digest, first.bytes.len() as u64);
    let found = match origin::parse(&first.bytes, &announced, &job.terms.limits)? {
        Document::Manifest(manifest) => Found {
            descriptor: announced,
            bytes: first.bytes,
            manifest,
        },
        Document::Index(index) => origin::choose(client, &index, &job.terms.platform, &job.terms.limits)?,
    };
    Ok((first.digest, found))
}

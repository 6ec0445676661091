//! A load: images of an archive or a layout, all of which are checked and unpacked before any has a name.

use super::docker::{self, Docker};
use super::layout::{Chosen, Image, Layout};
use super::origin::{self, Origin, Target};
use super::shelf::Shelf;
use super::talk::Talk;
use crate::image::archive::Form;
use crate::image::job::{Event, Load, Which};
use crate::image::store::{Kind, LayerState, Store};
use crate::image::unpack::name_shown;
use crate::model::Digest;
use std::collections::BTreeSet;

/// Entries that are listed in a note.
const SHOWN: usize = 5;

/// What was not in the store before.
#[derive(Default)]
pub(super) struct Fresh {
    blobs: BTreeSet<Digest>,
    layers: BTreeSet<Digest>,
}

impl Fresh {
    /// What of an image is not there.
    pub(super) fn note(&mut self, store: &Store, into: &Target<'_>, image: &Image) -> Result<(), String> {
        let found = &image.found;
        let blobs = found.manifest.layers.iter().map(|layer| layer.descriptor.digest);
        for blob in blobs.chain([found.manifest.config.digest, found.descriptor.digest]) {
            if !store.has_blob(&blob).map_err(|e| e.to_string())? {
                self.blobs.insert(blob);
            }
        }
        for diff_id in &image.diff_ids {
            let state = store
                .layer(&into.terms.kind, diff_id)
                .map_err(|e| e.to_string())?;
            if state == LayerState::Absent {
                self.layers.insert(*diff_id);
            }
        }
        Ok(())
    }

    fn holds(&self, image: &Image) -> bool {
        let found = &image.found;
        let blobs = found.manifest.layers.iter().map(|layer| layer.descriptor.digest);
        blobs
            .chain([found.manifest.config.digest, found.descriptor.digest])
            .any(|blob| self.blobs.contains(&blob))
            || image.diff_ids.iter().any(|diff_id| self.layers.contains(diff_id))
    }

    /// Does something; when it fails, what it has brought is taken out of the store again, as if it had never been tried.
    pub(super) fn unless_failed<T>(
        store: &Store,
        what: impl FnOnce(&mut Self) -> Result<T, String>,
    ) -> Result<T, String> {
        let mut fresh = Self::default();
        let done = what(&mut fresh);
        if done.is_err() {
            // What is wrong is the message; what could not be removed is for prune.
            let _ = fresh.discard(store);
        }
        done
    }

    fn discard(self, store: &Store) -> Result<(), String> {
        let mut remove =
            |kind: &Kind, entries: &[String]| store.remove_remains(kind, entries).map_err(|e| e.to_string());
        store
            .discard(self.blobs, self.layers, &mut remove)
            .map_err(|e| e.to_string())
    }
}

/// Loads images.
pub(super) fn load(store: &Store, job: &Load, talk: &Talk) -> Result<Digest, String> {
    Fresh::unless_failed(store, |fresh| try_load(store, job, talk, fresh))
}

fn try_load(store: &Store, job: &Load, talk: &Talk, fresh: &mut Fresh) -> Result<Digest, String> {
    let shelf = Shelf::open(&job.at, store, &job.terms.limits)?;
    let form = shelf.form()?;
    if job.form.is_some_and(|said| said != form && !holds(&shelf, said)) {
        return Err(match job.form {
            Some(Form::Layout) => "it is no directory: write oci-archive:FILE or docker-archive:FILE",
            Some(Form::OciArchive) => {
                "it is no archive of an OCI layout: write docker-archive:FILE, or oci:DIR for a directory"
            }
            _ => "it is no archive as docker writes it: write oci-archive:FILE, or oci:DIR for a directory",
        }
        .to_owned());
    }
    let limits = &job.terms.limits;
    let layout = Layout {
        shelf: &shelf,
        limits,
    };
    let as_docker = || job.form.is_none() && form == Form::OciArchive && holds(&shelf, Form::DockerArchive);
    let form = match job.form.unwrap_or(form) {
        // An index that names nothing is beside the list of docker, which then is all there is.
        Form::Layout | Form::OciArchive if as_docker() && layout.lists_nothing()? => Form::DockerArchive,
        form => form,
    };
    match form {
        Form::Layout | Form::OciArchive => {
            let listed = match job.form {
                None => docker::configs(&shelf, limits)?,
                Some(_) => BTreeSet::new(),
            };
            let chosen = layout.images(&job.which, &job.terms.platform, &listed)?;
            if job.which == Which::All {
                docker::agrees(&listed, &chosen.images)?;
            }
            let loaded = bring(store, job, talk, &layout, &chosen.images, fresh)?;
            left_out(&chosen, talk);
            Ok(loaded)
        }
        Form::DockerArchive => {
            let (archive, images) = Docker::images(&shelf, &job.which, limits)?;
            bring(store, job, talk, &archive, &images, fresh)
        }
    }
}

/// Says which entries of an index were left out.
fn left_out(chosen: &Chosen, talk: &Talk) {
    let ids = |all: &[Digest]| {
        let ids: Vec<_> = all.iter().take(SHOWN).map(Digest::short).collect();
        let more = if all.len() > SHOWN { ", …" } else { "" };
        format!("{}{more}", ids.join(", "))
    };
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let (unnamed, artifacts) = (chosen.unnamed.len(), chosen.artifacts.len());
    if unnamed > 0 {
        talk.note(format!(
            "left out: {unnamed} image{} without a name ({}); PATH:ID loads one",
            plural(unnamed),
            ids(&chosen.unnamed)
        ));
    }
    if artifacts > 0 {
        talk.note(format!(
            "left out: {artifacts} artifact{} that {} no image ({})",
            plural(artifacts),
            if artifacts == 1 { "is" } else { "are" },
            ids(&chosen.artifacts)
        ));
    }
}

/// Newer versions of docker write an archive that is of both forms.
fn holds(shelf: &Shelf, form: Form) -> bool {
    let docker = matches!(shelf, Shelf::Archive(..)) && form == Form::DockerArchive;
    docker && matches!(shelf.find("manifest.json"), Ok(Some(_)))
}

fn bring(
    store: &Store,
    job: &Load,
    talk: &Talk,
    origin: &dyn Origin,
    images: &[Image],
    fresh: &mut Fresh,
) -> Result<Digest, String> {
    let _kept = origin::kept(store, talk)?;
    let into = Target {
        store,
        terms: &job.terms,
        talk,
    };
    for image in images {
        fresh.note(store, &into, image)?;
    }
    for image in images.iter().filter(|image| fresh.holds(image)) {
        origin::bring(origin, &image.found, &into)?;
    }
    let mut last = Err("there is no image in it".to_owned());
    for image in images {
        last = name(store, image, job.named, talk);
    }
    last
}

fn name(store: &Store, image: &Image, named: bool, talk: &Talk) -> Result<Digest, String> {
    let descriptor = &image.found.descriptor;
    let names: &[String] = if named { &image.names } else { &[] };
    for name in names {
        let before = store.find(name).map_err(|e| e.to_string())?;
        let own = Some(image.found.manifest.config.digest);
        if let Some(before) = before.filter(|before| before.id != own) {
            let before = before.id.unwrap_or(before.manifest).short();
            talk.note(format!("{name} was another image, {before}, until now"));
        }
        store.name(name, descriptor, None).map_err(|e| e.to_string())?;
    }
    if let Some(odd) = image.odd_name.as_deref().filter(|_| named) {
        let (odd, digest) = (name_shown(odd), descriptor.digest.short());
        talk.note(format!("`{odd}` is no name of an image: it is {digest} alone"));
    }
    if names.is_empty() {
        store.keep(descriptor).map_err(|e| e.to_string())?;
    }
    talk.say(&Event::Loaded {
        manifest: descriptor.digest,
        names: names.to_vec(),
    });
    Ok(descriptor.digest)
}

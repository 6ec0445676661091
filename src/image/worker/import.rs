//! An import: the tar of a root file system becomes an image of one layer.

use super::layout::Image;
use super::load::Fresh;
use super::made;
use super::origin::{self, Origin, Target};
use super::shelf::{self, copy, open_file, packing};
use super::talk::Talk;
use crate::image::descriptor::Descriptor;
use crate::image::document;
use crate::image::job::{Import, Stage};
use crate::image::store::Store;
use crate::image::unpack;
use crate::model::Digest;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write;

/// The tar, and the config that is made for it.
struct Tar {
    file: File,
    config: Vec<u8>,
}

impl Origin for Tar {
    fn manifest(&self, wanted: &Descriptor) -> Result<Vec<u8>, String> {
        Err(format!("manifest {}: it is not there", wanted.digest.short()))
    }

    fn blob(
        &self,
        wanted: &Descriptor,
        mut into: &File,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), String> {
        if wanted.digest == Digest::of(&self.config) {
            return into
                .set_len(0)
                .and_then(|()| into.write_all(&self.config))
                .map_err(|e| format!("config {}: {e}", wanted.digest.short()));
        }
        copy(shelf::whole(&self.file)?, wanted, into, progress)
    }
}

/// Imports a tar.
pub(super) fn import(store: &Store, job: &Import, talk: &Talk) -> Result<Digest, String> {
    Fresh::unless_failed(store, |fresh| try_import(store, job, talk, fresh))
}

fn try_import(store: &Store, job: &Import, talk: &Talk, fresh: &mut Fresh) -> Result<Digest, String> {
    let file = open_file(&job.at)?;
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err("it is no regular file".to_owned());
    }
    let (tar, image) = image(file, job, talk)?;
    let _kept = origin::kept(store, talk)?;
    let into = Target {
        store,
        terms: &job.terms,
        talk,
    };
    fresh.note(store, &into, &image)?;
    origin::bring(&tar, &image.found, &into)?;
    let descriptor = &image.found.descriptor;
    match &job.name {
        Some(name) => store.name(name, descriptor, None),
        None => store.keep(descriptor),
    }
    .map_err(|e| e.to_string())?;
    Ok(descriptor.digest)
}

fn image(file: File, job: &Import, talk: &Talk) -> Result<(Tar, Image), String> {
    let whole = || shelf::whole(&file);
    let compression = packing(whole()?)?;
    let layer = made::layer(compression, shelf::digest(whole()?)?, whole()?.size);
    let tick = talk.ticker(&layer, Stage::Transfer);
    let diff_id = unpack::diff_id(whole()?, compression, &job.terms.limits, &mut |bytes| tick(bytes));
    let diff_id = diff_id.map_err(|e| e.to_string())?;
    let config = config(job, &diff_id)?;
    let image = made::image(
        &made::config(&config),
        std::slice::from_ref(&layer),
        vec![diff_id],
        &job.terms.limits,
    )?;
    Ok((Tar { file, config }, image))
}

/// As strict with what is made here as with what strangers make.
fn config(job: &Import, diff_id: &Digest) -> Result<Vec<u8>, String> {
    let mut config = job.config.clone();
    let rootfs = json!({ "type": "layers", "diff_ids": [diff_id.to_string()] });
    config.insert("rootfs".to_owned(), rootfs);
    let bytes = serde_json::to_vec(&Value::Object(config)).map_err(|e| e.to_string())?;
    let checked = document::Config::parse(&bytes, 1, &job.terms.limits);
    checked.map_err(|e| format!("the config that is asked for: {e}"))?;
    Ok(bytes)
}

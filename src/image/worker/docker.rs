//! Images of what `docker save` writes: they have no manifests, so that each gets one.

use super::layout::Image;
use super::made;
use super::origin::Origin;
use super::shelf::{Shelf, copy, digest, packing};
use crate::image::archive;
use crate::image::descriptor::{Compression, Descriptor};
use crate::image::document::Config;
use crate::image::job::Which;
use crate::image::limits::Limits;
use crate::image::unpack::name_shown;
use crate::model::{Digest, Reference};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

/// The archive, and under which name each blob lies.
pub(super) struct Docker<'a> {
    shelf: &'a Shelf,
    limits: &'a Limits,
    blobs: BTreeMap<Digest, String>,
}

impl Origin for Docker<'_> {
    fn manifest(&self, wanted: &Descriptor) -> Result<Vec<u8>, String> {
        Err(format!("manifest {}: it is not there", wanted.digest.short()))
    }

    fn blob(&self, wanted: &Descriptor, into: &File, progress: &(dyn Fn(u64) + Sync)) -> Result<(), String> {
        let name = self.blobs.get(&wanted.digest);
        let name = name.ok_or_else(|| format!("blob {}: it is not there", wanted.digest.short()))?;
        copy(self.shelf.get(name)?, wanted, into, progress)
    }
}

fn list(shelf: &Shelf, limits: &Limits) -> Result<Vec<Listed>, String> {
    let bytes = shelf.document("manifest.json", limits)?;
    serde_json::from_slice(&bytes).map_err(|e| format!("`manifest.json`: {}", name_shown(&e.to_string())))
}

/// The configs of the images that manifest.json names, where the archive has one.
pub(super) fn configs(shelf: &Shelf, limits: &Limits) -> Result<BTreeSet<Digest>, String> {
    if shelf.find("manifest.json")?.is_none() {
        return Ok(BTreeSet::new());
    }
    let config = |listed: Listed| {
        shelf
            .document(&listed.config, limits)
            .map(|bytes| Digest::of(&bytes))
    };
    list(shelf, limits)?.into_iter().map(config).collect()
}

/// Whether an archive that is a layout too names the same images in both ways, by their configs: else it would be one image here and
/// another elsewhere.
pub(super) fn agrees(listed: &BTreeSet<Digest>, images: &[Image]) -> Result<(), String> {
    let there = |id: &&Digest| {
        images
            .iter()
            .any(|image| image.found.manifest.config.digest == **id)
    };
    match listed.iter().find(|id| !there(id)) {
        Some(id) => Err(format!(
            "manifest.json has an image {} that index.json does not have: refused",
            id.short()
        )),
        None => Ok(()),
    }
}

impl<'a> Docker<'a> {
    /// The images of an archive that are asked for.
    pub(super) fn images(
        shelf: &'a Shelf,
        which: &Which,
        limits: &'a Limits,
    ) -> Result<(Self, Vec<Image>), String> {
        let mut archive = Self {
            shelf,
            limits,
            blobs: BTreeMap::new(),
        };
        let mut images = Vec::new();
        for listed in list(shelf, limits)? {
            if let Which::Named(wanted) = which
                && !archive.is_called(&listed, wanted)?
            {
                continue;
            }
            images.push(archive.image(names(&listed)?, &listed)?);
        }
        match (images.len(), which) {
            (0, Which::Named(_)) => Err("no image in it is named so".to_owned()),
            (0, Which::All | Which::Only) => Err("there is no image in it".to_owned()),
            (2.., Which::Only) => Err(format!(
                "it has {} images: write which, as FILE:NAME",
                images.len()
            )),
            (2.., Which::Named(_)) => Err("two images in it have this name".to_owned()),
            (1, Which::Only | Which::Named(_)) | (1.., Which::All) => Ok((archive, images)),
        }
    }

    /// Whether a user means this image: by one of its names, or by its id.
    fn is_called(&self, listed: &Listed, wanted: &str) -> Result<bool, String> {
        let full = wanted.parse::<Reference>().map(|name| name.to_string());
        if full.is_ok_and(|full| names(listed).is_ok_and(|names| names.contains(&full))) {
            return Ok(true);
        }
        let config = self.shelf.document(&listed.config, self.limits)?;
        Ok(Digest::of(&config).begins_with(wanted))
    }

    fn image(&mut self, names: Vec<String>, listed: &Listed) -> Result<Image, String> {
        let bytes = self.shelf.document(&listed.config, self.limits)?;
        let id = Digest::of(&bytes);
        check_name(&listed.config, &id)?;
        let files = listed.layers.as_deref().unwrap_or_default();
        let config = Config::parse(&bytes, files.len(), self.limits);
        let config = config.map_err(|e| format!("config {}: {e}", id.short()))?;
        let described = made::config(&bytes);
        self.blobs.insert(id, listed.config.clone());
        let mut layers = Vec::new();
        for (file, diff_id) in files.iter().zip(&config.diff_ids) {
            layers.push(self.layer(file, diff_id)?);
        }
        let image = made::image(&described, &layers, config.diff_ids, self.limits)?;
        Ok(Image { names, ..image })
    }

    /// A plain tar must hash to its diff id, which is checked when it is copied; a packed one has a digest of its own.
    fn layer(&mut self, file: &str, diff_id: &Digest) -> Result<Descriptor, String> {
        let about = |why: String| format!("layer `{}`: {why}", name_shown(file));
        let open = || self.shelf.get(file).map_err(about);
        let size = open()?.size;
        let packing = layer_packing(open()?).map_err(about)?;
        let digest = match packing {
            Compression::None => *diff_id,
            Compression::Gzip | Compression::Zstd => digest(open()?)?,
        };
        self.blobs.insert(digest, file.to_owned());
        Ok(made::layer(packing, digest, size))
    }
}

/// Nothing, and nothing but the zeros that end a tar, are an empty tar: podman and docker write both.
fn layer_packing(mut tar: impl Read) -> Result<Compression, String> {
    let mut head = Vec::new();
    let read = tar.by_ref().take(archive::HEAD).read_to_end(&mut head);
    read.map_err(|e| e.to_string())?;
    match head.iter().all(|byte| *byte == 0) {
        true => Ok(Compression::None),
        false => packing(head.as_slice()),
    }
}

/// `HEX.json`, `sha256:HEX` and `blobs/sha256/HEX` say what the config hashes to.
fn check_name(name: &str, id: &Digest) -> Result<(), String> {
    let last = name.rsplit(['/', ':']).next().unwrap_or(name);
    let hex = last.strip_suffix(".json").unwrap_or(last);
    let said: Option<Digest> = format!("sha256:{hex}").parse().ok();
    match said.filter(|said| said != id) {
        Some(_) => Err(format!(
            "config `{}`: its bytes hash to {}: refused",
            name_shown(name),
            id.short()
        )),
        None => Ok(()),
    }
}

fn names(listed: &Listed) -> Result<Vec<String>, String> {
    let tags = listed.repo_tags.as_deref().unwrap_or_default();
    let name = |text: &String| {
        let parsed: Result<Reference, _> = text.parse();
        parsed.map(|name| name.to_string()).map_err(|e| e.to_string())
    };
    tags.iter().map(name).collect()
}

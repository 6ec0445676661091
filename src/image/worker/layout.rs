//! Images of an OCI image layout, in a directory or in a tar (image-spec, image-layout.md).

use super::origin::{self, Found, Origin};
use super::shelf::{Shelf, copy};
use crate::image::descriptor::{Descriptor, Platform};
use crate::image::document::{Config, Document, Index, OCI_INDEX};
use crate::image::limits::Limits;
use crate::image::platform;
use crate::image::store::LAYOUT_NAME;
use crate::image::unpack::name_shown;
use crate::model::{Digest, Reference};
use std::collections::BTreeMap;
use std::fs::File;

/// The whole name, where containerd and docker write the tag alone as the layout's.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// A layout's blobs.
pub(super) struct Layout<'a> {
    pub(super) shelf: &'a Shelf,
    pub(super) limits: &'a Limits,
}

/// An image that is to be loaded.
pub(super) struct Image {
    pub(super) found: Found,
    pub(super) names: Vec<String>,
    /// What it is called there and cannot be called here.
    pub(super) odd_name: Option<String>,
    pub(super) diff_ids: Vec<Digest>,
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

impl Origin for Layout<'_> {
    fn manifest(&self, wanted: &Descriptor) -> Result<Vec<u8>, String> {
        let bytes = self.shelf.document(&blob_name(&wanted.digest), self.limits)?;
        let (found, size) = (Digest::of(&bytes), bytes.len() as u64);
        if found != wanted.digest || size != wanted.size {
            let (short, said) = (wanted.digest.short(), wanted.size);
            let found = found.short();
            return Err(format!(
                "blob {short}: its {size} bytes hash to {found}, and it must have {said}: refused"
            ));
        }
        Ok(bytes)
    }

    fn blob(&self, wanted: &Descriptor, into: &File, progress: &(dyn Fn(u64) + Sync)) -> Result<(), String> {
        copy(
            self.shelf.get(&blob_name(&wanted.digest))?,
            wanted,
            into,
            progress,
        )
    }
}

impl Layout<'_> {
    /// The images of a layout: one, by its name or because there is no other, or all of them.
    pub(super) fn images(
        &self,
        wanted: Option<&str>,
        all: bool,
        platform: &Platform,
    ) -> Result<Vec<Image>, String> {
        self.version()?;
        let index = self.index()?;
        let mut by_name: BTreeMap<Option<&str>, Vec<Descriptor>> = BTreeMap::new();
        for entry in &index.manifests {
            let name = entry.annotations.get(LAYOUT_NAME).map(String::as_str);
            by_name.entry(name).or_default().push(entry.clone());
        }
        let chosen = match wanted {
            Some(name) => {
                let found = by_name.remove(&Some(name));
                vec![found.ok_or_else(|| format!("no image is named so: {}", listed(&by_name)))?]
            }
            None if all || by_name.len() == 1 => by_name.into_values().collect(),
            None if by_name.is_empty() => return Err("there is no image in it".to_owned()),
            None => return Err(format!("name one of its images: {}", listed(&by_name))),
        };
        if chosen.is_empty() {
            return Err("there is no image in it".to_owned());
        }
        chosen
            .into_iter()
            .map(|entries| self.image(entries, platform))
            .collect()
    }

    fn version(&self) -> Result<(), String> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Version {
            image_layout_version: String,
        }
        let bytes = self.shelf.document("oci-layout", self.limits)?;
        let version: Version = serde_json::from_slice(&bytes).map_err(|e| format!("`oci-layout`: {e}"))?;
        match version.image_layout_version.split('.').next() {
            Some("1") => Ok(()),
            _ => Err(format!(
                "the layout is of version `{}`, and must be of version 1",
                name_shown(&version.image_layout_version)
            )),
        }
    }

    fn index(&self) -> Result<Index, String> {
        let bytes = self.shelf.document("index.json", self.limits)?;
        let parsed = crate::image::document::parse(&bytes, OCI_INDEX, self.limits);
        match parsed.map_err(|e| format!("`index.json`: {e}"))? {
            Document::Index(index) => Ok(index),
            Document::Manifest(_) => Err("`index.json` is no index".to_owned()),
        }
    }

    /// Of several manifests under one name each is for another platform.
    fn image(&self, entries: Vec<Descriptor>, platform: &Platform) -> Result<Image, String> {
        let entry = match entries.as_slice() {
            [one] => one,
            several => {
                let name = several
                    .first()
                    .and_then(|entry| entry.annotations.get(LAYOUT_NAME));
                if several.iter().any(|entry| entry.platform.is_none()) {
                    return Err(match name {
                        Some(name) => format!("two images have the name `{}`", name_shown(name)),
                        None => "several images have no name".to_owned(),
                    });
                }
                platform::choose(several, platform).map_err(|e| e.to_string())?
            }
        };
        let bytes = self.manifest(entry)?;
        let found = match origin::parse(&bytes, entry, self.limits)? {
            Document::Manifest(manifest) => Found {
                descriptor: Descriptor {
                    annotations: BTreeMap::new(),
                    ..entry.clone()
                },
                bytes,
                manifest,
            },
            Document::Index(index) => origin::choose(self, &index, platform, self.limits)?,
        };
        let config = &found.manifest.config;
        let read = Config::parse(&self.manifest(config)?, found.manifest.layers.len(), self.limits);
        let read = read.map_err(|e| format!("config {}: {e}", config.digest.short()))?;
        let name = name(entry);
        let own = entry.annotations.get(LAYOUT_NAME).filter(|_| name.is_none());
        Ok(Image {
            found,
            odd_name: own.cloned(),
            names: name.into_iter().collect(),
            diff_ids: read.diff_ids,
        })
    }
}

fn listed(by_name: &BTreeMap<Option<&str>, Vec<Descriptor>>) -> String {
    let names: Vec<_> = by_name
        .keys()
        .take(20)
        .map(|name| name.map_or_else(|| "one without a name".to_owned(), name_shown))
        .collect();
    match names.as_slice() {
        [] => "there is none".to_owned(),
        some => format!("there is {}", some.join(", ")),
    }
}

/// The full name that an image of a layout has: its own, or below `localhost/`.
fn name(entry: &Descriptor) -> Option<String> {
    let whole = |text: &String| {
        text.parse::<Reference>()
            .ok()
            .filter(|name| !name.is_short())
            .map(|name| name.to_string())
    };
    let own = entry.annotations.get(LAYOUT_NAME);
    let containerd = entry.annotations.get(CONTAINERD_NAME);
    let short = || {
        let local = format!("localhost/{}", own?);
        whole(&local)
    };
    containerd
        .and_then(whole)
        .or_else(|| own.and_then(whole))
        .or_else(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_full_or_local() {
        for (own, containerd, expected) in [
            (
                Some("docker.io/library/debian:12"),
                None,
                Some("docker.io/library/debian:12"),
            ),
            (Some("q.io/a/b"), None, Some("q.io/a/b:latest")),
            (Some("web"), None, Some("localhost/web:latest")),
            (Some("web:1"), None, Some("localhost/web:1")),
            (Some("a/b:1"), None, Some("localhost/a/b:1")),
            (
                Some("12"),
                Some("docker.io/library/debian:12"),
                Some("docker.io/library/debian:12"),
            ),
            (Some("12"), Some("debian"), Some("localhost/12:latest")),
            (Some("../../x"), None, None),
            (Some("A B"), None, None),
            (None, None, None),
        ] {
            let annotations = [(LAYOUT_NAME, own), (CONTAINERD_NAME, containerd)];
            let annotations = annotations
                .into_iter()
                .filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned())));
            let entry = Descriptor {
                media_type: String::new(),
                digest: Digest::of(b""),
                size: 0,
                platform: None,
                annotations: annotations.collect(),
            };
            assert_eq!(name(&entry).as_deref(), expected, "{own:?} {containerd:?}");
        }
    }
}

//! Images of an OCI image layout, in a directory or in a tar (image-spec, image-layout.md).

use super::origin::{self, Found, Origin};
use super::shelf::{Shelf, copy};
use crate::image::descriptor::{Descriptor, Platform};
use crate::image::document::{self, Config, Document, Index, OCI_INDEX};
use crate::image::job::Which;
use crate::image::limits::Limits;
use crate::image::platform;
use crate::image::store::LAYOUT_NAME;
use crate::image::unpack::name_shown;
use crate::model::{Digest, Reference};
use std::collections::{BTreeMap, BTreeSet};
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

/// The entries of an index that are one image: one, or one for each platform.
type Group<'a> = Vec<&'a Descriptor>;

/// Images of a layout, and entries that were left out.
#[derive(Default)]
pub(super) struct Chosen {
    pub(super) images: Vec<Image>,
    /// Images without a name, where others have one.
    pub(super) unnamed: Vec<Digest>,
    /// Signatures, charts and the like.
    pub(super) artifacts: Vec<Digest>,
}

/// Why an entry of an index does not give an image.
enum Refusal {
    /// It is an artifact.
    NotAnImage(String),
    /// It is damaged, ambiguous or for another platform.
    Broken(String),
}

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Self::Broken(why)
    }
}

impl Refusal {
    fn into_message(self) -> String {
        match self {
            Self::NotAnImage(why) | Self::Broken(why) => why,
        }
    }
}

impl Layout<'_> {
    /// The images of a layout that are asked for. `listed` has the configs that manifest.json of the same archive names: those images are
    /// loaded with a name or without.
    pub(super) fn images(
        &self,
        which: &Which,
        platform: &Platform,
        listed: &BTreeSet<Digest>,
    ) -> Result<Chosen, String> {
        self.version()?;
        let entries = self.index()?.manifests;
        let groups = groups(&entries);
        let one = |group: &Group<'_>| {
            let image = self.image(group, platform).map_err(Refusal::into_message)?;
            Ok(Chosen {
                images: vec![image],
                ..Chosen::default()
            })
        };
        match (which, groups.as_slice()) {
            (Which::Named(wanted), _) => match called(&entries, wanted).as_slice() {
                [] => Err(format!("no image is named so: {}", shown(&groups))),
                found => one(&found.to_vec()),
            },
            (Which::Only | Which::All, []) => Err("there is no image in it".to_owned()),
            (Which::Only, [only]) => one(only),
            (Which::Only, _) => Err(format!("name one of its images: {}", shown(&groups))),
            (Which::All, _) => self.all(&groups, platform, listed),
        }
    }

    /// Whether its index has no entries at all.
    pub(super) fn lists_nothing(&self) -> Result<bool, String> {
        Ok(self.index()?.manifests.is_empty())
    }

    fn all(
        &self,
        groups: &[Group<'_>],
        platform: &Platform,
        listed: &BTreeSet<Digest>,
    ) -> Result<Chosen, String> {
        let any_named = groups.iter().any(|group| own_name(group).is_some());
        let (mut chosen, mut refusal) = (Chosen::default(), None);
        for group in groups {
            let digest = group.first().map(|entry| entry.digest);
            let aside = any_named && own_name(group).is_none();
            match self.image(group, platform) {
                Ok(image) if aside && !listed.contains(&image.found.manifest.config.digest) => {
                    chosen.unnamed.extend(digest);
                }
                Ok(image) => chosen.images.push(image),
                Err(Refusal::NotAnImage(why)) => {
                    refusal.get_or_insert(why);
                    chosen.artifacts.extend(digest);
                }
                Err(Refusal::Broken(_)) if aside => chosen.unnamed.extend(digest),
                Err(Refusal::Broken(why)) => return Err(why),
            }
        }
        match refusal {
            Some(why) if chosen.images.is_empty() => Err(why),
            _ => Ok(chosen),
        }
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
        let parsed = document::parse(&bytes, OCI_INDEX, self.limits);
        match parsed.map_err(|e| format!("`index.json`: {e}"))? {
            Document::Index(index) => Ok(index),
            Document::Manifest(_) => Err("`index.json` is no index".to_owned()),
        }
    }

    /// Of several manifests under one name each is for another platform.
    fn image(&self, group: &Group<'_>, platform: &Platform) -> Result<Image, Refusal> {
        let entry = self.entry(group, platform)?;
        let bytes = self.manifest(entry)?;
        let found = match document::parse(&bytes, &entry.media_type, self.limits) {
            Ok(Document::Manifest(manifest)) => Found {
                descriptor: Descriptor {
                    annotations: BTreeMap::new(),
                    ..entry.clone()
                },
                bytes,
                manifest,
            },
            Ok(Document::Index(index)) => origin::choose(self, &index, platform, self.limits)?,
            Err(e) => {
                let why = format!("manifest {}: {e}", entry.digest.short());
                let other = matches!(e, document::Error::Artifact(_) | document::Error::MediaType(_));
                return Err(if other {
                    Refusal::NotAnImage(why)
                } else {
                    Refusal::Broken(why)
                });
            }
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

    fn entry<'e>(&self, group: &Group<'e>, platform: &Platform) -> Result<&'e Descriptor, String> {
        if let [one] = group.as_slice() {
            return Ok(one);
        }
        if group.iter().any(|entry| entry.platform.is_none()) {
            let name = own_name(group).map_or_else(|| "no name".to_owned(), name_shown);
            return Err(format!("two images have the name `{name}`"));
        }
        let entries: Vec<Descriptor> = group.iter().map(|entry| (*entry).clone()).collect();
        let chosen = platform::choose(&entries, platform).map_err(|e| e.to_string())?;
        let same = group.iter().find(|entry| **entry == chosen);
        same.copied().ok_or_else(|| "there is no image in it".to_owned())
    }
}

/// The entries of each image, those with a name first. Entries without a name are one image where each is for another platform, and else
/// one image each.
fn groups(entries: &[Descriptor]) -> Vec<Group<'_>> {
    let mut by_name: BTreeMap<&str, Group<'_>> = BTreeMap::new();
    let mut unnamed: Group<'_> = Vec::new();
    for entry in entries {
        match entry.annotations.get(LAYOUT_NAME) {
            Some(name) => by_name.entry(name).or_default().push(entry),
            // Copied twice, as tools do that only append.
            None if unnamed.iter().any(|there| there.digest == entry.digest) => {}
            None => unnamed.push(entry),
        }
    }
    let platforms: Option<BTreeSet<String>> = unnamed
        .iter()
        .map(|entry| entry.platform.as_ref().map(ToString::to_string))
        .collect();
    let several = platforms.is_some_and(|platforms| platforms.len() == unnamed.len());
    let mut groups: Vec<_> = by_name.into_values().collect();
    match several && !unnamed.is_empty() {
        true => groups.push(unnamed),
        false => groups.extend(unnamed.into_iter().map(|entry| vec![entry])),
    }
    groups
}

/// The entries that a user means: by their name in the layout, by the full name that they get here, or by their digest.
fn called<'e>(entries: &'e [Descriptor], wanted: &str) -> Group<'e> {
    let full = wanted.parse::<Reference>().map(|name| name.to_string()).ok();
    let rules: [&dyn Fn(&Descriptor) -> bool; 3] = [
        &|entry| {
            entry
                .annotations
                .get(LAYOUT_NAME)
                .is_some_and(|own| own == wanted)
        },
        &|entry| full.is_some() && name(entry) == full,
        &|entry| entry.digest.begins_with(wanted),
    ];
    let found = rules.map(|rule| entries.iter().filter(|entry| rule(entry)).collect::<Vec<_>>());
    found
        .into_iter()
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

fn own_name<'e>(group: &Group<'e>) -> Option<&'e str> {
    let name = group.first()?.annotations.get(LAYOUT_NAME)?;
    Some(name)
}

fn shown(groups: &[Group<'_>]) -> String {
    let id = |group: &Group<'_>| group.first().map(|entry| entry.digest.short());
    let one = |group: &Group<'_>| own_name(group).map(name_shown).or_else(|| id(group));
    let names: Vec<_> = groups.iter().take(20).filter_map(one).collect();
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

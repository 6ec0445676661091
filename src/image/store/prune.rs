//! Removing images, and what no image needs.

use super::blob::partial_name;
use super::error::Error;
use super::index;
use super::layer::lock_name;
use super::lock::{self, Holders};
use super::sweep::{Marks, Remove, Scope, Sweep};
use super::{Lock, Store, Wait};
use crate::image::descriptor::Descriptor;
use crate::model::Digest;
use std::collections::BTreeSet;

/// What has been removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Freed {
    /// Names that lead nowhere any more.
    pub names: Vec<String>,
    /// Images, by their manifests.
    pub images: Vec<Digest>,
    /// Blobs.
    pub blobs: u64,
    /// Unpacked layers.
    pub layers: u64,
    /// Blobs that had been fetched in part.
    pub partials: u64,
    /// Bytes on the disk.
    pub bytes: u64,
}

/// Images that go, each with the lock that keeps anybody from using it.
type Victims = Vec<(Digest, Lock)>;

fn image_lock(store: &Store, manifest: &Digest) -> Result<Option<Lock>, Error> {
    let name = format!("image-{}", manifest.hex());
    lock::take(&store.root, &name, Holders::Alone, Wait::Never)
}

impl Store {
    /// Removes images without a name (with `all`, those with one too) that no sandbox uses, and every blob and layer that no image needs.
    ///
    /// `remove` removes a directory under a map of ids, which the caller alone could not: a layer of [`super::Kind::Mapped`].
    ///
    /// # Errors
    /// [`Error::Busy`] while something is pulled and that must not be waited for. An image that stays cannot be read: then nothing is
    /// removed, since nobody knows what it needs.
    pub fn prune(&self, all: bool, wait: Wait<'_>, remove: Remove<'_>) -> Result<Freed, Error> {
        let alone = lock::take(&self.root, "store", Holders::Alone, wait)?;
        let _alone = alone.ok_or(Error::Busy)?;
        let entries = index::read(&self.root)?.manifests;
        let named: BTreeSet<_> = entries
            .iter()
            .filter(|e| index::name_of(e).is_some())
            .map(|e| e.digest)
            .collect();
        let mut victims = Victims::new();
        for entry in &entries {
            let seen = victims.iter().any(|(victim, _)| *victim == entry.digest);
            if seen || !all && named.contains(&entry.digest) {
                continue;
            }
            if let Some(lock) = image_lock(self, &entry.digest)? {
                victims.push((entry.digest, lock));
            }
        }
        let keep = self.needed(&entries, &victims)?;
        let freed = self.forget(&victims)?;
        let freed = Sweep {
            store: self,
            keep: &keep,
            scope: Scope::Everything,
            remove,
            freed,
        }
        .run()?;
        self.unlock(victims)?;
        Ok(freed)
    }

    /// Removes an image with all its names, and what it alone needs. For `remove` see [`Store::prune`].
    ///
    /// # Errors
    /// [`Error::InUse`]; otherwise as [`Store::prune`].
    pub fn remove(&self, manifest: &Digest, wait: Wait<'_>, remove: Remove<'_>) -> Result<Freed, Error> {
        let alone = lock::take(&self.root, "store", Holders::Alone, wait)?;
        let _alone = alone.ok_or(Error::Busy)?;
        let entries = index::read(&self.root)?.manifests;
        let Some(entry) = entries.iter().find(|e| e.digest == *manifest) else {
            return Err(Error::NoSuchImage(manifest.to_string()));
        };
        let mut own = Marks::default();
        // One that is damaged goes as far as it can be read; the rest is for prune.
        let _ = own.image(self, manifest, Some(&entry.media_type));
        let lock = image_lock(self, manifest)?.ok_or(Error::InUse(*manifest))?;
        let victims = vec![(*manifest, lock)];
        let keep = self.needed(&entries, &victims)?;
        let freed = self.forget(&victims)?;
        let freed = Sweep {
            store: self,
            keep: &keep,
            scope: Scope::Only(&own),
            remove,
            freed,
        }
        .run()?;
        self.unlock(victims)?;
        Ok(freed)
    }

    /// Removes blobs and layers that were put here for an image which then was refused, unless another image needs them. While another
    /// process uses the store they stay, until they are pruned.
    ///
    /// # Errors
    /// As [`Store::prune`].
    pub fn discard(
        &self,
        blobs: BTreeSet<Digest>,
        layers: BTreeSet<Digest>,
        remove: Remove<'_>,
    ) -> Result<(), Error> {
        let Some(_alone) = lock::take(&self.root, "store", Holders::Alone, Wait::Never)? else {
            return Ok(());
        };
        let entries = index::read(&self.root)?.manifests;
        let keep = self.needed(&entries, &Victims::new())?;
        let marks = Marks { blobs, layers };
        let sweep = Sweep {
            store: self,
            keep: &keep,
            scope: Scope::Only(&marks),
            remove,
            freed: Freed::default(),
        };
        sweep.run()?;
        for blob in &marks.blobs {
            self.root.unlink(&partial_name(blob))?;
        }
        for kind in self.kinds()? {
            for layer in marks.layers.difference(&keep.layers) {
                self.root.unlink(&format!("locks/{}", lock_name(&kind, layer)))?;
            }
        }
        Ok(())
    }

    /// The locks of images that are no more go with them.
    fn unlock(&self, victims: Victims) -> Result<(), Error> {
        for (digest, _held) in victims {
            self.root.unlink(&format!("locks/image-{}", digest.hex()))?;
        }
        Ok(())
    }

    /// What all images but the victims need.
    fn needed(&self, entries: &[Descriptor], victims: &Victims) -> Result<Marks, Error> {
        let mut marks = Marks::default();
        let goes = |digest: &Digest| victims.iter().any(|(victim, _)| victim == digest);
        for entry in entries.iter().filter(|e| !goes(&e.digest)) {
            marks.image(self, &entry.digest, Some(&entry.media_type))?;
        }
        // A sandbox may still use an image that another program has taken out of index.json.
        for name in self.root.list("locks")? {
            let digest = name
                .strip_prefix("image-")
                .map(|hex| format!("sha256:{hex}").parse());
            let Some(Ok(digest)) = digest else { continue };
            if !goes(&digest) && self.has_blob(&digest)? && image_lock(self, &digest)?.is_none() {
                marks.image(self, &digest, None)?;
            }
        }
        Ok(marks)
    }

    /// Takes images out of index.json: from here on nobody finds them.
    fn forget(&self, victims: &Victims) -> Result<Freed, Error> {
        let mut freed = Freed {
            images: victims.iter().map(|(digest, _)| *digest).collect(),
            ..Freed::default()
        };
        index::update(&self.root, |entries| {
            entries.retain(|entry| {
                let goes = freed.images.contains(&entry.digest);
                if goes {
                    freed.names.extend(index::name_of(entry).map(str::to_owned));
                }
                !goes
            });
        })?;
        Ok(freed)
    }
}

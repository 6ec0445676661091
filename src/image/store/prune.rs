//! Removing images, and what no image needs.

use super::blob::partial_name;
use super::error::Error;
use super::freed::Freed;
use super::index::{self, Image};
use super::layer::lock_name;
use super::lock::{self, Holders};
use super::sweep::{Marks, Remove, Scope, Sweep};
use super::{Lock, Store, Wait};
use crate::image::descriptor::Descriptor;
use crate::model::Digest;
use std::collections::BTreeSet;

/// Images that go, each with the lock that keeps anybody from using it.
type Victims = Vec<(Digest, Lock)>;

fn image_lock(store: &Store, manifest: &Digest) -> Result<Option<Lock>, Error> {
    let name = format!("image-{}", manifest.hex());
    lock::take(&store.root, &name, Holders::Alone, Wait::Never)
}

impl Store {
    /// Removes images without a name (with `all`, those with one too) that no sandbox uses, and every blob and layer that no image needs.
    /// What is `only_told` is not done.
    ///
    /// `remove` removes layers of [`super::Kind::Mapped`] under their map of ids, which the caller alone could not; see [`Remove`].
    ///
    /// # Errors
    /// [`Error::Busy`] while something is pulled and that must not be waited for. An image that stays cannot be read: then nothing is
    /// removed, since nobody knows what it needs.
    pub fn prune(
        &self,
        all: bool,
        only_told: bool,
        wait: Wait<'_>,
        remove: Remove<'_>,
    ) -> Result<Freed, Error> {
        let alone = lock::take(&self.root, "store", Holders::Alone, wait)?;
        let _alone = alone.ok_or(Error::Busy)?;
        let entries = index::read(&self.root)?.manifests;
        let named: BTreeSet<_> = entries
            .iter()
            .filter(|e| index::name_of(e).is_some())
            .map(|e| e.digest)
            .collect();
        let mut victims = Victims::new();
        let mut used = BTreeSet::new();
        for entry in &entries {
            let seen = victims.iter().any(|(victim, _)| *victim == entry.digest);
            if seen || used.contains(&entry.digest) || !all && named.contains(&entry.digest) {
                continue;
            }
            match image_lock(self, &entry.digest)? {
                Some(lock) => victims.push((entry.digest, lock)),
                None => drop(used.insert(entry.digest)),
            }
        }
        let keep = self.needed(&entries, &victims)?;
        let mut freed = match only_told {
            true => going(&entries, &victims),
            false => self.forget(&victims)?,
        };
        freed.used = used.into_iter().collect();
        let freed = Sweep {
            store: self,
            keep: &keep,
            scope: Scope::Everything,
            only_told,
            remove,
            freed,
        }
        .run()?;
        if !only_told {
            self.unlock(victims)?;
        }
        Ok(freed)
    }

    /// Takes a name away; an image that had no other is removed with what it alone needs. For `remove` see [`Remove`].
    ///
    /// # Errors
    /// [`Error::NoSuchImage`]; [`Error::InUse`], and the name stays; otherwise as [`Store::prune`].
    pub fn remove_name(&self, name: &str, wait: Wait<'_>, remove: Remove<'_>) -> Result<Freed, Error> {
        let alone = lock::take(&self.root, "store", Holders::Alone, wait)?;
        let _alone = alone.ok_or(Error::Busy)?;
        let entries = index::read(&self.root)?.manifests;
        let has_name = |e: &&Descriptor| index::name_of(e) == Some(name);
        let Some(entry) = entries.iter().find(has_name) else {
            return Err(Error::NoSuchImage(name.to_owned()));
        };
        let same = entries.iter().filter(|e| e.digest == entry.digest);
        let mut names = same.filter_map(index::name_of);
        if names.any(|other| other != name) {
            self.unname(name)?;
            let names = vec![name.to_owned()];
            return Ok(Freed {
                names,
                ..Freed::default()
            });
        }
        self.remove_one(&entries, entry, remove)
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
        self.remove_one(&entries, entry, remove)
    }

    /// The caller holds the store alone.
    fn remove_one(
        &self,
        entries: &[Descriptor],
        entry: &Descriptor,
        remove: Remove<'_>,
    ) -> Result<Freed, Error> {
        let manifest = &entry.digest;
        let mut own = Marks::default();
        // One that is damaged goes as far as it can be read; the rest is for prune.
        let _ = own.image(self, manifest, Some(&entry.media_type));
        let lock = image_lock(self, manifest)?.ok_or(Error::InUse(*manifest))?;
        let victims = vec![(*manifest, lock)];
        let keep = self.needed(entries, &victims)?;
        let freed = self.forget(&victims)?;
        let freed = Sweep {
            store: self,
            keep: &keep,
            scope: Scope::Only(&own),
            only_told: false,
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
            only_told: false,
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
        index::update(&self.root, |entries| {
            let freed = going(entries, victims);
            entries.retain(|entry| !freed.images.contains(&entry.digest));
            freed
        })
    }

    /// Which processes hold an image, as far as /proc tells.
    ///
    /// # Errors
    /// As stat(2).
    pub fn users(&self, image: &Image) -> Result<Vec<u32>, Error> {
        lock::holders(&self.root, &format!("image-{}", image.manifest.hex()))
    }
}

/// Images that go, and their names.
fn going(entries: &[Descriptor], victims: &Victims) -> Freed {
    let goes = |entry: &&Descriptor| victims.iter().any(|(victim, _)| *victim == entry.digest);
    let gone = entries.iter().filter(goes);
    Freed {
        names: gone.filter_map(index::name_of).map(str::to_owned).collect(),
        images: victims.iter().map(|(digest, _)| *digest).collect(),
        ..Freed::default()
    }
}

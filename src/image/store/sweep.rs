//! What images need, and removing the rest.

use super::blob::{BLOBS, PARTIAL, blob_name};
use super::error::Error;
use super::layer::{Kind, LAYERS, NEW, OLD, lock_name, name};
use super::lock::{self, Holders};
use super::prune::Freed;
use super::spool::SPOOL;
use super::{Store, Wait, tree};
use crate::image::document::{self, Config, Document};
use crate::image::limits::Limits;
use crate::model::Digest;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// Removes a directory whose files belong to ids that only a process inside their map has rights over.
pub(super) type Remove<'a> = &'a mut dyn FnMut(&Path) -> io::Result<()>;

/// Blobs, and layers by their diff ids.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) blobs: BTreeSet<Digest>,
    pub(super) layers: BTreeSet<Digest>,
}

impl Marks {
    /// Marks an image and everything that it needs, or the images of an index.
    pub(super) fn image(
        &mut self,
        store: &Store,
        manifest: &Digest,
        media_type: Option<&str>,
    ) -> Result<(), Error> {
        let limits = Limits::default();
        let mut waiting = vec![(*manifest, media_type.map(str::to_owned))];
        while let Some((digest, media_type)) = waiting.pop() {
            if !self.blobs.insert(digest) {
                continue;
            }
            let bytes = store.document(&digest, &limits)?;
            let read = match media_type {
                Some(announced) => document::parse(&bytes, &announced, &limits),
                None => document::parse_stored(&bytes, &limits).map(Document::Manifest),
            };
            let refused = |blob| move |source| Error::Document { blob, source };
            match read.map_err(refused(digest))? {
                Document::Manifest(manifest) => {
                    let id = manifest.config.digest;
                    self.blobs.insert(id);
                    self.blobs
                        .extend(manifest.layers.iter().map(|l| l.descriptor.digest));
                    let bytes = store.document(&id, &limits)?;
                    let config = Config::parse(&bytes, manifest.layers.len(), &limits);
                    self.layers.extend(config.map_err(refused(id))?.diff_ids);
                }
                // Another program has put it here, perhaps without all that it lists.
                Document::Index(index) => {
                    for one in index.manifests {
                        if store.has_blob(&one.digest)? {
                            waiting.push((one.digest, Some(one.media_type)));
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// Which of what is not needed goes.
pub(super) enum Scope<'a> {
    /// All of it, and what was never finished.
    Everything,
    /// What these marks hold.
    Only(&'a Marks),
}

/// One pass over the store, by whoever holds its lock alone.
pub(super) struct Sweep<'a> {
    pub(super) store: &'a Store,
    pub(super) keep: &'a Marks,
    pub(super) scope: Scope<'a>,
    pub(super) remove: Remove<'a>,
    pub(super) freed: Freed,
}

impl Sweep<'_> {
    pub(super) fn run(mut self) -> Result<Freed, Error> {
        self.blobs()?;
        for kind in self.store.kinds()? {
            self.layers(&kind)?;
        }
        if matches!(self.scope, Scope::Everything) {
            self.partials()?;
            self.locks()?;
        }
        Ok(self.freed)
    }

    fn blobs(&mut self) -> Result<(), Error> {
        let root = &self.store.root;
        for digest in self.store.digests(BLOBS)? {
            let goes = match &self.scope {
                Scope::Everything => true,
                Scope::Only(marks) => marks.blobs.contains(&digest),
            };
            if self.keep.blobs.contains(&digest) || !goes {
                continue;
            }
            let name = blob_name(&digest);
            self.freed.bytes += root.status(&name)?.map_or(0, |stat| tree::disk(&stat));
            root.unlink(&name)?;
            self.freed.blobs += 1;
        }
        Ok(())
    }

    fn layers(&mut self, kind: &Kind) -> Result<(), Error> {
        for entry in self.store.root.list(&format!("{LAYERS}/{kind}"))? {
            let state = [NEW, OLD].into_iter().find(|state| entry.starts_with(state));
            let hex = state
                .and_then(|state| entry.strip_prefix(state))
                .unwrap_or(&entry);
            let Ok(diff_id) = format!("sha256:{hex}").parse::<Digest>() else {
                continue;
            };
            let goes = match &self.scope {
                Scope::Everything => true,
                Scope::Only(marks) => state.is_none() && marks.layers.contains(&diff_id),
            };
            // What was never finished goes, whether the layer is needed or not.
            if !goes || state.is_none() && self.keep.layers.contains(&diff_id) {
                continue;
            }
            self.layer(kind, &diff_id, state.unwrap_or_default())?;
        }
        Ok(())
    }

    fn layer(&mut self, kind: &Kind, diff_id: &Digest, state: &str) -> Result<(), Error> {
        let root = &self.store.root;
        let lock = lock_name(kind, diff_id);
        let Some(_held) = lock::take(root, &lock, Holders::Alone, Wait::Never)? else {
            return Ok(());
        };
        let mut from = name(kind, state, diff_id);
        if state.is_empty() {
            let size = self.store.layer_size(kind, diff_id);
            // A layer half removed must not be taken for a whole one.
            let old = name(kind, OLD, diff_id);
            if root.status(&old)?.is_some() {
                self.tree(kind, &old)?;
            }
            root.rename(&from, &old)?;
            root.sync(&format!("{LAYERS}/{kind}"))?;
            from = old;
            self.freed.layers += 1;
            self.freed.bytes += size.ok().flatten().map_or(0, |size| size.disk);
        }
        self.tree(kind, &from)?;
        root.unlink(&format!("locks/{lock}"))
    }

    fn tree(&mut self, kind: &Kind, name: &str) -> Result<(), Error> {
        if matches!(kind, Kind::Single) {
            return self.store.remove_tree(name);
        }
        let path = self.store.root.path(name);
        (self.remove)(&path).map_err(|e| Error::io("remove", &path, e))
    }

    fn partials(&mut self) -> Result<(), Error> {
        let root = &self.store.root;
        let own =
            |name: &String| name.starts_with(SPOOL) || format!("sha256:{name}").parse::<Digest>().is_ok();
        for name in root.list(PARTIAL)?.into_iter().filter(own) {
            let name = format!("{PARTIAL}/{name}");
            let Some(file) = root.writable(&name)? else {
                continue;
            };
            if lock::hold(&file, Holders::Alone, &mut Wait::Never, &root.path(&name))? {
                self.freed.bytes += root.status(&name)?.map_or(0, |stat| tree::disk(&stat));
                root.unlink(&name)?;
                self.freed.partials += 1;
            }
        }
        Ok(())
    }

    /// Locks that nobody holds are made again when they are wanted.
    fn locks(&mut self) -> Result<(), Error> {
        let root = &self.store.root;
        for name in root.list("locks")? {
            let passing = name.starts_with("image-") || name.starts_with("layer-");
            if passing && lock::take(root, &name, Holders::Alone, Wait::Never)?.is_some_and(|_held| true) {
                root.unlink(&format!("locks/{name}"))?;
            }
        }
        Ok(())
    }
}

impl Store {
    /// The kinds that layers have been unpacked for.
    pub(super) fn kinds(&self) -> Result<Vec<Kind>, Error> {
        let names = self.root.list(LAYERS)?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// The files of a directory that are named after digests.
    pub(super) fn digests(&self, folder: &str) -> Result<Vec<Digest>, Error> {
        let names = self.root.list(folder)?;
        let digest = |hex: &String| format!("sha256:{hex}").parse().ok();
        Ok(names.iter().filter_map(digest).collect())
    }
}

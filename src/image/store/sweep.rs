//! What images need, and removing the rest.

use super::blob::{BLOBS, PARTIAL, blob_name};
use super::copies::{COPIES, COPY, is_copy};
use super::error::Error;
use super::freed::{Freed, Left, Part};
use super::layer::{Kind, LAYERS, NEW, OLD, lock_name, name};
use super::lock::{self, Holders};
use super::spool::SPOOL;
use super::{Lock, Store, Wait, tree};
use crate::image::document::{self, Config, Document};
use crate::image::limits::Limits;
use crate::model::Digest;
use std::collections::BTreeSet;
use std::os::fd::AsFd;

/// Removes directories of layers whose files belong to ids that only a process inside their map has rights over; they are named as
/// [`Store::remove_remains`] takes them. What is still there afterwards is told with the reason that this gives.
pub type Remove<'a> = &'a mut dyn FnMut(&Kind, &[String]) -> Result<(), String>;

/// A directory that is to be removed.
struct Doomed {
    entry: String,
    part: Part,
    bytes: u64,
    lock: String,
    _held: Lock,
}

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
    /// Nothing is removed.
    pub(super) only_told: bool,
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
            self.all_copies()?;
            self.partials()?;
        }
        if matches!(self.scope, Scope::Everything) && !self.only_told {
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
            let bytes = root.status(&name)?.map_or(0, |stat| tree::disk(&stat));
            if !self.only_told {
                root.unlink(&name)?;
            }
            self.freed.parts.push((Part::Blob(digest), bytes));
        }
        Ok(())
    }

    /// First what was never finished: a layer that is to go needs the name of what is left of it from an earlier time. Each state by
    /// itself, since the directories of one layer have one lock.
    fn layers(&mut self, kind: &Kind) -> Result<(), Error> {
        let (mut new, mut old, mut whole) = (Vec::new(), Vec::new(), Vec::new());
        for entry in self.store.root.list(&format!("{LAYERS}/{kind}"))? {
            let state = [NEW, OLD].into_iter().find(|state| entry.starts_with(state));
            let Ok(diff_id) = digest_of(entry.strip_prefix(state.unwrap_or_default())) else {
                continue;
            };
            let goes = match &self.scope {
                Scope::Everything => state.is_some() || !self.keep.layers.contains(&diff_id),
                Scope::Only(marks) => {
                    state != Some(NEW)
                        && marks.layers.contains(&diff_id)
                        && !self.keep.layers.contains(&diff_id)
                }
            };
            match state {
                _ if !goes => {}
                Some(NEW) => new.push((entry, diff_id)),
                Some(_) => old.push((entry, diff_id)),
                None => whole.push(diff_id),
            }
        }
        for remains in [new, old] {
            let mut doomed = Vec::new();
            for (entry, diff_id) in remains {
                doomed.extend(self.doom(kind, entry, Part::Unfinished(*kind, diff_id))?);
            }
            self.directories(kind, doomed)?;
        }
        let mut doomed = Vec::new();
        for diff_id in whole {
            doomed.extend(self.layer(kind, diff_id)?);
        }
        self.directories(kind, doomed)
    }

    /// `None` when another process holds the layer.
    fn doom(&self, kind: &Kind, entry: String, part: Part) -> Result<Option<Doomed>, Error> {
        let (Part::Layer(_, diff_id) | Part::Unfinished(_, diff_id)) = part else {
            return Ok(None);
        };
        let lock = lock_name(kind, &diff_id);
        let held = lock::take(&self.store.root, &lock, Holders::Alone, Wait::Never)?;
        let bytes = self.size(kind, &entry)?;
        Ok(held.map(|held| Doomed {
            entry,
            part,
            bytes,
            lock,
            _held: held,
        }))
    }

    /// What the directory of a layer takes, as far as it can be known.
    fn size(&self, kind: &Kind, entry: &str) -> Result<u64, Error> {
        let directory = directory(kind, entry);
        if let Ok(Some(size)) = self.store.size_in(&directory) {
            return Ok(size.disk);
        }
        let folder = self.store.root.folder(&directory)?;
        Ok(folder.map_or(0, |folder| {
            tree::measure(folder.as_fd()).map_or(0, |size| size.disk)
        }))
    }

    /// A layer half removed must not be taken for a whole one.
    fn layer(&mut self, kind: &Kind, diff_id: Digest) -> Result<Option<Doomed>, Error> {
        let root = &self.store.root;
        let whole = name(kind, "", &diff_id);
        let entry = diff_id.hex();
        let Some(mut doomed) = self.doom(kind, entry, Part::Layer(*kind, diff_id))? else {
            return Ok(None);
        };
        let old = name(kind, OLD, &diff_id);
        if self.only_told {
            return Ok(Some(doomed));
        }
        if root.status(&old)?.is_some() {
            self.freed.left.push(Left {
                kind: *kind,
                path: root.path(&whole),
                why: format!("{OLD}{} beside it must go first", diff_id.hex()),
            });
            return Ok(None);
        }
        root.rename(&whole, &old)?;
        root.sync(&format!("{LAYERS}/{kind}"))?;
        doomed.entry = format!("{OLD}{}", diff_id.hex());
        Ok(Some(doomed))
    }

    pub(super) fn all_copies(&mut self) -> Result<(), Error> {
        for kind in self.store.root.list(COPIES)? {
            if let Ok(kind) = kind.parse() {
                self.copies(&kind)?;
            }
        }
        Ok(())
    }

    /// Copies that nobody uses.
    pub(super) fn copies(&mut self, kind: &Kind) -> Result<(), Error> {
        let mut doomed = Vec::new();
        for entry in self.store.root.list(&format!("{COPIES}/{kind}"))? {
            if !is_copy(&entry) {
                continue;
            }
            let Some(held) = lock::take(&self.store.root, &entry, Holders::Alone, Wait::Never)? else {
                continue;
            };
            doomed.push(Doomed {
                bytes: self.size(kind, &entry)?,
                lock: entry.clone(),
                entry,
                part: Part::Copy(*kind),
                _held: held,
            });
        }
        self.directories(kind, doomed)
    }

    fn directories(&mut self, kind: &Kind, doomed: Vec<Doomed>) -> Result<(), Error> {
        let root = &self.store.root;
        let entries: Vec<String> = doomed.iter().map(|one| one.entry.clone()).collect();
        let removed = match kind {
            _ if self.only_told || entries.is_empty() => Ok(()),
            Kind::Single => {
                let removed = self.store.remove_remains(kind, &entries);
                removed.map_err(|e| e.to_string())
            }
            Kind::Mapped { .. } | Kind::Chosen(_) => (self.remove)(kind, &entries),
        };
        let why = removed.err().unwrap_or_else(|| "it was not removed".to_owned());
        for one in doomed {
            let directory = directory(kind, &one.entry);
            if !self.only_told && root.status(&directory)?.is_some() {
                self.freed.left.push(Left {
                    kind: *kind,
                    path: root.path(&directory),
                    why: why.clone(),
                });
                continue;
            }
            if !self.only_told {
                root.unlink(&format!("locks/{}", one.lock))?;
            }
            self.freed.parts.push((one.part, one.bytes));
        }
        Ok(())
    }

    fn partials(&mut self) -> Result<(), Error> {
        let root = &self.store.root;
        let part = |name: &str| match name.starts_with(SPOOL) {
            true => Some(Part::Spool),
            false => digest_of(Some(name)).ok().map(Part::Partial),
        };
        for name in root.list(PARTIAL)? {
            let Some(part) = part(&name) else { continue };
            let name = format!("{PARTIAL}/{name}");
            let Some(file) = root.writable(&name)? else {
                continue;
            };
            if let Some(_held) = lock::hold(file, Holders::Alone, &mut Wait::Never, &root.path(&name))? {
                let bytes = root.status(&name)?.map_or(0, |stat| tree::disk(&stat));
                if !self.only_told {
                    root.unlink(&name)?;
                }
                self.freed.parts.push((part, bytes));
            }
        }
        Ok(())
    }

    /// Locks that nobody holds are made again when they are wanted.
    fn locks(&mut self) -> Result<(), Error> {
        let root = &self.store.root;
        for name in root.list("locks")? {
            let passing = ["image-", "layer-", COPY]
                .iter()
                .any(|word| name.starts_with(word));
            if !passing {
                continue;
            }
            // Held until the name is gone: whoever took it in between would hold a file that nobody finds any more.
            if let Some(_held) = lock::take(root, &name, Holders::Alone, Wait::Never)? {
                root.unlink(&format!("locks/{name}"))?;
            }
        }
        Ok(())
    }
}

/// Where a layer or a copy is.
fn directory(kind: &Kind, entry: &str) -> String {
    let folder = if entry.starts_with(COPY) { COPIES } else { LAYERS };
    format!("{folder}/{kind}/{entry}")
}

/// What the name of a layer's directory says, without what stands before it.
fn digest_of(hex: Option<&str>) -> Result<Digest, Error> {
    let no = || Error::NoSuchImage(hex.unwrap_or_default().to_owned());
    format!("sha256:{}", hex.unwrap_or_default())
        .parse()
        .map_err(|_| no())
}

impl Store {
    /// Removes directories of layers that are none: `.old-HEX`, on its way out, and `.new-HEX`, never finished; and copies of images. For
    /// the process that may remove their files; whoever asks it to holds the locks. Each is tried, whatever becomes of the others.
    ///
    /// # Errors
    /// Of the first that could not be removed; a name that is none of these.
    pub fn remove_remains(&self, kind: &Kind, entries: &[String]) -> Result<(), Error> {
        let mut first = Ok(());
        for entry in entries {
            let hex = [NEW, OLD].iter().find_map(|state| entry.strip_prefix(state));
            let removed = match is_copy(entry) {
                true => Ok(()),
                false => digest_of(hex).map(drop),
            };
            let removed = removed.and_then(|()| self.remove_tree(&directory(kind, entry)));
            if first.is_ok() {
                first = removed;
            }
        }
        first
    }

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

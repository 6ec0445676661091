//! Whether everything in the store is what it is said to be.

use super::blob::{BLOBS, PARTIAL, blob_name};
use super::copies::{COPIES, COPY, is_copy};
use super::error::Error;
use super::layer::{Kind, LAYERS, LayerState, NEW, OLD, OWNERS, SIZE, name};
use super::lock::Wait;
use super::spool::SPOOL;
use super::sweep::Marks;
use super::{FOLDERS, Image, MARK, OCI_LAYOUT, Store, index};
use crate::image::document;
use crate::model::Digest;
use std::fmt;
use std::io::Read;
use std::path::PathBuf;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A blob has other contents than its name says.
    Changed {
        /// Its name.
        blob: Digest,
        /// What it hashes to.
        found: Digest,
    },
    /// A blob cannot be read.
    Unreadable {
        /// Which.
        blob: Digest,
        /// Why.
        why: String,
    },
    /// An image's manifest or config cannot be read.
    Image {
        /// What it is called.
        image: String,
        /// Why.
        why: String,
    },
    /// A blob that an image needs is not there.
    Missing {
        /// What the image is called.
        image: String,
        /// Which.
        blob: Digest,
    },
    /// A blob has another size than the manifest says.
    Size {
        /// What the image is called.
        image: String,
        /// Which.
        blob: Digest,
        /// What the manifest says.
        expected: u64,
        /// What it has.
        found: u64,
    },
    /// Layers of an image are not unpacked. No damage: they can be unpacked from their blobs.
    NotUnpacked {
        /// What the image is called.
        image: String,
        /// For whom some are, or nobody.
        kind: Option<Kind>,
        /// How many are not.
        layers: usize,
    },
    /// An unpacked layer is not whole.
    Layer {
        /// Where.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Something that sbx has not put there.
    Unknown(PathBuf),
}

impl Finding {
    /// Whether an image cannot be used as it is.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        !matches!(self, Self::NotUnpacked { .. } | Self::Unknown(_))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { blob, found } => {
                write!(
                    f,
                    "blob {} has other contents: they hash to {}",
                    blob.short(),
                    found.short()
                )
            }
            Self::Unreadable { blob, why } => write!(f, "blob {} cannot be read: {why}", blob.short()),
            Self::Image { image, why } => write!(f, "image {image} cannot be read: {why}"),
            Self::Missing { image, blob } => {
                write!(f, "image {image} needs blob {}, which is missing", blob.short())
            }
            Self::Size {
                image,
                blob,
                expected,
                found,
            } => write!(
                f,
                "image {image}: blob {} has {found} bytes, and must have {expected}",
                blob.short()
            ),
            Self::NotUnpacked { image, kind, layers } => match kind {
                Some(kind) => write!(
                    f,
                    "image {image}: {layers} of its layers are not unpacked for {kind}"
                ),
                None => write!(f, "image {image}: its {layers} layers are not unpacked"),
            },
            Self::Layer { path, why } => write!(f, "layer {} is not whole: {why}", path.display()),
            Self::Unknown(path) => {
                let path = path.to_string_lossy();
                write!(f, "{} is nothing of sbx's", path.escape_debug())
            }
        }
    }
}

impl Store {
    /// Reads every blob again, and looks for what every image needs. `progress` is told the blob, the bytes of all that have been read,
    /// and of all that there are.
    ///
    /// # Errors
    /// The store itself cannot be read; everything less is a finding.
    pub fn verify(&self, progress: &mut dyn FnMut(&Digest, u64, u64)) -> Result<Vec<Finding>, Error> {
        // Nothing is removed meanwhile.
        let _kept = self.pulling(Wait::Silently)?;
        let mut findings = Vec::new();
        self.verify_blobs(&mut findings, progress)?;
        let kinds = self.kinds()?;
        for image in self.all()? {
            self.verify_image(&image, &kinds, &mut findings)?;
        }
        for kind in &kinds {
            self.verify_layers(kind, &mut findings)?;
        }
        self.unknown(&mut findings)?;
        Ok(findings)
    }

    fn verify_blobs(
        &self,
        findings: &mut Vec<Finding>,
        progress: &mut dyn FnMut(&Digest, u64, u64),
    ) -> Result<(), Error> {
        let blobs = self.digests(BLOBS)?;
        let (mut read, mut total) = (0, 0);
        for blob in &blobs {
            total += self.blob_size(blob)?.unwrap_or_default();
        }
        for blob in &blobs {
            let hashed = self.hash(blob, &mut |bytes| {
                read += bytes;
                progress(blob, read, total);
            });
            match hashed {
                Ok(found) if found == *blob => {}
                Ok(found) => findings.push(Finding::Changed { blob: *blob, found }),
                Err(error) => findings.push(Finding::Unreadable {
                    blob: *blob,
                    why: error.to_string(),
                }),
            }
        }
        Ok(())
    }

    fn hash(&self, blob: &Digest, progress: &mut dyn FnMut(u64)) -> Result<Digest, Error> {
        use sha2::Digest as _;
        let mut file = self.open_blob(blob)?;
        let mut hash = sha2::Sha256::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = match file.read(&mut buffer) {
                Ok(0) => return Ok(Digest::of_hash(hash.finalize().into())),
                Ok(count) => count,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Error::io("read", &self.root.path(&blob_name(blob)), e)),
            };
            hash.update(buffer.get(..count).unwrap_or_default());
            progress(count as u64);
        }
    }

    fn verify_image(&self, image: &Image, kinds: &[Kind], findings: &mut Vec<Finding>) -> Result<(), Error> {
        let called = match image.names.first() {
            Some(name) => document::shown(name),
            None => image.manifest.short(),
        };
        let mut marks = Marks::default();
        if let Err(error) = marks.image(self, &image.manifest, Some(&image.media_type)) {
            findings.push(Finding::Image {
                image: called,
                why: error.to_string(),
            });
            return Ok(());
        }
        // An index that another program has put here: its manifests have been read, and their blobs are looked for below.
        if let Ok((manifest, ..)) = self.load(&image.manifest) {
            for blob in manifest
                .layers
                .iter()
                .map(|layer| &layer.descriptor)
                .chain([&manifest.config])
            {
                match self.blob_size(&blob.digest)? {
                    Some(found) if found != blob.size => findings.push(Finding::Size {
                        image: called.clone(),
                        blob: blob.digest,
                        expected: blob.size,
                        found,
                    }),
                    _ => {}
                }
            }
        }
        for blob in &marks.blobs {
            if self.blob_size(blob)?.is_none() {
                findings.push(Finding::Missing {
                    image: called.clone(),
                    blob: *blob,
                });
            }
        }
        self.verify_unpacked(&called, &marks, kinds, findings)
    }

    fn verify_unpacked(
        &self,
        image: &str,
        marks: &Marks,
        kinds: &[Kind],
        findings: &mut Vec<Finding>,
    ) -> Result<(), Error> {
        let mut nowhere = true;
        for kind in kinds {
            let mut missing = 0;
            for layer in &marks.layers {
                missing += usize::from(self.layer(kind, layer)? == LayerState::Absent);
            }
            // None at all: the image was never wanted for these ids.
            nowhere &= missing == marks.layers.len();
            if missing != 0 && missing != marks.layers.len() {
                findings.push(Finding::NotUnpacked {
                    image: image.to_owned(),
                    kind: Some(*kind),
                    layers: missing,
                });
            }
        }
        if nowhere && !marks.layers.is_empty() {
            findings.push(Finding::NotUnpacked {
                image: image.to_owned(),
                kind: None,
                layers: marks.layers.len(),
            });
        }
        Ok(())
    }

    fn verify_layers(&self, kind: &Kind, findings: &mut Vec<Finding>) -> Result<(), Error> {
        for diff_id in self.digests(&format!("{LAYERS}/{kind}"))? {
            let layer = name(kind, "", &diff_id);
            let path = self.root.path(&layer);
            let mut bad = |why: String| {
                findings.push(Finding::Layer {
                    path: path.clone(),
                    why,
                });
            };
            if self.layer(kind, &diff_id)? == LayerState::Absent {
                bad("it has no tree".to_owned());
            }
            match self.layer_size(kind, &diff_id) {
                Ok(Some(_)) => {}
                Ok(None) => bad(format!("it has no {SIZE}")),
                Err(error) => bad(error.to_string()),
            }
            match self.layer_owners(kind, &diff_id) {
                Ok(Some(_)) => {}
                Ok(None) => bad(format!("it has no {OWNERS}")),
                Err(error) => bad(error.to_string()),
            }
        }
        Ok(())
    }

    /// What no part of this module could have written.
    fn unknown(&self, findings: &mut Vec<Finding>) -> Result<(), Error> {
        let hex = |name: &str| format!("sha256:{name}").parse::<Digest>().is_ok();
        let state = |name: &str| {
            let plain = [NEW, OLD].into_iter().find_map(|state| name.strip_prefix(state));
            hex(plain.unwrap_or(name))
        };
        let top = |name: &str| {
            let files = [index::FILE, OCI_LAYOUT.0, ".new-index.json", ".new-oci-layout"];
            files.contains(&name) || FOLDERS.contains(&name) || name == COPIES || name.starts_with(MARK)
        };
        let lock = |name: &str| {
            let parts = ["image-", "layer-", COPY];
            [index::LOCK, "store"].contains(&name) || parts.iter().any(|part| name.starts_with(part))
        };
        let kind = |name: &str| name.parse::<Kind>().is_ok();
        let mut look = |folder: &str, known: &dyn Fn(&str) -> bool| -> Result<(), Error> {
            for name in self.root.list(folder)? {
                if !known(&name) {
                    findings.push(Finding::Unknown(self.root.path(folder).join(name)));
                }
            }
            Ok(())
        };
        look(".", &top)?;
        look("blobs", &|name| name == "sha256")?;
        look(BLOBS, &hex)?;
        look(PARTIAL, &|name| hex(name) || name.starts_with(SPOOL))?;
        look("locks", &lock)?;
        look(LAYERS, &kind)?;
        for kind in self.kinds()? {
            look(&format!("{LAYERS}/{kind}"), &state)?;
        }
        look(COPIES, &kind)?;
        for name in self.root.list(COPIES)?.iter().filter(|name| kind(name)) {
            look(&format!("{COPIES}/{name}"), &is_copy)?;
        }
        Ok(())
    }
}

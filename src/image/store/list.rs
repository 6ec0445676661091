//! What images take.

use super::error::Error;
use super::sweep::Marks;
use super::{Image, Kind, Store, tree};
use crate::model::Digest;
use std::collections::BTreeMap;

/// An image, as `sbx images` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The image.
    pub image: Image,
    /// When it was made, as its config says.
    pub created: Option<String>,
    /// What its layers take unpacked, once, shared or not; of those that are unpacked.
    pub unpacked: u64,
    /// What goes with it: bytes on the disk that no other image needs, packed and unpacked.
    pub unique: u64,
    /// What other images need too.
    pub shared: u64,
    /// Why it cannot be read, when it cannot.
    pub damage: Option<String>,
}

/// What is counted once however many images need it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Blob(Digest),
    Layer(Digest),
}

impl Store {
    /// All images, and what they take.
    ///
    /// # Errors
    /// index.json cannot be read. An image that cannot be read is listed with its damage.
    pub fn images(&self) -> Result<Vec<Listed>, Error> {
        let kinds = self.kinds()?;
        let images = self.all()?;
        let mut needs = Vec::with_capacity(images.len());
        let mut users: BTreeMap<Part, u32> = BTreeMap::new();
        for image in &images {
            let mut marks = Marks::default();
            let read = marks.image(self, &image.manifest, Some(&image.media_type));
            let blobs = marks.blobs.into_iter().map(Part::Blob);
            let parts: Vec<_> = blobs.chain(marks.layers.into_iter().map(Part::Layer)).collect();
            for part in &parts {
                *users.entry(*part).or_default() += 1;
            }
            needs.push((parts, read.err().map(|e| e.to_string())));
        }
        let mut sizes = BTreeMap::new();
        for part in users.keys() {
            sizes.insert(*part, self.part(part, &kinds)?);
        }
        let listed = images.into_iter().zip(needs).map(|(image, (parts, damage))| {
            let mut listed = Listed {
                created: self
                    .load(&image.manifest)
                    .ok()
                    .and_then(|(_, config, _)| config.created),
                image,
                unpacked: 0,
                unique: 0,
                shared: 0,
                damage,
            };
            for part in &parts {
                let (disk, once) = sizes.get(part).copied().unwrap_or_default();
                listed.unpacked += once;
                match users.get(part) {
                    Some(1) => listed.unique += disk,
                    _ => listed.shared += disk,
                }
            }
            listed
        });
        Ok(listed.collect())
    }

    /// What a part takes on the disk, and of that, unpacked for one kind.
    fn part(&self, part: &Part, kinds: &[Kind]) -> Result<(u64, u64), Error> {
        match part {
            Part::Blob(digest) => {
                let stat = self.root.status(&super::blob::blob_name(digest))?;
                Ok((stat.map_or(0, |stat| tree::disk(&stat)), 0))
            }
            Part::Layer(diff_id) => {
                let mut total = (0, 0);
                for kind in kinds {
                    // A damaged size is for verify to report.
                    let disk = self
                        .layer_size(kind, diff_id)
                        .ok()
                        .flatten()
                        .map_or(0, |s| s.disk);
                    total = (total.0 + disk, total.1.max(disk));
                }
                Ok(total)
            }
        }
    }
}

//! What one run has on disk of its own: a copy of an image, where the kernel refuses overlay, or the upper layer of its root.

use crate::cli::out;
use crate::cli::report::Report;
use crate::cli::store::{existing, open, path, real};
use crate::cli::workers::progress::Shown;
use crate::cli::workers::removal::Remover;
use crate::cli::workers::{Owners, start};
use crate::image::job::{self, Job};
use crate::image::store::{Copy, Kind, Store, copies};
use crate::model::{Digest, HostPath, Layers};

/// A directory that is there for as long as this run.
#[derive(Debug)]
pub(super) struct Copied {
    store: Store,
    copy: Copy,
    /// Where it is, with no link on the way.
    pub(super) path: HostPath,
}

/// Where it would be made. Nothing is: the store may not be there.
///
/// # Errors
/// Without a home.
pub(super) fn place(owners: &Owners) -> Result<HostPath, Report> {
    let store = match existing()? {
        Some(store) => real(&store)?.as_path().to_owned(),
        None => path()?,
    };
    HostPath::new(copies(&store, &owners.kind)).map_err(Report::sbx)
}

/// Makes a copy. What runs that were killed have left goes first.
///
/// # Errors
/// When there is no room, or something of it cannot be read.
pub(super) fn make(image: &Digest, layers: &Layers, owners: &Owners, quiet: bool) -> Result<Copied, Report> {
    let copied = named(owners)?;
    let job = Job::Copy(job::Copy {
        image: *image,
        kind: owners.kind,
        layers: diff_ids(layers)?,
        name: copied.copy.name().to_owned(),
    });
    match start::work(&job, &copied.store, owners, &mut Shown::new(quiet)) {
        Ok(_) => Ok(copied),
        Err(report) => {
            copied.remove();
            Err(report)
        }
    }
}

/// Makes an empty directory for an upper layer. What runs that were killed have left goes first.
///
/// # Errors
/// As mkdir(2).
pub(super) fn upper(owners: &Owners) -> Result<Copied, Report> {
    let upper = named(owners)?;
    upper.store.make_upper(&upper.copy).map_err(Report::sbx)?;
    Ok(upper)
}

fn named(owners: &Owners) -> Result<Copied, Report> {
    let store = open(owners)?;
    let mut remover = Remover::new()?;
    store
        .sweep_copies(&mut |kind: &Kind, names: &[String]| remover.remove(&store, kind, names))
        .map_err(Report::sbx)?;
    let copy = store.new_copy(owners.kind).map_err(Report::sbx)?;
    let path = place(owners)?.as_path().join(copy.name());
    Ok(Copied {
        path: HostPath::new(path).map_err(Report::sbx)?,
        copy,
        store,
    })
}

impl Copied {
    /// Removes it. What cannot be removed is told; the next run that makes a copy, and `sbx prune`, try again.
    pub(super) fn remove(self) {
        let removed = Remover::new().and_then(|mut remover| {
            let mut remove = |kind: &Kind, names: &[String]| remover.remove(&self.store, kind, names);
            self.store.drop_copy(self.copy, &mut remove).map_err(Report::sbx)
        });
        let why = match removed {
            Ok(freed) => freed.left.into_iter().next().map(|left| left.why),
            Err(report) => Some(report.message),
        };
        if let Some(why) = why {
            let path = &self.path;
            let why = out::escaped(&why);
            out::words(format_args!(
                "sbx: {path}, which this run has made, is still there: {why} (`sbx prune` tries again)"
            ));
        }
    }
}

/// Layers are named after their diff ids.
fn diff_ids(layers: &Layers) -> Result<Vec<Digest>, Report> {
    let id = |name: &String| {
        let hex = name.split('/').next().unwrap_or_default();
        let odd = |_| Report::sbx("a layer of the image is not where it should be");
        format!("sha256:{hex}").parse().map_err(odd)
    };
    layers.names.iter().map(id).collect()
}

//! An image as the root of a run: found in the store, or fetched first.

use crate::cli::images::pull::{self, When};
use crate::cli::images::{load, named};
use crate::cli::report::Report;
use crate::cli::store::{existing, open};
use crate::cli::workers::progress::Shown;
use crate::cli::workers::{Owners, start};
use crate::image::descriptor::Platform;
use crate::image::document::Config;
use crate::image::job::{Job, Unpack};
use crate::image::limits::Limits;
use crate::image::source::{Named, Source};
use crate::image::store::{LayerState, Lock, Store};
use crate::model::{Digest, HostPath, Layers};
use crate::policy::{Image, ImageConfig};
use std::path::{Path, PathBuf};

/// How images are looked for.
#[derive(Debug)]
pub(in crate::cli) struct How<'a> {
    pub(in crate::cli) owners: &'a Owners,
    pub(in crate::cli) when: When,
    pub(in crate::cli) platform: Option<Platform>,
    pub(in crate::cli) limits: Limits,
    pub(in crate::cli) quiet: bool,
    pub(in crate::cli) uid: u32,
}

/// An image that is ready, and what keeps it from being removed.
#[derive(Debug)]
pub(in crate::cli) struct Ready {
    pub(in crate::cli) image: Image,
    pub(in crate::cli) kept: Lock,
    /// Which it is.
    pub(in crate::cli) manifest: Digest,
}

/// Makes an image ready to run.
///
/// # Errors
/// When it cannot be had.
pub(in crate::cli) fn ready(source: &Source, how: &How<'_>) -> Result<Ready, Report> {
    let store = existing()?;
    let (name, found) = match source {
        Source::Registry(named) => (named.text().to_owned(), by_name(store.as_ref(), named, how)?),
        Source::Id(digest) => (digest.short(), by_id(store.as_ref(), digest)?),
        archive => load::one(archive, how)?,
    };
    let store = match store {
        Some(store) => store,
        // The image that has been fetched was its first.
        None => existing()?.ok_or_else(|| Report::sbx("the image store is gone"))?,
    };
    let kept = store.use_image(&found).map_err(Report::sbx)?;
    let (_, config, _) = store.load(&found).map_err(Report::sbx)?;
    let layers = layers(&store, &found, &config, how)?;
    Ok(Ready {
        image: Image {
            name,
            layers,
            config: defaults(config),
        },
        kept,
        manifest: found,
    })
}

fn by_id(store: Option<&Store>, digest: &Digest) -> Result<Digest, Report> {
    let found = store.map(|store| store.find(&digest.to_string())).transpose();
    let found = found.map_err(Report::sbx)?.flatten();
    let absent = || Report::sbx(format!("image {}: not in the store", digest.short()));
    found.map(|image| image.manifest).ok_or_else(absent)
}

fn by_name(store: Option<&Store>, named: &Named, how: &How<'_>) -> Result<Digest, Report> {
    if how.when != When::Always
        && let Some(store) = store
        && let Some(found) = named::by_name(store, named)?
    {
        return Ok(found.image.manifest);
    }
    if how.when == When::Never {
        return Err(Report::sbx(format!(
            "image {}: not in the store, and --pull never",
            named.text()
        ))
        .hint(format!("sbx pull {}", named.text())));
    }
    pull::first(&pull::candidates(named)?, how)
}

/// The layers as overlay takes them, the topmost first; those that are not unpacked for this map are unpacked now.
fn layers(store: &Store, manifest: &Digest, config: &Config, how: &How<'_>) -> Result<Layers, Report> {
    if config.diff_ids.is_empty() {
        return Err(Report::sbx(
            "the image has no layers: there is nothing in it to run",
        ));
    }
    let kind = how.owners.kind;
    let ready = |diff_id: &Digest| match store.layer(&kind, diff_id) {
        Ok(LayerState::Ready(path)) => Ok(Some(path)),
        Ok(LayerState::Absent) => Ok(None),
        Err(error) => Err(Report::sbx(error)),
    };
    let all = || {
        config
            .diff_ids
            .iter()
            .rev()
            .map(ready)
            .collect::<Result<Option<Vec<_>>, _>>()
    };
    let paths = match all()? {
        Some(paths) => paths,
        None => {
            let job = Job::Unpack(Unpack {
                manifest: *manifest,
                kind,
                limits: how.limits.clone(),
            });
            let store = open(how.owners)?;
            start::work(&job, &store, how.owners, &mut Shown::new(how.quiet))?;
            all()?.ok_or_else(|| Report::sbx("a layer of the image is gone"))?
        }
    };
    below(&paths)
}

/// Relative to the one directory that holds them all. A layer whose root is opaque hides what is below it, which overlay does not see.
/// A layer that stands there twice is left out below: overlay refuses it (ELOOP), and the upper one has all that it shows or hides.
fn below(paths: &[PathBuf]) -> Result<Layers, Report> {
    let odd = || Report::sbx("a layer of the image is not where it should be");
    let within = paths
        .first()
        .and_then(|path| path.parent()?.parent())
        .ok_or_else(odd)?;
    let mut names = Vec::new();
    for path in paths {
        let name = path
            .strip_prefix(within)
            .ok()
            .and_then(Path::to_str)
            .ok_or_else(odd)?;
        if names.iter().any(|there| there == name) {
            continue;
        }
        names.push(name.to_owned());
        if crate::sys::fs::path_has_attribute(path, c"user.overlay.opaque").unwrap_or(false) {
            break;
        }
    }
    let real = within
        .canonicalize()
        .map_err(|e| Report::sbx(format!("the image store: {e}")))?;
    Ok(Layers {
        within: HostPath::new(real).map_err(Report::sbx)?,
        names,
    })
}

fn defaults(config: Config) -> ImageConfig {
    let all = |texts: Vec<String>| texts.into_iter().map(Into::into).collect();
    let run = config.config;
    ImageConfig {
        entrypoint: all(run.entrypoint),
        command: all(run.cmd),
        environment: run
            .env
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        start_in: Some(run.working_dir)
            .filter(|dir| !dir.is_empty())
            .map(PathBuf::from),
        user: Some(run.user).filter(|user| !user.is_empty()),
        stop_signal: run.stop_signal,
        volumes: run.volumes.into_iter().map(PathBuf::from).collect(),
    }
}

//! `sbx tag`: another name for an image.

use super::{named, pull};
use crate::cli::report::Report;
use crate::image::descriptor::Descriptor;
use crate::image::source::Source;
use crate::image::store::Error;
use crate::model::reference::shown;
use clap::Args;
use std::collections::BTreeMap;

/// Arguments of `tag`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
An image that had the name before loses it; without another name it stays until `sbx prune`.

Examples:
  sbx tag debian:12 base
      `sbx run base` runs it
  sbx tag 3f2a9c01b7de registry:5000/me/app:1
      An id names an image as well")]
pub struct TagArgs {
    /// Image, by name or id
    #[arg(value_name = "SOURCE")]
    source: String,
    /// New name: [HOST[:PORT]/]NAME[:TAG]
    #[arg(value_name = "TARGET")]
    target: String,
}

/// Names an image.
///
/// # Errors
/// When it is not there, or the name is none.
pub fn tag(args: &TagArgs) -> Result<u8, Report> {
    let target = target(&args.target)?;
    let store = named::store()?;
    let image = named::find(&store, &args.source)?.image;
    if image.names.contains(&target) {
        return Ok(0);
    }
    let missing = || Report::sbx(Error::Missing(image.manifest));
    let size = store.blob_size(&image.manifest).map_err(Report::sbx)?;
    let manifest = Descriptor {
        media_type: image.media_type.clone(),
        digest: image.manifest,
        size: size.ok_or_else(missing)?,
        platform: image.platform.clone(),
        annotations: BTreeMap::new(),
    };
    store.name(&target, &manifest, None).map_err(Report::sbx)?;
    Ok(0)
}

/// The full name: what `run` understands by the same text first.
fn target(text: &str) -> Result<String, Report> {
    let wrong = |why: &str| Report::usage(format!("tag {}: {why}", shown(text)));
    if matches!(text, "host" | "scratch") {
        return Err(wrong(
            "`sbx run` means something else by this word: write its host before it, as in localhost/NAME",
        ));
    }
    let Source::Registry(name) = Source::named(text).map_err(Report::usage)? else {
        return Err(wrong("these are the digits of an id: write NAME[:TAG]"));
    };
    if name.id_prefix().is_some() {
        return Err(wrong("these may be the digits of an id: write NAME:TAG"));
    }
    if name.reference().digest().is_some() {
        return Err(wrong("a digest is not given, it is: write NAME[:TAG]"));
    }
    let candidates = pull::candidates(&name)?;
    let first = candidates.first().ok_or_else(|| wrong("it means no full name"))?;
    Ok(first.to_string())
}

//! What `pull`, `load` and `import` are told alike: how much of a stranger's files is read, and whose they are unpacked for.

use crate::cli::report::Report;
use crate::cli::sandbox_args::word;
use crate::cli::workers::Owners;
use crate::image::descriptor::Platform;
use crate::image::limits::Limits;
use crate::model::Host;
use crate::profile::schema::MapKind;
use clap::Args;

/// Arguments of every verb that unpacks.
#[derive(Debug, Clone, Args)]
pub struct UnpackArgs {
    /// ID mapping to unpack for, as for `run`: auto, caller, range, host-root
    #[arg(long, value_name = "MAP", default_value = "auto")]
    map: String,
    /// Limit on what is read: NAME=VALUE (document, packed, unpacked, image: a size; layers, entries, ratio, path, depth: a number)
    #[arg(long, value_name = "NAME=VALUE")]
    image_limit: Vec<String>,
    /// Print digests only
    #[arg(short, long)]
    pub(super) quiet: bool,
}

impl UnpackArgs {
    pub(super) fn owners(&self, host: &mut Host) -> Result<Owners, Report> {
        let map = word::<MapKind>("--map", &self.map)?;
        Owners::of(map.value, None, host)
    }

    pub(super) fn limits(&self) -> Result<Limits, Report> {
        limits(&self.image_limit)
    }
}

/// What `--image-limit` says.
///
/// # Errors
/// When one is none.
pub(in crate::cli) fn limits(texts: &[String]) -> Result<Limits, Report> {
    let mut limits = Limits::default();
    for text in texts {
        limits
            .set(text)
            .map_err(|e| Report::usage(format!("--image-limit: {e}")))?;
    }
    Ok(limits)
}

/// What `--platform` says.
///
/// # Errors
/// When it is none.
pub(in crate::cli) fn platform(text: Option<&str>) -> Result<Option<Platform>, Report> {
    let parse = |text: &str| {
        text.parse()
            .map_err(|e| Report::usage(format!("--platform: {e}")))
    };
    text.map(parse).transpose()
}

//! `sbx push`: an image of the store to a registry.

use super::named;
use crate::cli::out;
use crate::cli::report::Report;
use crate::cli::store::{lookup, open};
use crate::cli::workers::progress::Shown;
use crate::cli::workers::{Owners, start};
use crate::host;
use crate::image::credentials::Accounts;
use crate::image::endpoints::endpoints;
use crate::image::job::{Job, Push};
use crate::image::limits::Limits;
use crate::image::registries::files as registries;
use crate::image::source::Source;
use crate::image::transport;
use crate::model::Reference;
use crate::profile::schema::MapKind;
use clap::Args;

/// Arguments of `push`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  sbx push registry.example/team/tool:1
      The image of that name
  sbx push tool registry.example/team/tool:1
      Under another name

Credentials are those of `podman login` and `docker login`. Blobs that the registry already has are not \
    sent again.")]
pub struct PushArgs {
    /// Image, by name or id
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Destination HOST[:PORT]/NAME[:TAG] [default: the image's name]
    #[arg(value_name = "DESTINATION")]
    destination: Option<String>,
    /// Print the digest only
    #[arg(short, long)]
    quiet: bool,
}

/// Pushes, and prints the digest of the image.
///
/// # Errors
/// When the image is not there, or the registry does not take it.
pub fn push(args: &PushArgs) -> Result<u8, Report> {
    let mut host = host::presumed().map_err(Report::sbx)?;
    let store = named::store()?;
    let found = named::find(&store, &args.image)?;
    let to = destination(args, found.name.as_deref())?;
    let about = |e: &dyn std::fmt::Display| Report::sbx(format!("push to {to}: {e}"));
    if to.digest().is_some_and(|digest| digest != found.image.manifest) {
        let own = found.image.manifest;
        return Err(about(&format!("the digest of the image is {own}")));
    }
    let _kept = store.use_image(&found.image.manifest).map_err(Report::sbx)?;
    let registries = registries::load(&lookup).map_err(|e| about(&e))?;
    let accounts = Accounts::new(&lookup, host.caller.uid);
    let places = endpoints(&to, &registries, &accounts, &lookup).map_err(|e| about(&e))?;
    // Mirrors come first: they are read from.
    let endpoint = places.into_iter().last();
    let job = Job::Push(Box::new(Push {
        manifest: found.image.manifest,
        media_type: found.image.media_type.clone(),
        tag: to.tag().map(str::to_owned),
        endpoint: endpoint.ok_or_else(|| about(&"no place to push to"))?,
        transport: transport::transport(&lookup).map_err(|e| about(&e))?,
        limits: Limits::default(),
    }));
    let owners = Owners::of(MapKind::Auto, None, &mut host)?;
    let store = open(&owners)?;
    let mut shown = Shown::new(args.quiet);
    let digest = start::work(&job, &store, &owners, &mut shown)
        .map_err(|report| report.about(format_args!("push to {to}")))?;
    out::data(digest)?;
    Ok(0)
}

/// A name with a host: what is pushed to the wrong place may be read there.
fn destination(args: &PushArgs, own: Option<&str>) -> Result<Reference, Report> {
    let text = args.destination.as_deref().or(own);
    let text = text.ok_or_else(|| {
        Report::usage(format!(
            "push {}: an id names no place: write where it goes, as in HOST/NAME:TAG",
            args.image.escape_debug()
        ))
    })?;
    let Source::Registry(named) = Source::named(text).map_err(Report::usage)? else {
        return Err(Report::usage(
            "an id is no destination: write HOST[:PORT]/NAME[:TAG]",
        ));
    };
    let to = named.reference();
    if to.is_short() {
        return Err(
            Report::usage(format!("push to {}: write the registry before it", named.text()))
                .hint(format!("for docker's, {to}")),
        );
    }
    Ok(to.clone())
}

//! `sbx rmi`: names and images go.

use super::named;
use crate::cli::out;
use crate::cli::report::Report;
use crate::cli::store::existing;
use crate::cli::table::size;
use crate::cli::workers::removal::{Remover, tell_left, waiting};
use crate::image::store::{Error, Freed, Image, Store, Wait};
use clap::Args;

/// Arguments of `rmi`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
A name is removed alone, and the image with its last name; an id removes the image with all its names. \
    An image that a running sandbox uses stays, and keeps its last name.

Exit codes: 0; 1 one of several could not be removed; 2 the command line is wrong; 125 sbx failed.

Examples:
  sbx rmi debian:12
      This name, and the image if it has no other
  sbx rmi -f 3f2a9c01b7de
      This image with all its names
  sbx rmi -f $(sbx images -q)
      All images that are not in use")]
pub struct RmiArgs {
    /// Remove an id with several names; ignore missing images
    #[arg(short, long)]
    force: bool,
    /// Names and ids
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

/// Removes each; one that stays does not keep the others.
///
/// # Errors
/// With what the last one says that is no image's name, or for which the store failed.
pub fn rmi(args: &RmiArgs) -> Result<u8, Report> {
    let mut remover = Remover::new()?;
    let mut failed: Option<Report> = None;
    let mut whole = true;
    for text in &args.images {
        match one(text, args.force, &mut remover) {
            Ok(all) => whole &= all,
            Err(report) => {
                if let Some(earlier) = failed.replace(report) {
                    out::words(earlier);
                }
            }
        }
    }
    failed.map_or(Ok(u8::from(!whole)), Err)
}

/// Whether everything of it could be removed; else why is said.
fn one(text: &str, force: bool, remover: &mut Remover) -> Result<bool, Report> {
    let found = match existing()? {
        Some(store) => named::look_up(&store, text)?.map(|found| (store, found)),
        None => None,
    };
    let stays = |report: Report| {
        out::words(report);
        Ok(false)
    };
    let Some((store, found)) = found else {
        return if force {
            Ok(true)
        } else {
            stays(named::absent(text))
        };
    };
    let (image, mut say) = (found.image, waiting());
    let mut remove = |kind: &_, entries: &[String]| remover.remove(&store, kind, entries);
    let freed = match &found.name {
        Some(name) => store.remove_name(name, Wait::Saying(&mut say), &mut remove),
        None if image.names.len() > 1 && !force => {
            let names = image.names.join(", ");
            return stays(Report::sbx(format!(
                "image {} has several names ({}): remove it by one of them, or all with -f",
                named::called(&image),
                names.escape_debug()
            )));
        }
        None => store.remove(&image.manifest, Wait::Saying(&mut say), &mut remove),
    };
    match freed {
        Ok(freed) => told(&freed, &image),
        Err(Error::InUse(_)) => stays(in_use(&store, &image)),
        // Another process was faster.
        Err(Error::NoSuchImage(_)) if force => Ok(true),
        Err(Error::NoSuchImage(_)) => stays(named::absent(text)),
        Err(error) => Err(Report::sbx(error)),
    }
}

fn told(freed: &Freed, image: &Image) -> Result<bool, Report> {
    for name in &freed.names {
        out::data(format_args!("untagged {}", out::escaped(name)))?;
    }
    if !freed.images.is_empty() {
        let id = image.id.unwrap_or(image.manifest).short();
        out::data(format_args!("removed {id}, {} freed", size(freed.bytes())))?;
    }
    Ok(tell_left(freed))
}

/// Says which sandboxes.
fn in_use(store: &Store, image: &Image) -> Report {
    let users = store.users(image).unwrap_or_default();
    let pids: Vec<String> = users.iter().map(ToString::to_string).collect();
    let by = match pids.as_slice() {
        [] => "a running sandbox".to_owned(),
        [one] => format!("the running sandbox of process {one}"),
        several => format!("the running sandboxes of processes {}", several.join(", ")),
    };
    Report::sbx(format!("image {} is in use by {by}", named::called(image))).hint("end it first")
}

//! An image of the store, by what the caller calls it.

use super::pull;
use crate::cli::report::Report;
use crate::cli::request::image;
use crate::cli::store::existing;
use crate::image::source::Source;
use crate::image::store::{Image, Store};

/// An image that is there.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) store: Store,
    pub(super) image: Image,
    /// The full name that it was found by, if it was.
    pub(super) name: Option<String>,
}

/// Finds an image by its name, its id or the beginning of that. Nothing is fetched.
///
/// # Errors
/// When the text is none, or no image is called so.
pub(super) fn stored(text: &str) -> Result<Stored, Report> {
    let absent = || {
        let shown: String = text.chars().take(200).collect();
        let shown = shown.escape_debug();
        Report::sbx(format!("image {shown}: not in the store")).hint(format!("sbx pull {shown}"))
    };
    let source = Source::named(text).map_err(Report::usage)?;
    let store = existing()?.ok_or_else(absent)?;
    let mut wanted = Vec::new();
    match &source {
        Source::Id(digest) => wanted.push((digest.to_string(), false)),
        Source::Registry(named) => {
            wanted.extend(named.id_prefix().map(|digits| (digits.to_owned(), false)));
            let names = pull::candidates(named)?;
            wanted.extend(names.iter().map(|name| (name.to_string(), true)));
            wanted.extend(image::local(named).map(|name| (name, true)));
        }
        _ => return Err(absent()),
    }
    for (wanted, named) in wanted {
        if let Some(image) = store.find(&wanted).map_err(Report::sbx)? {
            let name = named.then_some(wanted);
            return Ok(Stored { store, image, name });
        }
    }
    Err(absent())
}

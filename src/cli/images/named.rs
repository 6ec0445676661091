//! An image of the store by what was typed: as `run` understands it, but nothing is fetched.

use super::pull;
use crate::cli::report::Report;
use crate::cli::store::existing;
use crate::cli::table::cut;
use crate::image::source::{Named, Source};
use crate::image::store::{Image, Store};
use crate::model::reference::{Reference, shown};

/// An image that is there.
#[derive(Debug)]
pub(in crate::cli) struct Found {
    pub(in crate::cli) image: Image,
    /// The full name that it was found by; `None` when it was an id.
    pub(in crate::cli) name: Option<String>,
}

/// The store, which must be there.
///
/// # Errors
/// There is none, or it cannot be read.
pub(super) fn store() -> Result<Store, Report> {
    existing()?.ok_or_else(|| Report::sbx("no image has been pulled yet").hint("sbx pull NAME fetches one"))
}

/// Finds the image.
///
/// # Errors
/// The text is no name of an image, or nothing has it.
pub(super) fn find(store: &Store, text: &str) -> Result<Found, Report> {
    look_up(store, text)?.ok_or_else(|| absent(text))
}

/// What is said when nothing has a name.
pub(super) fn absent(text: &str) -> Report {
    Report::sbx(format!("image {}: not in the store", shown(text)))
        .hint("`sbx images` lists what is there, `sbx pull` fetches what is not")
}

/// Finds the image; `None` when nothing has the name.
///
/// # Errors
/// The text is no name of an image, or the beginning of several ids.
pub(super) fn look_up(store: &Store, text: &str) -> Result<Option<Found>, Report> {
    match Source::named(text).map_err(Report::usage)? {
        Source::Id(digest) => by_id(store, &digest.to_string()),
        Source::Registry(named) => by_name(store, &named),
        _ => Ok(None),
    }
}

fn by_id(store: &Store, digits: &str) -> Result<Option<Found>, Report> {
    let found = store.find(digits).map_err(Report::sbx)?;
    Ok(found.map(|image| Found { image, name: None }))
}

/// Ids first, as docker has it; then the names that it may mean, of which the last is one without a registry, as podman has it: that of
/// an image that was loaded or imported.
///
/// # Errors
/// As [`look_up`].
pub(in crate::cli) fn by_name(store: &Store, named: &Named) -> Result<Option<Found>, Report> {
    let by_id = named.id_prefix().map(|digits| by_id(store, digits)).transpose()?;
    if let Some(found) = by_id.flatten() {
        return Ok(Some(found));
    }
    let names = pull::candidates(named)?.into_iter().chain(local(named));
    for name in names.map(|name| name.to_string()) {
        if let Some(image) = store.find(&name).map_err(Report::sbx)? {
            let name = Some(name);
            return Ok(Some(Found { image, name }));
        }
    }
    Ok(None)
}

fn local(named: &Named) -> Option<Reference> {
    let short = named.reference().is_short();
    let local = short.then(|| format!("localhost/{}", named.text()).parse());
    local.and_then(Result::ok)
}

/// What messages call an image: by its first name, or by its id.
pub(super) fn called(image: &Image) -> String {
    match image.names.first() {
        Some(name) => name.escape_debug().to_string(),
        None => image.id.unwrap_or(image.manifest).short(),
    }
}

/// A name without its tag, and the tag, or the digest that it was pulled by. What is no full name was written by another program.
pub(super) fn name_and_tag(name: &str) -> (String, String) {
    match name.parse::<Reference>() {
        Ok(reference) if reference.to_string() == name => {
            let digest = reference.digest().map(|digest| format!("@{}", digest.short()));
            let tag = reference.tag().unwrap_or_default();
            let tag = format!("{tag}{}", digest.unwrap_or_default());
            (reference.name(), tag)
        }
        _ => (cut(name, 100), "-".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_two_parts() {
        let digest = crate::model::Digest::of(b"");
        for (name, expected) in [
            (
                "docker.io/library/debian:12",
                ("docker.io/library/debian", "12".to_owned()),
            ),
            ("a:5000/b:c", ("a:5000/b", "c".to_owned())),
            (
                &format!("q.io/a@{digest}"),
                ("q.io/a", format!("@{}", digest.short())),
            ),
            ("12", ("12", "-".to_owned())),
            ("a b", ("a b", "-".to_owned())),
        ] {
            assert_eq!(name_and_tag(name), (expected.0.to_owned(), expected.1), "{name}");
        }
    }
}

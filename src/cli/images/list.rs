//! `sbx images`: what is in the store.

use super::named;
use crate::cli::report::Report;
use crate::cli::store::existing;
use crate::cli::table::{size, table};
use crate::cli::{out, time};
use crate::image::store::Listed;
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Arguments of `images`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
SIZE is the size of an image on disk, packed and unpacked; SHARED is the part of it that other images \
    need too.

Examples:
  sbx images
      A line for each name
  sbx images -q
      Ids alone
  sbx images --json | jq -r '.[] | select(.names == []).id'
      Images that have lost their names")]
pub struct ImagesArgs {
    /// Print one JSON array, an object for each image: id, digest, names, created, platform, size, shared, unique, unpacked, damage
    #[arg(long, conflicts_with = "quiet")]
    json: bool,
    /// Print the ids only
    #[arg(short, long)]
    quiet: bool,
}

/// Lists.
///
/// # Errors
/// When the store cannot be read.
pub fn images(args: &ImagesArgs) -> Result<u8, Report> {
    let listed = match existing()? {
        Some(store) => store.images().map_err(Report::sbx)?,
        None => Vec::new(),
    };
    if args.json {
        let all: Vec<Value> = listed.iter().map(as_json).collect();
        out::data(out::json(&all)?)?;
    } else if args.quiet {
        let mut seen = BTreeSet::new();
        for id in listed.iter().map(short_id).filter(|id| seen.insert(id.clone())) {
            out::data(id)?;
        }
    } else {
        out::data(for_people(&listed))?;
        for (one, why) in listed.iter().filter_map(|one| Some((one, one.damage.as_ref()?))) {
            let called = named::called(&one.image);
            out::words(format_args!("sbx: image {called} is damaged: {why}"));
        }
    }
    Ok(0)
}

fn short_id(one: &Listed) -> String {
    one.image.id.unwrap_or(one.image.manifest).short()
}

fn for_people(listed: &[Listed]) -> String {
    let now = time::now();
    let mut rows = Vec::new();
    for one in listed {
        let mut names: Vec<_> = one
            .image
            .names
            .iter()
            .map(|name| named::name_and_tag(name))
            .collect();
        if names.is_empty() {
            names.push(("-".to_owned(), "-".to_owned()));
        }
        let created = one.created.as_deref().map(|time| time::ago(time, now));
        for (name, tag) in names {
            rows.push(vec![
                name,
                tag,
                short_id(one),
                created.clone().unwrap_or_else(|| "-".to_owned()),
                size(one.unique + one.shared),
                size(one.shared),
            ]);
        }
    }
    // Those without a name last.
    rows.sort_by(|a, b| {
        let key = |row: &[String]| row.first().is_some_and(|name| name == "-");
        (key(a), a).cmp(&(key(b), b))
    });
    table(&["NAME", "TAG", "ID", "CREATED", "SIZE", "SHARED"], &rows)
}

fn as_json(one: &Listed) -> Value {
    json!({
        "id": one.image.id,
        "digest": one.image.manifest,
        "names": one.image.names,
        "created": one.created,
        "platform": one.image.platform.as_ref().map(ToString::to_string),
        "size": one.unique + one.shared,
        "shared": one.shared,
        "unique": one.unique,
        "unpacked": one.unpacked,
        "damage": one.damage,
    })
}

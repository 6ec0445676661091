//! `sbx prune`: everything that no image needs.

use crate::cli::out;
use crate::cli::report::Report;
use crate::cli::store::existing;
use crate::cli::table::size;
use crate::cli::workers::removal::{Remover, tell_left, waiting};
use crate::image::store::{Freed, Part, Wait};
use clap::Args;

/// Arguments of `prune`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Removes images that have lost their names, packed and unpacked layers that no image needs, and the \
    remains of interrupted pulls. An image that a running sandbox uses always stays.

Examples:
  sbx prune
      Images without a name
  sbx prune -a
      Every image that is not in use
  sbx prune -a --dry-run
      What that would remove, and how much it would free")]
pub struct PruneArgs {
    /// Remove images with names, too
    #[arg(short, long)]
    all: bool,
    /// Print what would be removed, without removing it
    #[arg(long)]
    dry_run: bool,
}

/// Removes, and says what.
///
/// # Errors
/// When the store cannot be read; when an image that stays cannot be read, since nobody knows what it needs.
pub fn prune(args: &PruneArgs) -> Result<u8, Report> {
    let mut remover = Remover::new()?;
    let Some(store) = existing()? else {
        out::data(sum(&Freed::default(), args.dry_run))?;
        return Ok(0);
    };
    let mut say = waiting();
    let mut remove = |kind: &_, entries: &[String]| remover.remove(&store, kind, entries);
    let freed = store.prune(args.all, args.dry_run, Wait::Saying(&mut say), &mut remove);
    let freed = freed.map_err(|error| {
        Report::sbx(format!("nothing was removed: {error}"))
            .hint("`sbx verify` finds images that are damaged, `sbx rmi` removes them")
    })?;
    for digest in &freed.used {
        out::words(format_args!(
            "sbx: image {} stays: a running sandbox uses it",
            digest.short()
        ));
    }
    out::data(lines(&freed, args.dry_run).join("\n"))?;
    Ok(u8::from(!tell_left(&freed)))
}

fn lines(freed: &Freed, dry_run: bool) -> Vec<String> {
    let names = freed
        .names
        .iter()
        .map(|name| format!("name      {}", out::escaped(name)));
    let images = freed
        .images
        .iter()
        .map(|image| format!("image     {}", image.short()));
    let parts = freed.parts.iter().map(|(part, bytes)| part_line(part, *bytes));
    names
        .chain(images)
        .chain(parts)
        .chain([sum(freed, dry_run)])
        .collect()
}

fn part_line(part: &Part, bytes: u64) -> String {
    let size = size(bytes);
    match part {
        Part::Blob(digest) => format!("blob      {}, {size}", digest.short()),
        Part::Partial(digest) => format!("partial   {}, {size}", digest.short()),
        Part::Spool => format!("spool     {size}"),
        Part::Layer(kind, digest) => format!("layer     {} for {kind}, {size}", digest.short()),
        Part::Copy(kind) => format!("copy      of a run that was killed, for {kind}, {size}"),
        Part::Unfinished(kind, digest) => format!("remains   {} for {kind}, {size}", digest.short()),
    }
}

fn sum(freed: &Freed, dry_run: bool) -> String {
    let verb = if dry_run { "would free" } else { "freed" };
    format!("{verb} {}", size(freed.bytes()))
}

//! `sbx verify`: whether everything in the store is what it is said to be.

use crate::cli::out;
use crate::cli::report::Report;
use crate::cli::store::existing;
use crate::cli::table::size;
use crate::image::store::{Finding, Store};
use clap::Args;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How often it is told how far it is.
const EVERY: Duration = Duration::from_millis(200);

/// Arguments of `verify`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Hashes every blob again and looks for everything that an image needs. Layers that are not unpacked, and \
    files of other programs, are reported but are not damage.

Exit codes: 0 nothing is damaged; 1 something is damaged.

Examples:
  sbx verify
  sbx verify --json | jq '.findings[] | select(.damage)'
      The damage alone")]
pub struct VerifyArgs {
    /// Print one JSON object: damaged, findings (each kind, damage, text, and image, blob or path)
    #[arg(long)]
    json: bool,
}

/// Checks; 1 when something is damaged.
///
/// # Errors
/// When the store itself cannot be read.
pub fn verify(args: &VerifyArgs) -> Result<u8, Report> {
    let findings = match existing()? {
        Some(store) => check(&store)?,
        None => Vec::new(),
    };
    let damaged = findings.iter().any(Finding::is_damage);
    if args.json {
        let all: Vec<Value> = findings.iter().map(as_json).collect();
        out::data(out::json(&json!({ "damaged": damaged, "findings": all }))?)?;
    } else {
        for finding in &findings {
            let word = if finding.is_damage() { "damaged" } else { "note" };
            out::data(format_args!("{word}: {}", out::escaped(&finding.to_string())))?;
        }
        if !damaged {
            out::data("all images are intact")?;
        }
    }
    Ok(u8::from(damaged))
}

fn check(store: &Store) -> Result<Vec<Finding>, Report> {
    let mut last: Option<Instant> = None;
    let mut drawn = 0;
    let found = store.verify(&mut |_, done, all| {
        let due = last.is_none_or(|then| then.elapsed() >= EVERY) || done == all;
        if due && out::on_terminal() {
            last = Some(Instant::now());
            let share = (done * 100).checked_div(all).unwrap_or(100);
            out::redraw(drawn, &[format!("checked {share:>3}% of {}", size(all))]);
            drawn = 1;
        }
    });
    found.map_err(Report::sbx)
}

fn as_json(finding: &Finding) -> Value {
    let mut value = match finding {
        Finding::Changed { blob, found } => json!({ "kind": "changed", "blob": blob, "found": found }),
        Finding::Unreadable { blob, .. } => json!({ "kind": "unreadable", "blob": blob }),
        Finding::Image { image, .. } => json!({ "kind": "image", "image": image }),
        Finding::Missing { image, blob } => json!({ "kind": "missing", "image": image, "blob": blob }),
        Finding::Size { image, blob, .. } => json!({ "kind": "size", "image": image, "blob": blob }),
        Finding::NotUnpacked { image, .. } => json!({ "kind": "not-unpacked", "image": image }),
        Finding::Layer { path, .. } => json!({ "kind": "layer", "path": path.display().to_string() }),
        Finding::Unknown(path) => json!({ "kind": "unknown", "path": path.display().to_string() }),
    };
    if let Value::Object(all) = &mut value {
        all.insert("damage".to_owned(), finding.is_damage().into());
        all.insert("text".to_owned(), finding.to_string().into());
    }
    value
}

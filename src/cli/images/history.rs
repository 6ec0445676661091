//! `sbx history`: how an image was made.

use super::named;
use crate::cli::report::Report;
use crate::cli::table::{cut, size, table};
use crate::cli::{out, time};
use crate::image::document::{Config, Manifest};
use clap::Args;
use serde_json::{Value, json};

/// What of a command is shown to people.
const WIDTH: usize = 80;

/// Arguments of `history`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
The newest step comes first. PACKED is the size of the step's layer in a registry; a step without a \
    layer has none.

Examples:
  sbx history debian:12
  sbx history --json debian:12 | jq -r '.[].created_by'
      Whole commands")]
pub struct HistoryArgs {
    /// Image, by name or id
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Print one JSON array, an object for each step: created, created_by, comment, layer, size
    #[arg(long)]
    json: bool,
}

/// A step, and its layer.
#[derive(Debug, Default, PartialEq, Eq)]
struct Step {
    created: Option<String>,
    by: Option<String>,
    comment: Option<String>,
    /// Its digest and its packed size.
    layer: Option<(String, u64)>,
}

/// Prints the steps.
///
/// # Errors
/// When the image is not there or cannot be read.
pub fn history(args: &HistoryArgs) -> Result<u8, Report> {
    let store = named::store()?;
    let image = named::find(&store, &args.image)?.image;
    let (manifest, config, _) = store
        .load(&image.manifest)
        .map_err(|e| Report::sbx(format!("image {}: {e}", named::called(&image))))?;
    let steps = steps(&manifest, &config);
    if args.json {
        out::data(out::json(&steps.iter().map(as_json).collect::<Vec<_>>())?)?;
    } else {
        out::data(for_people(&steps))?;
    }
    Ok(0)
}

/// The newest first. Steps and layers are matched from below; a history need not tell of every layer, nor a layer be there for each.
fn steps(manifest: &Manifest, config: &Config) -> Vec<Step> {
    let mut layers = manifest
        .layers
        .iter()
        .map(|layer| (layer.descriptor.digest.to_string(), layer.descriptor.size));
    let mut steps: Vec<Step> = Vec::new();
    for told in &config.history {
        steps.push(Step {
            created: told.created.clone(),
            by: told.created_by.clone(),
            comment: told.comment.clone(),
            layer: if told.empty_layer { None } else { layers.next() },
        });
    }
    steps.extend(layers.map(|layer| Step {
        layer: Some(layer),
        ..Step::default()
    }));
    steps.reverse();
    steps
}

fn for_people(steps: &[Step]) -> String {
    let now = time::now();
    let text = |text: &Option<String>| match text.as_deref() {
        None | Some("") => "-".to_owned(),
        Some(text) => cut(&text.split_whitespace().collect::<Vec<_>>().join(" "), WIDTH),
    };
    let row = |step: &Step| {
        vec![
            step.created
                .as_deref()
                .map_or_else(|| "-".to_owned(), |time| time::ago(time, now)),
            step.layer
                .as_ref()
                .map_or_else(|| "-".to_owned(), |(_, bytes)| size(*bytes)),
            text(&step.by),
            text(&step.comment),
        ]
    };
    let rows: Vec<_> = steps.iter().map(row).collect();
    table(&["CREATED", "PACKED", "CREATED BY", "COMMENT"], &rows)
}

fn as_json(step: &Step) -> Value {
    json!({
        "created": step.created,
        "created_by": step.by,
        "comment": step.comment,
        "layer": step.layer.as_ref().map(|(digest, _)| digest),
        "size": step.layer.as_ref().map(|(_, size)| size),
    })
}

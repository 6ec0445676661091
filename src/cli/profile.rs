//! `sbx profile`: list, show, check, compare; the schema for editors.

use super::out;
use super::profiles::library;
use super::report::Report;
use crate::profile::words::{KEYS, Key};
use crate::profile::{Library, Profile, json_schema, portable, show};
use clap::{Args, Subcommand};
use serde_json::json;
use std::fmt::Write;
use std::path::PathBuf;

/// Arguments of `profile`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
A profile is looked up as a path (anything with a `/`, or that ends in .toml), then as \
    $XDG_CONFIG_HOME/sbx/profiles/NAME.toml (~/.config by default), then among the built-in ones.

Examples:
  sbx profile show strict
      The page itself, with its comments
  sbx profile show build --resolved --origin
      Every value, and the line that sets it
  sbx profile diff default ./mine.toml
      What mine.toml changes
  sbx profile check ci/*.toml
      Every fault, with its line
  sbx profile schema > sbx-profile.schema.json
      For editors")]
pub struct ProfileArgs {
    #[command(subcommand)]
    verb: ProfileVerb,
}

#[derive(Debug, Clone, Subcommand)]
enum ProfileVerb {
    /// List the available profiles
    List {
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Print a profile as written, or resolved
    Show {
        /// Name or path
        #[arg(value_name = "NAME|FILE", required = true)]
        profiles: Vec<String>,
        /// Everything it extends merged into it; several profiles are merged left to right
        #[arg(long)]
        resolved: bool,
        /// Say behind each value who sets it
        #[arg(long, requires = "resolved")]
        origin: bool,
    },
    /// Check files; exit code 1 when one has a fault
    Check {
        /// Files
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// Print the values in which two profiles differ; exit code 1 when they do
    Diff {
        /// The first
        #[arg(value_name = "A")]
        a: String,
        /// The second
        #[arg(value_name = "B")]
        b: String,
    },
    /// Print the JSON schema of a profile
    Schema,
}

/// Does what the arguments say.
///
/// # Errors
/// For profiles with faults.
pub fn profile(args: &ProfileArgs) -> Result<u8, Report> {
    let library = library(nix::unistd::geteuid().as_raw());
    let text = match &args.verb {
        ProfileVerb::List { json } => list(&library, *json)?,
        ProfileVerb::Show {
            profiles,
            resolved,
            origin,
        } => show(&library, profiles, *resolved, *origin)?,
        ProfileVerb::Check { files } => return check(&library, files),
        ProfileVerb::Diff { a, b } => return diff(&library, a, b),
        ProfileVerb::Schema => out::json(&json_schema::schema())?,
    };
    out::data(text.trim_end())?;
    Ok(0)
}

/// What is wrong with a profile is a usage error here, and exit code 2.
fn load(library: &Library, name: &str) -> Result<Profile, Report> {
    library.load(name).map_err(Report::usage)
}

fn list(library: &Library, as_json: bool) -> Result<String, Report> {
    let mut rows = Vec::new();
    for name in library.names() {
        let from = match &library.directory {
            Some(d) if d.join(format!("{name}.toml")).is_file() => out::escaped(&d.display().to_string()),
            _ => "built in".to_owned(),
        };
        // A profile with a fault is listed as such: leaving it out would hide the fault.
        let about = match library.load(&name) {
            Ok(profile) => profile.description.map(|d| d.value).unwrap_or_default(),
            // A fault of the whole file has no line.
            Err(fault) if fault.line == 0 => fault.message,
            Err(fault) => format!("line {}: {}", fault.line, fault.message),
        };
        rows.push((name, from, about));
    }
    if as_json {
        let rows: Vec<_> = rows
            .iter()
            .map(|(name, from, about)| json!({ "name": name, "from": from, "description": about }))
            .collect();
        return out::json(&rows);
    }
    let width = |column: fn(&(String, String, String)) -> &String| {
        rows.iter().map(|r| column(r).len()).max().unwrap_or(0)
    };
    let (names, places) = (width(|r| &r.0), width(|r| &r.1));
    Ok(rows.iter().fold(String::new(), |mut text, (name, from, about)| {
        let _ = writeln!(text, "{name:<names$}  {from:<places$}  {}", out::escaped(about));
        text
    }))
}

fn show(library: &Library, names: &[String], resolved: bool, origin: bool) -> Result<String, Report> {
    if resolved {
        let mut all = Profile::default();
        for name in names {
            all = all.merge(load(library, name)?);
        }
        return Ok(show::toml(&all, origin));
    }
    let mut text = String::new();
    for name in names {
        // Whoever edits it wants its faults told too.
        load(library, name)?;
        text.push_str(&library.source(name, None).map_err(Report::usage)?.text);
    }
    Ok(text)
}

fn check(library: &Library, files: &[PathBuf]) -> Result<u8, Report> {
    let mut faults = 0;
    for file in files {
        // A name without a slash is a file here all the same.
        let name = if file.components().count() == 1 {
            PathBuf::from(".").join(file)
        } else {
            file.clone()
        };
        let name = name.display().to_string();
        match library.load(&name) {
            Ok(_) => {
                let shown = out::escaped(&file.display().to_string());
                note_newer_syntax(library, &name, &shown)?;
                out::words(format_args!("{shown}: fine"));
            }
            Err(fault) => {
                faults += 1;
                out::words(fault);
            }
        }
    }
    Ok(if faults == 0 { 0 } else { 1 })
}

/// What other readers of TOML refuse, though sbx reads it.
fn note_newer_syntax(library: &Library, name: &str, shown: &str) -> Result<(), Report> {
    let source = library.source(name, None).map_err(Report::usage)?;
    for newer in portable::newer_syntax(&source.text) {
        let (line, column) = source.position(newer.span.start);
        out::words(format_args!("{shown}:{line}:{column}: note: {}", newer.words));
    }
    Ok(())
}

fn diff(library: &Library, a: &str, b: &str) -> Result<u8, Report> {
    let (left, right) = (
        show::entries(&load(library, a)?),
        show::entries(&load(library, b)?),
    );
    let find = |all: &[show::Entry], key: &Key| {
        all.iter()
            .find(|e| e.section == key.section && e.key == key.name)
            .map(|e| e.items.iter().map(|(text, _)| text.clone()).collect::<Vec<_>>())
            .unwrap_or_default()
    };
    let mut text = String::new();
    for key in KEYS {
        let (old, new) = (find(&left, key), find(&right, key));
        let dot = if key.section.is_empty() { "" } else { "." };
        let mut lines = |sign: char, side: &[String], other: &[String]| {
            for item in side.iter().filter(|item| !other.contains(item)) {
                let _ = writeln!(text, "{sign} {}{dot}{}: {item}", key.section, key.name);
            }
        };
        lines('-', &old, &new);
        lines('+', &new, &old);
    }
    if text.is_empty() {
        return Ok(0);
    }
    out::data(text.trim_end())?;
    Ok(1)
}

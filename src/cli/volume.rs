//! `sbx volume`: directories that outlive sandboxes.

use super::out;
use super::report::Report;
use super::request::volumes::open;
use super::table::table;
use super::time::moment;
use super::workers::{Owners, start};
use crate::host;
use crate::image::job::Job;
use crate::image::volume::{Error, Name, Removal, Volume, Volumes};
use crate::profile::schema::MapKind;
use clap::{Args, Subcommand};
use serde::Serialize;
use std::io::BufRead;

/// Arguments of `volume`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct VolumeArgs {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  sbx volume create data
  sbx run -v data:/var/lib/app IMAGE
      Made when missing; its first use copies the image's files there
  sbx volume ls
  sbx volume inspect data | jq -r '.[].Mountpoint'
  sbx volume rm data

Exit codes: 0; 1 one of several names failed; 2 the command line is wrong; 125 sbx failed.";

#[derive(Debug, Clone, Subcommand)]
enum Verb {
    /// Create a volume; an existing one is left as it is
    Create {
        /// Its name: letters, digits, `_`, `.` and `-`
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// List volumes
    #[command(visible_alias = "list")]
    Ls {
        /// Print one JSON array
        #[arg(long)]
        json: bool,
        /// Print names only
        #[arg(short, long, conflicts_with = "json")]
        quiet: bool,
    },
    /// Remove volumes with their contents
    #[command(visible_alias = "remove")]
    Rm {
        /// Their names
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
        /// A name that is not there is no failure
        #[arg(short, long)]
        force: bool,
    },
    /// Remove all volumes that no running sandbox uses
    Prune {
        /// Do not ask
        #[arg(short, long)]
        force: bool,
    },
    /// Print volumes as one JSON array
    Inspect {
        /// Their names
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
    },
}

/// With docker's and podman's keys.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Printed<'a> {
    name: &'a str,
    driver: &'static str,
    mountpoint: String,
    created_at: String,
    scope: &'static str,
    in_use: bool,
    never_used: bool,
}

/// Does what the arguments say.
///
/// # Errors
/// When a name is none, or the volumes cannot be read.
pub fn volume(args: &VolumeArgs) -> Result<u8, Report> {
    match &args.verb {
        Verb::Create { name } => {
            let name = named(name)?;
            open()?.create(&name).map_err(Report::sbx)?;
            print(name)
        }
        Verb::Ls { json, quiet } => ls(*json, *quiet),
        Verb::Rm { names, force } => rm(names, *force),
        Verb::Prune { force } => prune(*force),
        Verb::Inspect { names } => inspect(names),
    }
}

fn print(text: impl std::fmt::Display) -> Result<u8, Report> {
    out::data(text)?;
    Ok(0)
}

fn named(text: &str) -> Result<Name, Report> {
    text.parse().map_err(Report::usage)
}

fn printed(volume: &Volume) -> Printed<'_> {
    Printed {
        name: volume.name.as_str(),
        driver: "local",
        mountpoint: volume.data.to_string_lossy().into_owned(),
        created_at: moment(volume.created),
        scope: "local",
        in_use: volume.used,
        never_used: volume.fresh,
    }
}

fn json(volumes: &[Volume]) -> Result<u8, Report> {
    let all: Vec<Printed<'_>> = volumes.iter().map(printed).collect();
    print(out::json(&all)?)
}

fn ls(as_json: bool, quiet: bool) -> Result<u8, Report> {
    let all = open()?.all().map_err(Report::sbx)?;
    if as_json {
        return json(&all);
    }
    let name = |volume: &Volume| volume.name.to_string();
    if quiet {
        let names: Vec<String> = all.iter().map(name).collect();
        return match names.is_empty() {
            true => Ok(0),
            false => print(names.join("\n")),
        };
    }
    let row = |volume: &Volume| {
        let used = match (volume.used, volume.fresh) {
            (true, _) => "in use",
            (_, true) => "never",
            _ => "-",
        };
        vec![name(volume), moment(volume.created), used.to_owned()]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    print(table(&["NAME", "CREATED", "USE"], &rows))
}

fn inspect(names: &[String]) -> Result<u8, Report> {
    let volumes = open()?;
    let mut found = Vec::new();
    for text in names {
        let name = named(text)?;
        let volume = volumes.find(&name).map_err(Report::sbx)?;
        found.push(volume.ok_or_else(|| Report::sbx(Error::Absent(name)))?);
    }
    json(&found)
}

fn rm(names: &[String], force: bool) -> Result<u8, Report> {
    let names: Vec<Name> = names.iter().map(|text| named(text)).collect::<Result<_, _>>()?;
    let volumes = open()?;
    let mut failed = false;
    for name in &names {
        match remove(&volumes, name) {
            Ok(()) => {
                print(name)?;
            }
            Err(Failure::Volume(Error::Absent(_))) if force => {}
            Err(failure) => {
                out::words(failure.report());
                failed = true;
            }
        }
    }
    Ok(u8::from(failed))
}

fn prune(force: bool) -> Result<u8, Report> {
    let volumes = open()?;
    let unused = volumes.all().map_err(Report::sbx)?.into_iter();
    let mut names: Vec<Name> = unused.filter(|v| !v.used).map(|v| v.name).collect();
    if !force && !names.is_empty() && !agreed(&names)? {
        return Ok(0);
    }
    let left = volumes.left().map_err(Report::sbx)?;
    names.extend(left.into_iter().filter(|left| !volumes.has(left)));
    let mut failed = false;
    for name in &names {
        match remove(&volumes, name) {
            Ok(()) => {
                print(name)?;
            }
            // A sandbox has begun to use it meanwhile, or somebody else has removed it.
            Err(Failure::Volume(Error::Busy(_) | Error::Absent(_))) => {}
            Err(failure) => {
                out::words(failure.report());
                failed = true;
            }
        }
    }
    Ok(u8::from(failed))
}

/// A volume is there because it has a name, so "unused" says nothing about whether somebody wants it.
fn agreed(names: &[Name]) -> Result<bool, Report> {
    let list: Vec<&str> = names.iter().map(Name::as_str).collect();
    let input = std::io::stdin();
    if !std::io::IsTerminal::is_terminal(&input) || !out::on_terminal() {
        return Err(Report::usage(format!(
            "volume prune would remove {} with all that is in them",
            list.join(", ")
        ))
        .hint("add --force to do so"));
    }
    out::words(format_args!(
        "sbx: this removes {} with all that is in them; go on? [y/N]",
        list.join(", ")
    ));
    let mut line = String::new();
    let read = input.lock().read_line(&mut line);
    read.map_err(|e| Report::sbx(format!("standard input: {e}")))?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

/// Why a volume is still there.
enum Failure {
    Volume(Error),
    Other(Report),
}

impl Failure {
    fn report(self) -> Report {
        match self {
            Self::Volume(error) => Report::sbx(error),
            Self::Other(report) => report,
        }
    }
}

fn remove(volumes: &Volumes, name: &Name) -> Result<(), Failure> {
    let removal = volumes.take_away(name).map_err(Failure::Volume)?;
    if removal.finish().map_err(Failure::Volume)? {
        return Ok(());
    }
    by_worker(&removal, name).map_err(Failure::Other)
}

/// Files of the caller's sub-ids can be removed only by who is mapped to them.
fn by_worker(removal: &Removal, name: &Name) -> Result<(), Report> {
    let mut host = host::presumed().map_err(Report::sbx)?;
    let owners = Owners::of(MapKind::Auto, None, &mut host)?;
    start::on_volume(&Job::Empty, removal.path(), None, &owners)
        .map_err(|report| report.about(format_args!("volume `{name}`")))?;
    if removal.finish().map_err(Report::sbx)? {
        return Ok(());
    }
    Err(Report::sbx(format!(
        "volume `{name}`: files in it belong to ids that are not among your sub-ids any more"
    ))
    .hint(format!(
        "remove {} as root",
        out::escaped(&removal.path().to_string_lossy())
    )))
}

//! `sbx import`: a root file system, in a tar or a directory, as an image.

use super::change::change;
use super::unpack_args::{self, UnpackArgs};
use crate::cli::out;
use crate::cli::report::Report;
use crate::cli::store::open;
use crate::cli::workers::given::{Given, given, packed, shown};
use crate::cli::workers::progress::Shown;
use crate::cli::workers::start;
use crate::host;
use crate::image::archive::Owners as Packed;
use crate::image::descriptor::Platform;
use crate::image::job::{Import, Job, Terms};
use crate::image::source::Source;
use clap::Args;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// Arguments of `import`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  sbx import rootfs.tar.gz mine:1
      A tar, plain or packed by gzip or zstd
  sbx import -c 'CMD [\"/bin/bash\"]' rootfs/ mine
      A directory, and the default command
  mmdebstrap bookworm | sbx import - debian:mine

The same files make the same image. A name without a host gets localhost/ before it.")]
pub struct ImportArgs {
    /// Tar, directory, or - for standard input
    #[arg(value_name = "FILE|DIR|-")]
    from: PathBuf,
    /// Name of the image
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Dockerfile instruction to apply: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR
    #[arg(short, long, value_name = "CHANGE")]
    change: Vec<String>,
    /// Platform of the image: OS/ARCH[/VARIANT] [default: this machine]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    #[command(flatten)]
    unpack: UnpackArgs,
}

/// Imports, and prints the digest of the image.
///
/// # Errors
/// When anything of it breaks the rules for layers.
pub fn import(args: &ImportArgs) -> Result<u8, Report> {
    let mut host = host::presumed().map_err(Report::sbx)?;
    let platform = unpack_args::platform(args.platform.as_deref())?.unwrap_or_else(Platform::host);
    let config = config(&args.change, &platform)?;
    let limits = args.unpack.limits()?;
    let name = args.name.as_deref().map(name).transpose()?;
    let owners = args.unpack.owners(&mut host)?;
    let store = open(&owners)?;
    let about = |report: Report| report.about(shown(&args.from));
    let mut progress = Shown::new(args.unpack.quiet);
    let given = if args.from.is_dir() {
        let kept = host.caller.uid == 0;
        let owned = Packed {
            kept,
            kind: owners.kind,
        };
        let (spool, left_out) = packed(&args.from, &store, owned).map_err(about)?;
        if left_out.special > 0 {
            let (from, special) = (shown(&args.from), left_out.special);
            progress.note(&format!("{from}: {special} devices and sockets are left out"));
        }
        Given::Copied(spool)
    } else {
        given(&args.from, &store, &owners, &limits).map_err(about)?
    };
    let job = Job::Import(Box::new(Import {
        at: given.inside(),
        name,
        config,
        terms: Terms {
            platform,
            limits,
            kind: owners.kind,
        },
    }));
    let digest = start::work_with(&job, &store, &owners, given.mount(), &mut progress).map_err(about)?;
    out::data(digest)?;
    Ok(0)
}

/// A name without a host is nobody's but the caller's.
fn name(text: &str) -> Result<String, Report> {
    let Source::Registry(named) = Source::named(text).map_err(Report::usage)? else {
        return Err(Report::usage("an id cannot be the name of an image"));
    };
    let reference = named.reference();
    if reference.digest().is_some() {
        return Err(Report::usage(
            "the name of a new image has no digest: write NAME[:TAG]",
        ));
    }
    if !reference.is_short() {
        return Ok(reference.to_string());
    }
    let local = format!("localhost/{}", named.text()).parse::<crate::model::Reference>();
    local
        .map(|name| name.to_string())
        .map_err(|e| Report::usage(e.to_string()))
}

fn config(changes: &[String], platform: &Platform) -> Result<Map<String, Value>, Report> {
    let mut run = Map::new();
    for text in changes {
        let shown: String = text.chars().take(100).collect();
        change(&mut run, text)
            .map_err(|why| Report::usage(format!("--change `{}`: {why}", shown.escape_debug())))?;
    }
    let mut config = Map::new();
    config.insert("architecture".to_owned(), json!(platform.architecture));
    config.insert("os".to_owned(), json!(platform.os));
    if let Some(variant) = &platform.variant {
        config.insert("variant".to_owned(), json!(variant));
    }
    config.insert("config".to_owned(), Value::Object(run));
    // No time: the same files make the same image.
    config.insert("history".to_owned(), json!([{ "created_by": "sbx import" }]));
    Ok(config)
}

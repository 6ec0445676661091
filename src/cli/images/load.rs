//! `sbx load`, and the archives and layouts that `sbx run` takes.

use super::unpack_args::{self, UnpackArgs};
use crate::cli::out;
use crate::cli::report::Report;
use crate::cli::request::image::How;
use crate::cli::store::open;
use crate::cli::workers::given::{self, Given, given};
use crate::cli::workers::progress::Shown;
use crate::cli::workers::{Owners, start};
use crate::host;
use crate::image::archive::Form;
use crate::image::descriptor::Platform;
use crate::image::job::{Job, Load, Terms, Which};
use crate::image::limits::Limits;
use crate::image::source::Source;
use crate::model::Digest;
use clap::Args;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Arguments of `load`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  sbx load -i debian.tar
      An archive of docker, podman, skopeo or sbx, packed or not
  docker save debian:12 | sbx load
      The same through a pipe
  sbx load layout/
      An OCI image layout, as umoci and skopeo make it
  sbx load layout:tool
      The image `tool` of that layout alone

Prints the digest of each image and its names. Images without a name are loaded where all lack one, and \
    otherwise counted.")]
pub struct LoadArgs {
    /// Archive, or directory of an OCI layout; append :NAME to load one image of several; - for standard input
    #[arg(value_name = "FILE", default_value = "-", conflicts_with = "input")]
    file: PathBuf,
    /// The same as FILE, as in docker and podman
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Platform of a multi-platform image: OS/ARCH[/VARIANT] [default: this machine]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    #[command(flatten)]
    unpack: UnpackArgs,
}

/// Loads, and prints what has been loaded.
///
/// # Errors
/// When anything of it is not as it should be: nothing is loaded then.
pub fn load(args: &LoadArgs) -> Result<u8, Report> {
    let mut host = host::presumed().map_err(Report::sbx)?;
    let owners = args.unpack.owners(&mut host)?;
    let (file, which) = split(args.input.as_deref().unwrap_or(&args.file));
    let wanted = Wanted {
        at: file,
        form: None,
        which,
        named: true,
        platform: unpack_args::platform(args.platform.as_deref())?,
        limits: args.unpack.limits()?,
    };
    let mut progress = Shown::new(args.unpack.quiet);
    work(&wanted, &owners, &mut progress).map_err(|report| report.about(given::shown(file)))?;
    print(progress, args.unpack.quiet)
}

/// Prints the digest of each image that was loaded, and its names.
fn print(progress: Shown, quiet: bool) -> Result<u8, Report> {
    for (manifest, names) in progress.into_loaded() {
        let mut line = manifest.to_string();
        for name in names.iter().filter(|_| !quiet) {
            line.push(' ');
            line.push_str(&out::escaped(name));
        }
        out::data(line)?;
    }
    Ok(0)
}

/// A path, and the image that is named behind it. Colons belong to the path as far as there is such a file.
fn split(file: &Path) -> (&Path, Which) {
    let bytes = file.as_os_str().as_bytes();
    let there = |path: &Path| path.symlink_metadata().is_ok();
    if bytes == b"-" || there(file) {
        return (file, Which::All);
    }
    let colons = bytes.iter().enumerate().filter(|(_, byte)| **byte == b':');
    for (at, _) in colons {
        let (path, name) = (
            bytes.get(..at),
            bytes
                .get(at + 1..)
                .and_then(|name| std::str::from_utf8(name).ok()),
        );
        if let (Some(path), Some(name)) = (path, name)
            && there(Path::new(OsStr::from_bytes(path)))
            && !name.is_empty()
        {
            return (Path::new(OsStr::from_bytes(path)), Which::Named(name.to_owned()));
        }
    }
    (file, Which::All)
}

/// The images that are asked for.
struct Wanted<'a> {
    at: &'a Path,
    form: Option<Form>,
    which: Which,
    named: bool,
    platform: Option<Platform>,
    limits: Limits,
}

/// Loads the one image that `run` is given, under its digest alone; also says what it is called in messages.
///
/// # Errors
/// When it cannot be had.
pub(in crate::cli) fn one(source: &Source, how: &How<'_>) -> Result<(String, Digest), Report> {
    from_source(source, false, how, &mut Shown::new(how.quiet))
}

/// Loads the one image that `pull` is given, under the name that it has there, and prints its digest.
///
/// # Errors
/// When it cannot be had.
pub(super) fn pulled(source: &Source, how: &How<'_>) -> Result<Digest, Report> {
    from_source(source, true, how, &mut Shown::new(how.quiet)).map(|(_, digest)| digest)
}

fn from_source(
    source: &Source,
    named: bool,
    how: &How<'_>,
    progress: &mut Shown,
) -> Result<(String, Digest), Report> {
    let (word, form, at, name) = match source {
        Source::OciLayout { dir, tag } => ("oci", Form::Layout, dir, tag.clone()),
        Source::OciArchive { file, tag } => ("oci-archive", Form::OciArchive, file, tag.clone()),
        Source::DockerArchive { file, tag } => (
            "docker-archive",
            Form::DockerArchive,
            file,
            tag.as_ref().map(ToString::to_string),
        ),
        _ => return Err(Report::sbx("this is no archive of images")),
    };
    let mut shown = format!("{word}:{}", given::shown(at));
    if let Some(name) = &name {
        shown = format!("{shown}:{}", name.escape_debug());
    }
    let wanted = Wanted {
        at,
        form: Some(form),
        which: name.map_or(Which::Only, Which::Named),
        named,
        platform: how.platform.clone(),
        limits: how.limits.clone(),
    };
    let digest = work(&wanted, how.owners, progress);
    digest
        .map(|digest| (shown.clone(), digest))
        .map_err(|report| report.about(format_args!("image {shown}")))
}

fn work(wanted: &Wanted<'_>, owners: &Owners, shown: &mut Shown) -> Result<Digest, Report> {
    let store = open(owners)?;
    let given = given(wanted.at, &store, owners, &wanted.limits)?;
    let job = Job::Load(Box::new(Load {
        at: given.inside(),
        form: form(wanted, &given),
        which: wanted.which.clone(),
        named: wanted.named,
        terms: Terms {
            platform: wanted.platform.clone().unwrap_or_else(Platform::host),
            limits: wanted.limits.clone(),
            kind: owners.kind,
        },
    }));
    start::work_with(&job, &store, owners, given.mount(), shown)
}

/// A layout that the worker could not open comes as a tar of it.
fn form(wanted: &Wanted<'_>, given: &Given<'_>) -> Option<Form> {
    match given {
        Given::Copied(_) if wanted.form == Some(Form::Layout) && wanted.at.is_dir() => Some(Form::OciArchive),
        _ => wanted.form,
    }
}

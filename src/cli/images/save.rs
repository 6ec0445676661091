//! `sbx save`: images of the store as one file.

use super::named::{self, Found};
use crate::cli::report::Report;
use crate::image::archive::{self, Format, SaveError, Saved};
use crate::image::store::Store;
use crate::sys::named::{Place, Planted};
use clap::{Args, ValueEnum};
use std::fs::File;
use std::io::{BufWriter, IsTerminal};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// How the file is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Written {
    /// Tar of an OCI image layout
    #[default]
    OciArchive,
    /// Archive for `docker load`
    DockerArchive,
}

/// Arguments of `save`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  sbx save -o debian.tar debian:12
      Read by podman, skopeo and sbx
  sbx save --format docker-archive debian:12 | docker load
  sbx save -o both.tar debian:12 alpine:3
      Several images; shared layers are written once

The same images make the same bytes.")]
pub struct SaveArgs {
    /// Images, by name or id
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// Output file, renamed into place when complete [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Format of the file
    #[arg(long, value_enum, default_value = "oci-archive")]
    format: Written,
}

/// Saves.
///
/// # Errors
/// When an image is not there or damaged, or the file cannot be written.
pub fn save(args: &SaveArgs) -> Result<u8, Report> {
    let store = named::store()?;
    let (mut images, mut kept) = (Vec::<Saved>::new(), Vec::new());
    for text in &args.images {
        let found = named::find(&store, text)?;
        kept.push(store.use_image(&found.image.manifest).map_err(Report::sbx)?);
        add(&mut images, &found);
    }
    let format = match args.format {
        Written::OciArchive => Format::OciArchive,
        Written::DockerArchive => Format::DockerArchive,
    };
    match &args.output {
        Some(path) => to_file(path, &store, &images, format)?,
        None => {
            let out = std::io::stdout().as_fd().try_clone_to_owned();
            let out = File::from(out.map_err(|e| Report::sbx(format!("standard output: {e}")))?);
            write(out, "standard output", &store, &images, format)?;
        }
    }
    Ok(0)
}

fn add(images: &mut Vec<Saved>, found: &Found) {
    let manifest = found.image.manifest;
    let at = images.iter().position(|image| image.manifest == manifest);
    let at = at.unwrap_or_else(|| {
        images.push(Saved {
            manifest,
            media_type: found.image.media_type.clone(),
            names: Vec::new(),
        });
        images.len() - 1
    });
    if let Some(image) = images.get_mut(at) {
        let new = found.name.iter().filter(|name| !image.names.contains(name));
        let new: Vec<_> = new.cloned().collect();
        image.names.extend(new);
    }
}

fn write(to: File, name: &str, store: &Store, images: &[Saved], format: Format) -> Result<File, Report> {
    if to.is_terminal() {
        return Err(Report::usage(format!(
            "{name} is a terminal, and an archive is no text: write -o FILE, or use a pipe"
        )));
    }
    let failed = |e: SaveError| match e {
        SaveError::Store(e) => Report::sbx(e),
        SaveError::Write(e) => Report::sbx(format!("{name}: {e}")),
    };
    let written = archive::save(store, images, format, BufWriter::with_capacity(1 << 17, to));
    let written = written.map_err(failed)?.into_inner();
    written.map_err(|e| Report::sbx(format!("{name}: {}", e.error())))
}

/// A file that is there is replaced when the new one is whole; what is no regular file is written to.
fn to_file(path: &Path, store: &Store, images: &[Saved], format: Format) -> Result<(), Report> {
    let shown = path.display().to_string().escape_debug().to_string();
    let failed = |e: std::io::Error| Report::sbx(format!("{shown}: {e}"));
    let place = Place::find(path, &Planted::workdir()).map_err(failed)?;
    if place.is_special() {
        return write(place.open().map_err(failed)?, &shown, store, images, format).map(drop);
    }
    place
        .replace(|to| write(to, &shown, store, images, format).map_err(Unsaved::Report))
        .map_err(|why| match why {
            Unsaved::Report(report) => report,
            Unsaved::Io(e) => failed(e),
        })
}

/// Why an archive was not written.
enum Unsaved {
    Report(Report),
    Io(std::io::Error),
}

impl From<std::io::Error> for Unsaved {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

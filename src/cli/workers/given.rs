//! A file or a directory of the caller's, as the worker gets it: mounted where it can be, else copied into the store for as long as it
//! is read.

use super::Owners;
use crate::cli::report::Report;
use crate::image::archive;
use crate::image::job::{GIVEN, STORE};
use crate::image::limits::Limits;
use crate::image::store::{Spool, Store};
use crate::sys::named::{self, Planted};
use std::fs::File;
use std::io::{BufWriter, IsTerminal, Read, Write, stdin};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// How the worker gets it.
#[derive(Debug)]
pub(in crate::cli) enum Given<'a> {
    /// By a mount.
    Mounted(PathBuf),
    /// By a copy.
    Copied(Spool<'a>),
}

impl Given<'_> {
    /// Where the worker finds it.
    pub(in crate::cli) fn inside(&self) -> PathBuf {
        match self {
            Self::Mounted(_) => PathBuf::from(GIVEN),
            Self::Copied(spool) => Path::new(STORE).join(spool.within()),
        }
    }

    /// What is mounted for it.
    pub(in crate::cli) fn mount(&self) -> Option<&Path> {
        match self {
            Self::Mounted(path) => Some(path),
            Self::Copied(_) => None,
        }
    }
}

/// As messages name it.
pub(in crate::cli) fn shown(path: &Path) -> String {
    if path == Path::new("-") {
        return "standard input".to_owned();
    }
    let text = path.display().to_string();
    text.chars()
        .take(200)
        .collect::<String>()
        .escape_debug()
        .to_string()
}

/// Makes what a path names readable for the worker; `-` is standard input.
///
/// # Errors
/// When it is not there, or no tar; the message does not name it.
pub(in crate::cli) fn given<'a>(
    path: &Path,
    store: &'a Store,
    owners: &Owners,
    limits: &Limits,
) -> Result<Given<'a>, Report> {
    if path == Path::new("-") {
        if stdin().is_terminal() {
            return Err(Report::usage(
                "it is a terminal, and an archive is no text: name a file, or use a pipe",
            ));
        }
        let input = stdin().as_fd().try_clone_to_owned().map_err(Report::sbx)?;
        return copied(File::from(input), store, limits);
    }
    let real = named::real(path, &Planted::workdir()).map_err(Report::sbx)?;
    let metadata = real.metadata().map_err(Report::sbx)?;
    let colon = real.as_os_str().as_bytes().contains(&b':');
    if metadata.is_dir() {
        // The worker of root is another user.
        let foreign = owners.give_to.is_some() && !all_read(&real);
        return match foreign || colon {
            true => {
                let all = archive::Owners {
                    kept: false,
                    kind: owners.kind,
                };
                packed(&real, store, all).map(|(spool, _)| Given::Copied(spool))
            }
            false => Ok(Given::Mounted(real)),
        };
    }
    let foreign = owners.give_to.is_some() && metadata.permissions().mode() & 0o004 == 0;
    if metadata.is_file() && !foreign && !colon {
        return Ok(Given::Mounted(real));
    }
    copied(File::open(&real).map_err(Report::sbx)?, store, limits)
}

/// Whether everybody may read the files of a layout.
fn all_read(layout: &Path) -> bool {
    let blobs = layout.join("blobs/sha256");
    let listed = std::fs::read_dir(&blobs).into_iter().flatten().flatten();
    let files = [
        blobs.clone(),
        layout.to_owned(),
        layout.join("blobs"),
        layout.join("index.json"),
    ];
    files
        .into_iter()
        .chain(listed.map(|entry| entry.path()))
        .all(|path| {
            path.symlink_metadata().is_ok_and(|metadata| {
                let wanted = if metadata.is_dir() { 0o005 } else { 0o004 };
                metadata.permissions().mode() & wanted == wanted
            })
        })
}

/// A directory as a tar in the store, and what of it no tar takes.
///
/// # Errors
/// When something of it cannot be read, or there is no room.
pub(in crate::cli) fn packed<'a>(
    directory: &Path,
    store: &'a Store,
    owners: archive::Owners,
) -> Result<(Spool<'a>, archive::LeftOut), Report> {
    let directory = named::open(directory, &Planted::workdir()).map_err(Report::sbx)?;
    let spool = store.spool().map_err(Report::sbx)?;
    let to = BufWriter::with_capacity(1 << 17, spool.file());
    let (to, left_out) = archive::pack(&directory.into(), owners, to).map_err(Report::sbx)?;
    drop(to);
    Ok((spool, left_out))
}

fn copied<'a>(mut from: File, store: &'a Store, limits: &Limits) -> Result<Given<'a>, Report> {
    let mut head = Vec::new();
    let read = (&mut from).take(archive::HEAD).read_to_end(&mut head);
    read.map_err(Report::sbx)?;
    // Before anything is written: what is no tar at all may never end.
    archive::packing(&head).map_err(Report::sbx)?;
    let spool = store.spool().map_err(Report::sbx)?;
    let (mut to, limit) = (spool.file(), limits.image);
    to.write_all(&head).map_err(Report::sbx)?;
    let rest = std::io::copy(&mut from.take(limit.0), &mut to).map_err(Report::sbx)?;
    if rest >= limit.0 {
        return Err(Report::sbx(format!(
            "it has more than {limit}: --image-limit image=SIZE raises it"
        )));
    }
    Ok(Given::Copied(spool))
}

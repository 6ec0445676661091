//! Directories and files of volumes: made, synced and removed with the path in the message.

use super::Error;
use crate::image::remove::remove_tree;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

pub(super) fn made(path: &Path, mode: u32) -> Result<(), Error> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map_err(|e| Error::io("make", path, e)),
    }
}

pub(super) fn synced(path: &Path) -> Result<(), Error> {
    let sync = File::open(path).and_then(|directory| directory.sync_all());
    sync.map_err(|e| Error::io("sync", path, e))
}

pub(super) fn unlinked(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, e)),
        _ => Ok(()),
    }
}

/// Removes a directory with all that is in it. No link is followed.
pub(super) fn removed(path: &Path) -> Result<(), Error> {
    let failed = |e: nix::errno::Errno| Error::io("remove", path, e);
    let parent = path.parent().unwrap_or(Path::new("/"));
    let parent = File::open(parent).map_err(|e| Error::io("open", parent, e))?;
    remove_tree(parent.as_fd(), path.file_name().unwrap_or_default()).map_err(failed)
}

/// Whether nothing is in a directory. One that may not be listed belongs to an id of a sandbox, which has been there.
pub(super) fn is_empty(path: &Path) -> Result<bool, Error> {
    match fs::read_dir(path) {
        Ok(mut names) => Ok(names.next().is_none()),
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(false),
        Err(e) => Err(Error::io("list", path, e)),
    }
}

/// Whatever the umask took: ids of a sandbox must get through.
pub(super) fn open_mode(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    let set = fs::set_permissions(path, fs::Permissions::from_mode(0o755));
    set.map_err(|e| Error::io("change the mode of", path, e))
}

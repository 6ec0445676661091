//! The image store, as the command line finds it.

use super::report::Report;
use super::workers::Owners;
use crate::image::store::{self, Open, Store};
use crate::model::HostPath;
use std::ffi::OsString;
use std::path::PathBuf;

/// The caller's environment.
pub(super) fn lookup(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// Where the store is.
///
/// # Errors
/// Without a home.
pub(super) fn path() -> Result<PathBuf, Report> {
    store::default_path(&lookup).map_err(Report::sbx)
}

/// Reports why a place in the caller's home cannot be used.
pub(super) fn refused(error: impl std::fmt::Display) -> Report {
    let report = Report::sbx(error);
    let home = lookup("HOME").filter(|_| lookup("XDG_DATA_HOME").is_none_or(|data| data.is_empty()));
    match home.map(PathBuf::from).filter(|home| !home.is_dir()) {
        Some(home) => report.hint(format!(
            "HOME={} is not a directory: set it to yours, or set XDG_DATA_HOME=DIR",
            home.as_os_str().as_encoded_bytes().escape_ascii()
        )),
        None => report,
    }
}

/// Opens the store; `None` when there is none yet.
pub(super) fn existing() -> Result<Option<Store>, Report> {
    match Store::open(&path()?, Open::Existing) {
        Ok(store) => Ok(Some(store)),
        Err(store::Error::Absent(_)) => Ok(None),
        Err(error) => Err(refused(error)),
    }
}

/// Opens the store, and makes it when it is not there.
pub(super) fn open(owners: &Owners) -> Result<Store, Report> {
    let give_to = owners.give_to;
    let store = Store::open(&path()?, Open::Create { give_to }).map_err(refused)?;
    store.prepare(&owners.kind).map_err(Report::sbx)?;
    Ok(store)
}

/// The store's real path: no link may lie on the way when it is mounted.
pub(super) fn real(store: &Store) -> Result<HostPath, Report> {
    let path = store.path();
    let real = path.canonicalize();
    let real = real.map_err(|e| Report::sbx(format!("image store {}: {e}", path.display())))?;
    HostPath::new(real).map_err(Report::sbx)
}

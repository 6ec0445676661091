//! Images at the command line: where they are looked for, and the process that fetches them.

mod change;
mod conversation;
pub mod copy;
mod getent;
mod given;
pub mod history;
pub mod import;
pub mod inspect;
pub mod list;
pub mod load;
pub mod login;
mod named;
mod password;
mod progress;
pub mod prune;
pub mod pull;
pub mod push;
mod removal;
pub mod remove;
pub mod root;
pub mod save;
mod show;
mod start;
mod stored;
pub mod tag;
pub mod verify;

use super::report::Report;
use crate::host;
use crate::image::store::{self, Kind, Open, Store};
use crate::model::{Host, HostPath, IdMap};
use crate::plan;
use crate::profile::schema::MapKind;
use std::ffi::OsString;
use std::path::PathBuf;

/// The caller's environment.
fn lookup(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// Where the store is.
///
/// # Errors
/// Without a home.
pub(super) fn path() -> Result<PathBuf, Report> {
    let (data, home) = (lookup("XDG_DATA_HOME"), lookup("HOME"));
    store::default_path(data.as_deref(), home.as_deref()).map_err(Report::sbx)
}

/// Whose the files of unpacked images are, and how the worker that unpacks them is mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owners {
    kind: Kind,
    map: MapKind,
    /// Whom the store's directories belong to, where that is not the caller.
    give_to: Option<(u32, u32)>,
}

impl Owners {
    /// By the map that the sandbox is to have. Looks up what the host offers.
    pub(super) fn of(map: MapKind, host: &mut Host) -> Self {
        host.id_helpers = host::id_helpers(&host.caller);
        let maps = plan::image_maps(map, host);
        let first = |map: &IdMap| map.to_host(0);
        let as_root = host.caller.writes_maps;
        Self {
            kind: maps.as_ref().map_or(Kind::Single, kind),
            map: match (as_root, map, &maps) {
                (true, MapKind::HostRoot, _) => MapKind::HostRoot,
                (true, ..) => MapKind::Auto,
                (false, _, Some(_)) => MapKind::Range,
                (false, _, None) => MapKind::Caller,
            },
            give_to: maps
                .filter(|_| as_root)
                .and_then(|(uids, gids)| first(&uids).zip(first(&gids))),
        }
    }
}

/// The host's ids that belong to the ids of a map from 0 on. Of a user's own id and a range behind it, the range tells which it is.
fn kind((uids, gids): &(IdMap, IdMap)) -> Kind {
    let range = |map: &IdMap| map.0.last().map_or((0, 0), |range| (range.host, range.count));
    Kind::Mapped {
        uids: range(uids),
        gids: range(gids),
    }
}

/// Opens the store; `None` when there is none yet.
fn existing() -> Result<Option<Store>, Report> {
    match Store::open(&path()?, Open::Existing) {
        Ok(store) => Ok(Some(store)),
        Err(store::Error::Absent(_)) => Ok(None),
        Err(error) => Err(Report::sbx(error)),
    }
}

/// Opens the store, and makes it when it is not there.
fn open(owners: &Owners) -> Result<Store, Report> {
    let give_to = owners.give_to;
    let store = Store::open(&path()?, Open::Create { give_to }).map_err(Report::sbx)?;
    store.prepare(&owners.kind).map_err(Report::sbx)?;
    Ok(store)
}

/// The store's real path: no link may lie on the way when it is mounted.
fn real(store: &Store) -> Result<HostPath, Report> {
    let path = store.path();
    let real = path.canonicalize();
    let real = real.map_err(|e| Report::sbx(format!("image store {}: {e}", path.display())))?;
    HostPath::new(real).map_err(Report::sbx)
}

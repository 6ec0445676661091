//! Whose the files of unpacked images are.

use crate::cli::report::Report;
use crate::host;
use crate::image::store::Kind;
use crate::model::{Digest, Host, IdMap, Set};
use crate::plan;
use crate::policy::Userns;
use crate::profile::schema::MapKind;
use crate::profile::words::Word;

/// Whose the files of unpacked images are, and how the worker that unpacks them is mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Owners {
    pub(in crate::cli) kind: Kind,
    map: MapKind,
    /// In place of `map`.
    userns: Option<Userns>,
    /// Whom the store's directories belong to, where that is not the caller.
    pub(in crate::cli) give_to: Option<(u32, u32)>,
}

impl Owners {
    /// By the map that the sandbox is to have. Looks up what the host offers.
    ///
    /// # Errors
    /// For a map that cannot be had on this host.
    pub(in crate::cli) fn of(
        map: MapKind,
        userns: Option<&Set<Userns>>,
        host: &mut Host,
    ) -> Result<Self, Report> {
        host::look_for_id_helpers(host);
        let chosen = userns.map(|userns| &userns.value);
        let maps = plan::image_maps(map, chosen, host).map_err(|why| {
            let origin = userns.map_or(String::new(), |userns| format!(" ({})", userns.origin));
            Report::sbx(format!("the map of ids{origin}: {why}"))
        })?;
        let first = |map: &IdMap| map.to_host(0);
        let as_root = host.caller.writes_maps;
        // One that comes out as the usual range shares the layers that are unpacked for it.
        let usual = plan::image_maps(MapKind::Auto, None, host).ok().flatten();
        let chosen = chosen.filter(|_| maps.is_some() && maps != usual).cloned();
        Ok(Self {
            kind: match (&maps, &chosen) {
                (None, _) => Kind::Single,
                (Some(maps), None) => kind(maps),
                (Some((uids, gids)), Some(_)) => {
                    let lines = format!("{}\n{}", uids.lines(), gids.lines());
                    Kind::Chosen(Digest::of(lines.as_bytes()))
                }
            },
            map: match (as_root, map, &maps) {
                (true, MapKind::HostRoot, _) => MapKind::HostRoot,
                (true, ..) => MapKind::Auto,
                (false, _, Some(_)) => MapKind::Range,
                (false, _, None) => MapKind::Caller,
            },
            userns: chosen,
            give_to: maps
                .filter(|_| as_root)
                .and_then(|(uids, gids)| first(&uids).zip(first(&gids))),
        })
    }

    /// The flags that give a run of sbx's own the same map.
    pub(super) fn flags(&self) -> Vec<String> {
        match &self.userns {
            Some(userns) => userns.flags(),
            None => vec!["--map".into(), self.map.word().into()],
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

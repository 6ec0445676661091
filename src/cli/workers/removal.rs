//! Removing layers whose files belong to other ids than the caller's: the worker does it, mapped as they are.

use super::progress::Shown;
use super::{Owners, start};
use crate::cli::out;
use crate::cli::report::Report;
use crate::host;
use crate::image::job::{Job, Remove};
use crate::image::store::{Freed, Kind, Left, Store};
use crate::model::Host;
use crate::profile::schema::MapKind;
use std::collections::BTreeMap;

/// Removes directories of layers for the store.
pub(in crate::cli) struct Remover {
    host: Host,
}

impl Remover {
    pub(in crate::cli) fn new() -> Result<Self, Report> {
        let host = host::presumed().map_err(Report::sbx)?;
        Ok(Self { host })
    }

    /// By the worker, where this user can have such a map; otherwise by this process, as far as it may.
    pub(in crate::cli) fn remove(
        &mut self,
        store: &Store,
        kind: &Kind,
        entries: &[String],
    ) -> Result<(), String> {
        let maps = [MapKind::Auto, MapKind::HostRoot].map(|map| Owners::of(map, None, &mut self.host));
        let mut maps = maps.iter().flatten();
        // Whatever lines were chosen, they gave ids of the caller and its range; of root they did not, and root needs no map.
        let chosen = matches!(kind, Kind::Chosen(_)) && !self.host.caller.writes_maps;
        let by_worker = match maps.find(|owners| chosen || owners.kind == *kind) {
            Some(owners) => by_worker(store, owners, kind, entries),
            None => Err("their files belong to ids that you cannot have any more".to_owned()),
        };
        // Root may remove whatever there is; others what is theirs, if that is all.
        by_worker.or_else(|why| {
            let removed = store.remove_remains(kind, entries);
            removed.map_err(|e| format!("{why}; {e}"))
        })
    }
}

fn by_worker(store: &Store, owners: &Owners, kind: &Kind, entries: &[String]) -> Result<(), String> {
    let job = Job::Remove(Remove {
        // Not that of the map it works in, where lines were chosen.
        kind: *kind,
        entries: entries.to_vec(),
    });
    let done = start::task(&job, Some(store), owners, &mut Shown::new(true));
    done.map(drop).map_err(|report| report.message)
}

/// What is said when another process has to be waited for.
pub(in crate::cli) fn waiting() -> impl FnMut() {
    || out::words("sbx: waiting for another sbx, which pulls or removes images")
}

/// Says what could not be removed, and the command that would; whether there was nothing.
pub(in crate::cli) fn tell_left(freed: &Freed) -> bool {
    let mut kinds: BTreeMap<Kind, Vec<&Left>> = BTreeMap::new();
    for left in &freed.left {
        kinds.entry(left.kind).or_default().push(left);
    }
    for (kind, all) in &kinds {
        let why = all.first().map_or("", |left| left.why.as_str());
        let paths: Vec<String> = all
            .iter()
            .map(|left| quoted(&left.path.display().to_string()))
            .collect();
        let report = Report::sbx(format!(
            "{} unpacked layers for {kind} could not be removed: {}",
            all.len(),
            out::escaped(why)
        ));
        out::words(report.hint(format_args!("as root: rm -rf -- {}", paths.join(" "))));
    }
    kinds.is_empty()
}

/// As a shell reads it.
fn quoted(path: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-+".contains(&b);
    match path.bytes().all(plain) {
        true => path.to_owned(),
        false => format!("'{}'", path.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted() {
        for (path, expected) in [
            ("/a/.old-0", "/a/.old-0"),
            ("/a b", "'/a b'"),
            ("/a'; rm x", r"'/a'\''; rm x'"),
        ] {
            assert_eq!(quoted(path), expected);
        }
    }
}

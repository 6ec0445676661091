//! Profile text to [`Profile`], with the place of every value and a helpful line for every fault.

mod entries;
mod parsed;
mod value;

use super::diagnostic::{Error, Source};
use super::schema::Profile;
use super::words::{DEVICE, IO, KEYS, MOUNT, TMPFS};
use crate::model::{Protection, Set, meant};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use value::At;

/// What a text says: the profiles that it starts from, and its own values.
#[derive(Debug, Clone, Default)]
pub struct Parsed {
    /// `extends`
    pub extends: Vec<Set<String>>,
    /// Everything else.
    pub profile: Profile,
}

/// Reads a text.
///
/// # Errors
/// At the first fault, underlined.
pub fn read(source: &Source) -> Result<Parsed, Error> {
    let built_in = source.built_in.then(|| parsed::document(&source.name)).flatten();
    let parse = || DeTable::parse(&source.text).map(Spanned::into_inner);
    let document = built_in.map_or_else(parse, Ok).map_err(|e| {
        let whole = 0..source.text.len();
        source.fault(e.span().unwrap_or(whole), e.message().to_owned(), None)
    })?;
    let mut parsed = Parsed::default();
    for (name, value) in &document {
        let section: &str = name.get_ref();
        if let Some(key) = KEYS.iter().find(|k| k.section.is_empty() && k.name == section) {
            let at = At {
                source,
                section: "",
                key: key.name,
                value,
            };
            match key.name {
                "extends" => parsed.extends = at.texts_or_one()?,
                _ => parsed.profile.description = Some(at.text()?),
            }
            continue;
        }
        if section.is_empty() || !KEYS.iter().any(|k| k.section == section) {
            return Err(unknown(
                source,
                name.span(),
                "section or key",
                section,
                sections(),
            ));
        }
        let DeValue::Table(table) = value.get_ref() else {
            return Err(source.fault(
                value.span(),
                format!("`{section}` is a table"),
                Some(format!("write [{section}]")),
            ));
        };
        for (name, value) in table {
            let keys = || KEYS.iter().filter(|k| k.section == section);
            let Some(key) = keys().find(|k| k.name == name.get_ref().as_ref()) else {
                let known = keys().map(|k| k.name).collect();
                return Err(unknown(source, name.span(), "key", name.get_ref(), known));
            };
            put(
                &mut parsed.profile,
                &At {
                    source,
                    section: key.section,
                    key: key.name,
                    value,
                },
            )?;
        }
    }
    Ok(parsed)
}

fn sections() -> Vec<&'static str> {
    let mut all: Vec<&str> = KEYS
        .iter()
        .map(|k| if k.section.is_empty() { k.name } else { k.section })
        .collect();
    all.dedup();
    all
}

fn unknown(source: &Source, span: Range<usize>, what: &str, word: &str, known: Vec<&str>) -> Error {
    let near = meant(word, known.iter().copied())
        .map(|k| format!("did you mean `{k}`? "))
        .unwrap_or_default();
    let help = format!("{near}known here: {}", known.join(", "));
    source.fault(
        span,
        format!("unknown {what} `{}`", word.escape_debug()),
        Some(help),
    )
}

fn put(p: &mut Profile, at: &At<'_>) -> Result<(), Error> {
    match (at.section, at.key) {
        ("identity", "map") => p.identity.map = at.word()?,
        ("identity", "user") => p.identity.user = at.parsed()?,
        ("identity", "capabilities") => p.identity.capabilities = Some(at.capabilities()?),
        ("identity", _) => p.identity.root_capabilities = Some(at.capabilities()?),
        ("filesystem", _) => return put_filesystem(p, at),
        ("network", "mode") => p.network.mode = at.word()?,
        ("network", "allow") => p.network.allow = at.texts()?,
        ("network", _) => p.network.publish = at.texts()?,
        ("syscalls", "allow") => p.syscalls.allow = at.texts()?,
        ("syscalls", "deny") => p.syscalls.deny = at.text_map()?,
        ("syscalls", "guards") => p.syscalls.guards = at.texts()?,
        ("syscalls", _) => {
            let families = at.texts()?.into_iter().map(|s| s.value).collect();
            p.syscalls.socket_families = Some(at.set(families));
        }
        ("limits", _) => return put_limits(p, at),
        ("environment", "pass") => p.environment.pass = at.variables()?,
        ("environment", _) => p.environment.set = at.text_map()?,
        ("terminal", "files") => p.terminal.files = at.word()?,
        ("terminal", _) => p.terminal.mode = at.word()?,
        ("namespaces", "hostname") => p.namespaces.hostname = Some(at.text()?),
        ("namespaces", _) => p.namespaces.init = Some(at.set(at.bool()?)),
        _ => {
            let protection = Protection::ALL.into_iter().find(|x| x.key() == at.key);
            if let (Some(protection), Some(level)) = (protection, at.word()?) {
                p.enforcement.insert(protection, level);
            }
        }
    }
    Ok(())
}

fn put_filesystem(p: &mut Profile, at: &At<'_>) -> Result<(), Error> {
    let f = &mut p.filesystem;
    match at.key {
        "root" => f.root = at.word()?,
        "workdir" => f.workdir = at.word()?,
        "home" => f.home = at.word()?,
        "proc" => f.proc = at.word()?,
        "tmp" => f.tmp = at.size()?,
        "upper" => f.upper = at.word()?,
        "upper-size" => f.upper_size = at.size()?,
        "without-overlay" => f.without_overlay = at.word()?,
        "execute" => f.execute = at.word()?,
        "mounts" => f.mounts = at.tables(MOUNT, At::mount)?,
        "tmpfs" => f.tmpfs = at.tables(TMPFS, At::tmpfs)?,
        "devices" => f.devices = at.tables(DEVICE, At::device)?,
        _ => f.masked = at.list(|item| item.path())?,
    }
    Ok(())
}

fn put_limits(p: &mut Profile, at: &At<'_>) -> Result<(), Error> {
    let l = &mut p.limits;
    match at.key {
        "memory" => l.memory = at.size()?,
        "memory-high" => l.memory_high = at.size()?,
        "swap" => l.swap = at.parsed()?,
        "pids" => l.pids = Some(at.set(at.positive()?)),
        "cpu" => l.cpu = Some(at.set(at.processors()?)),
        "cpu-weight" => l.cpu_weight = Some(at.set(at.weight()?)),
        "processors" => l.processors = at.parsed()?,
        "io" => l.io = at.tables(IO, At::io)?,
        "time" => l.time = at.time()?,
        "output" => l.output = at.size()?,
        "open-files" => l.open_files = Some(at.set(at.positive()?)),
        "file-size" => l.file_size = at.parsed()?,
        "locked-memory" => l.locked_memory = at.parsed()?,
        _ => l.ulimits = at.ulimits()?,
    }
    Ok(())
}

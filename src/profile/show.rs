//! A profile back to TOML: for people, for `--origin`, for comparing, for the digest.

use super::schema::{Device, IoLimit, Maybe, Mount, MountMode, Profile, Tmpfs, Ulimit};
use super::words::{KEYS, Word};
use crate::model::{Bytes, Capability, InRoot, Origin, Set};
use std::collections::BTreeMap;
use std::fmt::Write;

/// One value of a profile, written as TOML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The table; empty for the top.
    pub section: &'static str,
    /// The key.
    pub key: &'static str,
    /// What belongs together stands in one entry: for a list its items, each with its origin.
    pub items: Vec<(String, Origin)>,
    /// How the items are put together.
    pub shape: Shape,
}

/// How the items of an entry are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One value.
    One,
    /// `[ … ]`
    List,
    /// `{ … }`
    Table,
}

/// Every value that a profile sets, in the order of the schema.
#[must_use]
pub fn entries(p: &Profile) -> Vec<Entry> {
    KEYS.iter()
        .filter(|k| k.name != "extends")
        .filter_map(|k| entry(p, k.section, k.name))
        .collect()
}

fn entry(p: &Profile, section: &'static str, key: &'static str) -> Option<Entry> {
    let (shape, items) = items(p, section, key)?;
    (!items.is_empty()).then_some(Entry {
        section,
        key,
        items,
        shape,
    })
}

type Items = (Shape, Vec<(String, Origin)>);

fn capabilities(of: &Maybe<Vec<Capability>>) -> Option<Items> {
    one(of, |c| list(c.iter().map(|c| quoted(&c.to_string()))))
}

fn items(p: &Profile, section: &str, key: &str) -> Option<Items> {
    match (section, key) {
        ("", _) => one(&p.description, |t| quoted(t)),
        ("identity", "map") => word(&p.identity.map),
        ("identity", "user") => one(&p.identity.user, |u| quoted(&String::from(u.clone()))),
        ("identity", "capabilities") => capabilities(&p.identity.capabilities),
        ("identity", _) => capabilities(&p.identity.root_capabilities),
        ("filesystem", _) => filesystem(p, key),
        ("network", "mode") => word(&p.network.mode),
        ("network", "allow") => many(&p.network.allow, |t| quoted(t)),
        ("network", _) => many(&p.network.publish, |t| quoted(t)),
        ("syscalls", "allow") => many(&p.syscalls.allow, |t| quoted(t)),
        ("syscalls", "deny") => table(&p.syscalls.deny, |t| quoted(t)),
        ("syscalls", "guards") => many(&p.syscalls.guards, |t| quoted(t)),
        ("syscalls", _) => one(&p.syscalls.socket_families, |f| list(f.iter().map(|f| quoted(f)))),
        ("limits", _) => limits(p, key),
        ("environment", "pass") => many(&p.environment.pass, |t| quoted(t)),
        ("environment", _) => table(&p.environment.set, |t| quoted(t)),
        ("terminal", "files") => word(&p.terminal.files),
        ("terminal", _) => word(&p.terminal.mode),
        ("namespaces", "hostname") => one(&p.namespaces.hostname, |t| quoted(t)),
        ("namespaces", _) => one(&p.namespaces.init, ToString::to_string),
        _ => {
            let (_, level) = p
                .enforcement
                .iter()
                .find(|(protection, _)| protection.key() == key)?;
            Some((
                Shape::One,
                vec![(quoted(level.value.word()), level.origin.clone())],
            ))
        }
    }
}

fn filesystem(p: &Profile, key: &str) -> Option<Items> {
    let f = &p.filesystem;
    match key {
        "root" => word(&f.root),
        "workdir" => word(&f.workdir),
        "home" => word(&f.home),
        "proc" => word(&f.proc),
        "upper" => word(&f.upper),
        "without-overlay" => word(&f.without_overlay),
        "execute" => word(&f.execute),
        "tmp" => one(&f.tmp, |b| quoted(&b.to_string())),
        "upper-size" => one(&f.upper_size, |b| quoted(&b.to_string())),
        "mounts" => many(&f.mounts, mount),
        "tmpfs" => many(&f.tmpfs, tmpfs),
        "devices" => many(&f.devices, device),
        _ => many(&f.masked, place),
    }
}

fn limits(p: &Profile, key: &str) -> Option<Items> {
    let l = &p.limits;
    match key {
        "memory" => one(&l.memory, |b| quoted(&b.to_string())),
        "memory-high" => one(&l.memory_high, |b| quoted(&b.to_string())),
        "swap" => one(&l.swap, |b| quoted(&b.to_string())),
        "pids" => one(&l.pids, ToString::to_string),
        "cpu" => one(&l.cpu, |n| quoted(&format!("{}.{:02}", n / 100, n % 100))),
        "cpu-weight" => one(&l.cpu_weight, ToString::to_string),
        "processors" => one(&l.processors, |list| quoted(&list.to_string())),
        "io" => many(&l.io, io),
        "time" => one(&l.time, |t| quoted(&t.to_string())),
        "output" => one(&l.output, |b| quoted(&b.to_string())),
        "open-files" => one(&l.open_files, ToString::to_string),
        "file-size" => one(&l.file_size, |b| quoted(&b.to_string())),
        "locked-memory" => one(&l.locked_memory, |b| quoted(&b.to_string())),
        _ => table(&l.ulimits, |u| quoted(&ulimit(*u))),
    }
}

fn one<T>(value: &Maybe<T>, write: impl Fn(&T) -> String) -> Option<Items> {
    value
        .as_ref()
        .map(|s| (Shape::One, vec![(write(&s.value), s.origin.clone())]))
}

fn word<T: Word>(value: &Maybe<T>) -> Option<Items> {
    one(value, |w| quoted(w.word()))
}

fn many<T>(values: &[Set<T>], write: impl Fn(&T) -> String) -> Option<Items> {
    Some((
        Shape::List,
        values
            .iter()
            .map(|s| (write(&s.value), s.origin.clone()))
            .collect(),
    ))
}

fn table<T>(values: &BTreeMap<String, Set<T>>, write: impl Fn(&T) -> String) -> Option<Items> {
    let line = |(name, s): (&String, &Set<T>)| {
        (
            format!("{} = {}", quoted(name), write(&s.value)),
            s.origin.clone(),
        )
    };
    Some((Shape::Table, values.iter().map(line).collect()))
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    let odd = |c: char| matches!(c, '"' | '\\') || c.is_control();
    let mut rest = text;
    while let Some((at, c)) = rest.char_indices().find(|(_, c)| odd(*c)) {
        let (plain, from) = rest.split_at(at);
        out.push_str(plain);
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
        }
        rest = from.get(c.len_utf8()..).unwrap_or_default();
    }
    out.push_str(rest);
    out.push('"');
    out
}

/// As it is, and not as messages show it: it is to be read again.
fn place(path: &InRoot) -> String {
    quoted(&path.as_path().to_string_lossy())
}

fn ulimit(u: Ulimit) -> String {
    let number = |n: u64| {
        if n == u64::MAX {
            "unlimited".to_owned()
        } else {
            n.to_string()
        }
    };
    if u.soft == u.hard {
        number(u.soft)
    } else {
        format!("{}:{}", number(u.soft), number(u.hard))
    }
}

fn fields(all: &[(&str, Option<String>)]) -> String {
    let written: Vec<String> = all
        .iter()
        .filter_map(|(k, v)| v.as_ref().map(|v| format!("{k} = {v}")))
        .collect();
    format!("{{ {} }}", written.join(", "))
}

fn mount(m: &Mount) -> String {
    fields(&[
        ("source", Some(quoted(&m.source))),
        ("target", m.target.as_deref().map(quoted)),
        (
            "mode",
            (m.mode != MountMode::ReadOnly).then(|| quoted(m.mode.word())),
        ),
        ("optional", m.optional.then(|| "true".to_owned())),
        ("execute", m.execute.map(|e| e.to_string())),
    ])
}

fn tmpfs(t: &Tmpfs) -> String {
    fields(&[
        ("target", Some(place(&t.target))),
        ("size", t.size.map(|s| quoted(&s.to_string()))),
        ("inodes", t.inodes.map(|n| n.to_string())),
        ("mode", t.mode.as_deref().map(quoted)),
        ("execute", t.execute.map(|e| e.to_string())),
    ])
}

fn io(limit: &IoLimit) -> String {
    let size = |bytes: Option<Bytes>| bytes.map(|b| quoted(&b.to_string()));
    fields(&[
        ("path", Some(quoted(&limit.path))),
        ("read-bps", size(limit.read_bps)),
        ("write-bps", size(limit.write_bps)),
        ("read-iops", limit.read_iops.map(|n| n.to_string())),
        ("write-iops", limit.write_iops.map(|n| n.to_string())),
    ])
}

fn device(d: &Device) -> String {
    fields(&[
        ("source", Some(quoted(&d.source))),
        ("target", d.target.as_ref().map(place)),
        ("optional", d.optional.then(|| "true".to_owned())),
    ])
}

impl Entry {
    /// The value as one piece of TOML.
    #[must_use]
    pub fn value(&self) -> String {
        let all = self
            .items
            .iter()
            .map(|(text, _)| text.as_str())
            .collect::<Vec<_>>()
            .join(", ");
        match self.shape {
            Shape::One => all,
            Shape::List => format!("[{all}]"),
            Shape::Table => format!("{{ {all} }}"),
        }
    }
}

/// The whole profile as TOML; with `origins`, each line says who set it.
#[must_use]
pub fn toml(p: &Profile, origins: bool) -> String {
    let mut out = String::with_capacity(4096);
    let mut section = "";
    for entry in entries(p) {
        if entry.section != section {
            section = entry.section;
            let gap = if out.is_empty() { "" } else { "\n" };
            let _ = writeln!(out, "{gap}[{section}]");
        }
        if !origins {
            let _ = writeln!(out, "{} = {}", entry.key, entry.value());
            continue;
        }
        match (entry.shape, entry.items.as_slice()) {
            (Shape::One, [(value, origin)]) => {
                let _ = writeln!(out, "{} = {value}  # {origin}", entry.key);
            }
            (shape, items) => {
                let (open, close) = if shape == Shape::List {
                    ('[', ']')
                } else {
                    ('{', '}')
                };
                let _ = writeln!(out, "{} = {open}", entry.key);
                for (value, origin) in items {
                    let _ = writeln!(out, "    {value},  # {origin}");
                }
                let _ = writeln!(out, "{close}");
            }
        }
    }
    out
}

/// SHA-256 of the profile's values, without where they came from.
#[must_use]
pub fn digest(p: &Profile) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(toml(p, false))
        .iter()
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

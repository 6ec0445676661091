//! `--mount`, key by key: docker's keys and their aliases, with commas between as in CSV.

use super::size;
use crate::model::unit::permissions;
use crate::model::{Bytes, meant};

const TYPES: [&str; 3] = ["bind", "tmpfs", "volume"];
/// Docker's keys, as far as they mean something here.
const KEYS: [&str; 7] = [
    "type",
    "source",
    "target",
    "readonly",
    "tmpfs-size",
    "tmpfs-mode",
    "bind-propagation",
];

/// One `--mount`, key by key.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) kind: String,
    pub(super) source: Option<String>,
    pub(super) target: Option<String>,
    pub(super) read_only: bool,
    pub(super) size: Option<Bytes>,
    pub(super) mode: Option<String>,
    propagation: bool,
}

impl Asked {
    /// Reads it.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut asked = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for field in fields(text)? {
            let (key, value) = match field.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (field.as_str(), None),
            };
            let key = match key {
                "src" => "source",
                "dst" | "destination" => "target",
                "ro" => "readonly",
                other => other,
            };
            let known = KEYS.iter().find(|known| **known == key);
            if let Some(known) = known {
                if seen.contains(known) {
                    return Err(format!("{known} is there twice: write it once"));
                }
                seen.push(known);
            }
            asked.put(key, value)?;
        }
        if asked.kind.is_empty() {
            // As docker has it.
            "volume".clone_into(&mut asked.kind);
        }
        asked.fits()?;
        Ok(asked)
    }

    fn put(&mut self, key: &str, value: Option<&str>) -> Result<(), String> {
        let with = || value.ok_or_else(|| format!("{key} has no value: write {key}=…"));
        match key {
            "type" => self.kind = kind(with()?)?,
            "source" => self.source = Some(with()?.to_owned()),
            "target" => self.target = Some(with()?.to_owned()),
            "readonly" => {
                self.read_only = match value {
                    None | Some("true" | "1") => true,
                    Some("false" | "0") => false,
                    Some(other) => {
                        return Err(format!(
                            "readonly `{}`: write readonly, or readonly=true or false",
                            other.escape_debug()
                        ));
                    }
                }
            }
            "tmpfs-size" => self.size = Some(size(with()?).map_err(|why| format!("tmpfs-size: {why}"))?),
            "tmpfs-mode" => {
                self.mode = Some(octal(with()?).map_err(|why| format!("tmpfs-mode {why}"))?);
            }
            "bind-propagation" => match with()? {
                "rprivate" => self.propagation = true,
                other => {
                    return Err(format!(
                        "bind-propagation `{}`: nothing that is mounted later goes in or out; leave it out or write rprivate",
                        other.escape_debug()
                    ));
                }
            },
            // What it changes are the caches of Docker Desktop's file sharing.
            "consistency" => {}
            other => return Err(refused(other)),
        }
        Ok(())
    }

    /// Keys that mean nothing for the type.
    fn fits(&self) -> Result<(), String> {
        let only = |key: &str, kind: &str| Err(format!("{key} is for type={kind}: leave it out"));
        if self.kind != "tmpfs" && self.size.is_some() {
            return only("tmpfs-size", "tmpfs");
        }
        if self.kind != "tmpfs" && self.mode.is_some() {
            return only("tmpfs-mode", "tmpfs");
        }
        if self.kind != "bind" && self.propagation {
            return only("bind-propagation", "bind");
        }
        if self.kind == "tmpfs" && self.source.is_some() {
            return Err("source: a tmpfs has none; leave it out".into());
        }
        if self.kind == "tmpfs" && self.read_only {
            return Err("readonly: an empty tmpfs that nobody can write is of no use; leave it out".into());
        }
        Ok(())
    }
}

fn kind(text: &str) -> Result<String, String> {
    if TYPES.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "type `{}`: write one of {}",
        text.escape_debug(),
        TYPES.join(", ")
    ))
}

/// Permission bits, without those of set-id.
pub(super) fn octal(text: &str) -> Result<String, String> {
    let wrong = || format!("`{}`: write octal digits up to 1777", text.escape_debug());
    permissions(text).map(|_| text.to_owned()).ok_or_else(wrong)
}

fn refused(key: &str) -> String {
    let shown = key.escape_debug();
    match key {
        "volume-nocopy" => {
            "volume-nocopy is not supported: a volume's first use copies what the image has there".into()
        }
        _ if key.starts_with("volume-") => {
            format!(
                "{shown} is not supported: a volume is a directory of yours, without drivers, labels or options"
            )
        }
        _ if key.starts_with("bind-") => {
            format!(
                "{shown} is not supported: a bind shows everything below its source, with the same rights"
            )
        }
        "" => "an empty key: write KEY=VALUE with commas between".into(),
        _ => match meant(key, KEYS) {
            Some(near) => format!("the key `{shown}` is not known; did you mean {near}?"),
            None => format!("the key `{shown}` is not known; write one of {}", KEYS.join(", ")),
        },
    }
}

/// Splits at commas as CSV does: a field may stand in double quotes, and a double quote in it is written twice.
fn fields(text: &str) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    let mut rest = text;
    loop {
        let mut field = String::new();
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted;
            loop {
                let end = rest.find('"').ok_or("a double quote is not closed")?;
                let (part, more) = (rest.get(..end).unwrap_or_default(), rest.get(end + 1..));
                field.push_str(part);
                rest = more.unwrap_or_default();
                match rest.strip_prefix('"') {
                    Some(more) => {
                        field.push('"');
                        rest = more;
                    }
                    None => break,
                }
            }
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            let (part, more) = rest.split_at(end);
            field.push_str(part);
            rest = more;
        }
        all.push(field);
        if rest.is_empty() {
            return Ok(all);
        }
        rest = rest
            .strip_prefix(',')
            .ok_or("a comma is missing behind a double quote")?;
    }
}

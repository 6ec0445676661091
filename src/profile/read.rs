//! Profile text to [`Profile`], with the place of every value and a helpful line for every fault.

use super::diagnostic::{Error, Source, nearest};
use super::schema::{Device, Maybe, Mount, MountMode, Profile, Tmpfs, Ulimit};
use super::words::{DEVICE, KEYS, MOUNT, TMPFS, Takes, Word};
use crate::model::{Bytes, Capability, InRoot, Protection, Set};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What a text says: the profiles that it starts from, and its own values.
#[derive(Debug, Clone, Default)]
pub struct Parsed {
    /// `extends`
    pub extends: Vec<Set<String>>,
    /// Everything else.
    pub profile: Profile,
}

type Value<'a> = Spanned<DeValue<'a>>;

/// Reads a text.
///
/// # Errors
/// At the first fault, underlined.
pub fn read(source: &Source) -> Result<Parsed, Error> {
    let document = DeTable::parse(&source.text).map_err(|e| {
        let whole = 0..source.text.len();
        source.fault(e.span().unwrap_or(whole), e.message().to_owned(), None)
    })?;
    let top = document.get_ref();
    let mut parsed = Parsed::default();
    for (name, value) in top {
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
        if !KEYS.iter().any(|k| k.section == section) {
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
            let known: Vec<&str> = KEYS
                .iter()
                .filter(|k| k.section == section)
                .map(|k| k.name)
                .collect();
            let Some(key) = KEYS
                .iter()
                .find(|k| k.section == section && k.name == name.get_ref().as_ref())
            else {
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
    let near = nearest(word, known.iter().copied())
        .map(|k| format!("did you mean `{k}`? "))
        .unwrap_or_default();
    let help = format!("{near}known here: {}", known.join(", "));
    source.fault(
        span,
        format!("unknown {what} `{}`", word.escape_debug()),
        Some(help),
    )
}

/// One value and the way to it.
struct At<'a> {
    source: &'a Source,
    section: &'static str,
    key: &'static str,
    value: &'a Value<'a>,
}

fn put(p: &mut Profile, at: &At<'_>) -> Result<(), Error> {
    match (at.section, at.key) {
        ("identity", "map") => p.identity.map = at.word()?,
        ("identity", "user") => p.identity.user = at.parsed()?,
        ("identity", "capabilities") => p.identity.capabilities = Some(at.capabilities()?),
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
        ("environment", "pass") => p.environment.pass = at.texts()?,
        ("environment", _) => p.environment.set = at.text_map()?,
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
        "tmp" => f.tmp = at.parsed()?,
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
        "memory" => l.memory = at.parsed()?,
        "pids" => l.pids = Some(at.set(at.number()?)),
        "cpu" => l.cpu = Some(at.set(at.processors()?)),
        "time" => l.time = at.parsed()?,
        "open-files" => l.open_files = Some(at.set(at.number()?)),
        "file-size" => l.file_size = at.parsed()?,
        "locked-memory" => l.locked_memory = at.parsed()?,
        _ => l.ulimits = at.ulimits()?,
    }
    Ok(())
}

impl<'a> At<'a> {
    fn fault(&self, message: impl Into<String>, help: impl Into<String>) -> Error {
        self.source.fault(self.value.span(), message, Some(help.into()))
    }

    fn wrong_type(&self, wanted: &str) -> Error {
        let got = self.value.get_ref().type_str();
        self.fault(
            format!("`{}` is not a {got}", self.key),
            format!("write {wanted}"),
        )
    }

    fn set<T>(&self, value: T) -> Set<T> {
        Set::new(value, self.source.origin(&self.value.span()))
    }

    fn str(&self, wanted: &str) -> Result<&'a str, Error> {
        let text = self
            .value
            .get_ref()
            .as_str()
            .ok_or_else(|| self.wrong_type(wanted))?;
        if text.contains('\0') {
            return Err(self.fault(
                format!("`{}` contains a NUL byte", self.key),
                "the kernel takes no NUL",
            ));
        }
        Ok(text)
    }

    fn text(&self) -> Result<Set<String>, Error> {
        Ok(self.set(self.str("a text in quotes")?.to_owned()))
    }

    fn word<T: Word>(&self) -> Result<Maybe<T>, Error> {
        let list = || {
            T::WORDS
                .iter()
                .map(|(w, _)| format!("\"{w}\""))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let text = self.str(&format!("one of {}", list()))?;
        let found = T::WORDS.iter().find(|(w, _)| *w == text).map(|(_, v)| *v);
        let value = found.ok_or_else(|| {
            let near =
                nearest(text, T::WORDS.iter().map(|(w, _)| *w)).map(|w| format!("did you mean \"{w}\"? "));
            let help = format!("{}it takes {}", near.unwrap_or_default(), list());
            self.fault(
                format!("`{}` does not take \"{}\"", self.key, text.escape_debug()),
                help,
            )
        })?;
        Ok(Some(self.set(value)))
    }

    fn parsed<T: FromStr>(&self) -> Result<Maybe<T>, Error>
    where
        T::Err: Display,
    {
        let text = self.str("a text in quotes, for example \"64M\", \"10m\" or \"1000:1000\"")?;
        let value = text
            .parse()
            .map_err(|e: T::Err| self.fault(format!("`{}` cannot be used", self.key), e.to_string()))?;
        Ok(Some(self.set(value)))
    }

    fn number(&self) -> Result<u64, Error> {
        let integer = self
            .value
            .get_ref()
            .as_integer()
            .ok_or_else(|| self.wrong_type("a whole number"))?;
        u64::from_str_radix(integer.as_str(), integer.radix()).map_err(|_| {
            self.fault(
                format!("`{}` is out of range", self.key),
                "write a whole number from 0 on",
            )
        })
    }

    fn bool(&self) -> Result<bool, Error> {
        self.value
            .get_ref()
            .as_bool()
            .ok_or_else(|| self.wrong_type("true or false"))
    }

    /// Hundredths of a processor, from `2`, `1.5` or `"1.5"`.
    fn processors(&self) -> Result<u64, Error> {
        let value = self.value.get_ref();
        let text = match (value.as_integer(), value.as_float(), value.as_str()) {
            (Some(integer), ..) => integer.as_str(),
            (_, Some(float), _) => float.as_str(),
            (.., Some(text)) => text,
            _ => return Err(self.wrong_type("a number of processors, for example 1.5")),
        };
        let bad = || {
            self.fault(
                "`cpu` cannot be used",
                "write a number of processors, for example 2 or 1.5",
            )
        };
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(part) {
            return Err(bad());
        }
        let hundredths: u64 = format!("{part:0<2}")
            .get(..2)
            .and_then(|p| p.parse().ok())
            .ok_or_else(bad)?;
        let whole: u64 = whole.parse().map_err(|_| bad())?;
        whole
            .checked_mul(100)
            .map(|w| w + hundredths)
            .filter(|n| *n > 0)
            .ok_or_else(bad)
    }

    fn list<T>(&self, each: impl Fn(&At<'a>) -> Result<T, Error>) -> Result<Vec<Set<T>>, Error> {
        let array = self
            .value
            .get_ref()
            .as_array()
            .ok_or_else(|| self.wrong_type("a list in [ ]"))?;
        let mut all = Vec::with_capacity(array.len());
        for value in array.iter() {
            let item = At {
                source: self.source,
                section: self.section,
                key: self.key,
                value,
            };
            all.push(item.set(each(&item)?));
        }
        Ok(all)
    }

    fn texts(&self) -> Result<Vec<Set<String>>, Error> {
        self.list(|item| Ok(item.str("texts in quotes")?.to_owned()))
    }

    fn texts_or_one(&self) -> Result<Vec<Set<String>>, Error> {
        if self.value.get_ref().is_str() {
            Ok(vec![self.text()?])
        } else {
            self.texts()
        }
    }

    fn capabilities(&self) -> Result<Set<Vec<Capability>>, Error> {
        let list = self.list(|item| {
            let capability: Capability = item.str("names of capabilities(7)")?.parse().map_err(
                |e: crate::model::capability::UnknownCapability| {
                    item.fault("unknown capability", e.to_string())
                },
            )?;
            if capability.undoes_the_sandbox() {
                return Err(item.fault(
                    format!("capability {capability} cannot be kept"),
                    "it would let the command undo the sandbox",
                ));
            }
            Ok(capability)
        })?;
        Ok(self.set(list.into_iter().map(|s| s.value).collect()))
    }

    fn path(&self) -> Result<InRoot, Error> {
        let text = self.str("an absolute path")?;
        InRoot::new(text).map_err(|e| self.fault(format!("`{}` cannot be used", self.key), e.to_string()))
    }

    fn map<T>(
        &self,
        each: impl Fn(&str, &At<'a>) -> Result<T, Error>,
    ) -> Result<BTreeMap<String, Set<T>>, Error> {
        let table = self
            .value
            .get_ref()
            .as_table()
            .ok_or_else(|| self.wrong_type("a table, { name = \"value\" }"))?;
        let mut all = BTreeMap::new();
        for (name, value) in table {
            let item = At {
                source: self.source,
                section: self.section,
                key: self.key,
                value,
            };
            all.insert(name.get_ref().to_string(), item.set(each(name.get_ref(), &item)?));
        }
        Ok(all)
    }

    fn text_map(&self) -> Result<BTreeMap<String, Set<String>>, Error> {
        let environment = self.section == "environment";
        self.map(|name, item| {
            if environment && (name.is_empty() || name.contains(['=', '\0'])) {
                return Err(item.fault(
                    "a variable's name cannot be empty or contain `=`",
                    "write NAME = \"value\"",
                ));
            }
            Ok(item.str("a text in quotes")?.to_owned())
        })
    }

    fn ulimits(&self) -> Result<BTreeMap<String, Set<Ulimit>>, Error> {
        self.map(|name, item| {
            let bad = || {
                item.fault(
                    format!("ulimit `{}` cannot be used", name.escape_debug()),
                    "write \"SOFT\" or \"SOFT:HARD\"",
                )
            };
            let text = item.str("\"SOFT\" or \"SOFT:HARD\"")?;
            let number = |n: &str| {
                if n == "unlimited" {
                    Ok(u64::MAX)
                } else {
                    n.parse().map_err(|_| bad())
                }
            };
            let (soft, hard) = text.split_once(':').unwrap_or((text, text));
            Ok(Ulimit {
                soft: number(soft)?,
                hard: number(hard)?,
            })
        })
    }

    /// A list of tables, each with keys of a closed list; a target that is named twice is a mistake.
    fn tables<T>(
        &self,
        keys: &'static [(&'static str, Takes)],
        each: impl Fn(&At<'a>, &Fields<'a>) -> Result<T, Error>,
    ) -> Result<Vec<Set<T>>, Error> {
        let list = self.list(|item| {
            let table = item
                .value
                .get_ref()
                .as_table()
                .ok_or_else(|| item.wrong_type("tables, { … }"))?;
            let mut fields = Vec::new();
            for (name, value) in table {
                let Some((key, _)) = keys.iter().find(|(k, _)| *k == name.get_ref().as_ref()) else {
                    let known = keys.iter().map(|(k, _)| *k).collect();
                    return Err(unknown(item.source, name.span(), "key", name.get_ref(), known));
                };
                fields.push(At {
                    source: item.source,
                    section: item.section,
                    key,
                    value,
                });
            }
            let fields = Fields(fields);
            Ok((fields.optional("target", At::str_value)?, each(item, &fields)?))
        })?;
        let mut seen: Vec<&str> = Vec::new();
        for (item, value) in list
            .iter()
            .zip(self.value.get_ref().as_array().into_iter().flatten())
        {
            if let Some(target) = &item.value.0 {
                if seen.contains(&target.as_str()) {
                    let message = format!(
                        "two entries of `{}` have the target {}",
                        self.key,
                        target.escape_debug()
                    );
                    return Err(self.source.fault(
                        value.span(),
                        message,
                        Some("each target can be mounted once".into()),
                    ));
                }
                seen.push(target);
            }
        }
        Ok(list.into_iter().map(|s| s.map(|(_, v)| v)).collect())
    }

    fn str_value(&self) -> Result<String, Error> {
        Ok(self.str("a text in quotes")?.to_owned())
    }

    fn mount(&self, fields: &Fields<'a>) -> Result<Mount, Error> {
        Ok(Mount {
            source: fields.needed(self, "source", At::str_value)?,
            target: fields.optional("target", |at| {
                let text = at.str("an absolute path, or ~/…")?;
                let rest = text.strip_prefix("~/").map(|r| format!("/{r}"));
                InRoot::new(rest.as_deref().unwrap_or(text))
                    .map_err(|e| at.fault("`target` cannot be used", e.to_string()))?;
                Ok(text.to_owned())
            })?,
            mode: fields
                .optional("mode", At::word)?
                .flatten()
                .map_or(MountMode::ReadOnly, |s| s.value),
            optional: fields.optional("optional", At::bool)?.unwrap_or(false),
            execute: fields.optional("execute", At::bool)?,
        })
    }

    fn tmpfs(&self, fields: &Fields<'a>) -> Result<Tmpfs, Error> {
        Ok(Tmpfs {
            target: fields.needed(self, "target", At::path)?,
            size: fields
                .optional("size", At::parsed::<Bytes>)?
                .flatten()
                .map(|s| s.value),
            mode: fields.optional("mode", At::str_value)?,
            execute: fields.optional("execute", At::bool)?,
        })
    }

    fn device(&self, fields: &Fields<'a>) -> Result<Device, Error> {
        Ok(Device {
            source: fields.needed(self, "source", At::str_value)?,
            target: fields.optional("target", At::path)?,
            optional: fields.optional("optional", At::bool)?.unwrap_or(false),
        })
    }
}

/// The fields of one entry of a list of tables.
struct Fields<'a>(Vec<At<'a>>);

impl<'a> Fields<'a> {
    fn optional<T>(&self, key: &str, read: impl Fn(&At<'a>) -> Result<T, Error>) -> Result<Option<T>, Error> {
        self.0.iter().find(|at| at.key == key).map(read).transpose()
    }

    fn needed<T>(
        &self,
        entry: &At<'a>,
        key: &str,
        read: impl Fn(&At<'a>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.optional(key, read)?.ok_or_else(|| {
            entry.fault(
                format!("an entry of `{}` has no `{key}`", entry.key),
                format!("write {key} = \"…\""),
            )
        })
    }
}

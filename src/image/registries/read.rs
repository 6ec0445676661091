//! One file in the format of registries.conf, version 2. Keys that we do not know are another program's.

use super::{Mirror, Mode, Namespace, Serves};
use crate::model::Reference;
use crate::model::reference::{parse_host, shown};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// What one file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct File {
    /// `unqualified-search-registries`
    pub search: Option<Vec<String>>,
    /// `short-name-mode`
    pub mode: Option<Mode>,
    /// `[aliases]`; `None` takes an alias of an earlier file away.
    pub aliases: BTreeMap<String, Option<String>>,
    /// `[[registry]]`, by prefix.
    pub namespaces: BTreeMap<String, Namespace>,
}

/// A fault of a file, with its line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: {what}", .file.as_os_str().as_encoded_bytes().escape_ascii())]
pub struct Fault {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub what: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Raw {
    unqualified_search_registries: Option<Vec<Spanned<String>>>,
    short_name_mode: Option<Spanned<String>>,
    #[serde(default)]
    aliases: BTreeMap<Spanned<String>, Spanned<String>>,
    #[serde(default)]
    registry: Vec<Spanned<RawRegistry>>,
    /// Only in version 1.
    registries: Option<Spanned<toml::Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawRegistry {
    prefix: Option<Spanned<String>>,
    location: Option<Spanned<String>>,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror_by_digest_only: bool,
    #[serde(default)]
    mirror: Vec<Spanned<RawMirror>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawMirror {
    location: Option<Spanned<String>>,
    #[serde(default)]
    insecure: bool,
    pull_from_mirror: Option<Spanned<String>>,
}

/// Why, and which bytes of the text say so.
type Wrong = (Range<usize>, String);

/// Reads a text.
///
/// # Errors
/// At the first fault.
pub fn read(file: &Path, text: &str) -> Result<File, Fault> {
    let fault = |(span, what): Wrong| Fault {
        file: file.to_owned(),
        line: 1 + text.bytes().take(span.start).filter(|b| *b == b'\n').count(),
        what,
    };
    let raw: Raw = toml::from_str(text).map_err(|e| {
        // Its own message may repeat a word of the file.
        let what = e.message().lines().collect::<Vec<_>>().join(" ");
        fault((e.span().unwrap_or(0..0), shown(&what).replace("\\\"", "\"")))
    })?;
    meaning(raw).map_err(fault)
}

fn meaning(raw: Raw) -> Result<File, Wrong> {
    if let Some(old) = raw.registries {
        // Passing over `[registries.block]` would open what is closed.
        let what = "[registries.…] is version 1 of the format, which is not supported: write `unqualified-search-registries` and [[registry]]";
        return Err((old.span(), what.to_owned()));
    }
    let mut file = File::default();
    if let Some(list) = raw.unqualified_search_registries {
        file.search = Some(list.iter().map(search).collect::<Result<_, _>>()?);
    }
    file.mode = raw.short_name_mode.map(|mode| self::mode(&mode)).transpose()?;
    for (name, value) in &raw.aliases {
        let (name, value) = alias(name, value)?;
        file.aliases.insert(name, value);
    }
    for table in raw.registry {
        let span = table.span();
        let (prefix, namespace) = registry(table)?;
        if file.namespaces.contains_key(&prefix) {
            let what = format!("[[registry]] `{prefix}` stands twice in this file: put both into one");
            return Err((span, what));
        }
        file.namespaces.insert(prefix, namespace);
    }
    Ok(file)
}

fn search(host: &Spanned<String>) -> Result<String, Wrong> {
    let text = host.get_ref();
    // `debian` on `myhost` would be docker's `myhost/debian` when it is read again.
    let telling = text.contains(['.', ':']) || text.eq_ignore_ascii_case("localhost");
    parse_host(text).filter(|_| telling).ok_or_else(|| {
        let what = format!("`{}` is no registry: write HOST.DOMAIN or HOST:PORT", shown(text));
        (host.span(), what)
    })
}

fn mode(mode: &Spanned<String>) -> Result<Mode, Wrong> {
    match mode.get_ref().as_str() {
        "enforcing" => Ok(Mode::Enforcing),
        "permissive" | "disabled" | "" => Ok(Mode::Permissive),
        other => {
            let what = format!(
                "short-name-mode `{}`: write enforcing, permissive or disabled",
                shown(other)
            );
            Err((mode.span(), what))
        }
    }
}

fn alias(name: &Spanned<String>, value: &Spanned<String>) -> Result<(String, Option<String>), Wrong> {
    let no_tag = |text: &str| !text.rsplit('/').next().unwrap_or(text).contains([':', '@']);
    let short = |text: &str| text.parse::<Reference>().is_ok_and(|r| r.is_short());
    if !no_tag(name.get_ref()) || !short(name.get_ref()) {
        let what = format!(
            "alias `{}`: an alias is a name without host, tag and digest",
            shown(name.get_ref())
        );
        return Err((name.span(), what));
    }
    let full = value.get_ref();
    if full.is_empty() {
        return Ok((name.get_ref().clone(), None));
    }
    match full.parse::<Reference>() {
        Ok(reference) if no_tag(full) && !reference.is_short() => {
            Ok((name.get_ref().clone(), Some(reference.name())))
        }
        Ok(_) => {
            let what = format!(
                "alias to `{}`: write a name with its host, without tag and digest",
                shown(full)
            );
            Err((value.span(), what))
        }
        Err(error) => Err((value.span(), error.to_string())),
    }
}

fn registry(table: Spanned<RawRegistry>) -> Result<(String, Namespace), Wrong> {
    let span = table.span();
    let table = table.into_inner();
    let location = table.location.filter(|l| !l.get_ref().is_empty());
    let prefix = table.prefix.filter(|p| !p.get_ref().is_empty());
    let location = location.as_ref().map(place).transpose()?;
    let prefix = match (prefix, &location) {
        (Some(prefix), _) => self::prefix(&prefix)?,
        (None, Some(location)) => location.clone(),
        (None, None) => {
            let what = "a [[registry]] needs `prefix` or `location`".to_owned();
            return Err((span, what));
        }
    };
    let mut mirrors = Vec::new();
    for mirror in table.mirror {
        mirrors.push(self::mirror(mirror, table.mirror_by_digest_only)?);
    }
    // A prefix that stands for itself: the same place.
    let location = location.filter(|location| *location != prefix);
    let namespace = Namespace {
        location,
        insecure: table.insecure,
        blocked: table.blocked,
        mirrors,
    };
    Ok((prefix, namespace))
}

fn prefix(prefix: &Spanned<String>) -> Result<String, Wrong> {
    let Some(domain) = prefix.get_ref().strip_prefix("*.") else {
        return place(prefix);
    };
    match parse_host(domain) {
        Some(host) if !domain.contains([':', '[']) => Ok(format!("*.{host}")),
        _ => {
            let what = format!(
                "prefix `{}`: a `*` stands before a domain alone: *.example.com",
                shown(prefix.get_ref())
            );
            Err((prefix.span(), what))
        }
    }
}

/// `HOST[:PORT][/PATH]`, with the host as it is compared.
fn place(text: &Spanned<String>) -> Result<String, Wrong> {
    let typed = text.get_ref();
    let wrong = |why: &str| (text.span(), format!("`{}`: {why}", shown(typed)));
    if typed.contains("://") {
        return Err(wrong(
            "write the host without http:// or https://; `insecure = true` allows http",
        ));
    }
    let trimmed = typed.trim_end_matches('/');
    let (host, path) = match trimmed.split_once('/') {
        Some((host, path)) => (host, Some(path)),
        None => (trimmed, None),
    };
    let host = parse_host(host).ok_or_else(|| wrong("write HOST[:PORT] or HOST[:PORT]/PATH"))?;
    let Some(path) = path else {
        return Ok(host);
    };
    if path.contains([':', '@']) {
        return Err(wrong(
            "a tag or a digest is not supported here: write the repository",
        ));
    }
    // With a host before it, nothing of the path is taken for one.
    match format!("a.b/{path}").parse::<Reference>() {
        Ok(_) => Ok(format!("{host}/{path}")),
        Err(_) => Err(wrong("write HOST[:PORT]/PATH, the path in lower case")),
    }
}

fn mirror(mirror: Spanned<RawMirror>, digests_only: bool) -> Result<Mirror, Wrong> {
    let span = mirror.span();
    let mirror = mirror.into_inner();
    let Some(location) = mirror.location.filter(|l| !l.get_ref().is_empty()) else {
        return Err((span, "a [[registry.mirror]] needs `location`".to_owned()));
    };
    let mut serves = if digests_only {
        Serves::Digests
    } else {
        Serves::All
    };
    if let Some(word) = mirror.pull_from_mirror.filter(|w| !w.get_ref().is_empty()) {
        let wrong = |what: &str| Err((word.span(), what.to_owned()));
        if digests_only {
            return wrong("pull-from-mirror cannot stand beside mirror-by-digest-only = true");
        }
        serves = match word.get_ref().as_str() {
            "all" => Serves::All,
            "digest-only" => Serves::Digests,
            "tag-only" => Serves::Tags,
            _ => return wrong("pull-from-mirror: write all, digest-only or tag-only"),
        };
    }
    Ok(Mirror {
        location: place(&location)?,
        insecure: mirror.insecure,
        serves,
    })
}

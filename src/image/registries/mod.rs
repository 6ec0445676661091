//! registries.conf: which registries a short name may mean, and where a registry is really spoken to (containers-registries.conf(5)).
//!
//! [`files`] finds the files, [`read`] reads one text; what they mean together is here.

pub mod files;
pub mod read;
#[cfg(test)]
mod tests;

use crate::model::Reference;
use crate::model::reference::{DOCKER, ReferenceError, shown};
use std::collections::BTreeMap;

/// Where docker.io is spoken to.
const DOCKER_HOST: &str = "registry-1.docker.io";

/// Everything that the files say together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registries {
    /// `unqualified-search-registries`; `None` when no file has it.
    pub search: Option<Vec<String>>,
    /// `short-name-mode`
    pub mode: Mode,
    /// `[aliases]`: short names and the names that they mean.
    pub aliases: BTreeMap<String, String>,
    /// `[[registry]]`, by prefix.
    pub namespaces: BTreeMap<String, Namespace>,
}

/// `short-name-mode`. Nobody is ever asked, so that there are two of three.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// `permissive` and `disabled`: every registry of the search list is tried.
    #[default]
    Permissive,
    /// `enforcing`: more than one is an error.
    Enforcing,
}

/// A `[[registry]]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespace {
    /// What stands in place of the prefix; `None` where names stay as they are.
    pub location: Option<String>,
    /// http, and any certificate.
    pub insecure: bool,
    /// Nothing may be pulled from here.
    pub blocked: bool,
    /// `[[registry.mirror]]`, in the order in which they are tried.
    pub mirrors: Vec<Mirror>,
}

/// A `[[registry.mirror]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// What stands in place of the prefix.
    pub location: String,
    /// http, and any certificate.
    pub insecure: bool,
    /// Which pulls it serves.
    pub serves: Serves,
}

/// `pull-from-mirror`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Serves {
    /// All.
    #[default]
    All,
    /// Those by digest: a mirror's tags may be old.
    Digests,
    /// Those by tag.
    Tags,
}

/// Where an image may be had: one of [`Registries::endpoints`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The registry by its name, which credentials and certificates are kept under: `docker.io`.
    pub registry: String,
    /// How it is spoken to: `registry-1.docker.io`.
    pub host: String,
    /// The repository there.
    pub repository: String,
    /// http when https does not answer, and any certificate.
    pub insecure: bool,
}

/// Why a name leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistriesError {
    /// `blocked = true`
    #[error("image {name}: registries.conf blocks `{prefix}`: nothing is pulled from there")]
    Blocked {
        /// The image.
        name: String,
        /// The prefix of the table that says so.
        prefix: String,
    },
    /// An empty search list.
    #[error(
        "image `{0}`: unqualified-search-registries is empty in registries.conf, so that a name must have its host: docker.io/{0}"
    )]
    NoSearch(String),
    /// `enforcing` with several registries.
    #[error(
        "image `{name}` may mean one of {list}: registries.conf has short-name-mode = \"enforcing\": write the name with its host"
    )]
    Ambiguous {
        /// The short name.
        name: String,
        /// What it may mean.
        list: String,
    },
    /// The name becomes none at that place.
    #[error("image `{name}` at {place} of registries.conf: {error}")]
    Name {
        /// The image.
        name: String,
        /// The registry, alias or location.
        place: String,
        /// Why.
        error: ReferenceError,
    },
}

impl Registries {
    /// Puts what a later file says over this.
    pub fn overlay(&mut self, later: read::File) {
        if later.search.is_some() {
            self.search = later.search;
        }
        if let Some(mode) = later.mode {
            self.mode = mode;
        }
        for (name, alias) in later.aliases {
            match alias {
                Some(alias) => self.aliases.insert(name, alias),
                None => self.aliases.remove(&name),
            };
        }
        self.namespaces.extend(later.namespaces);
    }

    /// The full names that a name may mean, in the order in which they are tried. A name with its host means itself.
    ///
    /// # Errors
    /// When a short name may mean none, or must mean one and may mean several.
    pub fn candidates(&self, name: &Reference) -> Result<Vec<Reference>, RegistriesError> {
        if !name.is_short() {
            return Ok(vec![name.clone()]);
        }
        let typed = name.typed_path();
        let renamed = |full: &str, place: &str| {
            name.renamed(full).map_err(|error| RegistriesError::Name {
                name: typed.to_owned(),
                place: format!("`{}`", shown(place)),
                error,
            })
        };
        if let Some(alias) = self.aliases.get(typed) {
            return Ok(vec![renamed(alias, alias)?]);
        }
        let default = [DOCKER.to_owned()];
        let search = self.search.as_deref().unwrap_or(&default);
        if search.is_empty() {
            return Err(RegistriesError::NoSearch(typed.to_owned()));
        }
        if self.mode == Mode::Enforcing && search.len() > 1 {
            return Err(RegistriesError::Ambiguous {
                name: typed.to_owned(),
                list: listed(search),
            });
        }
        let all = search
            .iter()
            .map(|host| renamed(&format!("{host}/{typed}"), host));
        all.collect()
    }

    /// Where an image is to be had: the mirrors of its `[[registry]]`, then the place itself.
    ///
    /// # Errors
    /// When it is blocked, or its name is none at one of the places.
    pub fn endpoints(&self, image: &Reference) -> Result<Vec<Location>, RegistriesError> {
        let name = image.name();
        let itself = |insecure| {
            let host = image.registry().to_owned();
            Location::new(host, image.repository().to_owned(), insecure)
        };
        let Some((prefix, table)) = self.table(image) else {
            return Ok(vec![itself(false)]);
        };
        if table.blocked {
            let (name, prefix) = (image.to_string(), prefix.to_owned());
            return Err(RegistriesError::Blocked { name, prefix });
        }
        let covered = match prefix.strip_prefix('*') {
            Some(_) => image.registry(),
            None => prefix,
        };
        let rest = name.strip_prefix(covered).unwrap_or_default();
        let by_digest = image.digest().is_some();
        let mut all = Vec::new();
        for mirror in &table.mirrors {
            if mirror.serves.takes(by_digest) {
                all.push(moved(&name, &mirror.location, rest, mirror.insecure)?);
            }
        }
        all.push(match &table.location {
            Some(location) => moved(&name, location, rest, table.insecure)?,
            None => itself(table.insecure),
        });
        Ok(all)
    }

    /// The table with the longest prefix of a name; one with a `*` only when there is no other.
    fn table(&self, image: &Reference) -> Option<(&str, &Namespace)> {
        let matching = |(prefix, _): &(&String, &Namespace)| covers(prefix, image);
        let rank = |prefix: &str| (!prefix.starts_with('*'), prefix.len());
        let found = self.namespaces.iter().filter(matching);
        found
            .max_by_key(|(prefix, _)| rank(prefix))
            .map(|(prefix, table)| (prefix.as_str(), table))
    }
}

impl Serves {
    fn takes(self, by_digest: bool) -> bool {
        match self {
            Self::All => true,
            Self::Digests => by_digest,
            Self::Tags => !by_digest,
        }
    }
}

impl Location {
    fn new(registry: String, repository: String, insecure: bool) -> Self {
        let host = if registry == DOCKER {
            DOCKER_HOST
        } else {
            &registry
        };
        Self {
            host: host.to_owned(),
            registry,
            repository,
            insecure,
        }
    }
}

/// Whether a prefix is of this image, part by part. `*.example.com` covers every port: to block a domain is to block all of it.
fn covers(prefix: &str, image: &Reference) -> bool {
    if let Some(domain) = prefix.strip_prefix('*') {
        let host = image.registry();
        let name = host.split_once(':').map_or(host, |(name, _)| name);
        return name.ends_with(domain);
    }
    let name = image.name();
    let rest = name.strip_prefix(prefix);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A location with what follows the prefix in a name.
fn moved(name: &str, location: &str, rest: &str, insecure: bool) -> Result<Location, RegistriesError> {
    let whole = format!("{location}{rest}");
    let (host, path) = whole.split_once('/').unwrap_or((&whole, ""));
    // What stands first in a location is always a host, even one without a dot, which no name of an image could have.
    let checked = format!("{DOCKER}/{path}").parse::<Reference>();
    let checked = checked.map_err(|error| RegistriesError::Name {
        name: name.to_owned(),
        place: format!("location `{}`", shown(location)),
        error,
    })?;
    let repository = if host == DOCKER {
        checked.repository()
    } else {
        path
    };
    Ok(Location::new(host.to_owned(), repository.to_owned(), insecure))
}

fn listed(words: &[String]) -> String {
    let few: Vec<_> = words.iter().take(5).map(String::as_str).collect();
    let more = if words.len() > few.len() { ", …" } else { "" };
    format!("{}{more}", few.join(", "))
}

//! The name of an image at a registry, as docker and podman write it.
//!
//! What is typed (`debian:12`) is completed here by docker's rules (`docker.io/library/debian:12`); whether the host was typed stays
//! known, since registries.conf(5) may complete a short name otherwise.

mod grammar;
#[cfg(test)]
mod tests;

use super::{Digest, digest::DigestError};
use grammar::{is_part, split_host};
pub use grammar::{is_tag, parse_host};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// The registry that a name without a host means.
pub const DOCKER: &str = "docker.io";
/// Where images of that registry without an owner lie.
const OFFICIAL: &str = "library/";
/// How long a name without tag and digest may be: distribution's limit, which registries keep.
const NAME: usize = 255;

/// `HOST[:PORT]/PATH[:TAG][@sha256:…]`, complete.
///
/// Two are equal when they mean the same, however they were typed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
    typed: Typed,
}

/// How much of the name was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Typed {
    /// Host and path.
    Full,
    /// The path.
    Path,
    /// The last part of the path: `library/` was put before it.
    Last,
}

/// Why a text is no name of an image. Each holds the text, escaped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing, or nothing but a tag.
    #[error("image name `{0}`: there is no repository in it: write [HOST[:PORT]/]NAME[:TAG][@sha256:…]")]
    Empty(String),
    /// Upper case.
    #[error("image name `{0}`: a repository is written in lower case: `{1}`")]
    Upper(String, String),
    /// A part of the path breaks the grammar.
    #[error(
        "image name `{0}`: `{1}` may hold a-z and 0-9, and between them one `.`, one or two `_`, or any number of `-`"
    )]
    Path(String, String),
    /// The part before the first slash is no host.
    #[error("image name `{0}`: `{1}` is no host: write NAME, NAME:PORT, ADDRESS:PORT or [IPV6]:PORT")]
    Host(String, String),
    /// The tag breaks the grammar.
    #[error(
        "image name `{0}`: the tag must have 1 to 128 of a-z, A-Z, 0-9, `_`, `.` and `-`, and not begin with `.` or `-`"
    )]
    Tag(String),
    /// The digest is none.
    #[error("image name `{0}`: {1}")]
    Digest(String, DigestError),
    /// Too long.
    #[error("image name `{0}`: host and path have {1} characters, at most 255 are allowed")]
    Long(String, usize),
    /// 64 hexadecimal digits.
    #[error("image name `{0}`: 64 hexadecimal digits are the id of an image and name none at a registry")]
    Id(String),
}

/// Text from outside as messages show it: escaped and not longer than a line.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(100).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown.escape_debug().to_string()
}

impl Reference {
    /// The host that the image is named after, with its port: `docker.io`.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path: `library/debian`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; `latest` when neither a tag nor a digest was typed.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Host and path, without tag and digest.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// Whether no host was typed, so that it is docker's by default alone.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.typed != Typed::Full
    }

    /// The path as it was typed, without the `library/` that was put before it: what aliases of short names are looked up by.
    #[must_use]
    pub fn typed_path(&self) -> &str {
        let official = self.repository.strip_prefix(OFFICIAL);
        official
            .filter(|_| self.typed == Typed::Last)
            .unwrap_or(&self.repository)
    }

    /// The same tag and digest of another name, which must have its host.
    ///
    /// # Errors
    /// As parsing; [`ReferenceError::Host`] also for a name without a host or with a tag or a digest of its own.
    pub fn renamed(&self, name: &str) -> Result<Self, ReferenceError> {
        let (host, path) = split_host(name);
        let Some(host) = host.filter(|_| !path.contains([':', '@'])) else {
            return Err(ReferenceError::Host(
                shown(name),
                shown(name.split('/').next().unwrap_or(name)),
            ));
        };
        let mut renamed = complete(name, Some(host), path)?;
        renamed.tag.clone_from(&self.tag);
        renamed.digest = self.digest;
        Ok(renamed)
    }

    /// As people know it: what docker and podman show, without what goes without saying.
    #[must_use]
    pub fn familiar(&self) -> String {
        let full = self.to_string();
        let Some(path) = full.strip_prefix("docker.io/") else {
            return full;
        };
        // `library/localhost/x` and the like would mean something else when they are typed again.
        let means_this = |text: &&str| text.parse() == Ok(self.clone());
        let shorter = [path.strip_prefix(OFFICIAL), Some(path)];
        let familiar = shorter.into_iter().flatten().find(means_this);
        familiar.map_or_else(|| full.clone(), str::to_owned)
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(ReferenceError::Id(shown(text)));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        let digest = digest.map(str::parse).transpose();
        let digest = digest.map_err(|e| ReferenceError::Digest(shown(text), e))?;
        let (host, path) = split_host(rest);
        let (path, tag) = match path.split_once(':') {
            Some((path, tag)) if is_tag(tag) => (path, Some(tag.to_owned())),
            Some(_) => return Err(ReferenceError::Tag(shown(text))),
            None => (path, None),
        };
        let mut reference = complete(text, host, path)?;
        reference.tag = tag.or_else(|| digest.is_none().then(|| "latest".to_owned()));
        reference.digest = digest;
        Ok(reference)
    }
}

/// A reference without tag and digest; `text` is what messages show.
fn complete(text: &str, host: Option<&str>, path: &str) -> Result<Reference, ReferenceError> {
    let registry = match host {
        Some(host) => parse_host(host).ok_or_else(|| ReferenceError::Host(shown(text), shown(host)))?,
        None => DOCKER.to_owned(),
    };
    check_path(text, path)?;
    let official = registry == DOCKER && !path.contains('/');
    let repository = format!("{}{path}", if official { OFFICIAL } else { "" });
    let length = registry.len() + 1 + repository.len();
    if length > NAME {
        return Err(ReferenceError::Long(shown(text), length));
    }
    let typed = match (host, official) {
        (Some(_), _) => Typed::Full,
        (None, true) => Typed::Last,
        (None, false) => Typed::Path,
    };
    Ok(Reference {
        registry,
        repository,
        tag: None,
        digest: None,
        typed,
    })
}

fn check_path(text: &str, path: &str) -> Result<(), ReferenceError> {
    if path.is_empty() {
        return Err(ReferenceError::Empty(shown(text)));
    }
    for part in path.split('/') {
        if is_part(part) {
            continue;
        }
        let lower = part.to_ascii_lowercase();
        return Err(if is_part(&lower) {
            ReferenceError::Upper(shown(text), shown(&path.to_ascii_lowercase()))
        } else {
            ReferenceError::Path(shown(text), shown(part))
        });
    }
    Ok(())
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Reference {
    fn meaning(&self) -> (&str, &str, Option<&str>, Option<Digest>) {
        (&self.registry, &self.repository, self.tag(), self.digest)
    }
}

impl PartialEq for Reference {
    fn eq(&self, other: &Self) -> bool {
        self.meaning() == other.meaning()
    }
}

impl Eq for Reference {}

impl Hash for Reference {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.meaning().hash(state);
    }
}

impl PartialOrd for Reference {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Reference {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.meaning().cmp(&other.meaning())
    }
}

impl TryFrom<String> for Reference {
    type Error = ReferenceError;

    fn try_from(text: String) -> Result<Self, ReferenceError> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

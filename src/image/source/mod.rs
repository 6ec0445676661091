//! What the IMAGE of a command line means: a word of ours, a directory, an archive, or a name at a registry (containers-transports(5)).

#[cfg(test)]
mod tests;

use crate::model::reference::{Reference, ReferenceError, shown};
use crate::model::{Digest, HostPath};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Where the root file system comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `host`: the tools of this machine.
    Host,
    /// `scratch`: nothing.
    Scratch,
    /// `./DIR`, `/DIR`: a directory that is a root file system.
    Directory(PathBuf),
    /// `[docker://]NAME`: an image of a registry, or one that is in the store under that name.
    Registry(Named),
    /// 64 digits, with or without `sha256:`: an image that only the store can have.
    Id(Digest),
    /// `oci:DIR[:TAG]`: an OCI image layout.
    OciLayout {
        /// The layout's directory.
        dir: PathBuf,
        /// `org.opencontainers.image.ref.name` of the image; without it there must be one image alone.
        tag: Option<String>,
    },
    /// `oci-archive:FILE[:TAG]`: a tar of such a layout.
    OciArchive {
        /// The tar.
        file: PathBuf,
        /// As in a layout.
        tag: Option<String>,
    },
    /// `docker-archive:FILE[:NAME]`: what `docker save` writes.
    DockerArchive {
        /// The tar.
        file: PathBuf,
        /// The name of the image, complete; without it there must be one image alone.
        tag: Option<Reference>,
    },
}

/// A name at a registry, and the text that it was typed as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    text: String,
    reference: Reference,
}

/// Why a text is no IMAGE.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Nothing.
    #[error("no image is named: {SUPPORTED}")]
    Empty,
    /// Bytes that are no text name neither an image nor a transport.
    #[error("image `{0}` is not UTF-8; a directory's path may be anything, but begins with / or ./")]
    NotText(String),
    /// A transport that others have.
    #[error("image `{text}`: `{transport}` is not supported: {SUPPORTED}")]
    Transport {
        /// What was typed.
        text: String,
        /// Its first part.
        transport: String,
    },
    /// `dir:` of skopeo is no root file system.
    #[error(
        "image `{0}`: `dir:` is not supported: write a root file system as ./DIR or /DIR, an image layout as oci:DIR"
    )]
    Dir(String),
    /// `https://` and the like.
    #[error("image `{text}`: a name has no `{scheme}://` before it: write `{right}`")]
    Scheme {
        /// What was typed.
        text: String,
        /// What is too much.
        scheme: String,
        /// What is left without it.
        right: String,
    },
    /// `oci:` and no path.
    #[error("image `{0}`: no path follows: write {1}")]
    NoPath(String, &'static str),
    /// A path where only names are taken.
    #[error(
        "image `{0}`: this is a path, and the name of an image is written [HOST[:PORT]/]NAME[:TAG][@sha256:…]"
    )]
    IsPath(String),
    /// A NUL or 4096 bytes.
    #[error("image: {0}")]
    Path(String),
    /// The name in a layout breaks the grammar.
    #[error(
        "image `{0}`: the name behind the path must have 1 to 255 of a-z, A-Z, 0-9 and `-._:@/+`, and begin and end with a letter or digit"
    )]
    LayoutName(String),
    /// The name breaks docker's grammar.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}

const SUPPORTED: &str = "write NAME[:TAG], docker://NAME, oci:DIR, oci-archive:FILE, docker-archive:FILE, a directory as ./DIR or /DIR, `host` or `scratch`";

/// What containers-transports(5) has besides, and we do not.
const FOREIGN: [&str; 6] = [
    "containers-storage",
    "docker-daemon",
    "atomic",
    "ostree",
    "sif",
    "tarball",
];

impl Named {
    /// The name, complete by docker's rules. When [`Reference::is_short`], registries.conf(5) decides what it means.
    #[must_use]
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// What was typed, without `docker://`.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first digits of an id, if it can be one as well as a name: the store looks for such an image first, as docker does.
    #[must_use]
    pub fn id_prefix(&self) -> Option<&str> {
        let digits = self.text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        (digits && (12..64).contains(&self.text.len())).then_some(&self.text)
    }
}

impl Source {
    /// Reads an IMAGE.
    ///
    /// # Errors
    /// When it is none; the line says what is supported.
    pub fn parse(text: &OsStr) -> Result<Self, SourceError> {
        let bytes = text.as_bytes();
        if is_path(bytes) {
            return Ok(Self::Directory(path(bytes)?));
        }
        if let Some(archive) = Self::of_archive(text) {
            return archive;
        }
        let Some(text) = text.to_str() else {
            return Err(SourceError::NotText(lossy(text)));
        };
        match text {
            "" => Err(SourceError::Empty),
            "host" => Ok(Self::Host),
            "scratch" => Ok(Self::Scratch),
            _ => Self::named(text),
        }
    }

    /// Reads `oci:`, `oci-archive:` or `docker-archive:` and what follows; `None` for anything else.
    #[must_use]
    pub fn of_archive(text: &OsStr) -> Option<Result<Self, SourceError>> {
        let stripped = |(start, form): &(&'static str, &'static str)| {
            let rest = text.as_bytes().strip_prefix(start.as_bytes())?;
            Some(transport(text, start, rest, form))
        };
        TRANSPORTS.iter().find_map(stripped)
    }

    /// Reads the name or the id of an image, as the verbs take it that know nothing but the store and registries.
    ///
    /// # Errors
    /// When it is neither.
    pub fn named(text: &str) -> Result<Self, SourceError> {
        if let Ok(id) = text.parse().or_else(|_| format!("sha256:{text}").parse()) {
            return Ok(Self::Id(id));
        }
        if is_path(text.as_bytes()) {
            return Err(SourceError::IsPath(shown(text)));
        }
        let (name, explicit) = match text.strip_prefix("docker://") {
            Some(name) => (name, true),
            None => (text, false),
        };
        refuse_transport(text, name, explicit)?;
        if name.is_empty() {
            return Err(SourceError::Empty);
        }
        Ok(Self::Registry(Named {
            text: name.to_owned(),
            reference: name.parse()?,
        }))
    }
}

fn is_path(text: &[u8]) -> bool {
    let starts = [&b"/"[..], b"./", b"../"];
    starts.iter().any(|start| text.starts_with(start)) || matches!(text, b"." | b"..")
}

/// The transports that begin a path, and how each is written.
const TRANSPORTS: [(&str, &str); 3] = [
    ("oci:", "oci:DIR[:TAG]"),
    ("oci-archive:", "oci-archive:FILE[:TAG]"),
    ("docker-archive:", "docker-archive:FILE[:NAME]"),
];

/// The path ends at the first colon, as in containers-transports(5): names have colons, so that paths cannot.
fn transport(text: &OsStr, start: &str, rest: &[u8], form: &'static str) -> Result<Source, SourceError> {
    let mut parts = rest.splitn(2, |b| *b == b':');
    let at = parts.next().unwrap_or_default();
    if at.is_empty() {
        return Err(SourceError::NoPath(lossy(text), form));
    }
    let at = path(at)?;
    let name = parts.next().map(|name| {
        let name = std::str::from_utf8(name);
        name.map_err(|_| SourceError::LayoutName(lossy(text)))
    });
    let name = name.transpose()?;
    if start == "docker-archive:" {
        let tag = name.map(str::parse).transpose()?;
        return Ok(Source::DockerArchive { file: at, tag });
    }
    if name.is_some_and(|name| !is_layout_name(name)) {
        return Err(SourceError::LayoutName(lossy(text)));
    }
    let tag = name.map(str::to_owned);
    Ok(match start {
        "oci:" => Source::OciLayout { dir: at, tag },
        _ => Source::OciArchive { file: at, tag },
    })
}

/// What would otherwise be taken for an image with that name: `docker-daemon:x` for the tag `x`.
fn refuse_transport(text: &str, name: &str, explicit: bool) -> Result<(), SourceError> {
    if let Some((scheme, right)) = name.split_once("://") {
        let scheme = scheme.to_owned();
        let text = shown(text);
        let web = ["http", "https", "docker"].contains(&scheme.as_str());
        return Err(if web {
            let right = shown(right.trim_end_matches('/'));
            SourceError::Scheme { text, scheme, right }
        } else {
            let transport = format!("{}://", shown(&scheme));
            SourceError::Transport { text, transport }
        });
    }
    let Some((start, _)) = name.split_once(':').filter(|_| !explicit) else {
        return Ok(());
    };
    if start == "dir" {
        return Err(SourceError::Dir(shown(text)));
    }
    if FOREIGN.contains(&start) {
        let transport = format!("{start}:");
        return Err(SourceError::Transport {
            text: shown(text),
            transport,
        });
    }
    Ok(())
}

/// image-spec, annotations.md: the grammar of `org.opencontainers.image.ref.name`, without what separators may follow each other.
fn is_layout_name(name: &str) -> bool {
    let ends = [name.bytes().next(), name.bytes().next_back()];
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"-._:@/+".contains(&b);
    name.len() <= 255
        && name.bytes().all(inner)
        && ends
            .into_iter()
            .all(|b| b.is_some_and(|b| b.is_ascii_alphanumeric()))
}

/// The path as it is; [`HostPath`] knows what the kernel takes.
fn path(bytes: &[u8]) -> Result<PathBuf, SourceError> {
    let path = PathBuf::from(OsStr::from_bytes(bytes));
    let whole = PathBuf::from("/").join(&path);
    HostPath::new(whole).map_err(|e| SourceError::Path(e.to_string()))?;
    Ok(path)
}

fn lossy(text: &OsStr) -> String {
    let bytes = text.as_bytes();
    bytes.get(..100).unwrap_or(bytes).escape_ascii().to_string()
}

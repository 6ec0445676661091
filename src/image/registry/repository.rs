//! What is asked for, how much of it is read, and how it is called in messages.

use super::error::shown;
use super::token::Scope;
use crate::image::limits::Limits;
use crate::model::Digest;
use std::fmt;

/// A manifest or an index, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The bytes that the digest is of.
    pub bytes: Vec<u8>,
    /// What the registry says that it is, without parameters; empty when it says nothing.
    pub media_type: String,
    /// The digest of the bytes.
    pub digest: Digest,
}

/// What is asked for, and how much of it is read.
pub(super) struct Repository {
    host: String,
    path: String,
    pub(super) limits: Limits,
}

impl Repository {
    pub(super) fn new(host: &str, path: &str, limits: &Limits) -> Option<Self> {
        is_repository(path).then(|| Self {
            host: host.to_owned(),
            path: path.to_owned(),
            limits: limits.clone(),
        })
    }

    /// The host as it was given.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// A path below the repository: `manifests/REFERENCE`.
    pub(super) fn below(&self, rest: &str) -> String {
        format!("/v2/{}/{rest}", self.path)
    }

    pub(super) fn pull(&self) -> Scope {
        format!("repository:{}:pull", self.path)
    }

    pub(super) fn push(&self) -> Scope {
        format!("repository:{}:pull,push", self.path)
    }

    /// A reference in messages.
    pub(super) fn named(&self, reference: &str) -> String {
        match reference.parse::<Digest>() {
            Ok(digest) => format!("{}/{}@sha256:{}", self.host, self.path, digest.short()),
            Err(_) => format!("{}/{}:{}", self.host, self.path, shown(reference)),
        }
    }

    /// A blob in messages.
    pub(super) fn blob(&self, digest: &Digest) -> String {
        format!("blob {} of {}/{}", digest.short(), self.host, self.path)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

/// Whether a text can stand in a path without meaning anything else there (distribution-spec has the exact grammar of names).
fn is_repository(text: &str) -> bool {
    let part = |part: &str| {
        let right = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        part.bytes().all(right) && part.bytes().any(|b| b.is_ascii_alphanumeric())
    };
    !text.is_empty() && text.len() <= 255 && text.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_only_ever_a_path() {
        for (text, right) in [
            ("library/debian", true),
            ("a", true),
            ("a.b_c-d__e/f0", true),
            ("", false),
            ("/a", false),
            ("a/", false),
            ("a//b", false),
            ("a/../b", false),
            ("..", false),
            ("a/.", false),
            ("A", false),
            ("a?b", false),
            ("a#b", false),
            ("a%2fb", false),
            ("a b", false),
            ("a\r\nb", false),
        ] {
            assert_eq!(is_repository(text), right, "{text:?}");
        }
        assert!(!is_repository(&"a".repeat(256)));
    }
}

//! Names of volumes, as docker and podman take them.

use crate::model::reference::shown;
use std::fmt;
use std::str::FromStr;

/// A directory entry has 255 bytes, and while it is made or removed `.new-` or `.old-` stands before the name.
const LONGEST: usize = 250;

/// The name of a volume: it is a file name too, and never `.`, `..` or one that begins with a dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// Not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no name of a volume: write letters, digits, `_`, `.` and `-`, a letter or a digit first, {LONGEST} at most; a host path \
     begins with / or ./"
)]
pub struct NotAName(String);

impl Name {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let first = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        let rest = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        if first && rest && text.len() <= LONGEST {
            return Ok(Self(text.to_owned()));
        }
        Err(NotAName(shown(text)))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dockers() {
        for name in ["a", "0", "pg-data", "A_b.c-9", &"x".repeat(250)] {
            assert_eq!(name.parse::<Name>().expect(name).as_str(), name);
        }
        for text in [
            "",
            ".",
            "..",
            ".hidden",
            "-a",
            "_a",
            "a/b",
            "a b",
            "a\0",
            "é",
            "a\u{1b}[2J",
            &"x".repeat(251),
        ] {
            let said = text.parse::<Name>().expect_err(text).to_string();
            assert!(!said.contains('\u{1b}') && said.len() < 500, "{said}");
        }
    }
}

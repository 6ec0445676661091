//! What a layer says about a file and the unpacked file cannot hold: its owner, its mode, its device number.
//!
//! Where every unpacked file is the caller's (a map of one id), this is the only place where the owners of the layer are known; a file
//! that is the root's with an ordinary mode need not be listed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Whose the files of unpacked layers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// The caller's, all of them; the owners that the layer names are kept beside it.
    Single,
    /// Each its own, by the id map that the worker runs in.
    Mapped,
}

/// What the layer says about one of its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Owner {
    /// Where it lies, relative to the root of the layer: `usr/bin/passwd`.
    #[serde(with = "lossless")]
    pub path: OsString,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Permissions with the bits above them: set-user-id, set-group-id, sticky.
    pub mode: u32,
    /// The layer has a device here; the unpacked layer has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
}

/// A device that a layer holds. It is never made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Device {
    /// A block device; else one of characters.
    pub block: bool,
    /// Which driver.
    pub major: u32,
    /// Which of its devices.
    pub minor: u32,
}

/// A path in JSON: as it is where it is UTF-8, else in base64 behind a word.
mod lossless {
    use super::*;

    const WORD: &str = "base64:";

    pub(super) fn serialize<S: Serializer>(path: &OsStr, to: S) -> Result<S::Ok, S::Error> {
        match path.to_str().filter(|text| !text.starts_with(WORD)) {
            Some(text) => to.serialize_str(text),
            None => to.serialize_str(&format!("{WORD}{}", STANDARD.encode(path.as_bytes()))),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<OsString, D::Error> {
        let text = String::deserialize(from)?;
        match text.strip_prefix(WORD) {
            None => Ok(OsString::from(text)),
            Some(code) => STANDARD
                .decode(code)
                .map(OsString::from_vec)
                .map_err(serde::de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_is_lost() {
        for path in [
            &b"usr/bin/passwd"[..],
            b"",
            b"a\xff\xfe/b",
            b"base64:AAAA",
            b"new\nline\"\\",
        ] {
            let owner = Owner {
                path: OsString::from_vec(path.to_vec()),
                uid: u32::MAX,
                gid: 0,
                mode: 0o4755,
                device: Some(Device {
                    block: true,
                    major: 8,
                    minor: 1 << 20,
                }),
            };
            let text = serde_json::to_string(&owner).expect("JSON");
            assert_eq!(serde_json::from_str::<Owner>(&text).expect(&text), owner);
        }
        assert!(serde_json::from_str::<Owner>(r#"{"path":"base64:*","uid":0,"gid":0,"mode":0}"#).is_err());
    }
}

//! The JSON form of a profile, as it is written.
//!
//! Unknown keys are refused: a misspelt `args` would allow what it was meant to refuse.

use super::{DockerError, Place};
use crate::model::host::Kernel;
use serde::Deserialize;

/// A whole profile.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Profile {
    pub(super) default_action: String,
    #[serde(default)]
    pub(super) default_errno_ret: Option<u64>,
    #[serde(default)]
    architectures: Option<Vec<String>>,
    #[serde(default)]
    arch_map: Option<Vec<ArchMap>>,
    #[serde(default)]
    pub(super) syscalls: Vec<Entry>,
    #[serde(default, rename = "comment")]
    _comment: Option<String>,
}

/// One architecture and those that run beside it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ArchMap {
    architecture: String,
    #[serde(default, rename = "subArchitectures")]
    _sub_architectures: Option<Vec<String>>,
}

/// One entry of `syscalls`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Entry {
    #[serde(default)]
    names: Option<Vec<String>>,
    /// Docker's form before version 17.
    #[serde(default)]
    name: Option<String>,
    pub(super) action: String,
    #[serde(default)]
    pub(super) errno_ret: Option<u64>,
    #[serde(default)]
    pub(super) args: Option<Vec<Argument>>,
    #[serde(default)]
    pub(super) includes: Condition,
    #[serde(default)]
    pub(super) excludes: Condition,
    #[serde(default, rename = "comment")]
    _comment: Option<String>,
    /// podman writes the errno's name beside its number.
    #[serde(default, rename = "errno")]
    _errno: Option<String>,
}

/// One condition on an argument.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Argument {
    pub(super) index: u64,
    pub(super) value: u64,
    #[serde(default)]
    pub(super) value_two: Option<u64>,
    pub(super) op: String,
}

/// `includes` and `excludes`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Condition {
    #[serde(default)]
    caps: Option<Vec<String>>,
    #[serde(default)]
    arches: Option<Vec<String>>,
    #[serde(default)]
    min_kernel: Option<String>,
}

impl Profile {
    pub(super) fn read(text: &str) -> Result<Self, DockerError> {
        // serde_json's message holds the offending key as it is, and line and column at its end.
        serde_json::from_str(text).map_err(|e| DockerError::Json(e.to_string().escape_debug().to_string()))
    }

    /// Whether it is for this architecture; a profile that names none is for all.
    pub(super) fn check_architecture(&self) -> Result<(), DockerError> {
        const OURS: &str = "SCMP_ARCH_X86_64";
        let fits = match (&self.architectures, &self.arch_map) {
            (Some(list), Some(map)) if !list.is_empty() && !map.is_empty() => {
                return Err(DockerError::BothArchitectures);
            }
            (Some(list), _) if !list.is_empty() => list.iter().any(|name| name == OURS),
            (_, Some(map)) if !map.is_empty() => map.iter().any(|entry| entry.architecture == OURS),
            _ => true,
        };
        if fits {
            Ok(())
        } else {
            Err(DockerError::Architecture)
        }
    }
}

impl Entry {
    /// The calls that it is about.
    pub(super) fn names(&self, place: Place) -> Result<&[String], DockerError> {
        match (self.names.as_deref(), &self.name) {
            (Some(names), None) => Ok(names),
            (None | Some([]), Some(name)) => Ok(std::slice::from_ref(name)),
            _ => Err(DockerError::Names { place }),
        }
    }
}

impl Condition {
    pub(super) fn caps(&self) -> &[String] {
        self.caps.as_deref().unwrap_or_default()
    }

    pub(super) fn arches(&self) -> &[String] {
        self.arches.as_deref().unwrap_or_default()
    }

    pub(super) fn min_kernel(&self, place: Place) -> Result<Option<Kernel>, DockerError> {
        let Some(text) = self.min_kernel.as_deref().filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let digits = |part: &str| {
            part.bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| part.parse().ok())
                .flatten()
        };
        let version = text.split_once('.').and_then(|(major, minor)| {
            Some(Kernel {
                major: digits(major)?,
                minor: digits(minor)?,
            })
        });
        version.map(Some).ok_or_else(|| DockerError::Kernel {
            place,
            text: text.escape_debug().to_string(),
        })
    }
}

//! The config of an image: what it runs, as whom, and which layers it is made of.

use super::error::{Error, json, shown};
use super::signal;
use crate::image::limits::Limits;
use crate::model::Digest;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// The kernel takes no environment entry above 128 KiB; honest ones are far below this.
const ENTRY: usize = 32 << 10;
/// The whole environment: with the arguments, the kernel takes a quarter of the stack's limit, 2 MiB in practice.
const ENVIRONMENT: usize = 1 << 20;

/// What a config says. Texts are a stranger's: they hold no NUL and are bounded, nothing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `amd64`
    pub architecture: String,
    /// `linux`
    pub os: String,
    /// `v8`
    pub variant: Option<String>,
    /// When it was made, in RFC 3339.
    pub created: Option<String>,
    /// How it is run.
    pub config: Execution,
    /// The digests of the unpacked layers, the lowest first.
    pub diff_ids: Vec<Digest>,
    /// How it was made.
    pub history: Vec<History>,
}

/// How an image is run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Execution {
    /// `USER`, `USER:GROUP`, names or numbers; empty for root.
    pub user: String,
    /// Names and values, in the order of the config; a name may stand twice, the last one counts.
    pub env: Vec<(String, String)>,
    /// What is run, before the command.
    pub entrypoint: Vec<String>,
    /// The command, or arguments of the entry point.
    pub cmd: Vec<String>,
    /// Absolute, or empty.
    pub working_dir: String,
    /// `80/tcp`
    pub exposed_ports: Vec<String>,
    /// Directories that are meant to outlive the container.
    pub volumes: Vec<String>,
    /// Anything.
    pub labels: BTreeMap<String, String>,
    /// The number of the signal that asks it to end.
    pub stop_signal: Option<i32>,
}

/// A step of how an image was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct History {
    /// When.
    pub created: Option<String>,
    /// By what.
    pub created_by: Option<String>,
    /// Anything.
    pub comment: Option<String>,
    /// It made no layer.
    #[serde(deserialize_with = "or_default")]
    pub empty_layer: bool,
}

#[derive(Deserialize)]
struct Raw {
    architecture: String,
    os: String,
    variant: Option<String>,
    created: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    config: RawExecution,
    rootfs: RawRootfs,
    #[serde(default, deserialize_with = "or_default")]
    history: Vec<History>,
}

#[derive(Deserialize)]
struct RawRootfs {
    r#type: String,
    #[serde(default, deserialize_with = "or_default")]
    diff_ids: Vec<Digest>,
}

/// Go writes `null` for what is empty.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawExecution {
    user: Option<String>,
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    working_dir: Option<String>,
    exposed_ports: Option<BTreeMap<String, IgnoredAny>>,
    volumes: Option<BTreeMap<String, IgnoredAny>>,
    labels: Option<BTreeMap<String, String>>,
    stop_signal: Option<String>,
}

fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

impl Config {
    /// Reads the config of an image whose manifest names so many layers.
    ///
    /// # Errors
    /// What [`Error`] lists; nothing of the config is used then.
    pub fn parse(bytes: &[u8], layers: usize, limits: &Limits) -> Result<Self, Error> {
        let (size, limit) = (bytes.len() as u64, limits.document.0);
        if size > limit {
            return Err(Error::Large { size, limit });
        }
        let raw: Raw = serde_json::from_slice(bytes).map_err(|e| Error::Json(json(&e)))?;
        if raw.rootfs.r#type != "layers" {
            return Err(Error::Rootfs(shown(&raw.rootfs.r#type)));
        }
        let (config, manifest) = (raw.rootfs.diff_ids.len(), layers);
        if config != manifest {
            return Err(Error::DiffIds { config, manifest });
        }
        let read = Self {
            architecture: raw.architecture,
            os: raw.os,
            variant: raw.variant.filter(|text| !text.is_empty()),
            created: raw.created,
            config: raw.config.check()?,
            diff_ids: raw.rootfs.diff_ids,
            history: raw.history,
        };
        without_nul("architecture", [&read.architecture])?;
        without_nul("os", [&read.os])?;
        without_nul("variant", &read.variant)?;
        without_nul("created", &read.created)?;
        for step in &read.history {
            let texts = [&step.created, &step.created_by, &step.comment];
            without_nul("history", texts.into_iter().flatten())?;
        }
        Ok(read)
    }
}

impl RawExecution {
    fn check(self) -> Result<Execution, Error> {
        let checked = Execution {
            user: self.user.unwrap_or_default(),
            env: environment(self.env.unwrap_or_default())?,
            entrypoint: self.entrypoint.unwrap_or_default(),
            cmd: self.cmd.unwrap_or_default(),
            working_dir: self.working_dir.unwrap_or_default(),
            exposed_ports: self.exposed_ports.unwrap_or_default().into_keys().collect(),
            volumes: self.volumes.unwrap_or_default().into_keys().collect(),
            labels: self.labels.unwrap_or_default(),
            stop_signal: stop_signal(self.stop_signal.as_deref().unwrap_or_default())?,
        };
        without_nul("User", [&checked.user])?;
        without_nul("Entrypoint", &checked.entrypoint)?;
        without_nul("Cmd", &checked.cmd)?;
        without_nul("WorkingDir", [&checked.working_dir])?;
        without_nul("ExposedPorts", &checked.exposed_ports)?;
        without_nul("Volumes", &checked.volumes)?;
        without_nul(
            "Labels",
            checked.labels.iter().flat_map(|(name, value)| [name, value]),
        )?;
        if !(checked.working_dir.is_empty() || checked.working_dir.starts_with('/')) {
            return Err(Error::WorkingDir(shown(&checked.working_dir)));
        }
        Ok(checked)
    }
}

fn without_nul<'a>(what: &'static str, texts: impl IntoIterator<Item = &'a String>) -> Result<(), Error> {
    match texts.into_iter().any(|text| text.contains('\0')) {
        true => Err(Error::Nul(what)),
        false => Ok(()),
    }
}

fn stop_signal(text: &str) -> Result<Option<i32>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let unknown = || Error::StopSignal(shown(text));
    signal::number(text).map(Some).ok_or_else(unknown)
}

fn environment(entries: Vec<String>) -> Result<Vec<(String, String)>, Error> {
    let mut total = 0;
    let mut checked = Vec::with_capacity(entries.len());
    for entry in entries {
        without_nul("Env", [&entry])?;
        let assignment = entry.split_once('=').filter(|(name, _)| !name.is_empty());
        let Some((name, value)) = assignment else {
            return Err(Error::Environment(shown(&entry)));
        };
        if entry.len() > ENTRY {
            return Err(Error::EnvironmentSize {
                size: entry.len(),
                of: format!(" of `{}`", shown(name)),
                limit: ENTRY,
            });
        }
        // With the NUL and the pointer, as the kernel counts.
        total += entry.len() + 1 + size_of::<usize>();
        checked.push((name.to_owned(), value.to_owned()));
    }
    if total > ENVIRONMENT {
        return Err(Error::EnvironmentSize {
            size: total,
            of: " in all".to_owned(),
            limit: ENVIRONMENT,
        });
    }
    Ok(checked)
}

//! The arguments of `run`, `plan` and `why`: what the user typed, and what the flags come to.
//!
//! A group of flags is a file here.

mod apart;
mod files;
mod ids;
mod image;
mod limits;
mod policy;
mod process;
mod rates;
mod surroundings;
#[cfg(test)]
mod tests;

pub use apart::Apart;
pub use files::FileArgs;
pub use ids::IdArgs;
pub use image::ImageArgs;
pub use limits::LimitArgs;
pub use policy::PolicyArgs;
pub use process::ProcessArgs;
pub use surroundings::SurroundingsArgs;

use super::report::Report;
use crate::model::{Origin, Set, meant};
use crate::policy::Flags;
use crate::profile::schema::{Identity, Profile};
use crate::profile::words::Word;
use clap::Args;
use std::ffi::OsString;
use std::fmt::Display;
use std::str::FromStr;

/// Flags that say what a sandbox may do; the same for every verb that makes or explains one.
#[derive(Debug, Clone, Default, Args)]
#[command(disable_help_flag = true)]
pub struct SandboxArgs {
    /// Profiles and rights.
    #[command(flatten)]
    pub policy: Apart<PolicyArgs>,
    /// Ids.
    #[command(flatten)]
    pub ids: Apart<IdArgs>,
    /// Files.
    #[command(flatten)]
    pub files: Apart<FileArgs>,
    /// Variables, names, network.
    #[command(flatten)]
    pub surroundings: Apart<SurroundingsArgs>,
    /// Limits.
    #[command(flatten)]
    pub limits: Apart<LimitArgs>,
    /// The command's start and end.
    #[command(flatten)]
    pub process: Apart<ProcessArgs>,
    /// The image.
    #[command(flatten)]
    pub images: Apart<ImageArgs>,

    /// Print help (-h is --hostname, as in docker)
    #[arg(long, action = clap::ArgAction::HelpLong)]
    pub help: Option<bool>,

    /// Root filesystem: `host`, an image ([HOST/]NAME[:TAG], oci:DIR, oci-archive:FILE, docker-archive:FILE), a directory (./path, /path), or
    /// `scratch` (empty)
    #[arg(value_name = "IMAGE", default_value = "host", hide_default_value = true)]
    pub image: OsString,
    /// Command and its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<OsString>,
}

fn parsed<T: FromStr>(flag: &str, text: &str) -> Result<Set<T>, Report>
where
    T::Err: Display,
{
    match text.parse() {
        Ok(value) => Ok(Set::new(value, Origin::flag(format!("{flag} {text}")))),
        Err(why) => Err(Report::usage(format!(
            "{flag}: {}",
            super::out::escaped(&why.to_string())
        ))),
    }
}

/// One of a closed list of words.
pub(super) fn word<T: Word>(flag: &str, text: &str) -> Result<Set<T>, Report> {
    word_of(flag, text, T::NAMES)
}

/// The same, where only some of the words are offered to whoever wrote none of them.
fn word_of<T: Word>(flag: &str, text: &str, offered: &[&str]) -> Result<Set<T>, Report> {
    if let Some((_, value)) = T::WORDS.iter().find(|(name, _)| *name == text) {
        return Ok(Set::new(*value, Origin::flag(format!("{flag} {text}"))));
    }
    let list = offered.join(", ");
    let report = Report::usage(format!("{flag} `{}`: write one of {list}", text.escape_debug()));
    Err(match meant(text, offered.iter().copied()) {
        Some(near) => report.hint(format!("did you mean `{near}`?")),
        None => report,
    })
}

fn wrong(flag: &str, text: &str, why: impl Display) -> Report {
    Report::usage(format!("{flag} `{}`: {why}", text.escape_debug()))
}

impl SandboxArgs {
    /// The profile that the flags come to, to be merged last. `before`: what the profiles say, which flags take capabilities from.
    ///
    /// # Errors
    /// For flags that cannot be understood.
    pub fn profile(&self, before: &Identity) -> Result<Profile, Report> {
        let mut p = Profile::default();
        self.policy.profile(&mut p, before)?;
        self.ids.profile(&mut p)?;
        self.files.profile(&mut p)?;
        self.surroundings.profile(&mut p)?;
        self.limits.profile(&mut p)?;
        self.process.profile(&mut p);
        Ok(p)
    }

    /// What only flags say, but for volumes, which are looked for.
    ///
    /// # Errors
    /// For a flag that cannot be understood, or that contradicts another.
    pub fn flags(&self) -> Result<Flags, Report> {
        let mut flags = Flags::default();
        self.ids.flags(&mut flags)?;
        self.files.flags(&mut flags)?;
        self.surroundings.flags(&mut flags)?;
        self.limits.flags(&mut flags)?;
        self.process.flags(&mut flags)?;
        Ok(flags)
    }
}

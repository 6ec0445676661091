//! Which profiles a run is made under: those that are named, the one of the working directory, and the flags.

use super::out;
use super::report::Report;
use super::sandbox_args::SandboxArgs;
use crate::profile::library::LOCAL;
use crate::profile::{Library, Profile, tighten};
use std::path::{Path, PathBuf};

/// What was chosen.
#[derive(Debug)]
pub struct Chosen {
    /// Everything merged.
    pub profile: Profile,
    /// The names, as given.
    pub names: String,
}

/// The user's profiles, and the built-in ones.
#[must_use]
pub fn library(uid: u32) -> Library {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|p| p.is_absolute())
    };
    let config = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|h| h.join(".config")));
    Library {
        directory: config.map(|c| c.join("sbx/profiles")),
        uid,
    }
}

/// Merges, left to right: the profiles that are named (`default` when none is), then what the working directory tightens, then the
/// flags, which are the user's own word.
///
/// # Errors
/// For profiles and flags that are wrong, and for a working directory's profile that widens.
pub fn choose(args: &SandboxArgs, current: Option<&Path>, uid: u32) -> Result<Chosen, Report> {
    let library = library(uid);
    let given = if args.policy.profile.is_empty() {
        vec!["default".to_owned()]
    } else {
        args.policy.profile.clone()
    };
    let mut profile = Profile::default();
    for name in &given {
        library.add(name, &mut profile).map_err(Report::sbx)?;
    }
    let mut names = given.join("+");
    if let Some(local) = current
        .map(|c| c.join(LOCAL))
        .filter(|p| p.symlink_metadata().is_ok())
    {
        tighten(&library, &local, &mut profile)?;
        out::words(format_args!(
            "sbx: {LOCAL} of this directory tightens the profile"
        ));
        names.push('+');
        names.push_str(LOCAL);
    }
    profile.add(args.profile(&profile.identity)?);
    Ok(Chosen { profile, names })
}

/// In a frame of its own: without such a profile no page of the stack is touched for it.
#[inline(never)]
fn tighten(library: &Library, local: &Path, profile: &mut Profile) -> Result<(), Report> {
    let source = library.file(local).map_err(Report::sbx)?;
    *profile = tighten::tighten(profile, &source).map_err(Report::sbx)?;
    Ok(())
}

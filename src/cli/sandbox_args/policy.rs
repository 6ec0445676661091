//! Which profiles, and what is taken from them or added to them.

use super::{parsed, word};
use crate::cli::report::Report;
use crate::model::{Capability, Level, Origin, Protection, Set};
use crate::profile::schema::{Identity, Maybe, Profile};
use clap::Args;

/// Flags about profiles and rights.
#[derive(Debug, Clone, Default, Args)]
pub struct PolicyArgs {
    /// Profile: strict, default, build, a name in the profile directory, or a path; can be repeated
    #[arg(long, value_name = "NAME|FILE", help_heading = "Policy")]
    pub profile: Vec<String>,
    /// Level of a protection: KEY=require|prefer|off (see `sbx profile schema`)
    #[arg(long, value_name = "KEY=LEVEL", help_heading = "Policy")]
    pub enforce: Vec<String>,
    /// seccomp=FILE: filter in docker's JSON format instead of the profile's; no-new-privileges is always on
    #[arg(long, value_name = "OPTION", help_heading = "Policy")]
    pub security_opt: Vec<String>,
    /// Keep a capability inside the user namespace, e.g. NET_BIND_SERVICE
    #[arg(long, value_name = "CAP", help_heading = "Policy")]
    pub cap_add: Vec<String>,
    /// Drop a capability that the profile keeps, or `all`
    #[arg(long, value_name = "CAP", help_heading = "Policy")]
    pub cap_drop: Vec<String>,
}

impl PolicyArgs {
    /// `before`: what the profiles say, which flags take capabilities from.
    pub(super) fn profile(&self, p: &mut Profile, before: &Identity) -> Result<(), Report> {
        self.capabilities(p, before)?;
        self.enforcement(p)
    }

    fn capabilities(&self, p: &mut Profile, before: &Identity) -> Result<(), Report> {
        if self.cap_add.is_empty() && self.cap_drop.is_empty() {
            return Ok(());
        }
        let kept =
            |set: &Maybe<Vec<Capability>>| set.as_ref().map(|set| set.value.clone()).unwrap_or_default();
        let mut all = kept(&before.capabilities);
        let mut of_root = kept(&before.root_capabilities);
        for name in &self.cap_drop {
            if name.eq_ignore_ascii_case("all") {
                all.clear();
                of_root.clear();
            } else {
                let gone = parsed::<Capability>("--cap-drop", name)?.value;
                all.retain(|c| *c != gone);
                of_root.retain(|c| *c != gone);
            }
        }
        for name in &self.cap_add {
            all.push(parsed::<Capability>("--cap-add", name)?.value);
        }
        let flags = self.cap_add.iter().map(|c| format!("--cap-add {c}"));
        let text = flags
            .chain(self.cap_drop.iter().map(|c| format!("--cap-drop {c}")))
            .collect::<Vec<_>>()
            .join(" ");
        let origin = Origin::flag(text);
        if !self.cap_drop.is_empty() {
            p.identity.root_capabilities = Some(Set::new(of_root, origin.clone()));
        }
        p.identity.capabilities = Some(Set::new(all, origin));
        Ok(())
    }

    fn enforcement(&self, p: &mut Profile) -> Result<(), Report> {
        for text in &self.enforce {
            let known = || Protection::ALL.map(Protection::key).join(", ");
            let (key, level) = text.split_once('=').ok_or_else(|| {
                Report::usage(format!("--enforce `{}`: write KEY=LEVEL", text.escape_debug()))
            })?;
            let protection = Protection::ALL.into_iter().find(|x| x.key() == key);
            let protection = protection.ok_or_else(|| {
                Report::usage(format!(
                    "--enforce: `{}` is no protection; they are {}",
                    key.escape_debug(),
                    known()
                ))
            })?;
            let mut level = word::<Level>("--enforce", level)?;
            level.origin = Origin::flag(format!("--enforce {text}"));
            p.enforcement.insert(protection, level);
        }
        Ok(())
    }

    /// The file of `--security-opt seccomp=FILE`; other options are refused, but for the one that is always on.
    ///
    /// # Errors
    /// For an option that is not known.
    pub fn seccomp_file(&self) -> Result<Option<&str>, Report> {
        let mut file = None;
        for option in &self.security_opt {
            match option.split_once('=') {
                Some(("seccomp", "unconfined")) => {
                    return Err(Report::usage(
                        "--security-opt seccomp=unconfined: write --enforce seccomp=off, so that it is seen",
                    ));
                }
                Some(("seccomp", path)) => file = Some(path),
                None if option == "no-new-privileges" => {}
                Some(("no-new-privileges", "true")) => {}
                _ => {
                    let shown = option.escape_debug();
                    return Err(Report::usage(format!(
                        "--security-opt `{shown}`: write seccomp=FILE or no-new-privileges"
                    )));
                }
            }
        }
        Ok(file)
    }
}

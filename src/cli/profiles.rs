//! stub
use super::report::Report;
use super::run_args::SandboxArgs;
use crate::model::*;
use crate::profile::Profile;
use crate::profile::schema::*;
/// s
#[derive(Debug)]
#[allow(missing_docs, reason = "s")]
pub struct Chosen {
    pub profile: Profile,
    pub names: String,
    pub digest: String,
}
/// s
/// # Errors
/// s
pub fn choose(args: &SandboxArgs, _: Option<&std::path::Path>, _: u32) -> Result<Chosen, Report> {
    let mut p = args.profile(&[])?;
    if p.filesystem.workdir.is_none() {
        p.filesystem.workdir = Some(Set::new(WorkdirMode::ReadOnly, Origin::Default));
    }
    p.limits.pids = Some(Set::new(256, Origin::Default));
    Ok(Chosen {
        profile: p,
        names: "strict".into(),
        digest: String::new(),
    })
}

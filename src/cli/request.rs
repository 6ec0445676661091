//! The edge: everything that a run takes from its surroundings is read here, once.

use super::report::Report;
use super::run_args::SandboxArgs;
use crate::host;
use crate::model::{Host, HostPath, Protection};
use crate::plan::{self, Facts, Plan};
use crate::policy::{self, Policy, Request, Root};
use crate::profile::schema::MapKind;
use crate::seccomp;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// What is asked, on which host.
#[derive(Debug)]
pub struct Asked {
    /// What is asked.
    pub policy: Policy,
    /// The host, as far as it was looked at.
    pub host: Host,
}

/// Reads profiles, flags and surroundings.
///
/// # Errors
/// For profiles and flags that are wrong.
pub fn ask(args: &SandboxArgs) -> Result<Asked, Report> {
    let host = host::presumed().map_err(Report::sbx)?;
    let current = std::env::current_dir().ok();
    let chosen = super::profiles::choose(args, current.as_deref(), host.caller.uid)?;
    let seccomp = args
        .seccomp_file()?
        .map(|file| read_seccomp(file, &chosen.profile, &host))
        .transpose()?;
    let request = Request {
        root: root(&args.image, current.as_deref())?,
        command: command(args),
        start_in: args.workdir.clone(),
        current,
        home: host.caller.home.clone(),
        user: host.caller.name.clone(),
        environment: std::env::vars_os().collect(),
        seccomp,
        profile: chosen.names,
        digest: chosen.digest,
    };
    let policy = policy::resolve(&chosen.profile, &request).map_err(Report::usage_of_run)?;
    Ok(Asked { policy, host })
}

fn command(args: &SandboxArgs) -> Vec<OsString> {
    // `sbx run IMAGE -- CMD`: the separator is not part of the command.
    let rest = args
        .command
        .iter()
        .skip(usize::from(args.command.first().is_some_and(|c| c == "--")));
    args.entrypoint.iter().chain(rest).cloned().collect()
}

fn root(image: &OsStr, current: Option<&std::path::Path>) -> Result<Root, Report> {
    let bytes = image.as_bytes();
    match bytes {
        b"host" => return Ok(Root::Host),
        b"scratch" => return Ok(Root::Scratch),
        _ => {}
    }
    let shown = image.display().to_string();
    let shown = shown.escape_debug();
    if !(bytes.starts_with(b"/")
        || bytes.starts_with(b"./")
        || bytes.starts_with(b"../")
        || bytes == b"."
        || bytes == b"..")
    {
        return Err(Report::sbx(format!("image `{shown}`: images from registries and archives are not supported yet"))
            .hint("run in `host`, `scratch`, or a directory that holds a root file system, written as ./path or /path"));
    }
    let path = PathBuf::from(image);
    let path = if path.is_absolute() {
        path
    } else {
        current.unwrap_or(std::path::Path::new("/")).join(path)
    };
    let real = path
        .canonicalize()
        .map_err(|e| Report::sbx(format!("image `{shown}`: {e}")))?;
    if !real.is_dir() {
        return Err(Report::sbx(format!("image `{shown}`: not a directory")));
    }
    if real == std::path::Path::new("/") {
        return Err(
            Report::sbx("image `/`: that is the host's whole tree").hint("use `host` for the host's tools")
        );
    }
    HostPath::new(real)
        .map(Root::Directory)
        .map_err(|e| Report::sbx(format!("image `{shown}`: {e}")))
}

fn read_seccomp(
    file: &str,
    profile: &crate::profile::Profile,
    host: &Host,
) -> Result<seccomp::Table, Report> {
    let shown = file.escape_debug();
    let fail = |why: String| Report::sbx(format!("--security-opt seccomp={shown}: {why}"));
    let text = std::fs::read_to_string(file).map_err(|e| fail(e.to_string()))?;
    let kept = profile
        .identity
        .capabilities
        .iter()
        .flat_map(|c| c.value.iter().copied())
        .collect();
    let _: (crate::model::CapabilitySet, _) = (kept, host.kernel);
    Err(fail(format!(
        "{} bytes of Docker's format: not supported yet",
        text.len()
    )))
}

/// Looks up what the plan needs to know, then makes it.
///
/// # Errors
/// When a required protection cannot be enforced.
pub fn plan(policy: &Policy, host: &mut Host, terminal: bool) -> Result<Plan, Report> {
    let groups = policy.enforcement.wants(Protection::Groups) && !host.caller.groups.is_empty();
    if policy.map.value == MapKind::Range || host.caller.writes_maps || groups {
        host.id_helpers = host::id_helpers(&host.caller);
    }
    let facts = Facts {
        terminal,
        ..host::sources::look_up(policy, &host.tree, &plan::places(policy))
    };
    plan::build(policy, host, &facts).map_err(|refusal| {
        let report = Report::sbx(&refusal);
        match refusal.mend() {
            Some(mend) => report.hint(mend),
            None => report,
        }
    })
}

//! The edge: everything that a run takes from its surroundings is read here, once, and what it needs on the disk is made.

mod copy;
pub(super) mod image;
mod space;
pub mod volumes;

use super::images::unpack_args;
use super::profiles::{self, Chosen};
use super::report::Report;
use super::sandbox_args::SandboxArgs;
use super::text_file::text_file;
use super::workers::Owners;
use crate::host;
use crate::image::source::Source;
use crate::image::store::Lock;
use crate::model::facts::Found;
use crate::model::host::Cgroup;
use crate::model::{Digest, Homes, Host, HostPath, Origin, Protection};
use crate::plan::{self, Facts, Kind, Plan, Room};
use crate::policy::{self, Flags, Policy, Request, Root};
use crate::profile::Profile;
use crate::profile::schema::MapKind;
use crate::sandbox::Streams;
use crate::seccomp::docker::{self, Imported};
use crate::sys::named::{self, Planted};
use image::How;
use space::Space;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use volumes::Asking;

/// What is asked, on which host.
#[derive(Debug)]
pub struct Asked {
    /// What the profiles and flags come to.
    pub profile: Profile,
    /// What that asks for here.
    pub policy: Policy,
    /// The host, as far as it was looked at.
    pub host: Host,
    /// The working directory.
    pub current: Option<PathBuf>,
    /// The volumes that are asked for, which may not be there yet.
    pub volumes: Vec<Asking>,
    /// What there is besides, where the root is an image.
    pub(super) image: Option<HeldImage>,
    /// What this run has on disk.
    pub(super) space: Space,
}

/// An image that a run holds.
#[derive(Debug)]
pub(super) struct HeldImage {
    /// Its manifest.
    pub(super) manifest: Digest,
    /// Whose its files are.
    pub(super) owners: Owners,
    /// Held as long as this process lives: nobody removes the image meanwhile.
    _kept: Lock,
}

/// Reads profiles, flags and surroundings. `quiet`: how far a pull is, is not said.
///
/// # Errors
/// For profiles and flags that are wrong.
pub fn ask(args: &SandboxArgs, quiet: bool) -> Result<Asked, Report> {
    let host = host::presumed().map_err(Report::sbx)?;
    ask_on(host, std::env::current_dir().ok(), args, quiet)
}

/// The same on a host that has been looked at, in a working directory; without one neither it nor its profile counts.
///
/// # Errors
/// As [`ask`].
pub fn ask_on(
    host: Host,
    current: Option<PathBuf>,
    args: &SandboxArgs,
    quiet: bool,
) -> Result<Asked, Report> {
    let chosen = profiles::choose(args, current.as_deref(), host.caller.uid)?;
    ask_under(chosen, host, current, args, quiet)
}

/// The same under a profile. In a frame of its own, which does not lie below that of what reads profiles: each page of the stack that a
/// start touches is copied for the child.
#[inline(never)]
fn ask_under(
    chosen: Chosen,
    mut host: Host,
    current: Option<PathBuf>,
    args: &SandboxArgs,
    quiet: bool,
) -> Result<Asked, Report> {
    let seccomp = args
        .policy
        .seccomp_file()?
        .map(|file| read_seccomp(file, &chosen.profile, &host))
        .transpose()?;
    let ignored = seccomp.as_ref().map_or(0, |s| s.ignored.len());
    let mut flags = args.flags()?;
    let mounts = args.files.mounts()?;
    // Through a bind mount the working directory has a name of its own.
    if let Some(current) = current
        .as_deref()
        .filter(|c| host::is_home_or_above(c, &host.caller.homes))
    {
        host.caller.homes.add(current.to_owned());
    }
    let asked = (&chosen.profile, &flags);
    let (root, image) = root(args, current.as_deref(), asked, &mut host, quiet)?;
    let (asking, volumes) = volumes::named(&mounts.named)?;
    flags.volumes = volumes;
    flags.anonymous = mounts.anonymous;
    let request = Request {
        root,
        entrypoint: args.process.entrypoint.clone(),
        command: command(args),
        start_in: args.files.workdir.clone(),
        current: current.clone(),
        home: host.caller.home.clone(),
        homes: host.caller.homes.clone(),
        user: host.caller.name.clone(),
        environment: std::env::vars_os().collect(),
        seccomp: seccomp.map(|s| s.table),
        profile: chosen.names,
        flags,
    };
    let mut policy = policy::resolve(&chosen.profile, &request).map_err(Report::sbx)?;
    if ignored > 0 {
        policy.notes.push(format!(
            "{ignored} names of the seccomp file are no system calls of this architecture"
        ));
    }
    Ok(Asked {
        profile: chosen.profile,
        policy,
        host,
        current,
        volumes: asking,
        image,
        space: Space::default(),
    })
}

fn command(args: &SandboxArgs) -> Vec<OsString> {
    // `sbx run IMAGE -- CMD`: the separator is not part of the command.
    let rest = args
        .command
        .iter()
        .skip(usize::from(args.command.first().is_some_and(|c| c == "--")));
    rest.cloned().collect()
}

/// What to run in.
fn root(
    args: &SandboxArgs,
    current: Option<&Path>,
    (profile, flags): (&Profile, &Flags),
    host: &mut Host,
    quiet: bool,
) -> Result<(Root, Option<HeldImage>), Report> {
    let source = Source::parse(&args.image).map_err(Report::usage)?;
    Ok(match source {
        Source::Host => (Root::Host, None),
        Source::Scratch => (Root::Scratch, None),
        Source::Directory(path) => (directory(&path, current, &host.caller.homes)?, None),
        source => {
            let map = profile
                .identity
                .map
                .as_ref()
                .map_or(MapKind::Auto, |map| map.value);
            let owners = Owners::of(map, flags.userns.as_ref(), host)?;
            let how = How {
                owners: &owners,
                when: args.images.pull,
                platform: unpack_args::platform(args.images.platform.as_deref())?,
                limits: unpack_args::limits(&args.images.image_limit)?,
                quiet,
                uid: host.caller.uid,
            };
            let ready = image::ready(&source, &how)?;
            let held = HeldImage {
                manifest: ready.manifest,
                owners,
                _kept: ready.kept,
            };
            (Root::Image(ready.image), Some(held))
        }
    })
}

fn directory(image: &Path, current: Option<&Path>, homes: &Homes) -> Result<Root, Report> {
    let shown = image.display().to_string();
    let shown = shown.escape_debug();
    let path = current.unwrap_or(Path::new("/")).join(image);
    let real = named::real(&path, &Planted::workdir());
    let real = real.map_err(|e| Report::sbx(format!("image `{shown}`: {e}")))?;
    if !real.is_dir() {
        return Err(Report::sbx(format!("image `{shown}`: not a directory")));
    }
    if real == Path::new("/") {
        return Err(
            Report::sbx("image `/`: that is the host's whole tree").hint("use `host` for the host's tools")
        );
    }
    if host::is_home_or_above(&real, homes) {
        let why = "it is your home directory, or holds it";
        return Err(Report::sbx(format!("image `{shown}`: {why}")).hint("use `host` for the host's tools"));
    }
    HostPath::new(real)
        .map(Root::Directory)
        .map_err(|e| Report::sbx(format!("image `{shown}`: {e}")))
}

/// The largest profile that is read: Docker's own is 20 KiB.
const LARGEST_SECCOMP: u64 = 1 << 20;

fn read_seccomp(file: &str, profile: &Profile, host: &Host) -> Result<Imported, Report> {
    let fail = |why: String| {
        let shown = file.escape_debug();
        Report::sbx(format!("--security-opt seccomp={shown}: {why}"))
    };
    let text = text_file(Path::new(file), LARGEST_SECCOMP).map_err(fail)?;
    let kept = profile
        .identity
        .capabilities
        .iter()
        .flat_map(|c| c.value.iter().copied())
        .collect();
    let origin = Origin::flag(format!("--security-opt seccomp={file}"));
    docker::parse(&text, &origin, kept, host.kernel).map_err(|e| fail(e.to_string()))
}

/// Looks up what the plan needs to know, then makes it.
///
/// # Errors
/// When a required protection cannot be enforced.
pub fn plan(asked: &mut Asked, own: Streams) -> Result<Plan, Report> {
    let Asked {
        policy,
        host,
        current,
        volumes,
        space,
        ..
    } = asked;
    let groups = policy.enforcement.wants(Protection::Groups) && !host.caller.groups.is_empty();
    if matches!(policy.root, Root::Image(_))
        || policy.map.value == MapKind::Range
        || policy.userns.is_some()
        || host.caller.writes_maps
        || groups
    {
        host::look_for_id_helpers(host);
    }
    if policy.limits_the_whole() && !matches!(host.cgroup, Cgroup::Refused { .. }) {
        host.cgroup = host::cgroup(policy.cgroup_parent.as_ref().map(|p| &p.value));
    }
    host.processors = host::processors();
    if policy.root == Root::Host {
        host.tree = host::tree();
    }
    let mut facts = Facts {
        terminal: own.any(),
        stream_files: own.file,
        copy: space.of(Room::Copy),
        upper: space.of(Room::Upper),
        ..host::sources::look_up(policy, &host.tree, &plan::places(policy), current.as_deref())
    };
    for volume in volumes.iter() {
        // A run makes the one that is not there yet.
        let (kind, real) = (Kind::Directory, volume.data.clone());
        let found = facts.sources.entry(volume.data.clone());
        found.or_insert(Found { kind, real });
    }
    if let Some(search) = plan::sockets_looked_up(policy, host) {
        host::sockets::look_up(policy, &mut facts, search);
    }
    plan::build(policy, host, &facts).map_err(|refusal| {
        let report = Report::sbx(&refusal);
        match refusal.mend() {
            Some(mend) => report.hint(mend),
            None => report,
        }
    })
}

/// The plan of these arguments on this host, as `run` makes it.
///
/// # Errors
/// As a run with them has, before anything happens.
pub fn planned(args: &SandboxArgs) -> Result<(Asked, Plan), Report> {
    let mut asked = ask(args, false)?;
    // A run learns it from the kernel's refusal; here nothing is mounted.
    if let Root::Image(image) = &asked.policy.root
        && asked.host.image_overlay.works()
    {
        asked.host.image_overlay = host::overlay_over(image.layers.within.as_path(), &asked.host.caller);
    }
    asked.choose_space(true)?;
    let plan = plan(&mut asked, Streams::of_this_process())?;
    Ok((asked, plan))
}

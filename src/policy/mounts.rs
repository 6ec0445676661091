//! What is mounted besides the root: binds, tmpfs, devices; what nobody means to hand over, and places that are not theirs to take.

use super::contents::{Bind, Device, Scratch, Workspace};
use super::request::{Error, Request, home_inside, refuse};
use crate::model::unit::permissions;
use crate::model::{Bytes, Homes, HostPath, InRoot, Origin, Set};
use crate::profile::Profile;
use crate::profile::schema::{Mount, MountMode, WorkdirMode};
use std::path::{Path, PathBuf};

/// Places inside that belong to sbx: what is mounted over them would hide what every run relies on.
pub(super) fn taken(target: &InRoot) -> Option<&'static str> {
    let path = target.as_path();
    if *target == InRoot::root() {
        return Some("nothing can be mounted over the root: give the directory as the image instead");
    }
    if path == Path::new("/dev") || path.starts_with("/dev/pts") {
        return Some("/dev is made of the sandbox's own devices: name a place below it, or use --device");
    }
    path.starts_with("/proc")
        .then_some("/proc is the sandbox's own: nothing can be mounted there")
}

/// The same for what is no device: every program relies on these, and so does the sandbox's own init.
pub(super) fn taken_by_devices(target: &InRoot) -> Option<&'static str> {
    let own = ["null", "zero", "full", "random", "urandom", "tty"].map(|name| Path::new("/dev").join(name));
    let is_own = own.iter().any(|own| target.as_path().starts_with(own));
    taken(target).or(is_own.then_some("it is one of the sandbox's own devices: nothing else can be there"))
}

pub(super) fn host_path(text: &str, request: &Request) -> Result<HostPath, String> {
    let path = match text.strip_prefix("~/") {
        Some(rest) => request
            .home
            .as_ref()
            .ok_or("it starts with ~/ and HOME is not known")?
            .join(rest),
        None if text == "~" => request.home.clone().ok_or("it is ~ and HOME is not known")?,
        None if text.starts_with('/') => PathBuf::from(text),
        None => request
            .current
            .as_ref()
            .ok_or("it is relative and the working directory is gone")?
            .join(text),
    };
    HostPath::new(path).map_err(|e| e.to_string())
}

/// Why a home, or a directory above one, is not mounted.
pub const HOME: &str = "it is your home directory, or holds it: name the directories that are needed";

/// Host paths that must not be mounted whole, with the reason. Checked as given and after resolving links.
#[must_use]
pub fn never_shown(source: &Path, homes: &Homes) -> Option<&'static str> {
    if source == Path::new("/") {
        return Some("it is the host's root directory: name the directories that are needed");
    }
    if homes.within(source) {
        return Some(HOME);
    }
    // Shared memory is a place for files like any other.
    if source.starts_with("/dev/shm") && source != Path::new("/dev/shm") {
        return None;
    }
    for (place, why) in [
        (
            "/proc",
            "the host's /proc shows every process: the sandbox has its own",
        ),
        ("/sys", "the host's /sys controls devices: it is not handed over"),
        ("/dev", "device nodes are given one by one, with --device"),
    ] {
        if source.starts_with(place) {
            return Some(why);
        }
    }
    homes.shows_keys(source).then_some("it holds your ssh keys")
}

/// Places of the whole machine, where agents and servers have their sockets: nobody who happens to stand there means to show them.
pub(super) fn shared(current: &Path) -> Option<&'static str> {
    let shared =
        ["/tmp", "/var/tmp", "/dev/shm"].map(Path::new).contains(&current) || current.starts_with("/run");
    shared.then_some("all programs of this machine use it: name it with -v if you mean it")
}

fn bind(mount: &Set<Mount>, request: &Request, execute_written: bool) -> Result<Set<Bind>, Error> {
    let Set { value, origin } = mount;
    let what = || format!("mount of `{}`", value.source.escape_debug());
    let source = host_path(&value.source, request).or_else(|why| refuse(what(), origin, why))?;
    if let Some(why) = never_shown(source.as_path(), &request.homes) {
        return refuse(what(), origin, why);
    }
    let target = match &value.target {
        None => InRoot::new(source.as_path()).or_else(|e| refuse(what(), origin, e.to_string()))?,
        Some(text) => {
            let text = match text.strip_prefix("~/") {
                Some(rest) => home_inside(request).as_path().join(rest),
                None => PathBuf::from(text),
            };
            InRoot::new(text).or_else(|e| refuse(what(), origin, e.to_string()))?
        }
    };
    if let Some(why) = taken_by_devices(&target) {
        return refuse(what(), origin, why);
    }
    let writable = value.mode == MountMode::Writable;
    let execute = value.execute.unwrap_or(!writable || execute_written);
    Ok(Set::new(
        Bind {
            source,
            target,
            writable,
            execute,
            optional: value.optional,
        },
        origin.clone(),
    ))
}

pub(super) fn binds(
    profile: &Profile,
    request: &Request,
    workspace: &Workspace,
    execute_written: bool,
) -> Result<Vec<Set<Bind>>, Error> {
    let mut all: Vec<Set<Bind>> = Vec::new();
    if let (Some(source), WorkdirMode::ReadOnly | WorkdirMode::Writable) =
        (&workspace.source, workspace.mode.value)
    {
        let writable = workspace.mode.value == WorkdirMode::Writable;
        let target = InRoot::new(source.as_path())
            .or_else(|e| refuse("the working directory", &workspace.mode.origin, e.to_string()))?;
        let bind = Bind {
            source: source.clone(),
            target,
            writable,
            execute: !writable || execute_written,
            optional: false,
        };
        all.push(Set::new(bind, workspace.mode.origin.clone()));
    }
    for mount in &profile.filesystem.mounts {
        let new = bind(mount, request, execute_written)?;
        all.retain(|old| old.value.target != new.value.target);
        all.push(new);
    }
    for volume in &request.flags.volumes {
        let Set { value, origin } = volume;
        if let Some(why) = taken_by_devices(&value.target) {
            return refuse(format!("volume at {}", value.target), origin, why);
        }
        all.retain(|old| old.value.target != value.target);
        let bind = Bind {
            source: value.source.clone(),
            target: value.target.clone(),
            writable: value.writable,
            execute: !value.writable || execute_written,
            optional: false,
        };
        all.push(Set::new(bind, origin.clone()));
    }
    all.sort_by_key(|b| b.value.target.as_path().components().count());
    Ok(all)
}

/// One place, one mount: a flag takes the place of what a profile has there. Two of a kind stand in no order that says which is meant.
pub(super) fn apart(binds: &mut Vec<Set<Bind>>, scratch: &mut Vec<Set<Scratch>>) -> Result<(), Error> {
    let by_flag = |origin: &Origin| matches!(origin, Origin::Flag { .. });
    for Set { value, origin } in scratch.iter() {
        let mut same = binds.iter().filter(|bind| bind.value.target == value.target);
        if let Some(bind) = same.find(|bind| by_flag(&bind.origin) == by_flag(origin)) {
            let why = format!("{} has a mount there too: leave one of them out", bind.origin);
            return refuse(format!("tmpfs at {}", value.target), origin, why);
        }
    }
    scratch.retain(|tmpfs| {
        let hidden = |bind: &Set<Bind>| bind.value.target == tmpfs.value.target && by_flag(&bind.origin);
        !binds.iter().any(hidden)
    });
    binds.retain(|bind| {
        !scratch
            .iter()
            .any(|tmpfs| tmpfs.value.target == bind.value.target)
    });
    Ok(())
}

/// What is told of volumes without a name.
pub(super) fn vanishing(anonymous: &[InRoot], scratch: &[Set<Scratch>]) -> Option<String> {
    let mut places = anonymous.iter().map(ToString::to_string).collect::<Vec<_>>();
    places.dedup();
    let size = scratch
        .iter()
        .find(|s| anonymous.contains(&s.value.target))?
        .value
        .size;
    Some(format!(
        "what is written to {} vanishes with the sandbox, and may be {size}: a volume stays when it has a name (-v NAME:DST)",
        places.join(", ")
    ))
}

/// Hidden paths. What every run is made of cannot be.
pub(super) fn masked(profile: &Profile) -> Result<Vec<Set<InRoot>>, Error> {
    let all = &profile.filesystem.masked;
    let whole = ["/", "/dev"].map(Path::new);
    match all.iter().find(|path| whole.contains(&path.value.as_path())) {
        None => Ok(all.clone()),
        Some(path) => refuse(
            format!("filesystem.masked `{}`", path.value),
            &path.origin,
            "no command could run without it: name what is to be hidden below it",
        ),
    }
}

pub(super) fn scratch(
    profile: &Profile,
    size: Bytes,
    execute_written: bool,
) -> Result<Vec<Set<Scratch>>, Error> {
    let mut all = Vec::new();
    for tmpfs in &profile.filesystem.tmpfs {
        let Set { value, origin } = tmpfs;
        let mode = match value.mode.as_deref().map(|text| (text, permissions(text))) {
            None => 0o1777,
            Some((_, Some(bits))) => bits,
            Some((text, None)) => {
                let what = format!("tmpfs mode `{}`", text.escape_debug());
                return refuse(what, origin, "write octal digits up to 1777");
            }
        };
        if let Some(why) = taken_by_devices(&value.target) {
            return refuse(format!("tmpfs at {}", value.target), origin, why);
        }
        let (size, execute) = (
            value.size.unwrap_or(size),
            value.execute.unwrap_or(execute_written),
        );
        all.push(Set::new(
            Scratch {
                target: value.target.clone(),
                size,
                inodes: value.inodes,
                mode,
                execute,
            },
            origin.clone(),
        ));
    }
    all.sort_by_key(|s: &Set<Scratch>| s.value.target.as_path().components().count());
    Ok(all)
}

pub(super) fn devices(profile: &Profile) -> Result<Vec<Set<Device>>, Error> {
    profile
        .filesystem
        .devices
        .iter()
        .map(|set| {
            let Set { value, origin } = set;
            let what = || format!("device `{}`", value.source.escape_debug());
            let source = HostPath::new(&value.source).or_else(|e| refuse(what(), origin, e.to_string()))?;
            if !source.as_path().starts_with("/dev")
                || source.as_path().components().any(|c| c.as_os_str() == "..")
            {
                return refuse(what(), origin, "devices are nodes under /dev");
            }
            let target = match &value.target {
                Some(target) => target.clone(),
                None => InRoot::new(source.as_path()).or_else(|e| refuse(what(), origin, e.to_string()))?,
            };
            if let Some(why) = taken(&target) {
                return refuse(what(), origin, why);
            }
            Ok(Set::new(
                Device {
                    source,
                    target,
                    optional: value.optional,
                },
                origin.clone(),
            ))
        })
        .collect()
}

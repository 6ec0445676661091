//! Resolving: every optional value of a profile gets its meaning here, and contradictions end here.

use super::contents::{Bind, Device, Enforcement, Limit, Policy, Scratch, Workspace};
use super::environment;
use super::limits::Resource;
use crate::model::{Bytes, CapabilitySet, HostPath, InRoot, Origin, Protection, Set};
use crate::profile::schema::{
    Execute, HomeMode, MapKind, Maybe, Mount, MountMode, NetworkMode, ProcMode, Profile, RootMode,
    TerminalMode, UserSpec, WorkdirMode,
};
use crate::seccomp;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What the sandbox's root is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// The host's own tools, read-only.
    Host,
    /// A directory that holds a root file system.
    Directory(HostPath),
    /// Nothing.
    Scratch,
}

/// What a run is asked to do, besides its profile. All of it was read at the edge.
#[derive(Debug, Clone)]
pub struct Request {
    /// What to run in.
    pub root: Root,
    /// The command and its arguments, `--entrypoint` already in front.
    pub command: Vec<OsString>,
    /// `-w`
    pub start_in: Option<PathBuf>,
    /// The caller's working directory; `None` when it was deleted.
    pub current: Option<PathBuf>,
    /// The caller's home directory.
    pub home: Option<PathBuf>,
    /// The caller's login name.
    pub user: Option<String>,
    /// The caller's environment.
    pub environment: Vec<(OsString, OsString)>,
    /// A seccomp table read from Docker's format, in place of the profile's.
    pub seccomp: Option<seccomp::Table>,
    /// The names of the profiles, for people.
    pub profile: String,
    /// SHA-256 of what they come to.
    pub digest: String,
}

/// A contradiction, or something that is not there yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A value cannot be used.
    #[error("{what} ({origin}): {why}")]
    Value {
        /// The value.
        what: String,
        /// Who set it.
        origin: Origin,
        /// What would be right.
        why: String,
    },
    /// Nothing to run.
    #[error("no command: write it behind the image, for example `sbx run host -- ls`")]
    NoCommand,
    /// The system call table.
    #[error(transparent)]
    Syscalls(#[from] seccomp::SpecError),
}

fn refuse<T>(what: impl Into<String>, origin: &Origin, why: impl Into<String>) -> Result<T, Error> {
    Err(Error::Value {
        what: what.into(),
        origin: origin.clone(),
        why: why.into(),
    })
}

fn or<T: Clone>(value: &Maybe<T>, default: T) -> Set<T> {
    value.clone().unwrap_or(Set::new(default, Origin::Default))
}

/// Turns a merged profile and a request into a policy.
///
/// # Errors
/// For contradictions and for what this version cannot do; never for what a host lacks, which is the plan's business.
pub fn resolve(profile: &Profile, request: &Request) -> Result<Policy, Error> {
    if request.command.is_empty() {
        return Err(Error::NoCommand);
    }
    let network = network(profile)?;
    let root_mode = or(&profile.filesystem.root, RootMode::ReadOnly);
    if root_mode.value == RootMode::Kept {
        return refuse(
            "filesystem.root = \"kept\"",
            &root_mode.origin,
            "not supported yet; use read-only or ephemeral",
        );
    }
    let enforcement = Enforcement(profile.enforcement.clone());
    let home_mode = or(&profile.filesystem.home, HomeMode::Empty);
    let home = home_inside(request);
    let mut notes = Vec::new();
    let workspace = workspace(profile, request, &mut notes)?;
    let execute_written = or(&profile.filesystem.execute, Execute::ReadOnlyPlaces).value == Execute::Anywhere;
    let tmp = or(&profile.filesystem.tmp, Bytes(64 << 20));
    let scratch = scratch(profile, tmp.value, execute_written)?;
    let binds = binds(profile, request, &workspace, execute_written)?;
    let syscalls = match (&request.seccomp, enforcement.wants(Protection::Seccomp)) {
        (_, false) => None,
        (Some(table), true) => Some(table.clone()),
        (None, true) => Some(table(profile)?),
    };
    let start_in = start_in(request, &workspace, &home, home_mode.value)?;
    Ok(Policy {
        profile: request.profile.clone(),
        digest: request.digest.clone(),
        root: request.root.clone(),
        root_mode,
        map: or(&profile.identity.map, MapKind::Auto),
        user: or(&profile.identity.user, UserSpec::Image),
        capabilities: capabilities(profile)?,
        start_in,
        proc: or(&profile.filesystem.proc, ProcMode::OwnProcesses),
        binds,
        scratch,
        tmp,
        execute_written,
        devices: devices(profile)?,
        masked: profile.filesystem.masked.clone(),
        network,
        syscalls,
        limits: limits(profile)?,
        memory: profile.limits.memory.clone(),
        cpu: profile.limits.cpu.clone(),
        time: profile.limits.time.clone(),
        environment: environment::build(
            &profile.environment,
            &request.environment,
            &home,
            request.user.as_deref(),
        ),
        home: (home, home_mode),
        workspace,
        terminal: or(&profile.terminal.mode, TerminalMode::Auto),
        hostname: hostname(profile)?,
        init: or(&profile.namespaces.init, true),
        command: request.command.clone(),
        enforcement,
        notes,
    })
}

fn network(profile: &Profile) -> Result<Set<NetworkMode>, Error> {
    let mode = or(&profile.network.mode, NetworkMode::None);
    if matches!(mode.value, NetworkMode::Gateway | NetworkMode::Nat) {
        return refuse(
            "this network mode",
            &mode.origin,
            "not supported yet; use none or host",
        );
    }
    if let Some(rule) = profile.network.allow.first() {
        return refuse(
            format!("network.allow `{}`", rule.value),
            &rule.origin,
            "rules by name are not supported yet",
        );
    }
    if let Some(port) = profile.network.publish.first() {
        return refuse(
            format!("port `{}`", port.value),
            &port.origin,
            "published ports are not supported yet",
        );
    }
    Ok(mode)
}

fn table(profile: &Profile) -> Result<seccomp::Table, Error> {
    let families = profile
        .syscalls
        .socket_families
        .clone()
        .map(|f| f.value)
        .unwrap_or_default();
    Ok(seccomp::resolve(&seccomp::Spec {
        allow: &profile.syscalls.allow,
        deny: &profile.syscalls.deny,
        guards: &profile.syscalls.guards,
        socket_families: &families,
    })?)
}

fn capabilities(profile: &Profile) -> Result<Set<CapabilitySet>, Error> {
    let wanted = or(&profile.identity.capabilities, Vec::new());
    if let Some(bad) = wanted.value.iter().find(|c| c.undoes_the_sandbox()) {
        return refuse(
            format!("capability {bad}"),
            &wanted.origin,
            "it would let the command undo the sandbox; leave it out",
        );
    }
    Ok(wanted.map(|list| list.into_iter().collect()))
}

fn hostname(profile: &Profile) -> Result<Set<String>, Error> {
    let name = or(&profile.namespaces.hostname, "sbx".to_owned());
    let fine = (1..=64).contains(&name.value.len())
        && name
            .value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
        && !name.value.starts_with('-');
    if !fine {
        let what = format!("host name `{}`", name.value.escape_debug());
        return refuse(
            what,
            &name.origin,
            "use 1 to 64 letters, digits, dots and hyphens",
        );
    }
    Ok(name)
}

/// The caller's home keeps its path inside, so that programs find what a mount puts there. Everyone else has `/home/user`.
fn home_inside(request: &Request) -> InRoot {
    let fallback = || InRoot::new("/home/user").unwrap_or_else(|_| InRoot::root());
    match request.home.as_deref().map(InRoot::new) {
        Some(Ok(home)) if home != InRoot::root() => home,
        _ => fallback(),
    }
}

/// The working directory, unless handing it over would hand over the whole home or more (`cd; sbx run …`).
fn workspace(profile: &Profile, request: &Request, notes: &mut Vec<String>) -> Result<Workspace, Error> {
    let mode = or(&profile.filesystem.workdir, WorkdirMode::None);
    let none = |mode: Set<WorkdirMode>| Workspace {
        mode: mode.map(|_| WorkdirMode::None),
        source: None,
    };
    // An image brings its own tree: the caller's directory is added to it only when a flag asks, as with docker and podman.
    let asked = request.root == Root::Host || matches!(mode.origin, Origin::Flag { .. });
    if mode.value == WorkdirMode::None || !asked {
        return Ok(none(mode));
    }
    let Some(current) = &request.current else {
        notes.push("the working directory has been deleted, so there is none inside".into());
        return Ok(none(mode));
    };
    let too_much = current == Path::new("/")
        || request
            .home
            .as_ref()
            .is_some_and(|home| home.starts_with(current));
    if too_much {
        let what = if current == Path::new("/") {
            "the root directory"
        } else {
            "your home directory or holds it"
        };
        notes.push(format!(
            "the working directory is {what}, so it is not shown inside; start sbx in a directory of its own, or use -v"
        ));
        return Ok(none(mode));
    }
    match HostPath::new(current.clone()) {
        Ok(source) => Ok(Workspace {
            mode,
            source: Some(source),
        }),
        Err(e) => refuse("the working directory", &mode.origin, e.to_string()),
    }
}

fn start_in(
    request: &Request,
    workspace: &Workspace,
    home: &InRoot,
    home_mode: HomeMode,
) -> Result<InRoot, Error> {
    if let Some(asked) = &request.start_in {
        let origin = Origin::flag(format!("-w {}", asked.display()));
        return InRoot::new(asked).or_else(|e| refuse("the directory to start in", &origin, e.to_string()));
    }
    if let Some(source) = &workspace.source {
        return InRoot::new(source.as_path())
            .or_else(|e| refuse("the working directory", &workspace.mode.origin, e.to_string()));
    }
    match (&request.root, home_mode) {
        (Root::Host, HomeMode::Empty) => Ok(home.clone()),
        _ => Ok(InRoot::root()),
    }
}

fn host_path(text: &str, request: &Request) -> Result<HostPath, String> {
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

/// What nobody means to hand over whole. A symbolic link to it is caught when the source is opened.
fn forbidden(source: &Path, request: &Request) -> Option<&'static str> {
    let home = request.home.as_deref();
    if source == Path::new("/") {
        return Some("it is the host's root directory: name the directories that are needed");
    }
    if home.is_some_and(|home| home != Path::new("/") && home.starts_with(source)) {
        return Some("it is your home directory, or holds it: name the directories that are needed");
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
    home.map(|home| home.join(".ssh"))
        .is_some_and(|ssh| source.starts_with(ssh))
        .then_some("it holds your ssh keys")
}

fn bind(mount: &Set<Mount>, request: &Request, execute_written: bool) -> Result<Set<Bind>, Error> {
    let Set { value, origin } = mount;
    let what = || format!("mount of `{}`", value.source.escape_debug());
    let source = host_path(&value.source, request).or_else(|why| refuse(what(), origin, why))?;
    if let Some(why) = forbidden(source.as_path(), request) {
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
    if target == InRoot::root() {
        return refuse(
            what(),
            origin,
            "nothing can be mounted over the root: give the directory as the image instead",
        );
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

fn binds(
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
    all.sort_by_key(|b| b.value.target.as_path().components().count());
    Ok(all)
}

fn scratch(profile: &Profile, size: Bytes, execute_written: bool) -> Result<Vec<Set<Scratch>>, Error> {
    let mut all = Vec::new();
    for tmpfs in &profile.filesystem.tmpfs {
        let Set { value, origin } = tmpfs;
        let mode = match &value.mode {
            None => 0o1777,
            Some(text) => u32::from_str_radix(text, 8)
                .ok()
                .filter(|m| *m <= 0o1777)
                .map_or_else(
                    || {
                        refuse(
                            format!("tmpfs mode `{}`", text.escape_debug()),
                            origin,
                            "write octal digits, for example 1777",
                        )
                    },
                    Ok,
                )?,
        };
        if value.target == InRoot::root() {
            return refuse(
                "a tmpfs over the root",
                origin,
                "use filesystem.root = \"ephemeral\" instead",
            );
        }
        let (size, execute) = (
            value.size.unwrap_or(size),
            value.execute.unwrap_or(execute_written),
        );
        all.push(Set::new(
            Scratch {
                target: value.target.clone(),
                size,
                mode,
                execute,
            },
            origin.clone(),
        ));
    }
    all.sort_by_key(|s: &Set<Scratch>| s.value.target.as_path().components().count());
    Ok(all)
}

fn devices(profile: &Profile) -> Result<Vec<Set<Device>>, Error> {
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

/// `[limits]` and `--ulimit` as setrlimit(2) takes them; an explicit `--ulimit` wins over the limit of the same resource.
fn limits(profile: &Profile) -> Result<Vec<Set<Limit>>, Error> {
    let l = &profile.limits;
    let mut all: Vec<Set<Limit>> = Vec::new();
    let mut put = |resource, soft, hard, origin: &Origin| {
        all.retain(|old| old.value.resource != resource);
        all.push(Set::new(Limit { resource, soft, hard }, origin.clone()));
    };
    // 1, not 0: with a piped core_pattern the host's handler still runs at 0 (core(5)).
    put(Resource::Core, 1, 1, &Origin::Default);
    let pairs = [
        (Resource::Nproc, l.pids.clone()),
        (Resource::Nofile, l.open_files.clone()),
        (Resource::Fsize, l.file_size.clone().map(|s| s.map(|b| b.0))),
        (Resource::Memlock, l.locked_memory.clone().map(|s| s.map(|b| b.0))),
        // The floor under limits.memory where no cgroup can be had: no single process may hold more.
        (Resource::Data, l.memory.clone().map(|s| s.map(|b| b.0))),
    ];
    for (resource, limit) in pairs {
        if let Some(limit) = limit {
            put(resource, limit.value, limit.value, &limit.origin);
        }
    }
    for (name, limit) in &l.ulimits {
        let Some(resource) = Resource::named(name) else {
            let why = format!("the names are {}", Resource::names());
            return refuse(format!("ulimit `{}`", name.escape_debug()), &limit.origin, why);
        };
        if limit.value.soft > limit.value.hard {
            return refuse(
                format!("ulimit `{name}`"),
                &limit.origin,
                "the soft limit is above the hard one",
            );
        }
        put(resource, limit.value.soft, limit.value.hard, &limit.origin);
    }
    Ok(all)
}

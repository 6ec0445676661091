//! Resolving: every optional value of a profile gets its meaning here, and contradictions end here.

use super::contents::{Enforcement, Limit, Policy, Workspace};
use super::limits::{Resource, data_backstop};
use super::request::{Error, Request, Root, home_inside, refuse};
use super::{environment, image, mounts, whole};
use crate::model::{Capability, CapabilitySet, HostPath, InRoot, Origin, Protection, Set};
use crate::profile::schema::{
    Execute, HomeMode, MapKind, Maybe, NetworkMode, ProcMode, Profile, RootMode, StreamFiles, TMP,
    TerminalMode, UpperPlace, UserSpec, WithoutOverlay, WorkdirMode,
};
use crate::seccomp;

fn or<T: Clone>(value: &Maybe<T>, default: T) -> Set<T> {
    value.clone().unwrap_or(Set::new(default, Origin::Default))
}

/// Turns a merged profile and a request into a policy.
///
/// # Errors
/// For contradictions and for what this version cannot do; never for what a host lacks, which is the plan's business.
pub fn resolve(profile: &Profile, request: &Request) -> Result<Policy, Error> {
    let command = image::command(request)?;
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
    let tmp = or(&profile.filesystem.tmp, TMP);
    let mut binds = mounts::binds(profile, request, &workspace, execute_written)?;
    let mut scratch = mounts::scratch(profile, tmp.value, execute_written)?;
    mounts::apart(&mut binds, &mut scratch)?;
    if root_mode.value == RootMode::ReadOnly {
        image::volumes(
            request,
            &binds,
            &mut scratch,
            &mut notes,
            (tmp.value, execute_written),
        );
    }
    notes.extend(mounts::vanishing(&request.flags.anonymous, &scratch));
    surroundings(request, network.value)?;
    let syscalls = match (&request.seccomp, enforcement.wants(Protection::Seccomp)) {
        (_, false) => None,
        (Some(table), true) => Some(table.clone()),
        (None, true) => Some(table(profile)?),
    };
    let start_in = start_in(request, &workspace, &home, home_mode.value)?;
    Ok(Policy {
        profile: request.profile.clone(),
        root: request.root.clone(),
        root_mode,
        upper: or(&profile.filesystem.upper, UpperPlace::Memory),
        upper_size: profile.filesystem.upper_size.clone(),
        without_overlay: or(&profile.filesystem.without_overlay, WithoutOverlay::Copy),
        map: or(&profile.identity.map, MapKind::Auto),
        user: image::user(or(&profile.identity.user, UserSpec::Image), request),
        userns: request.flags.userns.clone(),
        groups: request.flags.groups.clone(),
        capabilities: capabilities(&profile.identity.capabilities)?,
        root_capabilities: capabilities(&profile.identity.root_capabilities)?,
        start_in,
        proc: or(&profile.filesystem.proc, ProcMode::OwnProcesses),
        binds,
        scratch,
        shm: request.flags.shm.clone().unwrap_or_else(|| tmp.clone()),
        tmp,
        execute_written,
        devices: mounts::devices(profile)?,
        masked: mounts::masked(profile)?,
        network,
        connect: request.flags.connect.clone(),
        hosts: request.flags.hosts.clone(),
        dns: request.flags.dns.clone(),
        syscalls,
        limits: limits(profile)?,
        memory: whole::memory(profile)?,
        memory_high: whole::memory_high(profile)?,
        swap: whole::swap(profile, request)?,
        pids: whole::pids(profile),
        cpu: profile.limits.cpu.clone(),
        cpu_weight: profile.limits.cpu_weight.clone(),
        io: whole::io(profile, request)?,
        processors: whole::processors(profile, request),
        cgroup_parent: request.flags.cgroup_parent.clone(),
        time: whole::time(profile)?,
        output: whole::output(profile)?,
        environment: environment::build(&profile.environment, request, &home),
        home: (home, home_mode),
        homes: request.homes.clone(),
        workspace,
        terminal: or(&profile.terminal.mode, TerminalMode::Auto),
        stream_files: or(&profile.terminal.files, StreamFiles::Pass),
        hostname: hostname(profile)?,
        init: or(&profile.namespaces.init, true),
        stop_signal: image::stop_signal(request),
        command,
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

/// Files in `/etc` are made for the host's tools and for images; a directory is shown as it is.
fn surroundings(request: &Request, network: NetworkMode) -> Result<(), Error> {
    let flags = &request.flags;
    if let (Some(server), NetworkMode::None) = (flags.dns.first(), network) {
        let why = "there is no network, so no server can be asked: add --network host, or name hosts with --add-host";
        return refuse(format!("name server {}", server.value), &server.origin, why);
    }
    if let (Some(port), NetworkMode::None) = (flags.connect.first(), network) {
        let why = "there is no network to connect over: add --network host";
        return refuse(format!("port {}", port.value), &port.origin, why);
    }
    let origin = flags.hosts.first().map(|host| &host.origin);
    let origin = origin.or(flags.dns.first().map(|server| &server.origin));
    match (&request.root, origin) {
        (Root::Directory(_) | Root::Scratch, Some(origin)) => refuse(
            "a name for an address",
            origin,
            "a directory has its own /etc, which is shown as it is: write it there",
        ),
        _ => Ok(()),
    }
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

fn capabilities(wanted: &Maybe<Vec<Capability>>) -> Result<Set<CapabilitySet>, Error> {
    let wanted = or(wanted, Vec::new());
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
    if let Some(why) = mounts::never_shown(current, &request.homes).or_else(|| mounts::shared(current)) {
        notes.push(format!("the working directory is not shown inside: {why}"));
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
        (Root::Image(image), _) => image::start_in(image),
        (Root::Host, HomeMode::Empty) => Ok(home.clone()),
        _ => Ok(InRoot::root()),
    }
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
        // Kept only where no cgroup counts limits.memory.
        (Resource::Data, l.memory.clone().map(|s| s.map(data_backstop))),
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

//! A profile that lies in the directory being worked on comes from whoever wrote that directory: it may take away, never give.

use super::diagnostic::{Error, Source};
use super::read::read;
use super::schema::{
    Filesystem, IoLimit, MapKind, Maybe, Profile, StreamFiles, TMP, UpperPlace, WithoutOverlay,
};
use super::words::Word;
use crate::model::{Bytes, Level, Origin, Processors, Set};

/// A widening: which key, what it would become, who says so.
type Widening<'a> = (&'static str, &'a Origin);

/// Merges a local profile that only tightens.
///
/// # Errors
/// At the first value that would widen, underlined; for `extends`, and for every fault of an ordinary profile.
pub fn tighten(base: &Profile, local: &Source) -> Result<Profile, Error> {
    let parsed = read(local)?;
    if let Some(first) = parsed.extends.first() {
        return Err(refuse(local, "extends", &first.origin));
    }
    match widening(base, &parsed.profile) {
        Some((key, origin)) => Err(refuse(local, key, origin)),
        None => Ok(base.clone().merge(parsed.profile)),
    }
}

fn refuse(local: &Source, key: &str, origin: &Origin) -> Error {
    let Origin::File { line, .. } = origin else {
        return Error::whole(&local.name, format!("`{key}` widens"), None);
    };
    let line = usize::try_from(*line).unwrap_or(1);
    let start = local
        .text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum::<usize>();
    let text = local
        .text
        .get(start..)
        .and_then(|t| t.lines().next())
        .unwrap_or_default();
    let indent = text.len() - text.trim_start().len();
    let span = start + indent..start + text.trim_end().len();
    let help = "a profile found in the working directory may only tighten; use --profile FILE if you mean it";
    local.fault(
        span,
        format!("`{key}` would widen the profile in force"),
        Some(help.to_owned()),
    )
}

/// The first value of `local` that gives more than `base` does.
///
/// What only adds to what may be done is a widening whenever it is there at all: mounts, devices, system calls, capabilities, passed
/// variables. So is a fixed variable: `LD_PRELOAD` and `PATH` choose what is executed.
#[must_use]
pub fn widening<'a>(base: &Profile, local: &'a Profile) -> Option<Widening<'a>> {
    let (b, l) = (base, local);
    other("identity.map", &b.identity.map, MapKind::Auto, &l.identity.map)
        .or_else(|| {
            l.identity
                .user
                .as_ref()
                .filter(|u| b.identity.user.as_ref().is_none_or(|o| o.value != u.value))
                .map(|u| ("identity.user", &u.origin))
        })
        .or_else(|| {
            more_of(
                "identity.capabilities",
                &b.identity.capabilities,
                &l.identity.capabilities,
            )
        })
        .or_else(|| {
            more_of(
                "identity.root-capabilities",
                &b.identity.root_capabilities,
                &l.identity.root_capabilities,
            )
        })
        .or_else(|| rank("filesystem.root", &b.filesystem.root, &l.filesystem.root))
        .or_else(|| rank("filesystem.workdir", &b.filesystem.workdir, &l.filesystem.workdir))
        .or_else(|| rank("filesystem.home", &b.filesystem.home, &l.filesystem.home))
        .or_else(|| rank("filesystem.proc", &b.filesystem.proc, &l.filesystem.proc))
        .or_else(|| rank("filesystem.execute", &b.filesystem.execute, &l.filesystem.execute))
        .or_else(|| {
            let held = Some(Set::new(tmp(&b.filesystem), Origin::Default));
            above("filesystem.tmp", &held, &l.filesystem.tmp)
        })
        .or_else(|| rank("filesystem.upper", &b.filesystem.upper, &l.filesystem.upper))
        .or_else(|| larger_upper(&b.filesystem, &l.filesystem))
        .or_else(|| {
            other(
                "filesystem.without-overlay",
                &b.filesystem.without_overlay,
                WithoutOverlay::Copy,
                &l.filesystem.without_overlay,
            )
        })
        .or_else(|| any("filesystem.mounts", &l.filesystem.mounts))
        .or_else(|| any("filesystem.tmpfs", &l.filesystem.tmpfs))
        .or_else(|| any("filesystem.devices", &l.filesystem.devices))
        .or_else(|| rank("network.mode", &b.network.mode, &l.network.mode))
        .or_else(|| any("network.allow", &l.network.allow))
        .or_else(|| any("network.publish", &l.network.publish))
        .or_else(|| any("syscalls.allow", &l.syscalls.allow))
        .or_else(|| {
            l.syscalls
                .deny
                .values()
                .find(|e| e.value == "0")
                .map(|e| ("syscalls.deny", &e.origin))
        })
        .or_else(|| {
            more_of(
                "syscalls.socket-families",
                &b.syscalls.socket_families,
                &l.syscalls.socket_families,
            )
        })
        .or_else(|| limits(b, l))
        .or_else(|| any("environment.pass", &l.environment.pass))
        .or_else(|| {
            l.environment
                .set
                .values()
                .next()
                .map(|s| ("environment.set", &s.origin))
        })
        .or_else(|| rank("terminal.mode", &b.terminal.mode, &l.terminal.mode))
        .or_else(|| {
            let held = b.terminal.files.clone();
            let held = held.or_else(|| Some(Set::new(StreamFiles::Pass, Origin::Default)));
            rank("terminal.files", &held, &l.terminal.files)
        })
        .or_else(|| {
            l.namespaces
                .init
                .as_ref()
                .filter(|i| !i.value)
                .map(|i| ("namespaces.init", &i.origin))
        })
        .or_else(|| enforcement(b, l))
}

/// A value that is not the one in force, where none is tighter than another. A range has more ids than the caller's map, but its
/// command runs as an id that owns nothing; fuse-overlayfs is more code than a copy, but a copy has no size limit.
fn other<'a, T: PartialEq + Copy>(
    key: &'static str,
    base: &Maybe<T>,
    default: T,
    local: &'a Maybe<T>,
) -> Option<Widening<'a>> {
    let local = local.as_ref()?;
    let held = base.as_ref().map_or(default, |b| b.value);
    (local.value != held).then_some((key, &local.origin))
}

/// Modes are listed from the tightest to the widest in [`super::words`].
fn rank<'a, T: Word>(key: &'static str, base: &Maybe<T>, local: &'a Maybe<T>) -> Option<Widening<'a>> {
    let place = |value: T| T::WORDS.iter().position(|(_, v)| *v == value);
    let local = local.as_ref()?;
    let allowed = base.as_ref().map_or(Some(0), |b| place(b.value));
    (place(local.value) > allowed).then_some((key, &local.origin))
}

fn above<'a, T: Ord>(key: &'static str, base: &Maybe<T>, local: &'a Maybe<T>) -> Option<Widening<'a>> {
    let local = local.as_ref()?;
    base.as_ref()
        .is_some_and(|b| local.value > b.value)
        .then_some((key, &local.origin))
}

fn any<'a, T>(key: &'static str, local: &'a [Set<T>]) -> Option<Widening<'a>> {
    local.first().map(|first| (key, &first.origin))
}

fn more_of<'a, T: PartialEq>(
    key: &'static str,
    base: &Maybe<Vec<T>>,
    local: &'a Maybe<Vec<T>>,
) -> Option<Widening<'a>> {
    let local = local.as_ref()?;
    let held = |x: &T| base.as_ref().is_some_and(|b| b.value.contains(x));
    (!local.value.iter().all(held)).then_some((key, &local.origin))
}

fn tmp(of: &Filesystem) -> Bytes {
    of.tmp.as_ref().map_or(TMP, |tmp| tmp.value)
}

/// Where nothing is said, a layer in memory holds as much as `tmp`, and one on the disk has no limit that could be passed. What may go
/// to the disk may not go to memory instead, which is scarcer.
fn larger_upper<'a>(base: &Filesystem, local: &'a Filesystem) -> Option<Widening<'a>> {
    let disk = |upper: &Maybe<UpperPlace>| upper.as_ref().is_some_and(|u| u.value == UpperPlace::Disk);
    let held = base.upper_size.as_ref().map(|size| size.value);
    match (disk(&base.upper), &local.upper, &local.upper_size) {
        (true, Some(upper), size) if upper.value == UpperPlace::Memory => {
            let new = size.as_ref().map(|size| size.value).or(held)?;
            (new > tmp(base)).then_some(("filesystem.upper", &upper.origin))
        }
        (disk, _, Some(new)) => {
            let held = held.or((!disk).then_some(tmp(base)))?;
            (new.value > held).then_some(("filesystem.upper-size", &new.origin))
        }
        _ => None,
    }
}

fn limits<'a>(base: &Profile, local: &'a Profile) -> Option<Widening<'a>> {
    let (b, l) = (&base.limits, &local.limits);
    above("limits.memory", &b.memory, &l.memory)
        .or_else(|| above("limits.memory-high", &b.memory_high, &l.memory_high))
        .or_else(|| above_none("limits.swap", &b.swap, &l.swap))
        .or_else(|| above("limits.pids", &b.pids, &l.pids))
        .or_else(|| above("limits.cpu", &b.cpu, &l.cpu))
        .or_else(|| {
            above(
                "limits.cpu-weight",
                &b.cpu_weight.clone().or_else(everybodys),
                &l.cpu_weight,
            )
        })
        .or_else(|| other_processors(b.processors.as_ref(), l.processors.as_ref()))
        .or_else(|| faster(&b.io, &l.io))
        .or_else(|| above("limits.time", &b.time, &l.time))
        .or_else(|| above("limits.output", &b.output, &l.output))
        .or_else(|| above("limits.open-files", &b.open_files, &l.open_files))
        .or_else(|| above("limits.file-size", &b.file_size, &l.file_size))
        .or_else(|| above("limits.locked-memory", &b.locked_memory, &l.locked_memory))
        .or_else(|| l.ulimits.values().next().map(|u| ("limits.ulimits", &u.origin)))
}

/// The weight of whoever says nothing.
fn everybodys() -> Maybe<u64> {
    Some(Set::new(100, Origin::Default))
}

/// What nobody has spoken of is not allowed at all.
fn above_none<'a>(key: &'static str, base: &Maybe<Bytes>, local: &'a Maybe<Bytes>) -> Option<Widening<'a>> {
    let local = local.as_ref()?;
    let held = base.as_ref().map_or(Bytes(0), |b| b.value);
    (local.value > held).then_some((key, &local.origin))
}

fn other_processors<'a>(
    base: Option<&Set<Processors>>,
    local: Option<&'a Set<Processors>>,
) -> Option<Widening<'a>> {
    let (base, local) = (base?, local?);
    let held = |n: &u32| base.value.numbers().contains(n);
    (!local.value.numbers().iter().all(held)).then_some(("limits.processors", &local.origin))
}

/// An entry for the same path takes the place of the earlier one, with all its rates.
fn faster<'a>(base: &[Set<IoLimit>], local: &'a [Set<IoLimit>]) -> Option<Widening<'a>> {
    let wider = |new: &&Set<IoLimit>| {
        let same = base.iter().filter(|old| old.value.path == new.value.path);
        same.flat_map(|old| old.value.rates().into_iter().zip(new.value.rates()))
            .any(|((_, old), (_, new))| old.is_some_and(|old| new.is_none_or(|new| new > old)))
    };
    let found = local.iter().find(wider)?;
    Some(("limits.io", &found.origin))
}

fn enforcement<'a>(base: &Profile, local: &'a Profile) -> Option<Widening<'a>> {
    let weight = |level: Level| match level {
        Level::Off => 0,
        Level::Prefer => 1,
        Level::Require => 2,
    };
    local.enforcement.iter().find_map(|(protection, level)| {
        let held = base
            .enforcement
            .get(protection)
            .map_or(Level::Prefer, |l| l.value);
        (weight(level.value) < weight(held)).then_some(("enforcement", &level.origin))
    })
}

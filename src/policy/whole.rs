//! What of `[limits]` holds for the sandbox as a whole, and its flags.

use super::limits::{Io, Swap};
use super::mounts;
use super::request::{Error, Request, refuse};
use crate::model::{Bytes, Origin, Processors, Set, Span};
use crate::profile::Profile;
use crate::profile::schema::IoLimit;

/// docker's own floor: below it not even a shell starts, and what says so would be the kernel.
const LEAST_MEMORY: Bytes = Bytes(6 << 20);

pub(super) fn memory(profile: &Profile) -> Result<Option<Set<Bytes>>, Error> {
    match &profile.limits.memory {
        Some(memory) if memory.value < LEAST_MEMORY => refuse(
            "limits.memory",
            &memory.origin,
            format!("the least is {LEAST_MEMORY}"),
        ),
        memory => Ok(memory.clone()),
    }
}

/// As many processes as the caller may have is said by `--ulimit nproc=unlimited`, which lifts what a profile says of them: a cgroup would
/// go on counting.
pub(super) fn pids(profile: &Profile) -> Option<Set<u64>> {
    let by_flag = |origin: &Origin| matches!(origin, Origin::Flag { .. });
    let nproc = profile.limits.ulimits.get("nproc");
    let lifted = nproc.is_some_and(|nproc| nproc.value.hard == u64::MAX && by_flag(&nproc.origin));
    let pids = profile.limits.pids.clone();
    pids.filter(|pids| !lifted || by_flag(&pids.origin))
}

/// No time at all is taken for no limit elsewhere (podman), and would be the end of every command here.
pub(super) fn time(profile: &Profile) -> Result<Option<Set<Span>>, Error> {
    above_nothing("limits.time", "how long", &profile.limits.time, |time| {
        time.0.is_zero()
    })
}

/// No output at all would be the end of every command that says a word.
pub(super) fn output(profile: &Profile) -> Result<Option<Set<Bytes>>, Error> {
    above_nothing("limits.output", "how much", &profile.limits.output, |most| {
        most.0 == 0
    })
}

fn above_nothing<T: Clone>(
    what: &str,
    how: &str,
    said: &Option<Set<T>>,
    nothing: impl Fn(&T) -> bool,
) -> Result<Option<Set<T>>, Error> {
    match said {
        Some(limit) if nothing(&limit.value) => refuse(
            what,
            &limit.origin,
            format!("write {how}, or leave it out for no limit"),
        ),
        limit => Ok(limit.clone()),
    }
}

/// As docker has it: of memory and swap together, so never less than the memory.
pub(super) fn swap(profile: &Profile, request: &Request) -> Result<Option<Set<Swap>>, Error> {
    let besides = || profile.limits.swap.clone().map(|s| s.map(Swap::Besides));
    let Some(swap) = request.flags.swap.clone().or_else(besides) else {
        return Ok(None);
    };
    match (&profile.limits.memory, swap.value) {
        (None, _) => refuse(
            "swap",
            &swap.origin,
            "it is counted with the memory: add limits.memory (--memory)",
        ),
        (Some(memory), Swap::Together(both)) if both < memory.value => refuse(
            "swap",
            &swap.origin,
            format!(
                "it is memory and swap together, and the memory alone is {}",
                memory.value
            ),
        ),
        _ => Ok(Some(swap)),
    }
}

/// A place where one is slowed down, before the place where it ends.
pub(super) fn memory_high(profile: &Profile) -> Result<Option<Set<Bytes>>, Error> {
    let (high, most) = (&profile.limits.memory_high, &profile.limits.memory);
    match (high, most) {
        (Some(high), Some(most)) if high.value > most.value => refuse(
            "memory-high",
            &high.origin,
            format!("it is above limits.memory, which is {}", most.value),
        ),
        _ => Ok(high.clone()),
    }
}

pub(super) fn processors(profile: &Profile, request: &Request) -> Option<Set<Processors>> {
    let flag = request.flags.processors.clone();
    flag.or_else(|| profile.limits.processors.clone())
}

pub(super) fn io(profile: &Profile, request: &Request) -> Result<Vec<Set<Io>>, Error> {
    let each = |set: &Set<IoLimit>| {
        let limit = set.value.clone();
        let what = || format!("io of `{}`", limit.path.escape_debug());
        let path = mounts::host_path(&limit.path, request).or_else(|why| refuse(what(), &set.origin, why))?;
        if limit.rates().iter().all(|(_, rate)| rate.is_none()) {
            return refuse(
                what(),
                &set.origin,
                "it limits nothing: write read-bps, write-bps, read-iops or write-iops",
            );
        }
        Ok(Set::new(Io { path, limit }, set.origin.clone()))
    };
    profile.limits.io.iter().map(each).collect()
}

//! A local page that is accepted only tightens: its plan reaches a subset of what the plan of the profile reaches.

use super::{Host, Plan, Root, all_there, built_in, host_path, image, request};
use crate::model::host::{Fact, ProcMount};
use crate::model::{Capability, InRoot, Level, Protection};
use crate::plan::step::{Attributes, ProcKind, sealed};
use crate::plan::{Facts, Step, Upper, build};
use crate::policy::{Policy, resolve};
use crate::profile::tests::pages::{VALUES, text};
use crate::profile::tighten::tighten;
use crate::profile::{Profile, Source};
use crate::seccomp::Verdict;
use crate::seccomp::verdict::{Check, Match};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What lies at a mount point, and how it may be used.
#[derive(Debug, Clone, PartialEq)]
struct Shown {
    /// The host's path, or the kind of file system.
    what: String,
    /// Writes reach the host.
    writes_host: bool,
    /// Bytes that writes may take: 0 if read-only, `u64::MAX` without limit.
    bytes: u64,
    execute: bool,
}

impl Shown {
    fn host(source: &impl ToString, a: Attributes) -> Self {
        Self {
            what: source.to_string(),
            writes_host: a.writable,
            bytes: if a.writable { u64::MAX } else { 0 },
            execute: a.execute,
        }
    }

    fn own(what: &str, bytes: u64, execute: bool) -> Self {
        Self {
            what: what.to_owned(),
            writes_host: false,
            bytes,
            execute,
        }
    }

    /// Execution alone is no more: what can be read can be copied to memory and executed there.
    fn within(&self, other: &Self) -> bool {
        self.what == other.what
            && self.writes_host <= other.writes_host
            && self.bytes <= other.bytes
            && (self.execute <= other.execute || self.bytes == 0)
    }
}

fn steps(plan: &Plan) -> impl Iterator<Item = &Step> {
    plan.steps.iter().map(|planned| &planned.step)
}

/// The bytes of an upper layer; on a disk as many as are watched.
fn upper_bytes(plan: &Plan, upper: &Upper) -> u64 {
    let watched = steps(plan).find_map(|step| match step {
        Step::WatchDisk { most, .. } => Some(most.0),
        _ => None,
    });
    match upper {
        Upper::Memory(size) => size.0,
        Upper::Disk(_) => watched.unwrap_or(u64::MAX),
    }
}

/// The root, as far as it may be written, and what is mounted in it.
fn mounts(plan: &Plan) -> BTreeMap<InRoot, Shown> {
    let mut all = BTreeMap::new();
    let written = |bytes: u64| if sealed(&plan.steps) { 0 } else { bytes };
    for step in steps(plan) {
        let (at, shown) = match step {
            Step::RootOverlay(layers, upper, _) => {
                let bytes = written(upper_bytes(plan, upper));
                (
                    InRoot::root(),
                    Shown::own(&layers.within.to_string(), bytes, true),
                )
            }
            Step::RootFuse { layers, upper, .. } => {
                let bytes = written(upper_bytes(plan, upper));
                (
                    InRoot::root(),
                    Shown::own(&layers.within.to_string(), bytes, true),
                )
            }
            Step::RootCopy(_) => (
                InRoot::root(),
                Shown::own(&image().layers.within.to_string(), written(u64::MAX), true),
            ),
            Step::RootBind(source) => (InRoot::root(), Shown::host(source, Attributes::READ_EXECUTE)),
            Step::Bind(source, at, a) => (at.clone(), Shown::host(source, *a)),
            Step::Device { source, at, .. } => (at.clone(), Shown::host(source, Attributes::DEVICE)),
            Step::Tmpfs(at, size, _, a) => (at.clone(), Shown::own("tmpfs", size.bytes.0, a.execute)),
            Step::WorkspaceOverlay(source, at, size, a) => {
                (at.clone(), Shown::own(&source.to_string(), size.0, a.execute))
            }
            _ => continue,
        };
        all.insert(at, shown);
    }
    all
}

/// Where an image's root is written to the disk, and whether by a program beside the command.
fn root_place(plan: &Plan) -> (bool, bool) {
    let disk = |upper: &Upper| matches!(upper, Upper::Disk(_));
    let writable = !sealed(&plan.steps);
    steps(plan).fold((false, false), |(on_disk, program), step| match step {
        Step::RootOverlay(_, upper, _) => (writable && disk(upper), program),
        Step::RootFuse { upper, .. } => (writable && disk(upper), true),
        Step::RootCopy(_) => (writable, program),
        _ => (on_disk, program),
    })
}

/// Hidden or read-only paths.
fn covered(plan: &Plan) -> Vec<&InRoot> {
    let each = steps(plan).filter_map(|step| match step {
        Step::Mask(at) | Step::ReadOnly(at) => Some(at),
        _ => None,
    });
    each.collect()
}

fn whole_proc(plan: &Plan) -> bool {
    steps(plan).any(|step| matches!(step, Step::Proc(_, ProcKind::Whole, _)))
}

/// Numbers that may not rise, by name. What is not limited is not in it.
fn ceilings(plan: &Plan) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    let mut put = |name: &str, value: u64| {
        let held = all.entry(name.to_owned()).or_insert(value);
        *held = value.min(*held);
    };
    for step in steps(plan) {
        match step {
            Step::WatchMemory(most) => put("memory.max", most.0),
            Step::WatchDisk { most, .. } => put("disk", most.0),
            Step::Deadline(time) => put("time", u64::try_from(time.0.as_nanos()).unwrap_or(u64::MAX)),
            Step::CountOutput(most) => put("output", most.0),
            Step::Processors(list) => put("processors", list.numbers().len() as u64),
            Step::Limits(limits) => limits.iter().for_each(|l| {
                put(&format!("{:?} soft", l.resource), l.soft);
                put(&format!("{:?} hard", l.resource), l.hard);
            }),
            Step::Cgroup(group) => {
                for (file, value) in &group.files {
                    let first = value.split(' ').next().and_then(|n| n.parse().ok());
                    match *file {
                        "io.max" => value.split(' ').filter_map(|part| part.split_once('=')).for_each(
                            |(name, rate)| {
                                put(name, rate.parse().expect("a rate"));
                            },
                        ),
                        "cpuset.cpus" => put(
                            "processors",
                            value
                                .parse::<crate::model::Processors>()
                                .expect("a list")
                                .numbers()
                                .len() as u64,
                        ),
                        file => put(file, first.unwrap_or(u64::MAX)),
                    }
                }
            }
            _ => {}
        }
    }
    // Our own init is one more.
    if steps(plan).any(|step| matches!(step, Step::Init)) {
        for name in ["pids.max", "Nproc soft", "Nproc hard"] {
            all.entry(name.to_owned())
                .and_modify(|n| *n = n.saturating_sub(1));
        }
    }
    all
}

/// A ceiling for the whole holds what a limit of each process does.
fn counted_by(name: &str) -> Option<&'static str> {
    match name.split(' ').next() {
        Some("Nproc") => Some("pids.max"),
        Some("Data") => Some("memory.max"),
        _ => None,
    }
}

fn check_within(local: &Check, base: &Check) -> bool {
    let subset = |few: &Check, many: &Check| few.rules.iter().all(|rule| many.rules.contains(rule));
    local.on == base.on
        && local.answer == base.answer
        && match base.on {
            Match::Any => subset(base, local),
            Match::None => subset(local, base),
        }
}

/// Every check refuses something, so that more of them allow less.
fn verdict_within(local: &Verdict, base: &Verdict) -> bool {
    match (local, base) {
        (local, _) if !local.may_allow() => true,
        (_, Verdict::Always(answer)) => answer.allows(),
        (Verdict::Always(_), Verdict::Guarded { .. }) => false,
        (Verdict::Guarded { checks, .. }, Verdict::Guarded { checks: of_base, .. }) => {
            of_base.iter().all(|b| checks.iter().any(|l| check_within(l, b)))
        }
    }
}

fn calls_within(local: &Policy, base: &Policy) -> Result<(), String> {
    let (Some(l), b) = (&local.syscalls, &base.syscalls) else {
        return base
            .syscalls
            .as_ref()
            .map_or(Ok(()), |_| Err("the filter is off".into()));
    };
    let Some(b) = b else { return Ok(()) };
    let wider = l
        .iter()
        .zip(b.iter())
        .find(|(l, b)| !verdict_within(&l.entry.verdict, &b.entry.verdict));
    wider.map_or(Ok(()), |(call, _)| Err(format!("system call {}", call.name)))
}

/// The uid and gid of the command on the host, and every id that is mapped.
fn ids(plan: &Plan) -> (Vec<Option<u32>>, Vec<(u32, u32)>) {
    let mut command = Vec::new();
    let mut mapped = Vec::new();
    for step in steps(plan) {
        match step {
            Step::MapIds { uids, .. } => mapped.extend(uids.0.iter().map(|r| (r.host, r.count))),
            Step::SetIds { uid, gid } => command = vec![Some(*uid), Some(*gid)],
            _ => {}
        }
    }
    let on_host = steps(plan).find_map(|step| match step {
        Step::MapIds { uids, gids, .. } => {
            let id = |map: &crate::model::IdMap, at: usize| map.to_host(command.get(at).copied().flatten()?);
            Some(vec![id(uids, 0), id(gids, 1)])
        }
        _ => None,
    });
    (on_host.unwrap_or_default(), mapped)
}

fn capabilities(plan: &Plan) -> Vec<String> {
    let kept = steps(plan).filter_map(|step| match step {
        Step::Capabilities(kept, _) => Some(*kept),
        _ => None,
    });
    kept.flat_map(|kept| Capability::all().filter(move |c| kept.holds(*c)))
        .map(|c| c.to_string())
        .collect()
}

type IsStep = fn(&Step) -> bool;

/// Steps that only ever take away: one of the profile's may not be missing.
const TIGHTENING: [(&str, IsStep); 9] = [
    ("net namespace", |s| matches!(s, Step::Clone(n) if n.net)),
    ("time namespace", |s| matches!(s, Step::TimeNamespace)),
    ("nested namespaces", |s| matches!(s, Step::NoNestedNamespaces)),
    ("groups", |s| matches!(s, Step::Groups(_))),
    ("Landlock", |s| matches!(s, Step::Landlock { .. })),
    ("Landlock's rules for TCP", |s| {
        matches!(s, Step::Landlock { tcp: Some(_), .. })
    }),
    ("Landlock's scopes", |s| {
        matches!(s, Step::Landlock { scopes: true, .. })
    }),
    ("Landlock without nodes", |s| {
        matches!(s, Step::Landlock { nodes: false, .. })
    }),
    ("init", |s| matches!(s, Step::Init)),
];

fn environment(plan: &Plan) -> Vec<(String, String)> {
    let each = steps(plan).filter_map(|step| match step {
        Step::Exec { environment, .. } => Some(environment),
        _ => None,
    });
    each.flatten()
        .map(|(name, value)| (name.display().to_string(), value.display().to_string()))
        .collect()
}

/// What the local page's plan reaches and the profile's does not.
fn wider((local, l): (&Policy, &Plan), (base, b): (&Policy, &Plan)) -> Result<(), String> {
    let all_in = |what: &str, few: bool| if few { Ok(()) } else { Err(what.to_owned()) };
    calls_within(local, base)?;
    all_in(
        "ids",
        ids(l).0 == ids(b).0 && ids(l).1.iter().all(|r| ids(b).1.contains(r)),
    )?;
    all_in(
        "capabilities",
        capabilities(l).iter().all(|c| capabilities(b).contains(c)),
    )?;
    for (name, step) in TIGHTENING {
        all_in(name, steps(l).any(step) || !steps(b).any(step))?;
    }
    all_in(
        "terminal",
        steps(b).any(|s| matches!(s, Step::Terminal)) || !steps(l).any(|s| matches!(s, Step::Terminal)),
    )?;
    let variables = environment(b);
    all_in(
        "environment",
        environment(l).iter().all(|variable| variables.contains(variable)),
    )?;
    let of_base = mounts(b);
    for (at, shown) in mounts(l) {
        let held = of_base.get(&at);
        all_in(
            &format!("mount {at}: {shown:?} {held:?}"),
            held.is_some_and(|held| shown.within(held)),
        )?;
    }
    let (disk, program) = root_place(b);
    all_in("disk", disk || !root_place(l).0)?;
    all_in("a program beside the command", program || !root_place(l).1)?;
    all_in("a whole /proc", whole_proc(b) || !whole_proc(l))?;
    let hidden = covered(l);
    let moot = |at: &InRoot| !whole_proc(l) && at.as_path().starts_with("/proc");
    all_in(
        "masks",
        covered(b).iter().all(|at| hidden.contains(at) || moot(at)),
    )?;
    let held = ceilings(l);
    for (name, most) in ceilings(b) {
        let of_each = held.get(&name).copied();
        let now = of_each.or_else(|| held.get(counted_by(&name)?).copied());
        // Swap is part of the memory that is limited first.
        all_in(
            &format!("{name}: {now:?} for {most}"),
            now.is_some_and(|now| now <= most),
        )?;
    }
    let level = |policy: &Policy, p: Protection| match policy.enforcement.level(p).value {
        Level::Off => 0,
        Level::Prefer => 1,
        Level::Require => 2,
    };
    let lowered = Protection::ALL
        .into_iter()
        .find(|p| level(local, *p) < level(base, *p));
    lowered.map_or(Ok(()), |p| Err(format!("enforcement of {p}")))
}

fn planned(profile: &Profile, root: &Root, host: &Host) -> Option<(Policy, Plan)> {
    let policy = resolve(profile, &request(root.clone(), host)).ok()?;
    let mut facts: Facts = all_there(&policy, host);
    facts.disks = policy
        .io
        .iter()
        .map(|io| (io.value.path.clone(), Ok("8:0".to_owned())))
        .collect();
    let plan = build(&policy, host, &facts).ok()?;
    Some((policy, plan))
}

fn hosts() -> Vec<Host> {
    let change = |mut host: Host, change: fn(&mut Host)| {
        change(&mut host);
        host
    };
    vec![
        Host::debian_12(),
        Host::no_cgroup(),
        Host::no_subids(),
        Host::ci_root(),
        change(Host::landlock_abi(7), |host| host.proc = ProcMount::Fresh),
        change(Host::landlock_abi(7), |host| {
            host.image_overlay = Fact::Missing("a test".into());
            host.caller.groups = vec![100];
        }),
    ]
}

fn roots() -> [Root; 3] {
    [
        Root::Host,
        Root::Directory(host_path("/srv/root")),
        Root::Image(image()),
    ]
}

/// How many of the plans could be compared, or what one of them widens.
fn compare(base: &str, page: &[Option<usize>], local: &[Option<usize>]) -> Result<usize, String> {
    let read = |text: &str| {
        crate::profile::read::read(&Source::new("p.toml", false, text))
            .expect(text)
            .profile
    };
    let from = if base.is_empty() {
        Profile::default()
    } else {
        built_in(base)
    };
    let profile = from.merge(read(&text(page)));
    let source = text(local);
    let Ok(tighter) = tighten(&profile, &Source::new(".sbx.toml", false, &source)) else {
        return Ok(0);
    };
    let mut compared = 0;
    for host in hosts() {
        for root in roots() {
            let (Some((b, base_plan)), Some((l, plan))) =
                (planned(&profile, &root, &host), planned(&tighter, &root, &host))
            else {
                continue;
            };
            compared += 1;
            wider((&l, &plan), (&b, &base_plan)).map_err(|what| {
                format!(
                    "{what}\n--- {base}, and\n{}--- widened by\n{source}--- {root:?}",
                    text(page)
                )
            })?;
        }
    }
    Ok(compared)
}

/// Every value of every key, over every value of the same key in the profile.
#[test]
fn accepted_page_of_one_key_reaches_no_more() {
    let mut compared = 0;
    let only = |at: usize, value: Option<usize>| -> Vec<Option<usize>> {
        (0..VALUES.len()).map(|key| value.filter(|_| key == at)).collect()
    };
    let mut widened = Vec::new();
    for (at, (_, _, values)) in VALUES.iter().enumerate() {
        for base in ["", "strict", "default"] {
            for held in (0..values.len()).map(Some).chain([None]) {
                for new in 0..values.len() {
                    match compare(base, &only(at, held), &only(at, Some(new))) {
                        Ok(number) => compared += number,
                        Err(what) => widened.push(what),
                    }
                }
            }
        }
    }
    assert!(widened.is_empty(), "{}", widened.join("\n\n"));
    assert!(compared > 1000, "{compared}");
}

fn page(weight: u32) -> impl Strategy<Value = Vec<Option<usize>>> {
    let key = prop_oneof![weight => Just(None), 1 => (0..8_usize).prop_map(Some)];
    proptest::collection::vec(key, VALUES.len())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn accepted_page_reaches_no_more(base in proptest::sample::select(&["", "strict", "default", "build"][..]), held in page(6), local in page(20)) {
        prop_assert_eq!(compare(base, &held, &local).err(), None);
    }
}

//! Ceilings of the sandbox as a whole: which rung of the ladder holds them on this host.
//!
//! A cgroup holds every one of them. What it cannot be asked for falls to what is left: a watch on the memory, the limit of processes in
//! the user namespace, whole processors. What neither holds is a loss, or an error where a flag asks for it.

mod disk;
mod memory;
mod rates;

pub(super) use disk::written_root;

use super::Facts;
use super::build::{Ledger, add};
use super::loss::Refusal;
use super::step::{Planned, Step};
use crate::model::host::Cgroup;
use crate::model::{Bytes, Host, HostPath, Origin, Processors, Protection, Set};
use crate::policy::{Limit, Policy, Resource};
use crate::seccomp::Table;
use serde::Serialize;
use std::fmt;

/// A cgroup of the sandbox's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Where it is made.
    pub parent: HostPath,
    /// Whether this process lives there alone, and moves into a leaf first.
    pub own: bool,
    /// The D-Bus socket of the user's systemd, which makes the parent first: `parent` is only where it will be.
    pub scope: Option<HostPath>,
    /// Controllers that the parent has to give on.
    pub controllers: Vec<&'static str>,
    /// Controllers that only count, and without which it goes on.
    pub counting: Vec<&'static str>,
    /// Files of the cgroup, and what is written to each.
    pub files: Vec<(&'static str, String)>,
}

impl Group {
    /// Where it is made, in words.
    pub(super) fn place(&self) -> String {
        match &self.scope {
            Some(bus) => format!("a scope of systemd ({bus})"),
            None => self.parent.to_string(),
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cgroup in {}", self.place())?;
        for (i, (name, value)) in self.files.iter().enumerate() {
            write!(f, "{} {name} {value}", if i == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

/// What is done for the ceilings.
#[derive(Debug, Default)]
pub(super) struct Ceilings {
    group: Option<Group>,
    controllers: Vec<&'static str>,
    files: Vec<(&'static str, String)>,
    watch: Option<Set<Bytes>>,
    processors: Option<Set<Processors>>,
    /// Rlimits made redundant by the cgroup: RLIMIT_DATA also counts reserved memory; RLIMIT_NPROC would be hit first and go unreported.
    counted: Vec<Resource>,
    reasons: Vec<Origin>,
}

/// Which rung holds what.
///
/// # Errors
/// When a flag or a profile requires what cannot be had here.
pub(super) fn decide(
    policy: &Policy,
    host: &Host,
    facts: &Facts,
    ledger: &mut Ledger<'_>,
) -> Result<Ceilings, Refusal> {
    let mut deciding = Deciding {
        policy,
        host,
        place: Place::of(policy, host)?,
        ledger,
        made: Ceilings::default(),
    };
    deciding.memory()?;
    deciding.cpu()?;
    deciding.weight()?;
    deciding.processors()?;
    deciding.io(facts)?;
    deciding.pids();
    deciding.settle();
    Ok(deciding.made)
}

/// One ceiling after the other.
struct Deciding<'a, 'b> {
    policy: &'a Policy,
    host: &'a Host,
    place: Place<'a>,
    ledger: &'a mut Ledger<'b>,
    made: Ceilings,
}

/// Where a cgroup can be made, if anywhere.
struct Place<'a> {
    parent: Option<(HostPath, bool, Option<HostPath>)>,
    controllers: &'a [String],
}

impl<'a> Place<'a> {
    fn of(policy: &Policy, host: &'a Host) -> Result<Self, Refusal> {
        match &host.cgroup {
            Cgroup::Delegated {
                path,
                controllers,
                own,
            } => Ok(Self {
                parent: Some((path.clone(), *own, None)),
                controllers,
            }),
            Cgroup::Systemd { bus, controllers } => Ok(Self {
                parent: Some((bus.clone(), true, Some(bus.clone()))),
                controllers,
            }),
            other => match &policy.cgroup_parent {
                Some(parent) => Err(Refusal::Value {
                    what: format!("cgroup {}", parent.value),
                    origin: parent.origin.clone(),
                    why: match other {
                        Cgroup::Absent => "there is no directory of cgroup v2".into(),
                        other => format!("no cgroup can be made there: {}", reason(other)),
                    },
                }),
                None => Ok(Self {
                    parent: None,
                    controllers: &[],
                }),
            },
        }
    }

    fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|c| c == controller)
    }
}

/// Why there is no cgroup.
fn reason(cgroup: &Cgroup) -> String {
    match cgroup {
        Cgroup::Delegated { .. } | Cgroup::Systemd { .. } => "the cgroup lacks the controller".into(),
        Cgroup::NotDelegated => "no cgroup is delegated to you".into(),
        Cgroup::Legacy => "the controllers belong to cgroup v1, which cannot be delegated".into(),
        Cgroup::Absent => "no cgroup file system is mounted".into(),
        Cgroup::Refused { place, errno } => format!("no cgroup could be made in {place}: {errno}"),
    }
}

/// What gives one.
fn mend(cgroup: &Cgroup) -> &'static str {
    match cgroup {
        Cgroup::Delegated { .. } | Cgroup::NotDelegated | Cgroup::Systemd { .. } | Cgroup::Refused { .. } => {
            "as root: `systemctl edit user@.service`, write `[Service]` and `Delegate=cpu cpuset io memory pids`, and log in anew; then, where you are not in a session of your own: `systemd-run --user --scope -p Delegate=yes sbx run …`"
        }
        Cgroup::Legacy => {
            "boot with systemd.unified_cgroup_hierarchy=1 (or cgroup_no_v1=all without systemd)"
        }
        Cgroup::Absent => "as root: mount -t cgroup2 none /sys/fs/cgroup",
    }
}

/// What a flag asks for is required, whatever the profile says of such limits, unless they are off.
fn lacking(
    protection: Protection,
    origin: &Origin,
    (policy, ledger): (&Policy, &mut Ledger<'_>),
    words: &str,
    mend: &str,
) -> Result<(), Refusal> {
    let flag = matches!(origin, Origin::Flag { .. });
    if flag && policy.enforcement.wants(protection) {
        return Err(Refusal::Protection {
            protection,
            origin: origin.clone(),
            reason: words.to_owned(),
            mend: mend.to_owned(),
        });
    }
    ledger.lacks(protection, words, mend)
}

/// Our init is a process too, which nobody means who says how many there may be.
fn with_init(policy: &Policy, limit: &Set<Limit>) -> Limit {
    let of_pids = limit.value.resource == Resource::Nproc && of_the_whole(policy, limit);
    let more = u64::from(of_pids && policy.init.value);
    Limit {
        resource: limit.value.resource,
        soft: limit.value.soft.saturating_add(more),
        hard: limit.value.hard.saturating_add(more),
    }
}

/// Whether a limit of each process is there only because of a ceiling of the whole.
fn of_the_whole(policy: &Policy, limit: &Set<Limit>) -> bool {
    let (memory, pids) = (policy.memory.as_ref(), policy.pids.as_ref());
    match limit.value.resource {
        Resource::Data => memory.is_some_and(|m| m.origin == limit.origin),
        Resource::Nproc => pids.is_some_and(|p| p.origin == limit.origin),
        _ => false,
    }
}

impl<'a> Deciding<'a, '_> {
    fn write(&mut self, controller: &'static str, files: Vec<(&'static str, String)>, origin: &Origin) {
        let made = &mut self.made;
        if !made.controllers.contains(&controller) {
            made.controllers.push(controller);
        }
        made.files.extend(files);
        if !made.reasons.contains(origin) {
            made.reasons.push(origin.clone());
        }
    }

    /// What is set, unless such limits are off.
    fn wanted<T>(&self, protection: Protection, set: &'a Option<Set<T>>) -> Option<&'a Set<T>> {
        set.as_ref().filter(|_| self.policy.enforcement.wants(protection))
    }

    /// Why there is no cgroup for it.
    fn reason(&self) -> String {
        reason(&self.host.cgroup)
    }

    /// What would give one.
    fn mend(&self) -> &'static str {
        mend(&self.host.cgroup)
    }

    fn lacking(
        &mut self,
        protection: Protection,
        origin: &Origin,
        words: &str,
        mend: &str,
    ) -> Result<(), Refusal> {
        lacking(protection, origin, (self.policy, &mut *self.ledger), words, mend)
    }

    fn cpu(&mut self) -> Result<(), Refusal> {
        const PERIOD: u64 = 100_000;
        let Some(cpu) = self.wanted(Protection::Cpu, &self.policy.cpu) else {
            return Ok(());
        };
        if self.place.has("cpu") {
            let quota = cpu.value.saturating_mul(PERIOD / 100).max(1000);
            self.write("cpu", vec![("cpu.max", format!("{quota} {PERIOD}"))], &cpu.origin);
            return Ok(());
        }
        let there = u64::try_from(self.host.processors.len()).unwrap_or(u64::MAX);
        if cpu.value.div_ceil(100) >= there && cpu.value >= there.saturating_mul(100) && there > 0 {
            // All that there are.
            return Ok(());
        }
        if !cpu.value.is_multiple_of(100) {
            let shown = format!("{}.{:02}", cpu.value / 100, cpu.value % 100);
            let words = format!("{shown} processors cannot be counted out: {}", self.reason());
            let whole = cpu.value.div_ceil(100);
            let mend = format!(
                "write a whole number (limits.cpu = {whole}, --cpus {whole}); or {}",
                self.mend()
            );
            return self.lacking(Protection::Cpu, &cpu.origin, &words, &mend);
        }
        let count = usize::try_from(cpu.value / 100).unwrap_or(usize::MAX);
        let taken = Processors::of(self.host.processors.iter().copied().take(count).collect());
        self.only(taken.map(|list| Set::new(list, cpu.origin.clone())))
    }

    fn processors(&mut self) -> Result<(), Refusal> {
        let Some(wanted) = &self.policy.processors else {
            return Ok(());
        };
        let there = |n: &&u32| self.host.processors.contains(n);
        if let Some(absent) = wanted.value.numbers().iter().find(|n| !there(n)) {
            let mut all = self.host.processors.clone();
            all.sort_unstable();
            let all = Processors::of(all).map(|p| p.to_string()).unwrap_or_default();
            return Err(Refusal::Value {
                what: format!("processor {absent}"),
                origin: wanted.origin.clone(),
                why: format!("you may use {all}"),
            });
        }
        if self.place.has("cpuset") {
            self.write(
                "cpuset",
                vec![("cpuset.cpus", wanted.value.to_string())],
                &wanted.origin,
            );
            return Ok(());
        }
        // A number of processors besides is taken from these.
        let counted = self.made.processors.take().map(|s| s.value.numbers().len());
        let few = wanted
            .value
            .numbers()
            .iter()
            .copied()
            .take(counted.unwrap_or(usize::MAX));
        let list = Processors::of(few.collect());
        self.only(list.map(|list| Set::new(list, wanted.origin.clone())))
    }

    /// An affinity is undone by whoever may set one, so the filter answers that it is done.
    fn only(&mut self, list: Option<Set<Processors>>) -> Result<(), Refusal> {
        if let (Some(list), None) = (&list, &self.policy.syscalls) {
            let words = "the command may choose other processors, since no system call is filtered";
            let mend = "leave the filter on (enforcement.seccomp)";
            self.lacking(Protection::Cpu, &list.origin, words, mend)?;
        }
        self.made.processors = list;
        Ok(())
    }

    fn settle(&mut self) {
        let (Some((parent, own, scope)), made) = (&self.place.parent, &mut self.made) else {
            return;
        };
        let asked = &self.policy.cgroup_parent;
        made.reasons.extend(asked.iter().map(|p| p.origin.clone()));
        if !made.controllers.is_empty() || asked.is_some() {
            let counts = self.place.has("io") && !made.controllers.contains(&"io");
            made.group = Some(Group {
                parent: parent.clone(),
                own: *own,
                scope: scope.clone(),
                controllers: std::mem::take(&mut made.controllers),
                counting: counts.then_some("io").into_iter().collect(),
                files: std::mem::take(&mut made.files),
            });
        }
    }
}

impl Ceilings {
    /// A cgroup that was planned and could not be made is told of, also where what is left holds as well: a loss says it for the memory.
    pub(super) fn note(&self, policy: &Policy, host: &Host) -> Option<String> {
        let refused = matches!(host.cgroup, Cgroup::Refused { .. });
        let told = self.watch.is_some() && policy.enforcement.wants(Protection::Memory);
        (refused && !told).then(|| {
            format!(
                "{}: processes are counted in the user namespace, processors are whole ones",
                reason(&host.cgroup)
            )
        })
    }

    /// The processors that the command may use: as many as its share of time is worth, rounded up.
    pub(super) fn processors(&self, policy: &Policy, host: &Host) -> Processors {
        let asked = self.processors.as_ref().or(policy.processors.as_ref());
        let there = asked.map_or(host.processors.as_slice(), |set| set.value.numbers());
        let share = policy
            .cpu
            .as_ref()
            .map_or(u64::MAX, |cpu| cpu.value.div_ceil(100).max(1));
        let count = usize::try_from(share).unwrap_or(usize::MAX);
        let first = there.iter().copied().take(count).collect();
        Processors::of(first).unwrap_or_else(Processors::first)
    }

    /// What stands before everything else.
    pub(super) fn begin(&self, steps: &mut Vec<Planned>) {
        if let Some(group) = &self.group {
            let reasons: Vec<String> = self.reasons.iter().map(ToString::to_string).collect();
            add(
                steps,
                Step::Cgroup(group.clone()),
                format!("[limits] ({})", reasons.join(", ")),
            );
        }
        if let Some(memory) = &self.watch {
            let reason = format!(
                "limits.memory ({}); there is no cgroup to count it, RLIMIT_DATA of each process is a distant backstop",
                memory.origin
            );
            add(steps, Step::WatchMemory(memory.value), reason);
        }
    }

    /// What each process gets.
    pub(super) fn each(&self, policy: &Policy, steps: &mut Vec<Planned>) {
        if let Some(list) = &self.processors {
            add(
                steps,
                Step::Processors(list.value.clone()),
                format!("limits.cpu ({})", list.origin),
            );
        }
        let floor = |l: &&Set<Limit>| self.counted.contains(&l.value.resource) && of_the_whole(policy, l);
        let all = policy.limits.iter().filter(|l| !floor(l));
        add(
            steps,
            Step::Limits(all.map(|l| with_init(policy, l)).collect()),
            "[limits] and --ulimit",
        );
    }

    /// The filter under which these hold.
    pub(super) fn guarded(&self, table: Table) -> Table {
        match &self.processors {
            Some(list) => table.answering_done(["sched_setaffinity"].into_iter(), &list.origin),
            None => table,
        }
    }
}

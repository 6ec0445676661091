//! Policy and host to plan.

use super::filesystem::Builder;
use super::identity::{self, Identity};
use super::limits::{self, Ceilings, written_root};
use super::loss::{Loss, Refusal};
use super::step::{Holder, Namespaces, Plan, Planned, ProcKind, Step, Upper};
use super::{Facts, landlock};
use crate::model::host::{Fact, ProcMount};
use crate::model::{Host, Level, Origin, Protection};
use crate::policy::{Policy, Root};
use crate::profile::schema::{NetworkMode, ProcMode, TerminalMode, WorkdirMode};
use crate::seccomp::Table;
use std::ffi::OsString;

/// Losses, or the first refusal.
pub(super) struct Ledger<'a> {
    policy: &'a Policy,
    losses: Vec<Loss>,
}

impl Ledger<'_> {
    /// Notes that a protection cannot be given.
    pub(super) fn lacks(&mut self, protection: Protection, reason: &str, mend: &str) -> Result<(), Refusal> {
        let level = self.policy.enforcement.level(protection);
        let (reason, mend) = (reason.to_owned(), mend.to_owned());
        match level.value {
            Level::Off => Ok(()),
            Level::Prefer => {
                self.losses.push(Loss {
                    protection,
                    reason,
                    mend,
                });
                Ok(())
            }
            Level::Require => Err(Refusal::Protection {
                protection,
                origin: level.origin,
                reason,
                mend,
            }),
        }
    }
}

/// Makes the plan.
///
/// # Errors
/// When a protection is required that the host cannot give, or something that was asked for is not there.
pub fn build(policy: &Policy, host: &Host, facts: &Facts) -> Result<Plan, Refusal> {
    let mut ledger = Ledger {
        policy,
        losses: Vec::new(),
    };
    let identity = groups(policy, host, facts, &mut ledger)?;
    let proc = proc(policy, host, &mut ledger)?;
    let mut steps = Vec::new();
    let ceilings = limits::decide(policy, host, facts, &mut ledger)?;
    ceilings.begin(&mut steps);
    begin(policy, host, &identity, &mut ledger, &mut steps)?;
    steps.extend(Builder::new(policy, host, facts).build(&identity, proc)?);
    set_up(policy, facts, &mut steps);
    ceilings.each(policy, &mut steps);
    let groups = supplementary(policy, facts, &identity)?;
    confine(policy, host, (&identity, groups), &mut ledger, &mut steps)?;
    finish(policy, facts, (&identity, &ceilings), &mut steps);
    written_root(policy, &mut steps, &mut ledger)?;
    let mut notes = policy.notes.clone();
    notes.extend(ceilings.note(policy, host));
    notes.extend(workspace_of_root(policy, &identity, facts));
    notes.extend(unmarked_directories(&steps, host));
    Ok(Plan {
        steps,
        losses: ledger.losses,
        notes,
        time: policy.time.as_ref().map(|t| t.value),
        stop_signal: policy.stop_signal.clone(),
    })
}

pub(super) fn add(steps: &mut Vec<Planned>, step: Step, reason: impl Into<String>) {
    steps.push(Planned {
        step,
        reason: reason.into(),
    });
}

/// Under root the command runs as an id that owns nothing of the host, and most of what root works in is root's.
fn workspace_of_root(policy: &Policy, identity: &Identity, facts: &Facts) -> Option<String> {
    let source = policy.workspace.source.as_ref()?;
    let written = matches!(
        policy.workspace.mode.value,
        WorkdirMode::Writable | WorkdirMode::Overlay
    );
    let command = identity.uids.to_host(identity.uid)?;
    let of_root = facts.workspace.is_some_and(|w| w.uid == 0 && w.mode & 0o002 == 0);
    (written && of_root && command != 0).then(|| {
        format!("{source} belongs to root and the command runs as uid {command} of the host, so it writes only what everyone may: chown it, or use --map host-root")
    })
}

/// Overlay marks a directory that hides a lower one with an attribute. What is written lies in a tmpfs, which has none before Linux 6.6.
fn unmarked_directories(steps: &[Planned], host: &Host) -> Option<String> {
    let written = steps.iter().any(|p| match p.step {
        Step::RootOverlay(_, Upper::Memory(_), _) => !super::step::sealed(steps),
        Step::WorkspaceOverlay(..) => true,
        _ => false,
    });
    (written && !host.kernel.at_least(6, 6)).then(|| {
        "before Linux 6.6 a directory that lies below an overlay cannot be removed, replaced or moved (EIO, Input/output error)".to_owned()
    })
}

fn groups(policy: &Policy, host: &Host, facts: &Facts, ledger: &mut Ledger<'_>) -> Result<Identity, Refusal> {
    let wanted = policy.enforcement.wants(Protection::Groups);
    let identity = identity::decide(policy, host, facts, wanted)?;
    if wanted && !identity.can_drop_groups {
        let helper = match host.id_helpers.newgidmap.usable() {
            Ok(_) => "no sub-gids".to_owned(),
            Err(why) => format!("newgidmap {why}"),
        };
        ledger.lacks(
            Protection::Groups,
            &format!("your supplementary groups stay in force on files that only they may open: {helper}"),
            "`sbx doctor id-maps` says what mends it",
        )?;
    }
    Ok(identity)
}

/// The groups of the user in the root, as far as the map has them, and those that were asked for, which it must have.
fn supplementary(policy: &Policy, facts: &Facts, identity: &Identity) -> Result<Vec<u32>, Refusal> {
    let mapped = |gid: &u32| identity.gids.to_host(*gid).is_some();
    let user = facts.user.as_ref().and_then(|user| user.as_ref().ok());
    let own = user.map(|user| user.groups.clone()).unwrap_or_default();
    let mut all: Vec<u32> = own.into_iter().filter(mapped).collect();
    let (Some(asked), Some(first)) = (&facts.groups, policy.groups.first()) else {
        return Ok(all);
    };
    let refuse = |what: String, why: String| {
        Err(Refusal::Value {
            what,
            origin: first.origin.clone(),
            why,
        })
    };
    let asked = match asked {
        Ok(asked) => asked,
        Err(why) => return refuse("a group".into(), why.clone()),
    };
    if identity.uids.is_single() && identity.by != super::MapWriter::Supervisor {
        let why =
            "a map of one id has no other groups: use --map range, which needs sub-ids (sbx doctor id-maps)";
        return refuse("a group".into(), why.into());
    }
    if let Some(gid) = asked.iter().find(|gid| !mapped(gid)) {
        return refuse(
            format!("group {gid}"),
            format!("the map holds only {}", identity.gids),
        );
    }
    all.extend(asked);
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

fn proc(policy: &Policy, host: &Host, ledger: &mut Ledger<'_>) -> Result<Option<ProcKind>, Refusal> {
    let wanted = match policy.proc.value {
        ProcMode::None => return Ok(None),
        ProcMode::OwnProcesses => ProcKind::OwnProcesses,
        ProcMode::Masked => ProcKind::Whole,
    };
    match (host.proc, wanted) {
        (ProcMount::Refused, _) => {
            ledger.lacks(
                Protection::PrivateProc,
                "there is no /proc inside: the kernel refuses a new one while the outer one is partly masked",
                "run the outer container with --security-opt systempaths=unconfined (docker) or unmask=ALL (podman)",
            )?;
            Ok(None)
        }
        (ProcMount::Fresh, ProcKind::OwnProcesses) => {
            ledger.lacks(
                Protection::PrivateProc,
                "the kernel knows no subset=pid",
                "Linux 5.8 or later",
            )?;
            Ok(Some(ProcKind::Whole))
        }
        (_, kind) => Ok(Some(kind)),
    }
}

fn begin(
    policy: &Policy,
    host: &Host,
    identity: &Identity,
    ledger: &mut Ledger<'_>,
    steps: &mut Vec<Planned>,
) -> Result<(), Refusal> {
    let net = policy.network.value != NetworkMode::Host;
    add(
        steps,
        Step::Clone(Namespaces { net }),
        "every run; net unless network.mode = host",
    );
    let maps = Step::MapIds {
        uids: identity.uids.clone(),
        gids: identity.gids.clone(),
        by: identity.by.clone(),
    };
    add(steps, maps, format!("identity.map ({})", policy.map.origin));
    if policy.enforcement.wants(Protection::NestedNamespaces) {
        match &host.namespace_limits {
            Fact::Works => add(
                steps,
                Step::NoNestedNamespaces,
                "nobody inside becomes root of a namespace of its own",
            ),
            Fact::Missing(why) => ledger.lacks(
                Protection::NestedNamespaces,
                &format!("user.max_user_namespaces cannot be set inside ({why})"),
                "run the outer container with a writable /proc/sys",
            )?,
        }
    }
    if policy.enforcement.wants(Protection::TimeNamespace) {
        match &host.time_namespace {
            Fact::Works => add(steps, Step::TimeNamespace, "the host's uptime is hidden"),
            Fact::Missing(why) => {
                ledger.lacks(
                    Protection::TimeNamespace,
                    &format!("no time namespace ({why})"),
                    "Linux 5.6 or later",
                )?;
            }
        }
    }
    if identity.act_as_root {
        add(
            steps,
            Step::ActAsRoot,
            "root runs sbx, and its own id is not mapped",
        );
    }
    Ok(())
}

fn set_up(policy: &Policy, facts: &Facts, steps: &mut Vec<Planned>) {
    let name = &policy.hostname;
    add(
        steps,
        Step::Hostname(name.value.clone()),
        format!("namespaces.hostname ({})", name.origin),
    );
    if policy.network.value == NetworkMode::None {
        add(
            steps,
            Step::Loopback,
            format!("network.mode = none ({})", policy.network.origin),
        );
    }
    add(
        steps,
        Step::Keyring,
        "no namespace hides the caller's session keyring",
    );
    if facts.terminal || policy.terminal.value == TerminalMode::Always {
        add(
            steps,
            Step::Terminal,
            format!(
                "a stream is a terminal; terminal.mode ({})",
                policy.terminal.origin
            ),
        );
    }
}

fn confine(
    policy: &Policy,
    host: &Host,
    (identity, groups): (&Identity, Vec<u32>),
    ledger: &mut Ledger<'_>,
    steps: &mut Vec<Planned>,
) -> Result<(), Refusal> {
    // A map that the new process writes by itself denies setgroups(2) for good.
    if identity.by != super::MapWriter::Child {
        let reason = match groups.is_empty() {
            true => "groups of the caller open nothing",
            false => "those of the user in the root's /etc/group, and --group-add; the caller's open nothing",
        };
        add(steps, Step::Groups(groups), reason);
    }
    add(
        steps,
        Step::SetIds {
            uid: identity.uid,
            gid: identity.gid,
        },
        format!("identity.user ({})", policy.user.origin),
    );
    capabilities(policy, identity, steps);
    add(steps, Step::NoNewPrivileges, "every run");
    landlock_step(policy, host, ledger, steps)?;
    add(
        steps,
        Step::StartIn(policy.start_in.clone()),
        "-w, else the working directory",
    );
    Ok(())
}

/// Root of an image is root among the ids of its range, as programs expect; with one id there is nobody to be root over.
fn capabilities(policy: &Policy, identity: &Identity, steps: &mut Vec<Planned>) {
    let (kept, of_root) = (&policy.capabilities, &policy.root_capabilities);
    let root = identity.uid == 0
        && matches!(policy.root, Root::Image(_))
        && !identity.uids.is_single()
        && !of_root.value.is_empty();
    if root {
        let all = kept.value.with(of_root.value);
        let reason = format!("identity.root-capabilities ({})", of_root.origin);
        add(steps, Step::Capabilities(all, Holder::Root), reason);
    } else {
        let reason = format!("identity.capabilities ({})", kept.origin);
        add(steps, Step::Capabilities(kept.value, Holder::Command), reason);
    }
}

fn landlock_step(
    policy: &Policy,
    host: &Host,
    ledger: &mut Ledger<'_>,
    steps: &mut Vec<Planned>,
) -> Result<(), Refusal> {
    let wants = |protection| policy.enforcement.wants(protection);
    // The rules for TCP and the scopes belong to the same domain: without it there is neither.
    let abi = if wants(Protection::Landlock) {
        host.landlock_abi
    } else {
        0
    };
    let mend = |mend| {
        if wants(Protection::Landlock) {
            mend
        } else {
            "set enforcement.landlock to prefer or require"
        }
    };
    let network = policy.network.value == NetworkMode::None && wants(Protection::LandlockNetwork);
    if network && abi < 4 {
        let reason = "no second wall for TCP; the net namespace holds";
        ledger.lacks(Protection::LandlockNetwork, reason, mend("Linux 6.7 or later"))?;
    }
    let scopes = wants(Protection::LandlockScopes);
    if scopes && abi < 6 {
        let reason = match policy.network.value {
            NetworkMode::Host => {
                "abstract sockets of the host can be reached; no second wall for signals, where the pid namespace holds"
            }
            _ => "no second wall for signals and abstract sockets; the pid and net namespaces hold",
        };
        ledger.lacks(Protection::LandlockScopes, reason, mend("Linux 6.12 or later"))?;
    }
    if !wants(Protection::Landlock) {
        return Ok(());
    }
    if abi == 0 {
        let mend = "boot with landlock in the lsm= list, Linux 5.13 or later";
        return ledger.lacks(Protection::Landlock, "the kernel has no Landlock", mend);
    }
    let rules = landlock::rules(steps);
    let step = Step::Landlock {
        abi,
        network: network && abi >= 4,
        scopes: scopes && abi >= 6,
        nodes: policy.syscalls.as_ref().is_some_and(Table::makes_nodes),
        rules,
    };
    add(steps, step, "a second wall behind the mounts");
    Ok(())
}

fn finish(
    policy: &Policy,
    facts: &Facts,
    (identity, ceilings): (&Identity, &Ceilings),
    steps: &mut Vec<Planned>,
) {
    if policy.init.value {
        add(
            steps,
            Step::Init,
            format!("namespaces.init ({})", policy.init.origin),
        );
    }
    add(
        steps,
        Step::Session,
        "signals and keys of the caller's terminal stay outside",
    );
    add(
        steps,
        Step::CloseRange,
        "no descriptor of the caller's reaches the command",
    );
    if let Some(table) = &policy.syscalls {
        add(
            steps,
            Step::Seccomp(ceilings.guarded(filter(policy, table, identity))),
            "[syscalls]",
        );
    }
    let own = policy
        .environment
        .iter()
        .map(|v| (v.name.clone(), v.value.clone()));
    let environment = home_of_image(policy, facts).into_iter().chain(own).collect();
    add(
        steps,
        Step::Exec {
            command: policy.command.clone(),
            environment,
        },
        "the command",
    );
}

/// Packages give files to many users, and one id is all that there is: what would give a file away is answered as done.
fn filter(policy: &Policy, table: &Table, identity: &Identity) -> Table {
    let alone = identity.uids.is_single() && identity.by != super::MapWriter::Supervisor;
    if alone && matches!(policy.root, Root::Image(_)) {
        let ids: &[&str] = if identity.uid == 0 { &SET_IDS } else { &[] };
        let origin = Origin::flag("identity.map = caller, in an image");
        table
            .clone()
            .answering_done(GIVE_AWAY.iter().chain(ids).copied(), &origin)
    } else {
        table.clone()
    }
}

/// Calls that give a file to somebody else.
const GIVE_AWAY: [&str; 4] = ["chown", "fchown", "fchownat", "lchown"];
/// Calls by which root becomes somebody else.
const SET_IDS: [&str; 9] = [
    "setgid",
    "setgroups",
    "setregid",
    "setresgid",
    "setresuid",
    "setreuid",
    "setuid",
    "setfsgid",
    "setfsuid",
];

/// As docker sets it: the home of the user in the image's passwd.
fn home_of_image(policy: &Policy, facts: &Facts) -> Option<(OsString, OsString)> {
    let set = policy.environment.iter().any(|v| v.name == "HOME");
    if set || !matches!(policy.root, Root::Image(_)) {
        return None;
    }
    let user = facts.user.as_ref().and_then(|user| user.as_ref().ok());
    let home = user.and_then(|user| user.home.clone());
    Some(("HOME".into(), home.unwrap_or_else(|| "/".into()).into()))
}

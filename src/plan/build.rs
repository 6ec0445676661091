//! Policy and host to plan.

use super::filesystem::Builder;
use super::identity::Identity;
use super::kernel_files::Visible;
use super::limits::{self, Ceilings, written_root};
pub(super) use super::loss::Ledger;
use super::loss::Refusal;
use super::step::{Holder, Namespaces, Plan, Planned, ProcKind, Step};
use super::{Facts, groups, landlock, notes, one_id, set_id, sockets};
use crate::model::host::{Fact, ProcMount};
use crate::model::{Host, Processors, Protection};
use crate::policy::{Policy, Root};
use crate::profile::schema::{NetworkMode, ProcMode, TerminalMode};
use std::ffi::OsString;

/// Makes the plan.
///
/// # Errors
/// When a protection is required that the host cannot give, or something that was asked for is not there.
pub fn build(policy: &Policy, host: &Host, facts: &Facts) -> Result<Plan, Refusal> {
    let mut ledger = Ledger {
        policy,
        losses: Vec::new(),
    };
    let identity = groups::identity(policy, host, facts, &mut ledger)?;
    let proc = proc(policy, host, &mut ledger)?;
    let mut steps = Vec::new();
    let ceilings = limits::decide(policy, host, facts, &mut ledger)?;
    ceilings.begin(&mut steps);
    supervised(policy, &mut steps);
    begin(policy, host, &identity, &mut ledger, &mut steps)?;
    let visible = visible(policy, facts, &ceilings.processors(policy, host), &steps);
    steps.extend(Builder::new(policy, host, facts).build(&identity, proc, &visible)?);
    set_up(policy, facts, &mut steps);
    ceilings.each(policy, &mut steps);
    let groups = groups::supplementary(policy, facts, &identity)?;
    confine(
        (policy, host, facts),
        (&identity, groups),
        &mut ledger,
        &mut steps,
    )?;
    finish(policy, (host, facts), (&identity, &ceilings), &mut steps);
    written_root(policy, &mut steps, &mut ledger)?;
    let mut notes = policy.notes.clone();
    notes.extend(ceilings.note(policy, host));
    notes.extend(notes::workspace_of_root(policy, &identity, facts));
    notes.extend(notes::unmarked_directories(&steps, host));
    notes.extend(notes::unreadable_sources(policy, facts));
    Ok(Plan {
        steps,
        losses: ledger.losses,
        notes,
        stop_signal: policy.stop_signal.clone(),
    })
}

/// What files about the machine tell inside.
fn visible<'a>(policy: &Policy, facts: &'a Facts, processors: &Processors, steps: &[Planned]) -> Visible<'a> {
    let machine = &facts.machine;
    let limit = policy
        .memory
        .as_ref()
        .filter(|_| policy.enforcement.wants(Protection::Memory));
    let memory = limit.map_or(machine.memory, |limit| limit.value.0.min(machine.memory));
    Visible {
        machine,
        memory,
        limited: memory < machine.memory,
        processors: processors.clone(),
        clocks_from_0: steps.iter().any(|p| matches!(p.step, Step::TimeNamespace)),
    }
}

/// What no kernel counts.
fn supervised(policy: &Policy, steps: &mut Vec<Planned>) {
    if let Some(time) = &policy.time {
        add(
            steps,
            Step::Deadline(time.value),
            format!("limits.time ({})", time.origin),
        );
    }
    if let Some(most) = &policy.output {
        add(
            steps,
            Step::CountOutput(most.value),
            format!("limits.output ({})", most.origin),
        );
    }
}

pub(super) fn add(steps: &mut Vec<Planned>, step: Step, reason: impl Into<String>) {
    steps.push(Planned {
        step,
        reason: reason.into(),
    });
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
    (policy, host, facts): (&Policy, &Host, &Facts),
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
    landlock::decide(policy, host, ledger, steps)?;
    sockets::decide(policy, host, facts, ledger, steps)?;
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

fn finish(
    policy: &Policy,
    (host, facts): (&Host, &Facts),
    (identity, ceilings): (&Identity, &Ceilings),
    steps: &mut Vec<Planned>,
) {
    set_id::relay(policy, facts, steps);
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
        let table = ceilings.guarded(one_id::filter(policy, table, identity));
        add(
            steps,
            Step::Seccomp(set_id::filter(table, policy, (host, facts), identity, steps)),
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

//! Pure: a plan to the answer to "can this be done inside, what decides, and what would change it?".

use super::links;
use super::place::{Holds, holds};
use super::step::{Attributes, Plan, ProcFile, ProcKind, Step, sealed};
use crate::model::{HostPath, InRoot};
use crate::policy::{Policy, Root, never_shown};
use crate::profile::schema::NetworkMode;
use crate::seccomp::{Verdict, guard};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What is to be done with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// Opened for reading, or listed.
    Read,
    /// Written, made, removed.
    Write,
    /// Executed.
    Exec,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Whether it can be done.
    pub yes: bool,
    /// What decides, each with the line that says so.
    pub because: Vec<String>,
    /// The smallest flag, or line of a profile, that would change it.
    pub change: Option<String>,
    /// The path on the host that is reached, whose own permissions hold as well.
    #[serde(skip)]
    pub source: Option<PathBuf>,
}

impl Answer {
    fn new(yes: bool, because: impl Into<String>, change: Option<String>) -> Self {
        Self {
            yes,
            because: vec![because.into()],
            change,
            source: None,
        }
    }

    /// An answer that a further fact turns into no.
    pub fn refuse(&mut self, because: impl Into<String>) {
        self.yes = false;
        self.because.push(because.into());
    }
}

/// Whether a path inside can be used.
#[must_use]
pub fn path(plan: &Plan, policy: &Policy, asked: &InRoot, wanted: Use) -> Answer {
    let at = links::follow(&plan.steps, asked);
    let mut answer = governed(plan, policy, &at, wanted);
    if at != *asked {
        answer.because.insert(0, format!("{asked} leads to {at}"));
    }
    answer
}

/// The last step that mounts or makes something at the path or above it decides.
fn governed(plan: &Plan, policy: &Policy, at: &InRoot, wanted: Use) -> Answer {
    let mut best: Option<(usize, &Step, &str)> = None;
    for planned in &plan.steps {
        let Some(place) = place(&planned.step) else {
            continue;
        };
        let depth = place.as_path().components().count();
        if at.is_beneath(&place) && best.is_none_or(|(deepest, ..)| depth >= deepest) {
            best = Some((depth, &planned.step, &planned.reason));
        }
    }
    match best {
        Some((_, step, reason)) => decide(plan, policy, at, wanted, step, reason),
        None => Answer::new(false, "nothing is mounted there", None),
    }
}

/// Where a step decides what can be done.
fn place(step: &Step) -> Option<InRoot> {
    match step {
        Step::RootTmpfs(_)
        | Step::RootBind(_)
        | Step::RootOverlay(..)
        | Step::RootFuse { .. }
        | Step::RootCopy(_) => Some(InRoot::root()),
        step => holds(step)
            .filter(|(_, what)| *what != Holds::Made)
            .map(|(at, _)| at.clone()),
    }
}

fn decide(plan: &Plan, policy: &Policy, at: &InRoot, wanted: Use, step: &Step, reason: &str) -> Answer {
    let line = format!("{step}  [{reason}]");
    match step {
        Step::RootTmpfs(_) => own_root(plan, policy, at, wanted, &line),
        Step::RootBind(source) => {
            let mut answer = mounted(policy, at, wanted, Attributes::READ_EXECUTE, line);
            answer.source = on_host(source, &InRoot::root(), at);
            answer
        }
        Step::RootCopy(_) | Step::RootFuse { .. } => mounted(policy, at, wanted, of_root(plan), line),
        Step::RootOverlay(layers, ..) => {
            let mut answer = mounted(policy, at, wanted, of_root(plan), line);
            // Which of several layers shows the path, the plan does not know.
            answer.source = on_host(&layers.within, &InRoot::root(), at)
                .filter(|_| wanted != Use::Write && layers.names.is_empty());
            answer
        }
        Step::Bind(source, target, attributes) => {
            let mut answer = mounted(policy, at, wanted, *attributes, line);
            answer.source = on_host(source, target, at);
            answer
        }
        Step::Device {
            source, at: target, ..
        } => {
            let mut answer = mounted(policy, at, wanted, Attributes::DEVICE, line);
            answer.source = on_host(source, target, at);
            answer
        }
        Step::WorkspaceOverlay(source, target, _, attributes) => {
            let mut answer = mounted(policy, at, wanted, *attributes, line);
            answer.source = on_host(source, target, at).filter(|_| wanted != Use::Write);
            answer
        }
        Step::Tmpfs(target, _, _, attributes) => {
            let mut answer = mounted(policy, at, wanted, *attributes, line);
            if wanted == Use::Read && at != target {
                answer.refuse("it is empty at the start: nothing of the host's is there, only what the command itself writes");
                answer.change = show_it(policy, at, wanted);
            }
            answer
        }
        Step::Proc(_, kind, files) => proc(at, wanted, (*kind, files), line),
        Step::Devpts(_) | Step::Mqueue(_) => Answer::new(wanted != Use::Exec, line, None),
        Step::ReadOnly(_) => Answer::new(wanted == Use::Read, line, None),
        _ => Answer::new(false, line, None),
    }
}

/// What can be done in a root of its own layers.
fn of_root(plan: &Plan) -> Attributes {
    Attributes {
        writable: !sealed(&plan.steps),
        ..Attributes::READ_EXECUTE
    }
}

fn on_host(source: &HostPath, target: &InRoot, at: &InRoot) -> Option<PathBuf> {
    let rest = at.as_path().strip_prefix(target.as_path()).ok()?;
    Some(if rest.as_os_str().is_empty() {
        source.as_path().to_owned()
    } else {
        source.as_path().join(rest)
    })
}

/// In a root of our own there is nothing but what was made.
fn own_root(plan: &Plan, policy: &Policy, at: &InRoot, wanted: Use, line: &str) -> Answer {
    let sealed = sealed(&plan.steps);
    let made = *at == InRoot::root()
        || plan.steps.iter().any(|p| match &p.step {
            Step::Directory(place, _) | Step::File(place, _) | Step::Point(place) => place.is_beneath(at),
            _ => place(&p.step).is_some_and(|place| place.is_beneath(at)),
        });
    if !made && (wanted != Use::Write || sealed) {
        let because = format!("there is no {at} inside: the root holds only what is mounted on it  [{line}]");
        return Answer::new(false, because, show_it(policy, at, wanted));
    }
    match wanted {
        Use::Read => Answer::new(true, line.to_owned(), None),
        Use::Write if !sealed => Answer::new(true, line.to_owned(), None),
        Use::Write => Answer::new(
            false,
            "the root itself is read-only",
            Some(format!("--tmpfs {at}")),
        ),
        Use::Exec => Answer::new(false, "it is no program", None),
    }
}

/// The flag that shows a path of the host, where that is a thing to do at all.
fn show_it(policy: &Policy, at: &InRoot, wanted: Use) -> Option<String> {
    if policy.root != Root::Host || never_shown(at.as_path(), &policy.homes).is_some() {
        return None;
    }
    let mode = if wanted == Use::Write { "" } else { ":ro" };
    Some(format!("-v {at}:{at}{mode}"))
}

fn mounted(policy: &Policy, at: &InRoot, wanted: Use, a: Attributes, line: String) -> Answer {
    let yes = match wanted {
        Use::Read => true,
        Use::Write => a.writable,
        Use::Exec => a.execute,
    };
    let change = (!yes).then(|| widen(policy, at, wanted));
    Answer::new(yes, line, change)
}

fn widen(policy: &Policy, at: &InRoot, wanted: Use) -> String {
    let workspace = policy.workspace.source.as_ref();
    let in_workspace = workspace.is_some_and(|w| at.as_path().starts_with(w.as_path()));
    match wanted {
        Use::Exec => "filesystem.execute = \"anywhere\" in a profile, or --tmpfs DIR:exec".to_owned(),
        _ if in_workspace => {
            "--workspace writable, or --workspace overlay to look at the changes first".to_owned()
        }
        _ => format!("-v DIR:{at} with a directory that may be written, or --tmpfs {at}"),
    }
}

fn proc(at: &InRoot, wanted: Use, (kind, files): (ProcKind, &[ProcFile]), line: String) -> Answer {
    if wanted == Use::Exec {
        return Answer::new(false, line, None);
    }
    let shown = |file: &&ProcFile| Path::new("/proc").join(file.path).starts_with(at.as_path());
    if *at != InRoot::root() && at.as_path() != Path::new("/proc") && files.iter().any(|file| shown(&file)) {
        return Answer::new(wanted == Use::Read, line, None);
    }
    let name = at
        .as_path()
        .components()
        .nth(2)
        .map(|c| c.as_os_str().to_string_lossy().into_owned());
    let own = name
        .as_deref()
        .is_none_or(|n| n == "self" || n == "thread-self" || n.bytes().all(|b| b.is_ascii_digit()));
    match (kind, own) {
        (ProcKind::OwnProcesses, false) => Answer::new(
            false,
            line,
            Some("filesystem.proc = \"masked\" in a profile".to_owned()),
        ),
        (ProcKind::OwnProcesses, true) if wanted == Use::Write => {
            Answer::new(false, format!("{line}; Landlock allows reading only"), None)
        }
        _ => Answer::new(true, line, None),
    }
}

/// Whether a system call is carried out. `None` for a name that is no system call.
#[must_use]
pub fn syscall(policy: &Policy, name: &str) -> Option<Answer> {
    let Some(table) = &policy.syscalls else {
        crate::seccomp::table::number(name)?;
        return Some(Answer::new(
            true,
            "seccomp is off: the kernel alone decides",
            None,
        ));
    };
    let found = table.explain(name)?;
    let origin = &found.entry.origin;
    let line = format!("[syscalls]\nallow = [\"{name}\"]");
    let change = format!("a profile with `{}`", line.replace('\n', " "));
    Some(match &found.entry.verdict {
        Verdict::Always(answer) if answer.allows() => {
            Answer::new(true, format!("{answer}  [{origin}]"), None)
        }
        Verdict::Always(answer) => Answer::new(false, format!("it gets {answer}  [{origin}]"), Some(change)),
        guarded @ Verdict::Guarded { .. } => {
            let mut answer = Answer::new(guarded.may_allow(), format!("allowed  [{origin}], but for"), None);
            for named in &found.entry.guards {
                let about = guard::find(named.guard).map_or("", |g| g.about);
                answer
                    .because
                    .push(format!("{}: {about}  [{}]", named.guard, named.origin));
            }
            answer
        }
    })
}

/// Whether a TCP connection to a host other than the sandbox itself can be made.
#[must_use]
pub fn connect(policy: &Policy, host: &str) -> Answer {
    let origin = &policy.network.origin;
    let own = matches!(host, "localhost" | "::1" | "[::1]") || host.starts_with("127.");
    match policy.network.value {
        NetworkMode::Host if !policy.connect.is_empty() => {
            let ports: Vec<String> = policy.connect.iter().map(|port| port.value.to_string()).collect();
            let because = format!(
                "network.mode = host, to the ports {} alone  [{origin}]",
                ports.join(", ")
            );
            Answer::new(true, because, None)
        }
        NetworkMode::Host => Answer::new(
            true,
            format!("network.mode = host: nothing is filtered  [{origin}]"),
            None,
        ),
        _ if own => {
            let because =
                format!("that is the sandbox's own loopback, where only its own programs listen  [{origin}]");
            let mut answer = Answer::new(true, because, None);
            answer.change = Some("--network host, for the host's own loopback".to_owned());
            answer
        }
        _ => Answer::new(
            false,
            format!("network.mode = none: there is no interface but loopback  [{origin}]"),
            Some("--network host, which filters nothing".to_owned()),
        ),
    }
}

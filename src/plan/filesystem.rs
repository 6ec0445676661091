//! What the root is made of, mount by mount, parents before children.

use super::identity::Identity;
use super::loss::Refusal;
use super::place::holds;
use super::step::{Attributes, Planned, ProcKind, Step};
use super::{Facts, Kind};
use super::{generated, links};
use crate::model::host::TopEntry;
use crate::model::{Bytes, Host, HostPath, InRoot, Origin, Set};
use crate::policy::{Bind, Policy, Root, Scratch};
use crate::profile::schema::{HomeMode, ProcMode, RootMode, WorkdirMode};
use std::collections::BTreeSet;

/// Why a device is there that nobody asked for.
pub(super) const EVERY_PROGRAM: &str = "every program may expect it";
/// Device nodes that every program may expect.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// Files of a whole `/proc` that tell about the host or reach into the kernel (the list of docker and podman, and interrupts, GHSA-6fw5-f8r9-fgfm).
const MASKED_PROC: [&str; 10] = [
    "acpi",
    "asound",
    "interrupts",
    "kcore",
    "keys",
    "latency_stats",
    "sched_debug",
    "scsi",
    "timer_list",
    "timer_stats",
];
/// Files of a whole `/proc` that change the kernel.
const READ_ONLY_PROC: [&str; 5] = ["bus", "fs", "irq", "sys", "sysrq-trigger"];

/// Collects steps and remembers which places are ours to make directories in.
pub(super) struct Builder<'a> {
    policy: &'a Policy,
    host: &'a Host,
    facts: &'a Facts,
    steps: Vec<Planned>,
    /// Mount points, with whether what is mounted there is our own (a tmpfs or an overlay).
    mounts: Vec<(InRoot, bool)>,
    made: BTreeSet<InRoot>,
}

/// An absolute path inside that is written in this file.
fn at(path: &str) -> InRoot {
    InRoot::new(path).unwrap_or_else(|_| InRoot::root())
}

impl<'a> Builder<'a> {
    pub(super) fn new(policy: &'a Policy, host: &'a Host, facts: &'a Facts) -> Self {
        Self {
            policy,
            host,
            facts,
            steps: Vec::new(),
            mounts: Vec::new(),
            made: BTreeSet::from([InRoot::root()]),
        }
    }

    /// All steps from the root's first mount to the pivot. `proc`: which `/proc` the host can give.
    pub(super) fn build(
        mut self,
        identity: &Identity,
        proc: Option<ProcKind>,
    ) -> Result<Vec<Planned>, Refusal> {
        self.root()?;
        if self.policy.root == Root::Host {
            self.host_tree();
            self.etc(identity);
        }
        self.proc(proc);
        self.dev()?;
        self.tmp();
        self.home();
        self.requested()?;
        self.devices()?;
        self.masks(proc);
        if self.seals() {
            self.add(Step::SealRoot, "nothing in the root itself may be written");
        }
        self.add(Step::PivotRoot, "the host's tree is out of reach from here on");
        Ok(self.steps)
    }

    fn add(&mut self, step: Step, reason: impl Into<String>) {
        self.steps.push(Planned {
            step,
            reason: reason.into(),
        });
    }

    fn seals(&self) -> bool {
        let overlay = matches!(self.steps.first().map(|p| &p.step), Some(Step::RootOverlay(..)));
        let own = self.policy.root != Root::Host && self.policy.root_mode.value == RootMode::Ephemeral;
        match &self.policy.root {
            Root::Host | Root::Scratch => !own,
            Root::Directory(_) => overlay && !own,
        }
    }

    fn root(&mut self) -> Result<(), Refusal> {
        let mode = &self.policy.root_mode;
        match &self.policy.root {
            Root::Host | Root::Scratch => {
                let size = if self.policy.root == Root::Scratch && mode.value == RootMode::Ephemeral {
                    self.policy.tmp.value
                } else {
                    Bytes(1 << 20)
                };
                self.add(Step::RootTmpfs(size), "holds the mount points");
                self.mounts.push((InRoot::root(), true));
            }
            Root::Directory(source) => {
                let missing = self.missing_place();
                if mode.value == RootMode::ReadOnly && missing.is_none() {
                    self.add(
                        Step::RootBind(source.clone()),
                        format!("the image; filesystem.root = read-only ({})", mode.origin),
                    );
                    self.mounts.push((InRoot::root(), false));
                } else if self.host.overlay.works() {
                    let why = match missing {
                        Some(place) => format!("the image has no directory {place} to mount on"),
                        None => format!("filesystem.root = ephemeral ({})", mode.origin),
                    };
                    self.add(Step::RootOverlay(source.clone(), self.policy.tmp.value), why);
                    self.mounts.push((InRoot::root(), true));
                } else {
                    return self.no_overlay(source, missing);
                }
            }
        }
        Ok(())
    }

    fn no_overlay(&self, source: &HostPath, missing: Option<InRoot>) -> Result<(), Refusal> {
        let why = match missing {
            Some(place) => format!(
                "it has no directory {place}, and this host cannot mount overlay: make that directory"
            ),
            None => {
                "filesystem.root = ephemeral needs overlay, which this host refuses: use read-only".into()
            }
        };
        Err(Refusal::Value {
            what: format!("the root {source}"),
            origin: self.policy.root_mode.origin.clone(),
            why,
        })
    }

    /// The first place that has to be mounted on and is no directory of the image.
    fn missing_place(&self) -> Option<InRoot> {
        super::places(self.policy)
            .into_iter()
            .find(|place| !self.facts.places.contains(place))
    }

    fn host_tree(&mut self) {
        self.bind_host("/usr", Attributes::READ_EXECUTE, "image host: the programs");
        for (name, entry) in &self.host.tree.top {
            match entry {
                TopEntry::Link(target) => self.add(
                    Step::Link(at(&format!("/{name}")), target.clone()),
                    "as on the host",
                ),
                TopEntry::Directory => self.bind_host(
                    &format!("/{name}"),
                    Attributes::READ_EXECUTE,
                    "image host: the programs",
                ),
            }
        }
        for store in &self.host.tree.stores {
            self.bind_host(
                store,
                Attributes::READ_EXECUTE,
                "image host: where programs are kept too",
            );
        }
        self.directory(&at("/var"), 0o755);
        self.add(Step::Link(at("/var/tmp"), "/tmp".into()), "programs expect it");
        self.directory(&at("/run"), 0o755);
        self.add(Step::Link(at("/var/run"), "/run".into()), "programs expect it");
    }

    fn bind_host(&mut self, path: &str, attributes: Attributes, reason: &str) {
        let Ok(source) = HostPath::new(path) else { return };
        let Some(kind) = self.facts.sources.get(&source).copied() else {
            return;
        };
        let target = at(path);
        self.point(&target, kind);
        self.add(Step::Bind(source, target.clone(), attributes), reason);
        self.mounts.push((target, false));
    }

    fn etc(&mut self, identity: &Identity) {
        self.directory(&at("/etc"), 0o755);
        for name in &self.host.tree.etc {
            self.bind_host(
                &format!("/etc/{name}"),
                Attributes::READ,
                "image host: read by programs, no secret",
            );
        }
        for (name, bytes) in generated::etc(self.policy, self.host, identity) {
            self.add(
                Step::File(at(&format!("/etc/{name}")), bytes),
                "generated: the host's own tells too much",
            );
        }
    }

    fn proc(&mut self, kind: Option<ProcKind>) {
        let target = at("/proc");
        let Some(kind) = kind else { return };
        self.directory(&target, 0o555);
        let reason = format!("filesystem.proc ({})", self.policy.proc.origin);
        self.add(Step::Proc(target.clone(), kind), reason);
        self.mounts.push((target, false));
    }

    fn dev(&mut self) -> Result<(), Refusal> {
        let dev = at("/dev");
        self.directory(&dev, 0o755);
        if self.policy.root != Root::Host {
            let attributes = Attributes {
                writable: true,
                execute: false,
                devices: false,
            };
            self.add(
                Step::Tmpfs(dev.clone(), Bytes(64 << 10), 0o755, attributes),
                "device nodes are mounted on it",
            );
            self.mounts.push((dev.clone(), true));
        }
        for name in DEVICES {
            let source =
                HostPath::new(format!("/dev/{name}")).map_err(|e| self.fault("/dev", &e.to_string()))?;
            self.device(source, at(&format!("/dev/{name}")), EVERY_PROGRAM);
        }
        for (name, target) in [
            ("fd", "/proc/self/fd"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"),
            ("ptmx", "pts/ptmx"),
        ] {
            self.add(
                Step::Link(at(&format!("/dev/{name}")), target.into()),
                EVERY_PROGRAM,
            );
        }
        self.directory(&at("/dev/pts"), 0o755);
        self.add(Step::Devpts(at("/dev/pts")), "pseudo-terminals of its own");
        self.directory(&at("/dev/shm"), 0o1777);
        self.tmpfs(&at("/dev/shm"), "shared memory of its own");
        if self.policy.root != Root::Host {
            self.add(Step::ReadOnly(dev), "no device node can be replaced");
        }
        Ok(())
    }

    fn fault(&self, what: &str, why: &str) -> Refusal {
        Refusal::Value {
            what: what.into(),
            origin: Origin::Default,
            why: why.into(),
        }
    }

    fn device(&mut self, source: HostPath, target: InRoot, reason: &str) {
        let target = links::follow(&self.steps, &target);
        let attributes = Attributes {
            writable: true,
            execute: false,
            devices: true,
        };
        self.point(&target, Kind::Device);
        self.add(Step::Bind(source, target.clone(), attributes), reason);
        self.mounts.push((target, false));
    }

    fn tmpfs(&mut self, target: &InRoot, reason: &str) {
        let attributes = Attributes {
            writable: true,
            execute: self.policy.execute_written,
            devices: false,
        };
        self.add(
            Step::Tmpfs(target.clone(), self.policy.tmp.value, 0o1777, attributes),
            reason,
        );
        self.mounts.push((target.clone(), true));
    }

    fn tmp(&mut self) {
        let target = at("/tmp");
        self.directory(&target, 0o1777);
        self.tmpfs(&target, &format!("filesystem.tmp ({})", self.policy.tmp.origin));
    }

    fn home(&mut self) {
        let (home, mode) = &self.policy.home;
        if self.policy.root != Root::Host || mode.value == HomeMode::None || self.covered(home) {
            return;
        }
        let (home, reason) = (
            links::follow(&self.steps, home),
            format!("filesystem.home = empty ({})", mode.origin),
        );
        self.directory(&home, 0o700);
        let attributes = Attributes {
            writable: true,
            execute: self.policy.execute_written,
            devices: false,
        };
        self.add(
            Step::Tmpfs(home.clone(), self.policy.tmp.value, 0o700, attributes),
            reason,
        );
        self.mounts.push((home, true));
    }

    /// Whether a path lies in a mount that shows the host, where no mount point may be made.
    fn covered(&self, path: &InRoot) -> bool {
        let Some(parent) = path.parent() else { return false };
        !self
            .mounts
            .iter()
            .rfind(|(m, _)| parent.is_beneath(m))
            .is_none_or(|(_, own)| *own)
    }

    /// The workspace, `-v`, `--tmpfs` and the profile's mounts, parents before children.
    fn requested(&mut self) -> Result<(), Refusal> {
        enum Asked {
            Bind(Set<Bind>),
            Tmpfs(Set<Scratch>),
            Overlay,
        }
        let policy = self.policy;
        let depth = |path: &InRoot| path.as_path().components().count();
        let mut all: Vec<(usize, Asked)> = Vec::new();
        all.extend(
            policy
                .binds
                .iter()
                .map(|b| (depth(&b.value.target), Asked::Bind(b.clone()))),
        );
        all.extend(
            policy
                .scratch
                .iter()
                .map(|s| (depth(&s.value.target), Asked::Tmpfs(s.clone()))),
        );
        if policy.workspace.mode.value == WorkdirMode::Overlay {
            let deep = policy
                .workspace
                .source
                .as_ref()
                .map_or(0, |s| s.as_path().components().count());
            all.push((deep, Asked::Overlay));
        }
        all.sort_by_key(|(depth, _)| *depth);
        for (_, asked) in all {
            match asked {
                Asked::Bind(bind) => self.bind(&bind)?,
                Asked::Tmpfs(tmpfs) => self.scratch(&tmpfs),
                Asked::Overlay => self.workspace_overlay()?,
            }
        }
        Ok(())
    }

    fn bind(&mut self, set: &Set<Bind>) -> Result<(), Refusal> {
        let bind = &set.value;
        let Some(kind) = self.facts.sources.get(&bind.source).copied() else {
            if bind.optional {
                return Ok(());
            }
            return Err(Refusal::Value {
                what: format!("cannot bind {} to {}", bind.source, bind.target),
                origin: set.origin.clone(),
                why: "no such file or directory on the host; create it, or mark the mount optional in a profile".into(),
            });
        };
        let target = links::follow(&self.steps, &bind.target);
        self.clear_below(&target);
        self.point(&target, kind);
        let attributes = Attributes {
            writable: bind.writable,
            execute: bind.execute,
            devices: false,
        };
        self.add(
            Step::Bind(bind.source.clone(), target.clone(), attributes),
            set.origin.to_string(),
        );
        self.mounts.push((target, false));
        Ok(())
    }

    fn scratch(&mut self, set: &Set<Scratch>) {
        let s = &set.value;
        let target = links::follow(&self.steps, &s.target);
        self.clear_below(&target);
        self.point(&target, Kind::Directory);
        let attributes = Attributes {
            writable: true,
            execute: s.execute,
            devices: false,
        };
        self.add(
            Step::Tmpfs(target.clone(), s.size, s.mode, attributes),
            set.origin.to_string(),
        );
        self.mounts.push((target, true));
    }

    fn workspace_overlay(&mut self) -> Result<(), Refusal> {
        let (Some(source), origin) = (&self.policy.workspace.source, &self.policy.workspace.mode.origin)
        else {
            return Ok(());
        };
        let refuse = |why: String| Refusal::Value {
            what: "filesystem.workdir = overlay".into(),
            origin: origin.clone(),
            why,
        };
        if !self.host.overlay.works() {
            return Err(refuse(
                "this host refuses overlay to unprivileged users: use read-only or writable".into(),
            ));
        }
        let target = InRoot::new(source.as_path()).map_err(|e| refuse(e.to_string()))?;
        let target = links::follow(&self.steps, &target);
        self.clear_below(&target);
        self.point(&target, Kind::Directory);
        let attributes = Attributes {
            writable: true,
            execute: self.policy.execute_written,
            devices: false,
        };
        let size = Bytes(self.policy.tmp.value.0.max(1 << 30));
        self.add(
            Step::WorkspaceOverlay(source.clone(), target.clone(), size, attributes),
            origin.to_string(),
        );
        self.mounts.push((target, true));
        Ok(())
    }

    fn devices(&mut self) -> Result<(), Refusal> {
        for set in &self.policy.devices {
            let device = &set.value;
            match self.facts.sources.get(&device.source) {
                Some(Kind::Device) => self.device(
                    device.source.clone(),
                    device.target.clone(),
                    &set.origin.to_string(),
                ),
                None if device.optional => {}
                other => {
                    let why = if other.is_some() {
                        "it is no device node"
                    } else {
                        "no such device on the host"
                    };
                    let what = format!("device {}", device.source);
                    return Err(Refusal::Value {
                        what,
                        origin: set.origin.clone(),
                        why: why.into(),
                    });
                }
            }
        }
        Ok(())
    }

    fn masks(&mut self, proc: Option<ProcKind>) {
        if proc == Some(ProcKind::Whole) && self.policy.proc.value == ProcMode::Masked {
            for name in MASKED_PROC {
                self.add(Step::Mask(at(&format!("/proc/{name}"))), "tells about the host");
            }
            for name in READ_ONLY_PROC {
                self.add(Step::ReadOnly(at(&format!("/proc/{name}"))), "changes the kernel");
            }
        }
        for path in &self.policy.masked {
            let target = links::follow(&self.steps, &path.value);
            self.add(Step::Mask(target), path.origin.to_string());
        }
    }

    /// What was asked for replaces what the root would have had below that place.
    fn clear_below(&mut self, target: &InRoot) {
        let below = |at: &InRoot| at != target && at.is_beneath(target);
        self.steps
            .retain(|p| !holds(&p.step).is_some_and(|(at, _)| below(at)));
        self.mounts.retain(|(at, _)| !below(at));
        self.made.retain(|at| !below(at));
    }

    /// Makes what a mount needs to be put on, where that place is our own. In a place that shows the host nothing is ever made.
    fn point(&mut self, target: &InRoot, kind: Kind) {
        if self.covered(target) {
            return;
        }
        if let Some(parent) = target.parent() {
            self.directory(&parent, 0o755);
        }
        match kind {
            Kind::Directory => self.directory(target, 0o755),
            Kind::File | Kind::Device => {
                if self.made.insert(target.clone()) {
                    self.add(Step::Point(target.clone()), "to mount on");
                }
            }
        }
    }

    fn directory(&mut self, target: &InRoot, mode: u32) {
        if self.covered(target) || self.made.contains(target) {
            return;
        }
        if let Some(parent) = target.parent() {
            self.directory(&parent, 0o755);
        }
        // A mount hides what was made below it before.
        if self.mounts.iter().any(|(m, _)| m == target) {
            return;
        }
        self.made.insert(target.clone());
        self.add(Step::Directory(target.clone(), mode), "to mount on");
    }
}

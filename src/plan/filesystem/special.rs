//! What every root gets: `/proc`, `/dev`, `/tmp`, a home, and what is hidden in them.

use super::{Builder, at};
use crate::model::facts::{Found, Kind};
use crate::model::{Bytes, HostPath, InRoot, Origin};
use crate::plan::kernel_files::Visible;
use crate::plan::links;
use crate::plan::loss::Refusal;
use crate::plan::step::{Attributes, ProcKind, Step};
use crate::policy::Root;
use crate::profile::schema::HomeMode;
use crate::seccomp::Table;

/// Where libc counts processors.
const PROCESSORS: &str = "/sys/devices/system/cpu";
/// Why something is there that nobody asked for.
const EVERY_PROGRAM: &str = "every program may expect it";
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

impl Builder<'_> {
    pub(super) fn proc(&mut self, kind: Option<ProcKind>, visible: &Visible<'_>) {
        let target = at("/proc");
        let Some(kind) = kind else { return };
        self.directory(&target, 0o555);
        let reason = format!("filesystem.proc ({})", self.policy.proc.origin);
        self.add(Step::Proc(target.clone(), kind, visible.proc(kind)), reason);
        self.mounts.push((target, false));
    }

    /// The two files of `/sys` that libc counts processors by, where the root is ours to make them in.
    pub(super) fn sys(&mut self, visible: &Visible<'_>) {
        if self.policy.root != Root::Host {
            return;
        }
        let directory = at(PROCESSORS);
        self.directory(&directory, 0o755);
        for name in ["online", "possible"] {
            let step = Step::File(
                at(&format!("{PROCESSORS}/{name}")),
                visible.processors().into_bytes(),
            );
            self.add(step, "generated: the processors that the limits leave");
        }
    }

    pub(super) fn dev(&mut self) -> Result<(), Refusal> {
        let dev = at("/dev");
        self.directory(&dev, 0o755);
        if self.policy.root != Root::Host {
            let attributes = Attributes {
                writable: true,
                execute: false,
                devices: false,
            };
            self.add(
                Step::Tmpfs(dev.clone(), Bytes(64 << 10).into(), 0o755, attributes),
                "device nodes are mounted on it",
            );
            self.mounts.push((dev.clone(), true));
        }
        for name in DEVICES {
            let source =
                HostPath::new(format!("/dev/{name}")).map_err(|e| self.fault("/dev", &e.to_string()))?;
            self.device(source, at(&format!("/dev/{name}")), None);
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
        if self.policy.syscalls.as_ref().is_none_or(Table::opens_queues) {
            // mq_open(2) opens files of this file system, and Landlock asks for a rule that covers them.
            self.directory(&at("/dev/mqueue"), 0o1777);
            self.add(Step::Mqueue(at("/dev/mqueue")), "message queues of its own");
            self.mounts.push((at("/dev/mqueue"), true));
        }
        self.directory(&at("/dev/shm"), 0o1777);
        let reason = format!("shared memory of its own ({})", self.policy.shm.origin);
        self.tmpfs(at("/dev/shm"), self.policy.shm.value, 0o1777, &reason);
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

    /// `asked`: the flag or line of a profile that asks for it; `None` for those of every run.
    fn device(&mut self, source: HostPath, target: InRoot, asked: Option<&Origin>) {
        let at = links::follow(&self.steps, &target);
        self.point(&at, Kind::Device);
        self.mounts.push((at.clone(), false));
        let reason = asked.map_or(EVERY_PROGRAM.to_owned(), ToString::to_string);
        let step = Step::Device {
            source,
            at,
            asked: asked.is_some(),
        };
        self.add(step, reason);
    }

    fn tmpfs(&mut self, target: InRoot, size: Bytes, mode: u32, reason: &str) {
        let attributes = Attributes {
            writable: true,
            execute: self.policy.execute_written,
            devices: false,
        };
        self.add(Step::Tmpfs(target.clone(), size.into(), mode, attributes), reason);
        self.mounts.push((target, true));
    }

    pub(super) fn tmp(&mut self) {
        let target = at("/tmp");
        self.directory(&target, 0o1777);
        let reason = format!("filesystem.tmp ({})", self.policy.tmp.origin);
        self.tmpfs(target, self.policy.tmp.value, 0o1777, &reason);
    }

    pub(super) fn home(&mut self) {
        let (home, mode) = &self.policy.home;
        if self.policy.root != Root::Host || mode.value == HomeMode::None || self.covered(home) {
            return;
        }
        let (home, reason) = (
            links::follow(&self.steps, home),
            format!("filesystem.home = empty ({})", mode.origin),
        );
        self.directory(&home, 0o700);
        self.tmpfs(home, self.policy.tmp.value, 0o700, &reason);
    }

    pub(super) fn devices(&mut self) -> Result<(), Refusal> {
        for set in &self.policy.devices {
            let device = &set.value;
            match self.facts.sources.get(&device.source) {
                Some(Found {
                    kind: Kind::Device,
                    real,
                }) => self.device(real.clone(), device.target.clone(), Some(&set.origin)),
                None if device.optional => {}
                other => {
                    let why = match (other, self.facts.unreadable.get(&device.source)) {
                        (Some(_), _) => "it is no device node".into(),
                        (None, Some(error)) => format!("cannot look it up on the host: {error}"),
                        (None, None) => "no such device on the host".into(),
                    };
                    let what = format!("device {}", device.source);
                    return Err(Refusal::Value {
                        what,
                        origin: set.origin.clone(),
                        why,
                    });
                }
            }
        }
        Ok(())
    }

    pub(super) fn masks(&mut self, proc: Option<ProcKind>) {
        // Also where only the host's lack of subset=pid makes it a whole one.
        if proc == Some(ProcKind::Whole) {
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
}

//! The files of the kernel in `/proc` and `/sys` that programs read, with contents that follow the sandbox's limits.
//!
//! A `/proc` of own processes shows these names and no other. Files with constants, or with what sysinfo(2) and uname(2) tell inside as
//! well, are the kernel's own or generated once; files that count what the host does (`stat`, `loadavg`, `meminfo`, `uptime`) are
//! generated, and stay as they are.

use super::step::{ProcFile, ProcKind};
use crate::model::facts::Machine;
use crate::model::{Capability, Processors};
use std::fmt::Write;

/// The kernel's own files that a `/proc` of own processes shows. `mounts` and `net` are links into `self`; each read of `uuid` gives
/// another one, which no file of ours can.
const OWN: [&str; 5] = ["cpuinfo", "mounts", "net", "sys/kernel/random/uuid", "version"];

/// What the generated files tell.
pub(super) struct Visible<'a> {
    pub(super) machine: &'a Machine,
    /// Memory in bytes: that of the machine, or the limit.
    pub(super) memory: u64,
    /// Whether a limit makes that less than the machine has.
    pub(super) limited: bool,
    /// The numbers of the processors.
    pub(super) processors: Processors,
    /// Whether clocks start at 0 with the command.
    pub(super) clocks_from_0: bool,
}

impl Visible<'_> {
    /// The files that differ from those of a whole `/proc`, or that one of own processes shows.
    pub(super) fn proc(&self, kind: ProcKind) -> Vec<ProcFile> {
        let meminfo = ProcFile::generated("meminfo", self.meminfo());
        match kind {
            ProcKind::Whole => Vec::from_iter(self.limited.then_some(meminfo)),
            ProcKind::OwnProcesses => {
                let generated = [
                    ("loadavg", "0.00 0.00 0.00 1/1 1\n".to_owned()),
                    ("stat", self.stat()),
                    ("uptime", format!("{}.00 0.00\n", self.up())),
                    ("sys/kernel/cap_last_cap", format!("{}\n", Capability::last())),
                    // NGROUPS_MAX and PID_MAX_LIMIT of every kernel since 2.6.
                    ("sys/kernel/ngroups_max", "65536\n".to_owned()),
                    ("sys/kernel/osrelease", format!("{}\n", self.machine.release)),
                    ("sys/kernel/pid_max", "4194304\n".to_owned()),
                ];
                let generated = generated.map(|(path, text)| ProcFile::generated(path, text));
                let own = OWN.map(|path| ProcFile { path, content: None });
                [meminfo].into_iter().chain(generated).chain(own).collect()
            }
        }
    }

    /// `online` and `possible` of `/sys/devices/system/cpu`.
    pub(super) fn processors(&self) -> String {
        format!("{}\n", self.processors)
    }

    fn up(&self) -> u64 {
        if self.clocks_from_0 { 0 } else { self.machine.up }
    }

    /// Nothing is used yet: what the host has free says what it does.
    fn meminfo(&self) -> String {
        let mut out = String::new();
        let kib = self.memory / 1024;
        for (name, value) in [
            ("MemTotal", kib),
            ("MemFree", kib),
            ("MemAvailable", kib),
            ("Buffers", 0),
            ("Cached", 0),
            ("SwapCached", 0),
            ("Active", 0),
            ("Inactive", 0),
            ("SwapTotal", 0),
            ("SwapFree", 0),
            ("Dirty", 0),
            ("Mapped", 0),
            ("Shmem", 0),
            ("Slab", 0),
            ("SReclaimable", 0),
            ("SUnreclaim", 0),
        ] {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{:<15} {value:>8} kB", format!("{name}:"));
        }
        out
    }

    /// Processors that have done nothing; programs count the lines.
    fn stat(&self) -> String {
        let mut out = String::from("cpu  0 0 0 0 0 0 0 0 0 0\n");
        for number in self.processors.numbers() {
            let _ = writeln!(out, "cpu{number} 0 0 0 0 0 0 0 0 0 0");
        }
        let booted = self.machine.now.saturating_sub(self.up());
        let _ = write!(
            out,
            "intr 0\nctxt 0\nbtime {booted}\nprocesses 1\nprocs_running 1\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n"
        );
        out
    }
}

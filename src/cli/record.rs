//! The result record: one JSON object about how a run ended.

use super::out;
use super::report::{Kind, Report};
use super::request::Asked;
use crate::plan::Loss;
use crate::profile::show;
use crate::sandbox::{Counter, Outcome, Whole};
use crate::sys::named::{Place, Planted};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Seek;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Instant;

/// What is written. Times are in microseconds, sizes in bytes.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Record {
    version: &'static str,
    reason: &'static str,
    exit_code: Option<u8>,
    signal: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    wall_us: u128,
    user_us: u128,
    system_us: u128,
    memory_peak_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_peak_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    whole: Option<WholeRecord>,
    profile: ProfileRecord,
    /// Preferred protections that were not in force.
    pub losses: Vec<Loss>,
    /// What was written to an overlaid workspace.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// When writing it is given up.
    #[serde(skip)]
    pub until: Option<Instant>,
}

/// What was counted of the sandbox as a whole; what is not known is left out.
#[derive(Debug, Clone, Default, Serialize)]
struct WholeRecord {
    /// `cgroup`: the kernel counted. `watch`: the supervisor looked now and then.
    by: &'static str,
    #[serde(flatten)]
    numbers: BTreeMap<&'static str, u64>,
}

impl WholeRecord {
    fn of(whole: &Whole) -> Option<Self> {
        let by = match whole.by {
            Counter::None => return None,
            Counter::Watch => "watch",
            Counter::Cgroup => "cgroup",
        };
        let [cpu, memory, io] = whole.pressure;
        let all = [
            ("memory_peak_bytes", whole.memory_peak),
            ("memory_slowed", whole.memory_slowed),
            ("oom_kills", whole.oom_kills),
            ("swap_peak_bytes", whole.swap_peak),
            ("pids_peak", whole.pids_peak),
            ("pids_refused", whole.pids_refused),
            ("cpu_user_us", whole.cpu_user),
            ("cpu_system_us", whole.cpu_system),
            ("cpu_throttled_us", whole.cpu_throttled),
            ("io_read_bytes", whole.io_bytes[0]),
            ("io_written_bytes", whole.io_bytes[1]),
            ("io_reads", whole.io_times[0]),
            ("io_writes", whole.io_times[1]),
            ("cpu_pressure_us", cpu[0]),
            ("cpu_pressure_all_us", cpu[1]),
            ("memory_pressure_us", memory[0]),
            ("memory_pressure_all_us", memory[1]),
            ("io_pressure_us", io[0]),
            ("io_pressure_all_us", io[1]),
        ];
        let numbers = all.into_iter().filter_map(|(name, n)| Some((name, n?))).collect();
        Some(Self { by, numbers })
    }
}

#[derive(Debug, Clone, Default, Serialize)]
struct ProfileRecord {
    name: String,
    sha256: String,
}

impl Record {
    /// Which profile was in force.
    pub fn profile(&mut self, asked: &Asked) {
        self.profile = ProfileRecord {
            name: asked.policy.profile.clone(),
            sha256: show::digest(&asked.profile),
        };
    }

    /// How it ended.
    pub fn outcome(&mut self, outcome: &Outcome) {
        self.version = env!("CARGO_PKG_VERSION");
        self.reason = outcome.ended.reason();
        self.exit_code = Some(outcome.ended.exit_code());
        self.signal = outcome.ended.signal();
        self.wall_us = outcome.wall.as_micros();
        self.user_us = outcome.user.as_micros();
        self.system_us = outcome.system.as_micros();
        self.memory_peak_bytes = outcome.memory_peak;
        self.disk_peak_bytes = outcome.disk_peak;
        self.output_bytes = outcome.output;
        self.whole = WholeRecord::of(&outcome.whole);
    }

    /// What sbx itself failed at: before the run, which then did not happen, or after it.
    pub fn failed(&mut self, report: &Report) {
        self.version = env!("CARGO_PKG_VERSION");
        if self.reason.is_empty() {
            self.reason = "setup";
        }
        self.exit_code = Some(report.exit_code());
        self.error = Some(report.message.clone());
    }
}

/// Where it is written, opened before the run so that a wrong path is told before anything happens.
#[derive(Debug)]
pub struct RecordFile {
    file: File,
    name: String,
    /// Whether what is there already stays.
    keeps: bool,
}

impl RecordFile {
    /// Opens a file, or takes the descriptor of `fd:N`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open(target: &str, planted: &Planted) -> Result<Self, Report> {
        let name = target.escape_debug().to_string();
        let fail = |why: String| Report::new(Kind::Sbx, format!("--result {name}: {why}"));
        let file = match target.strip_prefix("fd:") {
            Some(number) => {
                let fd = number
                    .parse::<u16>()
                    .map_err(|_| fail("write fd:N with the number of an open descriptor".into()))?;
                crate::sys::fs::borrow_numbered(fd.into()).map_err(|e| fail(e.to_string()))?
            }
            None => Place::find(Path::new(target), planted)
                .and_then(|place| place.open())
                .map_err(|e| fail(e.to_string()))?,
        };
        Ok(Self {
            file,
            name: name.clone(),
            keeps: false,
        })
    }

    /// Standard error, where sbx says everything: standard output is the command's.
    pub fn standard_error() -> Result<Self, Report> {
        let file = crate::sys::fs::borrow_numbered(2).map_err(|e| Report::sbx(format!("--json: {e}")))?;
        let name = "standard error".to_owned();
        Ok(Self {
            file,
            name,
            keeps: true,
        })
    }

    /// Writes the record in place of what was there.
    ///
    /// # Errors
    /// When the file system is full.
    pub fn write(mut self, record: &Record) -> Result<(), Report> {
        let text = out::numbered(&serde_json::to_string(record).map_err(Report::sbx)?);
        // A pipe has no length and no position; what matters is that the line goes out.
        if !self.keeps {
            let _ = self.file.set_len(0);
            let _ = self.file.rewind();
        }
        let line = text + "\n";
        out::write_while_read(self.file.as_fd(), line.as_bytes(), record.until)
            .map_err(|e| Report::sbx(format!("--result {}: {}", self.name, e.desc())))
    }
}

//! Ceilings.

use super::rates::RateArgs;
use super::{Apart, parsed, wrong};
use crate::cli::report::Report;
use crate::model::processors;
use crate::model::{Bytes, HostPath, Origin, Set, Span};
use crate::policy::{Flags, Swap};
use crate::profile::schema::{Profile, Ulimit};
use clap::Args;
use std::path::{Component, Path, PathBuf};

/// Flags about limits.
#[derive(Debug, Clone, Default, Args)]
pub struct LimitArgs {
    /// Memory limit for the whole sandbox, e.g. 512m; exceeding it kills the sandbox
    #[arg(short, long, value_name = "SIZE", help_heading = "Limits")]
    pub memory: Option<String>,
    /// Memory plus swap; equal to --memory means no swap (default), -1 unlimited
    #[arg(
        long,
        value_name = "SIZE",
        help_heading = "Limits",
        allow_hyphen_values = true
    )]
    pub memory_swap: Option<String>,
    /// CPUs the sandbox may use, e.g. 1.5 (whole CPUs only without a cgroup)
    #[arg(
        long,
        value_name = "NUMBER",
        help_heading = "Limits",
        allow_hyphen_values = true
    )]
    pub cpus: Option<String>,
    /// CPUs to run on, e.g. 0-2,5
    #[arg(long, value_name = "LIST", help_heading = "Limits")]
    pub cpuset_cpus: Option<String>,
    /// Relative CPU weight (docker's scale, default 1024); needs a cgroup
    #[arg(long, value_name = "NUMBER", help_heading = "Limits")]
    pub cpu_shares: Option<String>,
    /// How fast disks may be.
    #[command(flatten)]
    pub rates: Apart<RateArgs>,
    /// Limit on processes and threads
    #[arg(
        long,
        value_name = "NUMBER",
        help_heading = "Limits",
        allow_hyphen_values = true
    )]
    pub pids_limit: Option<String>,
    /// Parent of the sandbox's cgroup, a path below /sys/fs/cgroup
    #[arg(long, value_name = "PATH", help_heading = "Limits")]
    pub cgroup_parent: Option<PathBuf>,
    /// Resource limit NAME=SOFT[:HARD], e.g. nofile=1024
    #[arg(long, value_name = "LIMIT", help_heading = "Limits")]
    pub ulimit: Vec<String>,
    /// Kill the sandbox after this time, e.g. 10m or 90s
    #[arg(long, value_name = "TIME", help_heading = "Limits")]
    pub timeout: Option<String>,
    /// Limit on standard output and standard error together, e.g. 10m; exceeding it kills the sandbox
    #[arg(long, value_name = "SIZE", help_heading = "Limits")]
    pub output_limit: Option<String>,
}

impl LimitArgs {
    pub(super) fn profile(&self, p: &mut Profile) -> Result<(), Report> {
        for text in &self.ulimit {
            let (name, limit) = ulimit(text)?;
            p.limits
                .ulimits
                .insert(name, Set::new(limit, Origin::flag(format!("--ulimit {text}"))));
        }
        if let Some(time) = &self.timeout {
            p.limits.time = Some(parsed::<Span>("--timeout", time)?);
        }
        if let Some(size) = &self.output_limit {
            p.limits.output = Some(parsed::<Bytes>("--output-limit", size)?);
        }
        if let Some(size) = &self.memory {
            let memory = parsed::<Bytes>("--memory", size)?;
            // docker's own floor; below it not even a shell starts, and 0 would be no limit there.
            if memory.value < LEAST_MEMORY {
                return Err(wrong("--memory", size, "the least is 6m"));
            }
            p.limits.memory = Some(memory);
        }
        if let Some(text) = &self.cpus {
            p.limits.cpu = Some(Set::new(
                hundredths(text)?,
                Origin::flag(format!("--cpus {text}")),
            ));
        }
        if let Some(text) = &self.cpu_shares {
            let origin = Origin::flag(format!("--cpu-shares {text}"));
            // As docker has it, 0 is what everybody has.
            let weight = if text == "0" { 100 } else { weight(text)? };
            p.limits.cpu_weight = Some(Set::new(weight, origin));
        }
        p.limits.io = self.rates.limits()?;
        if let Some(text) = &self.pids_limit {
            let plain = text.bytes().all(|b| b.is_ascii_digit());
            let number = plain
                .then(|| text.parse().ok())
                .flatten()
                .filter(|n: &u64| *n > 0);
            let number = number.ok_or_else(|| wrong("--pids-limit", text, PIDS))?;
            p.limits.pids = Some(Set::new(number, Origin::flag(format!("--pids-limit {text}"))));
        }
        Ok(())
    }

    pub(super) fn flags(&self, flags: &mut Flags) -> Result<(), Report> {
        flags.swap = match self.memory_swap.as_deref() {
            None => None,
            Some("-1") => Some(Set::new(Swap::Unlimited, Origin::flag("--memory-swap -1"))),
            Some(size) => Some(parsed::<Bytes>("--memory-swap", size)?.map(Swap::Together)),
        };
        if let Some(list) = &self.cpuset_cpus {
            flags.processors = Some(parsed("--cpuset-cpus", list)?);
        }
        if let Some(path) = &self.cgroup_parent {
            flags.cgroup_parent = Some(cgroup(path)?);
        }
        Ok(())
    }
}

const LEAST_MEMORY: Bytes = Bytes(6 << 20);
const PIDS: &str = "write how many processes and threads there may be; for as many as you may have, --ulimit nproc=unlimited";
const CGROUPS: &str = "/sys/fs/cgroup";

/// As docker reads it: from the root of all cgroups. The whole path on this host is taken too.
fn cgroup(path: &Path) -> Result<Set<HostPath>, Report> {
    let shown = path.display().to_string();
    let plain = |c: Component<'_>| matches!(c, Component::RootDir | Component::Normal(_));
    if !path.components().all(plain) {
        return Err(wrong(
            "--cgroup-parent",
            &shown,
            "write the path without `.` and `..`",
        ));
    }
    let below = path
        .strip_prefix(CGROUPS)
        .or_else(|_| path.strip_prefix("/"))
        .unwrap_or(path);
    let whole =
        HostPath::new(Path::new(CGROUPS).join(below)).map_err(|e| wrong("--cgroup-parent", &shown, e))?;
    Ok(Set::new(whole, Origin::flag(format!("--cgroup-parent {shown}"))))
}

/// `1.5` is 150, as docker reads it: `.5` is a half, and nothing is left out.
fn hundredths(text: &str) -> Result<u64, Report> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let exact = processors::hundredths(&if whole.is_empty() {
        format!("0{text}")
    } else {
        text.to_owned()
    });
    exact.filter(|_| part.len() <= 2).ok_or_else(|| {
        wrong(
            "--cpus",
            text,
            "write a number of processors with two digits at most behind the point, for example 2 or 1.5",
        )
    })
}

/// docker's shares, as runc and crun have counted them since 2025: 1024, what everybody has in cgroup v1, is 100, what everybody has in v2,
/// and the ends of the two scales meet.
fn weight(text: &str) -> Result<u64, Report> {
    let shares = text.parse::<u32>().ok().filter(|n| (2..=262_144).contains(n));
    let shares = shares.ok_or_else(|| {
        wrong(
            "--cpu-shares",
            text,
            "write a number from 2 to 262144; 1024 is everybody's",
        )
    })?;
    let log = f64::from(shares).log2();
    let weight = 10f64.powf((log * log + 125.0 * log) / 612.0 - 7.0 / 34.0).ceil();
    Ok((1..=10_000_u32)
        .rev()
        .find(|n| f64::from(*n) <= weight)
        .map_or(1, u64::from))
}

/// `NAME=SOFT[:HARD]`
fn ulimit(text: &str) -> Result<(String, Ulimit), Report> {
    let limit = text
        .split_once('=')
        .and_then(|(name, values)| Some((name.to_owned(), values.parse().ok()?)));
    limit.ok_or_else(|| {
        Report::usage(format!(
            "--ulimit `{}`: write NAME=SOFT or NAME=SOFT:HARD",
            text.escape_debug()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_weights() {
        for (shares, expected) in [
            ("2", 1),
            ("1024", 100),
            ("512", 59),
            ("2048", 174),
            ("262144", 10_000),
        ] {
            assert_eq!(weight(shares).ok(), Some(expected), "{shares}");
        }
        for text in ["1", "262145", "-5", "much", ""] {
            assert!(weight(text).is_err(), "{text}");
        }
    }
}

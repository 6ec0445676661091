//! What ended a run, in words: an exit code of 128 and more never leaves its reader guessing.

use crate::model::{Bytes, Origin, Set};
use crate::policy::Policy;
use crate::sandbox::{Ended, Outcome};

/// The lines that are said after a run; none when the command itself says all there is to say.
pub(super) fn words(outcome: &Outcome, policy: &Policy) -> Vec<String> {
    let code = outcome.ended.exit_code();
    let mut lines: Vec<String> = ended(outcome, policy)
        .map(|line| format!("{line} (exit code {code})"))
        .into_iter()
        .collect();
    if let Some(times) = outcome.whole.pids_refused.filter(|n| *n > 0) {
        let most = limit(policy.pids.as_ref(), ToString::to_string);
        lines.push(format!(
            "the limit of processes{most} was met; new ones that were refused: {times}"
        ));
    }
    lines
}

/// ` of 512M (--memory 512m)`
fn limit<T>(set: Option<&Set<T>>, shown: impl Fn(&T) -> String) -> String {
    match set {
        Some(Set {
            value,
            origin: Origin::Default,
        }) => format!(" of {}", shown(value)),
        Some(set) => format!(" of {} ({})", shown(&set.value), set.origin),
        None => String::new(),
    }
}

fn ended(outcome: &Outcome, policy: &Policy) -> Option<String> {
    Some(match outcome.ended {
        Ended::Exited(_) => return None,
        Ended::Timeout => {
            let time = policy.time.as_ref().map(|t| t.value.to_string()).unwrap_or_default();
            format!("the time of {time} was up: everything inside was killed")
        }
        Ended::OutOfMemory => {
            let most = limit(policy.memory.as_ref(), ToString::to_string);
            let peak = outcome.whole.memory_peak.map(|peak| format!(", {} in use", rounded(peak)));
            let peak = peak.unwrap_or_default();
            format!("out of memory: the limit{most} was reached{peak}: everything inside was killed")
        }
        Ended::DiskFull => {
            let most = limit(policy.upper_size.as_ref(), ToString::to_string);
            let peak = outcome.disk_peak.filter(|peak| *peak != u64::MAX);
            let peak = peak.map(|peak| format!(", {} on the disk", rounded(peak))).unwrap_or_default();
            format!("too much was written to the root: the limit{most} was passed{peak}: everything inside was killed")
        }
        Ended::Output => {
            let most = limit(policy.output.as_ref(), ToString::to_string);
            format!("more was written to standard output and standard error than the limit{most}: what was too much is left out, and everything inside was killed")
        }
        Ended::CpuTime(_) => "the processor time of the command was used up (--ulimit cpu)".to_owned(),
        Ended::FileSize => {
            "the command wrote a file larger than it may be (limits.file-size, --ulimit fsize)".to_owned()
        }
        Ended::Killed(signal) => {
            format!("the whole sandbox was killed from outside by signal {signal}: no limit of this run was met")
        }
        // Everybody who has seen 137 before thinks of memory.
        Ended::Signaled(libc::SIGKILL) => {
            "the command was killed by signal 9, and not by sbx: no limit of this run was met; it or another process did it, or the host has no memory left".to_owned()
        }
        Ended::Signaled(_) => return None,
    })
}

fn rounded(bytes: u64) -> Bytes {
    let shift = if bytes >= 10 << 20 { 20 } else { 10 };
    Bytes(bytes >> shift << shift)
}

//! What the files of a cgroup say of it.

use crate::sandbox::outcome::{Counter, Whole};
use std::ffi::CStr;

/// How much of what a cgroup counts is wanted at the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Counts {
    /// Whether a limit was met, and what is said of that.
    #[default]
    Limits,
    /// Everything, for a record of the run.
    All,
}

/// What was counted. `text`: what stands in a file, `None` where the cgroup has none: without its controller, or before it was thought of.
/// Each file is read once: to open one takes longer than anything that is done with it.
pub(super) fn of(counts: Counts, text: impl Fn(&CStr) -> Option<String>) -> Whole {
    match counts {
        Counts::Limits => limits(&text),
        Counts::All => all(&text),
    }
}

fn limits(text: &dyn Fn(&CStr) -> Option<String>) -> Whole {
    let oom_kills = text(c"memory.events").and_then(|events| flat(&events, "oom_kill"));
    let killed = oom_kills.is_some_and(|n| n > 0);
    Whole {
        by: Counter::Cgroup,
        memory_peak: killed
            .then(|| text(c"memory.peak")?.trim().parse().ok())
            .flatten(),
        pids_refused: text(c"pids.events").and_then(|events| flat(&events, "max")),
        oom_kills,
        ..Whole::default()
    }
}

fn all(text: &dyn Fn(&CStr) -> Option<String>) -> Whole {
    let number = |file: &CStr| text(file)?.trim().parse().ok();
    let [memory, pids, cpu] = [c"memory.events", c"pids.events", c"cpu.stat"].map(text);
    let in_flat = |file: &Option<String>, name: &str| flat(file.as_deref()?, name);
    let pressure = |file: &CStr| {
        let text = text(file).unwrap_or_default();
        ["some ", "full "].map(|kind| keyed(text.lines().find_map(|l| l.strip_prefix(kind))?, "total"))
    };
    let io = text(c"io.stat");
    let passed = |name| Some(total(io.as_deref()?, name));
    Whole {
        by: Counter::Cgroup,
        memory_peak: number(c"memory.peak"),
        memory_slowed: in_flat(&memory, "high"),
        swap_peak: number(c"memory.swap.peak"),
        pids_peak: number(c"pids.peak"),
        pids_refused: in_flat(&pids, "max"),
        oom_kills: in_flat(&memory, "oom_kill"),
        cpu_user: in_flat(&cpu, "user_usec"),
        cpu_system: in_flat(&cpu, "system_usec"),
        cpu_throttled: in_flat(&cpu, "throttled_usec"),
        io_bytes: [passed("rbytes"), passed("wbytes")],
        io_times: [passed("rios"), passed("wios")],
        pressure: [c"cpu.pressure", c"memory.pressure", c"io.pressure"].map(pressure),
    }
}

/// `NAME 12` on a line of its own.
fn flat(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// `NAME=12` among others.
fn keyed(line: &str, name: &str) -> Option<u64> {
    line.split(' ')
        .find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

/// The same in every line, summed: there is one for each disk that was used.
fn total(text: &str, name: &str) -> u64 {
    text.lines()
        .filter_map(|line| keyed(line, name))
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_cgroup() {
        let events = "low 0\nhigh 0\nmax 7\noom 2\noom_kill 1\noom_group_kill 1\n";
        assert_eq!(
            (flat(events, "oom_kill"), flat(events, "max"), flat(events, "no")),
            (Some(1), Some(7), None)
        );
        let io = "8:0 rbytes=100 wbytes=5 rios=1\n8:16 rbytes=11 wbytes=0 rios=1\n";
        assert_eq!(
            (total(io, "rbytes"), total(io, "wbytes"), total("", "rbytes")),
            (111, 5, 0)
        );
        assert_eq!(
            keyed("some avg10=0.00 avg60=0.00 avg300=0.00 total=42", "total"),
            Some(42)
        );
    }

    #[test]
    fn what_there_is_no_file_for_is_not_known() {
        let whole = of(Counts::All, |file| {
            match file.to_bytes() {
            b"memory.peak" => Some("4096\n".into()),
            b"memory.events" => Some("low 0\nhigh 3\noom_kill 0\n".into()),
            // The controller is there, and no disk was used.
            b"io.stat" => Some(String::new()),
            b"cpu.stat" => Some("usage_usec 9\nuser_usec 5\nsystem_usec 4\n".into()),
            b"memory.pressure" => Some(
                "some avg10=0.00 avg60=0.00 avg300=0.00 total=42\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"
                    .into(),
            ),
            // Before Linux 5.13 there is no second line.
            b"cpu.pressure" => Some("some avg10=0.00 avg60=0.00 avg300=0.00 total=1\n".into()),
            _ => None,
        }
        });
        assert_eq!(
            whole,
            Whole {
                by: Counter::Cgroup,
                memory_peak: Some(4096),
                memory_slowed: Some(3),
                oom_kills: Some(0),
                cpu_user: Some(5),
                cpu_system: Some(4),
                io_bytes: [Some(0); 2],
                io_times: [Some(0); 2],
                pressure: [[Some(1), None], [Some(42), Some(7)], [None; 2]],
                ..Whole::default()
            }
        );
        assert_eq!(
            of(Counts::All, |_| None),
            Whole {
                by: Counter::Cgroup,
                ..Whole::default()
            }
        );
    }

    #[test]
    fn each_file_is_read_once_and_only_what_is_wanted() {
        let read = |counts, kills: &str| {
            let asked = std::cell::RefCell::new(Vec::new());
            let whole = of(counts, |file| {
                asked.borrow_mut().push(file.to_owned());
                match file.to_bytes() {
                    b"memory.events" => Some(format!("high 3\noom_kill {kills}\n")),
                    b"memory.peak" => Some("4096\n".into()),
                    b"pids.events" => Some("max 7\n".into()),
                    _ => None,
                }
            });
            (whole, asked.into_inner())
        };
        let met = Whole {
            by: Counter::Cgroup,
            pids_refused: Some(7),
            oom_kills: Some(0),
            ..Whole::default()
        };
        let (whole, asked) = read(Counts::Limits, "0");
        assert_eq!((whole, asked.len()), (met, 2), "{asked:?}");
        // What is said of an end by memory says how much there was.
        let (whole, asked) = read(Counts::Limits, "2");
        assert_eq!(
            (whole.oom_kills, whole.memory_peak, asked.len()),
            (Some(2), Some(4096), 3)
        );
        let (whole, mut asked) = read(Counts::All, "0");
        assert_eq!((whole.memory_slowed, whole.memory_peak), (Some(3), Some(4096)));
        let times = asked.len();
        asked.sort();
        asked.dedup();
        assert_eq!(asked.len(), times, "{asked:?}");
    }
}

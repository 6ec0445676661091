//! Readers that have stopped: a terminal or a pipe that is full does not hold up a run that is to end.

use crate::pty::{ALL, Terminal};
use crate::started::Started;
use crate::util::{Sbx, processes, within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::{Child, Stdio};
use std::time::Duration;

/// A little more than the seconds for the command's output and for each message about the end.
const SOON: Duration = Duration::from_secs(6);

fn end(child: &mut Child) -> Option<i32> {
    let mut code = None;
    within(SOON, "its end", || {
        let status = child.try_wait().expect("wait");
        code = status.and_then(|status| status.code());
        status.is_some()
    });
    code
}

/// A command that fills the terminal without end, while nobody reads it.
fn full_terminal(flags: &[&str], word: &str) -> Terminal {
    let sbx = Sbx::run("default").args(flags);
    let (command, home) = sbx.args(["host", "--", "yes", word]).into_command();
    let terminal = Terminal::start(&command, home, ALL);
    let mut before = 0;
    within(SOON, "a full terminal", || {
        let now = processes("comm", "yes")
            .into_iter()
            .find_map(|pid| written(pid, word));
        let now = now.unwrap_or_default();
        std::mem::replace(&mut before, now) == now && now > 0
    });
    terminal
}

/// Bytes that a process with this word among its arguments has written.
fn written(pid: u32, word: &str) -> Option<u64> {
    let arguments = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    let written = io.lines().find_map(|line| line.strip_prefix("wchar: "))?;
    written.parse().ok().filter(|_| arguments.contains(word))
}

#[test]
fn a_terminal_that_is_not_read_does_not_hold_up_a_timeout() {
    for flags in [&["--timeout", "500ms"][..], &["--timeout", "500ms", "--json"]] {
        let mut terminal = full_terminal(flags, "unread-time");
        assert_eq!(end(terminal.child()), Some(137), "{flags:?}");
    }
}

#[test]
fn a_terminal_that_is_not_read_does_not_hold_up_a_signal() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut terminal = full_terminal(&["--json"], &format!("unread-{signal}"));
        let pid = i32::try_from(terminal.pid()).expect("a pid");
        kill(Pid::from_raw(pid), signal).expect("kill");
        assert_eq!(end(terminal.child()), Some(128 + signal as i32), "{signal}");
    }
}

#[test]
fn a_pipe_that_is_not_read_does_not_hold_up_a_timeout() {
    for flags in [&[][..], &["--json"], &["--output-limit", "100m"]] {
        let sbx = Sbx::run("default").args(["--timeout", "300ms"]).args(flags);
        let (mut command, _home) = sbx.args(["host", "--", "sh", "-c", "yes >&2"]).into_command();
        let streams = command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = streams.stderr(Stdio::piped()).spawn().expect("sbx starts");
        assert_eq!(end(&mut child), Some(137), "{flags:?}");
    }
}

/// The command has ended by itself; only the record is still to be read.
#[test]
fn a_record_that_is_not_read_is_given_up_at_a_signal() {
    let script = "echo ready; head -c 65536 /dev/zero >&2; echo full";
    let mut run = Started::new(Sbx::run("default").args(["--json", "host", "--", "sh", "-c", script]));
    assert_eq!(run.line(), "full\n");
    within(SOON, "the end of the command", || run.line().is_empty());
    // Signals that come while the command is still being waited for go to it.
    within(SOON, "the end of sbx", || {
        let _ = kill(run.pid(), Signal::SIGTERM);
        run.child.try_wait().expect("wait").is_some()
    });
}

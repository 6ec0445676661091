//! A person at a terminal: keys, window sizes, job control, and a terminal that is as it was afterwards.

use crate::pty::{ALL, Terminal};
use crate::util::{Dir, Sbx, binary, within};
use std::io::Read;
use std::process::Command;
use std::time::Duration;

/// `sbx run … sh -c SCRIPT`, alone on a terminal.
fn at_terminal(script: &str) -> Terminal {
    on(script, ALL)
}

fn on(script: &str, streams: [bool; 3]) -> Terminal {
    let (command, home) = Sbx::sh("default", script).into_command();
    Terminal::start(&command, home, streams)
}

/// An interactive shell of the user's, outside any sandbox, that knows sbx as `$S run …`.
fn users_shell() -> Terminal {
    let home = Dir::new();
    let mut command = Command::new("bash");
    let sbx = format!("{} run --quiet --profile default", binary().display());
    command
        .args(["--norc", "--noprofile", "--noediting", "-i"])
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
        .env("HOME", home.path())
        .env("PS1", "outside> ")
        .env("S", sbx)
        .current_dir(home.path());
    let mut shell = Terminal::start(&command, home, ALL);
    shell.sees("outside> ");
    shell
}

#[test]
fn the_command_has_a_terminal_of_its_own() {
    let mut t = at_terminal(
        "tty; test -t 0 && test -t 1 && test -t 2 && echo all; ps -o tty= -p $$; : </dev/tty && echo opened",
    );
    assert_eq!(t.end(), 0);
    assert_eq!(t.screen(), "/dev/pts/0\r\nall\r\npts/0\r\nopened\r\n");
}

#[test]
fn a_terminal_can_be_asked_for_where_there_is_none() {
    let out = Sbx::run("default")
        .args([
            "-t",
            "host",
            "--",
            "sh",
            "-c",
            "tty; stty size; read x; echo got $x",
        ])
        .stdin("line\n")
        .out();
    let said = out.ok();
    assert!(said.contains("/dev/pts/0\r\n"), "{said:?}");
    assert!(said.contains("got line"), "{said:?}");
}

#[test]
fn the_window_has_the_terminals_size_and_follows_it() {
    let mut t =
        at_terminal("stty size; trap 'stty size; exit 3' WINCH; echo ready; while :; do sleep 0.05; done");
    t.sees("24 80\r\n");
    t.sees("ready");
    t.resize(50, 132);
    t.sees("50 132\r\n");
    assert_eq!(t.end(), 3);
}

#[test]
fn keys_of_signals_reach_the_command_and_not_sbx() {
    for (key, code) in [("\x03", 130), ("\x1c", 131)] {
        let mut t = at_terminal("echo ready; exec sleep 100");
        t.sees("ready");
        t.keys(key);
        assert_eq!(t.end(), code);
    }
    let mut t = at_terminal("trap 'echo interrupted' INT; echo ready; read line; read line; echo got $line");
    t.sees("ready");
    t.keys("\x03");
    t.sees("interrupted");
    t.keys("one\ntwo\n");
    t.sees("got ");
    assert_eq!(t.end(), 0);
}

#[test]
fn keys_and_their_end_arrive() {
    let mut t = at_terminal("echo ready; cat; echo end");
    t.sees("ready\r\n");
    t.keys("words\n");
    t.sees("words\r\nwords");
    t.keys("\x04");
    t.sees("end");
    assert_eq!(t.end(), 0);
}

#[test]
fn stop_and_go_on_as_the_users_shell_does_it() {
    let mut t = users_shell();
    t.keys("$S host -- sh -c 'echo rea''dy; read x; echo got $x; exit 9'\n");
    t.sees("ready");
    let raw = t.modes();
    t.keys("\x1a");
    t.sees("Stopped");
    t.sees("outside> ");
    assert_ne!(
        raw.local_flags,
        t.modes().local_flags,
        "the shell has the terminal as it was"
    );
    t.keys("jobs\n");
    t.sees("Stopped");
    t.keys("fg\n");
    // The shell has echoed the job's words by now; what follows goes to the sandbox.
    within(Duration::from_secs(10), "raw again", || t.modes() == raw);
    t.keys("on\n");
    t.sees("got on");
    t.sees("outside> ");
    t.keys("echo code $?\n");
    t.sees("code 9");
}

#[test]
fn a_stopped_job_can_be_killed_from_the_shell() {
    let mut t = users_shell();
    t.keys("$S host -- sh -c 'echo rea''dy; exec sleep 100'\n");
    t.sees("ready");
    t.keys("\x1a");
    t.sees("Stopped");
    t.keys("kill %1; fg; echo code $?\n");
    t.sees("code 143");
}

/// A job that says whether the terminal is its own: `front` when it is in the foreground, then `behind` when it is not, then `front`
/// once more. In /proc/PID/stat the fifth field is a process's group and the eighth the one that the terminal listens to. It starts
/// nothing while it can be stopped: a shell whose child of vfork(2) is stopped before its exec never stops itself.
const JOB: &str = "front() { read -r a b c d group e f terminal rest </proc/$$/stat; [ $group = $terminal ]; }; \
    until front; do :; done; echo front; while front; do :; done; echo behind; \
    until front; do sleep 0.01; done; echo front; exec sleep 100";

#[test]
fn a_shell_inside_has_job_control() {
    let words = ["bash", "--norc", "--noprofile", "--noediting", "-i"];
    let (command, home) = Sbx::run("default")
        .args(["--env", "PS1=inside> ", "-e", &format!("JOB={JOB}"), "host", "--"])
        .args(words)
        .into_command();
    let mut t = Terminal::start(&command, home, ALL);
    t.sees("inside> ");
    t.keys("sh -c \"$JOB\"\n");
    t.sees("front");
    t.keys("\x1a");
    t.sees("Stopped");
    t.sees("inside> ");
    t.keys("bg\n");
    t.sees("behind");
    t.keys("jobs\n");
    t.sees("Running");
    t.keys("fg\n");
    t.sees("front");
    t.keys("\x03");
    t.sees("inside> ");
    t.keys("echo code $?\n");
    t.sees("code 130");
    t.keys("exit 4\n");
    assert_eq!(t.end(), 4);
    assert!(!t.screen().contains("no job control"), "{}", t.screen());
}

#[test]
fn modes_are_given_back_however_it_ends() {
    let ends: [(&str, i32); 4] = [
        ("exit 3", 3),
        ("kill -9 $$", 137),
        ("stty -echo raw; exit 0", 0),
        ("kill -TERM $$", 143),
    ];
    for (script, code) in ends {
        let mut t = at_terminal(&format!("echo ready; read x; {script}"));
        t.sees("ready");
        within(Duration::from_secs(10), "raw", || t.modes() != t.fresh);
        t.keys("\n");
        assert_eq!(t.end(), code, "{script}");
        assert!(t.modes() == t.fresh, "after `{script}`");
    }
}

#[test]
fn modes_are_given_back_when_the_supervisor_is_told_to_end() {
    for (flags, signal) in [
        (&[][..], "TERM"),
        (&[][..], "HUP"),
        (&["--timeout", "300ms"][..], ""),
    ] {
        let (command, home) = Sbx::run("default")
            .args(flags)
            .args(["host", "--", "sh", "-c", "echo ready; exec sleep 100"])
            .into_command();
        let mut t = Terminal::start(&command, home, ALL);
        t.sees("ready");
        if !signal.is_empty() {
            let pid = t.pid().to_string();
            assert!(
                Command::new("kill")
                    .args(["-s", signal, &pid])
                    .status()
                    .expect("kill")
                    .success()
            );
        }
        assert!(t.end() > 128);
        assert!(t.modes() == t.fresh, "after {signal} {flags:?}");
    }
}

#[test]
fn nothing_that_was_written_is_lost() {
    let mut t = at_terminal("seq 1 50000; printf end; exit 5");
    assert_eq!(t.end(), 5);
    let lines: Vec<String> = t.screen().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 50001);
    assert_eq!((lines[49999].as_str(), lines[50000].as_str()), ("50000", "end"));
}

#[test]
fn streams_that_are_not_terminals_stay_as_they_are() {
    // `sbx run … | program`: keys from the terminal, output to the pipe, unchanged.
    let mut t = on(
        "tty; test -t 1 || echo pipe; echo words >&2; read x; echo got $x; printf '\\n'",
        [true, false, true],
    );
    t.sees("words");
    t.keys("keys\n");
    assert_eq!(t.end(), 0);
    let mut piped = String::new();
    t.child()
        .stdout
        .take()
        .expect("a pipe")
        .read_to_string(&mut piped)
        .expect("read");
    assert_eq!(piped, "/dev/pts/0\npipe\ngot keys\n\n");
    assert!(!t.screen().contains("pipe"));

    // `program | sbx run …`: input from the pipe, output to the terminal.
    let mut t = on(
        "test -t 0 || echo pipe; test -t 1 && echo terminal; cat",
        [false, true, true],
    );
    t.sees("pipe\r\nterminal\r\n");
    drop(t.child().stdin.take());
    assert_eq!(t.end(), 0);

    // `sbx run … 2>file` with everything else the terminal.
    let mut t = on("echo error >&2; echo output", [true, true, false]);
    assert_eq!(t.end(), 0);
    assert!(!t.screen().contains("error"));
    t.sees("output");
}

#[test]
fn ctrl_c_in_a_pipeline_ends_it() {
    let mut t = on(
        "trap 'echo bye; exit 7' INT; echo ready >&2; while :; do sleep 0.05; done",
        [false, false, true],
    );
    t.sees("ready");
    t.keys("\x03");
    assert_eq!(t.end(), 7);
}

#[test]
fn started_in_the_background_it_runs_to_its_end() {
    let mut t = users_shell();
    t.keys("$S host -- sh -c 'sleep 0.3; echo do''ne; exit 6' &\n");
    t.sees("done");
    t.keys("wait %1; echo code $?\n");
    t.sees("code 6");
    t.keys("echo sa''ne\n");
    t.sees("sane\r\n");
}

#[test]
fn in_the_background_keys_stay_with_the_shell() {
    let mut t = users_shell();
    t.keys("$S host -- sh -c 'trap \"echo do''ne; exit\" TERM; echo u''p; while :; do sleep 0.05; done' &\n");
    t.sees("up");
    t.keys("echo mi''ne\n");
    t.sees("mine");
    t.keys("kill %1\n");
    t.sees("done");
}

#[test]
fn brought_from_the_background_it_takes_keys() {
    let mut t = users_shell();
    let shells = t.modes();
    t.keys("$S host -- sh -c 'echo u''p; read x; echo got $x' &\n");
    t.sees("up");
    assert!(t.modes() == shells, "the terminal is the shell's");
    t.keys("fg\n");
    within(Duration::from_secs(10), "raw", || t.modes() != shells);
    t.keys("keys\n");
    t.sees("got keys");
    t.sees("outside> ");
    t.keys("echo sa''ne\n");
    t.sees("sane\r\n");
}

#[test]
fn a_pager_behind_a_pipe_has_its_keys() {
    let mut t = users_shell();
    // The sandbox goes on until the pager is gone.
    t.keys(
        "$S host -- sh -c 'while echo 1; do sleep 0.05; done' | (read a; echo as''king; read x </dev/tty; echo a=$a x=$x)\n",
    );
    t.sees("asking");
    t.keys("mine\n");
    t.sees("a=1 x=mine");
    t.sees("outside> ");
    t.keys("echo sa''ne\n");
    t.sees("sane\r\n");
}

#[test]
fn a_terminal_that_is_closed_ends_the_command() {
    let (command, home) = Sbx::sh("default", "echo ready; exec sleep 1000.75").into_command();
    let mut t = Terminal::start(&command, home, ALL);
    t.sees("ready");
    let pid = t.pid();
    t.hang_up();
    within(Duration::from_secs(10), "sbx ends", || {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |s| s.contains(") Z "))
    });
}

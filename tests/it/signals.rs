//! Signals, exit codes, time limits, and who reaps whom.

use crate::started::Started;
use crate::util::{Sbx, patient, within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

const FORWARDED: [(Signal, &str); 6] = [
    (Signal::SIGTERM, "TERM"),
    (Signal::SIGINT, "INT"),
    (Signal::SIGHUP, "HUP"),
    (Signal::SIGQUIT, "QUIT"),
    (Signal::SIGUSR1, "USR1"),
    (Signal::SIGUSR2, "USR2"),
];

#[test]
fn a_trap_sees_what_is_sent_to_sbx() {
    for init in ["--init=true", "--init=false"] {
        for (signal, name) in FORWARDED {
            let script =
                format!("trap 'echo got {name}; exit 40' {name}; echo ready; while :; do sleep 0.02; done");
            let run = Started::new(Sbx::run("default").args([init, "host", "--", "sh", "-c", &script]));
            run.signal(signal);
            let out = run.end();
            out.code(40);
            assert_eq!(out.stdout(), format!("got {name}\n"), "{init}");
        }
    }
}

#[test]
fn without_a_trap_they_end_the_command() {
    for (signal, _) in FORWARDED {
        let run = Started::sh("echo ready; exec sleep 100");
        run.signal(signal);
        let out = run.end();
        out.code(128 + signal as i32);
        assert_eq!(out.stderr(), "");
    }
}

#[test]
fn a_signal_before_the_command_exists_is_not_lost() {
    for wait in 0..20u64 {
        let (mut command, _home) =
            Sbx::sh("default", "trap 'exit 40' TERM; while :; do sleep 0.02; done").into_command();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sbx starts");
        std::thread::sleep(Duration::from_micros(wait * 300));
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
        kill(pid, Signal::SIGTERM).expect("it is there");
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().expect("wait") {
                break status;
            }
            assert!(
                start.elapsed() < patient(Duration::from_secs(10)),
                "it goes on after SIGTERM at {wait}"
            );
            std::thread::sleep(Duration::from_millis(2));
        };
        // Before sbx has its handlers the signal ends sbx itself; before the trap is set it ends the shell.
        let end = (status.code(), status.signal());
        assert!(
            matches!(end, (Some(40 | 143), None) | (None, Some(15))),
            "{end:?}"
        );
    }
}

#[test]
fn stop_and_continue_hold_the_command() {
    let mut run = Started::sh("echo ready; i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done");
    run.line();
    run.signal(Signal::SIGTSTP);
    let stat = format!("/proc/{}/stat", run.pid());
    let state = || std::fs::read_to_string(&stat).expect("stat").contains(") T ");
    within(Duration::from_secs(5), "stopped", state);
    run.signal(Signal::SIGCONT);
    within(Duration::from_secs(5), "going on", || !state());
    run.line();
    run.signal(Signal::SIGTERM);
    run.end().code(143);
}

#[test]
fn who_is_let_go_on_at_once_goes_on() {
    const TRIES: u64 = 200;
    let run = Started::sh("echo ready; exec sleep 100");
    let stat = format!("/proc/{}/stat", run.pid());
    let stopped = || std::fs::read_to_string(&stat).expect("stat").contains(") T ");
    let mut stuck = 0;
    for n in 0..TRIES {
        run.signal(Signal::SIGTSTP);
        // Within all that is done between the arrival of the one and the stop.
        let until = Instant::now() + Duration::from_micros(n % 50 * 8);
        while Instant::now() < until {}
        run.signal(Signal::SIGCONT);
        std::thread::sleep(Duration::from_millis(3));
        if stopped() {
            stuck += 1;
            run.signal(Signal::SIGCONT);
            within(Duration::from_secs(5), "going on", || !stopped());
        }
    }
    // The kernel itself takes a SIGCONT back when a stop comes behind it; one in ten did before what has arrived was looked at last.
    assert!(stuck <= TRIES / 25, "{stuck} of {TRIES}");
    run.signal(Signal::SIGTERM);
    run.end().code(143);
}

#[test]
fn exit_codes() {
    for code in [0, 1, 42, 124, 125, 126, 127, 128, 200, 255] {
        Sbx::sh("default", &format!("exit {code}")).out().code(code);
    }
    for (signal, code) in [
        ("HUP", 129),
        ("INT", 130),
        ("ABRT", 134),
        ("KILL", 137),
        ("SEGV", 139),
        ("TERM", 143),
    ] {
        // With init alone: without it the command is pid 1, which only a signal from outside or a fault can kill.
        let script = format!("kill -{signal} $$");
        Sbx::run("default")
            .args(["--init", "host", "--", "sh", "-c", &script])
            .out()
            .code(code);
    }
}

#[test]
fn sbx_own_codes_have_a_line_each() {
    let out = Sbx::run("default").args(["host", "--", "no-such"]).out();
    out.code(127).says("sbx: no-such: not found inside");
    let out = Sbx::run("default").args(["host", "--", "./no-such"]).out();
    out.code(127).says("sbx: ./no-such: not found inside");
    let out = Sbx::run("default").args(["host", "--", "/etc/passwd"]).out();
    out.code(126).says("sbx: /etc/passwd: cannot be executed");
    let out = Sbx::run("default").args(["--no-such-flag", "host"]).out();
    out.code(125).says("--no-such-flag");
    for init in ["--init", "--init=false"] {
        Sbx::run("default")
            .args([init, "host", "--", "no-such"])
            .out()
            .code(127);
        Sbx::run("default")
            .args([init, "host", "--", "/etc"])
            .out()
            .code(126);
    }
}

#[test]
fn a_script_without_its_interpreter_is_not_found_and_one_without_a_line_is_told() {
    let home = crate::util::Dir::new();
    home.script("lost", "#!/no/such/interpreter\n");
    home.write("plain", "echo x\n");
    Sbx::run("default")
        .args(["host", "--", "./lost"])
        .within(home.path())
        .out()
        .code(127);
    Sbx::run("default")
        .args(["host", "--", "./plain"])
        .within(home.path())
        .out()
        .code(126)
        .says("ermission denied");
}

#[test]
fn orphans_are_reaped() {
    // Two hundred grandchildren lose their parent; pid 1 collects them while the command goes on.
    let script = "for i in $(seq 200); do (true & ) ; done; \
        for t in $(seq 200); do n=$(grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l); \
        [ $n = 0 ] && break; sleep 0.02; done; echo $n zombies";
    assert_eq!(Sbx::sh("default", script).out().ok(), "0 zombies");
}

#[test]
fn what_the_command_leaves_running_ends_with_it() {
    let start = Instant::now();
    let out = Sbx::sh("default", "(sleep 100 &) ; setsid sleep 100 & echo left").out();
    assert_eq!(out.ok(), "left");
    assert!(
        start.elapsed() < patient(Duration::from_secs(20)),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn with_init_the_command_is_pid_2_and_without_it_is_pid_1() {
    for (init, pid) in [("--init", "2"), ("--init=true", "2"), ("--init=false", "1")] {
        let out = Sbx::run("default")
            .args([init, "host", "--", "sh", "-c", "echo $$; exit 4"])
            .out();
        out.code(4);
        assert_eq!(out.stdout(), format!("{pid}\n"), "{init}");
    }
    let out = Sbx::run("default")
        .args(["--init=maybe", "host", "--", "true"])
        .out();
    out.code(125).says("maybe");
}

#[test]
fn time_that_is_up_kills_everything() {
    let home = crate::util::Dir::new();
    for init in ["--init=true", "--init=false"] {
        let result = home.path().join("r.json");
        let start = Instant::now();
        let out = Sbx::run("default")
            .args(["--timeout", "300ms", "--result"])
            .args([&result])
            .args([init, "host", "--", "sh", "-c", "trap '' TERM; sleep 100 & wait"])
            .out();
        out.code(137).says("the time of 300ms was up");
        let took = start.elapsed();
        assert!(
            took >= Duration::from_millis(300) && took < patient(Duration::from_secs(10)),
            "{took:?}"
        );
        assert!(home.read("r.json").contains(r#""reason":"timeout""#), "{init}");
    }
    // Time that is not up changes nothing.
    Sbx::run("default")
        .args(["--timeout", "60s", "host", "--", "sh", "-c", "exit 6"])
        .out()
        .code(6);
}

#[test]
fn time_counts_while_the_command_is_stopped() {
    let run = Started::new(Sbx::run("default").args([
        "--timeout",
        // Long enough that it is ready before: what is tried is whether the time goes on afterwards.
        "3s",
        "host",
        "--",
        "sh",
        "-c",
        "echo ready; kill -STOP $$; echo never",
    ]));
    let out = run.end();
    out.code(137);
    assert_eq!(out.stdout(), "");
}

#[test]
fn killing_the_supervisor_ends_everything_at_once() {
    for init in ["--init=true", "--init=false"] {
        // The read end of the pipe sees its end when the last process inside is gone.
        let run = Started::new(Sbx::run("default").args([
            init,
            "host",
            "--",
            "sh",
            "-c",
            "trap '' TERM HUP INT; (setsid sleep 1000 &) ; echo ready; sleep 1000; sleep 1000",
        ]));
        run.signal(Signal::SIGKILL);
        let start = Instant::now();
        let out = run.end();
        assert_eq!(out.signal, Some(9));
        assert!(
            start.elapsed() < patient(Duration::from_secs(5)),
            "{init}: {:?}",
            start.elapsed()
        );
    }
}

#[test]
fn signals_from_inside_do_not_reach_init_or_sbx() {
    let out = Sbx::sh(
        "default",
        "for s in TERM INT HUP KILL STOP; do kill -$s 1; done; kill -9 -1; echo $?; exit 9",
    );
    // `kill -9 -1` leaves its sender and pid 1 alone.
    out.out().code(9);
}

#[test]
fn blocked_and_ignored_signals_are_as_a_login_leaves_them() {
    // Masks that sbx needs for itself must not be inherited.
    let out = Sbx::sh("default", "grep -E '^Sig(Blk|Ign):' /proc/self/status").out();
    for line in out.ok().lines() {
        assert_eq!(line.split_whitespace().nth(1), Some("0000000000000000"), "{line}");
    }
}

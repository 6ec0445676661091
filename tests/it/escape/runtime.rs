//! sbx itself: its executable, its descriptors, its memory, and what is left when it dies.

use super::{BUILT_IN, Victim, attacker, attacker_command, finish, profile, secret};
use crate::util::{Dir, Sbx, binary, skip, within};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn no_descriptor_of_the_caller_is_passed_on() {
    let (_dir, secret) = secret();
    for name in ["strict", "default", "build", &profile("no-seccomp")] {
        for tty in [false, true] {
            let mut command = attacker_command(["as:leaker"]);
            command
                .arg(&secret)
                .arg(binary())
                .args(["run", "--quiet", "--profile", name]);
            if tty {
                command.arg("-t");
            }
            let bind = format!("{}:/attacker:ro", attacker().display());
            command
                .args(["-v", &bind, "host", "--", "/attacker", "fds"])
                .current_dir("/")
                .stdin(Stdio::null());
            let out = super::Answers(finish(&mut command));
            assert_eq!(out.number("fds"), 3, "{}", out.0.stdout());
            assert!(!out.0.stdout().contains("secret"));
        }
    }
    let mut command = attacker_command(["as:leaker"]);
    command.arg(&secret).arg(attacker()).arg("fds");
    assert!(super::Answers(finish(&mut command)).number("fds") > 18);
}

#[test]
fn cve_2024_21626_a_leaked_descriptor_is_no_working_directory() {
    for name in BUILT_IN {
        for place in (3..=20)
            .map(|fd| format!("/proc/self/fd/{fd}"))
            .chain(["/proc/1/cwd".into(), "/proc/1/root".into()])
        {
            let mut command = attacker_command(["as:leaker", "/"]);
            command.arg(binary()).args([
                "run",
                "--quiet",
                "--profile",
                name,
                "-w",
                &place,
                "host",
                "--",
                "ls",
            ]);
            let out = finish(command.current_dir("/tmp").stdin(Stdio::null()));
            out.code(125);
            assert_eq!(out.stdout(), "", "{name} {place}");
        }
        // It is the place that is refused.
        let mut command = attacker_command(["as:leaker", "/"]);
        command.arg(binary()).args(["run", "--quiet", "--profile", name]);
        command.args(["-w", "/usr", "host", "--", "ls"]);
        let out = finish(command.current_dir("/tmp").stdin(Stdio::null()));
        assert!(out.ok().contains("bin"), "{name}");
    }
    let mut command = attacker_command(["as:leaker", "/"]);
    command
        .arg(attacker())
        .arg("chdir @s:/proc/self/fd/7; openat -100 @s:proc 0");
    let out = super::Answers(finish(command.current_dir("/tmp")));
    out.number("chdir");
    out.number("openat");
}

/// sbx as it lies in many homes: in a directory that its user may write.
fn writable_copy() -> (Dir, std::path::PathBuf) {
    let dir = Dir::new();
    let bytes = std::fs::read(binary()).expect("sbx");
    let path = dir.script("sbx", "");
    std::fs::write(&path, bytes).expect("a copy");
    (dir, path)
}

#[test]
fn cve_2019_5736_runtime_binary_cannot_be_overwritten() {
    let (_dir, sbx) = writable_copy();
    let before = std::fs::read(&sbx).expect("sbx");
    let work = Dir::new();
    work.script("again", "#!/proc/self/exe\n");
    std::os::unix::fs::symlink("/proc/self/exe", work.path().join("link")).expect("a link");
    let run = |name: &str, command: &str| {
        let mut sbx = std::process::Command::new(&sbx);
        sbx.args(["run", "--quiet", "--profile", name, "host", "--", command])
            .current_dir(work.path());
        finish(sbx.stdin(Stdio::null()))
    };
    for name in ["strict", "default", "build", &profile("no-seccomp")] {
        for command in [
            "/proc/self/exe",
            "./again",
            "./link",
            "/proc/1/exe",
            "/proc/thread-self/exe",
        ] {
            let out = run(name, command);
            assert!(
                matches!(out.code, Some(126 | 127)),
                "{name} {command}: {:?} {}",
                out.code,
                out.stderr()
            );
        }
    }
    // Without Landlock the interpreter line leads back to sbx, which is how the attack begins…
    let again = run(&profile("no-landlock"), "./again");
    assert!(
        !matches!(again.code, Some(126 | 127)),
        "{:?} {}",
        again.code,
        again.stderr()
    );
    // …and still the executable cannot be opened for writing from there: every mount that shows it is read-only or gone.
    let script = "for p in /proc/[0-9]*; do ( : >> $p/exe ); done 2>/dev/null; true";
    let mut all = std::process::Command::new(&sbx);
    all.args([
        "run",
        "--quiet",
        "--profile",
        &profile("no-landlock"),
        "host",
        "--",
        "sh",
        "-c",
        script,
    ]);
    finish(all.current_dir(work.path()).stdin(Stdio::null())).code(0);
    assert!(
        before == std::fs::read(&sbx).expect("sbx"),
        "the executable has changed"
    );
}

/// Whether a process of this command line is there; found by the number that it sleeps.
fn runs(marker: &str) -> bool {
    let entries = std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    entries
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .any(|line| {
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.starts_with("sleep ") && line.contains(marker)
        })
}

#[test]
fn whatever_kills_sbx_nothing_lives_on() {
    for (at, signal) in [libc::SIGKILL, libc::SIGABRT, libc::SIGTERM, libc::SIGHUP]
        .into_iter()
        .enumerate()
    {
        let marker = format!("7{at}77{}", std::process::id());
        // A grandchild in a session of its own, deaf to what a terminal or a shell would send.
        let script = format!(
            "trap '' TERM HUP INT; setsid sh -c 'trap \"\" TERM HUP; sleep {marker}' & sleep {marker}; sleep {marker}"
        );
        let (mut command, _home) = Sbx::sh("strict", &script).into_command();
        let mut child = Victim::of(&mut command);
        within(Duration::from_secs(5), "the command starts", || runs(&marker));
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.pid()).expect("a pid"));
        let kill = |signal| {
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::try_from(signal).expect("a signal"))
        };
        kill(signal).expect("kill");
        if signal != libc::SIGKILL && signal != libc::SIGABRT {
            // Forwarded and ignored by the command: the next one is not.
            kill(libc::SIGKILL).expect("kill");
        }
        let since = Instant::now();
        within(Duration::from_secs(1), "the end of everything inside", || {
            !runs(&marker)
        });
        eprintln!("gone after {:?}", since.elapsed());
        within(Duration::from_secs(1), "sbx ends", || !child.lives());
    }
    // Outside, what a killed shell has started lives on.
    let marker = format!("7977{}", std::process::id());
    let mut shell = std::process::Command::new("sh");
    let mut shell = Victim::of(shell.args(["-c", &format!("sleep {marker}; true")]));
    within(Duration::from_secs(5), "the command starts", || runs(&marker));
    shell.0.kill().expect("kill");
    within(Duration::from_secs(5), "the end of the shell", || !shell.lives());
    std::thread::sleep(Duration::from_millis(50));
    assert!(runs(&marker));
    end(&marker);
}

/// Ends what a check has left.
fn end(marker: &str) {
    let script = format!(
        "kill $(pidof sleep | tr ' ' '\\n' | while read p; do grep -qs {marker} /proc/$p/cmdline && echo $p; done)"
    );
    finish(std::process::Command::new("sh").args(["-c", &script]));
}

#[test]
fn nothing_outlives_the_command() {
    let marker = format!("6677{}", std::process::id());
    let script = format!("setsid nohup sleep {marker} >/dev/null 2>&1 & sleep 0.1");
    Sbx::sh("strict", &script).out().code(0);
    assert!(!runs(&marker));
    // Outside it does.
    let mut command = std::process::Command::new("sh");
    finish(command.args([
        "-c",
        &format!("setsid nohup sleep {marker} >/dev/null 2>&1 & sleep 0.1; echo $!"),
    ]));
    assert!(runs(&marker));
    end(&marker);
}

#[test]
fn sbx_itself_is_not_dumpable_while_it_waits() {
    let (mut command, _home) = Sbx::sh("strict", "sleep 9").into_command();
    let child = Victim::of(&mut command);
    let mut victim = Victim::new();
    let environ = |pid: u32| format!("/proc/{pid}/environ");
    use std::os::unix::fs::MetadataExt;
    let owner = |pid: u32| Path::new(&environ(pid)).metadata().map(|m| m.uid());
    if crate::util::is_root() {
        skip("user", "what belongs to root looks the same, dumpable or not");
    } else {
        within(Duration::from_secs(3), "sbx closes itself", || {
            owner(child.pid()).is_ok_and(|uid| uid == 0)
        });
        assert_ne!(owner(victim.pid()).expect("sleep"), 0);
    }
    assert!(victim.lives());
}

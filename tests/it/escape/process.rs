//! Other processes: pid 1 inside, sbx and everything else outside, and what they hold.

use super::{
    Attack, BUILT_IN, Victim, attack, attacker, attacker_command, finish, outside, profile, secret, under,
};
use crate::util::{Dir, Sbx, binary, skip, within};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// What of `/proc/PID` opens a process.
const CLOSED: [&str; 9] = [
    "mem",
    "environ",
    "maps",
    "auxv",
    "stack",
    "pagemap",
    "syscall",
    "clear_refs",
    "io",
];
const LINKS: [&str; 4] = ["exe", "cwd", "root", "fd/0"];

fn look_at(pid: &str) -> String {
    let opens = CLOSED.map(|name| format!("openat -100 @s:/proc/{pid}/{name} 0; read $@ @z:64 64;"));
    let reads = LINKS.map(|name| format!("readlink @s:/proc/{pid}/{name} @z:256 256;"));
    let mut program = String::new();
    for (at, text) in opens.iter().enumerate() {
        program.push_str(&text.replace("$@", &format!("${}", 2 * at)));
    }
    program + &reads.concat()
}

#[test]
fn pid_1_inside_is_closed() {
    for name in [
        "strict",
        "default",
        "build",
        &profile("whole-proc"),
        &profile("no-seccomp"),
        &profile("no-landlock"),
    ] {
        let answers = attack(name, &look_at("1"));
        for (file, answer) in CLOSED.iter().zip(answers.all("read")) {
            assert!(
                answer.parse::<i64>().is_err(),
                "{name}: {file} gave {answer} bytes"
            );
        }
        for (link, answer) in LINKS.iter().zip(answers.all("readlink")) {
            assert!(
                ["EACCES", "ENOENT", "EPERM"].contains(&answer.as_str()),
                "{name}: {link}: {answer}"
            );
        }
    }
    // A process inside that did not close itself is read in just that way.
    let sibling = format!(
        "sleep 9 & exec /attacker '{}'",
        look_at("2").replace("/2/", "/'$!'/")
    );
    let out = super::Answers(under("default").shell(&sibling));
    assert!(
        out.all("read")
            .iter()
            .filter(|answer| answer.parse::<i64>().is_ok())
            .count()
            >= 5
    );
    for answer in out.all("readlink") {
        assert!(answer.parse::<i64>().is_ok(), "{answer}");
    }
}

#[test]
fn pid_1_does_not_tell_how_sbx_was_called() {
    for name in BUILT_IN {
        let sbx = under(name).args(["-e", "TOKEN=told-to-sbx"]);
        let out = sbx.shell("cat /proc/1/cmdline /proc/1/comm 2>/dev/null | tr '\\0' ' '");
        for told in ["told-to-sbx", "attacker", "run"] {
            assert!(!out.stdout().contains(told), "{name}: {}", out.stdout());
        }
    }
    // A process that forgets nothing.
    let out = under("default").shell("sh -c 'sleep 9; : told' & cat /proc/$!/cmdline");
    assert!(out.stdout().contains("told"));
}

#[test]
fn cve_2016_9962_pid_1_cannot_be_traced() {
    // Without the filter, so that it is init's own doing: PTRACE_ATTACH, PTRACE_SEIZE, its memory, its descriptors.
    let program = "ptrace 16 PID 0 0; ptrace 0x4206 PID 0 0; pidfd_open PID 0; pidfd_getfd $2 0 0; readmem PID 0x400000";
    for name in ["no-seccomp", "no-seccomp-default", "whole-proc"] {
        let answers = attack(&profile(name), &program.replace("PID", "1"));
        for step in ["ptrace", "pidfd_getfd", "readmem"] {
            answers.refused(step, &["EPERM"]);
        }
    }
    let script = format!("sleep 9 & exec /attacker '{}'", program.replace("PID", "'$!'"));
    let out = super::Answers(under(&profile("no-seccomp-default")).shell(&script));
    assert!(out.number("pidfd_getfd") > 2);
    assert_eq!(out.all("ptrace").first().map(String::as_str), Some("0"));
}

#[test]
fn pid_1_cannot_be_killed_or_stopped_from_inside() {
    let program = "kill 1 9; kill 1 19; kill 1 15; kill 1 1; kill 1 11; kill 1 6; sleep 50; getppid";
    for name in BUILT_IN {
        // It goes on reaping: the end is told as always.
        assert_eq!(attack(name, program).number("getppid"), 1, "{name}");
    }
    let out = under("strict").shell("sleep 9 & kill -9 $!; wait $!; echo $?");
    assert_eq!(out.ok(), "137", "the same signal kills another process");
}

#[test]
fn processes_of_the_host_are_neither_seen_nor_signalled() {
    let mut victim = Victim::new();
    let pid = victim.pid();
    let program = format!(
        "kill {pid} 9; tgkill {pid} {pid} 9; pidfd_open {pid} 0; getpgid {pid}; openat -100 @s:/proc/{pid}/status 0; \
         sched_getscheduler {pid}; setpriority 0 {pid} 19; prlimit64 {pid} 7 0 @z:16"
    );
    for name in BUILT_IN {
        let answers = attack(name, &program);
        for step in ["kill", "tgkill", "getpgid", "sched_getscheduler", "setpriority"] {
            answers.refused(step, &["ESRCH"]);
        }
        answers.refused("pidfd_open", &["ESRCH", "EINVAL"]);
        answers.refused("prlimit64", &["ESRCH", "EPERM"]);
        answers.refused("openat", &["ENOENT"]);
    }
    assert!(victim.lives());
    outside(&format!("kill {pid} 9")).number("kill");
    within(Duration::from_secs(2), "the attack outside", || !victim.lives());
}

#[test]
fn only_the_sandbox_s_own_processes_are_listed() {
    let script = "ls /proc | grep -c '^[0-9]'";
    let count = |name: &str| under(name).shell(script).ok().parse::<u32>().expect("a number");
    assert!(count("strict") <= 3, "sh, ls, grep");
    assert!(count("default") <= 4, "and pid 1");
    let host = std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    let host = host.filter(|entry| {
        entry
            .file_name()
            .to_string_lossy()
            .starts_with(|c: char| c.is_ascii_digit())
    });
    assert!(host.count() > 4, "there is more to be seen");
}

#[test]
fn signals_to_everybody_and_to_the_group_stay_inside() {
    // A job of three: a process in the caller's own group, the one that calls sbx, and sbx.
    let job = |inside: bool, program: &str| {
        let sbx = binary();
        let run = if inside {
            format!(
                "'{}' run --quiet --profile strict -v '{}:/attacker:ro' host -- /attacker '{program}'",
                sbx.display(),
                attacker().display()
            )
        } else {
            format!("'{}' '{program}'", attacker().display())
        };
        let script = format!("sleep 9 & {run} >/dev/null; kill -0 $! && echo lives; kill -9 $!");
        let home = Dir::new();
        let mut command = std::process::Command::new("sh");
        command
            .args(["-c", &script])
            .process_group(0)
            .current_dir(home.path())
            .stdin(Stdio::null());
        finish(&mut command).stdout()
    };
    assert_eq!(job(true, "kill 0 10").trim(), "lives");
    assert_eq!(job(true, "kill -1 9").trim(), "lives");
    assert_eq!(job(true, "kill 0 9").trim(), "lives");
    assert_eq!(
        job(false, "kill 0 10").trim(),
        "",
        "the group of a plain process is the caller's"
    );
}

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

#[test]
fn set_id_bits_give_nothing() {
    // Mounts say nosuid, and no_new_privs says it again.
    let script = "while read -r _ at type flags _; do case ,$flags, in *,nosuid,*) ;; *) echo $at $type $flags;; esac; done \
                  </proc/self/mounts";
    for name in ["strict", "default", "build"] {
        assert_eq!(under(name).shell(script).ok(), "", "{name}");
    }
    if !crate::util::is_root() {
        skip("root", "only root can make a set-id program of another user");
        return;
    }
    let work = Dir::new();
    let program = work.script("program", "");
    std::fs::copy(attacker(), &program).expect("a copy");
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o6755)).expect("chmod");
    let bind = format!("{}:/p:ro", work.path().display());
    for name in BUILT_IN {
        let out = super::Answers(
            Sbx::run(name)
                .args(["-v", &bind, "host", "--", "/p/program", "getuid; geteuid"])
                .out(),
        );
        assert_eq!(out.of("getuid"), out.of("geteuid"), "{name}");
        assert_ne!(out.of("geteuid"), "0");
    }
    let mut plain = std::process::Command::new(&program);
    let out = super::Answers(finish(plain.arg("geteuid").uid(65534).gid(65534)));
    assert_eq!(out.of("geteuid"), "0", "outside they count");
}

/// Whether a process of this command line is there.
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
    finish(std::process::Command::new("sh").args(["-c", &format!("kill $(pidof sleep | tr ' ' '\\n' | while read p; do grep -qs {marker} /proc/$p/cmdline && echo $p; done)")]));
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

//! Other processes: pid 1 inside, and everything outside.

use super::{ALL, Attack, BUILT_IN, Victim, attack, attacker, finish, outside, profile, under};
use crate::util::{Dir, Sbx, binary, skip, within};
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::time::Duration;

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
        assert_eq!(
            (answers.all("read").len(), answers.all("readlink").len()),
            (CLOSED.len(), LINKS.len()),
            "{name}"
        );
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
        "sleep 9 & sleep 0.2; exec /attacker '{}'",
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
        out.code(0);
        for told in ["told-to-sbx", "attacker", "run"] {
            assert!(!out.stdout().contains(told), "{name}: {}", out.stdout());
        }
    }
    // A process that forgets nothing.
    let out = under("default").shell("sh -c 'sleep 9; : told' & sleep 0.2; cat /proc/$!/cmdline");
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
    let script = format!(
        "sleep 9 & sleep 0.2; exec /attacker '{}'",
        program.replace("PID", "'$!'")
    );
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
        // The attack was made: it answers its first step, and what refuses to run answers none.
        let script = format!(
            "sleep 9 & {run} >said; grep -q = said && echo made; kill -0 $! && echo lives; kill -9 $!"
        );
        let home = Dir::new();
        let mut command = std::process::Command::new("sh");
        command
            .args(["-c", &script])
            .process_group(0)
            .current_dir(home.path())
            .stdin(Stdio::null());
        finish(&mut command).stdout()
    };
    // A signal that is ignored by whoever sends it reaches everybody else.
    let deaf = "rt_sigaction 10 @w:1,0x04000000,0,0 0 8; ";
    assert_eq!(job(true, &format!("{deaf}kill 0 10")), "made\nlives\n");
    assert_eq!(job(true, "kill -1 9"), "made\nlives\n");
    assert_eq!(job(true, "getpid; kill 0 9"), "made\nlives\n");
    assert_eq!(
        job(false, "kill 0 10").trim(),
        "",
        "the group of a plain process is the caller's"
    );
    // To everybody cannot be tried outside; inside it is the shell that it meets.
    under("strict").shell("/attacker 'kill -1 9'; true").code(137);
}

#[test]
fn set_id_bits_give_nothing() {
    // Mounts say nosuid, and no_new_privs says it again.
    let script = "while read -r _ at type flags _; do case ,$flags, in *,nosuid,*) ;; *) echo $at $type $flags;; esac; done \
                  </proc/self/mounts";
    for name in ALL {
        assert_eq!(under(name).shell(script).ok(), "", "{name}");
    }
    let host = finish(std::process::Command::new("sh").args(["-c", script])).ok();
    assert_ne!(host, "", "the host has mounts without it");
    if !crate::util::is_root() {
        skip("root", "only root can make a set-id program of another user");
        return;
    }
    let work = Dir::new();
    let program = work.program("program", attacker());
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

//! Bombs: every resource has a ceiling that holds without a cgroup, and nobody inside can raise it.

use super::{ALL, Attack, BUILT_IN, Victim, attack, finish, outside, profile, under};
use crate::limits::counted_by_a_cgroup;
use crate::util::{Dir, Sbx, patient, skip, within};
use std::time::{Duration, Instant};

/// Whether the kernel counts the processes of each user namespace on their own (5.14), and the caller may start as many more as these
/// tests do at once: else what other tests and programs of this user run decides, and not sbx.
fn counted_alone() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("a release");
    let mut numbers = release.split(['.', '-']).map_while(|n| n.parse::<u32>().ok());
    if (numbers.next(), numbers.next()) < (Some(5), Some(14)) {
        skip(
            "pids-per-namespace",
            "this kernel counts all processes of a user together",
        );
        return false;
    }
    use nix::sys::resource::{Resource, getrlimit};
    let (most, _) = getrlimit(Resource::RLIMIT_NPROC).expect("a limit");
    if !crate::util::is_root() && most < running() + 2500 {
        skip("processes", "the caller has too few processes left");
        return false;
    }
    true
}

/// How many tasks the caller's user has now.
fn running() -> u64 {
    use std::os::unix::fs::MetadataExt;
    let own = nix::unistd::getuid().as_raw();
    let processes = std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    let own = processes.filter(|entry| entry.metadata().is_ok_and(|m| m.uid() == own));
    let tasks = own.filter_map(|entry| std::fs::read_dir(entry.path().join("task")).ok());
    tasks.map(|tasks| tasks.count() as u64).sum()
}

#[test]
fn a_fork_bomb_meets_the_limit() {
    if !counted_alone() {
        return;
    }
    let answers = attack("strict", "fork-bomb 390");
    assert!(
        (200..256).contains(&answers.number("fork-bomb")),
        "{}",
        answers.of("fork-bomb")
    );
    assert!(answers.0.stdout().contains("stopped by EAGAIN"));
    assert_eq!(
        attack(&profile("roomy"), "fork-bomb 390").number("fork-bomb"),
        390
    );
}

#[test]
fn a_fork_bomb_does_not_use_up_the_caller_s_processes() {
    if !counted_alone() {
        return;
    }
    // One has taken all that it can have, and holds it.
    let dir = Dir::new();
    let said = dir.write("said", "");
    let (mut command, _home) = under("strict")
        .args(["host", "--", "/attacker", "fork-hold 390; sleep 60000"])
        .into_command();
    command.stdin(std::process::Stdio::null());
    command.stdout(std::fs::File::create(&said).expect("a file"));
    let mut first = Victim(command.spawn().expect("sbx"));
    within(Duration::from_secs(20), "the first bomb", || {
        dir.read("said").contains("fork-hold=")
    });
    assert!(dir.read("said").contains("stopped by EAGAIN"));
    // Another one has its own count, in its own user namespace, and so has the caller.
    assert_eq!(attack("strict", "fork-bomb 200").number("fork-bomb"), 200);
    assert_eq!(outside("fork-bomb 300").number("fork-bomb"), 300);
    assert!(first.lives());
    // Two in one sandbox have one count.
    let both = attack("strict", "fork-hold 200; fork-bomb 200");
    assert_eq!(both.number("fork-hold"), 200);
    assert!(both.number("fork-bomb") < 56, "{}", both.of("fork-bomb"));
}

#[test]
fn a_memory_bomb_meets_the_limit() {
    // Held for longer than the interval between two polls.
    let out = attack("strict", "memory-bomb 1200; sleep 3000").0;
    out.code(137).says("out of memory: the limit of 1G");
    assert_eq!(
        attack(&profile("roomy"), "memory-bomb 1200").number("memory-bomb"),
        1200
    );
}

#[test]
fn reserved_memory_does_not_count_as_used() {
    // Writable, private, untouched and without a reservation of swap: what runtimes do at start.
    let program = "mmap 0 0x200000000 3 0x4022 -1 0";
    let run = |more: &[&str]| under("strict").args(["-m", "64m"]).args(more).attack(program);
    run(&[]).number("mmap");
    run(&["--ulimit", "data=67108864"]).refused("mmap", &["ENOMEM"]);
    // The backstop is distant and still there, unless a cgroup counts.
    if !counted_by_a_cgroup() {
        let beyond = "mmap 0 0x500000000 3 0x4022 -1 0";
        let sbx = under("strict").args(["-m", "64m"]);
        sbx.attack(beyond).refused("mmap", &["ENOMEM"]);
    }
}

#[test]
fn a_descriptor_bomb_meets_the_limit() {
    let answers = attack("strict", "open-bomb 1400");
    assert!((1000..1024).contains(&answers.number("open-bomb")));
    assert!(answers.0.stdout().contains("stopped by EMFILE"));
    assert_eq!(
        attack(&profile("roomy"), "open-bomb 1400").number("open-bomb"),
        1400
    );
}

#[test]
fn what_is_written_to_memory_meets_the_limit() {
    for place in ["/tmp/bomb", "/dev/shm/bomb"] {
        let program = format!("fill {place} 100");
        let answers = attack("strict", &program);
        assert!(
            (60..=64).contains(&answers.number("fill")),
            "{place}: {}",
            answers.of("fill")
        );
        assert!(answers.0.stdout().contains("stopped by ENOSPC"));
        assert_eq!(attack(&profile("roomy"), &program).number("fill"), 100);
    }
}

#[test]
fn empty_files_meet_the_limit() {
    // They take memory that no size counts.
    let answers = attack("strict", "inode-bomb /tmp 30000");
    assert!(
        (10_000..=16_384).contains(&answers.number("inode-bomb")),
        "{}",
        answers.of("inode-bomb")
    );
    assert!(answers.0.stdout().contains("stopped by ENOSPC"));
    assert_eq!(
        attack(&profile("roomy"), "inode-bomb /tmp 30000").number("inode-bomb"),
        30_000
    );
}

#[test]
fn nothing_else_can_be_filled() {
    for place in [
        "/bomb",
        "/etc/bomb",
        "/usr/bomb",
        "/dev/bomb",
        "/run/bomb",
        "/var/bomb",
        "/proc/bomb",
        "/opt/bomb",
    ] {
        // As uid 0 too, whose directories these are. /proc makes no files, whoever asks.
        let answer = if place.starts_with("/proc") {
            "ENOENT"
        } else {
            "EROFS"
        };
        for user in ["caller", "root"] {
            let answers = under("strict")
                .args(["--user", user])
                .attack(&format!("fill {place} 1"));
            assert_eq!(answers.of("fill"), answer, "{place} as {user}");
        }
    }
    assert_eq!(attack("strict", "fill /tmp/bomb 1").number("fill"), 1);
}

#[test]
fn a_large_file_meets_the_limit() {
    // Sparse, so that it is the limit of the file and not of the disk: 1.5 GiB, where strict has 1 GiB.
    let program = "openat -100 @s:big 0o102 0o600; ftruncate $0 1610612736";
    let run = |name: &str| {
        let work = Dir::new();
        std::fs::set_permissions(work.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777))
            .expect("chmod");
        under(name)
            .args(["--workspace", "writable"])
            .within(work.path())
            .attack(program)
    };
    run("strict").refused("ftruncate", &["EFBIG"]);
    run(&profile("roomy")).number("ftruncate");
}

#[test]
fn output_into_a_file_of_the_host_meets_the_limit() {
    let work = Dir::new();
    let path = work.write("output", "");
    let run = |name: &str| {
        // The stream is already at 1 GiB - 4 KiB.
        let file = std::fs::File::options()
            .write(true)
            .open(&path)
            .expect("the file");
        file.set_len((1 << 30) - 4096).expect("a size");
        std::io::Seek::seek(&mut &file, std::io::SeekFrom::End(0)).expect("seek");
        let (mut command, _home) = Sbx::sh(name, "head -c 100000 /dev/zero").into_command();
        command
            .stdout(file)
            .stdin(std::process::Stdio::null())
            .status()
            .expect("sbx");
        std::fs::metadata(&path).expect("the file").len()
    };
    assert_eq!(run("strict"), 1 << 30);
    assert_eq!(run(&profile("roomy")), (1 << 30) - 4096 + 100_000);
}

#[test]
fn locked_memory_meets_the_limit() {
    let program = "mmap 0 0x100000 3 0x22 -1 0; mlock $0 0x100000";
    attack("strict", program).refused("mlock", &["ENOMEM", "EPERM", "EAGAIN"]);
    let free = finish(std::process::Command::new("sh").args(["-c", "ulimit -Hl"])).stdout();
    if free.trim().parse::<u64>().is_ok_and(|kib| kib < 1024) {
        return skip("memlock", "the caller's own limit is below 1 MiB");
    }
    under("strict")
        .args(["--ulimit", "memlock=4194304"])
        .attack(program)
        .number("mlock");
}

#[test]
fn limits_cannot_be_raised() {
    // nofile, fsize, core, memlock; nproc and data where no cgroup counts for the whole.
    let each: &[u32] = if counted_by_a_cgroup() { &[] } else { &[6, 2] };
    for resource in [7, 1, 4, 8].iter().chain(each) {
        let program = format!(
            "prlimit64 0 {resource} @w:0x7fffffff,0x7fffffffffffffff 0; setrlimit {resource} @w:0x7fffffff,0x7fffffffffffffff"
        );
        for name in ["strict", &profile("no-seccomp"), &profile("capabilities")] {
            let answers = attack(name, &program);
            for step in ["prlimit64", "setrlimit"] {
                answers.refused(step, &["EPERM"]);
            }
        }
    }
    // Lowering one is anybody's right, and raising it up to the hard one.
    attack(
        "strict",
        "prlimit64 0 7 @w:16,1024 0; prlimit64 0 7 @w:1024,1024 0",
    )
    .number("prlimit64");
    for name in BUILT_IN {
        attack(name, "setpriority 0 0 -20").refused("setpriority", &["EACCES", "EPERM"]);
        attack(name, "sched_setscheduler 0 1 @d:50").refused("sched_setscheduler", &["EPERM"]);
        // Down goes whoever likes.
        attack(name, "setpriority 0 0 19").number("setpriority");
    }
    // Without the filter it is the kernel that says which class one may choose.
    let classes = attack(
        &profile("no-seccomp"),
        "sched_setscheduler 0 1 @d:50; sched_setscheduler 0 3 @d:0",
    );
    assert_eq!(classes.all("sched_setscheduler"), ["EPERM", "0"]);
}

#[test]
fn a_crash_leaves_no_core_and_wakes_no_handler() {
    // 1 and not 0: with a piped core_pattern the kernel runs the host's handler at 0 too.
    for name in ALL {
        let said = under(name).shell("grep core /proc/self/limits | tr -s ' '").ok();
        assert_eq!(said, "Max core file size 1 1 bytes ", "{name}");
    }
    let work = Dir::new();
    std::fs::set_permissions(work.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777))
        .expect("chmod");
    let crash = "ulimit -c unlimited 2>/dev/null; kill -SEGV $$";
    let out = Sbx::run("strict")
        .args(["--workspace", "writable", "host", "--", "sh", "-c", crash])
        .within(work.path())
        .out();
    out.code(128 + libc::SIGSEGV);
    let cores = || std::fs::read_dir(work.path()).expect("a directory").count();
    assert_eq!(cores(), 0);
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    if pattern.starts_with(['|', '/', '@']) {
        return skip("core-pattern", "cores do not go to the working directory here");
    }
    finish(
        std::process::Command::new("sh")
            .args(["-c", crash])
            .current_dir(work.path()),
    );
    if cores() == 0 {
        skip("core", "no core outside either");
    }
}

#[test]
fn the_time_limit_cannot_be_outrun() {
    // Deaf to every signal that can be ignored, in sessions of its own, twice forked.
    let script =
        "trap '' TERM INT HUP ALRM XCPU; setsid sh -c 'trap \"\" TERM; sleep 30' & sleep 30; sleep 30";
    let since = Instant::now();
    Sbx::run("strict")
        .args(["--timeout", "300ms", "host", "--", "sh", "-c", script])
        .out()
        .code(137)
        .says("the time of 300ms was up");
    let taken = since.elapsed();
    assert!(
        taken > Duration::from_millis(290) && taken < patient(Duration::from_secs(3)),
        "{taken:?}"
    );
    // Without the limit the same command goes on.
    let since = Instant::now();
    Sbx::sh("strict", "sleep 0.5").out().code(0);
    assert!(since.elapsed() > Duration::from_millis(500));
}

#[test]
fn processes_that_each_stay_below_the_limit_do_not_exceed_it_together() {
    let script =
        "for i in 1 2 3 4; do (head -c 90M /dev/zero; sleep 3) | tail -c 90M >/dev/null & done; wait";
    let run = |more: &[&str]| under("strict").args(["-m", "200m"]).args(more).shell(script);
    run(&[]).code(137).says("out of memory: the limit of 200M");
    run(&["--enforce", "memory=off"]).code(0);
}

#[test]
fn pages_that_processes_share_count_once() {
    // Seven processes of 120 MiB each, and all of it the same memory.
    under("strict")
        .args(["-m", "300m"])
        .attack("memory-bomb 120; fork-hold 6; sleep 2000")
        .number("sleep");
}

#[test]
fn memory_that_is_in_nobody_s_pages_counts() {
    let file = "memfd_create @s:x 0; fallocate $0 0 0 0x9000000; sleep 3000";
    let tmpfs = "fill /tmp/x 60; fill /dev/shm/x 60; sleep 3000";
    // Under an id of the range what a process has open is none of the caller's business.
    let others = ["--map", "range", "-u", "5:5"];
    let ids = if crate::util::has_range() { 2 } else { 1 };
    for (program, ids) in [file, tmpfs]
        .into_iter()
        .flat_map(|p| [(p, &[][..]), (p, &others)].into_iter().take(ids))
    {
        let run = |more: &[&str]| {
            let sbx = under("strict").args(["-m", "100m"]).args(ids);
            sbx.args(more).attack(program)
        };
        run(&[]).0.code(137).says("out of memory");
        run(&["--enforce", "memory=off"]).number("sleep");
    }
}

/// The attack with a small limit, which ends it, and without one, where it succeeds.
fn hidden(profile: &str, way: &str) {
    hidden_with(&[], profile, way);
}

fn hidden_with(flags: &[&str], profile: &str, way: &str) {
    let run = |more: &[&str]| {
        let sbx = under(profile).args(["-m", "64m"]).args(flags).args(more);
        sbx.attack(&format!("hide {way} 160; sleep 1500"))
    };
    // Shared memory that another test gives back meanwhile is not noticed: SECURITY.md.
    let ended = (0..3).map(|_| run(&[]).0).find(|out| out.code == Some(137));
    ended
        .expect("it is ended")
        .says("out of memory: the limit of 64M");
    let free = run(&["--enforce", "memory=off"]);
    assert_eq!((free.number("hide"), free.number("sleep")), (160, 0), "{way}");
}

#[test]
fn shared_memory_that_no_process_has_in_use_counts() {
    for way in ["mapped", "anonymous"] {
        hidden("strict", way);
    }
}

#[test]
fn memory_files_that_cannot_be_listed_count() {
    for way in ["undumpable", "thread"] {
        hidden("strict", way);
    }
}

#[test]
fn memory_files_in_the_queue_of_a_socket_count() {
    hidden("strict", "queued");
}

#[test]
fn page_tables_count() {
    hidden("strict", "tables");
}

#[test]
fn memory_of_a_process_whose_first_thread_has_exited_counts() {
    hidden("strict", "orphaned");
}

#[test]
fn segments_that_are_not_attached_count() {
    hidden("default", "segments");
    // Without init, or under ids that are not the caller's, somebody else has to look.
    hidden_with(&["--init=false"], "default", "segments");
    if crate::util::has_range() {
        for way in ["segments", "mapped"] {
            hidden_with(&["--map", "range", "-u", "5:5"], "default", way);
        }
    }
}

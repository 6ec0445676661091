//! Where a cgroup is made, who else uses the place, and what is left there.

use super::{PLAIN, planned};
use crate::started::Started;
use crate::util::{Dir, Out, Sbx, binary, is_root, skip, within};
use nix::sys::signal::Signal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn many_at_once_each_have_their_own() {
    let Some(parent) = directory() else { return };
    let at = parent.0.to_str().expect("a path");
    let start = || {
        let sbx = Sbx::run("default").args(PLAIN).args(["--cgroup-parent", at]);
        let (mut command, home) = sbx.args(["host", "--", "sleep", "60"]).into_command();
        (command.spawn().expect("sbx starts"), home)
    };
    let mut all: Vec<_> = (0..6).map(|_| start()).collect();
    let lives = |own: &PathBuf| {
        let procs = std::fs::read_to_string(own.join("cgroup.procs")).unwrap_or_default();
        procs.lines().count() >= 2
    };
    within(Duration::from_secs(20), "a cgroup for each", || {
        inside(&parent.0).iter().filter(|own| lives(own)).count() == 6
    });
    for (run, _) in &mut all {
        assert_eq!(run.try_wait().expect("it is there"), None);
        let pid = nix::unistd::Pid::from_raw(i32::try_from(run.id()).expect("a pid"));
        nix::sys::signal::kill(pid, Signal::SIGTERM).expect("it is there");
    }
    for (run, _) in &mut all {
        assert_eq!(run.wait().expect("an end").code(), Some(143));
    }
    assert_eq!(inside(&parent.0), Vec::<PathBuf>::new());
}

#[test]
fn a_stopped_job_is_frozen_as_a_whole() {
    let Some(parent) = directory() else { return };
    let at = parent.0.to_str().expect("a path");
    // What has left the command's group is no part of the job for a signal.
    let script = "setsid sh -c 'trap \"\" TERM; while :; do sleep 0.01; done' & echo ready; exec sleep 60";
    let sbx = Sbx::run("default").args(PLAIN).args(["--cgroup-parent", at]);
    let run = Started::new(sbx.args(["host", "--", "sh", "-c", script]));
    let own = inside(&parent.0);
    let [own] = own.as_slice() else { panic!("{own:?}") };
    let frozen = |wanted: &str| {
        std::fs::read_to_string(own.join("cgroup.events")).is_ok_and(|text| text.contains(wanted))
    };
    assert!(frozen("frozen 0"));
    run.signal(Signal::SIGTSTP);
    within(Duration::from_secs(5), "everything stops", || frozen("frozen 1"));
    // As a shell waits before it lets a job go on.
    let stat = format!("/proc/{}/stat", run.pid());
    within(Duration::from_secs(5), "sbx stops", || {
        std::fs::read_to_string(&stat).is_ok_and(|text| text.contains(") T "))
    });
    run.signal(Signal::SIGCONT);
    within(Duration::from_secs(5), "everything goes on", || {
        frozen("frozen 0")
    });
    // What is stopped can be ended, and killed.
    run.signal(Signal::SIGTSTP);
    within(Duration::from_secs(5), "everything stops", || frozen("frozen 1"));
    run.signal(Signal::SIGKILL);
    run.end();
    within(Duration::from_secs(5), "everything ends", || {
        frozen("populated 0")
    });
    run_in(at).ok();
    assert_eq!(inside(&parent.0), Vec::<PathBuf>::new());
}

/// A run that leaves nothing, whatever others have left.
fn run_in(at: &str) -> Out {
    let sbx = Sbx::run("default").args(PLAIN).args(["--cgroup-parent", at]);
    sbx.args(["host", "--", "true"]).out()
}

/// A cgroup v2 directory in which a cgroup can be made, though perhaps none of its controllers: root has one nearly everywhere, and
/// others where one was delegated to these tests.
fn directory() -> Option<Parent> {
    let tops = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(PathBuf::from);
    let top = tops.into_iter().find(|top| top.join("cgroup.procs").exists());
    let delegated = std::env::var_os("SBX_TEST_CGROUP").map(PathBuf::from);
    // A name that no run takes for a leftover.
    let at = delegated.or(top.filter(|_| is_root())).map(|top| {
        top.join(format!(
            "tests-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ))
    });
    let at = at.filter(|at| std::fs::create_dir(at).is_ok());
    if at.is_none() {
        skip(
            "cgroup-root",
            "nobody but root can make a cgroup here, and only in cgroup v2",
        );
    }
    at.map(Parent)
}

struct Parent(PathBuf);

impl Drop for Parent {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

fn inside(parent: &Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir(parent)
        .expect("a directory")
        .flatten()
        .map(|e| e.path());
    all.filter(|p| p.is_dir()).collect()
}

#[test]
fn a_cgroup_is_made_used_and_removed_where_it_is_told() {
    let Some(parent) = directory() else { return };
    let at = parent.0.to_str().expect("a path");
    let start = || {
        Started::new(Sbx::run("default").args(PLAIN).args([
            "--cgroup-parent",
            at,
            "host",
            "--",
            "sh",
            "-c",
            "echo ready; cat /proc/self/cgroup; read x; exec sleep 100",
        ]))
    };
    let mut started = start();
    // Of all cgroups it sees its own, as the root of them.
    let seen = started.line();
    assert!(seen.ends_with(":/\n") || seen.is_empty(), "{seen}");
    let own = inside(&parent.0);
    let [own] = own.as_slice() else { panic!("{own:?}") };
    assert!(
        std::fs::read_to_string(own.join("cgroup.procs"))
            .expect("procs")
            .lines()
            .count()
            >= 2
    );
    started.signal(Signal::SIGTERM);
    started.end();
    assert_eq!(inside(&parent.0), Vec::<PathBuf>::new());
    // Its supervisor killed, it is left over; the next run removes it, and leaves alone what is in use.
    let (killed, other) = (start(), start());
    let both = inside(&parent.0);
    assert_eq!(both.len(), 2);
    killed.signal(Signal::SIGKILL);
    killed.end();
    assert_eq!(inside(&parent.0).len(), 2);
    let third = start();
    within(Duration::from_secs(5), "the leftover is swept", || {
        inside(&parent.0).len() == 2
    });
    let now = inside(&parent.0);
    assert_eq!(
        both.iter().filter(|p| now.contains(p)).count(),
        1,
        "{both:?} {now:?}"
    );
    for run in [other, third] {
        run.signal(Signal::SIGTERM);
        run.end();
    }
    assert_eq!(inside(&parent.0), Vec::<PathBuf>::new());
}

/// What clone3 says of a cgroup that it may not use is told with its name. In one that is threaded only threads may be: EOPNOTSUPP.
#[test]
fn a_cgroup_that_takes_no_process_is_named() {
    let Some(parent) = directory() else { return };
    let threaded = Parent(parent.0.join("threaded"));
    std::fs::create_dir(&threaded.0).expect("a cgroup");
    std::fs::write(threaded.0.join("cgroup.type"), "threaded").expect("threaded");
    let at = threaded.0.to_str().expect("a path");
    let out = run_in(at);
    out.code(125).says(at).says("EOPNOTSUPP");
    assert_eq!(inside(&threaded.0), Vec::<PathBuf>::new());
}

/// The first clone3 of sbx fails. `None` without strace.
fn refused_by_clone(error: &str, flags: &[&str]) -> Option<Out> {
    let home = Dir::new();
    let mut command = Command::new("strace");
    command.args(["-qq", "-o", "/dev/null", "--trace=clone3"]);
    command.arg(format!("--inject=clone3:error={error}:when=1"));
    command
        .arg(binary())
        .args(["run", "--profile", "strict"])
        .args(PLAIN);
    // A helper with set-id bits cannot be traced by its user.
    command.args(["--enforce", "groups=off"]).args(flags);
    command
        .args(["host", "--", "echo", "ran"])
        .current_dir(home.path());
    match command.stdin(Stdio::null()).output() {
        Ok(output) => Some(output.into()),
        Err(_) => {
            skip("strace", "no strace to make calls fail with");
            None
        }
    }
}

const UNUSABLE: [&str; 4] = ["EACCES", "EBUSY", "EOPNOTSUPP", "ENODEV"];

#[test]
fn a_named_cgroup_that_clone3_refuses_ends_the_run() {
    let Some(parent) = directory() else { return };
    let at = parent.0.to_str().expect("a path");
    for error in UNUSABLE {
        let Some(out) = refused_by_clone(error, &["--cgroup-parent", at]) else {
            return;
        };
        out.code(125).says(at).says(error);
        assert_eq!(out.stdout(), "", "{error}");
        assert_eq!(inside(&parent.0), Vec::<PathBuf>::new());
    }
}

#[test]
fn a_cgroup_that_clone3_refuses_is_the_next_rung_with_a_loss() {
    if !planned(&["-m", "100m"]).contains("memory.max") {
        return skip(
            "cgroup-delegation",
            "no cgroup with the memory controller is delegated here",
        );
    }
    for error in UNUSABLE {
        let Some(out) = refused_by_clone(error, &["-m", "100m"]) else {
            return;
        };
        assert_eq!(out.ok(), "ran", "{error}");
        out.says("lost: ")
            .says("memory: 100M")
            .says("no cgroup could be made in")
            .says(error);
        // Nothing else would hold a part of a processor.
        let Some(out) = refused_by_clone(error, &["--cpus", "0.5"]) else {
            return;
        };
        out.code(125).says("cpu is required (the flag --cpus 0.5)");
    }
}

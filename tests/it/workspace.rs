//! The working directory: read-only, writable, or an overlay whose changes are listed and applied when asked.

mod apply;

use crate::util::{Dir, Out, Sbx, project};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A small tree to change.
fn tree() -> Dir {
    project(|dir| {
        dir.write("keep", "kept\n");
        dir.write("change", "old\n");
        dir.write("delete", "gone\n");
        dir.write("move-me", "moved\n");
        dir.write("dir/a", "a\n");
        dir.write("dir/sub/b", "b\n");
        dir.write("todir", "was a file\n");
        dir.write("mode", "x\n");
        std::os::unix::fs::symlink("keep", dir.path().join("link")).expect("symlink");
    })
}

/// `sbx run --workspace MODE FLAGS host -- sh -ec SCRIPT`, in a directory.
fn run(dir: &Dir, flags: &[&str], script: &str) -> Out {
    Sbx::run("default")
        .args(flags)
        .args(["host", "--", "sh", "-ec", script])
        .within(dir.path())
        .out()
}

/// Everything below a directory: kind, mode of files, content or target.
fn picture(at: &Path) -> Vec<String> {
    let mut all = Vec::new();
    let mut names: Vec<_> = std::fs::read_dir(at)
        .expect("read")
        .map(|e| e.expect("entry").path())
        .collect();
    names.sort();
    for path in names {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let meta = path.symlink_metadata().expect("stat");
        if meta.is_dir() {
            all.push(format!("{name}/"));
            all.extend(picture(&path).into_iter().map(|x| format!("{name}/{x}")));
        } else if meta.is_symlink() {
            let target = std::fs::read_link(&path).expect("readlink");
            all.push(format!("{name} -> {}", target.display()));
        } else {
            let text = String::from_utf8_lossy(&std::fs::read(&path).expect("read")).into_owned();
            all.push(format!("{name} {:o} {}", meta.mode() & 0o7777, text.trim_end()));
        }
    }
    all
}

/// Whether this kernel's tmpfs has the attributes with which overlay marks a directory as emptied (Linux 6.6). Where it has not, the
/// script, which removes one, fails, is told why before, and nothing outside is touched.
fn marks_directories(script: &str) -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("the release");
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    let mut number = || numbers.next().expect("a number").expect("a number");
    if (number(), number()) >= (6, 6) {
        return true;
    }
    let dir = tree();
    let before = picture(dir.path());
    let words = ["run", "--workspace", "overlay", "host", "--", "sh", "-ec", script];
    let out = Sbx::new(words).within(dir.path()).out();
    out.code(1)
        .says("sbx: before Linux 6.6 a directory")
        .says(": Input/output error");
    assert_eq!(picture(dir.path()), before);
    false
}

const CHANGES: &str = "echo new >change; echo made >made; rm delete; mv move-me moved; mkdir fresh; echo x >fresh/x; \
    rm -r dir; echo file >dir; rm todir; mkdir todir; echo in >todir/in; chmod 755 mode; ln -s /etc/passwd abs; \
    rm link; ln -s change link";

#[test]
fn read_only_can_be_read_and_not_changed() {
    for profile in ["strict", "default"] {
        let dir = tree();
        let before = picture(dir.path());
        let script = "cat keep; for c in 'touch new' 'rm keep' 'mkdir d' 'chmod 600 keep' 'mv keep k' 'ln -s a b'; do \
            $c 2>/dev/null && echo \"$c went through\"; done; echo x >>change || echo refused";
        let out = Sbx::sh(profile, script).within(dir.path()).out();
        assert_eq!(out.ok(), "kept\nrefused");
        assert_eq!(picture(dir.path()), before);
    }
}

#[test]
fn it_is_at_the_same_path_inside() {
    let dir = tree();
    let out = run(&dir, &[], "pwd; test -e $PWD/keep && echo there");
    assert_eq!(out.ok(), format!("{}\nthere", dir.path().display()));
}

#[test]
fn none_is_not_there() {
    let dir = tree();
    let script = format!("test ! -e {}/keep && echo absent", dir.path().display());
    assert_eq!(run(&dir, &["--workspace", "none"], &script).ok(), "absent");
}

#[test]
fn writable_is_written() {
    let dir = tree();
    run(&dir, &["--workspace", "writable"], CHANGES).code(0);
    check_changed(&dir);
}

/// What [`CHANGES`] comes to.
fn check_changed(dir: &Dir) {
    assert_eq!(dir.read("change"), "new\n");
    assert_eq!(dir.read("made"), "made\n");
    assert_eq!(dir.read("moved"), "moved\n");
    assert_eq!(dir.read("keep"), "kept\n");
    assert_eq!(dir.read("fresh/x"), "x\n");
    assert_eq!(dir.read("dir"), "file\n");
    assert_eq!(dir.read("todir/in"), "in\n");
    assert!(!dir.path().join("delete").exists() && !dir.path().join("move-me").exists());
    let target = |name: &str| std::fs::read_link(dir.path().join(name)).expect("a link");
    assert_eq!(target("abs"), Path::new("/etc/passwd"));
    assert_eq!(target("link"), Path::new("change"));
    let mode = dir.path().join("mode").metadata().expect("stat").mode() & 0o777;
    assert_eq!(mode, 0o755);
    let left: Vec<String> = picture(dir.path())
        .into_iter()
        .filter(|n| n.contains(".sbx"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_overlay_vanishes() {
    if !marks_directories(CHANGES) {
        return;
    }
    let dir = tree();
    let before = picture(dir.path());
    let out = run(
        &dir,
        &["--workspace", "overlay"],
        &format!("{CHANGES}; cat change made dir"),
    );
    assert_eq!(out.ok(), "new\nmade\nfile");
    assert_eq!(picture(dir.path()), before);
}

#[test]
fn diff_lists_what_was_written() {
    if !marks_directories(CHANGES) {
        return;
    }
    let dir = tree();
    let before = picture(dir.path());
    let out = run(&dir, &["--workspace", "overlay", "--diff"], CHANGES);
    out.code(0);
    let said = out.stderr();
    let mut lines: Vec<&str> = said.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "C abs",
            "C change",
            "C dir",
            "C fresh/",
            "C fresh/x",
            "C link",
            "C made",
            "C mode",
            "C moved",
            "C todir/in",
            "D delete",
            "D move-me",
            "R todir/",
        ],
        "{said}"
    );
    assert_eq!(picture(dir.path()), before, "listed, not applied");
}

#[test]
fn nothing_written_is_nothing_listed() {
    let dir = tree();
    let out = run(
        &dir,
        &["--workspace", "overlay", "--diff"],
        "cat keep; ls -lR >/dev/null",
    );
    assert_eq!(out.ok(), "kept");
    assert_eq!(out.stderr(), "");
}

#[test]
fn apply_takes_all_of_it_over() {
    if !marks_directories(CHANGES) {
        return;
    }
    let dir = tree();
    run(&dir, &["--workspace", "overlay", "--apply"], CHANGES).code(0);
    check_changed(&dir);
}

#[test]
fn apply_takes_over_modes() {
    let dir = tree();
    let script = "chmod 755 mode; chmod 600 keep; chmod 700 dir; umask 077; echo x >private; mkdir pd";
    run(&dir, &["--workspace", "overlay", "--apply"], script).code(0);
    let mode = |name: &str| dir.path().join(name).metadata().expect("stat").mode() & 0o7777;
    assert_eq!(mode("mode"), 0o755);
    assert_eq!(mode("keep"), 0o600);
    assert_eq!(mode("dir"), 0o700);
    assert_eq!(mode("private"), 0o600);
    assert_eq!(mode("pd"), 0o700);
    assert_eq!(
        dir.read("dir/sub/b"),
        "b\n",
        "what was not touched is still there"
    );
}

#[test]
fn apply_drops_set_id_bits() {
    // Without the filter, which refuses to set the bits.
    let unfiltered = crate::escape::profile("no-seccomp-default");
    let script = "cp /bin/true s; chmod 6755 s; mkdir d; chmod 3777 d; stat -c %a s d";
    let run = |dir: &Dir, flags: &[&str]| {
        let sbx = Sbx::run(&unfiltered).args(flags);
        sbx.args(["host", "--", "sh", "-ec", script])
            .within(dir.path())
            .out()
    };
    let mode = |dir: &Dir, name: &str| dir.path().join(name).metadata().expect("stat").mode() & 0o7777;
    let dir = tree();
    // Inside they were there, and so they are in a directory that is written without an overlay.
    let out = run(&dir, &["--workspace", "overlay", "--apply"]);
    assert_eq!(out.ok(), "6755\n3777");
    assert_eq!(mode(&dir, "s"), 0o755);
    assert_eq!(mode(&dir, "d") & 0o6000, 0);
    let control = tree();
    run(&control, &["--workspace", "writable"]).code(0);
    assert_eq!((mode(&control, "s"), mode(&control, "d")), (0o6755, 0o3777));
}

#[test]
fn a_directory_that_is_renamed_arrives_whole() {
    if !marks_directories("mv dir other") {
        return;
    }
    let dir = tree();
    run(&dir, &["--workspace", "overlay", "--apply"], "mv dir other").code(0);
    assert!(!dir.path().join("dir").exists());
    assert_eq!(dir.read("other/a"), "a\n");
    assert_eq!(dir.read("other/sub/b"), "b\n");
}

#[test]
fn a_directory_made_anew_does_not_keep_what_was_in_it() {
    if !marks_directories("rm -r dir") {
        return;
    }
    let dir = tree();
    run(
        &dir,
        &["--workspace", "overlay", "--apply"],
        "rm -r dir; mkdir dir; echo n >dir/n",
    )
    .code(0);
    assert_eq!(
        picture(&dir.path().join("dir"))
            .iter()
            .map(|l| l.split(' ').next().unwrap_or_default())
            .collect::<Vec<_>>(),
        ["n"]
    );
}

#[test]
fn a_failed_command_applies_nothing() {
    let dir = tree();
    let before = picture(dir.path());
    for (script, code) in [("echo x >made; exit 3", 3), ("echo x >made; kill -9 $$", 137)] {
        run(&dir, &["--workspace", "overlay", "--apply"], script).code(code);
        assert_eq!(picture(dir.path()), before);
    }
    let out = run(
        &dir,
        &["--workspace", "overlay", "--apply", "--timeout", "300ms"],
        "echo x >made; sleep 100",
    );
    out.code(137);
    assert_eq!(picture(dir.path()), before);
}

#[test]
fn changes_are_in_the_record() {
    let dir = tree();
    let record = Dir::new();
    let file = record.path().join("r.json");
    let out = Sbx::run("default")
        .args(["--workspace", "overlay", "--result"])
        .args([&file])
        .args(["host", "--", "sh", "-c", "echo x >made; rm delete"])
        .within(dir.path())
        .out();
    out.code(0);
    let value: serde_json::Value = serde_json::from_str(&record.read("r.json")).expect("JSON");
    assert_eq!(value["changes"], serde_json::json!(["D delete", "C made"]));
}

/// Writes to `dir/a` in an overlay that is applied; on the host something is done to the directory while the command runs.
fn applied_after(dir: &Path, meanwhile: impl FnOnce()) -> Out {
    let (mut child, _home) = Sbx::run("default")
        .args(["--workspace", "overlay", "--apply", "host", "--", "sh", "-ec"])
        .args(["echo inside >dir/a; echo inside >made; echo ready; read x || true"])
        .within(dir)
        .spawn();
    let mut ready = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().expect("a pipe"), &mut ready).expect("ready");
    meanwhile();
    child.wait_with_output().expect("wait").into()
}

#[test]
fn apply_follows_no_link_out_of_the_working_directory() {
    // Where nothing is done meanwhile, both files arrive: what follows is not for want of an apply.
    let dir = tree();
    applied_after(dir.path(), || {}).code(0);
    assert_eq!(
        (dir.read("dir/a"), dir.read("made")),
        ("inside\n".into(), "inside\n".into())
    );

    // The directory on the host becomes a link while the command runs: what the sandbox wrote must not go where it leads.
    let (outside, dir) = (project(|_| {}), tree());
    let at = dir.path().join("dir");
    let swap = || {
        std::fs::rename(&at, dir.path().join("old")).expect("rename");
        std::os::unix::fs::symlink(outside.path(), &at).expect("symlink");
    };
    applied_after(dir.path(), swap).code(0);
    assert_eq!(dir.read("made"), "inside\n");
    assert_eq!(picture(outside.path()), [""; 0], "written outside");
    // The link gave way to the directory that the sandbox saw.
    assert!(at.symlink_metadata().expect("stat").is_dir());
    assert_eq!(
        (dir.read("dir/a"), dir.read("old/a")),
        ("inside\n".into(), "a\n".into())
    );
}

#[test]
fn names_that_are_not_printable_are_escaped_and_applied() {
    let dir = tree();
    let out = run(
        &dir,
        &["--workspace", "overlay", "--diff", "--apply"],
        "touch \"$(printf 'a\\033b')\" \"$(printf '\\377')\" 'c d'",
    );
    out.code(0);
    assert!(!out.stderr.contains(&0x1b), "{:?}", out.stderr());
    assert!(dir.path().join("a\u{1b}b").exists() && dir.path().join("c d").exists());
}

#[test]
fn sockets_and_fifos_are_listed_and_never_applied() {
    let dir = tree();
    let out = run(
        &dir,
        &["--workspace", "overlay", "--diff", "--apply"],
        "mkfifo pipe; echo x >made",
    );
    out.code(0).says("S pipe");
    assert!(!dir.path().join("pipe").exists());
    assert_eq!(dir.read("made"), "x\n");
}

#[test]
fn the_home_as_working_directory_is_not_handed_over() {
    let home = Dir::new();
    home.write(".secret", "x");
    let out = Sbx::sh("build", "ls -A; test ! -e .secret && echo hidden")
        .env("HOME", home.path())
        .within(home.path())
        .out();
    assert!(out.ok().ends_with("hidden"), "{}", out.stdout());
}

#[test]
fn a_place_of_the_whole_machine_is_no_workspace() {
    let there = Dir::new();
    let name = there.write("seen", "s").display().to_string();
    let script = format!("test ! -e {name} && echo x > /tmp/own && cat /tmp/own");
    let out = Sbx::new(["run", "--profile", "strict", "host", "--", "sh", "-c", &script])
        .within("/tmp".as_ref())
        .env("HOME", "/home/of-nobody")
        .out();
    out.says("all programs of this machine use it");
    assert_eq!(out.ok(), "x");
}

#[test]
fn flags_that_would_do_nothing_are_told() {
    let dir = project(|_| {});
    for flag in ["--apply", "--diff"] {
        run(&dir, &[flag, "--workspace", "read-only"], "true")
            .code(125)
            .says(flag)
            .says("--workspace overlay");
    }
}

#[test]
fn what_is_thrown_away_is_told() {
    let dir = project(|_| {});
    let said = |flags: &[&str]| {
        let sbx = Sbx::new(["run", "--profile", "default", "--workspace", "overlay"]).args(flags);
        let out = sbx.args(["host", "--", "true"]).within(dir.path()).out();
        out.code(0);
        out.stderr().contains("thrown away")
    };
    assert!(said(&[]));
    assert!(!said(&["--diff"]));
    assert!(!said(&["--quiet"]));
}

//! Applying what was written to an overlaid workspace: all of it or nothing, to the very directory that the overlay was made of.

use super::{applied_after, picture, run, tree};
use crate::util::{Dir, Out, Sbx, binary, hand_over, project, skip};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

const APPLY: [&str; 3] = ["--workspace", "overlay", "--apply"];

/// `sbx run … --apply host -- sh -ec SCRIPT` in a directory, started by a shell that does something first. `$SBX` is sbx.
fn after(dir: &Path, outside: &str, script: &str) -> Out {
    let home = Dir::new();
    let mut shell = Command::new("sh");
    let line = format!(
        "{outside}; exec $TRACE $SBX run --quiet --profile default --enforce groups=off --workspace overlay --apply host -- sh -ec \"$0\""
    );
    shell.args(["-ec", &line, script]).current_dir(dir).env_clear();
    shell.env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
    shell.env("HOME", home.path()).env("SBX", binary());
    shell.stdin(Stdio::null()).output().expect("sh starts").into()
}

fn mode(dir: &Dir, name: &str) -> u32 {
    dir.path().join(name).metadata().expect("stat").mode() & 0o7777
}

/// So that the directory can be removed with the test.
fn open_up(dir: &Dir) {
    let all = Command::new("chmod")
        .args(["-R", "u+rwX"])
        .arg(dir.path())
        .status();
    assert!(all.expect("chmod").success());
}

#[test]
fn read_only_directories_arrive_with_what_is_in_them() {
    let dir = tree();
    let script = "mkdir -p cache/mod/sub dark; echo a >cache/mod/a; echo b >cache/mod/sub/b; echo d >dark/d; \
        chmod 444 cache/mod/a cache/mod/sub/b; chmod 555 cache/mod/sub cache/mod cache; chmod 0 dark/d dark";
    run(&dir, &APPLY, script).code(0);
    for (name, expected) in [
        ("cache", 0o555),
        ("cache/mod", 0o555),
        ("cache/mod/a", 0o444),
        ("cache/mod/sub", 0o555),
        ("dark", 0),
    ] {
        assert_eq!(mode(&dir, name), expected, "{name}");
    }
    assert_eq!(
        (dir.read("cache/mod/a"), dir.read("cache/mod/sub/b")),
        ("a\n".into(), "b\n".into())
    );
    // Once more, into directories that are read-only on the host by now, and away with one.
    if super::marks_directories("rm -r dir") {
        hand_over(dir.path());
        let script =
            "chmod 755 cache/mod; echo c >cache/mod/c; chmod 555 cache/mod; chmod 755 dark; rm -rf dark";
        run(&dir, &APPLY, script).code(0);
        assert_eq!((mode(&dir, "cache/mod"), mode(&dir, "cache")), (0o555, 0o555));
        assert_eq!(
            (dir.read("cache/mod/a"), dir.read("cache/mod/c")),
            ("a\n".into(), "c\n".into())
        );
        assert!(!dir.path().join("dark").exists());
    }
    open_up(&dir);
}

#[test]
fn holes_of_a_file_stay_holes() {
    let dir = tree();
    let script = "truncate -s 900M big; printf end >>big; printf mid | dd of=big bs=1 seek=1M conv=notrunc 2>/dev/null; truncate -s 64M all";
    run(&dir, &APPLY, script).code(0);
    let big = dir.path().join("big").metadata().expect("stat");
    assert_eq!(big.len(), (900 << 20) + 3);
    let all = dir.path().join("all").metadata().expect("stat");
    assert_eq!(all.len(), 64 << 20);
    assert!(
        big.blocks() < 1 << 11 && all.blocks() < 1 << 7,
        "{} and {} blocks",
        big.blocks(),
        all.blocks()
    );
    let mut end = String::new();
    let mut file = std::fs::File::open(dir.path().join("big")).expect("open");
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(900 << 20)).expect("seek");
    std::io::Read::read_to_string(&mut file, &mut end).expect("read");
    assert_eq!(end, "end");
}

#[test]
fn taken_temporary_names_stop_nothing() {
    let dir = tree();
    let outside = "for n in 1 2 3; do echo mine >.sbx-apply-$$-$n; done; echo mine >.sbx-apply-$$";
    after(
        dir.path(),
        outside,
        "echo new >change; echo new >keep; ln -sf keep delete",
    )
    .code(0);
    assert_eq!(
        (dir.read("change"), dir.read("keep")),
        ("new\n".into(), "new\n".into())
    );
    let taken = picture(dir.path())
        .into_iter()
        .filter(|line| line.contains(".sbx"))
        .collect::<Vec<_>>();
    assert!(
        taken.len() == 4 && taken.iter().all(|line| line.ends_with("mine")),
        "{taken:?}"
    );
}

#[test]
fn new_files_lose_what_the_callers_umask_takes() {
    let dir = tree();
    std::fs::set_permissions(dir.path().join("keep"), PermissionsExt::from_mode(0o664)).expect("chmod");
    std::fs::set_permissions(dir.path().join("dir"), PermissionsExt::from_mode(0o2775)).expect("chmod");
    let script = "echo x >new; mkdir nd; echo x >nd/f; echo x >>keep; echo x >dir/new; echo x >>change; chmod 755 mode";
    after(dir.path(), "umask 077", script).code(0);
    for (name, expected) in [
        ("new", 0o600),
        ("nd", 0o700),
        ("nd/f", 0o600),
        ("dir/new", 0o600),
        // What was there keeps its mode, unless the command has changed that.
        ("keep", 0o664),
        ("dir", 0o2775),
        ("mode", 0o755),
    ] {
        assert_eq!(mode(&dir, name), expected, "{name}");
    }
    // The control.
    let dir = tree();
    after(dir.path(), "umask 022", script).code(0);
    assert_eq!(
        (mode(&dir, "new"), mode(&dir, "nd"), mode(&dir, "nd/f")),
        (0o644, 0o755, 0o644)
    );
}

#[test]
fn many_files_are_applied_with_few_descriptors() {
    let script = "mkdir d; for n in $(seq 100); do echo $n >d/$n; done; echo new >change";
    let dir = tree();
    after(dir.path(), "ulimit -n 90", script).code(0);
    assert_eq!(
        (dir.read("d/1"), dir.read("d/100"), dir.read("change")),
        ("1\n".into(), "100\n".into(), "new\n".into())
    );
    assert_eq!(
        std::fs::read_dir(dir.path().join("d")).expect("read").count(),
        100
    );
    assert!(picture(dir.path()).iter().all(|line| !line.contains(".sbx")));
}

#[test]
fn what_cannot_be_written_stops_it_before_anything_is_changed() {
    let dir = tree();
    let before = picture(dir.path());
    let script = "ulimit -S -f unlimited; rm delete; mkdir aaa; echo x >aaa/x; head -c 100000 /dev/zero >zzz";
    for descriptors in ["ulimit -n 1000", "ulimit -n 66"] {
        let out = after(dir.path(), &format!("{descriptors}; ulimit -S -f 8"), script);
        out.code(125)
            .says("zzz")
            .says("nothing was applied")
            .says("ulimit -f");
        assert_eq!(picture(dir.path()), before, "{descriptors}");
    }
    // The control: within the limit all of it arrives.
    after(dir.path(), "ulimit -S -f 1000", script).code(0);
    assert!(dir.path().join("zzz").exists() && !dir.path().join("delete").exists());
}

#[test]
fn full_disk_stops_it_before_anything_is_changed() {
    let dir = project(|dir| {
        std::fs::create_dir(dir.path().join("small")).expect("mkdir");
    });
    // Mounted where an ordinary user may: in a user namespace, in which the user is itself again.
    let enter = "mount -t tmpfs -o size=1m,mode=777 tmpfs small; echo old >small/old; chmod 666 small/old; cd small; export TRACE";
    let line = |script: &str| {
        let inner = format!(
            "{enter}; unshare --map-user=4242 --map-group=4242 -- sh -c '$SBX run --quiet --profile default --enforce groups=off --workspace overlay --apply host -- sh -ec \"$0\"' \"$0\" && code=0 || code=$?; echo code $code; ls; cat old"
        );
        let home = Dir::new();
        let mut shell = Command::new("unshare");
        shell
            .args(["-rm", "sh", "-ec", &inner, script])
            .current_dir(dir.path());
        shell.env("HOME", home.path()).env("SBX", binary());
        Out::from(shell.stdin(Stdio::null()).output().expect("unshare starts"))
    };
    let out = line("echo new >old; echo a >a; head -c 2M /dev/zero >b");
    assert_eq!(out.ok(), "code 125\nold\nold", "{}", out.stderr());
    out.says("No space left").says("nothing was applied");
    // The control: a hole takes no space, and what fits is applied.
    assert_eq!(
        line("echo new >old; echo a >a; truncate -s 2M b").ok(),
        "code 0\na\nb\nold\nnew"
    );
}

#[test]
fn a_stop_in_the_middle_tells_what_was_applied() {
    if !Path::new("/usr/bin/strace").exists() {
        return skip("strace", "no strace to make calls fail with");
    }
    let dir = tree();
    let trace = "TRACE='strace -qq -o /dev/null --trace=linkat --inject=linkat:error=EIO:when=2'";
    let out = after(
        dir.path(),
        trace,
        "echo 1 >aaa; echo 2 >bbb; echo 3 >ccc; mkdir abc; chmod 500 abc",
    );
    out.code(125)
        .says("bbb")
        .says("applied: C aaa")
        .says("applied: C abc/")
        .says("2 of 4 changes were applied");
    assert_eq!((dir.read("aaa"), mode(&dir, "abc")), ("1\n".into(), 0o500));
    assert!(!dir.path().join("bbb").exists() && !dir.path().join("ccc").exists());
    assert!(picture(dir.path()).iter().all(|line| !line.contains(".sbx")));
}

#[test]
fn changes_go_to_the_directory_that_the_overlay_was_made_of() {
    // The working directory itself gives way to a link while the command runs.
    for what in ["link", "directory"] {
        let (above, outside) = (
            project(|dir| {
                dir.write("work/dir/a", "a\n");
                dir.write("work/keep", "kept\n");
            }),
            project(|_| {}),
        );
        let work = above.path().join("work");
        let out = applied_after(&work, || {
            std::fs::rename(&work, above.path().join("moved")).expect("rename");
            match what {
                "link" => symlink(outside.path(), &work).expect("a link"),
                _ => std::fs::create_dir(&work).expect("mkdir"),
            }
        });
        out.code(0);
        assert_eq!(picture(outside.path()), [""; 0], "written outside");
        assert_eq!(
            (above.read("moved/made"), above.read("moved/dir/a")),
            ("inside\n".into(), "inside\n".into())
        );
        // The control: by its name it is another directory now.
        assert!(!work.join("made").exists());
    }
}

#[test]
fn a_working_directory_that_is_replaced_at_the_start_is_refused_or_the_same() {
    // However the exchange falls, what is read and what is written is one directory.
    let above = project(|dir| {
        dir.write("one/name", "one");
        dir.write("two/name", "two");
    });
    let at = above.path().join("one");
    for _ in 0..4 {
        let run = Sbx::run("default")
            .args(APPLY)
            .args(["host", "--", "sh", "-c", "cp name copy"]);
        let (mut child, _home) = run.within(&at).spawn();
        let exchange = |a: &str, b: &str| {
            let (a, b, c) = (above.path().join(a), above.path().join(b), above.path().join("c"));
            std::fs::rename(&a, &c)
                .and_then(|()| std::fs::rename(&b, &a))
                .and_then(|()| std::fs::rename(&c, &b))
                .expect("rename");
        };
        exchange("one", "two");
        let code = child.wait().expect("wait").code();
        assert!(matches!(code, Some(0 | 125)), "{code:?}");
        for name in ["one", "two"] {
            let copy = above.path().join(name).join("copy");
            if copy.exists() {
                assert_eq!(
                    above.read(&format!("{name}/name")),
                    above.read(&format!("{name}/copy"))
                );
                std::fs::remove_file(copy).expect("removed");
            }
        }
    }
}

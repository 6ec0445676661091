//! What refuses a run for a reason that its user can mend says the reason and the mend.

use crate::util::{Dir, Out, Sbx, binary, project};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

fn run(flags: &[&str]) -> Out {
    Sbx::run("default").args(flags).args(["host", "--", "true"]).out()
}

#[test]
fn a_path_with_a_colon_is_mounted_in_words() {
    let dir = Dir::new();
    dir.write("a:b/file", "seen");
    let source = dir.path().join("a:b").display().to_string();
    for volume in [
        format!("{source}:/x"),
        format!("{source}:/x:ro"),
        format!("{source}:{source}"),
    ] {
        run(&["-v", &volume])
            .code(125)
            .says("--mount type=bind,source=SRC");
    }
    let mount = format!("type=bind,source={source},target=/x,readonly");
    let out = Sbx::run("default")
        .args(["--mount", &mount, "host", "--", "cat", "/x/file"])
        .out();
    assert_eq!(out.ok(), "seen");
}

#[test]
fn a_target_in_a_directory_of_the_host_is_there_and_no_link() {
    let (dir, shown) = (Dir::new(), Dir::new());
    shown.write("real/file", "x");
    symlink("real", shown.path().join("link")).expect("a link");
    let above = format!("{}:/shown:ro", shown.path().display());
    let volume = |target: &str| format!("{}:/shown/{target}", dir.path().display());
    run(&["-v", &above, "-v", &volume("none")])
        .code(125)
        .says("make it on the host, or choose another target");
    run(&["-v", &above, "--tmpfs", "/shown/none"])
        .code(125)
        .says("make it on the host");
    run(&["-v", &above, "--tmpfs", "/shown/link"])
        .code(125)
        .says("write the path that it leads to");
    run(&["-v", &above, "-v", &volume("real/file")])
        .code(125)
        .says("a directory is mounted on a directory");
    run(&["-v", &above, "-v", &volume("real"), "--tmpfs", "/shown/link/../x"]).code(125);
    run(&["-v", &above, "-v", &volume("real")]).code(0);
}

#[test]
fn a_home_that_is_no_directory_is_named() {
    let dir = Dir::new();
    let file = dir.write("file", "x");
    for words in [
        &["pull", "localhost:1/x"][..],
        &["run", "localhost:1/x", "true"],
        &["volume", "create", "x"],
    ] {
        let out = Sbx::new(words).env("HOME", &file).out();
        out.code(125)
            .says("is not a directory: set it to yours, or set XDG_DATA_HOME=DIR");
    }
}

#[test]
fn a_store_whose_path_is_no_text_is_refused_with_the_mend() {
    let dir = project(|_| {});
    let home = dir.path().join(OsStr::from_bytes(b"h\xff"));
    std::fs::create_dir(&home).expect("mkdir");
    let out = Sbx::new(["pull", "localhost:1/x"]).env("HOME", &home).out();
    out.code(125)
        .says("h\\xff")
        .says("not UTF-8")
        .says("XDG_DATA_HOME=DIR");
}

/// sbx under a limit of the shell's.
fn limited(limit: &str, words: &str) -> Out {
    let (home, work) = (Dir::new(), Dir::open());
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{limit}; exec {} {words}", binary().display())]);
    shell
        .env("HOME", home.path())
        .current_dir(work.path())
        .stdin(Stdio::null());
    Out::from(shell.output().expect("sh starts"))
}

#[test]
fn limits_of_the_caller_are_named() {
    for files in [6, 8, 12, 20, 30] {
        let out = limited(&format!("ulimit -n {files}"), "run host -- true");
        if out.code != Some(0) {
            out.code(125).says("ulimit -n");
        }
    }
    limited("ulimit -n 6", "run host -- true").code(125);
    limited("ulimit -n 200", "run host -- true").code(0);
    limited("ulimit -f 0", "run --result r.json host -- true")
        .code(125)
        .says("ulimit -f");
    limited("ulimit -f 100", "run --result r.json host -- true").code(0);
}

#[test]
fn a_mount_below_the_working_directory_is_named_where_overlay_is_refused() {
    let dir = project(|dir| std::fs::create_dir_all(dir.path().join("sub/mounted")).expect("mkdir"));
    let run = |mount: &str| {
        let home = Dir::new();
        let inner = format!(
            "{mount}; exec unshare --map-user=4242 --map-group=4242 -- {} run --quiet --enforce groups=off --workspace overlay --diff host -- true",
            binary().display()
        );
        let mut shell = Command::new("unshare");
        shell
            .args(["-rm", "sh", "-ec", &inner])
            .current_dir(dir.path())
            .env("HOME", home.path());
        Out::from(shell.stdin(Stdio::null()).output().expect("unshare starts"))
    };
    run("mount -t tmpfs tmpfs sub/mounted")
        .code(125)
        .says("sub/mounted is mounted below it")
        .says("--workspace writable");
    run("true").code(0);
}

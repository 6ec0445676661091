//! Files that sbx itself opens by a path of the caller's, in a directory where a sandbox has planted links.

use crate::util::{Dir, Out, Sbx, project};
use std::os::unix::fs::symlink;
use std::path::Path;

/// A directory in which a sandbox has really made links, each to the same name in a directory outside.
fn planted(names: &[&str], outside: &Dir) -> Dir {
    let work = project(|_| {});
    let outside = outside.path().display();
    let links = names
        .iter()
        .map(|name| format!("ln -s {outside}/{name} {name}; "));
    let script = format!("{}true", links.collect::<String>());
    let run = Sbx::run("build").args(["host", "--", "sh", "-ec", &script]);
    run.within(work.path()).out().code(0);
    for name in names {
        assert!(work.path().join(name).is_symlink(), "{name}");
    }
    work
}

fn at(work: &Path, words: &[&str]) -> Out {
    let home = Dir::new();
    let file = home.path().join("home");
    Sbx::new(words).within(work).env("HOME", file).out()
}

const STRICT: [&str; 3] = ["run", "--profile", "strict"];
const TRUE: [&str; 3] = ["host", "--", "true"];

#[test]
fn a_record_is_not_written_through_a_planted_link() {
    let outside = Dir::new();
    let bait = outside.write("result.json", "precious\n");
    outside.write("sub/r.json", "precious\n");
    let work = planted(&["result.json", "sub", "new.json"], &outside);
    let absolute = work.path().join("result.json").display().to_string();
    let around = format!(
        "../{}/result.json",
        work.path().file_name().expect("a name").display()
    );
    for target in [
        "result.json",
        "./result.json",
        "sub/r.json",
        "sub/other.json",
        "new.json",
        &absolute,
        &around,
    ] {
        let out = at(work.path(), &[&STRICT[..], &["--result", target], &TRUE].concat());
        out.code(125)
            .says("--result")
            .says("link that a sandbox may have put there");
        assert_eq!(
            (outside.read("result.json"), outside.read("sub/r.json")),
            ("precious\n".into(), "precious\n".into())
        );
    }
    assert!(!outside.path().join("new.json").exists() && !outside.path().join("sub/other.json").exists());
    // By its own name it is what the caller means, and so is a link elsewhere.
    let elsewhere = Dir::new();
    symlink(&bait, elsewhere.path().join("link")).expect("a link");
    for target in [
        bait,
        elsewhere.path().join("link"),
        elsewhere.path().join("plain"),
    ] {
        let target = target.display().to_string();
        at(
            work.path(),
            &[&STRICT[..], &["--result", &target], &TRUE].concat(),
        )
        .code(0);
        assert!(
            std::fs::read_to_string(target)
                .expect("a record")
                .contains("\"exited\"")
        );
    }
    at(
        work.path(),
        &[&STRICT[..], &["--result", "plain.json"], &TRUE].concat(),
    )
    .code(0);
    assert!(work.read("plain.json").contains("\"exited\""));
}

#[test]
fn a_record_is_not_written_through_a_link_in_what_a_flag_shows() {
    let (work, outside) = (Dir::new(), Dir::new());
    outside.write("r.json", "precious\n");
    let data = planted(&["r.json"], &outside);
    let (shown, target) = (
        format!("{}:/data", data.path().display()),
        data.path().join("r.json"),
    );
    let target = target.display().to_string();
    let run = |flags: &[&str]| {
        at(
            work.path(),
            &[&STRICT[..], flags, &["--result", &target], &TRUE].concat(),
        )
    };
    run(&["-v", &shown])
        .code(125)
        .says("link that a sandbox may have put there");
    assert_eq!(outside.read("r.json"), "precious\n");
    // The control: where nothing is shown of it, it is a directory like any other.
    run(&[]).code(0);
    assert!(outside.read("r.json").contains("exited"));
}

#[test]
fn a_planted_fifo_does_not_hold_a_run_up() {
    let work = project(|_| {});
    let run = Sbx::run("build").args(["host", "--", "mkfifo", "r.json"]);
    run.within(work.path()).out().code(0);
    at(
        work.path(),
        &[&STRICT[..], &["--result", "r.json"], &TRUE].concat(),
    )
    .code(125)
    .says("--result r.json");
    for flag in ["--env-file", "--profile"] {
        let run = [&STRICT[..], &[flag, "./r.json"], &TRUE].concat();
        at(work.path(), &run).code(125).says("not a regular file");
    }
}

#[test]
fn what_is_read_is_not_read_through_a_planted_link() {
    let outside = Dir::new();
    outside.write("env", "SECRET=told\n");
    outside.write("seccomp.json", "{\"defaultAction\":\"SCMP_ACT_ALLOW\"}");
    outside.write("loose.toml", "extends = \"default\"\n");
    outside.write(".sbx.toml", "[limits]\npids = 7\n");
    outside.write("root/secret", "top secret\n");
    let names = ["env", "seccomp.json", "loose.toml", "root"];
    let work = planted(&names, &outside);
    let refused = |flags: &[&str]| {
        let out = at(work.path(), &[&["run"], flags].concat());
        out.code(125).says("link that a sandbox may have put there");
    };
    refused(&[&["--env-file", "env"][..], &TRUE].concat());
    refused(&[&["--security-opt", "seccomp=seccomp.json"][..], &TRUE].concat());
    refused(&[&["--profile", "./loose.toml"][..], &TRUE].concat());
    refused(&["./root", "--", "cat", "/secret"]);
    for words in [
        &["import", "root", "name:1"][..],
        &["load", "-i", "env"],
        &["run", "oci:root", "true"],
    ] {
        at(work.path(), words).says("link that a sandbox may have put there");
    }
    let local = planted(&[".sbx.toml"], &outside);
    at(local.path(), &[&["run"][..], &TRUE].concat())
        .code(125)
        .says("link that a sandbox may have put there");
    // The control: the same from a directory in which nobody could plant a link.
    let other = Dir::new();
    let path = |name: &str| work.path().join(name).display().to_string();
    let env = path("env");
    let told = at(
        other.path(),
        &[
            "run",
            "--env-file",
            &env,
            "host",
            "--",
            "sh",
            "-c",
            "echo $SECRET",
        ],
    );
    assert_eq!(told.ok(), "told");
    let (seccomp, loose) = (format!("seccomp={}", path("seccomp.json")), path("loose.toml"));
    at(
        other.path(),
        &[
            &["run", "--security-opt", &seccomp, "--profile", &loose][..],
            &TRUE,
        ]
        .concat(),
    )
    .code(0);
    // A link that stays inside is followed.
    std::fs::write(work.path().join("own"), "SECRET=own\n").expect("write");
    symlink("own", work.path().join("inner")).expect("a link");
    let own = at(
        work.path(),
        &[
            "run",
            "--env-file",
            "inner",
            "host",
            "--",
            "sh",
            "-c",
            "echo $SECRET",
        ],
    );
    assert_eq!(own.ok(), "own");
}

#[test]
fn manual_pages_are_not_written_through_a_planted_link() {
    let outside = Dir::new();
    outside.write("sbx-run.1", "precious\n");
    let work = planted(&["sbx-run.1"], &outside);
    at(work.path(), &["man", "--out", "."])
        .code(125)
        .says("link that a sandbox may have put there");
    assert_eq!(outside.read("sbx-run.1"), "precious\n");
    let other = Dir::new();
    at(
        other.path(),
        &["man", "--out", &other.path().display().to_string()],
    )
    .code(0);
    assert!(other.read("sbx-run.1").contains(".TH"));
    // By a link elsewhere they are, if the caller says so.
    symlink(other.path(), outside.path().join("pages")).expect("a link");
    let pages = outside.path().join("pages").display().to_string();
    at(work.path(), &["man", "--out", &pages]).code(0);
}

#[test]
fn links_of_a_home_are_the_callers_own() {
    let (home, elsewhere) = (Dir::new(), Dir::new());
    symlink(elsewhere.path(), home.path().join("results")).expect("a link");
    let run = |at: &str, of: &Path| {
        let run = Sbx::new([
            "run",
            "--quiet",
            "--result",
            "results/r.json",
            "host",
            "--",
            "true",
        ]);
        run.within(&home.path().join(at)).env("HOME", of).out()
    };
    run("", home.path()).code(0);
    assert!(elsewhere.read("r.json").contains("exited"));
    // The control: as the home of somebody else it is a working directory like any other.
    run("", elsewhere.path()).code(125);
}

//! What README says: its first line, its exit codes, and that what it shows works when it is pasted.

use crate::util::{Dir, Sbx, binary, hand_over, is_root, skip};
use std::path::Path;
use std::process::Command;

const README: &str = include_str!("../../README.md");

/// The lines of a shell that README shows, without their indentation.
fn lines() -> Vec<&'static str> {
    let shown = README.lines().filter_map(|line| line.strip_prefix("    "));
    let ours = shown.filter(|line| line.starts_with("sbx ") || line.starts_with("mkdir "));
    // There is nobody to ask for packages where these tests run.
    ours.filter(|line| !line.contains("npm install")).collect()
}

/// The profile that README shows.
fn profile() -> String {
    let from = README.find("    description = ").expect("a profile in README");
    let shown = README[from..]
        .lines()
        .take_while(|l| l.is_empty() || l.starts_with("    "));
    shown.map(|line| format!("{}\n", line.trim_start())).collect()
}

/// A shell at a prompt of a directory, with this sbx on its `PATH`.
fn paste(line: &str, programs: &Path, home: &Path, at: &Path) -> Command {
    let mut shell = Command::new("sh");
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display());
    shell.args(["-c", line]).env_clear().env("PATH", path);
    shell.env("HOME", home).current_dir(at);
    shell
}

#[test]
fn every_built_in_profile_runs_a_command_of_the_host() {
    for profile in ["strict", "default", "build"] {
        assert_eq!(Sbx::sh(profile, "echo in; echo $$").out().ok(), "in\n2");
    }
}

#[test]
fn exit_codes_are_the_commands() {
    Sbx::sh("strict", "exit 7").out().code(7);
    Sbx::sh("strict", "kill -9 $$").out().code(137);
    Sbx::run("strict")
        .args(["host", "--", "no-such-command"])
        .out()
        .code(127)
        .says("no-such-command: not found");
    Sbx::run("strict").args(["host", "--", "/etc"]).out().code(126);
}

#[test]
fn the_examples_of_the_readme_work() {
    if !Path::new("/usr/bin/make").exists() {
        return skip("make", "no make");
    }
    let (programs, home, work) = (Dir::new(), Dir::new(), Dir::new());
    std::os::unix::fs::symlink(binary(), programs.path().join("sbx")).expect("a link");
    work.script(
        "downloaded-tool",
        "#!/bin/sh\necho ran; ! touch here 2>/dev/null\n",
    );
    work.write("Makefile", "built:\n\techo built > built\n");
    hand_over(work.path());
    let all = lines();
    assert!(all.len() >= 9, "{all:?}");
    for line in &all {
        let out = paste(line, programs.path(), home.path(), work.path())
            .output()
            .expect("a shell");
        // `why` says no with 1.
        let expected = if line.starts_with("sbx why") { 1 } else { 0 };
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(expected), "{line}\n{said}");
        if line.contains("--diff") {
            assert!(said.contains("C today"), "{line}\n{said}");
            assert_eq!(
                work.path().join("today").exists(),
                line.contains("--apply"),
                "{line}"
            );
        }
    }
    assert!(!work.path().join("here").exists());
    assert_eq!(work.read("built"), "built\n");
    assert!(work.read("result.json").contains("\"reason\":\"exited\""));
}

#[test]
fn the_profile_of_the_readme_has_no_fault() {
    let dir = Dir::new();
    let path = dir.write("ci.toml", profile());
    Sbx::new(["profile", "check"]).args([&path]).out().ok();
    let out = Sbx::new(["profile", "show", "--resolved", "--origin"])
        .args([&path])
        .out()
        .ok();
    assert!(out.contains("time = \"10m\""), "{out}");
}

#[test]
fn manual_pages_are_written_into_a_directory_that_is_made() {
    let dir = Dir::new();
    let pages = dir.path().join("share/man1");
    Sbx::new(["man", "--out"]).args([&pages]).out().ok();
    for page in [
        "sbx",
        "sbx-run",
        "sbx-plan",
        "sbx-why",
        "sbx-profile",
        "sbx-profile-show",
        "sbx-doctor",
    ] {
        assert!(
            dir.read(&format!("share/man1/{page}.1")).contains(".TH"),
            "{page}"
        );
    }
    dir.write("file", "");
    let out = Sbx::new(["man", "--out"]).args([dir.path().join("file/x")]).out();
    out.code(125).says("file/x: ");
}

#[test]
fn the_numbers_of_the_readme_are_those_of_the_plans() {
    for name in ["strict", "default", "build"] {
        let start = format!("| `{name}` |");
        let row = README
            .lines()
            .find(|line| line.starts_with(&start))
            .expect("a row in README");
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let plan = Sbx::new(["plan", "--profile", name, "host", "--", "true"])
            .out()
            .ok();
        // Our init is one more.
        let processes = cells[6].parse::<u64>().expect("a number") + 1;
        assert!(plan.contains(&format!("nproc {processes},")), "{row}\n{plan}");
        // `build` is told by its difference.
        if let Some(calls) = cells[7].strip_suffix(" allowed") {
            // The caller's own files cannot get set-id bits where root runs sbx, so openat2 stays open there.
            let calls = calls.parse::<u32>().expect("a number") + u32::from(is_root());
            assert!(
                plan.contains(&format!("\nseccomp     {calls} of ")),
                "{row}\n{plan}"
            );
        }
    }
}

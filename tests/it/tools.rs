//! Tools that people use, under each built-in profile. The table of the README is made from the rows of [`table`].

mod table;

use crate::programs::{has, toolchain};
use crate::util::{Sbx, is_root, project, skip};
use std::ffi::OsString;
use table::{TOOLS, Tool};

const README: &str = include_str!("../../README.md");

/// Runs a tool under all three profiles and compares what it prints.
#[track_caller]
fn check(name: &str) {
    let tool = TOOLS
        .iter()
        .find(|tool| tool.name == name)
        .expect("a row of the table");
    if tool.heavy && is_root() {
        return skip("user", "the ordinary user's run has it");
    }
    if !tool.needs.iter().all(|program| has(program)) {
        return;
    }
    let mut flags: Vec<OsString> = Vec::new();
    if tool.toolchain {
        let Some(mut bind) = toolchain().map(OsString::from) else {
            return skip("cargo", "no Rust toolchain that this user may read");
        };
        bind.push(":/toolchain:ro");
        flags.extend(["-v".into(), bind]);
    }
    for (profile, (_, expected)) in ["strict", "default", "build"].into_iter().zip(tool.cells()) {
        let dir = project(|_| {});
        let script = format!("mkdir /tmp/w && cd /tmp/w && export HOME=/tmp/w\n{}", tool.script);
        let run =
            Sbx::run(profile)
                .args(&flags)
                .args(["--timeout", "60s", "host", "--", "sh", "-c", &script]);
        let out = run.within(dir.path()).out();
        let (said, told) = (out.stdout(), out.stderr());
        assert_eq!(
            said.trim_end(),
            expected,
            "{name} under {profile}: {:?}\n{told}",
            out.code
        );
    }
}

macro_rules! tools {
    ($($test:ident $name:literal)*) => {
        $(#[test]
        fn $test() {
            check($name);
        })*
        const TESTED: &[&str] = &[$($name),*];
    };
}

tools! {
    gcc "gcc"
    make "make"
    cmake "cmake"
    cargo "cargo"
    go "go"
    java "java, javac"
    maven "mvn"
    npm_builds_a_native_addon "npm, node-gyp"
    pip_builds_a_c_extension "pip"
    pytest_xdist "pytest-xdist"
    git_with_worktrees_and_submodules "git"
    ssh_keygen "ssh-keygen"
    gpg "gpg"
    tmux "tmux"
    vim "vim"
    sqlite "sqlite3"
    postgres "postgres"
    redis "redis"
    nginx "nginx"
    chromium "chromium"
    gdb "gdb"
    strace "strace"
    valgrind "valgrind"
    bubblewrap "bwrap"
    procps "ps, top, free, uptime"
}

/// A row as the README has it.
fn row(tool: &Tool) -> String {
    let [strict, default, build] = tool.cells().map(|(words, _)| words);
    format!("| {}{} | {strict} | {default} | {build} |", tool.name, tool.about)
}

#[test]
fn the_table_of_the_readme_is_what_the_tests_run() {
    let names: Vec<&str> = TOOLS.iter().map(|tool| tool.name).collect();
    assert_eq!(names, TESTED, "each row has a test");
    let head = "| tool | strict | default | build |\n|---|---|---|---|\n";
    let from = README.find(head).expect("the table in the README") + head.len();
    let shown: Vec<&str> = README[from..]
        .lines()
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert_eq!(shown, TOOLS.iter().map(row).collect::<Vec<_>>());
}

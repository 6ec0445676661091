//! A workspace that is overlaid: what is written is seen inside, and outside only when that is asked for.

use crate::util::{Dir, Sbx};
use std::os::unix::fs::PermissionsExt;

/// A working directory that whoever the sandbox runs as may write.
fn workspace() -> Dir {
    let dir = Dir::new();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).expect("chmod");
    dir
}

fn overlaid(dir: &Dir, script: &str) -> Sbx {
    Sbx::run("default")
        .within(dir.path())
        .args(["--workspace", "overlay", "host", "--", "sh", "-c", script])
}

#[test]
fn the_exit_code_is_the_commands_when_nobody_asks_for_changes() {
    overlaid(&workspace(), "exit 3").out().code(3);
}

#[test]
fn what_was_written_is_gone_when_nobody_asks_for_it() {
    let dir = workspace();
    assert_eq!(overlaid(&dir, "echo x > new; cat new").out().ok(), "x");
    assert_eq!(std::fs::read_dir(dir.path()).expect("read").count(), 0);
}

#[test]
fn the_command_may_write_where_the_directory_lets_everyone() {
    assert_eq!(overlaid(&workspace(), "echo x > new; cat new").out().ok(), "x");
}

#[test]
fn what_was_written_stands_in_the_record() {
    let (dir, results) = (workspace(), Dir::new());
    let file = results.path().join("r.json");
    Sbx::run("default")
        .within(dir.path())
        .args(["--workspace", "overlay", "--result"])
        .args([&file])
        .args(["host", "--", "sh", "-c", "echo x > new"])
        .out()
        .ok();
    let record: serde_json::Value = serde_json::from_str(&results.read("r.json")).expect("JSON");
    assert!(record["changes"].to_string().contains("new"), "{record}");
}

//! `filesystem.masked`: a mask holds, or the run stops.

use super::{finish, under};
use crate::util::{Dir, Out, Sbx, is_root, range, skip};
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::{Command, Stdio};

/// Inside uid that owns the directories; the command runs as another.
const OWNER: u32 = 5;

/// Runs a shell as [`OWNER`] of the range, with `directory` as `/p`. No profile can do that without sub-ids.
fn as_owner(directory: &Path, script: &str) {
    let bind = format!("{}:/p:rw", directory.display());
    let user = OWNER.to_string();
    let flags = ["--map", "range", "--user", &user, "-v", &bind];
    Sbx::run("default")
        .args(flags)
        .args(["host", "--", "sh", "-c", script])
        .out()
        .code(0);
}

/// Two directories of another owner, with a group of the caller: its members cannot search `closed`, everybody else can. Five digits
/// also clear the set-group-ID bit that mkdir(1) inherits; to keep it is refused.
fn directories(parent: &Path) {
    as_owner(
        parent,
        "mkdir /p/closed /p/open && echo content | tee /p/closed/key >/p/open/key && chmod 00701 /p/closed && chmod 00711 /p/open",
    );
}

/// `cat` of a file that a profile masks, as a member of `group`; set-up still has that group, the command has not.
fn reads(directory: &Path, group: u32, (file, masked): (&str, bool)) -> Out {
    let own = Dir::new();
    let mask = if masked {
        format!("\"/p/{file}\"")
    } else {
        String::new()
    };
    let page = format!("extends = \"strict\"\n[filesystem]\nmasked = [{mask}]\n");
    let page = own.write("page.toml", page).display().to_string();
    let bind = format!("{}:/p", directory.display());
    let (sbx, _home) = under(&page)
        .args(["-v", &bind, "host", "--", "cat", &format!("/p/{file}")])
        .into_command();
    if !is_root() {
        let mut sbx = sbx;
        return finish(sbx.stdin(Stdio::null()));
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--groups", &group.to_string()])
        .arg(sbx.get_program())
        .args(sbx.get_args());
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::null());
    finish(&mut command)
}

#[test]
fn mask_that_set_up_cannot_reach_stops_the_run() {
    if !range() {
        return;
    }
    let own = nix::unistd::getegid();
    let groups = nix::unistd::getgroups().expect("groups");
    let other = groups
        .iter()
        .find(|group| **group != own)
        .map(|group| group.as_raw());
    let Some(group) = other.or(is_root().then_some(100)) else {
        return skip("groups", "the caller has no supplementary group");
    };
    let parent = Dir::open();
    chown(parent.path(), None, Some(group)).expect("chown");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o2777);
    std::fs::set_permissions(parent.path(), mode).expect("chmod");
    directories(parent.path());
    for file in ["closed/key", "open/key"] {
        assert_eq!(
            reads(parent.path(), group, (file, false)).ok(),
            "content",
            "{file}"
        );
    }
    assert_eq!(
        reads(parent.path(), group, ("open/key", true)).ok(),
        "",
        "the mask holds"
    );
    let refused = reads(parent.path(), group, ("closed/key", true));
    refused
        .code(125)
        .says("/p/closed/key")
        .says("EACCES")
        .says("mask that directory");
    assert_eq!(refused.stdout(), "");
    as_owner(parent.path(), "rm -r /p/closed /p/open");
}

//! Who the command is: `--user` by name, in a root that brings its own `/etc/passwd`; root as the caller; a caller whose helpers get no rights.

use crate::util::{Dir, Out, Sbx, is_root, skip};
use std::process::{Command, Stdio};

/// A directory root of one static program.
fn root() -> Option<Dir> {
    if !std::path::Path::new("/bin/busybox").exists() {
        return None;
    }
    let root = Dir::new();
    for name in ["proc", "dev", "tmp", "etc", "bin"] {
        std::fs::create_dir(root.path().join(name)).expect("mkdir");
    }
    root.program("bin/busybox", "/bin/busybox");
    root.write("etc/passwd", "root:x:0:0::/:/bin/sh\nwww:x:33:34::/:/bin/sh\n");
    root.write("etc/group", "www:x:34:\nstaff:x:50:\n");
    Some(root)
}

fn ids(root: &Dir, user: &str) -> Out {
    Sbx::run("default")
        .args(["--user", user])
        .args([root.path()])
        .args(["--", "/bin/busybox", "sh", "-c", "busybox id -u; busybox id -g"])
        .out()
}

#[test]
fn names_are_those_of_the_root_and_not_of_the_host() {
    let Some(root) = root() else {
        return skip("busybox", "no static /bin/busybox (package busybox-static)");
    };
    for (user, expected) in [("www", "33\n34"), ("www:staff", "33\n50"), ("www:7", "33\n7")] {
        assert_eq!(ids(&root, user).ok(), expected, "{user}");
    }
    ids(&root, "daemon")
        .code(125)
        .says("`daemon`")
        .says("/etc/passwd has no");
    ids(&root, "www:adm").code(125).says("/etc/group has no `adm`");
}

#[test]
fn the_hosts_root_knows_the_names_that_are_written_for_it() {
    let ids = |user: &str| {
        Sbx::run("default")
            .args(["--user", user, "host", "--", "sh", "-c", "id -u; id -g; id -un"])
            .out()
    };
    assert_eq!(ids("nobody").ok(), "65534\n65534\nnobody");
    assert_eq!(ids("root:nogroup").ok(), "0\n65534\nroot");
    assert_eq!(ids("7:tty").ok().lines().take(2).collect::<Vec<_>>(), ["7", "5"]);
    ids("nobody:games")
        .code(125)
        .says("no group `games` in this root; write a number");
    ids("games").code(125).says("no such name in this root");
}

#[test]
fn root_is_told_that_the_command_cannot_write_what_is_roots() {
    let dir = Dir::new();
    let out = Sbx::new(["run", "--profile", "build", "host", "--", "true"])
        .within(dir.path())
        .out();
    out.code(0);
    assert_eq!(
        out.stderr().contains("belongs to root"),
        is_root(),
        "{}",
        out.stderr()
    );
}

/// As a service with `NoNewPrivileges=yes`, or in a container with `no-new-privileges`.
fn without_new_privileges(words: &[&str]) -> Out {
    let (sbx, _home) = Sbx::new(words).into_command();
    let mut command = Command::new("setpriv");
    command
        .arg("--no-new-privs")
        .arg(sbx.get_program())
        .args(sbx.get_args());
    command.stdin(Stdio::null()).output().expect("it starts").into()
}

#[test]
fn where_helpers_get_no_rights_none_is_started() {
    if is_root() {
        return skip("user", "root needs no helper to get rights");
    }
    let why = "gets no rights, because whoever started sbx set no_new_privs";
    let told = without_new_privileges(&["doctor", "id-maps"]);
    told.code(0);
    assert!(told.stdout().contains(why), "{}", told.stdout());
    let run = |map: &str, level: &str| {
        let groups = format!("groups={level}");
        without_new_privileges(&[
            "run",
            "--profile",
            "default",
            "--map",
            map,
            "--enforce",
            &groups,
            "host",
            "--",
            "id",
            "-u",
        ])
    };
    run("range", "off").code(125).says(why);
    run("auto", "off").code(0);
    let own = nix::unistd::getegid();
    let groups = nix::unistd::getgroups().expect("groups");
    if groups.iter().all(|group| *group == own) {
        return skip("groups", "the caller has no supplementary group");
    }
    run("auto", "require").code(125).says(why);
    run("auto", "prefer").code(0).says("lost: groups").says(why);
}

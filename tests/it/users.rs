//! `--user` by name, in a root that brings its own `/etc/passwd`.

use crate::util::{Dir, Sbx, skip};

/// A directory root of one static program.
fn root() -> Option<Dir> {
    let root = Dir::new();
    for name in ["proc", "dev", "tmp", "etc", "bin"] {
        std::fs::create_dir(root.path().join(name)).expect("mkdir");
    }
    std::fs::copy("/bin/busybox", root.path().join("bin/busybox")).ok()?;
    root.write("etc/passwd", "root:x:0:0::/:/bin/sh\nwww:x:33:34::/:/bin/sh\n");
    root.write("etc/group", "www:x:34:\nstaff:x:50:\n");
    Some(root)
}

fn ids(root: &Dir, user: &str) -> crate::util::Out {
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
fn root_is_told_that_the_command_cannot_write_what_is_roots() {
    let dir = Dir::new();
    let out = Sbx::new(["run", "--profile", "build", "host", "--", "true"])
        .within(dir.path())
        .out();
    out.code(0);
    assert_eq!(
        out.stderr().contains("belongs to root"),
        crate::util::is_root(),
        "{}",
        out.stderr()
    );
}

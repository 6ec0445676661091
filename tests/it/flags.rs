//! What each flag does, seen from inside.

use crate::util::{Dir, Out, Sbx, is_root, skip};

/// `sbx run --profile default FLAGS host -- sh -c SCRIPT`
fn with(flags: &[&str], script: &str) -> Out {
    Sbx::run("default")
        .args(flags)
        .args(["host", "--", "sh", "-c", script])
        .out()
}

#[test]
fn env_sets_and_passes() {
    let out = Sbx::run("default")
        .env("OURS", "from outside")
        .env("HIDDEN", "secret")
        .args([
            "--env", "A=1", "-e", "B=x=y", "-e", "EMPTY=", "-e", "OURS", "-e", "UNSET", "-e", "A=2",
        ])
        .args(["host", "--", "sh", "-c"])
        .args(["echo \"$A|$B|${EMPTY-none}|$OURS|${UNSET-none}|${HIDDEN-none}\""])
        .out();
    assert_eq!(out.ok(), "2|x=y||from outside|none|none");
}

#[test]
fn env_file_is_read_as_docker_reads_it() {
    let dir = Dir::new();
    let file = dir.write("vars", "# words\n\nA=1\n  B= two words \nC=\"quoted\"\nOURS\n");
    let out = Sbx::run("default")
        .env("OURS", "x")
        .args(["--env-file"])
        .args([&file])
        .args([
            "-e",
            "A=flag",
            "host",
            "--",
            "sh",
            "-c",
            "echo \"$A|$B|$C|$OURS\"",
        ])
        .out();
    assert_eq!(out.ok(), "flag| two words |\"quoted\"|x");
}

#[test]
fn workdir_is_where_it_starts() {
    assert_eq!(with(&["-w", "/usr/lib"], "pwd").ok(), "/usr/lib");
    assert_eq!(
        with(&["--workdir", "/tmp"], "pwd; touch here && echo made").ok(),
        "/tmp\nmade"
    );
}

#[test]
fn user_is_who_it_runs_as() {
    assert_eq!(with(&["-u", "root"], "id -u; id -g").ok(), "0\n0");
    assert_eq!(with(&["--user", "0:0"], "id -u; id -g").ok(), "0\n0");
    // Root inside is nobody's root: no capability comes with it.
    assert_eq!(
        with(&["-u", "root"], "grep CapEff /proc/self/status").ok(),
        "CapEff:\t0000000000000000"
    );
    let uid = nix::unistd::getuid().as_raw();
    if !is_root() {
        assert_eq!(with(&["-u", "caller"], "id -u").ok(), uid.to_string());
        assert_eq!(with(&["-u", "1234:4321"], "id -u; id -g").ok(), "1234\n4321");
    }
}

#[test]
fn volumes_are_bound() {
    let dir = Dir::open();
    dir.write("read", "outside");
    let here = dir.path().display();
    let out = with(
        &["-v", &format!("{here}:/data")],
        "cat /data/read; echo inside >/data/made && echo wrote",
    );
    assert_eq!(out.ok(), "outsidewrote");
    assert_eq!(dir.read("made"), "inside\n");
    let out = with(
        &["-v", &format!("{here}:/data:ro")],
        "cat /data/made; echo x >/data/other || echo refused; rm /data/made || echo kept",
    );
    assert_eq!(out.ok(), "inside\nrefused\nkept");
    assert!(!dir.path().join("other").exists());
    // One file, at a place whose directory does not exist.
    let out = with(&["-v", &format!("{here}/read:/a/b/c:ro")], "cat /a/b/c");
    assert_eq!(out.ok(), "outside");
}

#[test]
fn a_relative_source_is_below_the_working_directory() {
    let dir = Dir::new();
    dir.write("sub/file", "x");
    let out = Sbx::run("default")
        .args(["-v", "./sub:/data:ro", "host", "--", "cat", "/data/file"])
        .within(dir.path())
        .out();
    assert_eq!(out.ok(), "x");
}

#[test]
fn tmpfs_has_size_mode_and_execution_as_asked() {
    let script = "stat -f -c %T /scratch; stat -c %a /scratch; \
        head -c 2M /dev/zero >/scratch/f 2>/dev/null; stat -c %s /scratch/f; \
        cp /bin/true /scratch/t; : >/scratch/f; cp /bin/true /scratch/t; /scratch/t && echo ran || echo refused";
    let out = with(&["--tmpfs", "/scratch:size=1M,mode=1777,exec"], script);
    assert_eq!(out.ok(), "tmpfs\n1777\n1048576\nran");
    let out = with(&["--tmpfs", "/scratch:size=1M,mode=700,noexec"], script);
    assert_eq!(out.ok(), "tmpfs\n700\n1048576\nrefused");
}

#[test]
fn hostname_is_set_inside_only() {
    let before = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    let out = with(
        &["--hostname", "box-7"],
        "uname -n; cat /etc/hostname; grep -c box-7 /etc/hosts",
    );
    assert_eq!(out.ok(), "box-7\nbox-7\n1");
    assert_eq!(
        std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name"),
        before
    );
}

#[test]
fn read_only_is_the_root_and_not_what_is_mounted_in_it() {
    let out = with(
        &["--read-only"],
        "for d in / /etc /var /opt; do touch $d/x 2>/dev/null && echo wrote $d; done; touch /tmp/x && echo tmp",
    );
    assert_eq!(out.ok(), "tmp");
}

#[test]
fn network_none_is_a_loopback_and_host_is_the_hosts() {
    let out = with(&[], "grep -c : /proc/net/dev; grep -c lo: /proc/net/dev");
    assert_eq!(out.ok(), "1\n1");
    let link = std::fs::read_link("/proc/self/ns/net").expect("a link");
    let script = "readlink /proc/self/ns/net";
    assert_ne!(
        with(&["--network", "none"], script).ok(),
        link.display().to_string()
    );
    assert_eq!(
        with(&["--network", "host"], script).ok(),
        link.display().to_string()
    );
    assert_eq!(with(&["--net", "host"], script).ok(), link.display().to_string());
    // A listener of the host is reached with `host` and not with `none`.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("an address").port();
    let dial = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && echo connected");
    let bash = |flags: &[&str]| {
        Sbx::run("default")
            .args(flags)
            .args(["host", "--", "bash", "-c", &dial])
            .out()
    };
    bash(&["--network", "none"]).code(1);
    assert_eq!(bash(&["--network", "host"]).ok(), "connected");
}

#[test]
fn names_are_asked_where_the_host_asks_on_its_network_and_nowhere_without() {
    let Ok(hosts) = std::fs::read_to_string("/etc/resolv.conf") else {
        return skip(
            "resolv-conf",
            "this host has no /etc/resolv.conf that can be read",
        );
    };
    let script = "cat /etc/resolv.conf || echo none";
    assert_eq!(with(&["--network", "host"], script).ok(), hosts.trim_end());
    assert_eq!(with(&[], script).ok(), "none");
}

#[test]
fn capabilities_are_kept_and_dropped() {
    let bounding = "grep -E 'Cap(Eff|Bnd|Amb)' /proc/self/status | tr -d '\\n'";
    let none = "CapEff:\t0000000000000000CapBnd:\t0000000000000000CapAmb:\t0000000000000000";
    assert_eq!(with(&[], bounding).ok(), none);
    // CAP_NET_BIND_SERVICE is bit 10.
    let one = none.replace("0000000000000000", "0000000000000400");
    for name in ["NET_BIND_SERVICE", "cap_net_bind_service"] {
        assert_eq!(
            with(&["-u", "root", "--cap-add", name], bounding).ok(),
            one,
            "{name}"
        );
    }
    let flags = ["-u", "root", "--cap-drop", "all", "--cap-add", "NET_BIND_SERVICE"];
    assert_eq!(with(&flags, bounding).ok(), one);
    assert_eq!(with(&["--cap-drop", "ALL"], bounding).ok(), none);
    assert_eq!(with(&["--cap-drop", "NET_RAW"], bounding).ok(), none);
}

#[test]
fn ulimits_are_in_force() {
    let out = with(
        &[
            "--ulimit",
            "nofile=100:200",
            "--ulimit",
            "core=0",
            "--ulimit",
            "fsize=4096",
        ],
        "ulimit -Sn; ulimit -Hn; ulimit -Sc; head -c 10000 /dev/zero >/tmp/f; stat -c %s /tmp/f",
    );
    assert_eq!(out.stdout(), "100\n200\n0\n4096\n");
}

#[test]
fn devices_of_the_host_are_named_one_by_one() {
    if !std::path::Path::new("/dev/fuse").exists() {
        return skip("dev-fuse", "this host has no /dev/fuse");
    }
    with(&[], "test -e /dev/fuse").code(1);
    with(&["--device", "/dev/fuse"], "test -c /dev/fuse").code(0);
    with(
        &["--device", "/dev/fuse:/dev/other"],
        "test -c /dev/other && test ! -e /dev/fuse",
    )
    .code(0);
}

#[test]
fn a_seccomp_file_of_dockers_replaces_the_filter() {
    let dir = Dir::new();
    let file = dir.write(
        "seccomp.json",
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":28}]}"#,
    );
    let option = format!("seccomp={}", file.display());
    let out = with(&["--security-opt", &option], "LC_ALL=C mkdir /tmp/x");
    out.code(1).says("No space left");
    with(&[], "mkdir /tmp/x").code(0);
    assert_eq!(
        with(
            &["--security-opt", "no-new-privileges"],
            "grep NoNewPrivs /proc/self/status"
        )
        .ok(),
        "NoNewPrivs:\t1"
    );
}

#[test]
fn entrypoint_stands_before_the_arguments() {
    let out = Sbx::run("default")
        .args(["--entrypoint", "echo", "host", "--", "one", "two"])
        .out();
    assert_eq!(out.ok(), "one two");
    let out = Sbx::run("default").args(["--entrypoint", "pwd", "host"]).out();
    out.code(0);
}

#[test]
fn arguments_of_the_command_stay_its_own() {
    let out = Sbx::run("default")
        .args(["host", "echo", "--env", "-v", "--", "x", "", "a b"])
        .out();
    assert_eq!(out.ok(), "--env -v -- x  a b");
}

#[test]
fn timeout_interactive_and_rm_are_accepted() {
    Sbx::run("default")
        .args(["-i", "--rm", "--timeout", "1m", "host", "--", "true"])
        .out()
        .code(0);
}

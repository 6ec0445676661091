//! A flag with a wrong value: exit code 125, one line that names the flag and says what would be right, and nothing has run.

use crate::util::{Dir, Out, Sbx};

/// Flags, and what the line says.
const WRONG: &[(&[&str], &[&str])] = &[
    (&["--detach"], &["--detach", "systemd-run --user"]),
    (&["-p", "80:80"], &["'-p'", "not published"]),
    (&["--name=x"], &["--name", "none to name"]),
    (&["--privileged"], &["--privileged", "--cap-add"]),
    (&["--env", "=x"], &["--env", "NAME=VALUE"]),
    (&["--env", ""], &["--env", "NAME=VALUE"]),
    (&["-e", "A B=x"], &["--env", "NAME=VALUE"]),
    (&["-e", "A*"], &["--env", "pattern"]),
    (
        &["--env-file", "/no/such/file"],
        &["--env-file /no/such/file", "o such file"],
    ),
    (&["--env-file", "/dev/zero"], &["--env-file", "regular file"]),
    (&["-w", "/no/such/directory"], &["/no/such/directory"]),
    (&["-w", "relative"], &["relative"]),
    (&["--user", "no-such-user"], &["no-such-user"]),
    (&["--user=-1"], &["--user"]),
    (&["--user", "1:2:3"], &["--user"]),
    (&["--user", "99999999999"], &["--user"]),
    (&["-v", "tmp"], &["-v", "SRC:DST"]),
    (&["-v", "/a/../b"], &["-v", "/a/../b"]),
    (&["-v", ""], &["-v", "SRC:DST"]),
    (&["-v", "/tmp:/x:rw:y"], &["-v", "SRC:DST"]),
    (&["-v", "/tmp:/x:z"], &["-v", "ro or rw"]),
    (&["-v", "/tmp:relative"], &["/tmp:relative"]),
    (&["-v", "/tmp:/a/../b"], &["/tmp:/a/../b"]),
    (&["-v", ".name:/x"], &["-v", "no name of a volume"]),
    (&["-v", "a b:/x"], &["-v", "no name of a volume"]),
    (&["-v", "name:x"], &["-v", "not an absolute path"]),
    (&["-v", "name:/proc"], &["/proc is the sandbox's own"]),
    (
        &["--mount", "type=nfs,target=/x"],
        &["--mount", "bind, tmpfs, volume"],
    ),
    (
        &["--mount", "type=bind,target=/x"],
        &["--mount", "source is missing"],
    ),
    (
        &["--mount", "type=bind,source=/tmp"],
        &["--mount", "target is missing"],
    ),
    (&["--mount", "type=bind,source=/no/such,target=/x"], &["/no/such"]),
    (
        &["--mount", "type=bind,source=/tmp,target=/x,mode=1"],
        &["--mount", "`mode`"],
    ),
    (
        &["--mount", "type=tmpfs,target=/x,tmpfs-mode=9"],
        &["--mount", "tmpfs-mode"],
    ),
    (
        &["--mount", "src=a,dst=/x,volume-nocopy"],
        &["--mount", "volume-nocopy"],
    ),
    (&["--userns", "host"], &["--userns", "keep-id"]),
    (&["--userns", "nomap"], &["--userns", "--map range"]),
    (&["--userns", "keep-id:uid=x"], &["--userns", "uid `x`"]),
    (
        &["--userns", "keep-id", "--map", "range"],
        &["--map and --userns"],
    ),
    (&["--uidmap", "0:0:0"], &["--uidmap", "at least 1"]),
    (&["--uidmap", "1:2:3:4"], &["--uidmap", "INSIDE:FROM:COUNT"]),
    (&["--uidmap", "0:4000000000"], &["--uidmap"]),
    (&["--gidmap", "0:@1:1"], &["--gidmap", "podman's signs"]),
    (
        &["--group-add", "keep-groups"],
        &["--group-add", "your own groups"],
    ),
    (
        &["--group-add", "staff"],
        &["--group-add staff", "write a number"],
    ),
    (&["--group-add", "a b"], &["--group-add"]),
    (&["--stop-signal", "SIGFOO"], &["--stop-signal", "SIGINT"]),
    (&["--shm-size", "many"], &["--shm-size", "many"]),
    (&["--shm-size", "0"], &["--shm-size", "without limit"]),
    (&["--add-host", "a"], &["--add-host", "NAME:ADDRESS"]),
    (&["--add-host", "a:b"], &["--add-host", "IPv4 or IPv6"]),
    (&["--connect-port", "0"], &["--connect-port", "1 to 65535"]),
    (
        &["--connect-port", "443"],
        &["--connect-port 443", "there is no network"],
    ),
    (&["--dns", "x"], &["--dns", "address"]),
    (&["--dns", "1.1.1.1"], &["--dns 1.1.1.1", "there is no network"]),
    (&["--read-only=x"], &["--read-only", "x"]),
    (&["-v", "/no/such:/x"], &["/no/such"]),
    (&["-v", "/:/x"], &["/"]),
    (&["--tmpfs", "relative"], &["--tmpfs"]),
    (&["--tmpfs", "/x:size=many"], &["--tmpfs", "many"]),
    (&["--tmpfs", "/x:mode=999"], &["999"]),
    (&["--tmpfs", "/x:color=red"], &["--tmpfs", "color"]),
    (&["--hostname", ""], &["host"]),
    (&["--hostname", "a b"], &["host"]),
    (&["--network", "bridge"], &["--network", "none, host"]),
    (&["--network", "gateway"], &["--network gateway"]),
    (&["--cap-add", "NO_SUCH"], &["--cap-add", "NO_SUCH"]),
    (&["--cap-drop", "NO_SUCH"], &["--cap-drop", "NO_SUCH"]),
    (&["--ulimit", "nofile"], &["--ulimit", "NAME=SOFT"]),
    (&["--ulimit", "nofile=x"], &["--ulimit", "NAME=SOFT"]),
    (&["--ulimit", "nofile=9:1"], &["nofile"]),
    (&["--ulimit", "no-such=1"], &["no-such"]),
    (&["--device", "/dev/no-such"], &["/dev/no-such"]),
    (&["--device", "/etc/passwd"], &["/etc/passwd"]),
    (&["--device", "/dev/null:relative"], &["--device"]),
    (&["--security-opt", "seccomp=/no/such"], &["seccomp=/no/such"]),
    (
        &["--security-opt", "seccomp=/etc/passwd"],
        &["seccomp=/etc/passwd"],
    ),
    (
        &["--security-opt", "seccomp=unconfined"],
        &["--enforce seccomp=off"],
    ),
    (
        &["--security-opt", "apparmor=x"],
        &["--security-opt", "seccomp=FILE"],
    ),
    (
        &["--security-opt", "no-new-privileges=false"],
        &["--security-opt"],
    ),
    (&["--timeout", "soon"], &["--timeout", "soon", "10m"]),
    (&["--timeout=-1s"], &["--timeout"]),
    (&["--enforce", "x"], &["--enforce", "KEY=LEVEL"]),
    (&["--enforce", "no-such=off"], &["--enforce", "seccomp"]),
    (
        &["--enforce", "seccomp=maybe"],
        &["--enforce", "require, prefer, off"],
    ),
    (&["--map", "x"], &["--map", "auto, caller, range"]),
    (&["--workspace", "x"], &["--workspace", "read-only, overlay"]),
    (&["--profile", "no-such"], &["no-such", "strict"]),
    (&["--profile", "/no/such.toml"], &["/no/such.toml"]),
    (&["--init=x"], &["--init", "x"]),
    (&["--entrypoint", "no-such"], &["no-such"]),
];

#[test]
fn a_wrong_value_is_told_in_one_line_and_nothing_runs() {
    let mut failures = Vec::new();
    for (flags, words) in WRONG {
        let out = Sbx::run("default")
            .args(*flags)
            .args(["host", "--", "echo", "ran"])
            .out();
        let said = out.stderr();
        let code = if flags[0] == "--entrypoint" { 127 } else { 125 };
        let mut lines = said.lines();
        let first = lines.next().unwrap_or_default().to_owned();
        // What follows the line are hints, which are set in.
        let good = out.code == Some(code)
            && out.stdout.is_empty()
            && first.starts_with("sbx: ")
            && !first.ends_with('.')
            && lines.all(|l| l.starts_with("  "))
            && words.iter().all(|w| said.contains(w));
        if !good {
            failures.push(format!("{flags:?} {:?}: {said}", out.code));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn what_is_not_printable_is_escaped() {
    for flags in [
        vec!["--env", "\u{1b}[31m=\u{7}"],
        vec!["--user", "\u{1b}[2J"],
        vec!["-v", "\u{1b}x:/y"],
        vec!["-v", "/no/\u{1b}x:/y"],
        vec!["--profile", "\u{1b}x"],
        vec!["--hostname", "\u{1b}x"],
        vec!["--network", "\u{1b}x"],
        vec!["--timeout", "\u{1b}x"],
        vec!["--ulimit", "\u{1b}x"],
        vec!["--cap-add", "\u{1b}x"],
        vec!["--tmpfs", "\u{1b}x"],
        vec!["--mount", "\u{1b}x"],
        vec!["--mount", "type=bind,source=/\u{1b}x,target=/y"],
        vec!["--userns", "\u{1b}x"],
        vec!["--uidmap", "\u{1b}x"],
        vec!["--group-add", "\u{1b}x"],
        vec!["--stop-signal", "\u{1b}x"],
        vec!["--shm-size", "\u{1b}x"],
        vec!["--add-host", "\u{1b}x"],
        vec!["--dns", "\u{1b}x"],
        vec!["-h", "\u{1b}x"],
        vec!["--device", "\u{1b}x"],
        vec!["--security-opt", "\u{1b}x"],
        vec!["-w", "/\u{1b}x"],
        vec!["--result", "/no/\u{1b}x"],
        vec!["--\u{1b}x"],
    ] {
        let out = Sbx::run("default")
            .args(&flags)
            .args(["host", "--", "true"])
            .out();
        out.code(125);
        assert!(!out.stderr.contains(&0x1b), "{flags:?}: {:?}", out.stderr());
    }
    let out = Sbx::run("default").args(["host", "--", "no\u{1b}such"]).out();
    out.code(127);
    assert!(!out.stderr.contains(&0x1b), "{:?}", out.stderr());
}

#[test]
fn a_wrong_variable_in_a_file_is_told_with_its_line() {
    let dir = Dir::new();
    let file = dir.write("vars", "A=1\n=x\n");
    Sbx::run("default")
        .args(["--env-file"])
        .args([&file])
        .args(["host", "--", "true"])
        .out()
        .code(125)
        .says("vars:2: ");
}

#[test]
fn an_image_that_is_none_is_told() {
    for (image, words) in [
        ("dir:/etc", "not supported"),
        ("Debian", "lower case"),
        ("debian:12:13", "image name"),
        ("/no/such", "o such file"),
        ("/etc/passwd", "not a directory"),
        ("/", "host's whole tree"),
    ] {
        Sbx::run("default")
            .args([image, "--", "true"])
            .out()
            .code(125)
            .says(words);
    }
}

#[test]
fn an_image_that_is_not_there_is_told() {
    let (mut sbx, home) = Sbx::run("default")
        .args(["--pull", "never", "debian:12", "--", "true"])
        .into_command();
    sbx.env("XDG_DATA_HOME", home.path());
    let out = Out::from(sbx.output().expect("sbx"));
    out.code(125).says("image debian:12: not in the store");
    assert!(!home.path().join("sbx").exists(), "nothing was made");
}

#[test]
fn no_command_is_told() {
    let out = Sbx::run("default").args(["host"]).out();
    out.code(125).says("command");
}

/// What is typed, and the word that is suggested.
const TYPED: &[(&[&str], Option<&str>)] = &[
    (&["run", "--no-healthcheck", "host"], None),
    (&["run", "--memroy", "1G", "host"], Some("--memory")),
    (&["run", "--hostnam", "x", "host"], Some("--hostname")),
    (&["run", "--xyzzy", "host"], None),
    (&["runn", "host"], Some("run")),
    (&["frobnicate"], None),
    (&["run", "--workspace", "overlya", "host"], Some("overlay")),
    (&["run", "--workspace", "nothing", "host"], None),
    (&["run", "--profile", "strct", "host"], Some("strict")),
    (&["run", "--profile", "paranoid", "host"], None),
    (&["why", "--syscall", "opennat"], Some("openat")),
    (&["why", "--syscall", "reboots-it"], None),
    (
        &["run", "--mount", "source=/usr,targt=/c", "host"],
        Some("target"),
    ),
    (&["run", "--mount", "source=/usr,colour=/c", "host"], None),
];

#[test]
fn only_a_word_that_may_have_been_meant_is_suggested() {
    let mut failures = Vec::new();
    for (words, expected) in TYPED {
        let said = Sbx::new(*words).out().stderr();
        let asked = said.split_once("did you mean").map(|(_, rest)| rest);
        let good = match expected {
            Some(word) => asked.is_some_and(|rest| rest.contains(word)),
            None => asked.is_none(),
        };
        if !good || !said.starts_with("sbx: ") {
            failures.push(format!("{words:?} {expected:?}: {said}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn call_of_a_profile_is_suggested_only_if_it_is_near() {
    let dir = Dir::new();
    for (name, near) in [
        ("opennat", Some("openat")),
        ("frobnicate", None),
        ("@baisc", Some("@basic")),
    ] {
        let page = format!("extends = \"strict\"\n[syscalls]\nallow = [\"{name}\"]\n");
        let page = dir.write("page.toml", page).display().to_string();
        let out = Sbx::run(&page).args(["host", "--", "true"]).out();
        out.code(125).says(name);
        let asked = out.stderr().contains("did you mean");
        assert_eq!(asked, near.is_some(), "{}", out.stderr());
        if let Some(near) = near {
            out.says(near);
        }
    }
}

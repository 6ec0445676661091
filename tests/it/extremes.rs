//! Paths, names, arguments and variables at the edge of what the kernel takes.

use crate::util::{Dir, Sbx, binary, hand_over};
use serde_json::json;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

#[test]
fn long_and_strange_paths() {
    let long = format!("/{}", "a/".repeat(2_048));
    let component = format!("/{}", "c".repeat(256));
    for path in [long.as_str(), &long[..4_095], component.as_str()] {
        for arguments in [
            vec![OsStr::new("-v").to_owned(), format!("{path}:/x").into()],
            vec![OsStr::new("-v").to_owned(), format!("/usr:{path}").into()],
            vec![OsStr::new("-w").to_owned(), path.into()],
            vec![OsStr::new("--profile").to_owned(), path.into()],
            vec![OsStr::new("--result").to_owned(), path.into()],
            vec![OsStr::new("--tmpfs").to_owned(), path.into()],
            vec![OsStr::new("--env-file").to_owned(), path.into()],
        ] {
            let out = Sbx::run("default")
                .args(&arguments)
                .args(["host", "--", "true"])
                .out();
            assert_eq!(out.signal, None);
            assert!(
                out.code == Some(125) || out.code == Some(0),
                "{arguments:?}: {:?} {}",
                out.code,
                out.stderr()
            );
        }
        let out = Sbx::run("default").args(["host", "--", path]).out();
        assert!(
            matches!(out.code, Some(126 | 127)),
            "{:?} {}",
            out.code,
            out.stderr()
        );
    }
}

#[test]
fn bytes_that_are_no_text() {
    let strange = OsStr::from_bytes(b"na\xffme");
    // In the command and its arguments they are the command's business.
    let out = Sbx::run("default")
        .args(["host", "--", "printf", "%s"])
        .args([strange])
        .out();
    out.code(0);
    assert_eq!(out.stdout, b"na\xffme");
    Sbx::run("default")
        .args(["host", "--"])
        .args([strange])
        .out()
        .code(127);
    // In flags they are refused with a line, or work.
    for flag in [
        "-v",
        "-w",
        "--env",
        "--profile",
        "--result",
        "--tmpfs",
        "--hostname",
        "--user",
        "--env-file",
    ] {
        let out = Sbx::run("default")
            .args([OsStr::new(flag), strange])
            .args(["host", "--", "true"])
            .out();
        assert_eq!(out.signal, None, "{flag}");
        if flag != "--result" {
            out.code(125).says("sbx: ");
        }
        assert!(
            std::str::from_utf8(&out.stderr).is_ok(),
            "{flag}: {:?}",
            out.stderr()
        );
    }
    // A working directory with such a name is at its place inside.
    let parent = Dir::new();
    let dir = parent.path().join(strange);
    std::fs::create_dir(&dir).expect("mkdir");
    std::fs::write(dir.join("f"), "x").expect("write");
    for profile in ["strict", "default", "build"] {
        assert_eq!(
            Sbx::sh(profile, "cat f").within(&dir).out().ok(),
            "x",
            "{profile}"
        );
    }
    // So is what a variable holds.
    let out = Sbx::run("default")
        .env("LANG", strange)
        .args(["host", "--", "printenv", "LANG"])
        .out();
    assert_eq!(out.stdout, b"na\xffme\n");
}

#[test]
fn names_that_mean_something_to_overlays_and_shells() {
    let parent = Dir::new();
    for name in [
        "a:b", "a,b", "a\\b", "a b", "a'b", "a\"b", "a\nb", "-v", "$HOME", "é", "a=b", "#a", "a\tb",
    ] {
        let dir = parent.path().join(name);
        std::fs::create_dir(&dir).expect("mkdir");
        std::fs::write(dir.join("f"), "x").expect("write");
        hand_over(&dir);
        for mode in ["read-only", "overlay", "writable"] {
            let out = Sbx::run("default")
                .args(["--workspace", mode, "host", "--", "sh", "-c", "cat f"])
                .within(&dir)
                .out();
            assert_eq!(out.ok(), "x", "{name:?} {mode}");
        }
    }
}

/// Blanks, ends of lines, quotes, what looks like a flag or a variable, and letters of more than one byte.
const STRANGE: &[&str] = &[
    "a b",
    " a ",
    "a\nb",
    "\na\n",
    "a\tb",
    "é",
    "日本 語",
    "e\u{301}",
    "-v",
    "$HOME",
    "a,b",
    "a=b",
    "a'b",
    "a\"b",
    "a\\b",
    "#a",
    "*",
    "~",
];

#[test]
fn strange_names_in_every_flag_that_takes_a_path() {
    for name in STRANGE {
        let (parent, records) = (Dir::new(), Dir::open());
        parent.write(&format!("{name}/{name}/file"), "of the working directory\n");
        parent.write("data/file", "of a volume\n");
        let data = parent.path().join(format!("data{name}"));
        std::fs::rename(parent.path().join("data"), &data).expect("rename");
        let data = data.display();
        let vars = parent.write(&format!("vars{name}"), "V=of a file of variables\n");
        // A string of JSON is one of TOML, too.
        let (source, target) = (json!(format!("{data}")), json!(format!("/of profile{name}")));
        let mount = format!("{{ source = {source}, target = {target} }}");
        let profile = parent.write(
            &format!("{name}.toml"),
            format!("extends = \"strict\"\n[filesystem]\nmounts = [{mount}]\n"),
        );
        let record = records.path().join(format!("r{name}"));
        let work = parent.path().join(name);
        let script = "cat \"./$N/file\" \"/of flag$N/file\" \"/of profile$N/file\"; echo \"$V\"; pwd";
        let flags = |sbx: Sbx| {
            sbx.args([OsStr::new("--profile"), profile.as_os_str()])
                .args([OsStr::new("--env-file"), vars.as_os_str()])
                .args([
                    "-v",
                    &format!("{data}:/of flag{name}:ro"),
                    "-e",
                    &format!("N={name}"),
                ])
                .args([OsStr::new("-w"), work.as_os_str()])
                .within(&work)
        };
        let out = flags(Sbx::new(["run", "-q"]).args([OsStr::new("--result"), record.as_os_str()]))
            .args(["host", "--", "sh", "-c", script])
            .out();
        let expected = "of the working directory\nof a volume\nof a volume\nof a file of variables";
        assert_eq!(
            out.ok(),
            format!("{expected}\n{}", work.display()).trim_end_matches('\n'),
            "{name:?}"
        );
        assert_eq!(out.stderr(), "", "{name:?}");
        assert!(record.is_file(), "{name:?}");
        // Where such a name is told, the end of a line in it ends no line.
        let plan = flags(Sbx::new(["plan"])).args(["host", "--", "true"]).out().ok();
        let shown = data.to_string().replace('\n', "\\n").replace('\t', "\\t");
        assert!(plan.contains(&shown), "{name:?} is not in\n{plan}");
        assert!(
            !plan.contains('\t') && !plan.contains("\na\n") && !plan.contains("a\nb"),
            "{plan}"
        );
        for flag in ["-v", "--env-file", "--profile", "-w"] {
            let missing = parent
                .path()
                .join(format!("missing{name}/x"))
                .display()
                .to_string();
            let value = if flag == "-v" {
                format!("{missing}:/x")
            } else {
                missing
            };
            let out = Sbx::run("default")
                .args([flag, &value])
                .args(["host", "--", "true"])
                .out();
            out.code(125).says("sbx: ").says("missing");
            let said = out.stderr();
            assert!(
                said.lines().skip(1).all(|line| line.starts_with("  ")),
                "{flag} {name:?}: {said}"
            );
        }
    }
}

#[test]
fn many_and_large_arguments() {
    // Together near the kernel's limit of a quarter of the stack, and one above its limit for a single string.
    let many: Vec<String> = (0..10_000).map(|n| format!("{n:0>100}")).collect();
    let out = Sbx::run("default")
        .args(["host", "--", "sh", "-c", "echo $#", "sh"])
        .args(&many)
        .out();
    assert_eq!(out.ok(), "10000");
    let out = Sbx::run("default")
        .env("LANG", "x".repeat(100_000))
        .args(["host", "--", "sh", "-c", "echo ${#LANG}"])
        .out();
    assert_eq!(out.ok(), "100000");
}

#[test]
fn hostile_environment_of_sbx_itself() {
    let out = Sbx::sh("default", "echo in; env | grep -cE '^(LD_|GCONV|GLIBC|RUST)'")
        .env("LD_PRELOAD", "/no/such.so")
        .env("LD_LIBRARY_PATH", "/tmp")
        .env("GCONV_PATH", "/tmp")
        .env("GLIBC_TUNABLES", "x=y")
        .env("RUST_BACKTRACE", "full")
        .env("PATH", "")
        .env("TMPDIR", "/no/such")
        .env("XDG_RUNTIME_DIR", "/no/such")
        .env("XDG_CONFIG_HOME", "/no/such")
        .out();
    assert_eq!(out.stdout(), "in\n0\n", "{}", out.stderr());
}

#[test]
fn started_through_a_link_that_is_gone_or_a_copy_that_is_deleted() {
    let dir = Dir::new();
    dir.program("copy", binary());
    let out = Command::new("sh")
        .args([
            "-c",
            "exec 9<./copy; rm copy; exec /proc/self/fd/9 run -q --profile default host -- sh -c 'echo in'",
        ])
        .env("HOME", "/nonexistent")
        .current_dir(dir.path())
        .output()
        .expect("sh starts");
    assert_eq!(String::from_utf8_lossy(&out.stdout), "in\n", "{out:?}");
}

#[test]
fn without_the_program_beside_it_sbx_runs_and_says_what_reads_images() {
    let place = Dir::open();
    let alone = place.program("sbx", binary());
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&alone);
        command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin");
        command.env("XDG_DATA_HOME", place.path().join("data"));
        command.current_dir(place.path()).output().expect("sbx")
    };
    place.write("a.tar", "no archive");
    let out = run(&["load", "-i", "a.tar"]);
    let words = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(125), "{words}");
    for part in [
        "/sbx-image is not there",
        "put it beside sbx",
        "cargo build --release",
    ] {
        assert!(words.contains(part), "{words}");
    }
    assert_eq!(
        run(&["run", "--quiet", "host", "--", "true"]).status.code(),
        Some(0)
    );
}

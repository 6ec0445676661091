//! Paths, names, arguments and variables at the edge of what the kernel takes.

use crate::util::{Dir, Sbx, binary, hand_over};
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
    let copy = dir.path().join("copy");
    std::fs::copy(binary(), &copy).expect("copy");
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

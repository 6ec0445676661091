//! The upper layer of a root on disk.

use super::shop::{LOOK, Shop, everybody};
use crate::util::{Dir, Out, Sbx, hand_over, is_root, range, skip};
use std::process::{Command, Stdio};

const DISK: [&str; 4] = ["run", "--quiet", "--upper", "disk"];

/// A profile whose memory holds one mebibyte.
const SMALL: &str = "extends = \"default\"\n[filesystem]\ntmp = \"1M\"\n";

#[test]
fn on_disk_it_looks_the_same_and_goes_at_the_end() {
    for uid in everybody() {
        let Some(shop) = Shop::new(uid, "copy") else {
            return;
        };
        let memory = shop.sh(false, LOOK).ok();
        assert_eq!(shop.command(false, DISK, &["sh", "-c", LOOK]).ok(), memory);
        shop.nothing_left();
        let script = "chmod -t /d; echo mine >/d/kept; echo mine >/new; rm -r /hidden; mkdir /hidden; ls /hidden; cat /d/kept /new; \
                      mkdir -p /x/y; touch /x/y/z; chmod 0 /x/y /x; chmod 0 /d; grep ' / / ' /proc/self/mountinfo; exit 7";
        let out = shop.command(false, DISK, &["sh", "-c", script]);
        let text = out.code(7).stdout();
        assert!(text.starts_with("mine\nmine\n"), "{text}");
        assert!(
            text.contains(" - overlay ") && text.contains("volatile"),
            "{text}"
        );
        // Where it is on the host is not told.
        assert!(!text.contains("copies"), "{text}");
        shop.nothing_left();
        let again = shop.command(
            false,
            DISK,
            &["sh", "-c", "cat /d/kept /hidden/above; ls /new /x"],
        );
        assert_eq!(again.stdout(), "lower\nupper\n", "{}", again.stderr());
    }
}

#[test]
fn memory_has_a_limit_and_the_disk_has_none() {
    for uid in everybody() {
        for (refused, instead) in [(false, "copy"), (true, "fuse")] {
            let Some(shop) = Shop::new(uid, instead) else {
                return;
            };
            let small = shop.dir.write("small.toml", SMALL).display().to_string();
            let run = |upper| {
                let words = ["run", "--quiet", "--profile", &small, "--upper", upper];
                shop.command(
                    refused,
                    words,
                    &["sh", "-c", "cat /big >/copy && cat /copy | wc -c"],
                )
            };
            let full = run("memory");
            full.says("No space left on device");
            assert_ne!(full.code, Some(0));
            assert_eq!(run("disk").ok().trim(), "3145728", "{instead}");
            shop.nothing_left();
        }
    }
}

#[test]
fn it_is_said_that_it_has_no_limit() {
    let Some(shop) = Shop::new(None, "copy") else {
        return;
    };
    let said = " disk: what is written to the root goes to the disk, until the end and without a limit";
    let record = shop.dir.path().join("home/record.json");
    let result = record.display().to_string();
    let run = ["run", "--upper", "disk", "--result", &result];
    shop.command(false, run, &["true"]).code(0).says(said);
    let record = std::fs::read_to_string(record).expect("a record");
    assert!(
        record.contains("\"disk\"") && record.contains("without a limit"),
        "{record}"
    );
    let required = ["run", "--upper", "disk", "--enforce", "disk=require"];
    let out = shop.command(false, required, &["true"]);
    out.code(125).says("disk is required").says("--upper memory");
    shop.nothing_left();
    let out = shop.command(false, ["run", "--enforce", "disk=require"], &["true"]);
    assert!(!out.stderr().contains("disk"), "{}", out.stderr());
    out.code(0);
    // Nothing is written to a root that is read-only.
    let strict = ["plan", "--profile", "strict", "--upper", "disk"];
    let plan = shop.command(false, strict, &["true"]).ok();
    assert!(
        plan.contains("and a tmpfs of 64M") && !plan.contains("lost        disk"),
        "{plan}"
    );
    let plan = shop.command(false, ["plan", "--upper", "disk"], &["true"]).ok();
    assert!(
        plan.contains(" and a layer on disk in ") && plan.contains("lost        disk"),
        "{plan}"
    );
    shop.nothing_left();
    let json = shop
        .command(false, ["plan", "--json", "--upper", "disk"], &["true"])
        .ok();
    assert!(
        json.contains("and a layer on disk in ") && json.contains("\"protection\": \"disk\""),
        "{json}"
    );
}

#[test]
fn what_a_killed_run_leaves_is_removed_by_the_next_one_and_never_in_use() {
    for uid in everybody() {
        let Some(shop) = Shop::new(uid, "copy") else {
            return;
        };
        let disk = ["--upper", "disk"];
        for prune in [false, true] {
            shop.sleeping_on(false, &disk)
                .kill(nix::sys::signal::Signal::SIGKILL);
            assert_eq!(shop.copies().len(), 2, "the directory and its lock");
            if prune {
                let out: Out = shop.sbx(false, ["prune"]).output().expect("it starts").into();
                assert!(out.ok().contains("copy  "), "{}", out.stdout());
            } else {
                shop.command(false, DISK, &["true"]).ok();
            }
            shop.nothing_left();
            shop.sh(false, "true").ok();
        }
        let (one, other) = (shop.sleeping_on(false, &disk), shop.sleeping_on(false, &disk));
        assert_eq!(shop.copies().len(), 4);
        shop.command(false, DISK, &["ls", "/flag"]).code(1);
        let pruned: Out = shop
            .sbx(false, ["prune", "-a"])
            .output()
            .expect("it starts")
            .into();
        assert!(!pruned.stdout().contains("copy  "), "{}", pruned.stdout());
        assert_eq!(shop.copies().len(), 4);
        one.kill(nix::sys::signal::Signal::SIGTERM);
        assert_eq!(shop.copies().len(), 2, "each removes its own");
        other.kill(nix::sys::signal::Signal::SIGINT);
        shop.nothing_left();
    }
}

#[test]
fn files_of_other_ids_go_as_well() {
    if is_root() {
        return skip("user", "a map that is chosen names ids of the caller's");
    }
    if !range() {
        return;
    }
    let Some(shop) = Shop::new(None, "copy") else {
        return;
    };
    let image = format!("oci:{}:it", shop.dir.path().join("oci").display());
    for map in [["--map", "range"], ["--userns", "keep-id"]] {
        let words = ["run", "--quiet", "--upper", "disk", "--user", "0:0"];
        let command = [
            "sh",
            "-c",
            "echo >/new; mkdir /mine; chmod 0 /mine; chown 33:34 /new /mine; stat -c %u:%g /new",
        ];
        let words = [&words[..], &map, &[image.as_str()], &command].concat();
        let out: Out = shop.sbx(false, words).output().expect("it starts").into();
        assert_eq!(out.ok(), "33:34");
        assert_eq!(out.stderr(), "");
        shop.nothing_left();
    }
}

/// A directory that is a root of its own: busybox, and a file.
fn root() -> Option<Dir> {
    if !std::path::Path::new("/bin/busybox").exists() {
        skip("busybox", "a root of its own needs a static program");
        return None;
    }
    let dir = Dir::new();
    for name in ["bin", "proc", "dev", "tmp"] {
        std::fs::create_dir(dir.path().join(name)).expect("mkdir");
    }
    dir.program("bin/sh", "/bin/busybox");
    dir.write("file", "theirs\n");
    hand_over(dir.path());
    Some(dir)
}

#[test]
fn the_root_of_a_directory_has_it_too() {
    let Some(dir) = root() else { return };
    let home = Dir::open();
    let script = "echo mine >/file; echo mine >/new; read one </file; echo $one; while read l; do case $l in *volatile*) echo disk;; esac; done </proc/self/mountinfo";
    let run = |flags: &[&str]| {
        Sbx::run("default")
            .args(flags)
            .args([dir.path()])
            .args(["/bin/sh", "-c", script])
            .env("XDG_DATA_HOME", home.path())
            .out()
    };
    let out = run(&["--upper", "disk"]);
    assert_eq!(out.ok(), "mine\ndisk", "{}", out.stderr());
    assert_eq!(dir.read("file"), "theirs\n");
    assert!(!dir.path().join("new").exists());
    let kinds = std::fs::read_dir(home.path().join("sbx/copies")).expect("copies");
    for kind in kinds.flatten() {
        assert_eq!(std::fs::read_dir(kind.path()).expect("a kind").count(), 0);
    }
    assert_eq!(run(&[]).ok(), "mine");
    run(&["--upper", "disk", "--enforce", "disk=require"]).code(125);
}

#[test]
fn a_file_system_that_cannot_hold_it_is_named() {
    if !is_root() {
        return skip("root", "a file system is mounted");
    }
    let Some(dir) = root() else { return };
    let store = Dir::new();
    // Root's own id is in no sandbox, and overlay on overlay is one too deep only as an upper layer.
    let script = "mkdir \"$0/l\" \"$0/u\" \"$0/w\" \"$0/m\" && mount -t overlay o -o lowerdir=\"$0/l\",upperdir=\"$0/u\",workdir=\"$0/w\" \"$0/m\" && \
                  XDG_DATA_HOME=\"$0/m\" exec \"$@\"";
    let sbx = |verb: &str| -> Out {
        let fresh = Dir::new();
        let mut command = Command::new("unshare");
        command
            .args(["-m", "sh", "-c", script])
            .arg(fresh.path())
            .arg(crate::util::binary());
        command
            .args([verb, "--upper", "disk"])
            .arg(dir.path())
            .args(["/bin/sh", "-c", "true"]);
        command.current_dir(store.path()).stdin(Stdio::null());
        command.output().expect("unshare").into()
    };
    for verb in ["plan", "run"] {
        let out = sbx(verb);
        out.code(125).says("it is on overlay").says("XDG_DATA_HOME");
    }
}

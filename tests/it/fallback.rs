//! Images where the kernel refuses overlay: the root is a copy, or fuse-overlayfs shows it; it looks the same
//! inside and is gone afterwards. And the upper layer on disk.
//!
//! The host that refuses is made with a seccomp filter around sbx (`fallback/refuse.py`), whose supervisor reads what is to be mounted
//! and answers EPERM to overlay alone, as a host does that allows it to root only.

mod disk;
mod fuse;
mod many;
mod reflink;
mod shop;
mod upper;

use crate::util::{Out, Sbx, is_root, skip};
use shop::{LOOK, Shop, everybody};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

#[test]
fn a_copy_looks_as_the_overlay_does() {
    for uid in everybody() {
        let Some(shop) = Shop::new(uid, "copy") else {
            return;
        };
        let overlay = shop.sh(false, LOOK).ok();
        let copy = shop.sh(true, LOOK).ok();
        assert!(
            overlay.contains("d/kept") && overlay.contains("above"),
            "{overlay}"
        );
        assert!(
            !overlay.contains("gone") && !overlay.contains("below"),
            "{overlay}"
        );
        assert_eq!(overlay, copy);
        shop.nothing_left();
        // It was a copy, and no overlay.
        let root = "grep ' / / ' /proc/self/mountinfo || grep -v ' - overlay' /proc/self/mountinfo | grep ' / [a-z]*,'";
        let root = shop
            .sh(
                true,
                &format!("grep -c ' - overlay ' /proc/self/mountinfo; {root} >/dev/null"),
            )
            .stdout();
        assert_eq!(root.trim(), "0");
        assert_eq!(
            shop.sh(false, "grep -c ' - overlay ' /proc/self/mountinfo").ok(),
            "1"
        );
    }
}

#[test]
fn a_copy_under_a_map_of_ones_own_has_the_same_owners() {
    if !is_root() {
        skip("root", "a filter of their own keeps others from newuidmap");
        return;
    }
    let Some(shop) = Shop::new(None, "copy") else {
        return;
    };
    // From the id on that the store belongs to: another could not open it.
    let first = std::fs::metadata(shop.store()).expect("a store").uid();
    let lines = format!("0:{first}:60000");
    for map in [&["--map", "auto"][..], &["--uidmap", &lines]] {
        let mut words = shop.words(["run", "--quiet"], &["ls", "-ln", "/d/kept"]);
        let at = words.iter().position(|word| word == "--map").expect("a map");
        words.splice(at..at + 2, map.iter().map(ToString::to_string));
        for refused in [false, true] {
            let out: Out = shop.sbx(refused, &words).output().expect("it starts").into();
            let line = out.ok();
            let mut fields = line.split_whitespace().skip(2);
            assert_eq!(
                (fields.next(), fields.next()),
                (Some("33"), Some("34")),
                "{map:?}: {line}"
            );
        }
        shop.nothing_left();
    }
}

#[test]
fn what_is_written_to_a_copy_goes_with_it() {
    for uid in everybody() {
        let Some(shop) = Shop::new(uid, "copy") else {
            return;
        };
        let out = shop.sh(
            true,
            "chmod -t /d; echo mine >/d/kept; echo mine >/new; rm -r /hidden; cat /d/other-name /new; exit 7",
        );
        out.code(7);
        assert_eq!(out.stdout(), "mine\nmine\n");
        shop.nothing_left();
        let again = "cat /d/kept /d/other-name /hidden/above; ls /new";
        for refused in [true, false] {
            let out = shop.sh(refused, again);
            assert_eq!(out.stdout(), "lower\nlower\nupper\n", "{}", out.stderr());
        }
        shop.command(true, ["run", "--quiet"], &["no-such-program"])
            .code(127);
        shop.nothing_left();
        // Directories that their owner may not write are no obstacle.
        shop.sh(true, "mkdir -p /x/y; touch /x/y/z; chmod 0 /x/y /x; chmod 0 /d")
            .ok();
        shop.nothing_left();
    }
}

#[test]
fn a_root_that_is_read_only_is_one_in_a_copy_too() {
    let Some(shop) = Shop::new(None, "copy") else {
        return;
    };
    shop.writes_nothing_under_strict();
    // Nothing of it is a way to more: no set-id program, no device.
    let out = shop.sh(true, "grep ' / / ' /proc/self/mountinfo; mount | grep ' on / '");
    assert!(out.ok().contains("nosuid,nodev"), "{}", out.stdout());
    shop.nothing_left();
}

#[test]
fn a_run_that_is_killed_leaves_a_copy_that_the_next_one_removes() {
    for uid in everybody() {
        let Some(shop) = Shop::new(uid, "copy") else {
            return;
        };
        for prune in [false, true] {
            shop.sleeping().kill(nix::sys::signal::SIGKILL);
            assert_eq!(shop.copies().len(), 2, "the copy and its lock");
            if prune {
                let out: Out = shop.sbx(true, ["prune"]).output().expect("it starts").into();
                assert!(out.ok().contains("copy  "), "{}", out.stdout());
            } else {
                shop.sh(true, "true").ok();
            }
            shop.nothing_left();
        }
    }
}

#[test]
fn a_copy_in_use_is_nobody_elses() {
    let Some(shop) = Shop::new(None, "copy") else {
        return;
    };
    let (one, other) = (shop.sleeping(), shop.sleeping());
    assert_eq!(shop.copies().len(), 4, "two copies and their locks");
    shop.sh(true, "ls /flag").code(1);
    let pruned: Out = shop
        .sbx(true, ["prune", "-a"])
        .output()
        .expect("it starts")
        .into();
    assert!(!pruned.stdout().contains("copy  "), "{}", pruned.stdout());
    assert_eq!(shop.copies().len(), 4);
    one.kill(nix::sys::signal::SIGTERM);
    assert_eq!(shop.copies().len(), 2, "each removes its own");
    other.kill(nix::sys::signal::SIGINT);
    shop.nothing_left();
}

#[test]
fn a_copy_that_cannot_be_made_is_removed_and_said() {
    let Some(shop) = Shop::new(None, "copy") else {
        return;
    };
    let words = shop.words(["run", "--quiet"], &["true"]);
    let sbx = shop.sbx(true, words);
    // Files of 1 MiB at most: one of the image has three.
    let mut limited = Command::new("prlimit");
    limited
        .arg("--fsize=1048576")
        .arg(sbx.get_program())
        .args(sbx.get_args());
    limited
        .env_clear()
        .envs(sbx.get_envs().filter_map(|(k, v)| Some((k, v?))));
    let out: Out = limited
        .current_dir(shop.dir.path())
        .stdin(Stdio::null())
        .output()
        .expect("prlimit")
        .into();
    out.code(125).says("sbx: ");
    shop.nothing_left();
}

#[test]
fn which_root_it_is_and_why_is_told() {
    let Some(shop) = Shop::new(None, "copy") else {
        return;
    };
    let first = |out: &Out| {
        out.stdout()
            .lines()
            .find(|l| l.starts_with("root "))
            .unwrap_or_default()
            .to_owned()
    };
    let overlay = shop.command(false, ["plan"], &["true"]);
    assert!(
        first(&overlay).contains("overlay of the image's 3 layers"),
        "{}",
        overlay.stdout()
    );
    let copy = shop.command(true, ["plan"], &["true"]);
    assert!(
        first(&copy).contains("copy of the image's layers in "),
        "{}",
        copy.stdout()
    );
    assert!(
        first(&copy).contains("overlay is refused here (EPERM"),
        "{}",
        copy.stdout()
    );
    shop.nothing_left();
    let out = shop.command(true, ["run"], &["true"]);
    out.code(0)
        .says("overlay is refused here (EPERM")
        .says("goes to the disk");
    // Planned twice, and told once.
    assert_eq!(out.stderr().matches(" disk: ").count(), 1, "{}", out.stderr());
    shop.command(true, ["run", "--profile", "strict"], &["true"])
        .code(0);
    assert_eq!(shop.sh(true, "true").stderr(), "");
    for (refused, says) in [
        (true, "else copied for each run"),
        (false, "an image runs as an overlay"),
    ] {
        let out: Out = shop
            .sbx(refused, ["doctor", "overlay"])
            .output()
            .expect("it starts")
            .into();
        assert!(out.stdout().contains(says), "{}", out.stdout());
    }
}

#[test]
fn the_host_of_these_tests_refuses_overlay_and_nothing_else() {
    let Some(shop) = Shop::new(None, "copy") else {
        return;
    };
    let work = shop.dir.path().join("work");
    std::fs::create_dir(&work).expect("a directory");
    let host = |refused, flags: &[&str]| -> Out {
        let words = ["run", "--quiet", "--profile", "default"];
        let words = words.iter().chain(flags).chain(&["host", "--", "echo", "ran"]);
        let mut sbx = shop.sbx(refused, words);
        sbx.current_dir(&work).output().expect("it starts").into()
    };
    assert_eq!(host(true, &[]).ok(), "ran");
    assert_eq!(host(false, &["--workspace", "overlay"]).ok(), "ran");
    host(true, &["--workspace", "overlay"]).code(125).says("overlay");
    let plain = Sbx::run("default").args(["host", "--", "echo", "ran"]).out();
    assert_eq!(plain.ok(), "ran");
}

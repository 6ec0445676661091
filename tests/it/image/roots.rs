//! Trees that were made to catch whoever sets them up: links, files and pipes where sbx mounts, writes and reads.

use super::liar::Liar;
use super::place::{Canary, Home, refused};
use crate::util::Out;
use crate::util::image::Image;
use crate::util::tar::Entry;
use serde_json::json;
use std::time::{Duration, Instant};

const PROFILES: [&str; 3] = ["strict", "default", "build"];

/// Runs a script in busybox with these entries on top, under every profile that people use; the tree is as it was.
fn each(canary: &Canary, entries: Vec<Entry>, flags: &[&str], script: &str, holds: impl Fn(&str, &Out)) {
    let Some(image) = Image::busybox() else { return };
    let (home, liar) = (Home::new(), Liar::of(&image.layer(entries).build()));
    for profile in PROFILES {
        let out = home.run(profile, flags, &liar.name(), &["/bin/sh", "-c", script]);
        canary.untouched();
        holds(profile, &out);
    }
}

#[test]
fn links_where_sbx_mounts_lead_nowhere() {
    for names in [
        ["dev", "proc", "tmp", "etc"],
        ["dev/pts", "dev/shm", "dev/null", "proc/self"],
    ] {
        for target in ["", "folder", "secret"] {
            let canary = Canary::new();
            let script = "cat /dev/secret /proc/secret /tmp/secret /etc/secret /dev/pts/secret 2>/dev/null; \
                          echo x >/tmp/new && echo x >/dev/null && test -c /dev/null && test -d /proc/self && echo fine";
            let entries = names.map(|name| Entry::symlink(name, canary.at(target)));
            each(&canary, entries.into(), &[], script, |profile, out| {
                assert_eq!(out.ok(), "fine", "{profile} {names:?} {target}");
            });
        }
    }
}

#[test]
fn files_and_pipes_where_sbx_mounts() {
    let kinds: [fn(&str) -> Entry; 3] = [
        |n| Entry::file(n, "x"),
        |n| Entry::fifo(n),
        |n| Entry::device(n, 1, 3),
    ];
    for make in kinds {
        let canary = Canary::new();
        let script =
            "test -c /dev/null && test -d /proc/self && test -f /etc/hosts && echo x >/tmp/x && echo fine";
        let entries = ["dev", "proc", "tmp", "etc"].map(make);
        each(&canary, entries.into(), &[], script, |profile, out| {
            assert_eq!(out.ok(), "fine", "{profile}");
        });
    }
}

#[test]
fn files_that_sbx_writes_go_through_no_link() {
    let names = ["hosts", "hostname", "resolv.conf", "mtab", "passwd", "group"];
    for target in ["secret", "folder", "not-there"] {
        let canary = Canary::new();
        let script = "cat /etc/hostname; cat /etc/hosts /etc/resolv.conf /etc/passwd 2>/dev/null | busybox grep top; exit 0";
        for flags in [&[][..], &["--network", "host"]] {
            let entries = names.map(|name| Entry::symlink(format!("etc/{name}"), canary.at(target)));
            each(&canary, entries.into(), flags, script, |profile, out| {
                assert_eq!(out.ok(), "sbx", "{profile} {target}");
            });
        }
    }
}

#[test]
fn flags_that_mount_go_through_no_link_of_the_image() {
    for target in ["", "folder", "secret"] {
        let canary = Canary::new();
        let source = crate::util::Dir::open();
        source.write("mine", "mine\n");
        let bind = format!("{}:/v/sub", source.path().display());
        let entries = vec![
            Entry::symlink("v", canary.at(target)),
            Entry::symlink("t", canary.at(target)),
        ];
        let flags = ["-v", &bind, "--tmpfs", "/t/sub"];
        let script = "cat /v/secret /t/secret 2>/dev/null; echo x >/v/sub/new; echo x >/t/sub/new; exit 0";
        each(&canary, entries, &flags, script, |profile, out| {
            if out.code != Some(125) {
                assert!(!out.stdout().contains("top"), "{profile} {target}");
            }
        });
    }
}

#[test]
fn passwd_and_group_that_are_no_files() {
    let line = "mallory:x:0:0::/:/bin/sh\n";
    type Make = fn(&Canary) -> Entry;
    let cases: [(&str, Make); 6] = [
        ("pipe", |_| Entry::fifo("etc/passwd")),
        ("device", |_| Entry::device("etc/passwd", 1, 5)),
        ("directory", |_| Entry::folder("etc/passwd/")),
        ("link to a device", |_| Entry::symlink("etc/passwd", "/dev/zero")),
        ("link to the host", |c| {
            Entry::symlink("etc/passwd", c.at("etc/passwd"))
        }),
        ("30 MiB", |_| Entry::file("etc/passwd", vec![b'x'; 30 << 20])),
    ];
    let Some(image) = Image::busybox() else { return };
    for (what, make) in cases {
        let canary = Canary::new();
        let image = image
            .clone()
            .layer([Entry::file("etc/own", line)])
            .layer([make(&canary)]);
        let (home, liar) = (
            Home::new(),
            Liar::of(&image.set("User", json!("mallory")).build()),
        );
        home.pull(&liar.name()).ok();
        let since = Instant::now();
        let out = home.sh(&liar.name(), "id -u");
        assert!(since.elapsed() < Duration::from_secs(5), "{what}");
        refused(&out, &["passwd"]);
        canary.untouched();
    }
    // The same line in a file of the image, behind a link that stays in it.
    let image = image.layer([Entry::file("etc/own", line), Entry::symlink("etc/passwd", "own")]);
    let liar = Liar::of(&image.set("User", json!("mallory")).build());
    assert_eq!(Home::new().sh(&liar.name(), "id -u").ok(), "0");
}

#[test]
fn users_with_odd_numbers_are_not_there_and_never_root() {
    let Some(image) = Image::busybox() else { return };
    for ids in [
        "-1:0",
        "+0:0",
        "4294967295:0",
        "4294967296:0",
        "18446744073709551616:0",
        "0x0:0",
        " 0:0",
        ":0",
        "0",
        "0:-1",
        "0:4294967296",
        "a:b",
    ] {
        let passwd = format!("mallory:x:{ids}::/:/bin/sh\n");
        let image = image.clone().layer([Entry::file("etc/passwd", passwd)]);
        let liar = Liar::of(&image.set("User", json!("mallory")).build());
        refused(&Home::new().sh(&liar.name(), "id -u"), &["mallory"]);
    }
}

#[test]
fn a_home_from_the_passwd_of_the_image_is_only_text() {
    let Some(image) = Image::busybox() else { return };
    let canary = Canary::new();
    for (home_there, seen) in [
        (canary.at("new"), canary.at("new")),
        ("../../../tmp".into(), "/".into()),
        ("\x1b[31m".into(), "/".into()),
        ("x".repeat(5000), "/".into()),
    ] {
        let passwd = format!("root:x:0:0::{home_there}:/bin/sh\n");
        let liar = Liar::of(&image.clone().layer([Entry::file("etc/passwd", passwd)]).build());
        let out = Home::new().sh(&liar.name(), "echo $HOME");
        assert_eq!(out.ok(), seen);
        canary.untouched();
    }
}

#[test]
fn a_root_that_hides_its_own_layers() {
    // A whiteout of what every run needs, and of the root's own directories.
    let Some(image) = Image::busybox() else { return };
    let image = image
        .layer([
            Entry::folder("etc/"),
            Entry::folder("dev/"),
            Entry::folder("proc/"),
            Entry::folder("tmp/"),
        ])
        .layer(["etc", "dev", "proc", "tmp"].map(|name| Entry::file(format!(".wh.{name}"), "")));
    let liar = Liar::of(&image.clone().build());
    let script =
        "test -c /dev/null && test -d /proc/self && test -f /etc/hosts && echo x >/tmp/x && echo fine";
    assert_eq!(Home::new().sh(&liar.name(), script).ok(), "fine");
    let gone = Liar::of(&image.layer([Entry::file(".wh..wh..opq", "")]).build());
    Home::new().sh(&gone.name(), "echo ran").code(127);
}

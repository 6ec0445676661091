//! Images as roots: what their layers come to, what sbx adds to them, and whose their files are.

use super::liar::Liar;
use super::place::{Home, refused};
use crate::util::daemon;
use crate::util::image::{Built, Image, Packing};
use crate::util::tar::{Entry, Tar};
use crate::util::{is_root, range, skip};
use serde_json::json;

/// Has an image at the registry; gives a home and its name there.
fn there(image: &Built, repository: &str) -> Option<(Home, String)> {
    Some((Home::new(), daemon::plain()?.push(image, repository)))
}

#[test]
fn a_scratch_image_of_one_static_program_runs_under_every_profile() {
    let image = Image::attacker().build();
    let Some((home, name)) = there(&image, "scratch-like:1") else {
        return;
    };
    for profile in ["strict", "default", "build"] {
        let out = home.run(
            profile,
            &[],
            &name,
            &["getpid; openat -100 @s:/dev/null 2; getuid"],
        );
        assert_eq!(out.ok(), "getpid=2\nopenat=3\ngetuid=0", "{profile}");
    }
}

#[test]
fn an_image_without_directories_gets_what_every_program_expects() {
    let Some(image) = Image::busybox() else { return };
    let Some((home, name)) = there(&image.build(), "bare:1") else {
        return;
    };
    let script = "cat /etc/hostname; readlink /proc/self; echo x >/tmp/x && cat /tmp/x; test -c /dev/null && echo null; \
                  pwd; echo $HOME; ls / | busybox tr '\\n' ' '";
    for profile in ["strict", "default", "build"] {
        let said = home.run(profile, &[], &name, &["/bin/sh", "-c", script]).ok();
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines[0], "sbx", "{profile}: {said}");
        assert!(lines[1].parse::<u32>().is_ok(), "{profile}: {said}");
        assert_eq!(&lines[2..5], ["x", "null", "/"], "{profile}: {said}");
        assert_eq!(lines[6], "bin dev etc proc tmp ", "{profile}: {said}");
    }
}

#[test]
fn hosts_hostname_and_resolv_conf_lie_over_links_and_not_behind_them() {
    let Some(image) = Image::busybox() else { return };
    let image = image.layer([
        Entry::file("run/systemd/stub", "the image's own\n"),
        Entry::symlink("etc/resolv.conf", "../run/systemd/stub"),
        Entry::symlink("etc/hosts", "/run/systemd/stub"),
        Entry::symlink("etc/hostname", "/nowhere/at/all"),
        Entry::symlink("etc/mtab", "/proc/mounts"),
    ]);
    let Some((home, name)) = there(&image.build(), "links:1") else {
        return;
    };
    let script = "cat /etc/hostname; busybox head -n1 /etc/hosts; cat /run/systemd/stub; \
                  for f in hosts hostname resolv.conf; do test -L /etc/$f && echo link $f; done; test -e /nowhere || echo none";
    for profile in ["strict", "default", "build"] {
        let said = home
            .run(
                profile,
                &["--hostname", "here"],
                &name,
                &["/bin/sh", "-c", script],
            )
            .ok();
        assert_eq!(
            said, "here\n127.0.0.1\tlocalhost\nthe image's own\nnone",
            "{profile}"
        );
    }
}

#[test]
fn layers_come_to_one_tree() {
    let Some(image) = Image::busybox() else { return };
    let image = image
        .layer([
            Entry::file("gone", "1"),
            Entry::file("changed", "1"),
            Entry::folder("opaque/").mode(0o750),
            Entry::file("opaque/old", "1"),
            Entry::file("opaque/deep/old", "1"),
            Entry::file("tree/a/b", "1"),
            Entry::file("becomes-folder", "1"),
            Entry::folder("becomes-file/"),
            Entry::file("becomes-file/x", "1"),
            Entry::file("back", "1"),
        ])
        .layer([
            Entry::file(".wh.gone", ""),
            Entry::file("changed", "2"),
            Entry::folder("opaque/").mode(0o711),
            Entry::file("opaque/.wh..wh..opq", ""),
            Entry::file("opaque/new", "2"),
            Entry::file("tree/.wh.a", ""),
            Entry::folder("becomes-folder/"),
            Entry::file("becomes-folder/x", "2"),
            Entry::file("becomes-file", "2"),
            Entry::file(".wh.back", ""),
            Entry::file(".wh.never-was", ""),
        ])
        .layer([
            Entry::file("back", "3"),
            Entry::file("tree/a/c", "3"),
            // In an order of its own: what the layer itself has is not hidden by it.
            Entry::file("second/own", "3"),
            Entry::file("second/.wh..wh..opq", ""),
        ]);
    let Some((home, name)) = there(&image.build(), "trees:1") else {
        return;
    };
    let script = "cd / && find back becomes-file becomes-folder changed gone never-was opaque second tree 2>/dev/null | \
                  busybox sort; cat back changed becomes-file; stat -c %a opaque";
    let expected = "back\nbecomes-file\nbecomes-folder\nbecomes-folder/x\nchanged\nopaque\nopaque/new\nsecond\nsecond/own\n\
                    tree\ntree/a\ntree/a/c\n322711";
    for flags in [&[][..], &["--map", "caller"], &["--read-only"]] {
        let out = home.run("default", flags, &name, &["/bin/sh", "-c", script]);
        assert_eq!(out.ok(), expected, "{flags:?}");
    }
}

#[test]
fn what_is_written_is_gone_with_the_run() {
    let Some(image) = Image::busybox() else { return };
    let Some((home, name)) = there(&image.layer([Entry::file("file", "old")]).build(), "written:1") else {
        return;
    };
    let write = "echo new >/file; rm -rf /bin/ls; touch /new; cat /file";
    assert_eq!(home.sh(&name, write).ok(), "new");
    assert_eq!(
        home.sh(&name, "cat /file; test -e /new || ls /bin/ls").ok(),
        "old/bin/ls"
    );
    let out = home.run(
        "default",
        &["--read-only"],
        &name,
        &["/bin/sh", "-c", "touch /new"],
    );
    out.code(1).says("Read-only");
}

#[test]
fn sixty_layers_and_each_way_of_packing() {
    let Some(mut image) = Image::busybox() else { return };
    for n in 0..60 {
        let packing = [Packing::None, Packing::Gzip, Packing::Zstd][n % 3];
        let tar = Tar::new([
            Entry::file(format!("n/{n}"), "x"),
            Entry::file("last", n.to_string()),
        ]);
        image = image.packed(tar.bytes(), packing);
    }
    let Some((home, name)) = there(&image.build(), "sixty:1") else {
        return;
    };
    assert_eq!(home.sh(&name, "ls /n | busybox wc -l; cat /last").ok(), "60\n59");
}

#[test]
fn as_many_layers_as_overlay_takes() {
    let Some(mut image) = Image::busybox() else { return };
    for n in 1..500 {
        image = image.layer([
            Entry::file(format!("n/{n}"), ""),
            Entry::file("last", n.to_string()),
        ]);
    }
    let liar = Liar::of(&image.clone().build());
    let home = Home::new();
    assert_eq!(
        home.sh(&liar.name(), "ls /n | busybox wc -l; cat /last").ok(),
        "499\n499"
    );
    let more = Liar::of(&image.layer([Entry::file("last", "500")]).build());
    refused(
        &home.sh(&more.name(), "true"),
        &[&more.name(), "501 layers", "500"],
    );
}

#[test]
fn the_same_layer_twice_and_an_empty_one() {
    let Some(image) = Image::busybox() else { return };
    let twice = || [Entry::file("twice", "yes")];
    let image = image
        .layer(twice())
        .layer([Entry::file(".wh.twice", "")])
        .layer(twice())
        .layer([]);
    let liar = Liar::of(&image.build());
    assert_eq!(Home::new().sh(&liar.name(), "cat /twice").ok(), "yes");
}

#[test]
fn owners_are_seen_with_a_range_and_are_the_caller_without() {
    let Some(image) = Image::busybox() else { return };
    let image = image.layer([
        Entry::file("www", "").owner(33, 34).mode(0o640),
        Entry::folder("spool/").owner(8, 12).mode(0o2775),
        Entry::file("far", "").owner(65_000, 65_001),
    ]);
    let Some((home, name)) = there(&image.build(), "owners:1") else {
        return;
    };
    let show = "stat -c '%u %g %a' /www /spool /far; chown 33:34 /far && stat -c '%u %g' /far";
    let run = |flags: &[&str]| home.run("default", flags, &name, &["/bin/sh", "-c", show]);
    if range() {
        let flags = ["--map", "range", "--user", "root"];
        let seen = "33 34 640\n8 12 2775\n65000 65001 644";
        assert_eq!(run(&flags).ok(), format!("{seen}\n33 34"));
        let out = run(&[&flags[..], &["--cap-drop", "all"]].concat());
        assert_eq!(out.code(1).stdout().trim_end(), seen, "without the capability");
    }
    if is_root() {
        return skip("user", "the only id of root's own map is root's");
    }
    // One id: everything is root's, and giving it away is answered as done, for package managers.
    assert_eq!(run(&["--map", "caller"]).ok(), "0 0 640\n0 0 775\n0 0 644\n0 0");
}

#[test]
fn plan_and_why_say_what_of_the_image_decides() {
    let Some(image) = Image::busybox() else { return };
    let image = image.set("User", json!("33")).set("WorkingDir", json!("/srv"));
    let Some((home, name)) = there(&image.build(), "told:1") else {
        return;
    };
    home.pull(&name).ok();
    let plan = home.sbx(["plan", &name]).out().ok();
    for words in [
        name.as_str(),
        "overlay of the image's layer",
        "/etc/hosts",
        "/srv",
        "/bin/sh",
    ] {
        assert!(plan.contains(words), "`{words}` is not in\n{plan}");
    }
    let json = home.sbx(["plan", "--json", &name]).out().ok();
    serde_json::from_str::<serde_json::Value>(&json).expect("JSON");
    let why = |path: &str| home.sbx(["why", "--path", path, &name]).out().stdout();
    assert!(why("/bin/sh").contains("image"), "{}", why("/bin/sh"));
    assert!(why("/proc/1/root").contains("proc"), "{}", why("/proc/1/root"));
}

#[test]
fn set_id_bits_of_a_layer_stay_with_a_range_and_are_told_when_left_out() {
    let program = Entry::program("su", "x").mode(0o4755).owner(0, 0);
    let Some(image) = Image::busybox() else { return };
    let name = Liar::of(&image.layer([program]).build()).name();
    let told = "left out of the image's files: set-id bits (1)";
    // Root is given a range whatever it says.
    let one_id = if is_root() { "4755" } else { "755" };
    for (map, mode) in [("range", "4755"), ("caller", one_id)] {
        if map == "range" && !range() {
            continue;
        }
        let home = Home::new();
        let out = home.sbx(["pull", "--map", map, &name]).out();
        out.code(0);
        assert_eq!(
            out.stderr().contains(told),
            mode == "755",
            "{map}: {}",
            out.stderr()
        );
        let flags = ["--map", map];
        let script = "stat -c %a /su; grep -c '^[0-9]* [0-9]* [0-9:]* [^ ]* / .*nosuid' /proc/self/mountinfo; \
                      grep NoNewPrivs /proc/self/status";
        let out = home.run("default", &flags, &name, &["/bin/sh", "-c", script]);
        assert_eq!(out.ok(), format!("{mode}\n1\nNoNewPrivs:\t1"), "{map}");
    }
}

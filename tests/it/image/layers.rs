//! Layers that were made to break out while they are unpacked (THREATS 2b): each names a tree of the host that everybody may write to.
//! Unpacking by a tool that follows links changes that tree; the first test shows it with such a tool.

use super::liar::{Liar, answers};
use super::place::{Canary, Home, refused};
use crate::util::Out;
use crate::util::image::{Image, Packing};
use crate::util::tar::{Entry, Tar};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What the layer is made of, given the path of the tree.
type Make = fn(&Canary) -> Vec<Entry>;

/// Pulls and runs busybox with these layers on top; the tree is looked at by the caller.
fn tried(home: &Home, layers: Vec<Vec<Entry>>) -> Option<(Out, String)> {
    let image = layers.into_iter().fold(Image::busybox()?, Image::layer);
    let liar = Liar::of(&image.build());
    Some((home.sh(&liar.name(), "echo ran"), liar.name()))
}

/// Either it is refused in one line that names image and layer, and nothing has a name; or it runs. The tree is as it was.
#[track_caller]
fn harmless(what: &str, layers: Vec<Vec<Entry>>, canary: &Canary, expected: Expected) {
    let home = Home::new();
    let Some((out, name)) = tried(&home, layers) else {
        return;
    };
    canary.untouched();
    match expected {
        Refused(rule) => {
            refused(&out, &[&name, "layer ", rule]);
            let (index, layers) = home.holds();
            assert!(!index.contains("the/liar"), "{what}: {index}");
            assert!(layers.len() <= 1, "{what}: {layers:?}");
            home.sound();
        }
        Runs => assert_eq!(out.ok(), "ran", "{what}"),
    }
}

#[derive(Clone, Copy)]
enum Expected {
    Refused(&'static str),
    Runs,
}
use Expected::{Refused, Runs};

#[test]
fn a_tool_that_follows_links_would_change_the_tree() {
    // The control: what these layers try is possible here, and the tree's watcher sees it.
    let canary = Canary::new();
    let (root, tar) = (crate::util::Dir::new(), Tar::new(through_a_link(&canary)));
    let archive = root.write("layer.tar", tar.bytes());
    for line in [
        format!("cd {} && ln -s {} link", root.path().display(), canary.at("")),
        format!(
            "cd {} && tar -xf {} --keep-directory-symlink -P",
            root.path().display(),
            archive.display()
        ),
    ] {
        let done = std::process::Command::new("sh").args(["-c", &line]).status();
        assert!(done.expect("a shell").success());
    }
    assert!(Path::new(&canary.at("new")).exists());
    let watched = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| canary.untouched()));
    assert!(watched.is_err(), "the watcher sees a new file");
}

fn through_a_link(c: &Canary) -> Vec<Entry> {
    vec![Entry::symlink("link", c.at("")), Entry::file("link/new", "x")]
}

#[test]
fn links_are_not_followed_out() {
    let cases: [(&str, Make); 7] = [
        ("a link, and a file through it", through_a_link),
        ("a chain of links", |c| {
            vec![
                Entry::symlink("a", "b/c"),
                Entry::folder("b/"),
                Entry::symlink("b/c", c.at("")),
                Entry::file("a/new", "x"),
            ]
        }),
        ("upwards", |c| {
            let up = format!("{}{}", "../".repeat(40), c.at(""));
            vec![Entry::symlink("up", up), Entry::file("up/new", "x")]
        }),
        ("a folder over a link", |c| {
            vec![
                Entry::symlink("link", c.at("folder")),
                Entry::folder("link/").mode(0o700),
            ]
        }),
        ("a file over a link", |c| {
            vec![
                Entry::symlink("link", c.at("secret")),
                Entry::file("link", "changed"),
            ]
        }),
        ("a link through proc", |c| {
            let root = format!("/proc/self/root{}", c.at(""));
            vec![
                Entry::symlink("link", root),
                Entry::file("link/secret", "changed"),
            ]
        }),
        ("to the store's own files", |_| {
            vec![
                Entry::symlink("link", "/store"),
                Entry::file("link/index.json", "{}"),
            ]
        }),
    ];
    for (what, make) in cases {
        let canary = Canary::new();
        let home = Home::new();
        let Some((out, name)) = tried(&home, vec![make(&canary)]) else {
            return;
        };
        canary.untouched();
        if out.code == Some(125) {
            refused(&out, &[&name, "layer "]);
        } else {
            assert_eq!(out.ok(), "ran", "{what}");
            home.sound();
            assert!(
                home.holds().0.contains("the/liar"),
                "{what}: index.json is its own"
            );
        }
    }
}

#[test]
fn a_link_of_a_lower_layer_is_not_followed_by_an_upper_one() {
    let canary = Canary::new();
    let lower = vec![
        Entry::symlink("link", canary.at("")),
        Entry::symlink("file", canary.at("secret")),
    ];
    let upper = vec![
        Entry::file("link/new", "x"),
        Entry::file("file", "changed"),
        Entry::file("link/.wh.secret", ""),
    ];
    harmless("two layers", vec![lower, upper], &canary, Runs);
}

#[test]
fn names_that_lead_out_are_refused() {
    let cases: [(&str, Make, Expected); 7] = [
        ("..", |_| vec![Entry::file("../../new", "x")], Refused("..")),
        (
            "a/..",
            |_| vec![Entry::file("a/../../../new", "x")],
            Refused(".."),
        ),
        // Below the root of the layer, as every tool has it.
        ("absolute", |c| vec![Entry::file(c.at("secret"), "changed")], Runs),
        (
            "pax path",
            |c| vec![Entry::file("fine", "x").pax("path", format!("../../../..{}", c.at("secret")))],
            Refused(".."),
        ),
        (
            "a long name",
            |c| {
                vec![Entry::file(
                    format!("{}{}", "../".repeat(60), c.at("secret")),
                    "x",
                )]
            },
            Refused(".."),
        ),
        (
            "pax link",
            |c| vec![Entry::hardlink("fine", "x").pax("linkpath", format!("../../../..{}", c.at("secret")))],
            Refused(".."),
        ),
        (
            "NUL",
            |_| vec![Entry::file("fine", "x").pax("path", "a\0b")],
            Refused("NUL"),
        ),
    ];
    for (what, make, expected) in cases {
        let canary = Canary::new();
        harmless(what, vec![make(&canary)], &canary, expected);
    }
}

#[test]
fn hard_links_reach_nothing_of_the_host() {
    let cases: [(&str, Make); 4] = [
        ("absolute", |c| vec![Entry::hardlink("secret", c.at("secret"))]),
        ("through a link", |c| {
            vec![
                Entry::symlink("link", c.at("")),
                Entry::hardlink("secret", "link/secret"),
            ]
        }),
        ("to a link, then written", |c| {
            vec![
                Entry::symlink("link", c.at("secret")),
                Entry::hardlink("hard", "link"),
                Entry::file("hard", "changed"),
            ]
        }),
        ("to a link, then its mode", |c| {
            vec![
                Entry::symlink("link", c.at("secret")),
                Entry::hardlink("hard", "link").mode(0o777),
            ]
        }),
    ];
    for (what, make) in cases {
        let (canary, home) = (Canary::new(), Home::new());
        let Some((out, name)) = tried(&home, vec![make(&canary)]) else {
            return;
        };
        canary.untouched();
        if out.code == Some(125) {
            refused(&out, &[&name, "layer "]);
        } else {
            assert_eq!(out.ok(), "ran", "{what}");
        }
    }
}

#[test]
fn cve_2021_29136_the_root_of_a_layer_stays_a_directory() {
    for name in [".", "/", "./", ""] {
        let canary = Canary::new();
        let link = vec![Entry::symlink(name, canary.at("")), Entry::file("new", "x")];
        harmless(name, vec![link], &canary, Refused(""));
    }
}

/// A link, and an empty file besides.
fn linked(to: String, file: &str) -> Vec<Entry> {
    vec![Entry::symlink("link", to), Entry::file(file, "")]
}

#[test]
fn whiteouts_remove_nothing_of_the_host() {
    let cases: [(&str, Make, Expected); 6] = [
        (".", |_| vec![Entry::file(".wh..", "")], Refused("")),
        ("..", |_| vec![Entry::file(".wh...", "")], Refused("")),
        ("nothing", |_| vec![Entry::file(".wh.", "")], Refused("")),
        (
            "opaque through a link",
            |c| linked(c.at(""), "link/.wh..wh..opq"),
            Refused("symlink"),
        ),
        (
            "through a link",
            |c| linked(c.at(""), "link/.wh.secret"),
            Refused("symlink"),
        ),
        ("of a link", |c| linked(c.at("folder"), ".wh.link"), Runs),
    ];
    for (what, make, expected) in cases {
        let canary = Canary::new();
        harmless(what, vec![make(&canary)], &canary, expected);
    }
}

#[test]
fn cve_2021_32760_modes_owners_times_and_attributes_go_through_no_link() {
    let canary = Canary::new();
    let target = canary.at("folder");
    let layer = vec![
        Entry::symlink("link", &target).mode(0o4777).owner(1, 1),
        Entry::folder("link/")
            .mode(0o4777)
            .owner(1, 1)
            .pax("SCHILY.xattr.user.x", "y"),
        Entry::symlink("link2", &target).pax("SCHILY.xattr.user.x", "y"),
    ];
    harmless("a folder over a link", vec![layer], &canary, Runs);
}

/// Every file that the store has unpacked.
fn unpacked(home: &Home) -> Vec<PathBuf> {
    let mut waiting: Vec<PathBuf> = home
        .holds()
        .1
        .into_iter()
        .map(|layer| layer.join("tree"))
        .collect();
    let mut all = Vec::new();
    while let Some(path) = waiting.pop() {
        if path.symlink_metadata().expect("a file").is_dir() {
            waiting.extend(
                std::fs::read_dir(&path)
                    .expect("a directory")
                    .map(|e| e.expect("an entry").path()),
            );
        }
        all.push(path);
    }
    all
}

#[test]
fn what_a_layer_loses_is_told_in_one_line() {
    let layers = [
        vec![
            Entry::device("zero", 1, 5),
            Entry::device("dev", 8, 1).pax("SCHILY.xattr.security.selinux", "x"),
        ],
        vec![Entry::program("capable", "x").pax("SCHILY.xattr.security.capability", "x")],
        vec![Entry::file("mine", "x").pax("SCHILY.xattr.user.mine", "x")],
    ];
    let (home, quiet) = (Home::new(), Home::new());
    let image = layers.into_iter().fold(Image::new(), Image::layer);
    let name = Liar::of(&image.build()).name();
    let told = "left out of the image's files: capabilities of programs (1), other extended attributes (1), devices, \
                for which empty files stand (2)";
    let out = home.sbx(["pull", &name]).out();
    let lines = out.says(told).stderr();
    assert_eq!(
        lines.lines().filter(|line| line.contains("left out")).count(),
        1,
        "{lines}"
    );
    let again = home.sbx(["pull", &name]).out();
    again.code(0);
    assert!(!again.stderr().contains("left out"), "it is unpacked once");
    // Who has not read it finds it again.
    let said = home.sbx(["inspect", &name]).out().ok();
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    let of = |layer: usize| said[0]["layers"][layer]["unpacked"][0]["leftOut"].clone();
    assert_eq!(
        (of(0)["devices"].as_u64(), of(0)["attributes"].as_u64()),
        (Some(2), Some(1))
    );
    assert_eq!(
        (of(1)["capabilities"].as_u64(), of(1)["devices"].as_u64()),
        (Some(1), Some(0))
    );
    assert_eq!(of(2)["attributes"], 0);
    assert_eq!(quiet.pull(&name).stderr(), "");
}

#[test]
fn device_nodes_set_id_files_and_overlays_own_attributes_are_harmless() {
    let capability = b"\x01\0\0\x02\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xff\0\0\0\0";
    let layer = vec![
        Entry::device("kmsg", 1, 11),
        Entry::device("zero", 1, 5),
        Entry::device("gone", 0, 0),
        Entry::fifo("pipe"),
        Entry::program("setuid", "#!/bin/sh\n").mode(0o6755).owner(0, 0),
        Entry::program("capable", "x").pax("SCHILY.xattr.security.capability", capability),
        Entry::folder("shown/").pax("SCHILY.xattr.user.overlay.opaque", "y"),
        Entry::file("moved", "x").pax("SCHILY.xattr.user.overlay.redirect", "/bin/sh"),
        Entry::file("meta", "x").pax("SCHILY.xattr.trusted.overlay.metacopy", ""),
    ];
    let below = vec![
        Entry::file("shown/below", "x"),
        Entry::file("gone", "still there"),
    ];
    let (home, canary) = (Home::new(), Canary::new());
    let Some((out, name)) = tried(&home, vec![below, layer]) else {
        return;
    };
    canary.untouched();
    assert_eq!(out.ok(), "ran");
    // Nobody but the owner comes near the set-id file, whatever its mode.
    let store = std::fs::metadata(home.store()).expect("the store");
    assert_eq!(store.permissions().mode() & 0o777, 0o700);
    for path in unpacked(&home) {
        let meta = path.symlink_metadata().expect("a file");
        let node = meta.file_type().is_char_device() || meta.file_type().is_block_device();
        assert!(!node || meta.rdev() == 0, "{}", path.display());
        let capable = sbx::sys::fs::path_has_attribute(&path, c"security.capability");
        assert!(!capable.unwrap_or(false), "{}", path.display());
    }
    let script = "test -c /kmsg && echo node; cat /zero 2>/dev/null | busybox head -c 3; cat /shown/below; test -f /gone && echo placeholder; \
                  busybox grep -c . /moved; /setuid; grep NoNewPrivs /proc/self/status";
    let script = script.replace("grep NoNew", "busybox grep NoNew");
    let out = home.sh(&name, &script);
    assert_eq!(out.ok(), "xplaceholder\n1\nNoNewPrivs:\t1", "{}", out.stderr());
}

#[test]
fn layers_that_are_not_what_they_are_said_to_be_are_refused() {
    let Some(image) = Image::busybox() else { return };
    let tar = Tar::new([Entry::file("file", "x".repeat(5000))]).bytes();
    let built = image.clone().packed(tar.clone(), Packing::Gzip).build();
    let blob = built.layer(1);
    let path = format!("blobs/{blob}");
    let bytes = built.blobs[&blob].clone();
    let mut flipped = bytes.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for (what, served, rule) in [
        (
            "swapped",
            b"something else, and longer than what was meant to be there".to_vec(),
            "refused",
        ),
        ("a bit", flipped, "digest"),
        ("cut", bytes[..bytes.len() - 1].to_vec(), "bytes"),
        ("longer", [bytes.as_slice(), b"x"].concat(), "bytes"),
        ("empty", Vec::new(), "bytes"),
    ] {
        let mut all = answers(&built);
        all.get_mut(&path).expect("the layer").1 = served;
        let (home, liar) = (Home::new(), Liar::with(all));
        let out = home.sh(&liar.name(), "echo ran");
        let short = blob.split(':').nth(1).expect("hex")[..12].to_owned();
        refused(&out, &[&liar.name(), &short]);
        assert!(!home.holds().0.contains("the/liar"), "{what} {rule}");
        home.sound();
    }
}

#[test]
fn sizes_and_diff_ids_that_lie_are_refused() {
    let Some(image) = Image::busybox() else { return };
    let image = image.layer([Entry::file("file", "x")]);
    let honest = image.clone().build();
    for size in [1u64, 1 << 20] {
        let lying = honest.clone().edit(|m| m["layers"][1]["size"] = size.into());
        let (home, liar) = (Home::new(), Liar::of(&lying));
        refused(&home.sh(&liar.name(), "echo ran"), &[&liar.name(), "bytes"]);
        home.sound();
    }
    let mut lying = image.clone();
    let other = sbx::model::Digest::of(b"another layer").to_string();
    let first = serde_json::from_slice::<serde_json::Value>(&honest.manifest).expect("JSON");
    let config = &honest.blobs[first["config"]["digest"].as_str().expect("a digest")];
    let config: serde_json::Value = serde_json::from_slice(config).expect("JSON");
    lying.config["rootfs"] = config["rootfs"].clone();
    lying.config["rootfs"]["diff_ids"][1] = other.into();
    let (home, liar) = (Home::new(), Liar::of(&lying.build()));
    refused(
        &home.sh(&liar.name(), "echo ran"),
        &[&liar.name(), "layer ", "unpacks to", "config says"],
    );
    assert!(!home.holds().0.contains("the/liar"));
    // The honest one works in the same store, and what was refused has left nothing in its way.
    assert_eq!(home.sh(&Liar::of(&honest).name(), "echo ran").ok(), "ran");
}

#[test]
fn bombs_are_refused_before_they_fill_the_disk() {
    let Some(image) = Image::busybox() else { return };
    // Some hundred kilobytes that are a thousand times as many.
    let bomb = Tar::new([Entry::file("zeroes", vec![0; 100 << 20])]).bytes();
    for packing in [Packing::Gzip, Packing::Zstd] {
        let (home, liar) = (
            Home::new(),
            Liar::of(&image.clone().packed(bomb.clone(), packing).build()),
        );
        refused(
            &home.sh(&liar.name(), "echo ran"),
            &[&liar.name(), "layer ", "200"],
        );
        let kept: u64 = unpacked(&home)
            .iter()
            .filter_map(|p| p.symlink_metadata().ok())
            .map(|m| m.len())
            .sum();
        assert!(kept < 8 << 20, "{kept} bytes");
    }
    let deep = Entry::file("d/".repeat(300) + "f", "x");
    let long = Entry::file("x", "").pax("path", "n/".repeat(2500));
    for (entry, rule) in [(deep, "256"), (long, "4095")] {
        let (home, liar) = (Home::new(), Liar::of(&image.clone().layer([entry]).build()));
        refused(
            &home.sh(&liar.name(), "echo ran"),
            &[&liar.name(), "layer ", rule],
        );
    }
}

#[test]
fn names_in_layers_do_not_act_on_the_terminal() {
    let Some(image) = Image::busybox() else { return };
    let evil = "\x1b]0;title\x07\u{202e}\n";
    for entry in [
        Entry::file(format!("{evil}/../x"), "x"),
        Entry::hardlink(format!("a{evil}"), format!("b{evil}")),
        Entry::file(format!("{evil}{}", "x".repeat(300)), "x"),
    ] {
        let liar = Liar::of(&image.clone().layer([entry]).build());
        refused(
            &Home::new().sh(&liar.name(), "echo ran"),
            &[&liar.name(), "layer "],
        );
    }
}

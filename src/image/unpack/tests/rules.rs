//! What each entry becomes.

use super::Room;
use super::archive::{Tar, head};
use crate::image::limits::Limits;
use crate::image::owner::Ownership;
use crate::image::owner::{Device, Owner};
use crate::sys::tree::attribute;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

pub(super) fn value(path: &Path, name: &std::ffi::CStr) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 1 << 16];
    let n = attribute(fs::File::open(path).expect("a file").as_fd(), name, &mut buffer).ok()?;
    buffer.truncate(n);
    Some(buffer)
}

fn opaque(path: &Path) -> bool {
    value(path, c"user.overlay.opaque") == Some(b"y".to_vec())
}

fn whiteout(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_char_device() && m.rdev() == 0)
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("an entry").mode() & 0o7777
}

#[test]
fn a_plain_layer_is_unpacked() {
    let room = Room::new();
    let unpacked = room.single(
        Tar::default()
            .put(head(b'5', "./").mode(0o751))
            .put(head(b'5', "etc/").mode(0o555))
            .file("etc/passwd", b"root:x:0:0\n")
            .symlink("etc/link", "/etc/passwd")
            .hard_link("etc/hard", "./etc/passwd")
            .put(head(b'6', "fifo").mode(0o600)),
    );
    assert_eq!((unpacked.entries, unpacked.bytes), (6, 11));
    assert_eq!(fs::read(room.at("etc/hard")).expect("a file"), b"root:x:0:0\n");
    assert_eq!(fs::metadata(room.at("etc/passwd")).expect("a file").nlink(), 2);
    assert_eq!(
        fs::read_link(room.at("etc/link")).expect("a link"),
        Path::new("/etc/passwd")
    );
    assert_eq!((mode(&room.root()), mode(&room.at("etc"))), (0o751, 0o555));
    assert!(
        fs::symlink_metadata(room.at("fifo"))
            .expect("a fifo")
            .file_type()
            .is_fifo()
    );
    for name in ["", "etc", "etc/passwd", "etc/link", "fifo"] {
        let meta = fs::symlink_metadata(room.at(name)).expect(name);
        assert_eq!(meta.mtime(), 1_000_000_000, "{name}");
    }
    assert!(unpacked.owners.is_empty());
}

#[test]
fn lacking_directories_are_made_and_take_their_metadata_whenever_it_comes() {
    let room = Room::new();
    room.single(
        Tar::default()
            .file("/a/b/f", b"1")
            .put(head(b'5', "a").mode(0o500))
            .file("a/g", b"2")
            .directory("a/b"),
    );
    assert_eq!(
        (mode(&room.at("a")), mode(&room.at("a/b")), mode(&room.root())),
        (0o500, 0o755, 0o755)
    );
    assert_eq!(fs::metadata(room.at("a")).expect("a").mtime(), 1_000_000_000);
    assert_eq!(fs::read(room.at("a/g")).expect("a file"), b"2");
}

#[test]
fn names_are_bytes() {
    let room = Room::new();
    let long = "x".repeat(200);
    room.single(
        Tar::default()
            .pax(&[("path", b"a\nb/\xff\x1b")])
            .file("other", b"1")
            .entry(
                head(b'L', "././@LongLink"),
                [long.as_bytes(), b"\0"].concat().as_slice(),
            )
            .file("cut", b"2")
            .entry(head(b'K', "././@LongLink"), long.as_bytes())
            .symlink("link", "cut"),
    );
    let name = std::ffi::OsStr::from_bytes(b"a\nb/\xff\x1b");
    assert_eq!(fs::read(room.root().join(name)).expect("a file"), b"1");
    assert_eq!(fs::read(room.at(&long)).expect("a file"), b"2");
    assert_eq!(fs::read_link(room.at("link")).expect("a link"), Path::new(&long));
}

#[test]
fn an_entry_takes_the_place_of_another_kind() {
    type Make = fn(Tar, &str) -> Tar;
    let kinds: [(&str, Make); 5] = [
        ("file", |t, n| t.file(n, b"x")),
        ("directory", |t, n| t.directory(n).file(&format!("{n}/in"), b"in")),
        ("symlink", |t, n| t.symlink(n, "target")),
        ("hard link", |t, n| t.hard_link(n, "target")),
        ("fifo", |t, n| t.put(head(b'6', n))),
    ];
    for (first, make_first) in kinds {
        for (second, make_second) in kinds {
            let (one, two) = (Room::new(), Room::new());
            let begin = || {
                Tar::default()
                    .directory("")
                    .directory("target")
                    .file("target", b"t")
                    .file("sub/k", b"k")
            };
            one.single(make_second(make_first(begin(), "sub/n"), "sub/n").directory("sub"));
            two.single(make_second(begin(), "sub/n").directory("sub"));
            assert_eq!(
                super::tree(&one.root()),
                super::tree(&two.root()),
                "{second} over {first}"
            );
        }
    }
}

#[test]
fn a_directory_over_a_directory_keeps_what_is_in_it() {
    let room = Room::new();
    room.single(
        Tar::default()
            .directory("d")
            .file("d/f", b"1")
            .put(head(b'5', "d").mode(0o700)),
    );
    assert_eq!(
        (mode(&room.at("d")), fs::read(room.at("d/f")).expect("a file")),
        (0o700, b"1".to_vec())
    );
}

#[test]
fn a_replaced_directory_leaves_nothing_in_the_books() {
    let room = Room::new();
    let unpacked = room.single(
        Tar::default()
            .put(head(b'5', "d").mode(0o700).owner(7, 7))
            .put(head(b'0', "d/f").owner(5, 5))
            .file("d", b"x")
            .directory("d")
            .file("d/f", b"y"),
    );
    assert_eq!(unpacked.owners, []);
    assert_eq!(mode(&room.at("d")), 0o755);
}

#[test]
fn a_link_of_the_layer_is_resolved_inside() {
    let room = Room::new();
    room.single(
        Tar::default()
            .directory("usr/lib")
            .symlink("lib", "usr/lib")
            .symlink("up", "../../../../usr")
            .symlink("usr/back", "/lib")
            .file("lib/new/a", b"a")
            .file("up/b", b"b")
            .file("usr/back/c", b"c")
            .put(head(b'5', "lib/new").mode(0o711))
            .hard_link("lib/d", "up/lib/c"),
    );
    for (name, content) in [
        ("usr/lib/new/a", "a"),
        ("usr/b", "b"),
        ("usr/lib/c", "c"),
        ("usr/lib/d", "c"),
    ] {
        assert_eq!(fs::read(room.at(name)).expect(name), content.as_bytes(), "{name}");
    }
    assert!(fs::symlink_metadata(room.at("lib")).expect("lib").is_symlink());
    assert_eq!(mode(&room.at("usr/lib/new")), 0o711);
}

#[test]
fn a_replaced_link_no_longer_leads_anywhere() {
    let room = Room::new();
    let tar = Tar::default()
        .directory("a")
        .directory("b")
        .symlink("l", "a")
        .file("l/1", b"1");
    room.single(
        tar.symlink("l", "b")
            .file("l/2", b"2")
            .directory("l")
            .file("l/3", b"3"),
    );
    for name in ["a/1", "b/2", "l/3"] {
        assert!(room.at(name).exists(), "{name}");
    }
}

#[test]
fn set_id_bits_and_owners_stand_beside_the_callers_files() {
    let room = Room::new();
    let unpacked = room.single(
        Tar::default()
            .put(head(b'0', "su").mode(0o4755))
            .put(head(b'5', "mail").mode(0o3775).owner(0, 8))
            .put(head(b'0', "mail/x").mode(0o640).owner(8, 8))
            .hard_link("y", "mail/x")
            .put(head(b'2', "l").link("x").owner(3, 4)),
    );
    assert_eq!((mode(&room.at("su")), mode(&room.at("mail"))), (0o755, 0o1775));
    assert_eq!(unpacked.dropped.set_ids, 2);
    let owner = |path: &str, uid, gid, mode| Owner {
        path: path.into(),
        uid,
        gid,
        mode,
        device: None,
    };
    assert_eq!(
        unpacked.owners,
        [
            owner("l", 3, 4, 0o777),
            owner("mail", 0, 8, 0o3775),
            owner("mail/x", 8, 8, 0o640),
            owner("su", 0, 0, 0o4755),
            owner("y", 8, 8, 0o640),
        ]
    );
    let me = nix::unistd::geteuid().as_raw();
    assert!(
        super::tree(&room.root())
            .values()
            .all(|text| text.contains(&format!(" {me}:")))
    );
}

#[test]
fn owners_are_the_files_own_when_they_are_mapped() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let room = Room::new();
    let tar = Tar::default()
        .put(head(b'5', "").owner(1, 2))
        .put(head(b'0', "su").mode(0o6755).owner(3, 4))
        .put(head(b'5', "d").mode(0o2775).owner(5, 6))
        .put(head(b'2', "l").link("x").owner(7, 8))
        .put(head(b'6', "p").owner(9, 10))
        .hard_link("h", "su");
    let unpacked = room
        .unpack(&tar.end(), Ownership::Mapped, &Limits::default())
        .expect("a layer");
    for (name, uid, gid, bits) in [
        ("", 1, 2, 0o755),
        ("su", 3, 4, 0o6755),
        ("d", 5, 6, 0o2775),
        ("l", 7, 8, 0o777),
        ("p", 9, 10, 0o644),
        ("h", 3, 4, 0o6755),
    ] {
        let meta = fs::symlink_metadata(room.at(name)).expect(name);
        assert_eq!(
            (meta.uid(), meta.gid(), meta.mode() & 0o7777),
            (uid, gid, bits),
            "{name}"
        );
    }
    assert_eq!(unpacked.owners, []);
}

#[test]
fn devices_are_empty_files_and_are_noted() {
    let room = Room::new();
    let mut null = head(b'3', "dev/null").mode(0o666).owner(0, 5);
    null.device = (1, 3);
    let mut disk = head(b'4', "dev/sda");
    disk.device = (8, 0);
    let unpacked = room.single(Tar::default().put(null).put(disk).put(head(b'3', "zero")));
    for name in ["dev/null", "dev/sda", "zero"] {
        let meta = fs::symlink_metadata(room.at(name)).expect(name);
        assert!(
            meta.is_file() && meta.len() == 0 && meta.mode() & 0o7777 == 0,
            "{name}"
        );
    }
    let found: Vec<_> = unpacked
        .owners
        .iter()
        .map(|o| (o.device, o.mode, o.gid))
        .collect();
    let device = |block, major, minor| Some(Device { block, major, minor });
    assert_eq!(
        found,
        [
            (device(false, 1, 3), 0o666, 5),
            (device(true, 8, 0), 0o644, 0),
            (device(false, 0, 0), 0o644, 0),
        ]
    );
    assert_eq!(unpacked.dropped.devices, 3);
}

#[test]
fn only_a_users_own_attributes_are_kept() {
    let room = Room::new();
    let records = |list: &[&str]| -> Vec<(String, Vec<u8>)> {
        list.iter()
            .map(|n| (format!("SCHILY.xattr.{n}"), b"v\n\0".to_vec()))
            .collect()
    };
    let kept = ["user.a", "user.overlayed", "user.containers"];
    let dropped = [
        "user.overlay.opaque",
        "user.overlay.whiteout",
        "user.fuseoverlayfs.opaque",
        "user.containers.override_stat",
        "security.capability",
        "security.selinux",
        "trusted.overlay.opaque",
        "system.posix_acl_access",
        "user.",
        "overlay.opaque",
    ];
    let all = [records(&kept), records(&dropped)].concat();
    let all: Vec<(&str, &[u8])> = all.iter().map(|(k, v)| (k.as_str(), &v[..])).collect();
    let tar = Tar::default()
        .pax(&all)
        .put(head(b'0', "f").mode(0o444))
        .pax(&all)
        .put(head(b'5', "d").mode(0o555));
    let unpacked = room.single(tar.pax(&all).symlink("l", "f"));
    assert_eq!(unpacked.dropped.capabilities, 3);
    assert_eq!(unpacked.dropped.attributes, 9 + 9 + 12);
    for name in ["f", "d"] {
        for attribute in [c"user.a", c"user.overlayed", c"user.containers"] {
            assert_eq!(
                value(&room.at(name), attribute).as_deref(),
                Some(&b"v\n\0"[..]),
                "{name}"
            );
        }
        assert_eq!(value(&room.at(name), c"user.overlay.opaque"), None);
        assert_eq!(value(&room.at(name), c"security.capability"), None);
        assert_eq!(value(&room.at(name), c"trusted.overlay.opaque"), None);
    }
}

#[test]
fn whiteouts_hide_what_lower_layers_have() {
    let room = Room::new();
    let unpacked = room.single(
        Tar::default()
            .file("a/.wh.gone", b"")
            .file("d/.wh..wh..opq", b"")
            .file("d/new", b"1")
            .file(".wh..wh.plnk/1.2", b"aufs")
            .file(".wh..wh.aufs", b""),
    );
    assert!(whiteout(&room.at("a/gone")) && !opaque(&room.at("a")));
    assert!(opaque(&room.at("d")) && room.at("d/new").exists());
    assert_eq!((unpacked.dropped.aufs, unpacked.opaque), (2, false));
    assert_eq!(fs::read_dir(room.root()).expect("the root").count(), 2);
    let root = Room::new();
    assert!(root.single(Tar::default().file(".wh..wh..opq", b"")).opaque);
}

#[test]
fn an_entry_wins_over_a_whiteout_whichever_comes_first() {
    type Make = fn(Tar) -> Tar;
    let cases: [(&str, Make, bool); 4] = [
        ("file", |t| t.file("n", b"x"), false),
        ("symlink", |t| t.symlink("n", "x"), false),
        ("directory", |t| t.directory("n"), true),
        ("what is in a directory", |t| t.file("n/f", b"x"), true),
    ];
    for (what, make, hides) in cases {
        let hide = |tar: Tar| tar.file(".wh.n", b"");
        for tar in [
            make(hide(Tar::default())),
            hide(make(Tar::default())),
            hide(make(hide(Tar::default()))),
        ] {
            let room = Room::new();
            room.single(tar);
            assert!(
                !whiteout(&room.at("n")) && fs::symlink_metadata(room.at("n")).is_ok(),
                "{what}"
            );
            assert_eq!(hides && opaque(&room.at("n")), hides, "{what}");
        }
    }
}

#[test]
fn times_reach_before_1970_and_below_a_second() {
    let room = Room::new();
    let tar = Tar::default()
        .pax(&[("mtime", b"-1.25")])
        .file("f", b"")
        .pax(&[("mtime", b"7.5")])
        .symlink("l", "f");
    room.single(tar.pax(&[("mtime", b"8.000000001")]).directory("d"));
    for (name, seconds, rest) in [("f", -2, 750_000_000), ("l", 7, 500_000_000), ("d", 8, 1)] {
        let meta = fs::symlink_metadata(room.at(name)).expect(name);
        assert_eq!((meta.mtime(), meta.mtime_nsec()), (seconds, rest), "{name}");
    }
}

//! Layers that are made to reach outside, or to hurt. Every room's canary is compared after each.

use super::archive::{Tar, head, record};
use super::{Room, said};
use crate::image::limits::Limits;
use crate::image::owner::Ownership;
use crate::model::Bytes;
use std::fs;

type Make = Box<dyn Fn(Tar) -> Tar>;

/// Every way to name the canary through a link of the layer, in place of `NAME` below.
fn ways(room: &Room) -> Vec<(String, String)> {
    let canary = room.canary();
    let beside = "../canary".to_owned();
    vec![
        ("absolute".into(), canary.clone()),
        ("beside".into(), beside),
        ("far".into(), format!("{}{canary}", "../".repeat(30))),
    ]
}

/// Entries of every kind beneath or in the place of a link.
fn entries(name: &str) -> Vec<(String, Make)> {
    let name = name.to_owned();
    let mut list: Vec<(String, Make)> = Vec::new();
    for beneath in ["", "/f", "/d/f", "/new", "/l"] {
        let path = format!("{name}{beneath}");
        for (what, flag) in [
            ("file", b'0'),
            ("directory", b'5'),
            ("fifo", b'6'),
            ("device", b'3'),
        ] {
            let path = path.clone();
            let head = head(flag, &path).mode(0o777).owner(1, 1);
            list.push((
                format!("{what} {path}"),
                Box::new(move |t| t.entry(head.clone(), b"")),
            ));
        }
        let links = path.clone();
        list.push((
            format!("symlink {path}"),
            Box::new(move |t| t.symlink(&links, "elsewhere")),
        ));
        let links = path.clone();
        list.push((
            format!("hard link {path}"),
            Box::new(move |t| t.hard_link(&links, "mine")),
        ));
        let to = path.clone();
        list.push((
            format!("hard link to {path}, then a file"),
            Box::new(move |t| t.hard_link("h", &to).file("h", b"changed")),
        ));
        let (parent, base) = path.rsplit_once('/').map_or(("", &path[..]), |(p, b)| (p, b));
        let whiteout = format!("{parent}/.wh.{base}");
        list.push((
            format!("whiteout of {path}"),
            Box::new(move |t| t.file(&whiteout, b"")),
        ));
        let opaque = format!("{path}/.wh..wh..opq");
        list.push((format!("opaque {path}"), Box::new(move |t| t.file(&opaque, b""))));
        let changed = path.clone();
        list.push((
            format!("attributes of {path}"),
            Box::new(move |t| {
                t.pax(&[("SCHILY.xattr.user.x", b"y"), ("mtime", b"5")])
                    .directory(&changed)
            }),
        ));
    }
    list
}

#[test]
fn nothing_reaches_through_a_link() {
    for way in 0..ways(&Room::new()).len() {
        for (what, make) in entries("x") {
            let room = Room::new();
            let (how, target) = ways(&room).swap_remove(way);
            let begin = || Tar::default().file("mine", b"m");
            // A chain, so that the link itself is one that was resolved.
            for tar in [
                begin().symlink("x", &target),
                begin().symlink("y", &target).symlink("x", "y"),
                begin().symlink("x", &format!("{target}/f")),
                begin().directory("s").symlink("s/x", &target).symlink("x", "s/x"),
            ] {
                for ownership in [Ownership::Single, Ownership::Mapped] {
                    // Refused or kept inside: the room looks at its canary either way.
                    if let Err(error) = room.unpack(&make(tar.clone()).end(), ownership, &Limits::default()) {
                        let why = said(&error);
                        assert!(!why.contains("canary\""), "{how}: {what}: {why}");
                    }
                    fs::remove_dir_all(room.root()).expect("a tree");
                    fs::create_dir(room.root()).expect("a directory");
                }
            }
        }
    }
}

#[test]
fn names_that_lead_out_are_refused() {
    let out = [
        "../canary/f",
        "a/../../canary/f",
        "/../canary/f",
        "..",
        "a/..",
        "./../x",
    ];
    for name in out {
        let forms: Vec<(&str, Tar)> = vec![
            ("file", Tar::default().file(name, b"x")),
            ("directory", Tar::default().directory(name)),
            ("symlink", Tar::default().symlink(name, "x")),
            ("link to", Tar::default().hard_link("x", name)),
            (
                "pax path",
                Tar::default().pax(&[("path", name.as_bytes())]).file("ok", b"x"),
            ),
            (
                "pax link",
                Tar::default()
                    .pax(&[("linkpath", name.as_bytes())])
                    .hard_link("x", "ok"),
            ),
            (
                "long name",
                Tar::default()
                    .entry(head(b'L', "L"), name.as_bytes())
                    .file("ok", b"x"),
            ),
            (
                "long link",
                Tar::default()
                    .entry(head(b'K', "K"), name.as_bytes())
                    .hard_link("x", "ok"),
            ),
            ("whiteout", Tar::default().file(&format!("{name}/.wh.x"), b"")),
            (
                "opaque",
                Tar::default().file(&format!("{name}/.wh..wh..opq"), b""),
            ),
            (
                "sparse name",
                Tar::default()
                    .pax(&[
                        ("GNU.sparse.map", b"0,0"),
                        ("GNU.sparse.size", b"0"),
                        ("GNU.sparse.name", name.as_bytes()),
                    ])
                    .file("ok", b""),
            ),
        ];
        for (what, tar) in forms {
            let why = Room::new().refused(tar);
            assert!(why.contains(".."), "{what} {name}: {why}");
        }
    }
}

#[test]
fn what_cannot_be_is_refused_with_a_reason() {
    let deep = "d/".repeat(300);
    let long = "x/".repeat(2100);
    let big = vec![b'0'; (1 << 20) + 1];
    let mut huge = head(b'x', "p");
    huge.size = 1 << 40;
    let mut wide = head(b'L', "p");
    wide.size = 8 << 30;
    let cases: Vec<(&str, Tar)> = vec![
        ("root of a layer", Tar::default().symlink(".", "/")),
        ("root of a layer", Tar::default().file("/", b"x")),
        ("root of a layer", Tar::default().hard_link("./", "x")),
        (
            "root of a layer",
            Tar::default().pax(&[("path", b"./")]).symlink("x", "/etc"),
        ),
        ("no NUL", Tar::default().pax(&[("path", b"a\0b")]).file("x", b"")),
        (
            "no NUL",
            Tar::default().entry(head(b'L', "L"), b"a\0b\0").file("x", b""),
        ),
        (
            "without NUL",
            Tar::default().pax(&[("linkpath", b"a\0b")]).symlink("x", "y"),
        ),
        ("at least one byte", Tar::default().symlink("x", "")),
        ("at least one byte", Tar::default().hard_link("x", "")),
        ("not in this layer", Tar::default().hard_link("x", "y")),
        ("not in this layer", Tar::default().hard_link("x", "a/b/y")),
        (
            "`x`: it is a hard link to `y`, which comes later in the archive",
            Tar::default().hard_link("x", "./y").file("z", b"").file("y", b""),
        ),
        (
            "`x`: it is a hard link to `a/b/y`, which comes later in the archive",
            Tar::default().hard_link("x", "a/b/y").file("/a/b/y", b"1"),
        ),
        ("no file", Tar::default().directory("d").hard_link("x", "d")),
        ("no file", Tar::default().file(".wh.d", b"").hard_link("x", "d")),
        (
            "what is not in it",
            Tar::default().symlink("x", "lower").file("x/f", b""),
        ),
        (
            "more than 40 symlinks",
            Tar::default()
                .symlink("x", "y")
                .symlink("y", "x")
                .file("x/f", b""),
        ),
        ("no directory", Tar::default().file("x", b"").file("x/f", b"")),
        (
            "no directory",
            Tar::default().put(head(b'6', "x")).file("x/f", b""),
        ),
        (
            "no directory",
            Tar::default().put(head(b'3', "x")).file("x/f", b""),
        ),
        (".wh.NAME", Tar::default().file(".wh.", b"")),
        (".wh.NAME", Tar::default().file("a/.wh..", b"")),
        (".wh.NAME", Tar::default().file("a/.wh...", b"")),
        ("lie in a whiteout", Tar::default().file(".wh.a/b", b"")),
        (
            "the limit is 256",
            Tar::default().pax(&[("path", deep.as_bytes())]).file("x", b""),
        ),
        (
            "the limit is 4095",
            Tar::default().pax(&[("path", long.as_bytes())]).file("x", b""),
        ),
        ("the limit is 1048576", Tar::default().raw(&huge, b"")),
        ("the limit is 1048576", Tar::default().raw(&wide, b"")),
        (
            "the limit is 1048576",
            Tar::default().entry(head(b'x', "p"), &big).file("x", b""),
        ),
        (
            "the limit is 1048576",
            Tar::default().entry(head(b'g', "p"), &big).file("x", b""),
        ),
        (
            "two headers of one kind",
            Tar::default()
                .pax(&[("a", b"")])
                .pax(&[("a", b"")])
                .file("x", b""),
        ),
        ("describes the next entry", Tar::default().pax(&[("path", b"x")])),
        ("type `V`", Tar::default().put(head(b'V', "label"))),
        ("type `\\u{1b}`", Tar::default().put(head(0x1b, "x"))),
        (
            "4294967294 is the largest",
            Tar::default().pax(&[("uid", b"4294967295")]).file("x", b""),
        ),
        (
            "4294967294 is the largest",
            Tar::default().pax(&[("gid", b"99999999999")]).file("x", b""),
        ),
        (
            "is no number",
            Tar::default().pax(&[("uid", b"-1")]).file("x", b""),
        ),
        (
            "File name too long",
            Tar::default().pax(&[("path", &[b'n'; 256])]).file("x", b""),
        ),
    ];
    for (why, tar) in cases {
        let said = Room::new().refused(tar);
        assert!(said.contains(why), "{said} is not: {why}");
    }
}

#[test]
fn a_message_shows_a_name_escaped_and_cut() {
    let name = [b"../\x1b[2J\n\xff".to_vec(), vec![b'x'; 3000]].concat();
    let why = Room::new().refused(Tar::default().pax(&[("path", &name)]).file("x", b""));
    assert!(why.contains("\\u{1b}[2J\\n") && why.len() < 300, "{why}");
}

#[test]
fn an_owner_that_is_not_mapped_is_named() {
    let room = Room::new();
    let tar = Tar::default()
        .pax(&[("uid", b"4294967295")])
        .file("etc/x", b"")
        .end();
    let why = said(
        &room
            .unpack(&tar, Ownership::Mapped, &Limits::default())
            .expect_err("refused"),
    );
    assert!(
        why.starts_with("`etc/x` needs uid 4294967295, the map has "),
        "{why}"
    );
    assert!(why.ends_with(": add sub-ids or use --map caller"), "{why}");
}

#[test]
fn messages_name_the_entry() {
    let mut odd = head(b'0', "bin/\x1b[31m");
    odd.flag = b'Z';
    let mut damaged = Tar::default().file("a", b"").file("b", b"");
    damaged.0[512] ^= 1;
    let long = [b"x/".repeat(80), b"y".to_vec()].concat();
    for (tar, place) in [
        (
            Tar::default().file("a", b"").put(odd),
            "entry 2 (`bin/\\u{1b}[31m`): ",
        ),
        (
            Tar::default().pax(&[("path", b"p")]).put(head(b'Z', "short")),
            "entry 1 (`p`): ",
        ),
        (
            Tar::default()
                .entry(head(b'L', "L"), &long)
                .put(head(b'Z', "short")),
            "entry 1 (`x/x/",
        ),
        (damaged, "entry 2 (behind `a`): the checksum"),
        (
            Tar::default().file("a", b"").entry(head(b'x', "p"), b"bad"),
            "entry 2 (behind `a`): a record",
        ),
        (Tar::default().entry(head(b'x', "p"), b"bad"), "entry 1: a record"),
    ] {
        let why = Room::new().refused(tar);
        assert!(why.starts_with(place), "{place} {why}");
    }
}

#[test]
fn global_headers_are_counted_or_refused() {
    let global = |records: &[(&str, &[u8])]| {
        let data: Vec<u8> = records
            .iter()
            .flat_map(|(key, value)| record(key.as_bytes(), value))
            .collect();
        Tar::default().entry(head(b'g', "global"), &data)
    };
    for (records, count) in [
        (
            &[("comment", &b"0123"[..]), ("mtime", b""), ("uname", b"me")][..],
            0,
        ),
        (
            &[("mtime", b"5"), ("uid", b"7"), ("SCHILY.xattr.user.a", b"b")],
            3,
        ),
    ] {
        let room = Room::new();
        let unpacked = room.single(global(records).file("x", b"data"));
        assert_eq!(unpacked.dropped.global_values, count, "{records:?}");
        assert_eq!((unpacked.entries, unpacked.owners.len()), (1, 0));
        let told = unpacked.dropped.told().unwrap_or_default();
        assert_eq!(
            told.contains("values of pax global headers (3)"),
            count == 3,
            "{told}"
        );
    }
    for key in ["path", "linkpath", "size", "GNU.sparse.size"] {
        let why = Room::new().refused(global(&[(key, b"1")]).file("x", b""));
        assert!(why.contains("to all entries that follow"), "{key}: {why}");
    }
    Room::new().refused(Tar::default().entry(head(b'g', "g"), b"bad").file("x", b""));
}

#[test]
fn sizes_that_are_lies_write_nothing_large() {
    let mut huge = head(b'0', "x");
    huge.size = 0o77_777_777_777;
    let why = Room::new().refused(Tar::default().raw(&huge, b"short"));
    assert!(why.contains("in the middle of entry 1 (`x`)"), "{why}");
    let limits = Limits {
        unpacked: Bytes(1 << 20),
        ..Limits::default()
    };
    for tar in [
        Tar::default().raw(&huge, b"short"),
        Tar::default()
            .file("a", &[0; 600 << 10])
            .file("b", &[0; 600 << 10]),
        Tar::default()
            .pax(&[("size", b"9223372036854775807")])
            .file("x", b""),
        Tar::default()
            .pax(&[
                ("GNU.sparse.map", b"0,0"),
                ("GNU.sparse.size", b"9223372036854775807"),
            ])
            .file("x", b""),
        Tar::default()
            .pax(&[("GNU.sparse.map", b"0,0"), ("GNU.sparse.size", b"600000")])
            .file("x", b"")
            .pax(&[("GNU.sparse.map", b"0,0"), ("GNU.sparse.size", b"600000")])
            .file("y", b""),
    ] {
        let why = said(
            &Room::new()
                .unpack(&tar.end(), Ownership::Single, &limits)
                .expect_err("refused"),
        );
        assert!(why.contains("the limit is 1M"), "{why}");
    }
}

#[test]
fn contents_of_what_has_none_are_read_as_the_next_header() {
    // As Go reads it: old writers gave hard links their file's size, and nothing behind it.
    let mut link = head(b'1', "b").link("a");
    link.size = 3;
    let room = Room::new();
    room.single(Tar::default().file("a", b"abc").raw(&link, b"").file("c", b""));
    assert!(room.at("b").exists() && room.at("c").exists());
}

#[test]
fn entries_are_counted() {
    let limits = Limits {
        entries: 3,
        ..Limits::default()
    };
    let room = Room::new();
    let three = Tar::default().file("a", b"").file("a", b"").file(".wh.x", b"");
    assert!(
        room.unpack(&three.clone().end(), Ownership::Single, &limits)
            .is_ok()
    );
    let four = three.file(".wh..wh.aufs", b"").end();
    let why = said(
        &room
            .unpack(&four, Ownership::Single, &limits)
            .expect_err("refused"),
    );
    assert_eq!(
        why,
        "the layer has too many entries: the limit is 3 (see --image-limit)"
    );
}

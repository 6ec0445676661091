//! Random trees, packed by GNU tar and by Python, and unpacked by GNU tar and by sbx: the same comes out.

use crate::util::{Dir, is_root};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sbx::image::descriptor::Compression;
use sbx::image::limits::Limits;
use sbx::image::owner::Ownership;
use sbx::image::unpack::{Options, Unpacked, unpack};
use sbx::model::Digest;
use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

/// Names that make a parser stumble: line ends, escapes, bytes that are no text, lengths about those of a header's field.
const NAMES: [&[u8]; 12] = [
    b"a",
    b"b c",
    b"-rf",
    b"\xff\xfe",
    b"new\nline",
    b"\x1b[31m",
    b"12 path=x",
    "\u{fc}n\u{ef}".as_bytes(),
    b"...",
    &[b'n'; 99],
    &[b'n'; 100],
    &[b'n'; 255],
];

#[derive(Debug, Clone)]
enum Kind {
    File(usize),
    Holes,
    Directory,
    Symlink(Vec<u8>),
    /// Of an earlier node, if that is no directory.
    HardLink(prop::sample::Index),
    Fifo,
}

#[derive(Debug, Clone)]
struct Node {
    path: Vec<&'static [u8]>,
    kind: Kind,
    mode: u32,
    time: (i32, u32),
    attributes: Vec<(&'static str, Vec<u8>)>,
}

fn nodes() -> impl Strategy<Value = Vec<Node>> {
    let kind = prop_oneof![
        4 => prop::sample::select(vec![0, 1, 511, 512, 513, 70_000]).prop_map(Kind::File),
        1 => Just(Kind::Holes),
        4 => Just(Kind::Directory),
        2 => prop::collection::vec(1u8.., 1..150).prop_map(Kind::Symlink),
        2 => any::<prop::sample::Index>().prop_map(Kind::HardLink),
        1 => Just(Kind::Fifo),
    ];
    let attribute = (
        prop::sample::select(vec!["user.a", "user.b \n"]),
        prop::collection::vec(any::<u8>(), 1..40),
    );
    let node = (
        prop::collection::vec(prop::sample::select(NAMES.to_vec()), 1..4),
        kind,
        0u32..0o2000,
        (any::<i32>(), 0u32..1_000_000_000),
        prop::collection::vec(attribute, 0..2),
    );
    let node = node.prop_map(|(path, kind, mode, time, attributes)| Node {
        path,
        kind,
        mode,
        time,
        attributes,
    });
    prop::collection::vec(node, 1..25)
}

/// Makes the tree. What cannot be made (below a file, over what is there) is left out.
fn plant(root: &Path, nodes: &[Node]) {
    let mut made: Vec<(PathBuf, &Node)> = Vec::new();
    for node in nodes {
        let path = node
            .path
            .iter()
            .fold(root.to_owned(), |p, part| p.join(OsStr::from_bytes(part)));
        let parent = path.parent().expect("a parent");
        if fs::symlink_metadata(&path).is_ok() || fs::create_dir_all(parent).is_err() {
            continue;
        }
        match &node.kind {
            Kind::File(size) => fs::write(&path, vec![b'x'; *size]).expect("a file"),
            Kind::Holes => {
                let file = fs::File::create(&path).expect("a file");
                for at in [0, 1 << 20, (3 << 20) + 4096] {
                    file.write_all_at(b"data", at).expect("written");
                }
                file.set_len((4 << 20) + 7).expect("a length");
            }
            Kind::Directory => fs::create_dir(&path).expect("a directory"),
            Kind::Symlink(target) => symlink(OsStr::from_bytes(target), &path).expect("a link"),
            Kind::Fifo => nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a fifo"),
            Kind::HardLink(index) => {
                let files: Vec<_> = made
                    .iter()
                    .filter(|(p, _)| !p.is_dir() || p.is_symlink())
                    .collect();
                if !files.is_empty() {
                    fs::hard_link(&index.get(&files).0, &path).expect("a hard link");
                }
                continue;
            }
        }
        made.push((path, node));
    }
    // What is deepest first, because a mode may forbid the way.
    made.sort_by(|(a, _), (b, _)| b.cmp(a));
    for (path, node) in made {
        finish(&path, node);
    }
}

fn finish(path: &Path, node: &Node) {
    use nix::sys::stat::{UtimensatFlags, utimensat};
    let time = nix::sys::time::TimeSpec::new(node.time.0.into(), node.time.1.into());
    if matches!(node.kind, Kind::File(_) | Kind::Holes | Kind::Directory) {
        let file = fs::File::open(path).expect("a file");
        for (name, value) in &node.attributes {
            let name = CString::new(*name).expect("no NUL");
            sbx::sys::tree::set_attribute(file.as_fd(), &name, value).expect("an attribute");
        }
    }
    if !matches!(node.kind, Kind::Symlink(_)) {
        // As an ordinary user GNU tar neither packs what it may not read nor sets attributes of what it may not write.
        let mode = if is_root() { node.mode } else { node.mode | 0o700 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    }
    utimensat(
        nix::fcntl::AT_FDCWD,
        path,
        &time,
        &time,
        UtimensatFlags::NoFollowSymlink,
    )
    .expect("a time");
}

/// What of a tree comes through an archive.
fn seen(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut names: BTreeMap<u64, PathBuf> = BTreeMap::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(path) = waiting.pop() {
        let meta = fs::symlink_metadata(&path).expect("an entry");
        let name = path.strip_prefix(root).expect("beneath").to_owned();
        let (mode, time) = (meta.mode(), (meta.mtime(), meta.mtime_nsec()));
        if meta.is_dir() || meta.is_file() {
            // So that an ordinary user can look inside.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("a mode");
        }
        let first = names.entry(meta.ino()).or_insert_with(|| name.clone()).clone();
        if meta.is_dir() {
            waiting.extend(
                fs::read_dir(&path)
                    .expect("a directory")
                    .map(|e| e.expect("an entry").path()),
            );
            waiting.sort_by(|a, b| b.cmp(a));
        }
        let what = if meta.is_symlink() {
            format!("-> {:?}", fs::read_link(&path).expect("a link"))
        } else if meta.is_file() {
            Digest::of(&fs::read(&path).expect("a file")).short()
        } else {
            String::new()
        };
        let attributes = if meta.is_dir() || meta.is_file() {
            attributes(&path)
        } else {
            Vec::new()
        };
        let text = format!("{mode:o} {time:?} {what} {attributes:?}, first {first:?}");
        found.insert(name, text);
    }
    found
}

fn attributes(path: &Path) -> Vec<Vec<u8>> {
    let file = fs::File::open(path).expect("a file");
    let value = |name: &str| {
        let mut buffer = vec![0; 100];
        let name = CString::new(name).expect("no NUL");
        let n = sbx::sys::tree::attribute(file.as_fd(), &name, &mut buffer).ok()?;
        buffer.truncate(n);
        Some(buffer)
    };
    ["user.a", "user.b \n"]
        .iter()
        .filter_map(|name| value(name))
        .collect()
}

const PYTHON: &str = "
import sys, tarfile
kind = {'gnu': tarfile.GNU_FORMAT, 'pax': tarfile.PAX_FORMAT}[sys.argv[1]]
with tarfile.open(sys.argv[2], 'w', format=kind) as archive:
    archive.add('.')
";

fn run(command: &mut Command) {
    let out = command
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .output()
        .expect("the program is there");
    assert!(
        out.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
}

/// Every way in which a tree is packed.
fn packers() -> Vec<(&'static str, Vec<&'static str>)> {
    vec![
        ("python3", vec!["-c", PYTHON, "gnu"]),
        ("python3", vec!["-c", PYTHON, "pax"]),
        ("tar", vec!["--format=gnu", "-cf"]),
        ("tar", vec!["--format=gnu", "--sparse", "-cf"]),
        ("tar", vec!["--format=pax", "--xattrs", "-cf"]),
        (
            "tar",
            vec![
                "--format=pax",
                "--xattrs",
                "--sparse",
                "--sparse-version=0.0",
                "-cf",
            ],
        ),
        (
            "tar",
            vec![
                "--format=pax",
                "--xattrs",
                "--sparse",
                "--sparse-version=0.1",
                "-cf",
            ],
        ),
        (
            "tar",
            vec![
                "--format=pax",
                "--xattrs",
                "--sparse",
                "--sparse-version=1.0",
                "-cf",
            ],
        ),
    ]
}

fn ours(archive: &Path, into: &Path) -> Unpacked {
    fs::create_dir(into).expect("a directory");
    let directory = fs::File::open(into).expect("the directory");
    let layer = fs::File::open(archive).expect("the archive");
    let limits = Limits::default();
    let options = Options {
        compression: Compression::None,
        ownership: Ownership::Single,
        limits: &limits,
    };
    unpack(layer, directory.as_fd(), &options, &mut |_| {}).unwrap_or_else(|e| panic!("{e}"))
}

fn theirs(archive: &Path, into: &Path) {
    fs::create_dir(into).expect("a directory");
    let mut tar = Command::new("tar");
    tar.args(["--xattrs", "--xattrs-include=user.*", "--no-same-owner", "-xpf"])
        .arg(archive)
        .arg("-C")
        .arg(into);
    run(&mut tar);
}

fn compare(nodes: &[Node], program: &str, arguments: &[&str]) {
    let dir = Dir::new();
    let (from, archive) = (dir.path().join("from"), dir.path().join("archive"));
    fs::create_dir(&from).expect("a directory");
    plant(&from, nodes);
    let mut command = Command::new(program);
    command.args(arguments).arg(&archive).current_dir(&from);
    if program == "tar" {
        command.arg(".");
    }
    run(&mut command);
    let (mine, other) = (dir.path().join("mine"), dir.path().join("other"));
    let unpacked = ours(&archive, &mine);
    theirs(&archive, &other);
    let packed = fs::read(&archive).expect("the archive");
    assert_eq!(unpacked.diff_id, Digest::of(&packed));
    assert_eq!(seen(&mine), seen(&other), "{program} {arguments:?}");
    // Gives permissions back, so that it can be removed.
    seen(&from);
}

#[test]
fn the_same_comes_out_as_from_gnu_tar() {
    let config = Config {
        cases: 40,
        failure_persistence: None,
        ..Config::default()
    };
    let packer = prop::sample::select(packers());
    TestRunner::new(config)
        .run(&(nodes(), packer), |(nodes, (program, arguments))| {
            compare(&nodes, program, &arguments);
            Ok(())
        })
        .unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn holes_stay_holes() {
    for arguments in packers()
        .into_iter()
        .filter(|(_, a)| a.contains(&"--sparse"))
        .map(|(_, a)| a)
    {
        let dir = Dir::new();
        let from = dir.path().join("from");
        fs::create_dir(&from).expect("a directory");
        let file = fs::File::create(from.join("f")).expect("a file");
        // More pieces than a header and one block behind it hold.
        for piece in 0..60 {
            file.write_all_at(format!("{piece}").as_bytes(), piece << 20)
                .expect("written");
        }
        file.set_len(1 << 30).expect("a length");
        file.set_modified(UNIX_EPOCH + Duration::from_secs(7))
            .expect("a time");
        let archive = dir.path().join("archive");
        run(Command::new("tar")
            .args(&arguments)
            .arg(&archive)
            .arg(".")
            .current_dir(&from));
        let mine = dir.path().join("mine");
        let unpacked = ours(&archive, &mine);
        let meta = fs::metadata(mine.join("f")).expect("the file");
        assert_eq!(
            (meta.len(), unpacked.bytes, meta.mtime()),
            (1 << 30, 1 << 30, 7),
            "{arguments:?}"
        );
        assert!(
            meta.blocks() * 512 <= 60 * 65536,
            "{arguments:?}: {} blocks",
            meta.blocks()
        );
        let cmp = Command::new("cmp")
            .arg(from.join("f"))
            .arg(mine.join("f"))
            .status()
            .expect("cmp");
        assert!(cmp.success(), "{arguments:?}");
    }
}

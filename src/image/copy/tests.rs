//! Layers made by hand, merged, and looked at.

use super::{Copied, Keep, copy};
use crate::sys::{fs as sys_fs, tree};
use nix::sys::stat::{Mode, SFlag, mknod};
use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// A layer by its entries: `dir/` a directory, `dir/!` the same and opaque, `-name` a whiteout, `name` a file that says which layer.
fn layer(top: &Path, number: usize, entries: &[&str]) -> PathBuf {
    let layer = top.join(number.to_string());
    fs::create_dir(&layer).expect("a layer");
    for entry in entries {
        let at = |name: &str| layer.join(name);
        if let Some(folder) = entry.strip_suffix("/!") {
            fs::create_dir_all(at(folder)).expect("a directory");
            let folder = File::open(at(folder)).expect("a directory");
            tree::set_attribute(folder.as_fd(), c"user.overlay.opaque", b"y").expect("an attribute");
        } else if let Some(folder) = entry.strip_suffix('/') {
            fs::create_dir_all(at(folder)).expect("a directory");
        } else if let Some(gone) = entry.split('/').next_back().and_then(|n| n.strip_prefix('-')) {
            let path = at(entry).with_file_name(gone);
            mknod(&path, SFlag::S_IFCHR, Mode::empty(), 0).expect("a whiteout");
        } else {
            fs::write(at(entry), format!("{number}")).expect("a file");
        }
    }
    layer
}

fn merged(layers: &[PathBuf]) -> (tempfile::TempDir, Copied) {
    merged_with(layers, true)
}

fn merged_with(layers: &[PathBuf], set_ids: bool) -> (tempfile::TempDir, Copied) {
    let keep = Keep {
        owners: false,
        set_ids,
    };
    let into = tempfile::tempdir().expect("a directory");
    let open: Vec<OwnedFd> = layers
        .iter()
        .map(|layer| File::open(layer).expect("a layer").into())
        .collect();
    let target = File::open(into.path()).expect("a directory");
    let copied = copy(&open, target.as_fd(), keep, &mut |_| {}).expect("a copy");
    (into, copied)
}

/// Paths, with what files say.
fn listed(top: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut waiting = vec![top.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).expect("a directory").flatten() {
            let path = entry.path();
            let name = path.strip_prefix(top).expect("below").display().to_string();
            if entry.file_type().expect("a kind").is_dir() {
                all.insert(name, "/".to_owned());
                waiting.push(path);
            } else {
                all.insert(name, fs::read_to_string(&path).expect("a file"));
            }
        }
    }
    all
}

#[test]
fn layers_hide_each_other_as_overlay_has_it() {
    // The topmost layer comes first; what is expected is `path=layer`, a directory `path=/`.
    let table: [(&[&[&str]], &[&str]); 10] = [
        (&[&["a"], &["b"]], &["a=0", "b=1"]),
        (&[&["a"], &["a"], &["a"]], &["a=0"]),
        (&[&["-a"], &["a", "b"]], &["b=1"]),
        (&[&["-a"], &["a/", "a/b"]], &[]),
        (&[&["d/", "d/-a"], &["d/", "d/a", "d/b"]], &["d=/", "d/b=1"]),
        (&[&["d/!", "d/x"], &["d/", "d/a", "d/e/"]], &["d=/", "d/x=0"]),
        // What is below an opaque directory is hidden for good, what is above it is not.
        (
            &[&["d/", "d/x"], &["d/!", "d/y"], &["d/", "d/z"]],
            &["d=/", "d/x=0", "d/y=1"],
        ),
        // A file in the middle hides the directory below it, and not the one above.
        (&[&["d/", "d/x"], &["d"], &["d/", "d/z"]], &["d=/", "d/x=0"]),
        (&[&["d/", "d/x"], &["-d"], &["d/", "d/z"]], &["d=/", "d/x=0"]),
        (
            &[&["d/e/", "d/e/1"], &["d/"], &["d/e/", "d/e/2", "d/e/1"]],
            &["d=/", "d/e=/", "d/e/1=0", "d/e/2=2"],
        ),
    ];
    for (entries, expected) in table {
        let top = tempfile::tempdir().expect("a directory");
        let layers: Vec<PathBuf> = (0..)
            .zip(entries)
            .map(|(n, entries)| layer(top.path(), n, entries))
            .collect();
        let (into, copied) = merged(&layers);
        let found = listed(into.path());
        let shown: Vec<String> = found
            .iter()
            .map(|(path, what)| format!("{path}={what}"))
            .collect();
        assert_eq!(shown, expected, "{entries:?}");
        assert_eq!(copied.files, expected.len() as u64, "{entries:?}");
    }
}

#[test]
fn everything_that_belongs_to_a_file_is_kept() {
    let top = tempfile::tempdir().expect("a directory");
    let from = layer(top.path(), 0, &["d/", "d/a", "closed/", "closed/x"]);
    let mode = |name: &str, mode| fs::set_permissions(from.join(name), Permissions::from_mode(mode));
    fs::hard_link(from.join("d/a"), from.join("b")).expect("a link");
    symlink("/etc/shadow", from.join("l")).expect("a link");
    nix::unistd::mkfifo(&from.join("p"), Mode::S_IRWXU).expect("a fifo");
    let sparse = File::create(from.join("sparse")).expect("a file");
    sparse.write_at(b"end", 50 << 20).expect("room");
    sparse.set_len(60 << 20).expect("room");
    let file = File::open(from.join("d/a")).expect("a file");
    tree::set_attribute(file.as_fd(), c"user.mine", b"value").expect("an attribute");
    let folder = File::open(from.join("d")).expect("a directory");
    tree::set_attribute(folder.as_fd(), c"user.overlay.opaque", b"y").expect("an attribute");
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 5);
    file.set_modified(long_ago).expect("a time");
    folder.set_modified(long_ago).expect("a time");
    mode("d/a", 0o4711).expect("chmod");
    mode("d", 0o1755).expect("chmod");
    mode("closed", 0o000).expect("chmod");
    if nix::unistd::geteuid().as_raw() != 0 {
        mode("closed", 0o500).expect("chmod");
    }

    let (into, copied) = merged(std::slice::from_ref(&from));
    let at = |name: &str| into.path().join(name);
    let stat = |name: &str| at(name).symlink_metadata().expect("it is there");
    for name in ["", "d", "d/a", "b", "p", "sparse", "closed"] {
        let there = from.join(name).symlink_metadata().expect("it is there");
        assert_eq!(stat(name).mode(), there.mode(), "{name}");
        assert_eq!(stat(name).modified().ok(), there.modified().ok(), "{name}");
    }
    assert_eq!(
        (stat("d/a").ino(), stat("d/a").nlink()),
        (stat("b").ino(), 2),
        "two names of one file"
    );
    assert_eq!(fs::read_link(at("l")).expect("a link"), Path::new("/etc/shadow"));
    assert_eq!(stat("sparse").len(), 60 << 20);
    assert!(stat("sparse").blocks() * 512 < 1 << 20, "holes stay holes");
    let mut end = [0; 3];
    let copy = File::open(at("sparse")).expect("a file");
    copy.read_exact_at(&mut end, 50 << 20).expect("bytes");
    assert_eq!(&end, b"end");
    let mut value = [0; 16];
    let length = tree::attribute(
        File::open(at("d/a")).expect("a file").as_fd(),
        c"user.mine",
        &mut value,
    );
    assert_eq!(value.get(..length.expect("an attribute")), Some(&b"value"[..]));
    let opaque = sys_fs::path_has_attribute(&at("d"), c"user.overlay.opaque");
    assert_eq!(opaque, Ok(false), "nothing of overlay's own");
    assert_eq!((copied.files, copied.bytes), (8, (60 << 20) + 2));
    // Whoever removes it can.
    fs::set_permissions(at("closed"), Permissions::from_mode(0o700)).expect("chmod");
    mode("closed", 0o700).expect("chmod");
}

#[test]
fn a_volumes_files_give_no_rights() {
    let top = tempfile::tempdir().expect("a directory");
    let from = layer(top.path(), 0, &["d/", "d/a"]);
    nix::unistd::mkfifo(&from.join("p"), Mode::S_IRWXU).expect("a fifo");
    for (set_ids, expected) in [(true, [0o7755, 0o7755, 0o7755]), (false, [0o3755, 0o755, 0o755])] {
        for name in ["d", "d/a", "p"] {
            fs::set_permissions(from.join(name), Permissions::from_mode(0o7755)).expect("chmod");
        }
        let (into, _) = merged_with(std::slice::from_ref(&from), set_ids);
        let mode = |name| {
            into.path()
                .join(name)
                .symlink_metadata()
                .expect("it is there")
                .mode()
                & 0o7777
        };
        assert_eq!(["d", "d/a", "p"].map(mode), expected);
    }
}

#[test]
fn links_of_a_layer_lead_nowhere() {
    let top = tempfile::tempdir().expect("a directory");
    let secret = top.path().join("secret");
    fs::create_dir(&secret).expect("a directory");
    fs::write(secret.join("x"), "secret").expect("a file");
    let upper = layer(top.path(), 0, &["d/", "d/own"]);
    let lower = layer(top.path(), 1, &[]);
    symlink(&secret, lower.join("d")).expect("a link");
    symlink(&secret, lower.join("e")).expect("a link");
    let (into, _) = merged(&[upper, lower]);
    assert!(into.path().join("d").symlink_metadata().expect("d").is_dir());
    assert!(!into.path().join("d/x").exists());
    assert!(into.path().join("e").symlink_metadata().expect("e").is_symlink());
}

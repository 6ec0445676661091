//! Trees that are hard to remove.

use super::Room;
use crate::image::remove::remove_tree;
use crate::sys::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};
use std::ffi::OsStr;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

fn remove(room: &Room, name: &str) -> Result<(), Errno> {
    let into = fs::File::open(room.root()).expect("the directory");
    let answer = remove_tree(into.as_fd(), OsStr::new(name));
    assert_eq!(
        fs::read(Path::new(&room.canary()).join("d/f")).expect("the canary"),
        b"canary"
    );
    answer
}

#[test]
fn what_is_there_is_removed_whatever_its_modes() {
    let room = Room::new();
    fs::create_dir_all(room.at("t/a/b/c")).expect("directories");
    fs::write(room.at("t/a/b/f"), "x").expect("a file");
    fs::create_dir(room.at("t/none")).expect("a directory");
    symlink(room.canary(), room.at("t/a/link")).expect("a link");
    symlink(room.canary(), room.at("link")).expect("a link");
    for name in ["t/none", "t/a/b/c", "t/a/b", "t/a", "t"] {
        fs::set_permissions(room.at(name), fs::Permissions::from_mode(0o0)).expect("a mode");
    }
    for name in ["t", "link", "lacking"] {
        assert_eq!(remove(&room, name), Ok(()), "{name}");
    }
    assert_eq!(fs::read_dir(room.root()).expect("the root").count(), 0);
    for name in ["", ".", "..", "a/b", "/", "../canary"] {
        assert_eq!(remove(&room, name), Err(Errno::EINVAL), "{name}");
    }
}

#[test]
fn a_tree_deeper_than_any_path_is_removed() {
    let room = Room::new();
    fs::create_dir(room.at("t")).expect("a directory");
    let mut here = fs::File::open(room.at("t")).expect("a directory").into();
    for level in 0..3000 {
        // Names of the kind that are given to what is moved up.
        for taken in [".0", ".1", ".2"] {
            if level % 100 == 0 {
                openat(&here, taken, OFlag::O_CREAT | OFlag::O_WRONLY, Mode::S_IRWXU).expect("a file");
            }
        }
        mkdirat(&here, "deep", Mode::S_IRWXU).expect("a directory");
        here =
            openat(&here, "deep", OFlag::O_DIRECTORY | OFlag::O_RDONLY, Mode::empty()).expect("a directory");
    }
    drop(here);
    assert_eq!(remove(&room, "t"), Ok(()));
    assert!(!room.at("t").exists());
}

#[test]
fn a_wide_tree_is_removed() {
    let room = Room::new();
    for directory in 0..3 {
        fs::create_dir_all(room.at(&format!("t/{directory}"))).expect("a directory");
        for file in 0..2000 {
            fs::write(room.at(&format!("t/{directory}/{file}")), "").expect("a file");
        }
    }
    assert_eq!(remove(&room, "t"), Ok(()));
    assert!(!room.at("t").exists());
}

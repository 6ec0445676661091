//! The life of a volume, and what is left when somebody dies in the middle.

use super::{Claim, Error, Name, Volumes};
use std::fs;
use std::os::unix::fs::PermissionsExt;

fn name(text: &str) -> Name {
    text.parse().expect(text)
}

fn volumes() -> (tempfile::TempDir, Volumes) {
    let dir = tempfile::tempdir().expect("a directory");
    let volumes = Volumes::open(&dir.path().join("a/volumes")).expect("volumes");
    (dir, volumes)
}

fn fresh(volumes: &Volumes, text: &str) -> super::Filling {
    match volumes.claim(&name(text)).expect("a claim") {
        Claim::Fresh(filling) => filling,
        Claim::Ready(_) => panic!("{text} has been used"),
    }
}

fn ready(volumes: &Volumes, text: &str) -> super::Held {
    match volumes.claim(&name(text)).expect("a claim") {
        Claim::Ready(held) => held,
        Claim::Fresh(_) => panic!("{text} has not been used"),
    }
}

fn remove(volumes: &Volumes, text: &str) {
    let removal = volumes.take_away(&name(text)).expect("taken");
    assert!(removal.finish().expect("gone"));
}

/// A volume with a file that its owner put there.
fn with_file(volumes: &Volumes, text: &str) {
    volumes.create(&name(text)).expect("made");
    fs::write(volumes.data(&name(text)).join("mine"), "x").expect("write");
}

#[test]
fn a_volume_is_made_used_and_removed() {
    let (_dir, volumes) = volumes();
    assert!(volumes.create(&name("a")).expect("made"));
    assert!(!volumes.create(&name("a")).expect("there"));
    let listed = volumes.find(&name("a")).expect("found").expect("a volume");
    assert!(listed.fresh && !listed.used && listed.created > 1_500_000_000);
    let held = fresh(&volumes, "a").commit().expect("in use");
    assert!(
        volumes
            .find(&name("a"))
            .expect("found")
            .is_some_and(|v| v.used && !v.fresh)
    );
    let more = ready(&volumes, "a");
    assert!(matches!(volumes.take_away(&name("a")), Err(Error::Busy(_))));
    drop((held, more));
    remove(&volumes, "a");
    assert!(matches!(volumes.take_away(&name("a")), Err(Error::Absent(_))));
    assert_eq!(volumes.all().expect("a list"), []);
    // A new one of the same name knows nothing of the old one.
    drop(fresh(&volumes, "a"));
}

#[test]
fn half_filled_volumes_are_never_used() {
    let (_dir, volumes) = volumes();
    let half = fresh(&volumes, "a");
    assert!(half.begin().expect("begun"));
    let place = half.path();
    fs::write(place.join("half"), "x").expect("write");
    // As a kill leaves it.
    drop(half);
    assert!(
        fs::read_dir(volumes.data(&name("a")))
            .expect("list")
            .next()
            .is_none()
    );
    let again = fresh(&volumes, "a");
    assert!(again.begin().expect("begun"));
    let place = again.path();
    assert!(fs::read_dir(&place).expect("list").next().is_none());
    fs::write(place.join("whole"), "x").expect("write");
    fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).expect("chmod");
    drop(again.commit().expect("in use"));
    assert!(volumes.data(&name("a")).join("whole").exists());
    drop(ready(&volumes, "a"));
}

#[test]
fn what_its_owner_put_there_is_not_replaced() {
    let (_dir, volumes) = volumes();
    with_file(&volumes, "a");
    drop(ready(&volumes, "a"));
    assert!(volumes.data(&name("a")).join("mine").exists());
}

#[test]
fn a_removal_that_was_cut_short_is_finished() {
    let (_dir, volumes) = volumes();
    for _ in 0..3 {
        with_file(&volumes, "a");
        drop(volumes.take_away(&name("a")).expect("taken"));
        assert_eq!(volumes.left().expect("a list"), [name("a")]);
        assert_eq!(volumes.all().expect("a list"), []);
    }
    remove(&volumes, "a");
    assert_eq!(volumes.left().expect("a list"), []);
}

#[test]
fn nothing_outside_is_removed() {
    let (dir, volumes) = volumes();
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).expect("mkdir");
    fs::write(outside.join("kept"), "x").expect("write");
    volumes.create(&name("a")).expect("made");
    std::os::unix::fs::symlink(&outside, volumes.data(&name("a")).join("link")).expect("a link");
    remove(&volumes, "a");
    assert!(outside.join("kept").exists());
}

#[test]
fn another_version_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join(".version"), "2\u{1b}\n").expect("write");
    let said = Volumes::open(dir.path())
        .expect_err("another version")
        .to_string();
    assert!(said.contains("version 2") && !said.contains('\u{1b}'), "{said}");
}

//! Wrong input: one clear line each.

use super::{Place, two};

#[test]
fn wrong_input_is_told_in_a_line() {
    let Some((registry, place)) = two() else { return };
    let one = registry.name("one:1");
    place.ok(&["pull", "-q", &one]);
    let id = place.ok(&["images", "-q"]);
    let digest = format!("{one}@sha256:{}", "0".repeat(64));
    let long = "x".repeat(300);
    for (arguments, code, says) in [
        (&["images", "x"][..], 2, "unexpected argument"),
        (&["pull", "./not-there"], 2, "no file and no directory is there"),
        (&["pull", "/"], 2, "`sbx run /` runs what is in a directory"),
        (&["pull", "Debian"], 2, "lower case"),
        (&["rmi", "./x"], 2, "this is a path"),
        (&["exec", "x", "sh"], 2, "none to name, to list or to enter"),
        (&["build", "."], 2, "podman or buildah"),
        (&["images", "-q", "--json"], 2, "cannot be used with"),
        (&["rmi"], 2, "required"),
        (&["rmi", ""], 2, "no image is named"),
        (&["rmi", "UPPER"], 2, "lower case"),
        (&["rmi", "a\x1b[31m"], 2, "image name"),
        (&["rmi", "docker-daemon:x"], 2, "is not supported"),
        (&["rmi", "https://quay.io/x"], 2, "write `quay.io/x`"),
        (&["rmi", "not-there"], 1, "image not-there: not in the store"),
        (&["rmi", "000000000000"], 1, "not in the store"),
        (&["inspect"], 2, "required"),
        (&["inspect", "not-there:1"], 125, "not in the store"),
        (&["inspect", &long], 2, "image name"),
        (&["history", "not-there"], 125, "not in the store"),
        (&["history", &digest], 125, "not in the store"),
        (&["tag", "x"], 2, "required"),
        (&["tag", "not-there", "x"], 125, "not in the store"),
        (&["tag", &one, ""], 2, "no image is named"),
        (&["tag", &one, "X"], 2, "lower case"),
        (&["tag", &one, "host"], 2, "means something else"),
        (&["tag", &one, &id], 2, "digits of an id"),
        (&["tag", &one, &"0".repeat(64)], 2, "digits of an id"),
        (&["tag", &one, &digest], 2, "a digest is not given"),
        (&["prune", "x"], 2, "unexpected argument"),
        (&["verify", "x"], 2, "unexpected argument"),
        (&["logout", "a", "b"], 2, "unexpected argument"),
    ] {
        let out = place.out(arguments);
        out.code(code).says(says);
        assert!(out.stdout.is_empty(), "{arguments:?}");
        let said = out.stderr();
        assert_eq!(
            said.lines().filter(|line| !line.starts_with("  ")).count(),
            1,
            "{said}"
        );
        assert!(!said.contains('\x1b'), "{said}");
    }
    place.ok(&["inspect", &one]);
}

#[test]
fn a_store_that_is_none_is_told() {
    let place = Place::new();
    std::fs::create_dir(place.store()).expect("mkdir");
    std::fs::write(place.store().join("file"), "x").expect("written");
    for arguments in [
        &["images"][..],
        &["rmi", "x"],
        &["tag", "x", "y"],
        &["inspect", "x"],
        &["history", "x"],
        &["prune"],
        &["verify"],
    ] {
        place.out(arguments).code(125).says("is no image store of sbx");
    }
    let none = crate::util::Sbx::new(["images"]).env("HOME", "").out();
    none.code(125).says("set XDG_DATA_HOME or HOME");
}

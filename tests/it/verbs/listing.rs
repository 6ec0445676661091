//! What is there, and what it says of itself.

use super::{EVIL, Place, two};
use crate::util::Dir;
use crate::util::tar::{Entry, Tar};
use serde_json::json;

#[test]
fn nothing_is_listed_where_nothing_is() {
    let place = Place::new();
    assert_eq!(place.ok(&["images"]).lines().count(), 1);
    assert_eq!(place.json(&["images", "--json"]), json!([]));
    assert_eq!(place.ok(&["images", "-q"]), "");
    assert_eq!(place.ok(&["prune", "-a"]), "freed 0 B");
    place
        .out(&["inspect", "x"])
        .code(125)
        .says("no image has been pulled yet");
    assert!(!place.store().exists(), "looking makes no store");
}

#[test]
fn images_are_listed_with_what_they_take() {
    let Some((registry, place)) = two() else { return };
    let (one, two) = (registry.name("one:1"), registry.name("two:1"));
    for name in [&one, &registry.name("one:2"), &two] {
        place.ok(&["pull", "-q", name]);
    }
    let table = place.ok(&["images"]);
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0], ["NAME", "TAG", "ID", "CREATED", "SIZE", "SHARED"]);
    let names: Vec<_> = lines[1..].iter().map(|words| (words[0], words[1])).collect();
    let (name_one, name_two) = (registry.name("one"), registry.name("two"));
    assert_eq!(names, [(&*name_one, "1"), (&name_one, "2"), (&name_two, "1")]);
    assert!(
        lines[1..].iter().all(|words| words[4..6] == ["years", "ago"]),
        "{table}"
    );
    let all = place.json(&["images", "--json"]);
    let all = all.as_array().expect("an array");
    assert_eq!(all.len(), 2, "an object for each image");
    for image in all {
        assert_eq!(image["created"], "2020-01-02T03:04:05Z");
        let number = |key: &str| image[key].as_u64().expect(key);
        assert_eq!(number("size"), number("shared") + number("unique"));
        // The base is in both, packed and unpacked.
        assert!(number("shared") > 2_000_000 && number("unique") > 0 && number("unique") < 1_000_000);
        assert_eq!(image["damage"], json!(null));
    }
    let ids = place.ok(&["images", "-q"]);
    let ids: Vec<&str> = ids.lines().collect();
    assert_eq!(ids.len(), 2);
    assert!(
        all[0]["id"]
            .as_str()
            .expect("an id")
            .starts_with(&format!("sha256:{}", ids[0]))
    );
    // An id runs as a name does.
    assert_eq!(place.ok(&["run", "--quiet", ids[0]]), "this is one");
}

#[test]
fn an_image_says_what_it_is() {
    let Some((registry, place)) = two() else { return };
    let one = registry.name("one:1");
    place.ok(&["pull", "-q", &one]);
    let all = place.json(&["inspect", &one, &one]);
    let image = &all[1];
    assert_eq!(image["names"], json!([one]));
    assert_eq!(
        image["platform"],
        json!({"os": "linux", "architecture": "amd64", "variant": null})
    );
    assert_eq!(image["config"]["Cmd"], json!(["sh", "-c", "cat /says"]));
    assert_eq!(
        image["config"]["Env"],
        json!(["PATH=/bin", format!("EVIL={EVIL}")]),
        "escaped, and not lost"
    );
    assert_eq!(image["config"]["StopSignal"], "SIGINT");
    assert_eq!(image["config"]["ExposedPorts"], json!({"80/tcp": {}}));
    assert_eq!(
        (
            image["layers"].as_array().map(Vec::len),
            image["history"].as_array().map(Vec::len)
        ),
        (Some(2), Some(3))
    );
    // These are not packed: what a layer is named by is what it unpacks to.
    assert_eq!(image["layers"][0]["digest"], image["diffIds"][0]);
    assert_eq!(image["layers"][1]["diffId"], image["diffIds"][1]);
    assert!(image["layers"][0]["size"].as_u64() > Some(500_000));
    let digest = image["digest"].as_str().expect("a digest");
    assert_eq!(place.json(&["inspect", digest])[0], *image);
    place
        .out(&["inspect", &one, "not-there"])
        .code(125)
        .says("image not-there: not in the store");
}

#[test]
fn a_history_has_its_layers() {
    let Some((registry, place)) = two() else { return };
    let one = registry.name("one:1");
    place.ok(&["pull", "-q", &one]);
    let table = place.ok(&["history", &one]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4, "{table}");
    assert!(
        lines[1].contains("RUN \\u{1b}[31mred") && lines[1].contains("xxx\u{2026}"),
        "{table}"
    );
    assert!(
        lines[3].contains("years ago") && lines[3].contains("MiB"),
        "{table}"
    );
    let steps = place.json(&["history", "--json", &one]);
    let layers = &place.json(&["inspect", &one])[0]["layers"];
    assert_eq!(
        (&steps[0]["layer"], &steps[1]["layer"]),
        (&layers[1]["digest"], &json!(null))
    );
    assert_eq!(
        (&steps[2]["layer"], &steps[2]["size"]),
        (&layers[0]["digest"], &layers[0]["size"])
    );
    assert!(
        steps[0]["created_by"].as_str().expect("text").ends_with("xxx"),
        "whole"
    );
}

#[test]
fn an_image_has_the_names_that_it_is_given() {
    let Some((registry, place)) = two() else { return };
    let (one, two) = (registry.name("one:1"), registry.name("two:1"));
    place.ok(&["pull", "-q", &one]);
    place.ok(&["pull", "-q", &two]);
    let id = place.json(&["inspect", &one])[0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    assert_eq!(place.ok(&["tag", &id, "mine"]), "");
    assert_eq!(
        place.ok(&["run", "--quiet", "--pull", "never", "mine"]),
        "this is one"
    );
    let names = place.json(&["inspect", "mine"])[0]["names"].clone();
    assert_eq!(names, json!([one, "docker.io/library/mine:latest"]));
    // Again is fine; another image takes it.
    place.ok(&["tag", &one, "mine"]);
    place.ok(&["tag", &two, "docker.io/library/mine:latest"]);
    assert_eq!(
        place.ok(&["run", "--quiet", "--pull", "never", "mine"]),
        "this is two"
    );
    place.ok(&["tag", &two, &one]);
    let all = place.json(&["images", "--json"]);
    let unnamed: Vec<_> = all
        .as_array()
        .expect("all")
        .iter()
        .filter(|i| i["names"] == json!([]))
        .collect();
    assert_eq!((unnamed.len(), unnamed[0]["id"].as_str()), (1, Some(&*id)));
    assert!(
        place
            .ok(&["images"])
            .lines()
            .last()
            .expect("a line")
            .starts_with("-  ")
    );
}

#[test]
fn damage_is_found() {
    let Some((registry, place)) = two() else { return };
    let one = registry.name("one:1");
    assert_eq!(place.ok(&["verify"]), "all images are intact");
    place.ok(&["pull", "-q", &one]);
    assert_eq!(place.ok(&["verify"]), "all images are intact");
    std::fs::write(place.store().join("stray \u{1b}[31m"), "x").expect("written");
    assert!(place.ok(&["verify"]).starts_with("note: "));
    let layer = place.json(&["inspect", &one])[0]["layers"][1]["digest"].clone();
    let hex = layer
        .as_str()
        .and_then(|text| text.strip_prefix("sha256:"))
        .expect("a digest");
    let blob = place.store().join("blobs/sha256").join(hex);
    let mut bytes = std::fs::read(&blob).expect("the blob");
    bytes[0] ^= 1;
    std::fs::remove_file(&blob).expect("removed");
    std::fs::write(&blob, bytes).expect("written");
    let out = place.out(&["verify"]);
    assert!(
        out.code(1)
            .stdout()
            .contains(&format!("damaged: blob {} has other contents", &hex[..12]))
    );
    let out = place.out(&["verify", "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&out.code(1).stdout).expect("JSON");
    assert_eq!(found["damaged"], true);
    let all = found["findings"].as_array().expect("an array");
    let damage: Vec<_> = all.iter().filter(|f| f["damage"] == true).collect();
    assert_eq!(
        (damage.len(), &damage[0]["kind"], &damage[0]["blob"]),
        (1, &json!("changed"), &layer)
    );
    // What is damaged can be removed, and fetched again.
    place.ok(&["rmi", &one]);
    place.ok(&["pull", "-q", &one]);
    assert_eq!(place.ok(&["run", "--quiet", &one]), "this is one");
}

/// `run` has always found it; a verb that does not would say that an image is not there which `sbx images` lists.
#[test]
fn every_verb_finds_by_a_short_name_what_was_imported_under_it() {
    let (place, files) = (Place::new(), Dir::new());
    let root = files.write("root.tar", Tar::new([Entry::file("a", "b")]).bytes());
    let root = root.to_str().expect("a path");
    place.ok(&["import", "-q", root, "mine:1"]);
    let names = place.json(&["inspect", "mine:1"])[0]["names"].clone();
    assert_eq!(names, json!(["localhost/mine:1"]));
    assert!(place.ok(&["history", "mine:1"]).contains("sbx import"));
    assert!(!place.out(&["save", "mine:1"]).stdout.is_empty());
    place
        .out(&["push", "-q", "mine:1", "localhost:1/mine:1"])
        .code(125)
        .says("push to localhost:1/mine:1");
    place.ok(&["tag", "mine:1", "localhost/other"]);
    assert_eq!(place.ok(&["rmi", "mine:1"]), "untagged localhost/mine:1");
}

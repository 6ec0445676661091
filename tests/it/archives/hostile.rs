//! Archives of strangers: each is refused with one line, the store is as before, and nothing outside is touched.

use super::Shop;
use super::made::{Files, docker, layer, layout, packed};
use crate::util::image::{LAYER, MANIFEST, descriptor, gzip};
use crate::util::tar::{Entry, Tar};
use sbx::model::Digest;
use serde_json::json;
use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::time::Duration;

const SECRET: &str = "canary";

/// A store that holds an image already, a file outside that nobody may touch.
fn shop() -> Shop {
    let shop = Shop::new();
    shop.files.write("canary", SECRET);
    shop.files.write("honest.tar", packed(&honest()));
    shop.sbx(["load", "-q", "-i", "honest.tar"]).out().ok();
    shop
}

fn honest() -> Files {
    let layer = layer("honest", b"yes");
    layout(&[&layer], LAYER, &[Digest::of(&layer)])
}

fn oci() -> Files {
    let layer = layer("stranger", b"of a stranger");
    layout(&[&layer], LAYER, &[Digest::of(&layer)])
}

fn of_docker() -> Files {
    let layer = layer("stranger", b"of a stranger");
    docker(&layer, Digest::of(&layer))
}

/// Both ways: as a file, and through a pipe.
#[track_caller]
fn refused(shop: &Shop, what: &str, bytes: Vec<u8>, why: &str) {
    let before = shop.listing();
    shop.files.write("hostile.tar", &bytes);
    for stdin in [false, true] {
        let load = match stdin {
            false => shop.sbx(["load", "-q", "-i", "hostile.tar"]),
            true => shop.sbx(["load", "-q"]).stdin(bytes.clone()),
        };
        let out = load.out();
        assert_eq!(out.code, Some(125), "{what}: {}{}", out.stdout(), out.stderr());
        let said = out.stderr();
        assert_eq!(said.lines().count(), 1, "{what}: {said}");
        assert!(said.contains(why), "{what}: `{why}` is not in {said}");
        assert!(!said.trim_end().contains(char::is_control), "{what}: {said:?}");
        assert_eq!(shop.listing(), before, "{what}: the store has changed");
        assert_eq!(shop.files.read("canary"), SECRET, "{what}");
    }
}

fn with(mut files: Files, name: &str, bytes: &[u8]) -> Vec<u8> {
    files.insert(name.to_owned(), bytes.to_vec());
    packed(&files)
}

fn key(files: &Files, of: &str) -> String {
    let held = |bytes: &Vec<u8>| bytes.windows(of.len()).any(|part| part == of.as_bytes());
    let found = files
        .iter()
        .find(|(name, bytes)| *name != "index.json" && *name != "manifest.json" && held(bytes));
    found.expect("a blob").0.clone()
}

#[test]
fn blobs_are_what_their_digests_say() {
    let shop = shop();
    for files in [oci(), of_docker()] {
        for of in ["of a stranger", "architecture"] {
            let name = key(&files, of);
            let mut bytes = files[&name].clone();
            let at = bytes.windows(of.len()).position(|part| part == of.as_bytes());
            bytes[at.expect("there")] ^= 1;
            refused(&shop, &name, with(files.clone(), &name, &bytes), "hash to");
        }
    }
    let files = oci();
    for of in ["of a stranger", "architecture", MANIFEST] {
        let name = key(&files, of);
        let longer = [files[&name].as_slice(), b"\n"].concat();
        refused(&shop, &name, with(files.clone(), &name, &longer), "must have");
        let mut without = files.clone();
        without.remove(&name);
        refused(&shop, &name, packed(&without), "not there");
    }
}

#[test]
fn names_lead_nowhere() {
    let shop = shop();
    let outside = shop.path("canary").display().to_string();
    for (name, flag, link, why) in [
        ("../canary", b'0', "", "`..`"),
        ("blobs/sha256/../../../canary", b'0', "", "`..`"),
        (outside.as_str(), b'0', "", "relative"),
        ("x", b'2', outside.as_str(), "leads out"),
        ("x", b'2', "../canary", "leads out"),
        ("x", b'1', "../canary", "leads out"),
        ("x", b'6', "", "files and directories"),
        ("x", b'3', "", "files and directories"),
        ("oci-layout", b'0', "", "twice"),
        ("./index.json", b'0', "", "twice"),
    ] {
        let honest = oci();
        let honest = honest.iter().map(|(name, bytes)| Entry::file(name, bytes));
        let tar = Tar::new(honest).add(Entry::new(flag, name).to(link));
        refused(&shop, &format!("{name} -> {link}"), tar.bytes(), why);
    }
    let circle = Tar::new([
        Entry::file("manifest.json", r#"[{"Config":"a","Layers":[]}]"#),
        Entry::symlink("a", "b"),
        Entry::symlink("b", "a"),
    ]);
    refused(&shop, "a circle", circle.bytes(), "circles");
    let twice = || Entry::file("a\x1b[31m\n", "");
    refused(&shop, "escapes", Tar::new([twice(), twice()]).bytes(), "\\u{1b}");
}

#[test]
fn lists_name_what_is_there() {
    let shop = shop();
    let id = key(&of_docker(), "architecture");
    for (list, why) in [
        (
            json!([{ "Config": "../../canary", "Layers": ["a/layer.tar"] }]),
            "not there",
        ),
        (
            json!([{ "Config": "/etc/passwd", "Layers": ["a/layer.tar"] }]),
            "not there",
        ),
        (json!([{ "Config": id, "Layers": ["b/layer.tar"] }]), "not there"),
        (
            json!([{ "Config": id, "Layers": ["../../../canary"] }]),
            "not there",
        ),
        (json!([{ "Config": id, "Layers": [] }]), "layers"),
        (
            json!([{ "Config": id, "Layers": ["a/layer.tar", "a/layer.tar"] }]),
            "layers",
        ),
        (
            json!([{ "Config": id, "RepoTags": ["../x"], "Layers": ["a/layer.tar"] }]),
            "image name",
        ),
        (
            json!([{ "Config": id, "RepoTags": ["\u{1b}[1m"], "Layers": ["a/layer.tar"] }]),
            "image name",
        ),
        (json!([]), "no image"),
        (json!({}), "manifest.json"),
        (json!([{ "Layers": [] }]), "Config"),
    ] {
        let text = list.to_string();
        refused(
            &shop,
            &text,
            with(of_docker(), "manifest.json", text.as_bytes()),
            why,
        );
    }
    let twice = format!(r#"[{{"Config":"{id}","Config":"x","Layers":["a/layer.tar"]}}]"#);
    refused(
        &shop,
        "a key twice",
        with(of_docker(), "manifest.json", twice.as_bytes()),
        "duplicate",
    );
    let other = of_docker();
    let renamed = format!("{}.json", Digest::of(b"another").hex());
    let list = json!([{ "Config": renamed, "Layers": ["a/layer.tar"] }]).to_string();
    let mut files = other.clone();
    files.insert(renamed, other[&id].clone());
    refused(
        &shop,
        "a config's name",
        with(files, "manifest.json", list.as_bytes()),
        "hash to",
    );
}

#[test]
fn a_document_is_one_thing() {
    let shop = shop();
    let files = oci();
    let name = key(&files, MANIFEST);
    let manifest_bytes = &files[&name];
    let entry = descriptor(MANIFEST, manifest_bytes);
    let index = |manifests: serde_json::Value| {
        let index = json!({ "schemaVersion": 2, "manifests": manifests });
        serde_json::to_vec(&index).expect("JSON")
    };
    let mut named = entry.clone();
    named["annotations"] = json!({ "org.opencontainers.image.ref.name": "a" });
    refused(
        &shop,
        "two of one name",
        with(files.clone(), "index.json", &index(json!([named, named]))),
        "two images",
    );
    let mut both: serde_json::Value = serde_json::from_slice(manifest_bytes).expect("JSON");
    both["manifests"] = json!([]);
    let both = serde_json::to_vec(&both).expect("JSON");
    let mut mixed = files.clone();
    mixed.insert(format!("blobs/sha256/{}", Digest::of(&both).hex()), both.clone());
    let list = index(json!([descriptor(MANIFEST, &both)]));
    refused(
        &shop,
        "manifest and index",
        with(mixed, "index.json", &list),
        "CVE-2021-41190",
    );
    let mut other = entry.clone();
    other["mediaType"] = json!("application/vnd.oci.image.index.v1+json");
    refused(
        &shop,
        "a manifest as an index",
        with(files.clone(), "index.json", &index(json!([other]))),
        "announced",
    );
    let mut hybrid = files.clone();
    hybrid.extend(honest_docker());
    refused(&shop, "two forms, two images", packed(&hybrid), "does not have");
    refused(
        &shop,
        "no version",
        with(files, "oci-layout", b"{}"),
        "oci-layout",
    );
    refused(&shop, "no list", layer("x", b"y"), "sbx import");
}

fn honest_docker() -> Files {
    let layer = layer("other", b"of another image");
    docker(&layer, Digest::of(&layer))
}

#[test]
fn what_ends_early_is_nothing() {
    let shop = shop();
    for files in [oci(), of_docker()] {
        let whole = packed(&files);
        for cut in (700..whole.len() - 1024).step_by(1111) {
            refused(&shop, &format!("cut at {cut}"), whole[..cut].to_vec(), "");
        }
        let squeezed = gzip(&whole);
        let half = squeezed[..squeezed.len() / 2].to_vec();
        refused(&shop, "half a gzip", half, "gzip");
    }
}

#[test]
fn nothing_is_without_end() {
    let shop = shop();
    // 1 GiB of zeros in 1 MiB.
    let start = |size| {
        let mut tar = Vec::new();
        Entry::file("index.json", "").size(size).write(&mut tar);
        tar
    };
    let zeros = gzip(&vec![0; 8 << 20]);
    let bomb = [gzip(&start(1 << 30)), zeros.repeat(128)].concat();
    refused(&shop, "a bomb", bomb, "200 to 1");
    refused(&shop, "a huge entry", start(1 << 50), "the limit is");
    let document = vec![b' '; 5 << 20];
    refused(
        &shop,
        "a large list",
        with(oci(), "index.json", &document),
        "at most",
    );
    let many = Tar::new((0..70_000).map(|n| Entry::file(n.to_string(), "")));
    refused(&shop, "many entries", many.bytes(), "too many entries");
    // A pipe that never ends.
    let (mut command, _home) = shop
        .sbx(["load", "-q", "--image-limit", "image=20M"])
        .into_command();
    let before = shop.listing();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("sbx starts");
    let mut input = child.stdin.take().expect("a pipe");
    let writer = std::thread::spawn(move || {
        use std::io::Write;
        let mut start = Vec::new();
        Entry::file("index.json", "{}").write(&mut start);
        let _ = input.write_all(&start);
        while input.write_all(&[b'x'; 1 << 16]).is_ok() {}
    });
    let mut ended = None;
    crate::util::within(Duration::from_secs(60), "an end", || {
        ended = child.try_wait().expect("wait");
        ended.is_some()
    });
    writer.join().expect("the writer");
    assert_eq!(ended.and_then(|status| status.code()), Some(125));
    assert_eq!(shop.listing(), before);
}

#[test]
fn layers_are_unpacked_by_the_rules_of_a_pull() {
    let shop = shop();
    let outside = shop.path("canary").display().to_string();
    let bad = |name: &str, flag: u8, link: &str| {
        let first = Entry::file("first", "unpacked before it is refused");
        Tar::new([first, Entry::new(flag, name).to(link)]).bytes()
    };
    for (layer, why) in [
        (bad("../canary", b'0', ""), "`..`"),
        (bad("x", b'1', "../../canary"), "`..`"),
        (bad("x", b'1', "missing"), "missing"),
        (bad("x", b'z', ""), "type"),
        (b"no tar at all, but as long as one".repeat(40), ""),
    ] {
        let id = Digest::of(&layer);
        refused(&shop, why, packed(&layout(&[&layer], LAYER, &[id])), why);
        refused(&shop, why, packed(&docker(&layer, id)), why);
    }
    let link = Tar::new([Entry::symlink("x", &outside), Entry::file("x/y", "overwritten")]);
    let link = link.bytes();
    refused(
        &shop,
        "through a link",
        packed(&layout(&[&link], LAYER, &[Digest::of(&link)])),
        "",
    );
    let zeros = layer("zeros", &vec![0; 100 << 20]);
    let bomb = gzip(&zeros);
    let kind = format!("{LAYER}+gzip");
    refused(
        &shop,
        "a packed layer",
        packed(&layout(&[&bomb], &kind, &[Digest::of(&zeros)])),
        "200 to 1",
    );
    let good = layer("a", b"b");
    let wrong = layout(&[&good], LAYER, &[Digest::of(b"something else")]);
    refused(&shop, "a wrong diff id", packed(&wrong), "unpacks to");
    // The second layer is wrong: the first has been stored and unpacked by then.
    let second = bad("../x", b'0', "");
    let ids = [Digest::of(&good), Digest::of(&second)];
    let files = layout(&[&good, &second], LAYER, &ids);
    refused(&shop, "the second layer", packed(&files), "`..`");
}

#[test]
fn a_layouts_directory_holds_its_own_files() {
    let shop = shop();
    let before = shop.listing();
    let (files, secret) = (oci(), shop.path("secret"));
    let layer = key(&files, "of a stranger");
    std::fs::write(&secret, &files[&layer]).expect("write");
    let write = |name: &str| {
        for (file, bytes) in &files {
            shop.files.write(&format!("{name}/{file}"), bytes);
        }
        shop.path(name)
    };
    let link = write("link");
    std::fs::remove_file(link.join(&layer)).expect("rm");
    symlink(&secret, link.join(&layer)).expect("a link");
    let folder = write("folder");
    std::fs::rename(folder.join("blobs"), shop.path("blobs")).expect("mv");
    symlink(shop.path("blobs"), folder.join("blobs")).expect("a link");
    let fifo = write("fifo");
    std::fs::remove_file(fifo.join("index.json")).expect("rm");
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o644);
    nix::unistd::mkfifo(&fifo.join("index.json"), mode).expect("a fifo");
    for (name, why) in [
        ("link", "no link is followed"),
        ("folder", "no link is followed"),
        ("fifo", "no regular file"),
    ] {
        let out = shop.sbx(["load", "-q", name]).out();
        out.code(125).says(why);
        assert_eq!(out.stderr().lines().count(), 1, "{}", out.stderr());
        let image = format!("oci:./{name}");
        shop.run([image.as_str(), "/x"]).code(125).says(why);
        assert_eq!(shop.listing(), before, "{name}");
    }
}

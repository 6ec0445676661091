//! Forms of archives that tools write and that are easily missed: empty layers, empty lists, images without names.

use super::Shop;
use super::made::{Files, packed};
use crate::util::image::{Built, Image, LAYER, MANIFEST, busybox, descriptor, gzip};
use crate::util::tar::{Entry, Tar};
use sbx::model::Digest;
use serde_json::{Value, json};

/// The layer of a root that can say its name, and the config of an image that does.
fn says(word: &str, layers: &[&[u8]]) -> Value {
    let diff_ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer).to_string()).collect();
    json!({
        "architecture": "amd64", "os": "linux",
        "config": { "Cmd": ["/bin/busybox", "echo", word] },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    })
}

fn root() -> Option<Vec<u8>> {
    let program = busybox()?;
    Some(Tar::new([Entry::program("bin/busybox", program)]).bytes())
}

/// What `docker save` writes: images of plain layers, each with its tags.
fn docker(images: &[(&str, Value, &[&[u8]])]) -> Files {
    let (mut files, mut list) = (Files::new(), Vec::new());
    for (word, tags, layers) in images {
        let config = says(word, layers).to_string().into_bytes();
        let name = format!("{}.json", Digest::of(&config).hex());
        let named: Vec<_> = layers
            .iter()
            .map(|layer| format!("{}.tar", Digest::of(layer).hex()))
            .collect();
        list.push(json!({ "Config": name, "RepoTags": tags, "Layers": named }));
        files.insert(name, config);
        files.extend(named.into_iter().zip(layers.iter().map(|layer| layer.to_vec())));
    }
    files.insert("manifest.json".to_owned(), json!(list).to_string().into_bytes());
    files
}

/// A layout whose index has these images, each under its name or under none.
fn layout(images: &[(Option<&str>, &Built)]) -> Files {
    let (mut files, mut entries) = (Files::new(), Vec::new());
    for (name, image) in images {
        let mut one = image.files(*name);
        let index: Value = serde_json::from_slice(&one["index.json"]).expect("JSON");
        entries.extend(index["manifests"].as_array().expect("a list").clone());
        files.append(&mut one);
    }
    let index = json!({ "schemaVersion": 2, "manifests": entries });
    files.insert("index.json".to_owned(), index.to_string().into_bytes());
    files
}

fn image(word: &str) -> Option<Built> {
    let root = root()?;
    let layers = [(LAYER.to_owned(), root.clone())];
    Some(Built::of(&says(word, &[&root]), layers))
}

/// The first digits of an image's digest.
fn id_of(image: &Built) -> String {
    image.digest()["sha256:".len()..][..12].to_owned()
}

/// What `load` prints for an archive, line by line, and what it notes.
#[track_caller]
fn loaded(shop: &Shop, what: &str) -> (Vec<String>, String) {
    let out = shop.sbx(["load", "-i", what]).out();
    let lines = out.ok().lines().map(str::to_owned).collect();
    (lines, out.stderr())
}

#[test]
fn layer_without_entries_is_an_empty_tar() {
    let Some(root) = root() else { return };
    for size in [0, 1024, 10_240] {
        let empty = vec![0; size];
        let layers: [&[u8]; 3] = [&empty, &root, &empty];
        let shop = Shop::new();
        shop.files.write(
            "d.tar",
            packed(&docker(&[("docker", json!(["tool:1"]), &layers)])),
        );
        assert_eq!(shop.run(["docker-archive:d.tar"]).ok(), "docker", "{size}");
        for (packing, blob) in [("", &empty), ("+gzip", &gzip(&empty))] {
            let blobs = [
                (LAYER.to_owned(), root.clone()),
                (format!("{LAYER}{packing}"), blob.clone()),
            ];
            let built = Built::of(&says("oci", &[&root, &empty]), blobs);
            shop.files.write("o.tar", packed(&built.files(None)));
            assert_eq!(shop.run(["oci-archive:o.tar"]).ok(), "oci", "{size} {packing}");
        }
    }
}

#[test]
fn blob_without_bytes_is_an_empty_layer_of_any_type() {
    let Some(root) = root() else { return };
    for packing in ["", "+gzip", "+zstd"] {
        let shop = Shop::new();
        let blobs = [
            (LAYER.to_owned(), root.clone()),
            (format!("{LAYER}{packing}"), Vec::new()),
        ];
        let built = Built::of(&says("empty", &[&root, b""]), blobs);
        shop.files.write("o.tar", packed(&built.files(None)));
        assert_eq!(shop.run(["oci-archive:o.tar"]).ok(), "empty", "{packing}");
        let (lines, _) = loaded(&shop, "o.tar");
        let out = shop.sbx(["save", "-o", "again.tar", &lines[0]]).out();
        out.ok();
        let other = Shop::new();
        let again = format!("oci-archive:{}", shop.path("again.tar").display());
        assert_eq!(other.run([again.as_str()]).ok(), "empty", "{packing}");
    }
    // The digest still counts.
    let shop = Shop::new();
    let built = Built::of(
        &says("x", &[&root, b"x"]),
        [(LAYER.to_owned(), root), (LAYER.to_owned(), Vec::new())],
    );
    shop.files.write("o.tar", packed(&built.files(None)));
    shop.run(["oci-archive:o.tar"]).code(125).says("unpacks to");
}

#[test]
fn index_without_manifests_gives_way_to_manifest_json() {
    let Some(root) = root() else { return };
    for manifests in ["null", "[]"] {
        let mut files = docker(&[("docker", json!(["tool:1"]), &[&root])]);
        let index = format!(r#"{{"schemaVersion":2,"manifests":{manifests}}}"#);
        files.insert("index.json".to_owned(), index.clone().into_bytes());
        files.insert(
            "oci-layout".to_owned(),
            br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
        );
        let shop = Shop::new();
        shop.files.write("both.tar", packed(&files));
        let (lines, _) = loaded(&shop, "both.tar");
        assert!(lines[0].ends_with(" docker.io/library/tool:1"), "{lines:?}");
        assert_eq!(shop.run(["tool:1"]).ok(), "docker");
        assert_eq!(shop.run(["docker-archive:both.tar"]).ok(), "docker");
        // Asked for as a layout, or alone, it is empty.
        shop.run(["oci-archive:both.tar"])
            .code(125)
            .says("there is no image in it");
        files.remove("manifest.json");
        shop.files.write("none.tar", packed(&files));
        shop.sbx(["load", "-i", "none.tar"])
            .out()
            .code(125)
            .says("there is no image in it");
    }
}

#[test]
fn images_saved_by_id_are_loaded_under_their_digests() {
    let Some(root) = root() else { return };
    for tags in [Value::Null, json!([])] {
        let shop = Shop::new();
        let both = docker(&[("one", tags.clone(), &[&root]), ("two", tags, &[&root])]);
        shop.files.write("d.tar", packed(&both));
        let (lines, _) = loaded(&shop, "d.tar");
        let said: Vec<_> = lines.iter().map(|line| shop.run([line.as_str()]).ok()).collect();
        assert_eq!(said, ["one", "two"], "{lines:?}");
        shop.run(["docker-archive:d.tar"])
            .code(125)
            .says("it has 2 images");
        let id = shop.id(&lines[1]);
        let (one, _) = loaded(&shop, &format!("d.tar:{id}"));
        assert_eq!(one, [lines[1].clone()]);
    }
}

#[test]
fn images_without_a_name_are_counted_beside_named_ones() {
    let (Some(tool), Some(old), Some(older)) = (image("tool"), image("old"), image("older")) else {
        return;
    };
    let shop = Shop::new();
    let files = layout(&[(None, &old), (Some("tool"), &tool), (None, &older)]);
    shop.files.write("mixed.tar", packed(&files));
    for (name, bytes) in &files {
        shop.files.write(&format!("mixed/{name}"), bytes);
    }
    for at in ["mixed.tar", "mixed"] {
        let (lines, note) = loaded(&shop, at);
        assert_eq!(
            lines,
            [format!("{} localhost/tool:latest", tool.digest())],
            "{at}"
        );
        let ids = [&old, &older].map(id_of);
        assert!(
            note.contains(&format!("2 images without a name ({})", ids.join(", "))),
            "{note}"
        );
        for name in [old.digest(), ids[0].clone()] {
            let (lines, note) = loaded(&shop, &format!("{at}:{name}"));
            assert_eq!(lines, [old.digest()], "{at}:{name}");
            assert!(!note.contains("left out"), "{note}");
        }
        let (lines, _) = loaded(&shop, &format!("{at}:tool"));
        assert_eq!(
            lines,
            [format!("{} localhost/tool:latest", tool.digest())],
            "{at}"
        );
        let none = format!("{at}:nothing");
        let out = shop.sbx(["load", "-i", &none]).out();
        out.code(125).says("no image is named so").says(&ids[1]);
    }
    assert_eq!(
        shop.run([format!("oci:mixed:{}", id_of(&older)).as_str()]).ok(),
        "older"
    );
}

#[test]
fn images_that_all_lack_a_name_are_loaded_under_their_digests() {
    let (Some(one), Some(two)) = (image("one"), image("two")) else {
        return;
    };
    let shop = Shop::new();
    shop.files.write(
        "o.tar",
        packed(&layout(&[(None, &one), (None, &two), (None, &one)])),
    );
    let (lines, note) = loaded(&shop, "o.tar");
    assert_eq!(lines, [one.digest(), two.digest()]);
    assert!(!note.contains("left out"), "{note}");
    assert_eq!(shop.run([two.digest().as_str()]).ok(), "two");
    let out = shop.run(["oci-archive:o.tar"]);
    out.code(125).says(&id_of(&one)).says(&id_of(&two));
}

#[test]
fn image_of_an_archive_of_both_forms_is_loaded_without_a_name() {
    let Some(root) = root() else { return };
    let (named, by_id) = (says("named", &[&root]), says("by id", &[&root]));
    let built = [&named, &by_id].map(|config| Built::of(config, [(LAYER.to_owned(), root.clone())]));
    let mut files = layout(&[(Some("localhost/named:1"), &built[0]), (None, &built[1])]);
    files.extend(docker(&[
        ("named", json!(["localhost/named:1"]), &[&root]),
        ("by id", Value::Null, &[&root]),
    ]));
    let shop = Shop::new();
    shop.files.write("both.tar", packed(&files));
    let (lines, note) = loaded(&shop, "both.tar");
    assert_eq!(
        lines,
        [
            format!("{} localhost/named:1", built[0].digest()),
            built[1].digest()
        ]
    );
    assert!(!note.contains("left out"), "{note}");
    let (lines, _) = loaded(&shop, "both.tar:localhost/named:1");
    assert_eq!(lines.len(), 1, "{lines:?}");
}

#[test]
fn artifacts_beside_an_image_are_left_out_and_told() {
    let tool = Image::new().layer([Entry::file("x", "x")]).build();
    let chart = tool.clone().edit(|manifest| {
        manifest["config"] = descriptor("application/vnd.cncf.helm.config.v1+json", b"{}");
    });
    let signature = tool
        .clone()
        .edit(|manifest| manifest["artifactType"] = json!("application/sig"));
    let subject = tool.clone().edit(|manifest| {
        manifest["subject"] = descriptor(MANIFEST, b"of another");
    });
    let shop = Shop::new();
    let files = layout(&[(Some("tool"), &tool), (Some("chart"), &chart), (None, &signature)]);
    shop.files.write("a.tar", packed(&files));
    let (lines, note) = loaded(&shop, "a.tar");
    assert_eq!(lines, [format!("{} localhost/tool:latest", tool.digest())]);
    assert!(note.contains("2 artifacts that are no image"), "{note}");
    let out = shop.sbx(["load", "-i", "a.tar:chart"]).out();
    out.code(125).says("it is not a container image");
    shop.files
        .write("none.tar", packed(&layout(&[(Some("chart"), &chart)])));
    let out = shop.sbx(["load", "-i", "none.tar"]).out();
    out.code(125).says("it is not a container image");
    // An image that refers to another one is an image.
    shop.files
        .write("s.tar", packed(&layout(&[(Some("tool"), &subject)])));
    assert_eq!(loaded(&shop, "s.tar").0.len(), 1);
}

#[test]
fn pull_takes_layouts_and_archives() {
    let (Some(root), Some(tool), Some(other)) = (root(), image("tool"), image("other")) else {
        return;
    };
    let shop = Shop::new();
    let files = layout(&[(Some("tool"), &tool), (Some("other"), &other)]);
    shop.files.write("o.tar", packed(&files));
    for (name, bytes) in &files {
        shop.files.write(&format!("layout/{name}"), bytes);
    }
    let of_docker = docker(&[("saved", json!(["q.example/saved:1"]), &[&root])]);
    shop.files.write("d.tar", packed(&of_docker));
    for (source, name, said) in [
        ("oci:layout:tool", "localhost/tool", "tool"),
        ("oci-archive:o.tar:other", "localhost/other", "other"),
        ("docker-archive:d.tar", "q.example/saved:1", "saved"),
        (
            "docker-archive:d.tar:q.example/saved:1",
            "q.example/saved:1",
            "saved",
        ),
    ] {
        let digest = shop.sbx(["pull", "-q", source]).out().ok();
        assert!(
            digest.starts_with("sha256:") && digest.lines().count() == 1,
            "{source}: {digest}"
        );
        assert_eq!(shop.run(["--pull", "never", name]).ok(), said, "{source}");
    }
    for (source, why) in [
        ("oci:layout", "name one of its images: there is other, tool"),
        ("oci-archive:d.tar", "docker-archive:FILE"),
        (
            "docker-archive:d.tar:q.example/none",
            "no image in it is named so",
        ),
        ("oci-archive:none.tar", "No such file"),
    ] {
        shop.sbx(["pull", "-q", source]).out().code(125).says(why);
    }
    shop.sbx(["pull", "oci:"]).out().code(2).says("write oci:DIR");
}

#[test]
fn times_that_are_none_are_listed_as_a_dash() {
    let times = [
        json!(""),
        json!("0001-01-01T00:00:00Z"),
        json!("yesterday"),
        json!("2024-02-30T00:00:00Z"),
        Value::Null,
        json!("2020-01-02T03:04:05Z"),
    ];
    let shop = Shop::new();
    for (at, time) in times.iter().enumerate() {
        let mut image = Image::new().layer([Entry::file("x", "x")]);
        image.config["created"] = time.clone();
        image.config["history"] = json!([{ "created": time, "created_by": "COPY" }]);
        let name = format!("localhost/t{at}:1");
        shop.files
            .write("a.tar", packed(&image.build().files(Some(&name))));
        shop.sbx(["load", "-q", "-i", "a.tar"]).out().ok();
        let wanted = if at + 1 == times.len() { "years" } else { "-" };
        let column = |verb: &[&str], at: usize| {
            let table = shop.sbx(verb.iter().copied()).out().ok();
            let line = table
                .lines()
                .find(|line| line.contains("COPY") || line.contains(name.trim_end_matches(":1")));
            let words: Vec<_> = line.expect("a line").split_whitespace().collect();
            let ago = words
                .iter()
                .position(|word| *word == "ago")
                .map_or(at, |ago| ago - 1);
            words[ago].to_owned()
        };
        assert_eq!(column(&["images"], 3), wanted, "images: {time}");
        assert_eq!(column(&["history", &name], 0), wanted, "history: {time}");
    }
}

#[test]
fn times_of_an_imported_directory_are_kept() {
    let Some(program) = busybox() else { return };
    let shop = Shop::new();
    shop.files.script("root/bin/busybox", program);
    let times = [-630_720_000, -1, 0, 4_294_967_301, 15_032_385_535];
    for time in times {
        let name = format!("root/t{time}");
        shop.files.write(&name, "x");
        let file = std::fs::File::open(shop.path(&name)).expect("a file");
        let time = nix::sys::time::TimeSpec::new(time, 0);
        nix::sys::stat::futimens(&file, &time, &time).expect("a time");
    }
    shop.sbx(["import", "-q", "root", "old:1"]).out().ok();
    let names = times.map(|time| format!("/t{time}"));
    let stat = ["old:1", "/bin/busybox", "stat", "-c", "%Y"];
    let said = shop
        .run(stat.into_iter().chain(names.iter().map(String::as_str)))
        .ok();
    assert_eq!(said, times.map(|time| time.to_string()).join("\n"));
}

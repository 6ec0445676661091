//! Manifests, indexes and configs that lie, and registries that answer with something else: refused, in one line, by a rule.

use super::liar::{Answers, Liar, answers};
use super::place::{Home, refused};
use crate::util::image::{Built, INDEX, Image, MANIFEST};
use crate::util::tar::Entry;
use serde_json::{Value, json};

fn image() -> Option<Image> {
    Some(Image::busybox()?.layer([Entry::file("file", "x")]))
}

/// Refused in one line that names the image and says these; the store has no name for it, and nothing unpacked.
#[track_caller]
fn never_run(answers: Answers, says: &[&str]) {
    let (home, liar) = (Home::new(), Liar::with(answers));
    let out = home.sh(&liar.name(), "echo ran");
    refused(&out, &[&[liar.name().as_str()], says].concat());
    let (index, layers) = home.holds();
    assert!(
        !index.contains("the/liar") && layers.is_empty(),
        "{index} {layers:?}"
    );
    home.sound();
    // And so does the second attempt, with whatever the first has left.
    refused(&home.sh(&liar.name(), "echo ran"), says);
}

#[test]
fn the_honest_image_runs() {
    let Some(image) = image() else { return };
    let liar = Liar::of(&image.build());
    assert_eq!(Home::new().sh(&liar.name(), "echo ran").ok(), "ran");
}

#[test]
fn cve_2021_41190_documents_that_could_be_read_as_another_kind_are_refused() {
    let Some(image) = image() else { return };
    let built = image.build();
    let both = built.clone().edit(|m| m["manifests"] = json!([]));
    never_run(answers(&both), &["both `layers` and `manifests`"]);
    let schema1 = built.clone().edit(|m| m["fsLayers"] = json!([]));
    never_run(answers(&schema1), &["fsLayers"]);
    let mut index = Built::index(&[("linux/amd64", built.clone())]).edit(|m| m["layers"] = json!([]));
    never_run(answers(&index), &["layers"]);
    // The media type inside is another one than that of the answer.
    index = Built::index(&[("linux/amd64", built.clone())]);
    index.media_type = MANIFEST.to_owned();
    never_run(answers(&index), &["announced as"]);
    let mut lying = built.clone();
    lying.media_type = INDEX.to_owned();
    never_run(answers(&lying), &["announced as"]);
    // An index that calls a manifest an index.
    let confused = Built::index(&[("linux/amd64", built.clone())])
        .edit(|m| m["manifests"][0]["mediaType"] = json!(INDEX));
    never_run(answers(&confused), &["announced as"]);
    let text = String::from_utf8(built.manifest.clone()).expect("text");
    let mut twice = built;
    twice.manifest = text.replacen('{', r#"{"layers":[],"#, 1).into_bytes();
    never_run(answers(&twice), &["duplicate"]);
}

#[test]
fn digests_and_sizes_of_documents_are_checked() {
    let Some(image) = image() else { return };
    let built = image.build();
    let other = answers(&Image::busybox().expect("as before").build())["manifests/it"].clone();
    // By digest, another manifest is served.
    let index = Built::index(&[("linux/amd64", built.clone())]);
    let mut all = answers(&index);
    all.insert(format!("manifests/{}", built.digest()), other.clone());
    never_run(all, &["digest"]);
    let shorter = index.clone().edit(|m| m["manifests"][0]["size"] = json!(7));
    never_run(answers(&shorter), &["bytes", "index says 7"]);
    // The config.
    let manifest: Value = serde_json::from_slice(&built.manifest).expect("JSON");
    let config = manifest["config"]["digest"].as_str().expect("a digest");
    let mut all = answers(&built);
    all.get_mut(&format!("blobs/{config}")).expect("the config").1 = b"{}".to_vec();
    never_run(all, &["bytes"]);
    let long = built.clone().edit(|m| m["config"]["size"] = json!(5 << 20));
    never_run(answers(&long), &["config", "bytes"]);
    // What was asked for by its digest is another thing under that name.
    let (home, mut all) = (Home::new(), answers(&built));
    all.insert(format!("manifests/{}", built.digest()), other);
    let liar = Liar::with(all);
    let name = format!("{}@{}", liar.name().trim_end_matches(":it"), built.digest());
    refused(&home.sh(&name, "echo ran"), &["digest"]);
}

#[test]
fn a_digest_is_never_a_path() {
    let Some(image) = image() else { return };
    let built = image.build();
    let hex = "a".repeat(63);
    for digest in [
        "sha256:../../../../../../tmp/x",
        "sha256:",
        "../../x",
        &format!("sha256:{hex}"),
        &format!("sha256:{hex}/"),
        &format!("sha256:{}", "A".repeat(64)),
        &format!("sha512:{}", "a".repeat(128)),
        "sha256:\u{1b}[31m",
    ] {
        for place in ["config", "layer"] {
            let lying = built.clone().edit(|m| match place {
                "config" => m["config"]["digest"] = json!(digest),
                _ => m["layers"][1]["digest"] = json!(digest),
            });
            never_run(answers(&lying), &["manifest "]);
        }
    }
    for name in [
        "127.0.0.1:1/../../x",
        "127.0.0.1:1/a:../../x",
        "127.0.0.1:1/a@sha256:../x",
        "127.0.0.1:1/a/\x1b[31m",
    ] {
        let out = Home::new().sh(name, "echo ran");
        refused(&out, &[]);
    }
}

#[test]
fn more_than_an_image_may_have_is_refused() {
    let Some(image) = image() else { return };
    let built = image.build();
    let many = built.clone().edit(|m| {
        let layer = m["layers"][1].clone();
        m["layers"] = json!(vec![layer; 10_000]);
    });
    never_run(answers(&many), &["10000 layers", "limit is 500"]);
    let huge = built
        .clone()
        .edit(|m| m["annotations"] = json!({"x": "y".repeat(5 << 20)}));
    never_run(answers(&huge), &["4194304 bytes"]);
    let deep = built.clone();
    let mut all = answers(&deep);
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    all.get_mut("manifests/it").expect("it").1 = nested.into_bytes();
    never_run(all, &["manifest"]);
    let packed = built.edit(|m| m["layers"][1]["size"] = json!(1u64 << 62));
    never_run(answers(&packed), &["layer", "bytes"]);
}

#[test]
fn kinds_that_are_no_images_are_named() {
    let Some(image) = image() else { return };
    let built = image.build();
    for (kind, says) in [
        (
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "not distributable",
        ),
        (
            "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
            "encrypted",
        ),
        ("application/vnd.oci.image.layer.v1.tar+xz", "gzip or zstd"),
        ("\x1b[31m", "gzip or zstd"),
    ] {
        let lying = built.clone().edit(|m| m["layers"][1]["mediaType"] = json!(kind));
        never_run(answers(&lying), &[says]);
    }
    let chart = built
        .clone()
        .edit(|m| m["config"]["mediaType"] = json!("application/vnd.cncf.helm.config.v1+json"));
    never_run(answers(&chart), &["not a container image"]);
    let mut html = answers(&built);
    html.insert(
        "manifests/it".into(),
        ("text/html".into(), b"<html>\x1b[31m</html>".to_vec()),
    );
    never_run(html, &["text/html"]);
    // Where a layer is said to be had is nobody's business but the registry's: nothing is fetched from there.
    let (thief, port) = crate::registry::server::silent();
    let urls = built.edit(|m| m["layers"][1]["urls"] = json!([format!("http://127.0.0.1:{port}/layer")]));
    let liar = Liar::of(&urls);
    assert_eq!(Home::new().sh(&liar.name(), "echo ran").ok(), "ran");
    assert!(crate::registry::server::arrived(&thief).is_none());
}

#[test]
fn cve_2020_15157_credentials_go_to_no_other_host() {
    use crate::registry::server::{Reply, Server};
    use base64::Engine as _;
    let Some(image) = image() else { return };
    let built = image.build();
    let (there, blobs) = (answers(&built), answers(&built));
    // Another port is another host: it has the blobs, and is to be asked for them without a word about who asks.
    let other = Server::plain(move |asked| {
        let blob = asked.path.strip_prefix("/").and_then(|path| blobs.get(path));
        blob.map_or(Reply::new(404).body(""), |(_, bytes)| Reply::ok(bytes))
    });
    let port = other.port;
    let registry = Server::plain(move |asked| {
        let rest = asked.path.strip_prefix("/v2/the/liar/").unwrap_or_default();
        match there.get(rest) {
            _ if asked.header("authorization").is_none() => Reply::challenge("Basic realm=\"x\""),
            None => Reply::ok("{}"),
            Some(_) if rest.starts_with("blobs/") => {
                Reply::redirect(format!("http://127.0.0.1:{port}/{rest}"))
            }
            Some((kind, bytes)) => Reply::ok(bytes).header("Content-Type", kind),
        }
    });
    let host = format!("127.0.0.1:{}", registry.port);
    let pair = base64::engine::general_purpose::STANDARD.encode("ada:hunter2");
    let home = Home::new();
    let auth = json!({"auths": {&host: {"auth": pair}}}).to_string();
    let path = home.dir.write("containers/auth.json", auth);
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("chmod");
    let name = format!("{host}/the/liar:it");
    // A registry may send to its own port and to 443; where else its blobs may be is for the user to say.
    let says = format!("port {port} is not the registry's own");
    refused(&home.pull(&name), &[&name, &says]);
    assert!(other.asked().is_empty());
    let mirror = format!(
        "[[registry]]\nlocation = \"{host}\"\n[[registry.mirror]]\nlocation = \"127.0.0.1:{port}/none\"\n"
    );
    home.dir.write(".config/containers/registries.conf", mirror);
    assert_eq!(home.sh(&name, "echo ran").ok(), "ran");
    assert!(
        registry
            .asked()
            .iter()
            .any(|asked| asked.header("authorization").is_some())
    );
    let asked = other.asked();
    let blobs = asked.iter().filter(|asked| asked.path.starts_with("/blobs/"));
    assert_eq!(blobs.count(), 3, "a config and two layers");
    for asked in asked {
        let told = format!("{asked:?}");
        assert!(!told.contains("hunter2") && !told.contains(&pair), "{told}");
    }
}

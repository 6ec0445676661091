//! Documents that tools really write, and those that nobody should read.

use super::*;
use crate::image::descriptor::Compression;
use crate::image::limits::Limits;
use crate::model::{Bytes, Digest};
use proptest::prelude::*;
use serde_json::{Value, json};

const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

fn descriptor(media_type: &str, size: u64) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(b"x"), "size": size})
}

fn manifest() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(OCI_CONFIG, 10),
        "layers": [descriptor(OCI_LAYER, 20)],
    })
}

fn index() -> Value {
    let mut one = descriptor(OCI_MANIFEST, 30);
    one["platform"] = json!({"os": "linux", "architecture": "arm", "variant": "v7", "os.version": "x"});
    json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [one]})
}

fn read(document: &Value, media_type: &str) -> Result<Document, Error> {
    parse(document.to_string().as_bytes(), media_type, &Limits::default())
}

/// The manifest with one key changed; `null` takes it away.
fn with(mut document: Value, key: &str, value: Value) -> Value {
    match value {
        Value::Null => drop(document.as_object_mut().map(|o| o.remove(key))),
        value => document[key] = value,
    }
    document
}

fn message(document: &Value) -> String {
    let announced = document["mediaType"].as_str().unwrap_or(OCI_MANIFEST);
    read(document, announced).expect_err("refused").to_string()
}

#[test]
fn what_tools_write_is_read() {
    let Ok(Document::Manifest(read_oci)) = read(&manifest(), OCI_MANIFEST) else {
        panic!("a manifest");
    };
    assert_eq!(read_oci.layers[0].compression, Compression::Gzip);
    assert_eq!(
        (read_oci.config.size, read_oci.layers[0].descriptor.size),
        (10, 20)
    );
    let plain = with(manifest(), "mediaType", Value::Null);
    assert!(read(&plain, OCI_MANIFEST).is_ok(), "OCI leaves mediaType out");
    assert!(read(&plain, &format!("{OCI_MANIFEST}; charset=utf-8")).is_ok());
    let docker = with(manifest(), "mediaType", json!(DOCKER_MANIFEST));
    let docker = with(
        docker,
        "config",
        descriptor("application/vnd.docker.container.image.v1+json", 1),
    );
    let layer = descriptor("application/vnd.docker.image.rootfs.diff.tar.gzip", 1);
    let docker = with(docker, "layers", json!([layer]));
    assert!(matches!(
        read(&docker, DOCKER_MANIFEST),
        Ok(Document::Manifest(_))
    ));
    for text in [manifest(), plain, docker] {
        assert!(parse_stored(text.to_string().as_bytes(), &Limits::default()).is_ok());
    }
    let Ok(Document::Index(read_index)) = read(&index(), OCI_INDEX) else {
        panic!("an index");
    };
    let platform = read_index.manifests[0].platform.as_ref().map(ToString::to_string);
    assert_eq!(platform.as_deref(), Some("linux/arm/v7"));
    let list = with(index(), "mediaType", json!(DOCKER_LIST));
    assert!(matches!(read(&list, DOCKER_LIST), Ok(Document::Index(_))));
    assert!(parse_stored(index().to_string().as_bytes(), &Limits::default()).is_err());
}

#[test]
fn every_packing_is_known_or_refused_by_name() {
    let layer = |media_type: &str| with(manifest(), "layers", json!([descriptor(media_type, 1)]));
    for (media_type, compression) in [
        ("application/vnd.oci.image.layer.v1.tar", Compression::None),
        ("application/vnd.oci.image.layer.v1.tar+zstd", Compression::Zstd),
        (
            "application/vnd.docker.image.rootfs.diff.tar.zstd",
            Compression::Zstd,
        ),
    ] {
        let Ok(Document::Manifest(read)) = read(&layer(media_type), OCI_MANIFEST) else {
            panic!("{media_type}");
        };
        assert_eq!(read.layers[0].compression, compression, "{media_type}");
    }
    for (media_type, what) in [
        (
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "not distributable",
        ),
        (
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            "not distributable",
        ),
        (
            "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
            "encrypted",
        ),
        ("application/vnd.oci.image.layer.v1.tar+xz", "must be a tar"),
        ("text/\u{1b}[31m", "text/\\u{1b}[31m"),
    ] {
        let message = message(&layer(media_type));
        assert!(message.contains(what), "{message}");
        assert!(!message.contains('\u{1b}'), "{message:?}");
    }
}

#[test]
fn lists_that_are_null_are_empty() {
    let null = |mut document: Value, key: &str| {
        document[key] = Value::Null;
        document
    };
    let Ok(Document::Index(read_index)) = read(&null(index(), "manifests"), OCI_INDEX) else {
        panic!("an index");
    };
    assert!(read_index.manifests.is_empty());
    let Ok(Document::Manifest(read_manifest)) = read(&null(manifest(), "layers"), OCI_MANIFEST) else {
        panic!("a manifest");
    };
    assert!(read_manifest.layers.is_empty());
    assert!(read(&null(manifest(), "manifests"), OCI_MANIFEST).is_ok());
}

#[test]
fn layer_without_bytes_is_an_empty_tar_of_any_type() {
    for media_type in [OCI_LAYER, "application/vnd.oci.image.layer.v1.tar+zstd"] {
        let document = with(manifest(), "layers", json!([descriptor(media_type, 0)]));
        let Ok(Document::Manifest(read)) = read(&document, OCI_MANIFEST) else {
            panic!("{media_type}");
        };
        assert_eq!(read.layers[0].compression, Compression::None, "{media_type}");
    }
}

#[test]
fn nothing_is_read_as_two_things() {
    let layers = manifest()["layers"].clone();
    let manifests = index()["manifests"].clone();
    for (document, what) in [
        (with(manifest(), "manifests", manifests), "CVE-2021-41190"),
        (with(index(), "layers", layers.clone()), "CVE-2021-41190"),
        (
            with(index(), "config", descriptor(OCI_CONFIG, 1)),
            "CVE-2021-41190",
        ),
        (with(manifest(), "fsLayers", json!([])), "CVE-2021-41190"),
        (with(manifest(), "schemaVersion", json!(1)), "schema 1"),
        (with(manifest(), "schemaVersion", json!(3)), "schemaVersion is 3"),
        (with(manifest(), "schemaVersion", Value::Null), "schemaVersion"),
        (with(manifest(), "config", Value::Null), "`config`"),
        (with(manifest(), "layers", Value::Null), "`layers`"),
        (with(index(), "manifests", Value::Null), "`manifests`"),
        (
            with(manifest(), "artifactType", json!("application/spdx")),
            "not a container image",
        ),
        (
            with(
                manifest(),
                "config",
                descriptor("application/vnd.cncf.helm.config.v1+json", 1),
            ),
            "not a container image: it holds `application/vnd.cncf.helm",
        ),
        (
            with(manifest(), "config", descriptor(OCI_CONFIG, 0)),
            "must have 1 to",
        ),
        (
            with(manifest(), "layers", json!([descriptor(OCI_LAYER, 17 << 30)])),
            "must have 0 to",
        ),
        (
            with(manifest(), "config", descriptor(OCI_CONFIG, 5 << 20)),
            "must have 1 to",
        ),
        (
            with(
                manifest(),
                "layers",
                json!([{"mediaType": OCI_LAYER, "digest": "sha512:00", "size": 1}]),
            ),
            "only sha256",
        ),
        (
            with(
                manifest(),
                "layers",
                json!([{"mediaType": OCI_LAYER, "digest": "sha256:../../x", "size": 1}]),
            ),
            "must be followed by 64 digits",
        ),
        (
            with(
                manifest(),
                "layers",
                json!([{"mediaType": OCI_LAYER, "digest": Digest::of(b""), "size": -1}]),
            ),
            "-1",
        ),
        (
            with(manifest(), "layers", json!(vec![descriptor(OCI_LAYER, 1); 501])),
            "501 layers, the limit is 500",
        ),
    ] {
        let message = message(&document);
        assert!(message.contains(what), "{what}: {message}");
    }
    for (document, announced) in [
        (manifest(), OCI_INDEX),
        (manifest(), DOCKER_MANIFEST),
        (index(), OCI_MANIFEST),
        (index(), DOCKER_LIST),
    ] {
        assert!(
            matches!(read(&document, announced), Err(Error::Mismatch { .. })),
            "{announced}"
        );
    }
    for announced in [
        "",
        "application/json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    ] {
        assert!(read(&manifest(), announced).is_err(), "{announced}");
    }
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    let text = manifest().to_string();
    for key in ["layers", "schemaVersion", "mediaType", "config"] {
        let value = &manifest()[key];
        let twice = format!("{{\"{key}\":{value},{}", &text[1..]);
        let error = parse(twice.as_bytes(), OCI_MANIFEST, &Limits::default());
        assert!(
            matches!(&error, Err(Error::Json(why)) if why.contains("duplicate")),
            "{error:?}"
        );
    }
}

#[test]
fn size_and_depth_are_bounded() {
    let limits = Limits {
        document: Bytes(64),
        ..Limits::default()
    };
    let error = parse(manifest().to_string().as_bytes(), OCI_MANIFEST, &limits);
    assert!(matches!(error, Err(Error::Large { limit: 64, .. })), "{error:?}");
    let deep = with(manifest(), "x", json!(0)).to_string();
    let deep = deep.replace(
        "\"x\":0",
        &format!("\"x\":{}{}", "[".repeat(100_000), "]".repeat(100_000)),
    );
    // What is not read is skipped without recursion.
    assert!(parse(deep.as_bytes(), OCI_MANIFEST, &Limits::default()).is_ok());
}

fn config() -> Value {
    json!({
        "architecture": "amd64",
        "os": "linux",
        "created": "2024-01-01T00:00:00Z",
        "config": {"Env": ["PATH=/bin", "A=b=c", "E="], "Cmd": ["sh"], "User": "1000:0", "WorkingDir": "/w",
            "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/data": {}}, "Labels": {"a": "b"}, "StopSignal": "SIGRTMIN+3",
            "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1e9}, "ArgsEscaped": true},
        "rootfs": {"type": "layers", "diff_ids": [Digest::of(b"x")]},
        "history": [{"created_by": "COPY", "created": "x"}, {"empty_layer": true, "comment": null}],
        "container_config": {"Hostname": "x"}, "docker_version": "1", "unknown": [1, {"a": null}],
    })
}

fn read_config(config: &Value) -> Result<Config, Error> {
    Config::parse(config.to_string().as_bytes(), 1, &Limits::default())
}

#[test]
fn a_config_is_read() {
    let read = read_config(&config()).expect("a config");
    assert_eq!(read.config.env[1], ("A".to_owned(), "b=c".to_owned()));
    assert_eq!(read.config.env[2], ("E".to_owned(), String::new()));
    assert_eq!(read.config.stop_signal, Some(37));
    assert_eq!(
        (&*read.config.exposed_ports, &*read.config.volumes),
        (&["80/tcp".to_owned()][..], &["/data".to_owned()][..])
    );
    assert!(read.history[1].empty_layer && !read.history[0].empty_layer);
    assert_eq!(read.diff_ids, [Digest::of(b"x")]);
}

#[test]
fn go_writes_null_for_empty() {
    let mut document = config();
    document["config"] = json!({"Env": null, "Entrypoint": null, "Cmd": null, "Volumes": null, "Labels": null,
        "ExposedPorts": null, "User": "", "StopSignal": "", "WorkingDir": "", "OnBuild": null});
    document["history"] = Value::Null;
    document["variant"] = json!("");
    let read = read_config(&document).expect("a config");
    assert_eq!(
        (read.config, read.history, read.variant),
        (Execution::default(), vec![], None)
    );
    assert!(read_config(&with(document.clone(), "config", Value::Null)).is_ok());
    document["config"] = Value::Null;
    assert!(read_config(&document).is_ok());
    document["rootfs"]["diff_ids"] = Value::Null;
    assert!(Config::parse(document.to_string().as_bytes(), 0, &Limits::default()).is_ok());
}

#[test]
fn a_config_that_cannot_be_run_is_refused() {
    let long = format!("L={}", "x".repeat(32 << 10));
    let many: Vec<String> = (0..600).map(|n| format!("N{n}={}", "x".repeat(2000))).collect();
    for (pointer, value, what) in [
        (
            "/config/Env",
            json!(["PATH"]),
            "`PATH` in the config must be NAME=VALUE",
        ),
        ("/config/Env", json!(["=x"]), "`=x`"),
        ("/config/Env", json!([""]), "``"),
        ("/config/Env", json!(["A=\u{0}"]), "Env in the config holds a NUL"),
        ("/config/Env", json!([long]), "of `L`, the limit is 32768"),
        ("/config/Env", json!(many), "in all, the limit is 1048576"),
        ("/config/Env", json!([1]), "expected a string"),
        ("/config/Cmd", json!(["a\u{0}b"]), "Cmd"),
        ("/config/Cmd", json!("sh"), "expected a sequence"),
        ("/config/User", json!("\u{0}"), "User"),
        (
            "/config/WorkingDir",
            json!("w"),
            "`w` in the config must be absolute",
        ),
        ("/config/WorkingDir", json!("\u{1b}]0;"), "`\\u{1b}]0;`"),
        ("/config/StopSignal", json!("SIGFOO"), "`SIGFOO`"),
        ("/config/StopSignal", json!("0"), "`0`"),
        ("/config/Labels", json!({"a": "\u{0}"}), "Labels"),
        ("/config/Volumes", json!({"/\u{0}": {}}), "Volumes"),
        ("/architecture", json!("\u{0}"), "architecture"),
        ("/rootfs/type", json!("other"), "`other`"),
        (
            "/rootfs/diff_ids",
            json!([]),
            "names 0 layers (rootfs.diff_ids), the manifest 1",
        ),
        ("/rootfs/diff_ids", json!(["sha256:0"]), "64 digits"),
        ("/history/0/created_by", json!("\u{0}"), "history"),
    ] {
        let mut document = config();
        *document
            .pointer_mut(pointer)
            .unwrap_or_else(|| panic!("{pointer}")) = value;
        if pointer == "/config/Labels" {
            assert!(document["config"]["Labels"]["a"] == "\u{0}");
        }
        let message = read_config(&document).expect_err(pointer).to_string();
        assert!(message.contains(what), "{pointer}: {what}: {message}");
        assert!(
            message.len() < 500 && !message.contains(['\u{1b}', '\0', '\n']),
            "{message:?}"
        );
    }
}

proptest! {
    #[test]
    fn no_bytes_bring_the_reader_down(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..400) {
        let limits = Limits::default();
        let text = manifest().to_string();
        let mut mixed = text.as_bytes()[..cut.min(text.len())].to_vec();
        mixed.extend(&bytes);
        for bytes in [&bytes, &mixed] {
            let _ = parse(bytes, OCI_MANIFEST, &limits);
            let _ = parse_stored(bytes, &limits);
            let _ = Config::parse(bytes, 1, &limits);
        }
    }
}

//! Another program reads the layout.

use super::*;
use std::process::Command;

fn skopeo(arguments: &[&str]) -> Option<std::process::Output> {
    let home = tempfile::tempdir().expect("a directory");
    let mut command = Command::new("skopeo");
    command
        .env("HOME", home.path())
        .env("XDG_RUNTIME_DIR", home.path());
    match command.env_remove("REGISTRY_AUTH_FILE").args(arguments).output() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            skip("SKIP(skopeo): skopeo is not installed");
            None
        }
        other => Some(other.expect("skopeo")),
    }
}

/// Notes a skip where `scripts/test` counts it.
fn skip(line: &str) {
    println!("{line}");
    if let Some(path) = std::env::var_os("SBX_TEST_SKIPS") {
        let file = std::fs::File::options().append(true).create(true).open(path);
        writeln!(file.expect("$SBX_TEST_SKIPS"), "{line}").expect("$SBX_TEST_SKIPS");
    }
}

/// An empty tar: two blocks of zeroes.
fn layer() -> String {
    "\0".repeat(1024)
}

#[test]
fn skopeo_reads_the_layout() {
    let (dir, store) = create();
    put(&store, &image(&[&layer()], "for others"), "docker.io/library/x:1");
    let source = format!("oci:{}:docker.io/library/x:1", dir.path().join("store").display());
    let Some(out) = skopeo(&["inspect", &source]) else {
        return;
    };
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let read: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!(read["Labels"]["label"], "for others");
    let archive = dir.path().join("archive.tar");
    let target = format!("oci-archive:{}:x", archive.display());
    let out = skopeo(&["--insecure-policy", "copy", &source, &target]).expect("skopeo is there");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(archive.metadata().expect("an archive").len() > 1024);
}

#[test]
fn what_skopeo_puts_into_the_layout_is_read() {
    let (dir, store) = create();
    put(&store, &image(&[&layer()], "ours"), "docker.io/library/x:1");
    let at = |name: &str| format!("oci:{}:{name}", dir.path().join("store").display());
    let Some(out) = skopeo(&[
        "--insecure-policy",
        "copy",
        &at("docker.io/library/x:1"),
        &at("docker.io/library/z:1"),
    ]) else {
        return;
    };
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let found = store.find("docker.io/library/z:1").expect("read").expect("found");
    let (_, config, id) = store.load(&found.manifest).expect("loaded");
    assert_eq!((found.id, &*config.config.labels["label"]), (Some(id), "ours"));
    assert!(store.find("docker.io/library/x:1").expect("read").is_some());
    assert!(
        findings(&store).iter().all(|f| !f.contains("missing")),
        "{:?}",
        findings(&store)
    );
}

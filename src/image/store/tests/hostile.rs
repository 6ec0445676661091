//! A store that somebody has been in who wants to lead its reader elsewhere: nothing outside is read, written or removed.

use super::*;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

/// A store with one image, and beside it what must not be touched.
fn lured() -> (tempfile::TempDir, Store, Made) {
    let (dir, store) = create();
    let made = image(&["one"], "");
    put(&store, &made, "docker.io/library/x:1");
    std::fs::create_dir(dir.path().join("outside")).expect("mkdir");
    for name in ["precious", "index.json", &made.id.hex()] {
        std::fs::write(dir.path().join("outside").join(name), "precious").expect("write");
    }
    (dir, store, made)
}

fn replace(path: &Path, target: &Path) {
    match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(path).expect("removed"),
        Ok(_) => std::fs::remove_file(path).expect("removed"),
        Err(_) => {}
    }
    symlink(target, path).expect("a link");
}

#[test]
fn no_link_is_followed() {
    let hex = Digest::of(b"one").hex();
    for name in [
        "index.json",
        ".new-index.json",
        "blobs",
        "blobs/sha256",
        "partial",
        "layers",
        "layers/single",
        "locks",
        "locks/index",
        "locks/store",
        &format!("layers/single/{hex}"),
        &format!("layers/single/{hex}/tree"),
        &format!("layers/single/.new-{hex}"),
        &format!("layers/single/.old-{hex}"),
        &format!("layers/single/{hex}/tree/a"),
        &format!("partial/{}", Digest::of(b"more").hex()),
    ] {
        let (dir, store, made) = lured();
        let outside = dir.path().join("outside");
        let target = if name.contains("index") || name.contains("locks/") || name.contains("partial/") {
            outside.join("index.json")
        } else {
            outside.clone()
        };
        replace(&dir.path().join("store").join(name), &target);
        let before = tree_of(&outside);
        // Each may fail or not; none may do anything outside.
        let _ = store.find("docker.io/library/x:1");
        let _ = store.put_blob(b"more");
        let _ = store.name("docker.io/library/x:2", &made.manifest, None);
        let _ = store.new_layer(Kind::Single, &Digest::of(b"more"), Wait::Never);
        let _ = store.verify(&mut |_, _, _| {});
        let _ = store.images();
        let _ = store.prune(true, false, Wait::Never, &mut |_, _| Ok(()));
        let _ = Store::open(&dir.path().join("store"), Open::Create { give_to: None });
        assert_eq!(tree_of(&outside), before, "{name}");
        for file in before {
            let text = std::fs::read_to_string(outside.join(&file)).expect("a file");
            assert_eq!(text, "precious", "{name}: {file}");
        }
    }
}

#[test]
fn a_layer_that_is_a_link_is_none() {
    let (dir, store, made) = lured();
    let tree = dir
        .path()
        .join(format!("store/layers/single/{}/tree", made.layers[0].hex()));
    replace(&tree, &dir.path().join("outside"));
    assert!(store.layer(&Kind::Single, &made.layers[0]).is_err());
}

#[test]
fn nothing_is_waited_for_in_a_pipe_or_a_device() {
    for name in ["index.json", "sbx-store", "locks/store", "locks/index"] {
        let (dir, store, made) = lured();
        let path = dir.path().join("store").join(name);
        std::fs::remove_file(&path).expect("removed");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        let start = Instant::now();
        let found = store.find("docker.io/library/x:1");
        let named = store.name("docker.io/library/x:2", &made.manifest, None);
        let opened = Store::open(&dir.path().join("store"), Open::Existing);
        assert!(found.is_err() || named.is_err() || opened.is_err(), "{name}");
        assert!(start.elapsed() < Duration::from_secs(5), "{name}");
    }
}

#[test]
fn documents_of_any_size_and_shape_are_refused() {
    let (dir, store, made) = lured();
    let path = dir.path().join("store/index.json");
    for text in [
        "",
        "[]",
        "{}",
        r#"{"schemaVersion":1,"manifests":[]}"#,
        r#"{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"sha256:../../outside/precious","size":1}]}"#,
        r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#,
        "{\"schemaVersion\":2,\"manifests\":\"\u{202e}\"}",
        &format!("{{\"schemaVersion\":\"{}\"}}", "x".repeat(5000)),
    ] {
        std::fs::write(&path, text).expect("write");
        let error = store.find("docker.io/library/x:1").expect_err(text).to_string();
        assert!(error.contains("index.json is damaged"), "{error}");
        assert!(
            !error.contains(['\u{1b}', '\n']) && error.len() < 500,
            "{error:?}"
        );
        let named = store.name("docker.io/library/x:2", &made.manifest, None);
        assert!(named.is_err(), "a damaged index is never replaced");
        assert_eq!(std::fs::read_to_string(&path).expect("a file"), text);
    }
    std::fs::File::options()
        .write(true)
        .open(&path)
        .and_then(|f| f.set_len(1 << 30))
        .expect("a hole");
    assert!(matches!(store.find("x"), Err(Error::Large { .. })));
}

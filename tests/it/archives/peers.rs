//! Interchange with skopeo, umoci, buildah and podman.

use super::{Shop, with_image};
use crate::util::skip;
use std::path::Path;
use std::process::{Command, Output};

/// Whether a program is there; else the test that needs it is skipped.
fn there(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output();
    if found.is_err() {
        skip(program, "not installed");
    }
    found.is_ok()
}

/// Runs a program in a directory, with a home of its own.
fn call(program: &str, arguments: &[&str], within: &Path) -> Output {
    let home = within.join("home");
    std::fs::create_dir_all(&home).expect("mkdir");
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(within)
        .env("HOME", &home)
        .env("XDG_RUNTIME_DIR", &home)
        .env_remove("REGISTRY_AUTH_FILE");
    command.output().expect("it starts")
}

#[track_caller]
fn works(program: &str, arguments: &[&str], within: &Path) -> String {
    let out = call(program, arguments, within);
    assert!(
        out.status.success(),
        "{program} {arguments:?}: {}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// The two files that sbx writes.
fn saved() -> Option<(Shop, String)> {
    let (shop, digest) = with_image()?;
    for (format, file) in [("oci-archive", "o.tar"), ("docker-archive", "d.tar")] {
        shop.sbx(["save", "--format", format, "-o", file, "tool:1"])
            .out()
            .ok();
    }
    Some((shop, digest))
}

#[track_caller]
fn runs(from: &Shop, file: &str) {
    let other = Shop::new();
    let path = from.path(file);
    let loaded = other.sbx(["load", "-q"]).args([&path]).out().ok();
    assert_eq!(other.run([loaded.as_str()]).ok(), "from the image", "{file}");
}

#[test]
fn skopeo_and_sbx_understand_each_other() {
    if !there("skopeo") {
        return;
    }
    let Some((shop, digest)) = saved() else { return };
    let id = shop.id(&digest);
    let at = shop.files.path();
    for (from, to) in [
        ("oci-archive:o.tar", "oci:layout:one"),
        ("docker-archive:d.tar", "oci:layout:two"),
        ("oci-archive:o.tar", "docker-archive:sd.tar:localhost/s:1"),
        ("docker-archive:d.tar", "oci-archive:so.tar:localhost/s:1"),
        ("oci-archive:o.tar:localhost/tool:1", "dir:plain"),
    ] {
        works(
            "skopeo",
            &["--insecure-policy", "copy", "--format=oci", from, to][..]
                .iter()
                .copied()
                .filter(|word| *word != "--format=oci" || to.starts_with("oci"))
                .collect::<Vec<_>>(),
            at,
        );
    }
    let other = Shop::new();
    for file in ["sd.tar", "so.tar"] {
        let loaded = other.sbx(["load", "-q"]).args([shop.path(file)]).out().ok();
        // skopeo writes a config anew when it makes docker's into OCI's.
        assert!(file == "so.tar" || other.id(&loaded) == id, "{file}");
        assert_eq!(other.run(["localhost/s:1"]).ok(), "from the image", "{file}");
    }
    for tag in ["one", "two"] {
        let image = format!("oci:{}:{tag}", shop.path("layout").display());
        assert_eq!(other.run([image.as_str()]).ok(), "from the image");
    }
    let loaded = other.sbx(["load"]).args([shop.path("layout")]).out().ok();
    assert!(loaded.contains("localhost/one:latest"), "{loaded}");
    assert!(loaded.contains("localhost/two:latest"), "{loaded}");
    // Without a tag it appends; a tag that is written again leaves the image before it without a name.
    for (from, to) in [
        ("oci-archive:o.tar", "oci:unnamed"),
        ("docker-archive:d.tar", "oci:unnamed:again"),
        ("oci:layout:one", "oci:unnamed:again"),
    ] {
        works("skopeo", &["--insecure-policy", "copy", from, to], at);
    }
    let loaded = other.sbx(["load"]).args([shop.path("unnamed")]).out();
    assert_eq!(loaded.ok().lines().count(), 1, "{}", loaded.ok());
    loaded.says("without a name");
}

#[test]
fn umoci_and_sbx_understand_each_other() {
    if !there("umoci") {
        return;
    }
    let Some((shop, _)) = saved() else { return };
    let at = shop.files.path();
    std::fs::create_dir(shop.path("layout")).expect("mkdir");
    let file = std::fs::File::open(shop.path("o.tar")).expect("a file");
    tar::Archive::new(file)
        .unpack(shop.path("layout"))
        .expect("a layout");
    let list = works("umoci", &["list", "--layout", "layout"], at);
    assert!(list.contains("tool"), "{list}");
    // umoci's own names have no colons: it is given one.
    let index = shop.files.read("layout/index.json");
    let index = index.replace("localhost/tool:1", "tool");
    std::fs::write(shop.path("layout/index.json"), index).expect("write");
    let unpack = ["unpack", "--rootless", "--image", "layout:tool", "bundle"];
    works("umoci", &unpack, at);
    assert_eq!(shop.files.read("bundle/rootfs/etc/motd"), "from the image\n");
    std::fs::write(shop.path("bundle/rootfs/etc/motd"), "from umoci\n").expect("write");
    works("umoci", &["repack", "--image", "layout:new", "bundle"], at);
    let other = Shop::new();
    let image = format!("oci:{}:new", shop.path("layout").display());
    assert_eq!(other.run([image.as_str()]).ok(), "from umoci");
    let loaded = other.sbx(["load"]).args([shop.path("layout")]).out().ok();
    assert!(loaded.contains("localhost/new:latest"), "{loaded}");
    assert_eq!(other.run(["new"]).ok(), "from umoci");
}

/// Flags that keep a tool's images within a directory; `None` where it cannot work at all.
fn storage(program: &str, at: &Path) -> Option<Vec<String>> {
    let root = at.join(program);
    // podman takes no more than 50 characters here.
    let run = at.join("r");
    let flags = vec![
        "--root".to_owned(),
        root.join("root").display().to_string(),
        "--runroot".to_owned(),
        run.display().to_string(),
        "--storage-driver".to_owned(),
        "vfs".to_owned(),
    ];
    let words: Vec<_> = flags.iter().map(String::as_str).chain(["images"]).collect();
    let tried = call(program, &words, at);
    if !tried.status.success() {
        let said = String::from_utf8_lossy(&tried.stderr).into_owned();
        skip(&format!("{program}-storage"), said.trim());
        return None;
    }
    Some(flags)
}

/// What lies there belongs to ids that the test cannot remove by itself.
fn clean(program: &str, at: &Path) {
    let paths = [at.join(program), at.join("r")].map(|path| path.display().to_string());
    if !crate::util::is_root() {
        call(program, &["unshare", "rm", "-rf", &paths[0], &paths[1]], at);
    }
}

#[test]
fn podman_and_sbx_understand_each_other() {
    if !there("podman") {
        return;
    }
    let Some((shop, digest)) = saved() else { return };
    let at = shop.files.path();
    let Some(flags) = storage("podman", at) else {
        return;
    };
    let podman = |words: &[&str]| {
        let all: Vec<_> = flags
            .iter()
            .map(String::as_str)
            .chain(words.iter().copied())
            .collect();
        works("podman", &all, at)
    };
    let id = shop.id(&digest);
    for (file, format, saved) in [
        ("o.tar", "oci-archive", "po.tar"),
        ("d.tar", "docker-archive", "pd.tar"),
    ] {
        podman(&["load", "-q", "-i", file]);
        let found = podman(&["images", "-q", "--no-trunc"]);
        assert_eq!(found.trim(), id, "{file}");
        podman(&["save", "-q", "--format", format, "-o", saved, "localhost/tool:1"]);
        runs(&shop, saved);
    }
    podman(&["save", "-q", "--format", "docker-archive", "-o", "id.tar", &id]);
    runs(&shop, "id.tar");
    clean("podman", at);
}

#[test]
fn buildah_and_sbx_understand_each_other() {
    if !there("buildah") {
        return;
    }
    let Some((shop, digest)) = saved() else { return };
    let at = shop.files.path();
    let Some(flags) = storage("buildah", at) else {
        return;
    };
    let buildah = |words: &[&str]| {
        let all: Vec<_> = flags
            .iter()
            .map(String::as_str)
            .chain(words.iter().copied())
            .collect();
        works("buildah", &all, at)
    };
    let id = shop.id(&digest);
    buildah(&["pull", "-q", "oci-archive:o.tar"]);
    let id = &id["sha256:".len()..];
    for to in [
        "oci-archive:bo.tar:localhost/b:1",
        "docker-archive:bd.tar:localhost/b:1",
    ] {
        buildah(&["push", "-q", id, to]);
    }
    runs(&shop, "bo.tar");
    runs(&shop, "bd.tar");
    clean("buildah", at);
}

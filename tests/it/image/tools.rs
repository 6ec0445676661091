//! Images that other tools have made: skopeo's, umoci's and buildah's.

use super::place::Home;
use crate::util::daemon;
use crate::util::image::Image;
use crate::util::{Dir, is_root, skip};
use std::process::{Command, Stdio};

/// Runs a script in a directory of its own; `None`, and a skip, where a tool is not there.
fn made(tools: &[&str], script: &str) -> Option<Dir> {
    for tool in tools {
        let found = Command::new("sh")
            .args(["-c", &format!("command -v {tool}")])
            .stdout(Stdio::null())
            .status();
        if !found.is_ok_and(|status| status.success()) {
            skip(tool, "not installed");
            return None;
        }
    }
    let dir = Dir::new();
    let mut shell = Command::new("sh");
    let shell = shell
        .args(["-euc", script])
        .current_dir(dir.path())
        .env("HOME", dir.path())
        .env("XDG_RUNTIME_DIR", dir.path())
        .env_remove("REGISTRY_AUTH_FILE");
    let out = shell.stdin(Stdio::null()).output().expect("a shell");
    assert!(
        out.status.success(),
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    Some(dir)
}

#[test]
fn an_image_of_umoci() {
    let (Some(daemon), Some(_)) = (daemon::plain(), Image::busybox()) else {
        return;
    };
    let script = "mkdir -p root/bin root/data && cp /bin/busybox root/bin && ln -s busybox root/bin/sh && echo one >root/data/one && \
                  echo two >root/data/two && umoci init --layout oci && umoci new --image oci:it && \
                  umoci insert --rootless --image oci:it root/bin /bin && umoci insert --rootless --image oci:it root/data /data && \
                  umoci insert --rootless --image oci:it --whiteout /data/one && \
                  umoci config --image oci:it --config.entrypoint /bin/sh --config.entrypoint=-c --config.env A=b --config.workingdir /data";
    let Some(dir) = made(&["umoci"], script) else {
        return;
    };
    let name = daemon.copy(&format!("oci:{}:it", dir.path().join("oci").display()), "umoci:1");
    let out = Home::new().run("default", &[], &name, &["busybox ls; busybox cat two; echo $A"]);
    assert_eq!(out.ok(), "two\ntwo\nb");
}

#[test]
fn an_image_of_buildah() {
    let (Some(daemon), Some(_)) = (daemon::plain(), Image::busybox()) else {
        return;
    };
    if !is_root() {
        return skip("root", "buildah with vfs and chroot is tried as root");
    }
    let script = "b='buildah --root '$PWD'/s --runroot '$PWD'/r --storage-driver vfs'; c=$($b from scratch); \
                  $b copy -q $c /bin/busybox /bin/busybox && $b config --entrypoint '[\"/bin/busybox\"]' --cmd 'echo made' --user 7:8 $c && \
                  $b commit -q $c oci:$PWD/oci:it >/dev/null && $b rm $c >/dev/null";
    let Some(dir) = made(&["buildah"], script) else {
        return;
    };
    let name = daemon.copy(
        &format!("oci:{}:it", dir.path().join("oci").display()),
        "buildah:1",
    );
    let home = Home::new();
    assert_eq!(home.run("default", &[], &name, &[]).ok(), "made");
    assert_eq!(home.run("default", &[], &name, &["id", "-u"]).ok(), "7");
}

#[test]
fn an_image_that_skopeo_has_made_docker_s() {
    let (Some(daemon), Some(image)) = (daemon::plain(), Image::busybox()) else {
        return;
    };
    let image = image.build();
    let (dir, layout) = image.layout();
    let name = daemon.name("docker-format:1");
    let out = daemon::skopeo(dir.path())
        .args(["copy", "--quiet", "--dest-tls-verify=false", "--format", "v2s2"])
        .args([format!("oci:{}:it", layout.display()), format!("docker://{name}")])
        .output()
        .expect("skopeo");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let home = Home::new();
    assert_eq!(home.sh(&name, "echo ran").ok(), "ran");
    // And skopeo reads what sbx has stored, where it is of a type that it takes in a layout.
    let name = daemon.push(&image, "oci-format:1");
    home.pull(&name).ok();
    let store = format!("oci:{}:{name}", home.store().display());
    let out = daemon::skopeo(dir.path())
        .args(["inspect", "--raw", &store])
        .output()
        .expect("skopeo");
    assert_eq!(
        out.stdout,
        image.manifest,
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
}

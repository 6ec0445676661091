//! A Debian that mmdebstrap has made of what this machine's apt knows, and its package manager at work in it.

use super::place::{Home, shape};
use crate::util::tar::{Entry, Tar};
use crate::util::{Dir, is_root, range, skip};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// `$0` is the file to make. What is not whole has another name, which ends in `.tar` too: mmdebstrap goes by it. In memory where that can
/// be had: thousands of small files take more than twice as long on a disk that others use.
const MAKE: &str = r#"
set -eu
. /etc/os-release
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $VERSION_CODENAME" | head -n 1)
work='' part=$0.$$.tar
trap 'rm -rf "$work" "$part"' EXIT
for at in /dev/shm "${TMPDIR:-/tmp}"; do
  work=$(mktemp -d "$at/sbx-test-XXXXXX") || continue
  chmod 755 "$work"
  if TMPDIR=$work timeout 300 mmdebstrap --quiet --variant=apt --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' "$VERSION_CODENAME" "$part" ${mirror:+"$mirror"}; then
    mv "$part" "$0"
    exit
  fi
  rm -rf "$work"
done
exit 1
"#;

/// The essential packages and apt, as a tar that is made once and kept: in `$SBX_TEST_CACHE`, where the ordinary user and root share it, or
/// where cargo lets tests keep files. `None`, and a skip, without mmdebstrap or a mirror.
fn debian() -> Option<PathBuf> {
    let cache = std::env::var_os("SBX_TEST_CACHE");
    let cache = cache.map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
    let file = cache.join("debian.tar");
    if !file.exists() {
        let mut shell = Command::new("sh");
        let shell = shell.args(["-c", MAKE]).arg(&file).current_dir(&cache);
        let out = shell.stdin(Stdio::null()).output().expect("a shell");
        if !out.status.success() {
            let said = String::from_utf8_lossy(&out.stderr);
            skip("mmdebstrap", said.trim().lines().last().unwrap_or("no Debian"));
            return None;
        }
    }
    Some(file)
}

/// The script that configures the package: a user of its own, a file for them, a set-id bit, and a try to leave the sandbox.
const POSTINST: &str = "#!/bin/sh\nset -e\nuseradd --system ada\nchown ada:mail /opt/local/given\nchmod 6751 /opt/local/given\n\
                        if touch /debs/new 2>/dev/null; then exit 1; fi\necho configured >/opt/local/log\n";

/// A package with files of several users, one of them with set-id bits. Written by hand: `dpkg-deb` takes the owners that files have,
/// and an ordinary user can give files to nobody.
fn package() -> Vec<u8> {
    let control = "Package: local\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\n\
                   Description: files of several users\n";
    let control = Tar::new([
        Entry::file("./control", control),
        Entry::program("./postinst", POSTINST),
    ]);
    let data = Tar::new([
        Entry::folder("./opt/"),
        Entry::folder("./opt/local/"),
        Entry::file("./opt/local/given", "given\n"),
        Entry::file("./opt/local/set", "set\n").owner(33, 8).mode(0o6755),
        Entry::file("./opt/local/www", "www\n").owner(33, 34).mode(0o640),
    ]);
    let mut ar = b"!<arch>\n".to_vec();
    for (name, bytes) in [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar", control.bytes()),
        ("data.tar", data.bytes()),
    ] {
        assert!(bytes.len() % 2 == 0, "members begin at even places");
        ar.extend(
            format!(
                "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
                0,
                0,
                0,
                100_644,
                bytes.len()
            )
            .bytes(),
        );
        ar.extend(bytes);
    }
    ar
}

/// Whatever of the host bears the names that the package is about.
fn of_the_host(debs: &Path) -> impl PartialEq + std::fmt::Debug + use<> {
    let names = ["/etc/passwd", "/etc/group", "/var/lib/dpkg/status"].map(Path::new);
    (names.map(shape), shape(debs), Path::new("/opt/local").exists())
}

const INSTALL: &str = "apt-get install -qq -y /debs/local.deb >/tmp/said 2>&1 || { cat /tmp/said >&2; exit 1; }
id; dpkg-query -W -f '${Status}\n' local; cat /opt/local/log; cd /opt/local; stat -c '%n %U:%G %a' given; stat -c '%n %u:%g %a' set www; su ada -s /bin/sh -c 'id -un'";

#[test]
fn apt_installs_a_package_with_files_of_several_users_in_a_debian() {
    let Some(debian) = debian() else { return };
    let (home, debs) = (Home::new(), Dir::open());
    debs.write("local.deb", package());
    let before = of_the_host(debs.path());
    home.sbx(["import", "--quiet"])
        .args([&debian])
        .args(["debian:made"])
        .out()
        .ok();
    let volume = format!("{}:/debs:ro", debs.path().display());
    let run = |map: &str, script: &str| {
        let flags = ["--map", map, "-v", &volume];
        home.run("default", &flags, "debian:made", &["sh", "-c", script])
    };
    let installed = |files: &str, ada: &str| {
        format!("uid=0(root) gid=0(root) groups=0(root)\ninstall ok installed\nconfigured\n{files}\n{ada}")
    };
    let check = |map: &str, files: &str, ada: &str| {
        assert_eq!(run(map, INSTALL).ok(), installed(files, ada), "{map}");
        // What was installed went with its sandbox.
        run(
            map,
            "test ! -e /opt/local && ! grep ada /etc/passwd && dpkg-query -W local",
        )
        .code(1)
        .says("no packages found matching local");
        assert_eq!(of_the_host(debs.path()), before, "{map}");
    };
    if range() {
        check(
            "range",
            "given ada:mail 6751\nset 33:8 6755\nwww 33:34 640",
            "ada",
        );
    }
    if is_root() {
        return skip("user", "the only id of root's own map is root's");
    }
    // One id: everything is root's, and what would make it another's is answered as done.
    check(
        "caller",
        "given root:root 6751\nset 0:0 6755\nwww 0:0 640",
        "root",
    );
}

//! The verbs themselves.

use super::made::packed;
use super::{Shop, with_image, with_root};
use crate::util::image::Image;
use crate::util::tar::Entry;
use crate::util::within;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;
use std::time::Duration;

#[test]
fn what_is_saved_is_loaded_as_the_same_image() {
    let Some((shop, digest)) = with_image() else {
        return;
    };
    let id = shop.id(&digest);
    for format in ["oci-archive", "docker-archive"] {
        shop.sbx(["save", "--format", format, "-o", "saved.tar", "tool:1"])
            .out()
            .ok();
        let again = shop.sbx(["save", "--format", format, "tool:1"]).out();
        again.code(0);
        let saved = std::fs::read(shop.path("saved.tar")).expect("a file");
        assert_eq!(saved, again.stdout, "{format}: a pipe gets other bytes");
        let packed = zstd::encode_all(saved.as_slice(), 1).expect("zstd");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&saved).expect("gzip");
        let gzip = gzip.finish().expect("gzip");
        for bytes in [saved, packed, gzip] {
            let other = Shop::new();
            let loaded = other.sbx(["load", "-q"]).stdin(bytes.clone()).out().ok();
            assert_eq!(other.id(&loaded), id, "{format}");
            other.files.write("a.tar", bytes);
            let from_file = other.sbx(["load", "-i", "a.tar"]).out().ok();
            assert_eq!(from_file, format!("{loaded} localhost/tool:1"), "{format}");
            assert_eq!(other.run(["tool:1"]).ok(), "from the image");
            assert_eq!(other.run(["tool:1", "/bin/sh", "-c", "echo $A"]).ok(), "b");
        }
    }
}

#[test]
fn a_name_that_none_can_be_is_told_and_not_lost_in_silence() {
    let image = Image::new().layer([Entry::file("x", "x")]).build();
    for (name, told) in [
        (
            Some("A B\u{1b}"),
            Some("`A B\\u{1b}` is no name of an image: it is "),
        ),
        (Some("fine"), None),
        (None, None),
    ] {
        let shop = Shop::new();
        shop.files.write("a.tar", packed(&image.files(name)));
        let out = shop.sbx(["load", "-i", "a.tar"]).out();
        let loaded = out.ok();
        assert_eq!(loaded.contains(' '), name == Some("fine"), "{loaded}");
        match told {
            Some(told) => drop(out.says(told)),
            None => assert!(!out.stderr().contains("no name"), "{}", out.stderr()),
        }
    }
}

#[test]
fn an_archive_or_a_layout_is_run_without_a_name() {
    let Some((shop, digest)) = with_image() else {
        return;
    };
    shop.sbx(["save", "-o", "o.tar", "tool:1"]).out().ok();
    shop.sbx(["save", "--format", "docker-archive", "-o", "d.tar", "tool:1"])
        .out()
        .ok();
    let layout = shop.path("layout");
    std::fs::create_dir(&layout).expect("mkdir");
    let mut archive = tar::Archive::new(std::fs::File::open(shop.path("o.tar")).expect("a file"));
    archive.unpack(&layout).expect("a layout");
    let other = Shop::new();
    for (form, file, name) in [
        ("oci", "layout", "localhost/tool:1"),
        ("oci-archive", "o.tar", "localhost/tool:1"),
        ("docker-archive", "d.tar", "localhost/tool:1"),
    ] {
        let path = shop.path(file);
        let plain = format!("{form}:{}", path.display());
        assert_eq!(other.run([plain.as_str()]).ok(), "from the image", "{plain}");
        let named = format!("{plain}:{name}");
        assert_eq!(other.run([named.as_str()]).ok(), "from the image", "{named}");
        let wrong = format!("{plain}:localhost/other:1");
        other.run([wrong.as_str()]).code(125).says("named so");
    }
    // It is there under its digest, and under no name.
    assert_eq!(other.run([digest.as_str()]).ok(), "from the image");
    other
        .sbx(["run", "--pull", "never", "localhost/tool:1"])
        .out()
        .code(125)
        .says("not in the store");
    let swapped = format!("oci-archive:{}", shop.path("d.tar").display());
    other
        .run([swapped.as_str()])
        .code(125)
        .says("docker-archive:FILE");
    let swapped = format!("oci:{}", shop.path("o.tar").display());
    other.run([swapped.as_str()]).code(125).says("oci-archive:FILE");
}

#[test]
fn several_images_share_a_file() {
    let Some((shop, _)) = with_image() else {
        return;
    };
    shop.files.write("root/etc/motd", "another\n");
    shop.sbx(["import", "-q", "-c", "CMD cat /etc/motd", "root", "q.example/two"])
        .out()
        .ok();
    for format in ["oci-archive", "docker-archive"] {
        let save = [
            "save",
            "--format",
            format,
            "-o",
            "both.tar",
            "tool:1",
            "q.example/two",
        ];
        shop.sbx(save).out().ok();
        let other = Shop::new();
        let loaded = other.sbx(["load"]).args([shop.path("both.tar")]).out().ok();
        assert_eq!(loaded.lines().count(), 2, "{loaded}");
        assert_eq!(other.run(["tool:1"]).ok(), "from the image");
        assert_eq!(other.run(["q.example/two"]).ok(), "another");
        let which = format!("{format}:{}", shop.path("both.tar").display());
        other.run([which.as_str()]).code(125).says("images");
        let which = format!("{which}:q.example/two:latest");
        assert_eq!(other.run([which.as_str()]).ok(), "another");
    }
}

#[test]
fn save_writes_a_whole_file_or_none() {
    let Some((shop, digest)) = with_image() else {
        return;
    };
    shop.files.write("there.tar", "old");
    let blob = shop
        .store()
        .join("sbx/blobs/sha256")
        .join(&digest.trim()["sha256:".len()..]);
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(blob).expect("read")).expect("JSON");
    let layer = manifest["layers"][0]["digest"].as_str().expect("a digest");
    let layer = shop
        .store()
        .join("sbx/blobs/sha256")
        .join(&layer["sha256:".len()..]);
    let whole = std::fs::read(&layer).expect("a layer");
    std::fs::set_permissions(&layer, std::fs::Permissions::from_mode(0o644)).expect("chmod");
    let mut flipped = whole.clone();
    flipped[1000] ^= 1;
    std::fs::write(&layer, flipped).expect("write");
    shop.sbx(["save", "-o", "there.tar", "tool:1"])
        .out()
        .code(125)
        .says("other contents");
    assert_eq!(shop.files.read("there.tar"), "old");
    let left = std::fs::read_dir(shop.files.path()).expect("a directory").count();
    assert_eq!(left, 2, "a file is left beside");
    std::fs::write(&layer, whole).expect("write");
    // In the working directory a sandbox may have put it there, elsewhere it is the caller's own.
    symlink("there.tar", shop.path("link.tar")).expect("a link");
    let link = shop.path("link.tar").display().to_string();
    let save = || shop.sbx(["save", "-o", &link, "tool:1"]);
    save().out().code(125).says("nothing is written through a link");
    assert_eq!(shop.files.read("there.tar"), "old");
    save().within(super::Dir::new().path()).out().ok();
    assert!(shop.path("link.tar").is_symlink());
    assert!(std::fs::metadata(shop.path("there.tar")).expect("a file").len() > 10_000);
    shop.sbx(["save", "-o", "x.tar", "nothing-of-that-name"])
        .out()
        .code(125)
        .says("not in the store");
    shop.sbx(["save", "-o", "no/where.tar", "tool:1"])
        .out()
        .code(125)
        .says("no/where.tar");
}

#[test]
fn archives_are_no_text() {
    let Some((shop, _)) = with_image() else {
        return;
    };
    let (command, _home) = shop.sbx(["save", "tool:1"]).into_command();
    let pty = nix::pty::openpty(None, None).expect("a terminal");
    let mut command = command;
    let out = command
        .stdin(Stdio::null())
        .stdout(Stdio::from(pty.slave))
        .stderr(Stdio::piped())
        .output()
        .expect("sbx starts");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(said.contains("terminal"), "{said}");
}

#[test]
fn what_is_imported_is_the_same_each_time() {
    let Some(shop) = with_root() else {
        return;
    };
    let root = shop.path("root");
    std::fs::hard_link(root.join("etc/motd"), root.join("etc/same")).expect("a link");
    nix::unistd::mkfifo(
        &root.join("fifo"),
        nix::sys::stat::Mode::from_bits_truncate(0o644),
    )
    .expect("a fifo");
    symlink("/etc/shadow", root.join("out")).expect("a link");
    let first = shop.sbx(["import", "root", "a"]).out();
    first.says("left out");
    let first = first.ok();
    let other = Shop::new();
    let path = root.display().to_string();
    let second = other.sbx(["import", "-q", &path]).out().ok();
    assert_eq!(first, second);
    let script =
        "cd /; ls -ld out; [ ! -e fifo ] && [ etc/motd -ef etc/same ] && echo same; stat -c %u:%g etc";
    let script = script.replace("stat", "busybox stat");
    let said = shop.run(["a", "/bin/sh", "-c", &script]).ok();
    assert!(said.contains("out -> /etc/shadow"), "{said}");
    assert!(said.ends_with("same\n0:0"), "{said}");
}

#[test]
fn a_tar_is_imported_with_its_config() {
    let Some(shop) = with_root() else {
        return;
    };
    let mut builder = tar::Builder::new(Vec::new());
    builder.follow_symlinks(false);
    builder.append_dir_all("", shop.path("root")).expect("a tar");
    let plain = builder.into_inner().expect("a tar");
    let packed = zstd::encode_all(plain.as_slice(), 1).expect("zstd");
    let changes = [
        r#"ENTRYPOINT ["/bin/sh", "-c"]"#,
        r#"CMD ["echo $GREETING $PWD"]"#,
        "ENV GREETING='good day'",
        "WORKDIR /etc",
    ];
    for bytes in [plain, packed] {
        let mut import = shop.sbx(["import", "-q"]).stdin(bytes);
        for change in changes {
            import = import.args(["-c", change]);
        }
        import.args(["-", "host.example/a:b"]).out().ok();
        assert_eq!(shop.run(["host.example/a:b"]).ok(), "good day /etc");
    }
    for (change, why) in [
        ("RUN x", "none of CMD"),
        ("WORKDIR etc", "etc"),
        ("STOPSIGNAL NEVER", "NEVER"),
        ("CMD [1]", "list"),
    ] {
        let before = shop.listing();
        let out = shop.sbx(["import", "-q", "-c", change, "root", "x"]).out();
        assert_ne!(out.code, Some(0), "{change}");
        out.says(why);
        assert_eq!(shop.listing(), before, "{change}");
    }
}

#[test]
fn what_is_copied_into_the_store_is_gone_afterwards() {
    let Some((shop, _)) = with_image() else {
        return;
    };
    let saved = shop.sbx(["save", "tool:1"]).out().stdout;
    let other = Shop::new();
    let (mut command, _home) = other.sbx(["load", "-q"]).into_command();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sbx starts");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(&saved[..4096]).expect("write");
    let spooled = || {
        let listed = other.listing();
        listed.iter().any(|line| line.contains(".spool-"))
    };
    within(Duration::from_secs(10), "a spool file", spooled);
    child.kill().expect("kill");
    child.wait().expect("wait");
    drop(input);
    let loaded = other.sbx(["load", "-q"]).stdin(saved).out();
    loaded.ok();
    let left: Vec<_> = other
        .listing()
        .into_iter()
        .filter(|l| l.contains(".spool-"))
        .collect();
    assert_eq!(left.len(), 1, "what the killed one left, for prune: {left:?}");
}

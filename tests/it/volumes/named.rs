//! Named volumes: made, filled, kept, listed, in use, removed.

use super::{LIST, Place};
use crate::util::image::Image;
use crate::util::tar::Entry;
use crate::util::{range, within};
use crate::verbs::registry::Registry;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

#[test]
fn the_first_use_copies_what_the_image_has_there() {
    let Some(place) = Place::new() else { return };
    let list = format!("cd /data && {LIST}");
    let without = place.run(&["--user", "0:0"], "plain:1", &list).ok();
    assert!(
        without.contains("./hello") && !without.contains("./gone"),
        "{without}"
    );
    let with = place.run(&["--user", "0:0", "-v", "data:/data"], "plain:1", &list);
    // The bits that give rights are not copied: on the host, where the volume lies, they would give them.
    assert_eq!(with.ok(), without.replace(" 4755 ", " 755 "));
    let script = "cat /data/hello /data/sub/hard | busybox sort -u; busybox stat -c %h /data/hello; busybox stat -c %Y /data/hello /data";
    let said = place.run(&["--user", "0:0", "-v", "data:/data:ro"], "plain:1", script);
    assert_eq!(said.ok(), "hello\n2\n1700000000\n1700000000");
}

#[test]
fn what_is_written_stays_and_is_not_copied_over() {
    let Some(place) = Place::new() else { return };
    let flags = ["--user", "0:0", "-v", "data:/data"];
    place
        .run(
            &flags,
            "plain:1",
            "echo mine > /data/hello; busybox rm -r /data/sub; echo new > /data/new",
        )
        .ok();
    let read = "cat /data/hello /data/new; busybox ls /data";
    assert_eq!(
        place.run(&flags, "plain:1", read).ok(),
        "mine\nnew\nhello\nlink\nnew\nset"
    );
    // Emptied by its user, it stays empty.
    place.run(&flags, "plain:1", "busybox rm -r /data/*").ok();
    assert_eq!(place.run(&flags, "plain:1", "busybox ls -A /data").ok(), "");
    let out = place.run(
        &["--user", "0:0", "-v", "data:/data:ro"],
        "plain:1",
        "echo x > /data/x",
    );
    out.code(1).says("Read-only file system");
}

#[test]
fn one_volume_is_seen_by_all_roots() {
    let Some(place) = Place::new() else { return };
    place
        .run(&["-v", "data:/d"], "host", "echo from the host > /d/file")
        .ok();
    let said = place
        .run(&["--user", "0:0", "-v", "data:/e"], "other:1", "cat /e/file")
        .ok();
    assert_eq!(said, "from the host");
    // Twice in one sandbox, once read-only.
    let said = place.run(
        &["-v", "data:/a", "--mount", "source=data,target=/b,readonly"],
        "host",
        "cat /a/file /b/file; echo x > /b/new || echo refused",
    );
    assert_eq!(said.ok(), "from the host\nfrom the host\nrefused");
}

#[test]
fn a_place_that_the_image_does_not_have_belongs_to_its_user() {
    let Some(place) = Place::new() else { return };
    let script = "echo x > /new/file && busybox stat -c '%u:%g' /new /new/file";
    assert_eq!(
        place.run(&["-v", "new:/new"], "app:1", script).ok(),
        "1000:1000\n1000:1000"
    );
    // A link of the image's leads to the place, for the copy as for the mount.
    let script = "busybox stat -c '%u %a' /data/sub; busybox ls /data/sub";
    let said = place
        .run(&["--user", "0:0", "-v", "sub:/alias"], "plain:1", script)
        .ok();
    assert!(said.ends_with("700\nhard"), "{said}");
}

#[test]
fn a_link_at_the_place_of_a_volume_leads_nowhere_outside() {
    let (Some(place), Some(image)) = (Place::new(), Image::busybox()) else {
        return;
    };
    let host = Path::new("/usr/share");
    assert!(host.join("dpkg").exists(), "the host has something there");
    let links = image.layer([
        Entry::symlink("out", "/usr/share"),
        Entry::symlink("up", "../../../usr/share"),
    ]);
    let own = links.clone().layer([Entry::file("usr/share/own", "")]);
    let registry = Registry::default()
        .image("links", &["1"], &links.build())
        .image("links", &["2"], &own.build())
        .serve();
    for name in ["out", "up"] {
        let run = |image: &str| {
            let (image, volume) = (registry.name(image), format!("{name}:/{name}"));
            let flags = ["run", "--quiet", "--user", "0:0", "-v", &volume, &image];
            let script = format!("ls /{name}; echo x >/{name}/new");
            place.sbx(flags).args(["sh", "-c", &script]).out()
        };
        run("links:1").code(125).says(&format!("/{name}"));
        assert_eq!(place.out(&["volume", "rm", "--force", name]).code, Some(0));
        assert_eq!(run("links:2").ok(), "own");
        assert_eq!(run("links:2").ok(), "new\nown");
        assert!(!host.join("new").exists());
    }
}

#[test]
fn volumes_are_made_listed_and_removed() {
    let Some(place) = Place::new() else { return };
    assert_eq!(place.out(&["volume", "ls"]).ok(), "NAME  CREATED  USE");
    assert_eq!(place.out(&["volume", "create", "one"]).ok(), "one");
    assert_eq!(place.out(&["volume", "create", "one"]).ok(), "one");
    place.run(&["-v", "two:/x"], "host", "true").ok();
    assert_eq!(place.names(), ["one", "two"]);
    let said = place.out(&["volume", "ls"]).ok();
    assert!(
        said.lines()
            .nth(1)
            .is_some_and(|l| l.starts_with("one ") && l.ends_with(" never")),
        "{said}"
    );
    let json: serde_json::Value =
        serde_json::from_str(&place.out(&["volume", "inspect", "one", "two"]).ok()).expect("JSON");
    assert_eq!(
        (&json[0]["Name"], &json[0]["NeverUsed"]),
        (&"one".into(), &true.into())
    );
    let data = json[1]["Mountpoint"].as_str().expect("a path");
    assert!(std::fs::metadata(data).expect("a directory").is_dir());
    assert!(
        json[1]["CreatedAt"]
            .as_str()
            .is_some_and(|text| text.ends_with('Z'))
    );
    assert_eq!(place.out(&["volume", "rm", "one", "two"]).ok(), "one\ntwo");
    assert_eq!(place.names(), Vec::<String>::new());
    let left: Vec<_> = std::fs::read_dir(place.dir.path().join("sbx-volumes"))
        .expect("a directory")
        .map(|e| e.expect("an entry").file_name())
        .filter(|name| name != ".locks" && name != ".version")
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn wrong_names_and_absent_ones_are_told() {
    let Some(place) = Place::new() else { return };
    place
        .out(&["volume", "create", ".x"])
        .code(2)
        .says("no name of a volume");
    place
        .out(&["volume", "create", "a\u{1b}b"])
        .code(2)
        .says(r"\u{1b}");
    place
        .out(&["volume", "rm", "../x"])
        .code(2)
        .says("no name of a volume");
    place.out(&["volume", "rm"]).code(2);
    place
        .out(&["volume", "rm", "absent"])
        .code(1)
        .says("no volume `absent`");
    place.out(&["volume", "rm", "--force", "absent"]).code(0);
    place
        .out(&["volume", "inspect", "absent"])
        .code(125)
        .says("no volume `absent`");
    place.out(&["volume", "create", "kept"]).ok();
    // Nobody is there to be asked.
    place
        .out(&["volume", "prune"])
        .code(2)
        .says("kept")
        .says("--force");
    assert_eq!(place.out(&["volume", "prune", "--force"]).ok(), "kept");
    let out = place.run(&["-v", "data:/file"], "plain:1", "true");
    out.code(125);
    // A plan makes nothing.
    place.sbx(["plan", "-v", "planned:/x", "host", "true"]).out().ok();
    assert!(!place.names().contains(&"planned".to_owned()));
}

#[test]
fn a_volume_in_use_stays() {
    let Some(place) = Place::new() else { return };
    let run = place.sbx([
        "run",
        "--quiet",
        "-v",
        "data:/d",
        "host",
        "sh",
        "-c",
        "echo ready; read x; echo kept > /d/file",
    ]);
    let (mut child, _home) = run.spawn();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
    out.read_line(&mut line).expect("a line");
    place.out(&["volume", "rm", "data"]).code(1).says("in use");
    place
        .out(&["volume", "rm", "--force", "data"])
        .code(1)
        .says("in use");
    place.out(&["volume", "create", "unused"]).ok();
    assert_eq!(place.out(&["volume", "prune", "--force"]).ok(), "unused");
    assert!(place.out(&["volume", "ls"]).ok().contains("in use"));
    // Another may use it too.
    place.run(&["-v", "data:/d"], "host", "true").ok();
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(b"go\n")
        .expect("written");
    assert!(child.wait().expect("it ends").success());
    assert_eq!(place.run(&["-v", "data:/d"], "host", "cat /d/file").ok(), "kept");
    assert_eq!(place.out(&["volume", "rm", "data"]).ok(), "data");
}

#[test]
fn many_first_uses_at_once_find_it_whole() {
    let Some(place) = Place::new() else { return };
    place.run(&[], "plain:1", "true").ok();
    let image = place.registry.name("plain:1");
    let children: Vec<_> = (0..6)
        .map(|_| {
            let run = place.sbx([
                "run",
                "--quiet",
                "--user",
                "0:0",
                "-v",
                "data:/data",
                &image,
                "sh",
                "-c",
                "busybox ls /data",
            ]);
            let (mut command, home) = run.into_command();
            let child = command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()
                .expect("sbx starts");
            (child, home)
        })
        .collect();
    for (child, _home) in children {
        let out = child.wait_with_output().expect("it ends");
        assert_eq!(String::from_utf8_lossy(&out.stdout), "hello\nlink\nset\nsub\n");
    }
}

#[test]
fn who_is_killed_while_it_fills_leaves_nothing_that_is_used() {
    let Some(place) = Place::new() else { return };
    place.run(&[], "plain:1", "true").ok();
    let image = place.registry.name("plain:1");
    for (round, millis) in [1, 4, 8, 12, 16, 20, 26, 32, 40, 60].into_iter().enumerate() {
        let volume = format!("data{round}:/data");
        let run = place.sbx([
            "run", "--quiet", "--user", "0:0", "-v", &volume, &image, "sh", "-c", "true",
        ]);
        let (mut command, _home) = run.into_command();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("sbx starts");
        std::thread::sleep(Duration::from_millis(millis));
        child.kill().expect("killed");
        child.wait().expect("reaped");
        let said = place.run(
            &["--user", "0:0", "-v", &volume],
            "plain:1",
            "busybox ls /data; cat /data/sub/hard",
        );
        assert_eq!(
            said.ok(),
            "hello\nlink\nset\nsub\nhello",
            "killed after {millis} ms"
        );
    }
    within(Duration::from_secs(5), "all locks are free", || {
        place.out(&["volume", "prune", "--force"]).code == Some(0) && place.names().is_empty()
    });
}

/// Files that belong to sub-ids are removed by who is mapped to them.
#[test]
fn files_of_other_ids_are_removed() {
    let Some(place) = Place::new() else { return };
    let script = "busybox mkdir -p /d/a/b && busybox touch /d/a/b/c && busybox chown -R 33:33 /d/a && busybox chmod 700 /d/a";
    let flags = ["--user", "0:0", "--cap-add", "CHOWN", "-v", "data:/d"];
    place.run(&flags, "other:1", script).ok();
    if range() {
        // It is not this process that could have removed them.
        let file = place.dir.path().join("sbx-volumes/data/data/a");
        assert_ne!(
            file.metadata().expect("made").uid(),
            nix::unistd::geteuid().as_raw()
        );
    }
    assert_eq!(place.out(&["volume", "rm", "data"]).ok(), "data");
    assert_eq!(place.names(), Vec::<String>::new());
}

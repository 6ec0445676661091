//! Maps of ids that are chosen, and the groups of the image's user.

use super::{LIST, Place};
use crate::util::{Dir, is_root, range};
use std::os::unix::fs::MetadataExt;

fn own() -> (u32, u32) {
    (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw())
}

#[test]
fn who_keeps_its_id_has_it_inside_and_the_image_its_owners() {
    let Some(place) = Place::new() else { return };
    let keep = ["--userns", "keep-id"];
    if is_root() {
        place
            .run(&keep, "plain:1", "true")
            .code(125)
            .says("--map host-root");
        return;
    }
    if !range() {
        return;
    }
    let (uid, gid) = own();
    assert_eq!(
        place.run(&keep, "plain:1", "busybox id -u; busybox id -g").ok(),
        format!("{uid}\n{gid}")
    );
    // The image's files belong to whom it says, though the same number is another id of the host than in a plain range.
    let list = format!("cd /data && {LIST}");
    let flags = ["--user", "0:0", "--cap-add", "DAC_OVERRIDE"];
    let usual = place.run(&flags, "plain:1", &list).ok();
    assert!(usual.contains("./hello 33:33 640"), "{usual}");
    assert_eq!(
        place.run(&[&flags[..], &keep].concat(), "plain:1", &list).ok(),
        usual
    );
    let with = place.run(
        &[&flags[..], &keep, &["-v", "data:/data"]].concat(),
        "plain:1",
        &list,
    );
    assert_eq!(with.ok(), usual.replace(" 4755 ", " 755 "));
    assert_eq!(place.out(&["volume", "rm", "data"]).ok(), "data");
    // What the command writes to a bind is the caller's on the host.
    let dir = Dir::new();
    let bind = format!("{}:/b", dir.path().display());
    place
        .run(
            &[&keep[..], &["-v", &bind]].concat(),
            "plain:1",
            "echo x > /b/file",
        )
        .ok();
    let meta = dir.path().join("file").metadata().expect("written");
    assert_eq!((meta.uid(), meta.gid()), (uid, gid));
    // Roots of other kinds can have it too.
    assert_eq!(place.run(&keep, "host", "id -u").ok(), uid.to_string());
}

#[test]
fn the_kept_id_can_be_another_number() {
    let Some(place) = Place::new() else { return };
    if is_root() || !range() {
        return;
    }
    let keep = ["--userns", "keep-id:uid=200,gid=210"];
    let said = place.run(
        &[&keep[..], &["-v", "new:/new"]].concat(),
        "plain:1",
        "busybox id -u; busybox id -g; echo x > /new/f; cat /new/f",
    );
    assert_eq!(said.ok(), "200\n210\nx");
    // A user that is named wins.
    let named = [&keep[..], &["--user", "app"]].concat();
    assert_eq!(place.run(&named, "plain:1", "busybox id -u").ok(), "1000");
    let plan = place
        .sbx(["plan", "--userns", "keep-id:uid=200,gid=210", "host", "true"])
        .out()
        .ok();
    let map = plan
        .lines()
        .find(|line| line.starts_with("identity"))
        .expect("the map");
    assert!(map.contains(&format!("{} -> 200", own().0)), "{map}");
}

#[test]
fn lines_of_a_map_are_podmans() {
    let Some(place) = Place::new() else { return };
    if !range() {
        return;
    }
    let map = "cat /proc/self/uid_map | busybox tr -s ' ' | busybox sed 's/^ //'; busybox id -u";
    let flags = ["--profile", "default", "--user", "0:0"];
    if is_root() {
        let lines = ["--uidmap", "0:300000:65536"];
        let said = place.run(&[&flags[..], &lines].concat(), "plain:1", map).ok();
        assert_eq!(said, "0 300000 65536\n0");
        place
            .run(&["--uidmap", "0:0:10"], "host", "true")
            .code(125)
            .says("host id 0 is root");
        place
            .run(&["--uidmap", "5:300000:10", "--user", "7:7"], "host", "true")
            .code(125)
            .says("id 0 inside");
        return;
    }
    let (uid, _) = own();
    let lines = [
        "--uidmap",
        "0:1:1000",
        "--uidmap",
        "1000:0:1",
        "--uidmap",
        "1001:1001:1000",
    ];
    let said = place.run(&[&flags[..], &lines].concat(), "plain:1", map).ok();
    let rows: Vec<&str> = said.lines().collect();
    assert!(
        rows[1].starts_with(&format!("1000 {uid} 1")) && rows[3] == "0",
        "{said}"
    );
    // The caller is where the line puts it.
    assert_eq!(place.run(&lines, "host", "id -u").ok(), "1000");
    // One's own id alone needs no helper.
    assert_eq!(place.run(&["--uidmap", "7:0:1"], "host", "id -u").ok(), "7");
    for (lines, why) in [
        (&["--uidmap", "0:70000:1"][..], "the last of your sub-ids"),
        (&["--uidmap", "0:1:10", "--uidmap", "5:100:10"], "an earlier line"),
        (&["--uidmap", "5:5:1"], "neither id 0 inside nor your own"),
        (&["--uidmap", "0:0:1", "--user", "5:5"], "user 5:5"),
        (
            &["--uidmap", "0:1:9", "--uidmap", "9:0:1", "--gidmap", "0:0:1"],
            "its groups are yours alone",
        ),
    ] {
        place.run(lines, "host", "true").code(125).says(why);
    }
}

#[test]
fn groups_are_those_of_the_images_user() {
    let Some(place) = Place::new() else { return };
    if !range() {
        return;
    }
    let groups = "busybox id -G";
    assert_eq!(place.run(&[], "app:1", groups).ok(), "1000 50 60");
    assert_eq!(place.run(&["--user", "root"], "plain:1", groups).ok(), "0 60");
    assert_eq!(
        place.run(&["--user", "1000"], "plain:1", groups).ok(),
        "1000 50 60"
    );
    // A group that is named stands for all, as with docker.
    assert_eq!(place.run(&["--user", "app:other"], "plain:1", groups).ok(), "70");
    assert_eq!(
        place
            .run(&["--group-add", "other", "--group-add", "7"], "app:1", groups)
            .ok(),
        "1000 7 50 60 70"
    );
    place
        .run(&["--group-add", "absent"], "app:1", "true")
        .code(125)
        .says("has no `absent`");
    place
        .run(&["--group-add", "70000"], "app:1", "true")
        .code(125)
        .says("group 70000");
    if !is_root() {
        place
            .run(&["--map", "caller", "--group-add", "5"], "app:1", "true")
            .code(125)
            .says("--map range");
        assert_eq!(
            place.run(&["--map", "caller"], "app:1", "busybox id -u").ok(),
            "1000"
        );
    }
}

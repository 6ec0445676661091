//! What a root of layers is made of, on hosts that refuse one thing after another.

use super::{
    Host, Plan, Refusal, Room, Root, all_there, build, built_in, host_path, image, request, resolve, room,
};
use crate::model::host::{Fact, Kernel};
use crate::profile::Source;
use crate::profile::read::read;

/// The root's step with its reason, losses of the disk, or the refusal.
fn shown(plan: &Result<Plan, Refusal>) -> String {
    let plan = match plan {
        Ok(plan) => plan,
        Err(refusal) => return format!("refused: {refusal}"),
    };
    let root = plan.steps.iter().find(|p| p.step.word() == "root");
    let root = root
        .map(|p| format!("{}  {}", p.step, p.reason))
        .unwrap_or_default();
    let lost = plan.losses.iter().filter(|l| l.protection.key() == "disk");
    lost.fold(root, |text, loss| format!("{text}  LOST {}", loss.reason))
}

fn missing() -> Fact<String> {
    Fact::Missing("EPERM".into())
}

const MEMORY: &str = "and a tmpfs of 512M";
const DISK: &str = "and a layer on disk in /store/copies";
const LOST: &str = "LOST what is written to the root goes to the disk";

type Row = (
    &'static str,
    &'static str,
    fn(&mut Host),
    Room,
    &'static [&'static str],
);

/// A page over `default`, the profile, the host, what is needed on the disk, and what the plan says.
const TABLE: &[Row] = &[
    ("", "default", |_| {}, Room::None, &["overlay of", MEMORY]),
    (
        "upper = \"disk\"",
        "default",
        |_| {},
        Room::Upper,
        &["overlay of", DISK, LOST],
    ),
    (
        "upper = \"disk\"\nroot = \"read-only\"",
        "default",
        |_| {},
        Room::None,
        &["overlay of", MEMORY],
    ),
    (
        "upper = \"disk\"",
        "strict",
        |_| {},
        Room::None,
        &["overlay of", "and a tmpfs of 64M"],
    ),
    (
        "",
        "default",
        |h| h.image_overlay = missing(),
        Room::None,
        &["fuse-overlayfs of", MEMORY, "overlay is refused here (EPERM)"],
    ),
    (
        "upper = \"disk\"",
        "default",
        |h| h.image_overlay = missing(),
        Room::Upper,
        &["fuse-overlayfs of", DISK, LOST],
    ),
    // Only as an upper layer.
    (
        "upper = \"disk\"",
        "default",
        |h| h.disk_upper = missing(),
        Room::Upper,
        &[
            "fuse-overlayfs of",
            DISK,
            LOST,
            "for an upper layer on this disk: EPERM",
        ],
    ),
    (
        "",
        "default",
        |h| h.disk_upper = missing(),
        Room::None,
        &["overlay of", MEMORY],
    ),
    (
        "",
        "default",
        |h| (h.image_overlay, h.fuse) = (missing(), missing()),
        Room::Copy,
        &["copy of", LOST, "fuse-overlayfs cannot be used: EPERM"],
    ),
    (
        "",
        "default",
        |h| (h.image_overlay, h.fuse_overlayfs) = (missing(), None),
        Room::Copy,
        &["copy of", LOST, "fuse-overlayfs is not installed"],
    ),
    (
        "",
        "default",
        |h| (h.image_overlay, h.landlock_abi) = (missing(), 1),
        Room::Copy,
        &["copy of", LOST, "Linux 5.19"],
    ),
    (
        "without-overlay = \"copy\"",
        "default",
        |h| h.image_overlay = missing(),
        Room::Copy,
        &["copy of", LOST, "filesystem.without-overlay = copy"],
    ),
    (
        "",
        "strict",
        |h| h.image_overlay = missing(),
        Room::Copy,
        &["copy of", "filesystem.without-overlay = copy"],
    ),
];

#[test]
fn an_image_is_shown_by_the_first_that_can_be_had() {
    for (page, profile, change, needed, says) in TABLE {
        let mut host = Host::landlock_abi(7);
        change(&mut host);
        let text = format!("[filesystem]\n{page}\n");
        let own = read(&Source::new("a test", false, &text)).expect(page).profile;
        let profile = built_in(profile).merge(own);
        let policy = resolve(&profile, &request(Root::Image(image()), &host)).expect(page);
        assert_eq!(room(&policy, &host), *needed, "{page}");
        let plan = shown(&build(&policy, &host, &all_there(&policy, &host)));
        for said in *says {
            assert!(plan.contains(said), "`{said}` is not in: {plan}");
        }
        assert_eq!(plan.contains("LOST"), says.contains(&LOST), "{page}: {plan}");
    }
}

#[test]
fn how_overlay_is_told_of_layers_depends_on_the_kernel() {
    for (minor, expected) in [(4, "Joined"), (5, "Each")] {
        let mut host = Host::landlock_abi(7);
        host.kernel = Kernel { major: 6, minor };
        let policy = resolve(&built_in("default"), &request(Root::Image(image()), &host)).expect("a policy");
        let plan = build(&policy, &host, &all_there(&policy, &host)).expect("a plan");
        let root = plan
            .steps
            .iter()
            .find(|p| p.step.word() == "root")
            .expect("a root");
        assert!(format!("{:?}", root.step).contains(expected), "{root:?}");
    }
}

#[test]
fn the_root_of_a_directory_has_no_other_way() {
    let disk = "[filesystem]\nupper = \"disk\"\n";
    let profile =
        |text| built_in("default").merge(read(&Source::new("a test", false, text)).expect(text).profile);
    let directory = Root::Directory(host_path("/srv/root"));
    type Change = fn(&mut Host);
    let rows: [(&str, Change, Room, &str); 5] = [
        ("", |_| {}, Room::None, MEMORY),
        (disk, |_| {}, Room::Upper, DISK),
        ("", |h| h.disk_upper = missing(), Room::None, MEMORY),
        (
            disk,
            |h| h.disk_upper = missing(),
            Room::Upper,
            "refused: filesystem.upper = disk",
        ),
        (
            disk,
            |h| h.overlay = missing(),
            Room::None,
            "refused: the root /srv/root",
        ),
    ];
    for (text, change, needed, says) in rows {
        let mut host = Host::landlock_abi(7);
        change(&mut host);
        let policy = resolve(&profile(text), &request(directory.clone(), &host)).expect("a policy");
        assert_eq!(room(&policy, &host), needed, "{text} {says}");
        let plan = shown(&build(&policy, &host, &all_there(&policy, &host)));
        assert!(plan.contains(says), "`{says}` is not in: {plan}");
    }
}

//! As many layers as an image may have, in each way in which they can be shown.

use super::shop::{Shop, everybody};
use crate::util::Out;
use crate::util::image::Image;
use crate::util::tar::Entry;

/// As many as are read when nobody says otherwise.
const LAYERS: usize = 500;

/// Each adds a file, replaces another, and removes what the one below it has added.
fn image() -> Option<Image> {
    let first = [
        Entry::folder("n/"),
        Entry::file("n/0", ""),
        Entry::file("gone-0", ""),
    ];
    let mut image = Image::busybox()?.layer(first);
    for n in 2..LAYERS {
        image = image.layer([
            Entry::file(format!("n/{n}"), ""),
            Entry::file("last", format!("{n}\n")),
            Entry::file(format!("gone-{n}"), ""),
            Entry::file(format!(".wh.gone-{}", if n == 2 { 0 } else { n - 1 }), ""),
        ]);
    }
    Some(image)
}

const LOOK: &str = "ls /n | wc -l; cat /last; ls -d /gone*; rm /n/7; echo mine >/last; ls /n | wc -l; cat /last; \
                    while read line; do case $line in *' / / '*) echo $line;; esac; done </proc/self/mountinfo";

#[test]
fn five_hundred_layers_are_shown_in_each_of_four_ways() {
    for uid in everybody() {
        let Some(mut shop) = image().and_then(|image| Shop::with(uid, "copy", image)) else {
            return;
        };
        for (host, instead, kind) in [
            (None, "copy", Some(" - overlay ")),
            (Some("6.1.0-0"), "copy", Some("lowerdir=0:1:2:")),
            (Some("1"), "fuse", Some(" - fuse fuse-overlayfs ")),
            (Some("1"), "copy", None),
        ] {
            shop.instead = instead;
            if !shop.has_what_it_wants() {
                continue;
            }
            let words = shop.words(["run", "--quiet"], &["sh", "-c", LOOK]);
            let out: Out = shop.on(host, words).output().expect("it starts").into();
            let text = out.ok();
            let mut lines = text.lines();
            let shown: Vec<&str> = lines.by_ref().take(5).map(str::trim).collect();
            assert_eq!(
                shown,
                ["499", "499", "/gone-499", "498", "mine"],
                "{host:?} {instead}: {text}"
            );
            // A copy is a directory, and no file system of its own.
            let root = lines.next();
            let fits = match (root, kind) {
                (Some(root), Some(kind)) => root.contains(kind),
                (root, kind) => root == kind,
            };
            assert!(fits, "{host:?} {instead}: {root:?}");
            shop.nothing_left();
        }
    }
}

//! As many layers as an image may have, in each way in which they can be shown.

use super::shop::{Shop, everybody};
use crate::util::Out;

const LOOK: &str = "ls /n | wc -l; cat /last; ls -d /gone*; rm /n/7; echo mine >/last; ls /n | wc -l; cat /last; \
                    while read line; do case $line in *' / / '*) echo $line;; esac; done </proc/self/mountinfo";

#[test]
fn five_hundred_layers_are_shown_in_each_of_four_ways() {
    for uid in everybody() {
        let Some(mut shop) = Shop::with(uid, "copy", include_str!("many.py")) else {
            return;
        };
        for (host, instead, kind) in [
            (None, "copy", Some(" - overlay ")),
            (Some("6.1.0-0"), "copy", Some("lowerdir=0:1:2:")),
            (Some("1"), "fuse", Some(" - fuse fuse-overlayfs ")),
            (Some("1"), "copy", None),
        ] {
            shop.instead = instead;
            let words = shop.words(["run", "--quiet"], &["sh", "-c", LOOK]);
            let out: Out = shop.on(host, words).output().expect("it starts").into();
            let text = out.ok();
            let mut lines = text.lines();
            let shown: Vec<&str> = lines.by_ref().take(5).map(str::trim).collect();
            assert_eq!(
                shown,
                ["500", "499", "/gone-499", "499", "mine"],
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

//! How much may be written to an upper layer on disk.

use super::shop::{Shop, everybody};
use crate::util::Out;
use serde_json::Value;

/// Eight mebibytes, and what a run with them says of itself.
fn run(shop: &Shop, refused: bool, script: &str) -> (Out, Value) {
    let flags = [
        "run",
        "--quiet",
        "--json",
        "--upper",
        "disk",
        "--storage-opt",
        "size=8m",
    ];
    let out = shop.command(refused, flags, &["sh", "-c", script]);
    let text = out.stderr();
    let line = text.lines().last().unwrap_or_default();
    let record = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {text}"));
    (out, record)
}

/// What a script leaves is seen, and ends everything. Behind it stands more time than it takes to be looked at.
#[track_caller]
fn ends(instead: &'static str, script: &str) {
    for uid in everybody() {
        let Some(shop) = Shop::new(uid, instead) else {
            return;
        };
        let (out, record) = run(
            &shop,
            instead == "fuse",
            &format!("{script}; sleep 60; echo survived"),
        );
        out.code(137)
            .says("the limit of 8M (the flag --storage-opt size=8m) was passed");
        assert_eq!(record["reason"], "disk", "{record}");
        assert_eq!(out.stdout(), "");
        shop.nothing_left();
    }
}

#[test]
fn what_is_written_beyond_its_size_ends_the_run() {
    for instead in ["copy", "fuse"] {
        ends(instead, "for i in 1 2 3 4; do cat /big >/copy$i; done");
    }
}

#[test]
fn a_directory_that_nobody_may_enter_hides_nothing() {
    ends(
        "copy",
        "mkdir -p /x/y; for i in 1 2 3 4; do cat /big >/x/y/$i; done; chmod 0 /x/y /x",
    );
}

#[test]
fn a_file_without_a_name_counts_as_long_as_it_is_open() {
    ends(
        "copy",
        "exec 7>/gone; rm /gone; for i in 1 2 3 4; do cat /big >&7; done",
    );
}

#[test]
fn empty_files_are_as_many_as_its_size_has_pages() {
    ends(
        "copy",
        "i=0; while [ $i -lt 3000 ]; do : >/empty$i; i=$((i+1)); done",
    );
}

#[test]
fn what_fits_is_written_and_told() {
    for uid in everybody() {
        for (refused, instead) in [(false, "copy"), (true, "fuse")] {
            let Some(shop) = Shop::new(uid, instead) else {
                return;
            };
            let script = "for i in 1 2 3 4; do cat /big >/one; done; sleep 2; echo written";
            let (out, record) = run(&shop, refused, script);
            assert_eq!(out.ok(), "written", "{}", out.stderr());
            let peak = record["disk_peak_bytes"].as_u64().expect("a number");
            assert!((3 << 20..8 << 20).contains(&peak), "{record}");
            assert!(!record["losses"].to_string().contains("disk"), "{record}");
            shop.nothing_left();
        }
    }
}

#[test]
fn a_watch_is_no_count_for_whoever_requires_one() {
    let Some(shop) = Shop::new(None, "copy") else {
        return;
    };
    let size = ["--storage-opt", "size=8m"];
    let with = |upper: &'static str| {
        let flags = ["run", "--quiet", "--upper", upper, "--enforce", "disk=require"];
        let flags = flags.into_iter().chain(size);
        shop.command(false, flags, &["sh", "-c", "cat /big >/copy && echo written"])
    };
    with("disk")
        .code(125)
        .says("disk is required")
        .says("is watched")
        .says("--upper memory");
    // In memory it is what the kernel holds.
    assert_eq!(with("memory").ok(), "written");
    let small = ["run", "--quiet", "--storage-opt", "size=1m"];
    let out = shop.command(false, small, &["sh", "-c", "cat /big >/copy && echo written"]);
    out.says("No space left on device");
    // A copy has none that could be watched.
    let copy = ["run", "--quiet", "--upper", "disk", "--storage-opt", "size=8m"];
    shop.command(true, copy, &["true"])
        .code(125)
        .says("disk is required (the flag --storage-opt size=8m)")
        .says("the root is a copy");
    shop.nothing_left();
}

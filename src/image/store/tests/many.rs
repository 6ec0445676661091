//! Several processes and threads in one store at once, and processes that are killed at any moment.
//!
//! The other processes are this program again: [`child`] is a test that does nothing unless it is told what to be.

use super::*;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const ROLE: &str = "SBX_TEST_STORE_ROLE";
const PLACE: &str = "SBX_TEST_STORE";
const SEED: &str = "SBX_TEST_STORE_SEED";
const IMAGES: u64 = 5;

/// Numbers that look random, the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Image `n`: a layer that all have, one that every other has, one of its own.
fn numbered(n: u64) -> (Made, String) {
    let base = "base".repeat(10_000);
    let layers = [base.as_str(), &format!("half {}", n % 2), &format!("own {n}")];
    (image(&layers, &n.to_string()), format!("docker.io/library/x:{n}"))
}

fn start(role: &str, place: &Path, seed: u64) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args([
            "--exact",
            "image::store::tests::many::child",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(ROLE, role)
        .env(PLACE, place)
        .env(SEED, seed.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a process")
}

/// All of them end well.
fn wait(children: Vec<Child>) {
    for child in children {
        let out = child.wait_with_output().expect("ended");
        let text = [out.stdout, out.stderr].concat();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&text));
    }
}

#[test]
fn child() {
    let Some(role) = std::env::var_os(ROLE) else {
        return;
    };
    let place = PathBuf::from(std::env::var_os(PLACE).expect("a place"));
    let seed = std::env::var(SEED).expect("a seed").parse().expect("a number");
    let random = Random(seed);
    match role.to_str() {
        Some("same") => same(&place),
        Some("crowd") => crowd(&place, random),
        Some("victim") => victim(&place, random),
        other => panic!("{other:?}"),
    }
}

/// Fetches a blob in two pieces, and notes that it has done so.
fn fetch(store: &Store, bytes: &[u8], place: Option<&Path>) {
    let Partial::Open(open) = store
        .partial(&Descriptor::of("", bytes), Wait::Silently)
        .expect("a turn")
    else {
        return;
    };
    let have = usize::try_from(open.have().expect("a size")).expect("small");
    let mut file = open.file();
    let mut there = Vec::new();
    file.read_to_end(&mut there).expect("read");
    assert_eq!(there, bytes[..have], "what was written before is the beginning");
    let half = have + (bytes.len() - have) / 2;
    file.seek(SeekFrom::Start(have as u64)).expect("seek");
    file.write_all(&bytes[have..half]).expect("written");
    file.write_all(&bytes[half..]).expect("written");
    note(place, &Digest::of(bytes));
    open.commit().expect("whole");
}

fn note(place: Option<&Path>, digest: &Digest) {
    if let Some(place) = place {
        let file = std::fs::File::options()
            .append(true)
            .create(true)
            .open(place.join("notes"));
        writeln!(file.expect("notes"), "{digest}").expect("noted");
    }
}

fn pull(store: &Store, made: &Made, name: &str, place: Option<&Path>) {
    let _kept = store.pulling(Wait::Silently).expect("the lock");
    // The manifest last, as whoever pulls does: where it is, all that it names is.
    let (manifest, parts) = made.blobs.split_last().expect("a manifest");
    for blob in parts {
        fetch(store, blob, place);
    }
    for layer in &made.layers {
        if place.is_some() && store.layer(&Kind::Single, layer).expect("read") == LayerState::Absent {
            // Others come to want it meanwhile.
            std::thread::sleep(Duration::from_millis(5));
        }
        if let Claim::New(new) = store
            .new_layer(Kind::Single, layer, Wait::Silently)
            .expect("a layer")
        {
            for name in ["a", "b"] {
                file(&new, name, layer.hex().as_bytes());
            }
            note(place, layer);
            let size = new.measure().expect("a size");
            new.commit(&[], &size).expect("committed");
        }
    }
    fetch(store, manifest, place);
    store.name(name, &made.manifest, Some(&made.id)).expect("a name");
}

/// Every layer of an image is there, with all its files.
fn whole(store: &Store, manifest: &Digest) {
    let (_, config, _) = store.load(manifest).expect("loaded");
    for layer in &config.diff_ids {
        let LayerState::Ready(path) = store.layer(&Kind::Single, layer).expect("read") else {
            panic!("{layer} is not there");
        };
        for name in ["a", "b"] {
            assert_eq!(
                std::fs::read_to_string(path.join(name)).expect("a file"),
                layer.hex()
            );
        }
    }
}

fn same(place: &Path) {
    let store = open(place);
    for n in 0..IMAGES {
        let (made, name) = numbered(n);
        pull(&store, &made, &name, Some(place));
    }
}

#[test]
fn what_several_pull_is_fetched_and_unpacked_once() {
    let dir = place();
    wait((0..4).map(|seed| start("same", dir.path(), seed + 1)).collect());
    let mut expected = Vec::new();
    for n in 0..IMAGES {
        let made = numbered(n).0;
        // A layer is noted twice: as a blob and unpacked; these have one digest here.
        expected.extend(
            made.blobs
                .iter()
                .map(|b| Digest::of(b))
                .chain(made.layers)
                .map(|d| d.to_string()),
        );
    }
    expected.sort();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let notes = std::fs::read_to_string(dir.path().join("notes")).expect("notes");
    for line in notes.lines() {
        *counts.entry(line).or_default() += 1;
    }
    expected.dedup();
    for digest in &expected {
        let layer = (0..IMAGES).any(|n| numbered(n).0.layers.iter().any(|l| l.to_string() == *digest));
        assert_eq!(
            counts.remove(digest.as_str()),
            Some(if layer { 2 } else { 1 }),
            "{digest}"
        );
    }
    assert!(counts.is_empty(), "{counts:?}");
    let store = open(dir.path());
    assert_eq!(findings(&store), [""; 0]);
    assert_eq!(
        store.all().expect("read").len(),
        usize::try_from(IMAGES).expect("small")
    );
}

fn crowd(place: &Path, mut random: Random) {
    let store = open(place);
    for _ in 0..60 {
        let (made, name) = numbered(random.below(IMAGES));
        match random.below(8) {
            0..=3 => pull(&store, &made, &name, None),
            4 => drop(store.unname(&name).expect("index.json")),
            5 => drop(prune(&store, random.below(2) == 0)),
            6 => {
                let gone = store.remove(&made.manifest.digest, Wait::Silently, &mut |_, _| Ok(()));
                assert!(
                    matches!(gone, Ok(_) | Err(Error::NoSuchImage(_) | Error::InUse(_))),
                    "{gone:?}"
                );
            }
            _ => {}
        }
        let Some(image) = store.find(&name).expect("read") else {
            continue;
        };
        let used = store.use_image(&image.manifest).expect("the lock");
        match store.load(&image.manifest) {
            Err(Error::Missing(_)) => continue,
            other => drop(other.expect("whole or gone")),
        }
        whole(&store, &image.manifest);
        std::thread::sleep(Duration::from_millis(random.below(3)));
        whole(&store, &image.manifest);
        drop(used);
    }
}

#[test]
fn pulls_names_runs_and_removals_at_once() {
    let dir = place();
    wait((0..4).map(|seed| start("crowd", dir.path(), 77 + seed)).collect());
    let store = open(dir.path());
    assert_eq!(findings(&store), [""; 0]);
    for image in store.all().expect("read") {
        whole(&store, &image.manifest);
    }
    prune(&store, true);
    assert_eq!(
        (
            store.digests("blobs/sha256").expect("read"),
            store.all().expect("read")
        ),
        (vec![], vec![])
    );
}

/// Says each thing before it is done and after.
fn victim(place: &Path, mut random: Random) {
    println!("\nbegin");
    let store = open(place);
    loop {
        let n = random.below(IMAGES);
        let (made, name) = numbered(n);
        match random.below(8) {
            0..=4 => {
                println!("name {n}");
                pull(&store, &made, &name, None);
                println!("named {n}");
            }
            5 => {
                println!("unname {n}");
                store.unname(&name).expect("index.json");
                println!("unnamed {n}");
            }
            6 => {
                println!("remove {n}");
                let _ = store.remove(&made.manifest.digest, Wait::Silently, &mut |_, _| Ok(()));
                println!("removed {n}");
            }
            _ => drop(prune(&store, false)),
        }
    }
}

/// What the names must be after these lines: there, not there, or one of the two for what was being done.
fn believe(lines: &[String], names: &mut BTreeMap<u64, Option<bool>>) {
    for line in lines {
        let Some((word, number)) = line.split_once(' ') else {
            continue;
        };
        let Ok(number) = number.parse() else { continue };
        match word {
            "name" if names.get(&number) == Some(&Some(true)) => None,
            "name" | "unname" | "remove" => names.insert(number, None),
            "named" => names.insert(number, Some(true)),
            "unnamed" | "removed" => names.insert(number, Some(false)),
            _ => None,
        };
    }
}

fn check(dir: &Path, names: &BTreeMap<u64, Option<bool>>, round: u64) {
    if !dir.join("store").exists() {
        return;
    }
    let store = open(dir);
    assert_eq!(findings(&store), [""; 0], "round {round}");
    for (n, there) in names {
        let (made, name) = numbered(*n);
        let found = store.find(&name).expect("read");
        if let Some(there) = there {
            assert_eq!(found.is_some(), *there, "round {round}: {name}");
        }
        if let Some(found) = found {
            assert_eq!((found.manifest, found.id), (made.manifest.digest, Some(made.id)));
            whole(&store, &found.manifest);
        }
    }
    // An image that lost its name is whole too, until it goes.
    for image in store.all().expect("read") {
        whole(&store, &image.manifest);
    }
}

#[test]
fn whoever_is_killed_at_any_moment_leaves_a_store_that_is_whole() {
    let dir = place();
    let mut random = Random(0x5eed);
    let mut names = BTreeMap::new();
    // What was going on, by what it leaves behind: the test is worth nothing if it never hits these.
    let mut interrupted = [("single/.new-", 0), ("single/.old-", 0), ("partial/", 0)];
    for round in 0..300 {
        let mut child = start("victim", dir.path(), round + 1);
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        while lines.next().expect("it begins").expect("text") != "begin" {}
        std::thread::sleep(Duration::from_micros(random.below(25_000)));
        child.kill().expect("SIGKILL");
        let status = child.wait().expect("ended");
        assert!(
            !status.success() && status.code().is_none(),
            "round {round}: it ended by itself: {status}"
        );
        let lines: Vec<String> = lines.map(|line| line.expect("text")).collect();
        // It may have been killed while it was writing a backtrace.
        let mut words = String::new();
        let mut stderr = child.stderr.take().expect("a pipe");
        stderr.read_to_string(&mut words).expect("text");
        assert!(!words.contains("panicked"), "round {round}: {words}");
        believe(&lines, &mut names);
        for (what, times) in &mut interrupted {
            let left = tree_of(&dir.path().join("store"));
            *times += usize::from(left.iter().any(|name| name.contains(*what)));
        }
        check(dir.path(), &names, round);
    }
    assert!(
        names.len() == usize::try_from(IMAGES).expect("small"),
        "{names:?}"
    );
    let store = open(dir.path());
    prune(&store, true);
    let left = tree_of(&dir.path().join("store"));
    assert!(
        left.iter()
            .all(|name| !name.contains("sha256/") && !name.contains("single/") && !name.contains("partial/")),
        "{left:?}"
    );
}

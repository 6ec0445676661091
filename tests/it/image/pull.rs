//! Pulls: when a registry is asked and what for, as whom, whom it is believed, and what a pull leaves that is killed.

use super::liar::{Liar, answers};
use super::place::{Home, refused};
use crate::registry::server::{Reply, Server};
use crate::util::daemon::{self, PASSWORD, USER};
use crate::util::image::{Built, Image, Packing};
use crate::util::tar::{Entry, Tar};
use crate::util::{is_root, processes, skip, within};
use serde_json::json;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a server pauses that is not to go on while a test runs.
const NEVER: Duration = Duration::from_secs(24 * 3600);

/// Busybox, and a file that says which image this is.
fn marked(mark: &str) -> Option<Built> {
    Some(Image::busybox()?.layer([Entry::file("mark", mark)]).build())
}

/// Bytes that do not become fewer by packing, and are others for each seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length / 8).flat_map(|_| next()).collect()
}

#[test]
fn what_is_there_is_not_read_again() {
    let (Some(daemon), Some(image)) = (daemon::plain(), marked("one")) else {
        return;
    };
    let (home, name) = (Home::new(), daemon.push(&image, "again:1"));
    let blobs = || {
        daemon
            .asked("again")
            .iter()
            .filter(|r| r.contains("/blobs/"))
            .count()
    };
    assert_eq!(home.pull(&name).ok(), image.digest());
    assert_eq!(blobs(), 3, "a config and two layers: {:?}", daemon.asked("again"));
    assert_eq!(home.pull(&name).ok(), image.digest());
    assert_eq!(blobs(), 3);
    let asked = daemon.asked("again").len();
    assert_eq!(home.sh(&name, "cat /mark").ok(), "one");
    assert_eq!(
        daemon.asked("again").len(),
        asked,
        "a run of what is there asks nobody"
    );
    // Another name for what is there: nothing but the manifest is read.
    let other = daemon.push(&image, "again:2");
    assert_eq!(home.pull(&other).ok(), image.digest());
    assert_eq!(blobs(), 3, "{:?}", daemon.asked("again"));
    home.sound();
}

#[test]
fn pull_always_missing_and_never() {
    let (Some(daemon), Some(old), Some(new)) = (daemon::plain(), marked("old"), marked("new")) else {
        return;
    };
    let (home, name) = (Home::new(), daemon.push(&old, "when:1"));
    let run = |when: &str| home.run("default", &["--pull", when], &name, &["/bin/cat", "/mark"]);
    refused(&run("never"), &[&name, "not in the store"]);
    assert!(daemon.asked("when").is_empty());
    assert_eq!(run("missing").ok(), "old");
    daemon.push(&new, "when:1");
    assert_eq!(run("missing").ok(), "old");
    assert_eq!(run("never").ok(), "old");
    assert_eq!(run("always").ok(), "new");
    assert_eq!(run("never").ok(), "new");
    // By its digest it is the old one still, which the tag does not change.
    let by_digest = format!("{}@{}", daemon.name("when"), old.digest());
    assert_eq!(home.sh(&by_digest, "cat /mark").ok(), "old");
}

#[test]
fn what_a_registry_does_not_have_is_named() {
    let Some(daemon) = daemon::plain() else { return };
    let home = Home::new();
    let name = daemon.name("nothing/here:1");
    refused(&home.pull(&name), &[&name, "not there"]);
    refused(&home.sh(&name, "true"), &[&name, "not there"]);
    // Nobody at all.
    refused(&home.pull("127.0.0.1:1/nobody:1"), &["127.0.0.1:1/nobody:1"]);
    assert_eq!(home.holds().1, Vec::<std::path::PathBuf>::new());
}

#[test]
fn the_platform_of_an_index() {
    let (Some(daemon), Some(amd), Some(arm)) = (daemon::plain(), marked("amd64"), marked("arm")) else {
        return;
    };
    let index = Built::index(&[("linux/arm/v7", arm), ("linux/amd64", amd)]);
    let name = daemon.push(&index, "platforms:1");
    let home = Home::new();
    let run = |flags: &[&str]| home.run("default", flags, &name, &["/bin/cat", "/mark"]);
    assert_eq!(run(&[]).ok(), "amd64");
    let arm = ["--pull", "always", "--platform", "linux/arm/v7"];
    assert_eq!(run(&arm).ok(), "arm");
    let other = ["--pull", "always", "--platform", "linux/s390x"];
    refused(&run(&other), &[&name, "linux/s390x", "linux/amd64"]);
    let wrong = run(&["--platform", "amd64\x1b[31m"]);
    refused(&wrong, &["--platform"]);
}

/// A home whose `~/.config/containers/auth.json` says this.
fn with_auth(registry: &str, password: &str) -> Home {
    use base64::Engine as _;
    let home = Home::new();
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{password}"));
    let auth = json!({"auths": {registry: {"auth": pair}}});
    let path = home.dir.write("containers/auth.json", auth.to_string());
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("chmod");
    home
}

#[test]
fn a_registry_with_a_password() {
    let (Some(daemon), Some(image)) = (daemon::with_password(), marked("closed")) else {
        return;
    };
    let name = daemon.push(&image, "closed:1");
    let registry = format!("127.0.0.1:{}", daemon.port);
    let right = with_auth(&registry, PASSWORD);
    assert_eq!(right.sh(&name, "cat /mark").ok(), "closed");
    for home in [
        Home::new(),
        with_auth("registry.example", PASSWORD),
        with_auth(&registry, "horse, incorrect"),
    ] {
        let out = home.pull(&name);
        refused(&out, &[&name]);
        for secret in [PASSWORD, "incorrect", USER] {
            assert!(!out.stderr().contains(secret), "{}", out.stderr());
        }
    }
    // The store never learns it.
    let files = super::place::shape_of_text(&right.store());
    assert!(!files.contains(PASSWORD));
}

/// As where root's podman has made /run/containers: an ordinary user may not even look whether there is a file.
#[test]
fn credentials_at_default_paths_that_may_not_be_read_count_as_absent() {
    let (Some(daemon), Some(image)) = (daemon::plain(), marked("unread")) else {
        return;
    };
    if is_root() {
        return skip("user", "no mode keeps root from reading");
    }
    let name = daemon.push(&image, "unread:1");
    for (file, closed, named, fine) in [
        ("containers/auth.json", "containers", None, true),
        (
            ".config/containers/auth.json",
            ".config/containers/auth.json",
            None,
            true,
        ),
        (".docker/config.json", ".docker", None, true),
        (
            ".config/containers/certs.d/x/ca.crt",
            ".config/containers/certs.d",
            None,
            true,
        ),
        ("named/auth.json", "named", Some("REGISTRY_AUTH_FILE"), false),
        ("named/config.json", "named", Some("DOCKER_CONFIG"), false),
        // It may hold a rule that blocks.
        (
            ".config/containers/registries.conf.d/1.conf",
            ".config/containers/registries.conf.d",
            None,
            false,
        ),
    ] {
        let mut home = Home::new();
        let written = home.dir.write(file, "{}");
        let closed = home.dir.path().join(closed);
        match named {
            Some("DOCKER_CONFIG") => home = home.env("DOCKER_CONFIG", closed.display()),
            Some(variable) => home = home.env(variable, written.display()),
            None => {}
        }
        let mode =
            |mode| std::fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(mode));
        mode(0).expect("chmod");
        let out = home.pull(&name);
        mode(0o700).expect("chmod");
        match fine {
            true => assert_eq!(out.code, Some(0), "{file}: {}", out.stderr()),
            false => refused(&out, &["cannot read ", "Permission denied"]),
        }
    }
}

#[test]
fn a_registry_with_a_certificate() {
    let (Some(daemon), Some(image)) = (daemon::with_certificate(), marked("sealed")) else {
        return;
    };
    daemon.push(&image, "sealed:1");
    let name = format!("localhost:{}/sealed:1", daemon.port);
    let authority = daemon.dir.join("ca.pem");
    let trusting = Home::new().env("SSL_CERT_FILE", authority.display());
    assert_eq!(trusting.sh(&name, "cat /mark").ok(), "sealed");
    let own = Home::new();
    let place = format!(".config/containers/certs.d/localhost:{}/ca.crt", daemon.port);
    own.dir
        .write(&place, std::fs::read(&authority).expect("a certificate"));
    assert_eq!(own.sh(&name, "cat /mark").ok(), "sealed");
    // Nobody vouches for it, and another registry's authority does not.
    refused(&Home::new().pull(&name), &[&name, "certificate"]);
    let other = Home::new();
    other.dir.write(
        ".config/containers/certs.d/registry.example/ca.crt",
        std::fs::read(&authority).expect("a certificate"),
    );
    refused(&other.pull(&name), &[&name, "certificate"]);
}

#[test]
fn two_pulls_at_once_fetch_it_once() {
    let (Some(daemon), Some(image)) = (daemon::plain(), marked("twice")) else {
        return;
    };
    let (home, name) = (Home::new(), daemon.push(&image, "at-once:1"));
    let out = std::thread::scope(|scope| {
        let pulls: Vec<_> = (0..4).map(|_| scope.spawn(|| home.pull(&name))).collect();
        pulls
            .into_iter()
            .map(|p| p.join().expect("a pull"))
            .collect::<Vec<_>>()
    });
    for out in out {
        assert_eq!(out.ok(), image.digest());
    }
    let blobs = daemon
        .asked("at-once")
        .iter()
        .filter(|r| r.contains("/blobs/"))
        .count();
    assert_eq!(blobs, 3, "{:?}", daemon.asked("at-once"));
    assert_eq!(home.holds().1.len(), 2);
    home.sound();
    assert_eq!(home.sh(&name, "cat /mark").ok(), "twice");
}

/// Starts a pull that nobody listens to.
fn start(home: &Home, name: &str) -> (std::process::Child, crate::util::Dir) {
    let (mut command, dir) = home.sbx(["pull", "--quiet", name]).into_command();
    for set in [
        std::process::Command::stdin,
        std::process::Command::stdout,
        std::process::Command::stderr,
    ] {
        set(&mut command, Stdio::null());
    }
    (command.spawn().expect("sbx starts"), dir)
}

/// Kills a pull with the signal that it cannot catch, and waits until nothing of it is left.
fn kill(home: &Home, mut pull: std::process::Child) {
    pull.kill().expect("kill");
    pull.wait().expect("wait");
    let store = home.store().display().to_string();
    // However slow the machine is: a worker that has not noticed will not do so later.
    within(Duration::from_secs(60), "the worker ends with sbx", || {
        processes("cmdline", &store).is_empty()
    });
}

#[test]
fn a_pull_that_is_killed_goes_on_where_it_was() {
    let Some(image) = Image::busybox() else {
        return skip("busybox", "no static /bin/busybox (package busybox-static)");
    };
    let big = Tar::new([Entry::file("noise", noise(7, 8 << 20))]).bytes();
    let image = image.packed(big, Packing::None).build();
    let (layer, all) = (image.layer(1), answers(&image));
    let (bytes, half) = (all[&format!("blobs/{layer}")].1.clone(), 4 << 20);
    let path = format!("/v2/the/liar/blobs/{layer}");
    let killed = Arc::new(AtomicBool::new(false));
    let server = {
        let (killed, path) = (Arc::clone(&killed), path.clone());
        Server::plain(move |asked| {
            let rest = asked.path.strip_prefix("/v2/the/liar/").unwrap_or_default();
            if asked.path != path {
                let found = all.get(rest);
                return found.map_or(Reply::ok("{}"), |(kind, bytes)| {
                    Reply::ok(bytes).header("Content-Type", kind)
                });
            }
            let length = bytes.len();
            match (asked.from(), killed.load(Ordering::SeqCst)) {
                (Some(from), true) => Reply::new(206)
                    .header("Content-Range", format!("bytes {from}-{}/{length}", length - 1))
                    .body(&bytes[from..]),
                (None, true) => Reply::ok(&bytes),
                // Half of it, and then nothing for longer than the test takes, however slow the machine is.
                (None, false) => Reply::new(200)
                    .header("Content-Length", length)
                    .piece(&bytes[..half])
                    .paused(NEVER),
                // Where the kill comes so late that the first pull has lost its patience and asks again.
                (Some(_), false) => Reply::raw("").paused(NEVER),
            }
        })
    };
    let (home, liar) = (Home::new(), Liar { server });
    let (pull, _dir) = start(&home, &liar.name());
    let partial = home.store().join("partial");
    within(Duration::from_secs(300), "half of the layer", || {
        let files = std::fs::read_dir(&partial).into_iter().flatten().flatten();
        files
            .filter_map(|file| file.metadata().ok())
            .any(|file| file.len() == half as u64)
    });
    kill(&home, pull);
    let before = liar.server.asked().len();
    killed.store(true, Ordering::SeqCst);
    assert!(!home.holds().0.contains("the/liar"), "it has no name yet");
    assert_eq!(
        home.sh(
            &liar.name(),
            "ls -l /noise | cut -c1-10 >/dev/null; stat -c %s /noise"
        )
        .ok(),
        (8 << 20).to_string()
    );
    // The layer below may have been cut too, wherever it was.
    let asked = liar.server.asked();
    let asked = asked.iter().skip(before).filter(|asked| asked.path == path);
    let ranges: Vec<_> = asked.map(|asked| (asked.method.as_str(), asked.from())).collect();
    assert_eq!(ranges, [("GET", Some(half))], "the second pull asks for the rest");
    home.sound();
}

#[test]
fn whenever_a_pull_is_killed_the_next_one_makes_it_whole() {
    let (Some(daemon), Some(image)) = (daemon::plain(), Image::busybox()) else {
        return;
    };
    let image = (0..6).fold(image, |image, n| {
        let files = (0..40).map(|f| Entry::file(format!("d{n}/{f}"), noise(n * 100 + f, 64 << 10)));
        image.packed(Tar::new(files).bytes(), Packing::Zstd)
    });
    let (home, image) = (Home::new(), image.build());
    let name = daemon.push(&image, "killed:1");
    for delay in [0, 10, 20, 30, 40, 60, 80, 110, 150, 200, 260, 330] {
        let (pull, _dir) = start(&home, &name);
        std::thread::sleep(Duration::from_millis(delay));
        kill(&home, pull);
    }
    assert_eq!(home.pull(&name).ok(), image.digest());
    assert_eq!(home.sh(&name, "find /d? -type f | busybox wc -l").ok(), "240");
    home.sound();
    let (_, layers) = home.holds();
    assert_eq!(layers.len(), 7, "{layers:?}");
}

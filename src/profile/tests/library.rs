//! Where profiles come from: search order, trust, circles.

use crate::profile::Library;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

struct Place(PathBuf, Library);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sbx-library-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory");
        let uid = nix::unistd::geteuid().as_raw();
        let directory = Some(path.clone());
        Self(path, Library { directory, uid })
    }

    fn put(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("mode");
        path.display().to_string()
    }

    fn refused(&self, name: &str) -> String {
        self.1.load(name).expect_err(name).to_string()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_path_then_the_users_own_then_built_in() {
    let place = Place::new("order");
    let built_in = place.1.load("strict").expect("built in");
    place.put("strict.toml", "extends = \"strict\"\n[limits]\npids = 7");
    let own = place
        .1
        .load("strict")
        .expect("the user's, which extends the built-in one of its name");
    assert_eq!(own.limits.pids.as_ref().map(|p| p.value), Some(7));
    assert_eq!(own.syscalls, built_in.syscalls);
    let path = place.put("other.toml", "[limits]\npids = 8");
    assert_eq!(
        place.1.load(&path).expect("a path").limits.pids.map(|p| p.value),
        Some(8)
    );
    assert_eq!(place.1.names(), ["other", "strict", "default", "build"]);
    // Those of sbx's own parts can be read, and are in no list.
    for own in ["fetch-worker", "image-worker", "overlay-worker"] {
        assert!(place.1.load(own).is_ok(), "{own}");
    }
}

#[test]
fn several_are_merged_left_to_right() {
    let place = Place::new("several");
    place.put("a.toml", "[limits]\npids = 1\nopen-files = 1");
    place.put("b.toml", "[limits]\npids = 2");
    place.put("c.toml", "extends = [\"a\", \"b\"]\n[limits]\nfile-size = \"1K\"");
    let limits = place.1.load("c").expect("c").limits;
    assert_eq!(
        (limits.pids.map(|p| p.value), limits.open_files.map(|p| p.value)),
        (Some(2), Some(1))
    );
}

#[test]
fn circles_end() {
    let place = Place::new("circle");
    place.put("a.toml", "extends = \"b\"");
    place.put("b.toml", "extends = \"a\"");
    place.put("self.toml", "extends = \"self\"");
    for name in ["a", "b", "self"] {
        let words = place.refused(name);
        assert!(words.contains("circle"), "{words}");
    }
}

#[test]
fn what_others_could_have_written_is_refused() {
    let place = Place::new("trust");
    let path = place.put("open.toml", "");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("mode");
    assert!(
        place.refused("open").contains("chmod go-w"),
        "{}",
        place.refused("open")
    );
    let foreign = Library {
        uid: place.1.uid + 1,
        ..place.1.clone()
    };
    let own = place.put("own.toml", "");
    if place.1.uid != 0 {
        let words = foreign.load(&own).expect_err("foreign").to_string();
        assert!(words.contains("belongs to uid"), "{words}");
    }
}

#[test]
fn what_is_no_page_is_refused() {
    let place = Place::new("pages");
    place.put("long.toml", &"#\n".repeat(1 << 20));
    assert!(place.refused("long").contains("larger than 1 MiB"));
    fs::write(place.0.join("latin.toml"), b"description = \"\xe9\"").expect("written");
    assert!(
        place.refused("latin").contains("not UTF-8 at byte 15"),
        "{}",
        place.refused("latin")
    );
    nix::unistd::mkfifo(
        &place.0.join("pipe.toml"),
        nix::sys::stat::Mode::from_bits_truncate(0o600),
    )
    .expect("a FIFO");
    assert!(place.refused("pipe").contains("not a regular file"));
    fs::create_dir(place.0.join("dir.toml")).expect("a directory");
    assert!(place.refused("dir").contains("not a regular file"));
    assert!(place.refused("./gone.toml").contains("No such file"));
    assert!(place.refused("strct").contains("did you mean `strict`?"));
    assert!(place.refused("..").contains("not a profile's name"));
    assert!(!place.refused("\u{1b}[2J").contains('\u{1b}'));
}

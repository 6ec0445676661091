//! The verbs of images, against a registry that these tests serve themselves, and a store of their own.

mod listing;
mod login;
pub mod registry;
mod removal;
mod wrong;

use crate::util::image::{Built, Image, Packing, busybox};
use crate::util::tar::{Entry, Tar};
use crate::util::{Dir, Out, Sbx};
use registry::Registry;
use serde_json::json;
use std::path::PathBuf;

/// What would act on a terminal, if it were shown as it is.
const EVIL: &str = "\u{1b}[31mred\u{9b}32m\u{202e}\r\u{7f}";

/// A store, and who uses it. World-readable: under root the sandbox is another user.
struct Place {
    dir: Dir,
}

impl Place {
    fn new() -> Self {
        Self { dir: Dir::new() }
    }

    fn sbx<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Sbx {
        Sbx::new(arguments)
            .env("XDG_DATA_HOME", self.dir.path())
            .env("XDG_RUNTIME_DIR", self.dir.path())
    }

    /// Runs it to its end.
    fn out(&self, arguments: &[&str]) -> Out {
        self.sbx(arguments).out()
    }

    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> String {
        let out = self.out(arguments);
        // Nothing that an image says acts on the terminal.
        let acts = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        let said = out.stdout() + &out.stderr();
        assert!(!said.contains(acts), "{}", said.escape_debug());
        out.ok()
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let text = self.ok(arguments);
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }

    fn store(&self) -> PathBuf {
        self.dir.path().join("sbx")
    }

    /// What lies in a directory of the store.
    fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.store().join(folder)) else {
            return Vec::new();
        };
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        };
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }

    /// Directories of layers, of all kinds, as `KIND/HEX`.
    fn layers(&self) -> Vec<String> {
        let mut all = Vec::new();
        for kind in self.names("layers") {
            let names = self.names(&format!("layers/{kind}"));
            all.extend(names.iter().map(|name| format!("{kind}/{name}")));
        }
        all
    }
}

/// A layer that a shell can run in, with directories of several users, closed ones and deep ones among them.
fn base(busybox: &[u8]) -> Tar {
    let of = |entry: Entry, id: u32, mode: u32| entry.owner(id, id).mode(mode);
    let mut deep = "var/".to_owned();
    let mut folder = |n: u32| {
        deep += &format!("d{n}/");
        of(Entry::folder(&deep), 1000, 0o500)
    };
    let first = [
        Entry::folder("bin/"),
        Entry::program("bin/sh", busybox),
        Entry::program("bin/cat", busybox),
        Entry::folder("tmp/").mode(0o1777),
        of(Entry::folder("srv/"), 1000, 0o700),
        of(Entry::folder("srv/closed/"), 33, 0o000),
        of(Entry::file("srv/closed/file", "x"), 33, 0o000),
        of(Entry::file("srv/set", "x"), 1000, 0o6755),
    ];
    Tar::new(first.into_iter().chain((0..90).map(&mut folder)))
}

/// An image of layers that are not packed, which says everything that an image can say of itself.
fn image(name: &str, layers: impl IntoIterator<Item = Tar>) -> Built {
    let plain = |image: Image, layer: Tar| image.packed(layer.bytes(), Packing::None);
    let mut image = layers.into_iter().fold(Image::new(), plain);
    image.config["created"] = json!("2020-01-02T03:04:05Z");
    image.config["config"] = json!({
        "Cmd": ["sh", "-c", "cat /says"], "Env": ["PATH=/bin", format!("EVIL={EVIL}")],
        "Labels": {"name": name}, "StopSignal": "SIGINT", "ExposedPorts": {"80/tcp": {}},
    });
    image.config["history"] = json!([
        {"created": "2020-01-01T00:00:00Z", "created_by": "base"},
        {"created_by": "ENV A=b", "empty_layer": true},
        {"created_by": format!("RUN {EVIL} {}", "x".repeat(200)), "comment": EVIL},
    ]);
    image.build()
}

/// Two images on one layer that can run: `one:1`, which is also `one:2`, and `two:1`. `None`, and a skip, without a static busybox.
fn two() -> Option<(Registry, Place)> {
    let base = base(&busybox()?);
    let says = |text: &str| Tar::new([Entry::file("says", text)]);
    let one = image("one", [base.clone(), says("this is one\n")]);
    let two = image("two", [base, says("this is two\n")]);
    let registry = Registry::default().image("one", &["1", "2"], &one);
    Some((registry.image("two", &["1"], &two).serve(), Place::new()))
}

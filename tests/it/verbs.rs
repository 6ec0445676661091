//! The verbs of images, against a registry that these tests serve themselves, and a store of their own.

mod listing;
mod login;
pub mod registry;
mod removal;
mod wrong;

use crate::util::{Dir, Out, Sbx, skip};
use registry::Registry;
use std::path::PathBuf;

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

/// Two images on one layer that can run: `one:1`, which is also `one:2`, and `two:1`. `None`, and a skip, without a static busybox.
fn two() -> Option<(Registry, Place)> {
    let Ok(busybox) = std::fs::read("/usr/bin/busybox").or_else(|_| std::fs::read("/bin/busybox")) else {
        skip("busybox", "there is no static busybox to make an image of");
        return None;
    };
    let base = registry::base(&busybox);
    let mut registry = Registry::default();
    let layer = |text: &str| registry::layer(&[("says", 0o644, 0, Some(text.as_bytes()))]);
    registry.image("one", &["1", "2"], &[base.clone(), layer("this is one\n")]);
    registry.image("two", &["1"], &[base, layer("this is two\n")]);
    Some((registry.serve(), Place::new()))
}

//! Archives of images: what sbx writes others read, what they write sbx reads, and what strangers have made up changes nothing.

mod forms;
mod hostile;
mod made;
mod peers;
mod push;
mod verbs;

use crate::util::image::busybox;
use crate::util::{Dir, Out, Sbx};
use std::path::{Path, PathBuf};

/// A store of one's own, and a directory for files.
pub struct Shop {
    store: Dir,
    pub files: Dir,
}

impl Shop {
    pub fn new() -> Self {
        Self {
            store: Dir::new(),
            files: Dir::new(),
        }
    }

    pub fn sbx<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Sbx {
        Sbx::new(arguments)
            .env("XDG_DATA_HOME", self.store.path())
            .env("XDG_RUNTIME_DIR", self.store.path())
            .within(self.files.path())
    }

    pub fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Out {
        let run = ["run", "--quiet", "--profile", "default"];
        self.sbx(run.into_iter().chain(arguments)).out()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    pub fn store(&self) -> &Path {
        self.store.path()
    }

    /// Every file of the store with its size, as it is now.
    pub fn listing(&self) -> Vec<String> {
        let mut found = Vec::new();
        walk(self.store.path(), &mut found);
        found.sort();
        found
    }

    /// The id of an image: the digest of its config.
    pub fn id(&self, manifest: &str) -> String {
        let hex = manifest.trim().trim_start_matches("sha256:");
        let hex = hex.split(' ').next().expect("a digest");
        let path = self.store.path().join("sbx/blobs/sha256").join(hex);
        let bytes = std::fs::read(path).expect("a manifest");
        let manifest: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
        manifest["config"]["digest"]
            .as_str()
            .expect("a digest")
            .to_owned()
    }
}

fn walk(at: &Path, into: &mut Vec<String>) {
    for entry in std::fs::read_dir(at).expect("a directory") {
        let entry = entry.expect("an entry");
        // A worker may be at work.
        let Ok(metadata) = entry.metadata() else { continue };
        into.push(format!(
            "{} {}",
            entry.path().display(),
            if metadata.is_dir() { 0 } else { metadata.len() }
        ));
        if metadata.is_dir() {
            walk(&entry.path(), into);
        }
    }
}

/// A small root file system that can run, and the shop that it lies in; `None` where no static busybox is.
pub fn with_root() -> Option<Shop> {
    let shop = Shop::new();
    let root = shop.path("root");
    shop.files.script("root/bin/busybox", busybox()?);
    for name in ["sh", "cat", "id", "ls"] {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(name)).expect("a link");
    }
    shop.files.write("root/etc/motd", "from the image\n");
    Some(shop)
}

/// The same with an image of it, `localhost/tool:1`, that says what is in it.
pub fn with_image() -> Option<(Shop, String)> {
    let shop = with_root()?;
    let command = r#"CMD ["/bin/cat", "/etc/motd"]"#;
    let made = shop
        .sbx(["import", "-q", "-c", command, "-c", "ENV A=b", "root", "tool:1"])
        .out();
    let digest = made.ok();
    Some((shop, digest))
}

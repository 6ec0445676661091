//! Where a test has its images: a home and a store of its own, and a tree of the host that nobody may touch.

use crate::util::{Dir, Out, Sbx};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A home, with the store that sbx makes in it.
pub struct Home {
    pub dir: Dir,
    /// Variables besides those that every test has.
    more: Vec<(String, String)>,
}

impl Home {
    pub fn new() -> Self {
        Self {
            dir: Dir::new(),
            more: Vec::new(),
        }
    }

    pub fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.more.push((name.to_owned(), value.to_string()));
        self
    }

    pub fn store(&self) -> PathBuf {
        self.dir.path().join(".local/share/sbx")
    }

    fn at_home(&self, sbx: Sbx) -> Sbx {
        let sbx = sbx
            .env("HOME", self.dir.path())
            .env("XDG_RUNTIME_DIR", self.dir.path())
            .within(self.dir.path());
        self.more
            .iter()
            .fold(sbx, |sbx, (name, value)| sbx.env(name, value))
    }

    /// `sbx VERB…`
    pub fn sbx<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Sbx {
        self.at_home(Sbx::new(words))
    }

    /// `sbx pull --quiet IMAGE`
    pub fn pull(&self, image: &str) -> Out {
        self.sbx(["pull", "--quiet", image]).out()
    }

    /// `sbx run --quiet --profile PROFILE FLAGS IMAGE COMMAND`, in a directory where nothing is.
    pub fn run(&self, profile: &str, flags: &[&str], image: &str, command: &[&str]) -> Out {
        let sbx = self.at_home(Sbx::run(profile));
        sbx.args(flags).args([image]).args(command).out()
    }

    /// `sh -c SCRIPT` in an image under the default profile.
    pub fn sh(&self, image: &str, script: &str) -> Out {
        self.run("default", &[], image, &["/bin/sh", "-c", script])
    }

    /// The names that the store has, and what it has unpacked: nothing of this may come from what was refused.
    pub fn holds(&self) -> (String, Vec<PathBuf>) {
        let index = std::fs::read_to_string(self.store().join("index.json")).unwrap_or_default();
        let kinds = std::fs::read_dir(self.store().join("layers"));
        let mut layers: Vec<_> = kinds
            .into_iter()
            .flatten()
            .flatten()
            .flat_map(|kind| std::fs::read_dir(kind.path()).expect("layers"))
            .map(|layer| layer.expect("an entry").path())
            .collect();
        layers.sort();
        (index, layers)
    }

    /// Every blob of the store has the digest that it is called by.
    #[track_caller]
    pub fn sound(&self) {
        let blobs = std::fs::read_dir(self.store().join("blobs/sha256")).expect("blobs");
        for blob in blobs.flatten() {
            let bytes = std::fs::read(blob.path()).expect("a blob");
            let hex = sbx::model::Digest::of(&bytes).hex();
            assert_eq!(blob.file_name().to_str(), Some(hex.as_str()));
        }
    }
}

/// One line, which names this and says these; exit code 125; nothing was run.
#[track_caller]
pub fn refused(out: &Out, says: &[&str]) {
    out.code(125);
    assert_eq!(out.stdout(), "");
    let text = out.stderr();
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("  ")).collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert!(lines[0].starts_with("sbx: "), "{text}");
    assert!(lines[0].len() < 600, "{text}");
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    for words in says {
        assert!(lines[0].contains(words), "`{words}` is not in:\n{text}");
    }
}

/// A tree of the host of which every byte must stay as it is.
pub struct Canary {
    pub dir: Dir,
    before: BTreeMap<PathBuf, String>,
}

impl Canary {
    /// Everybody may write to it: only sbx stands in the way.
    pub fn new() -> Self {
        let dir = Dir::open();
        dir.write("secret", "top secret\n");
        dir.write("folder/inner", "inner\n");
        dir.write("etc/passwd", "mallory:x:0:0::/:/bin/sh\n");
        dir.script("program", "#!/bin/sh\necho of the host\n");
        for folder in ["folder", "etc"] {
            let open = PermissionsExt::from_mode(0o777);
            std::fs::set_permissions(dir.path().join(folder), open).expect("chmod");
        }
        for file in ["secret", "folder/inner", "etc/passwd"] {
            let open = PermissionsExt::from_mode(0o666);
            std::fs::set_permissions(dir.path().join(file), open).expect("chmod");
        }
        let before = shape(dir.path());
        Self { dir, before }
    }

    /// Its path; with a name, that of what lies in it.
    pub fn at(&self, name: &str) -> String {
        let path = self.dir.path().display();
        if name.is_empty() {
            path.to_string()
        } else {
            format!("{path}/{name}")
        }
    }

    #[track_caller]
    pub fn untouched(&self) {
        assert_eq!(self.before, shape(self.dir.path()));
    }
}

/// Everything of a tree that can be changed, but for when it was read.
pub fn shape(at: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    let mut waiting = vec![at.to_owned()];
    while let Some(path) = waiting.pop() {
        let meta = path.symlink_metadata().expect("what was listed");
        let content = if meta.is_dir() {
            let inner = std::fs::read_dir(&path).expect("a directory");
            waiting.extend(inner.map(|entry| entry.expect("an entry").path()));
            String::new()
        } else if meta.is_symlink() {
            std::fs::read_link(&path).expect("a link").display().to_string()
        } else {
            std::fs::read_to_string(&path).expect("text")
        };
        let times = (meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec());
        let owner = (meta.uid(), meta.gid(), meta.nlink());
        let shown = format!("{:o} {owner:?} {} {times:?} {content}", meta.mode(), meta.ino());
        all.insert(path, shown);
    }
    all
}

/// All names and all text of a tree, to look for what must not be in it.
pub fn shape_of_text(at: &Path) -> String {
    let mut all = String::new();
    let mut waiting = vec![at.to_owned()];
    while let Some(path) = waiting.pop() {
        all += &format!("{}\n", path.display());
        match std::fs::read_dir(&path) {
            Ok(inner) => waiting.extend(inner.flatten().map(|entry| entry.path())),
            Err(_) => all += &String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()),
        }
    }
    all
}

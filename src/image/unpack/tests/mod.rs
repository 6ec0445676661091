//! Archives that are made here, unpacked, and looked at.

pub(super) mod archive;
mod hostile;
mod remove;
mod rules;
mod streams;

use super::{Error, Options, Unpacked, unpack};
use crate::image::descriptor::Compression;
use crate::image::limits::Limits;
use crate::image::owner::Ownership;
use archive::Tar;
use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A directory to unpack into, and beside it a canary that nothing may touch.
struct Room {
    directory: tempfile::TempDir,
    before: BTreeMap<PathBuf, String>,
}

impl Room {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let base = directory.path();
        for name in ["into", "canary", "canary/d"] {
            fs::create_dir(base.join(name)).expect("a directory");
        }
        fs::write(base.join("canary/f"), "canary").expect("a file");
        fs::write(base.join("canary/d/f"), "canary").expect("a file");
        std::os::unix::fs::symlink("f", base.join("canary/l")).expect("a link");
        let before = tree(&base.join("canary"));
        Self { directory, before }
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("into")
    }

    /// As a path that an archive may name: the canary's.
    fn canary(&self) -> String {
        self.directory
            .path()
            .join("canary")
            .to_str()
            .expect("text")
            .to_owned()
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    fn unpack(&self, layer: &[u8], ownership: Ownership, limits: &Limits) -> Result<Unpacked, Error> {
        self.packed(
            layer,
            &Options {
                compression: Compression::None,
                ownership,
                limits,
            },
        )
    }

    fn packed(&self, layer: &[u8], options: &Options<'_>) -> Result<Unpacked, Error> {
        let into = fs::File::open(self.root()).expect("the directory");
        let unpacked = unpack(layer, into.as_fd(), options, &mut |_| {});
        assert_eq!(
            tree(Path::new(&self.canary())),
            self.before,
            "the canary was touched"
        );
        let beside: Vec<_> = fs::read_dir(self.directory.path()).expect("the room").collect();
        assert_eq!(beside.len(), 2, "something was made outside: {beside:?}");
        unpacked
    }

    /// Unpacks what must be right, every file the caller's.
    fn single(&self, tar: Tar) -> Unpacked {
        self.unpack(&tar.end(), Ownership::Single, &Limits::default())
            .expect("an unpacked layer")
    }

    /// Unpacks what must be refused; the words.
    fn refused(&self, tar: Tar) -> String {
        match self.unpack(&tar.end(), Ownership::Single, &Limits::default()) {
            Ok(_) => panic!("not refused; there is {:#?}", tree(&self.root())),
            Err(error) => said(&error),
        }
    }
}

/// An error's words, which are one line without anything of a terminal.
fn said(error: &Error) -> String {
    let text = error.to_string();
    assert!(
        text.len() < 700 && !text.chars().any(char::is_control),
        "{text:?}"
    );
    text
}

/// Everything of a tree but access times, link counts of directories and inode numbers.
fn tree(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(path) = waiting.pop() {
        let meta = fs::symlink_metadata(&path).expect("an entry");
        let kind = meta.file_type();
        let content = if kind.is_file() {
            format!("{:?} links {}", fs::read(&path).expect("a file"), meta.nlink())
        } else if kind.is_symlink() {
            format!("-> {:?}", fs::read_link(&path).expect("a link"))
        } else if kind.is_char_device() {
            format!("device {}", meta.rdev())
        } else {
            String::new()
        };
        if kind.is_dir() {
            waiting.extend(
                fs::read_dir(&path)
                    .expect("a directory")
                    .map(|e| e.expect("an entry").path()),
            );
        }
        let (mode, time) = (meta.mode(), (meta.mtime(), meta.mtime_nsec()));
        let text = format!("{mode:o} {}:{} {time:?} {content}", meta.uid(), meta.gid());
        found.insert(path.strip_prefix(root).expect("beneath").to_owned(), text);
    }
    found
}

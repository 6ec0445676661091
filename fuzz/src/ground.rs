//! A place to unpack in, beside one that nothing may touch.

use nix::fcntl::{OFlag, open};
use nix::sys::stat::{FileStat, Mode, lstat};
use sbx::image::descriptor::Compression;
use sbx::image::owner::Ownership;
use sbx::image::limits::Limits;
use sbx::image::remove::remove_tree;
use sbx::image::unpack::{Options, Unpacked, unpack};
use sbx::model::Bytes;
use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What the file beside holds.
const WORDS: &[u8] = b"as it was";
/// Stands for the path of the directory beside, which differs each time.
pub const CANARY: &[u8] = b"@CANARY@";

/// `box/root` is unpacked into; `canary` and what is in it stay as they are.
pub struct Ground {
    dir: TempDir,
    inside: OwnedFd,
    before: Vec<String>,
}

fn stat(path: &Path) -> String {
    let FileStat {
        st_ino,
        st_mode,
        st_nlink,
        st_uid,
        st_gid,
        st_size,
        st_mtime,
        st_mtime_nsec,
        st_ctime,
        st_ctime_nsec,
        ..
    } = lstat(path).expect("what is beside is still there");
    format!(
        "{st_ino} {st_mode:o} {st_nlink} {st_uid}:{st_gid} {st_size} {st_mtime}.{st_mtime_nsec} {st_ctime}.{st_ctime_nsec}"
    )
}

fn names(path: &Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> = fs::read_dir(path)
        .expect("a directory")
        .map(|e| e.expect("an entry").file_name())
        .collect();
    names.sort();
    names
}

impl Ground {
    /// A fresh one; it lasts for all runs of a process.
    #[must_use]
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// The same, with more files beside.
    #[must_use]
    pub fn with(more: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("box")).expect("mkdir");
        fs::create_dir(dir.path().join("canary")).expect("mkdir");
        fs::write(dir.path().join("canary/file"), WORDS).expect("write");
        for (name, text) in more {
            let path = dir.path().join("canary").join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("mkdir");
            fs::write(path, text).expect("write");
        }
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let inside = open(&dir.path().join("box"), flags, Mode::empty()).expect("open");
        let mut ground = Self {
            dir,
            inside,
            before: Vec::new(),
        };
        // Times of the kernel are those of its last tick: what changes within it looks unchanged.
        std::thread::sleep(std::time::Duration::from_millis(20));
        ground.before = ground.beside();
        ground
    }

    /// The path of what may not be touched.
    #[must_use]
    pub fn canary(&self) -> PathBuf {
        self.dir.path().join("canary")
    }

    fn beside(&self) -> Vec<String> {
        let top = self.dir.path();
        vec![
            stat(top),
            stat(&top.join("canary")),
            stat(&top.join("canary/file")),
            format!("{:?} {:?}", names(top), names(&top.join("canary"))),
        ]
    }

    /// What is unpacked in.
    #[must_use]
    pub fn inside(&self) -> PathBuf {
        self.dir.path().join("box")
    }

    /// Unpacks a layer, looks at what came of it, and removes it. What is beside is as it was, whatever the layer says.
    pub fn unpack(&mut self, layer: &[u8], compression: Compression) -> Option<Unpacked> {
        let unpacked = self.into(layer, compression, "root");
        self.clear();
        unpacked
    }

    /// The same, and leaves what came of it under a name; whether something did.
    pub fn keep(&mut self, layer: &[u8], compression: Compression, name: &str) -> bool {
        self.into(layer, compression, name).is_some()
    }

    fn into(&mut self, layer: &[u8], compression: Compression, name: &str) -> Option<Unpacked> {
        let limits = Limits {
            packed: Bytes(1 << 20),
            unpacked: Bytes(1 << 20),
            entries: 64,
            path: 600,
            depth: 24,
            ..Limits::default()
        };
        let root = self.inside().join(name);
        let before = names(&self.inside()).len();
        fs::create_dir(&root).expect("mkdir");
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let into = open(&root, flags, Mode::empty()).expect("open");
        let options = Options {
            compression,
            ownership: Ownership::Single,
            limits: &limits,
        };
        let unpacked = unpack(layer, into.as_fd(), &options, &mut |_| {});
        assert_eq!(self.beside(), self.before, "something beside was changed");
        assert_eq!(fs::read(self.canary().join("file")).expect("read"), WORDS);
        assert_eq!(names(&self.inside()).len(), before + 1);
        match &unpacked {
            Ok(unpacked) => sound(&root, unpacked, &limits),
            Err(error) => crate::is_fit(&error.to_string()),
        }
        unpacked.ok()
    }

    /// Removes what was unpacked.
    pub fn clear(&mut self) {
        for name in names(&self.inside()) {
            remove_tree(self.inside.as_fd(), &name).expect("what was unpacked can be removed");
        }
        assert!(names(&self.inside()).is_empty());
        assert_eq!(self.beside(), self.before, "something beside was changed");
    }
}

impl Default for Ground {
    fn default() -> Self {
        Self::new()
    }
}

/// What holds for every layer that was unpacked.
fn sound(root: &Path, unpacked: &Unpacked, limits: &Limits) {
    assert!(unpacked.entries <= limits.entries);
    assert!(unpacked.bytes <= limits.unpacked.0);
    for owner in &unpacked.owners {
        let path = Path::new(&owner.path);
        let plain = path
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        assert!(plain, "an owner of {path:?}");
    }
    // Who may search everything finds the directories without permissions too.
    let _ = walk(root, unpacked.opaque);
}

fn walk(directory: &Path, opaque: bool) -> std::io::Result<()> {
    attributes(directory, opaque);
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let meta = fs::symlink_metadata(&path)?;
        let mode = meta.mode();
        let kind = mode & libc::S_IFMT;
        assert_ne!(kind, libc::S_IFBLK, "{path:?} is a block device");
        assert!(kind != libc::S_IFCHR || meta.rdev() == 0, "{path:?} is a device");
        assert_eq!(mode & 0o6000, 0, "{path:?} has the mode {mode:o}");
        match kind {
            libc::S_IFDIR => {
                // One without permissions is passed over.
                let _ = walk(&path, true);
            }
            libc::S_IFREG => attributes(&path, false),
            _ => {}
        }
    }
    Ok(())
}

/// No attribute is there that an overlay or the kernel reads, but for the one that an opaque directory has.
fn attributes(path: &Path, opaque: bool) {
    let name = CString::new(path.as_os_str().as_bytes()).expect("a path");
    let mut list = [0u8; 4096];
    // SAFETY: a path that ends with NUL, and a buffer of that length.
    let n = unsafe { libc::llistxattr(name.as_ptr(), list.as_mut_ptr().cast(), list.len()) };
    let list = &list[..usize::try_from(n).unwrap_or(0)];
    for name in list.split(|b| *b == 0).filter(|name| !name.is_empty()) {
        let known = name.starts_with(b"security.selinux") || name.starts_with(b"system.");
        let overlay = [&b"user.overlay."[..], b"user.fuseoverlayfs.", b"user.containers."];
        let own = opaque && name == b"user.overlay.opaque";
        let plain = name.starts_with(b"user.") && !overlay.iter().any(|prefix| name.starts_with(prefix));
        assert!(known || own || plain, "{path:?} has {}", name.escape_ascii());
    }
}

//! The layers of an image as the overlay will show them, looked at before it is mounted.
//!
//! Whoever made the image chose every link in it, so each part of a path is opened by itself and links are followed by hand: they
//! lead nowhere but inside.

use crate::model::Layers;
use crate::sys::fs::{self, Resolve};
use crate::sys::{Errno, Result};
use std::ffi::{CString, OsString};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// As many links as the kernel follows (path_resolution(7)).
const LINKS: usize = 40;
/// What says that nothing of lower layers is seen in a directory, where overlay is mounted with `userxattr`.
const OPAQUE: &std::ffi::CStr = c"user.overlay.opaque";

/// Layers, the topmost first.
///
/// None is kept open: an image may have 500, each directory of which is in all of them, and a process may open 1024 files.
pub(super) struct Merged {
    within: OwnedFd,
    /// Where each lies beneath that.
    layers: Vec<String>,
}

/// What a name is in one layer or in several.
enum Entry {
    /// A directory, with the layers that have a part of it, by their numbers.
    Directory(Vec<usize>),
    /// A symbolic link, with where it leads.
    Link(PathBuf),
    /// Anything else, for `O_PATH` only.
    Other(OwnedFd),
}

/// Where a walk ends.
enum Walk {
    End(Entry),
    /// A link on the way: the path to go on with.
    Again(PathBuf),
}

impl Merged {
    /// # Errors
    /// When a layer cannot be opened.
    pub(super) fn open(layers: &Layers) -> Result<Self> {
        let path = CString::new(layers.within.as_path().as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
        let merged = Self {
            within: fs::open(&path, libc::O_PATH | libc::O_DIRECTORY)?,
            layers: match layers.names.as_slice() {
                [] => vec![".".to_owned()],
                names => names.to_vec(),
            },
        };
        for layer in &merged.layers {
            merged.beneath(layer.as_bytes(), libc::O_DIRECTORY)?;
        }
        Ok(merged)
    }

    fn beneath(&self, path: &[u8], how: libc::c_int) -> Result<OwnedFd> {
        let path = CString::new(path).map_err(|_| Errno::EINVAL)?;
        let flags = how | libc::O_PATH | libc::O_NOFOLLOW;
        fs::open_beneath(self.within.as_fd(), &path, flags, 0, Resolve::BENEATH_NO_LINKS)
    }

    /// Whether a directory is there, and no link on the way to it.
    pub(super) fn is_real_directory(&self, path: &Path) -> bool {
        matches!(self.walk(path), Ok(Walk::End(Entry::Directory(_))))
    }

    /// Opens a file for reading; links lead nowhere but inside.
    ///
    /// # Errors
    /// `ENOENT`; `ELOOP` after too many links; `EISDIR`; what openat(2) answers.
    pub(super) fn read(&self, path: &Path) -> Result<File> {
        let mut path = path.to_owned();
        for _ in 0..=LINKS {
            match self.walk(&path)? {
                Walk::Again(next) => path = next,
                Walk::End(Entry::Link(_)) => return Err(Errno::ELOOP),
                Walk::End(Entry::Directory(_)) => return Err(Errno::EISDIR),
                Walk::End(Entry::Other(file)) => {
                    let meta = File::from(file.try_clone().map_err(|_| Errno::EMFILE)?).metadata();
                    // Nothing but a regular file is opened: opening a FIFO waits, opening a device may do anything.
                    if !meta.is_ok_and(|meta| meta.is_file()) {
                        return Err(Errno::EINVAL);
                    }
                    let again = format!("/proc/self/fd/{}", file.as_raw_fd());
                    let again = CString::new(again).map_err(|_| Errno::EINVAL)?;
                    return fs::open(&again, libc::O_RDONLY | libc::O_NONBLOCK).map(File::from);
                }
            }
        }
        Err(Errno::ELOOP)
    }

    /// Part by part, as the kernel goes: `..` goes up from where a link has led, and nothing but a directory has parts behind it.
    fn walk(&self, path: &Path) -> Result<Walk> {
        let parts: Vec<&[u8]> = path.as_os_str().as_bytes().split(|b| *b == b'/').collect();
        let mut names = Vec::new();
        // Which layers have a part of where the names lead, and of what stands above.
        let mut having: Vec<Vec<usize>> = vec![(0..self.layers.len()).collect()];
        for (at, part) in parts.iter().enumerate() {
            match *part {
                b"" | b"." => {}
                b".." => {
                    if names.pop().is_some() {
                        having.pop();
                    }
                }
                name => match self.entry(having.last().map_or(&[], Vec::as_slice), &names, name)? {
                    Entry::Directory(next) => {
                        having.push(next);
                        names.push(name);
                    }
                    Entry::Link(target) => {
                        let rest = parts.get(at + 1..).unwrap_or_default();
                        return Ok(Walk::Again(joined(&names, &target, rest)));
                    }
                    other if at + 1 == parts.len() => return Ok(Walk::End(other)),
                    Entry::Other(_) => return Err(Errno::ENOTDIR),
                },
            }
        }
        Ok(Walk::End(Entry::Directory(having.pop().unwrap_or_default())))
    }

    /// What a name is in a directory that these layers have, each without a link on the way to it.
    fn entry(&self, layers: &[usize], directory: &[&[u8]], name: &[u8]) -> Result<Entry> {
        let mut found = Vec::new();
        for number in layers {
            let layer = self.layers.get(*number).ok_or(Errno::EBADF)?.as_bytes();
            let path: Vec<&[u8]> = [layer]
                .into_iter()
                .chain(directory.iter().copied())
                .chain([name])
                .collect();
            let file = match self.beneath(&path.join(&b'/'), 0) {
                Err(Errno::ENOENT) => continue,
                other => File::from(other?),
            };
            let meta = file.metadata().map_err(|_| Errno::EIO)?;
            let kind = meta.file_type();
            if kind.is_dir() {
                found.push(*number);
                let itself = format!("/proc/self/fd/{}", file.as_raw_fd());
                if fs::path_has_attribute(Path::new(&itself), OPAQUE)? {
                    break;
                }
            } else if !found.is_empty() || (kind.is_char_device() && meta.rdev() == 0) {
                break;
            } else if kind.is_symlink() {
                return Ok(Entry::Link(target(&file)?));
            } else {
                return Ok(Entry::Other(file.into()));
            }
        }
        match found.is_empty() {
            true => Err(Errno::ENOENT),
            false => Ok(Entry::Directory(found)),
        }
    }
}

/// Where a link leads that lies in a directory, with what is left of the path behind it.
fn joined(directory: &[&[u8]], target: &Path, rest: &[&[u8]]) -> PathBuf {
    let target = target.as_os_str().as_bytes();
    let before = if target.starts_with(b"/") {
        &[][..]
    } else {
        directory
    };
    let mut path = Vec::new();
    for part in before.iter().chain([&target]).chain(rest) {
        path.push(b'/');
        path.extend_from_slice(part);
    }
    PathBuf::from(OsString::from_vec(path))
}

fn target(link: &File) -> Result<PathBuf> {
    nix::fcntl::readlinkat(link.as_fd(), c"").map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::HostPath;
    use std::fs as host;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    fn layers(dir: &Path, names: &[&str]) -> Merged {
        let layers = Layers {
            within: HostPath::new(dir).expect("a path"),
            names: names.iter().map(|n| (*n).to_owned()).collect(),
        };
        Merged::open(&layers).expect("layers")
    }

    fn text(merged: &Merged, path: &str) -> Result<String> {
        let mut text = String::new();
        let mut file = merged.read(Path::new(path))?;
        file.read_to_string(&mut text).expect("text");
        Ok(text)
    }

    #[test]
    fn the_topmost_wins_and_links_stay_inside() {
        let dir = tempfile::tempdir().expect("a directory");
        for path in ["top/etc", "low/etc", "low/usr/lib", "low/var"] {
            host::create_dir_all(dir.path().join(path)).expect("mkdir");
        }
        let write = |path: &str| host::write(dir.path().join(path), path).expect("write");
        for path in [
            "top/etc/passwd",
            "low/etc/passwd",
            "low/etc/group",
            "low/usr/lib/x",
        ] {
            write(path);
        }
        symlink("/etc/group", dir.path().join("low/var/absolute")).expect("link");
        symlink("../../../../etc/passwd", dir.path().join("low/var/up")).expect("link");
        symlink("usr/lib", dir.path().join("low/lib")).expect("link");
        symlink("round", dir.path().join("low/round")).expect("link");
        let merged = layers(dir.path(), &["top", "low"]);
        for (path, expected) in [
            ("/etc/passwd", Ok("top/etc/passwd")),
            ("/etc/group", Ok("low/etc/group")),
            ("/var/absolute", Ok("low/etc/group")),
            ("/var/up", Ok("top/etc/passwd")),
            ("/lib/x", Ok("low/usr/lib/x")),
            ("/etc/shadow", Err(Errno::ENOENT)),
            ("/etc", Err(Errno::EISDIR)),
            ("/etc/passwd/x", Err(Errno::ENOTDIR)),
            ("/round", Err(Errno::ELOOP)),
        ] {
            assert_eq!(text(&merged, path), expected.map(str::to_owned), "{path}");
        }
        assert!(merged.is_real_directory(Path::new("/usr/lib")));
        assert!(!merged.is_real_directory(Path::new("/lib")));
        assert!(!merged.is_real_directory(Path::new("/etc/passwd")));
    }

    /// One layer is a directory, and there the kernel itself says what is right.
    #[test]
    fn links_lead_where_the_kernel_goes() {
        let dir = tempfile::tempdir().expect("a directory");
        for path in ["etc", "d/e"] {
            host::create_dir_all(dir.path().join(path)).expect("mkdir");
        }
        for path in ["p", "etc/p", "d/p", "d/e/p"] {
            host::write(dir.path().join(path), path).expect("write");
        }
        let links = [
            ("etc/l", "../d/e"),
            ("etc/up", "l/../p"),
            ("etc/file-up", "p/../p"),
            ("etc/slash", "p/"),
            ("etc/dot", "p/."),
            ("etc/slashes", "//d//./e/p"),
            ("etc/above", "../../../../p"),
            ("etc/absolute", "/d/e/../p"),
            ("etc/through", "up"),
            ("etc/directory", "l/"),
            ("chain0", "p"),
        ];
        for (link, target) in links {
            symlink(target, dir.path().join(link)).expect("link");
        }
        for n in 1..42 {
            symlink(format!("chain{}", n - 1), dir.path().join(format!("chain{n}"))).expect("link");
        }
        let merged = layers(dir.path(), &[]);
        let root = File::open(dir.path()).expect("open");
        let chains = (0..42).map(|n| format!("chain{n}"));
        let all = links.iter().map(|(link, _)| (*link).to_owned()).chain(chains);
        for path in all.chain(["etc/l/../p", "etc/p/", "etc/p/..", ".."].map(str::to_owned)) {
            let name = CString::new(path.as_str()).expect("text");
            let opened = fs::open_beneath(root.as_fd(), &name, libc::O_RDONLY, 0, Resolve::IN_ROOT);
            let expected = opened.map(File::from).and_then(|mut file| {
                let mut text = String::new();
                let read = file.read_to_string(&mut text);
                read.map_err(|_| Errno::EISDIR).map(|_| text)
            });
            assert_eq!(text(&merged, &format!("/{path}")), expected, "{path}");
        }
    }

    #[test]
    fn as_many_layers_as_overlay_takes_need_few_descriptors() {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
        // The usual limit, whatever this machine's is.
        setrlimit(Resource::RLIMIT_NOFILE, soft.min(1024), hard).expect("a limit");
        let dir = tempfile::tempdir().expect("a directory");
        let names: Vec<String> = (0..500).map(|n| n.to_string()).collect();
        for name in &names {
            host::create_dir_all(dir.path().join(name).join("etc/apt")).expect("mkdir");
        }
        symlink("../etc/apt/../apt/x", dir.path().join("7/etc/link")).expect("link");
        host::write(dir.path().join("499/etc/apt/x"), "lowest").expect("write");
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let merged = layers(dir.path(), &names);
        assert_eq!(text(&merged, "/etc/link"), Ok("lowest".to_owned()));
        assert!(merged.is_real_directory(Path::new("/etc/apt")));
    }

    #[test]
    fn what_is_whited_out_is_gone() {
        let dir = tempfile::tempdir().expect("a directory");
        for path in ["top/etc", "low/etc", "top/opt", "low/opt"] {
            host::create_dir_all(dir.path().join(path)).expect("mkdir");
        }
        for path in ["low/etc/passwd", "low/opt/x"] {
            host::write(dir.path().join(path), path).expect("write");
        }
        let white = dir.path().join("top/etc/passwd");
        nix::sys::stat::mknod(
            &white,
            nix::sys::stat::SFlag::S_IFCHR,
            nix::sys::stat::Mode::empty(),
            0,
        )
        .expect("everybody may make a whiteout");
        let set = "import os, sys; os.setxattr(sys.argv[1], 'user.overlay.opaque', b'y')";
        #[allow(clippy::disallowed_methods, reason = "a test may start what it likes")]
        let mut python = std::process::Command::new("python3");
        let set = python.args(["-c", set]).arg(dir.path().join("top/opt")).status();
        assert!(set.expect("python3").success());
        let merged = layers(dir.path(), &["top", "low"]);
        assert_eq!(text(&merged, "/etc/passwd"), Err(Errno::ENOENT));
        assert_eq!(text(&merged, "/opt/x"), Err(Errno::ENOENT));
    }
}

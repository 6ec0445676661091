//! The disk that a path lies on, by the numbers that io.max of a cgroup takes.

use super::files;
use super::mountinfo::mounts;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// `8:0`: the whole disk that this path names, or that its file system lies on.
///
/// # Errors
/// When it lies on none that can be seen: a network file system, memory, an overlay.
pub(super) fn of(path: &Path) -> Result<String, String> {
    let meta = fs::metadata(path).map_err(|e| e.to_string())?;
    if meta.file_type().is_block_device() {
        return Ok(whole(meta.rdev()));
    }
    // File systems over several devices (btrfs) have numbers of their own, which no disk has.
    if libc::major(meta.dev()) != 0 {
        return Ok(whole(meta.dev()));
    }
    let real = fs::canonicalize(path).map_err(|e| e.to_string())?;
    let source = source(&files::text(Path::new("/proc/self/mountinfo")), &real);
    let device = source.as_deref().filter(|s| s.starts_with("/dev"));
    let device = device
        .and_then(|d| fs::metadata(d).ok())
        .filter(|d| d.file_type().is_block_device());
    device.map(|d| whole(d.rdev())).ok_or_else(|| {
        let source = source.map(|s| s.display().to_string().escape_debug().to_string());
        let source = source.unwrap_or_else(|| "its file system".into());
        format!("{source} is no disk of this host")
    })
}

/// What is mounted where this path lies: the last of those that lie deepest hides the others.
fn source(mountinfo: &str, real: &Path) -> Option<PathBuf> {
    let above = mounts(mountinfo).filter(|m| real.starts_with(&m.point));
    let found = above.max_by_key(|m| Path::new(&m.point).components().count());
    found.map(|m| m.source.into())
}

/// A part of a disk has no rates of its own: the kernel answers ENODEV (blkg_conf_open_bdev).
fn whole(device: u64) -> String {
    let own = format!("{}:{}", libc::major(device), libc::minor(device));
    let at = Path::new("/sys/dev/block").join(&own);
    if !at.join("partition").exists() {
        return own;
    }
    // The link leads into the disk's own directory.
    let disk = fs::canonicalize(&at).ok();
    let disk = disk.and_then(|at| Some(files::text(&at.parent()?.join("dev"))));
    disk.map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .unwrap_or(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_mount_is_the_one_that_holds_a_path() {
        let all = "1 0 0:1 / / rw - btrfs /dev/vda rw\n2 1 0:2 / /srv rw - nfs host:/x rw\n3 1 0:3 / /srv/a\\040b rw - btrfs /dev/vdb rw\n4 1 0:4 / /srv rw - nfs host:/y rw\n";
        for (path, expected) in [
            ("/etc", "/dev/vda"),
            ("/srv/x", "host:/y"),
            ("/srv/a b/c", "/dev/vdb"),
            ("/srvx", "/dev/vda"),
        ] {
            assert_eq!(source(all, Path::new(path)), Some(expected.into()), "{path}");
        }
        assert_eq!(source("", Path::new("/x")), None);
    }

    #[test]
    fn what_lies_on_no_disk_is_said() {
        let said = of(Path::new("/proc/self")).expect_err("no disk");
        assert!(said.contains("is no disk of this host"), "{said}");
        assert!(of(Path::new("/no/such")).is_err());
    }

    #[test]
    fn a_part_belongs_to_its_disk() {
        let parts = fs::read_dir("/sys/dev/block").into_iter().flatten().flatten();
        for part in parts.filter(|p| p.path().join("partition").exists()) {
            let name = part.file_name();
            let (major, minor) = name.to_str().and_then(|n| n.split_once(':')).expect("numbers");
            let device = libc::makedev(major.parse().expect("a number"), minor.parse().expect("a number"));
            let disk = whole(device);
            assert_ne!(Some(disk.as_str()), name.to_str());
            assert!(
                !Path::new("/sys/dev/block").join(&disk).join("partition").exists(),
                "{disk}"
            );
        }
    }
}

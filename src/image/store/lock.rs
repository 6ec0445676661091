//! Locks between processes: flock(2) on files in `locks/`, so that a lock dies with whoever holds it.
//! Who holds one alone may remove its file.

use super::error::Error;
use super::root::Root;
pub(super) use crate::image::lock::Holders;
pub use crate::image::lock::{Lock, Wait};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Takes a lock; `None` when another process holds it and it is not to be waited for.
pub(super) fn take(root: &Root, name: &str, how: Holders, wait: Wait<'_>) -> Result<Option<Lock>, Error> {
    let name = format!("locks/{name}");
    let failed = |e| Error::io("lock", &root.path(&name), e);
    Lock::named(|| root.create(&name), how, wait, failed)
}

/// Locks an open file; `path` is for the message.
pub(super) fn hold(
    file: File,
    how: Holders,
    wait: &mut Wait<'_>,
    path: &Path,
) -> Result<Option<Lock>, Error> {
    Lock::on(file, how, wait).map_err(|e| Error::io("lock", path, e))
}

/// Which processes have taken a lock that is shared, as /proc/locks tells; none where it cannot be known. Those that have only inherited
/// it are not told.
pub(super) fn holders(root: &Root, name: &str) -> Result<Vec<u32>, Error> {
    let Some(stat) = root.status(&format!("locks/{name}"))? else {
        return Ok(Vec::new());
    };
    // Kernel memory: short, and always text. Hidden in some containers, which is no failure. With room for more than the page that one
    // read(2) gives: between two, locks come and go, and a line may be told twice.
    let mut table = String::with_capacity(16 << 10);
    let _ = File::open("/proc/locks").and_then(|mut file| file.read_to_string(&mut table));
    let of_lock = |line| holder(line, stat.st_dev, stat.st_ino);
    let holders: BTreeSet<u32> = table.lines().filter_map(of_lock).collect();
    Ok(holders.into_iter().collect())
}

/// `1: FLOCK  ADVISORY  READ 1234 fd:00:5678 0 EOF`; those that wait have `->` behind the number.
fn holder(line: &str, dev: libc::dev_t, inode: libc::ino_t) -> Option<u32> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [_, "FLOCK", _, "READ", pid, file, ..] = *words.as_slice() else {
        return None;
    };
    let wanted = format!("{:02x}:{:02x}:{inode}", libc::major(dev), libc::minor(dev));
    // A process of another pid namespace is 0, or -1.
    (file == wanted)
        .then(|| pid.parse().ok())
        .flatten()
        .filter(|pid| *pid > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_locks_names_who_holds() {
        let dev = libc::makedev(0xfd, 1);
        for (line, expected) in [
            ("1: FLOCK  ADVISORY  READ 1234 fd:01:5678 0 EOF", Some(1234)),
            ("1: FLOCK  ADVISORY  READ 0 fd:01:5678 0 EOF", None),
            ("1: -> FLOCK  ADVISORY  READ 1234 fd:01:5678 0 EOF", None),
            ("1: FLOCK  ADVISORY  WRITE 1234 fd:01:5678 0 EOF", None),
            ("1: POSIX  ADVISORY  READ 1234 fd:01:5678 0 EOF", None),
            ("1: FLOCK  ADVISORY  READ 1234 fd:01:567 0 EOF", None),
            ("1: FLOCK  ADVISORY  READ 1234 fd:02:5678 0 EOF", None),
            ("", None),
        ] {
            assert_eq!(holder(line, dev, 5678), expected, "{line}");
        }
    }
}

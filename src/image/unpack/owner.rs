//! Owners that a layer names, and why they cannot be given.

use super::error::Result;
use super::error::{Error, refused, shown, system};
use crate::sys::Errno;

/// An id that a layer names, which must be one.
pub(super) fn id(name: &[u8], kind: &'static str, id: u64, mapped: bool) -> Result<u32> {
    match u32::try_from(id) {
        // The last one means `as it is` to chown(2).
        Ok(id) if id != u32::MAX => Ok(id),
        _ if mapped => Err(unmapped(name, kind, id)),
        _ => Err(refused(
            name,
            format!("its {kind} is {id}: 4294967294 is the largest"),
        )),
    }
}

/// Why an owner could not be set: chown(2) says EINVAL to an id that the map does not have.
pub(super) fn not_owned(path: &[u8], uid: u32, gid: u32, errno: Errno) -> Error {
    if errno != Errno::EINVAL {
        return system(path, "given its owner")(errno);
    }
    let has = |(first, count): &(u64, u64)| (*first..first.saturating_add(*count)).contains(&u64::from(uid));
    if map("uid").iter().any(has) {
        unmapped(path, "gid", gid.into())
    } else {
        unmapped(path, "uid", uid.into())
    }
}

fn unmapped(path: &[u8], kind: &'static str, id: u64) -> Error {
    let map = match map(kind).iter().map(|(_, count)| count).sum() {
        0u64 => "which the map does not have".to_owned(),
        count => format!("the map has {count}"),
    };
    Error::Unmapped {
        name: shown(path),
        kind,
        id,
        map,
    }
}

/// The ids that this process can give away: first and count. Nothing where there is no `/proc`.
fn map(kind: &str) -> Vec<(u64, u64)> {
    ranges(&std::fs::read_to_string(format!("/proc/self/{kind}_map")).unwrap_or_default())
}

fn ranges(text: &str) -> Vec<(u64, u64)> {
    let line = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        Some((fields.next()?.parse().ok()?, fields.nth(1)?.parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_read() {
        let text = "         0       1000          1\n         1     100000      65536\n";
        assert_eq!(ranges(text), [(0, 1), (1, 65536)]);
        assert_eq!(ranges(""), []);
    }

    #[test]
    fn ids_end_before_the_last() {
        assert_eq!(id(b"x", "uid", 0xffff_fffe, false).expect("an id"), 0xffff_fffe);
        for n in [0xffff_ffff, 1 << 32, u64::MAX] {
            assert!(
                id(b"x", "uid", n, false).is_err() && id(b"x", "uid", n, true).is_err(),
                "{n}"
            );
        }
    }
}

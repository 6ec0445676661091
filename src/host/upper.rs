//! Which file systems can hold the upper layer of an overlay.

use crate::model::host::Fact;
use nix::sys::statfs::statfs;
use std::path::Path;

/// Those that the kernel refuses: names may change behind its back, or there are no attributes. `statfs(2)`.
const REFUSED: [(i64, &str); 12] = [
    (0x6969, "nfs"),
    (0x517b, "smb"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0x6573_5546, "fuse"),
    (0x794c_7630, "overlay"),
    (0x0102_1997, "9p"),
    (0x4d44, "vfat"),
    (0x2011_bab0, "exfat"),
    (0x00c3_6400, "ceph"),
    (0x5346_414f, "afs"),
    (0xf15f, "ecryptfs"),
];

/// Whether a directory's file system can; what else it may lack is told by the kernel when it is mounted.
#[must_use]
pub fn takes_upper_layers(directory: &Path) -> Fact<String> {
    // Of a place that is not there yet, what is above it tells.
    let found = directory.ancestors().find_map(|at| statfs(at).ok());
    let name = found.and_then(|fs| name(fs.filesystem_type().0));
    name.map_or(Fact::Works, |name| Fact::Missing(format!("it is on {name}")))
}

fn name(kind: i64) -> Option<&'static str> {
    // The field is signed on some machines.
    let kind = kind & 0xffff_ffff;
    REFUSED
        .iter()
        .find(|(number, _)| *number == kind)
        .map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_its_number() {
        for (kind, expected) in [
            (0xef53, None),
            (0x6969, Some("nfs")),
            (0x794c_7630, Some("overlay")),
            (i64::from(0xff53_4d42_u32.cast_signed()), Some("cifs")),
        ] {
            assert_eq!(name(kind), expected, "{kind:#x}");
        }
        assert!(matches!(
            takes_upper_layers(Path::new("/proc/no/such")),
            Fact::Works
        ));
    }
}

//! A copy where the file system can share blocks between files.

use super::shop::Shop;
use crate::util::image::Image;
use crate::util::tar::Entry;
use crate::util::{Out, is_root, skip};
use std::process::{Command, Stdio};

/// Mebibytes that no compression makes smaller.
const SIZE: u32 = 48;

/// Makes the file system, moves the store there, and says how many blocks of 4 KiB are free: before, and inside a run whose root is a copy.
const SCRIPT: &str = r#"set -e
cd "$0"
truncate -s 512M disk
"$1" -q disk >/dev/null
mkdir mnt
mount -o loop disk mnt
trap 'umount -l mnt' EXIT
shift
export XDG_DATA_HOME="$0/mnt"
chmod 755 mnt
"$1" run --quiet "$2" true
sync
stat -f -c '%f' mnt
python3 refuse.py 1 "$1" run --quiet --without-overlay copy "$2" sh -c 'stat -f -c %f /; stat -c %s /big'
"#;

#[test]
fn a_copy_shares_blocks_where_the_file_system_can() {
    if !is_root() {
        return skip("root", "a file system is mounted");
    }
    let programs = [
        "/usr/sbin/mkfs.xfs",
        "/sbin/mkfs.xfs",
        "/usr/sbin/mkfs.btrfs",
        "/sbin/mkfs.btrfs",
    ];
    let make = std::env::var("SBX_TEST_MKFS").ok();
    let found = programs.iter().find(|path| std::path::Path::new(path).exists());
    let Some(make) = make.as_deref().or(found.copied()) else {
        return skip("reflink", "neither mkfs.xfs nor mkfs.btrfs");
    };
    let mut state = 1_u32;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()
    };
    let big: Vec<u8> = (0..SIZE << 18).flat_map(|_| noise()).collect();
    let Some(image) = Image::busybox() else { return };
    let image = image.layer([Entry::file("big", big)]);
    let Some(shop) = Shop::with(None, "copy", image) else {
        return;
    };
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-c", SCRIPT])
        .arg(shop.dir.path())
        .arg(make)
        .arg(crate::util::binary())
        .arg(format!("oci:{}:it", shop.dir.path().join("oci").display()))
        .env("HOME", shop.dir.path().join("home"))
        .stdin(Stdio::null());
    let out: Out = command.output().expect("unshare").into();
    if out.stderr().contains("failed to setup loop device") || out.stderr().contains("unknown filesystem") {
        return skip("reflink", &out.stderr());
    }
    let text = out.ok();
    let numbers: Vec<u64> = text.lines().map(|line| line.parse().expect("a number")).collect();
    let &[before, inside, size] = numbers.as_slice() else {
        panic!("three numbers: {text}");
    };
    assert_eq!(size, u64::from(SIZE) << 20);
    // Busybox and directories at most; without it the whole of it.
    let taken = before.saturating_sub(inside) * 4096;
    assert!(taken < size / 4, "{taken} bytes are taken by a copy of {size}");
}

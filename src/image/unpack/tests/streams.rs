//! What the layer is packed in, and how much of it is read.

use super::archive::{Tar, gzip, head, zstd};
use super::{Room, said};
use crate::image::descriptor::Compression;
use crate::image::limits::Limits;
use crate::image::owner::Ownership;
use crate::image::unpack::{Options, Unpacked, unpack};
use crate::model::{Bytes, Digest};
use std::io::{self, Read};
use std::os::fd::AsFd;

fn layer() -> Vec<u8> {
    Tar::default().file("a", b"a").file("b", &[7; 300_000]).end()
}

fn packed(bytes: &[u8], compression: Compression, limits: &Limits) -> Result<Unpacked, String> {
    let options = Options {
        compression,
        ownership: Ownership::Single,
        limits,
    };
    Room::new().packed(bytes, &options).map_err(|error| said(&error))
}

/// How bytes are packed.
type Pack = fn(&[u8]) -> Vec<u8>;

fn packings() -> [(Compression, Pack); 3] {
    [
        (Compression::None, <[u8]>::to_vec),
        (Compression::Gzip, gzip),
        (Compression::Zstd, zstd),
    ]
}

#[test]
fn the_digest_is_that_of_the_whole_stream() {
    let behind = [layer(), vec![0; 9000], b"not zeros".to_vec()].concat();
    let none: &[u8] = &Tar::default().file("a", b"").0;
    for bytes in [&layer()[..], &behind, none, &[], &[0; 512], &[0; 10240]] {
        for (compression, pack) in packings() {
            let unpacked = packed(&pack(bytes), compression, &Limits::default()).expect("a layer");
            assert_eq!(
                unpacked.diff_id,
                Digest::of(bytes),
                "{compression:?} {}",
                bytes.len()
            );
        }
    }
}

#[test]
fn several_members_and_frames_are_one_stream() {
    let bytes = layer();
    for (compression, pack) in packings() {
        for cut in [1, 511, 512, 1000, 150_000] {
            let parts = [pack(&bytes[..cut]), pack(&[]), pack(&bytes[cut..])].concat();
            let unpacked = packed(&parts, compression, &Limits::default()).expect("a layer");
            assert_eq!(unpacked.diff_id, Digest::of(&bytes), "{compression:?} {cut}");
        }
    }
}

#[test]
fn frames_that_are_to_be_skipped_are() {
    // As zstd:chunked writes them behind a layer.
    let frame = [&b"\x50\x2a\x4d\x18\x03\0\0\0"[..], b"toc"].concat();
    let bytes = [frame.clone(), zstd(&layer()), frame].concat();
    let unpacked = packed(&bytes, Compression::Zstd, &Limits::default()).expect("a layer");
    assert_eq!(unpacked.diff_id, Digest::of(&layer()));
}

#[test]
fn damage_and_what_follows_are_refused() {
    for (compression, pack) in &packings()[1..] {
        let whole = pack(&layer());
        for behind in [
            &b"x"[..],
            b"\0x",
            &[[0; 99_999], [1; 99_999]].concat(),
            &[&[0][..], &whole].concat(),
            b"\x1f",
            b"\x1f\x8b",
            b"\x28\xb5",
            b"\x28\xb5\x2f\xfd",
            b"\x50\x2a\x4d",
        ] {
            let bytes = [&whole[..], behind].concat();
            let why = packed(&bytes, *compression, &Limits::default()).expect_err("refused");
            assert!(
                why.contains("followed by something else"),
                "{compression:?} {behind:?}: {why}"
            );
        }
        for length in [0, 1, 5, whole.len() / 2, whole.len() - 1] {
            let why = packed(&whole[..length], *compression, &Limits::default()).expect_err("refused");
            assert!(why.contains("ends early"), "{compression:?} {length}: {why}");
        }
        let mut damaged = whole.clone();
        let last = damaged.len() - 6;
        damaged[last] ^= 1;
        assert!(
            packed(&damaged, *compression, &Limits::default()).is_err(),
            "{compression:?}"
        );
        assert!(
            packed(&layer(), *compression, &Limits::default()).is_err(),
            "{compression:?} of a tar"
        );
    }
}

#[test]
fn zeros_behind_a_gzip_member_are_ignored() {
    let bytes = layer();
    for padding in [1, 7, 600, 200_000] {
        let parts = [gzip(&bytes[..1000]), gzip(&bytes[1000..]), vec![0; padding]].concat();
        let unpacked = packed(&parts, Compression::Gzip, &Limits::default()).expect("a layer");
        assert_eq!(unpacked.diff_id, Digest::of(&bytes), "{padding}");
        // zstd(1) refuses them.
        let parts = [zstd(&bytes), vec![0; padding]].concat();
        let why = packed(&parts, Compression::Zstd, &Limits::default()).expect_err("refused");
        assert!(why.contains("followed by something else"), "{padding}: {why}");
    }
}

#[test]
fn an_archive_that_ends_early_is_refused() {
    let bytes = layer();
    for length in [1, 511, 512, 514, 1000, 1535, 1537, 2048, 100_000, 300_000] {
        let why = packed(&bytes[..length], Compression::None, &Limits::default()).expect_err("refused");
        assert!(why.contains("ends in the middle"), "{length}: {why}");
    }
}

#[test]
fn an_archive_may_end_behind_its_last_file() {
    // With the blocks that end it, without, and without what fills up the last one, as umoci insert writes it.
    for length in [513, 1024] {
        packed(&layer()[..length], Compression::None, &Limits::default()).expect("a layer of one file");
    }
}

#[test]
fn what_is_no_tar_is_refused() {
    let mut damaged = layer();
    damaged[0] ^= 1;
    let single = [Tar::default().file("a", b"").0, vec![0; 512], layer()].concat();
    for (bytes, words) in [
        (damaged, "checksum"),
        (vec![b'x'; 2000], "is no number"),
        (single, "a single block of zeros"),
    ] {
        let why = packed(&bytes, Compression::None, &Limits::default()).expect_err("refused");
        assert!(why.contains(words), "{why}");
    }
}

#[test]
fn limits_hold_while_unpacking() {
    let small = Limits {
        packed: Bytes(1000),
        ..Limits::default()
    };
    let why = packed(&layer(), Compression::None, &small).expect_err("refused");
    assert_eq!(
        why,
        "the layer has too many packed bytes: the limit is 1000 (see --image-limit)"
    );
    let small = Limits {
        unpacked: Bytes(1 << 18),
        ..Limits::default()
    };
    for (compression, pack) in packings() {
        // Behind the end of the archive too.
        let bytes = pack(&[Tar::default().file("a", b"").end(), vec![0; 1 << 19]].concat());
        let why = packed(&bytes, compression, &small).expect_err("refused");
        assert_eq!(
            why, "the layer has too many bytes when unpacked: the limit is 256K (see --image-limit)",
            "{compression:?}"
        );
    }
    let mut zeros = head(b'0', "zeros");
    zeros.size = 96 << 20;
    let bomb = Tar::default().raw(&zeros, &vec![0; 96 << 20]).end();
    for (compression, pack) in &packings()[1..] {
        let bytes = pack(&bomb);
        let why = packed(&bytes, *compression, &Limits::default()).expect_err("refused");
        assert!(
            why.ends_with("and goes on: the limit is 200 to 1 (see --image-limit)"),
            "{why}"
        );
        let loose = Limits {
            ratio: 100_000,
            ..Limits::default()
        };
        assert!(packed(&bytes, *compression, &loose).is_ok());
    }
}

struct Failing(u64);

impl Read for Failing {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::other("the disk is gone"));
        }
        let bytes = gzip(&[0; 4000]);
        let n = bytes.len().min(into.len()).min(30);
        into[..n].copy_from_slice(&bytes[..n]);
        self.0 -= 1;
        Ok(n)
    }
}

#[test]
fn a_failing_source_is_not_taken_for_damage() {
    for compression in [Compression::None, Compression::Gzip] {
        let room = Room::new();
        let into = std::fs::File::open(room.root()).expect("the directory");
        let options = Options {
            compression,
            ownership: Ownership::Single,
            limits: &Limits::default(),
        };
        let reader = Failing(u64::from(compression == Compression::Gzip));
        let error = unpack(reader, into.as_fd(), &options, &mut |_| {}).expect_err("refused");
        assert_eq!(said(&error), "it cannot be read: the disk is gone");
    }
}

#[test]
fn progress_ends_at_the_packed_size() {
    for (compression, pack) in packings() {
        let room = Room::new();
        let into = std::fs::File::open(room.root()).expect("the directory");
        let options = Options {
            compression,
            ownership: Ownership::Single,
            limits: &Limits::default(),
        };
        let bytes = pack(&layer());
        let mut heard = Vec::new();
        unpack(&bytes[..], into.as_fd(), &options, &mut |n| heard.push(n)).expect("a layer");
        assert!(
            heard.is_sorted() && heard.last() == Some(&(bytes.len() as u64)),
            "{compression:?} {heard:?}"
        );
    }
}

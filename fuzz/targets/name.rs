//! The name of one entry, beside a few lines that say what it may do.
#![no_main]

use sbx::image::descriptor::Compression;
use sbx_fuzz::ground::Ground;
use sbx_fuzz::script::archive;
use std::cell::RefCell;

thread_local!(static GROUND: RefCell<Ground> = RefCell::new(Ground::new()));

/// Whether a name may be one, without what is long or deep.
fn may_be(name: &[u8]) -> bool {
    let parts: Vec<&[u8]> = name
        .split(|b| *b == b'/')
        .filter(|part| !matches!(*part, b"" | b"."))
        .collect();
    let (last, before) = match parts.split_last() {
        Some((last, before)) => (*last, before),
        None => (&b""[..], &[][..]),
    };
    if name.contains(&0) || parts.contains(&&b".."[..]) {
        return false;
    }
    // aufs's own is passed over with all that lies in it; in a whiteout lies nothing.
    let special = before.iter().find(|part| part.starts_with(b".wh."));
    if let Some(special) = special {
        return special.starts_with(b".wh..wh.");
    }
    !matches!(last, b".wh." | b".wh.." | b".wh...")
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // In the way of the script's own fields.
    if data.iter().any(|b| matches!(b, b' ' | b'\n' | b';')) || data.is_empty() {
        return;
    }
    // A NUL ends a long name of GNU's.
    let how: &[u8] = if data.contains(&0) { b"p" } else { b"l" };
    let text = [b"5 ", data, b" - 755 ", how].concat();
    let layer = archive(&text, b"");
    let unpacked = GROUND.with_borrow_mut(|ground| ground.unpack(&layer, Compression::None));
    if unpacked.is_some() {
        assert!(may_be(data), "`{}` was taken", data.escape_ascii());
    } else if data.len() < 64 && data.split(|b| *b == b'/').count() < 16 {
        assert!(!may_be(data), "`{}` was refused", data.escape_ascii());
    }
});

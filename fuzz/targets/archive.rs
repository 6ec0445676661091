//! Layers that may be nothing at all: the first byte says how they are packed. What is not packed gets right checksums.
#![no_main]

use sbx::image::descriptor::Compression;
use sbx::model::Digest;
use sbx_fuzz::ground::Ground;
use sbx_fuzz::script::mended;
use std::cell::RefCell;

thread_local!(static GROUND: RefCell<Ground> = RefCell::new(Ground::new()));

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((how, layer)) = data.split_first() else {
        return;
    };
    GROUND.with_borrow_mut(|ground| match how {
        b'g' => {
            ground.unpack(layer, Compression::Gzip);
        }
        b'z' => {
            ground.unpack(layer, Compression::Zstd);
        }
        _ => {
            let layer = mended(layer);
            if let Some(unpacked) = ground.unpack(&layer, Compression::None) {
                assert_eq!(unpacked.diff_id, Digest::of(&layer));
            }
        }
    });
});

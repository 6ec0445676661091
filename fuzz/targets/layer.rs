//! Layers that are well formed and mean harm: see `script`.
#![no_main]

use sbx::image::descriptor::Compression;
use sbx_fuzz::ground::Ground;
use sbx_fuzz::script::archive;
use std::cell::RefCell;
use std::os::unix::ffi::OsStrExt;

thread_local!(static GROUND: RefCell<Ground> = RefCell::new(Ground::new()));

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    GROUND.with_borrow_mut(|ground| {
        let canary = ground.canary();
        ground.unpack(&archive(data, canary.as_os_str().as_bytes()), Compression::None);
    });
});

//! `WWW-Authenticate`, a header a line.
#![no_main]

use sbx::image::registry::{Challenge, challenges};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let found = challenges(text.lines());
    assert!(found.len() <= 16);
    for challenge in found {
        // What is not in the header is not in what is read of it.
        if let Challenge::Bearer { realm, service } = challenge {
            assert!(realm.len() + service.map_or(0, |service| service.len()) <= 2 * text.len());
        }
    }
});

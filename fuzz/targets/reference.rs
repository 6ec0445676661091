//! Names of images, digests, platforms, limits: short texts that come back as they were.
#![no_main]

use sbx::image::descriptor::Platform;
use sbx::image::limits::Limits;
use sbx::image::source::Source;
use sbx::model::{Digest, Reference};
use sbx_fuzz::is_fit;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

fn reference(text: &str) {
    let read = match text.parse::<Reference>() {
        Ok(read) => read,
        Err(error) => return is_fit(&error.to_string()),
    };
    for again in [read.to_string(), read.familiar()] {
        assert_eq!(
            again.parse::<Reference>().as_ref(),
            Ok(&read),
            "{text:?} as {again:?}"
        );
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:/@[]".contains(c);
    assert!(read.to_string().chars().all(plain), "{read}");
    let parts = || read.repository().split('/');
    assert!(parts().all(|part| !matches!(part, "" | "." | "..")), "{read}");
    assert!(!read.registry().contains('/'), "{read}");
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Err(error) = Source::parse(OsStr::from_bytes(data)) {
        is_fit(&error.to_string());
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    reference(text);
    match text.parse::<Digest>() {
        Ok(digest) => {
            assert_eq!(digest.to_string(), text);
            assert_eq!(format!("sha256:{}", digest.hex()), text);
        }
        Err(error) => is_fit(&error.to_string()),
    }
    match text.parse::<Platform>() {
        Ok(platform) => assert_eq!(platform.to_string().parse(), Ok(platform)),
        Err(error) => is_fit(&error.to_string()),
    }
    if let Err(error) = Limits::default().set(text) {
        is_fit(&error.to_string());
    }
});

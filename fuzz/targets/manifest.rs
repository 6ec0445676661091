//! Manifests and indexes, each read as everything that it could be announced as.
#![no_main]

use sbx::image::descriptor::Platform;
use sbx::image::document::{Document, accepted, parse, parse_stored};
use sbx::image::limits::Limits;
use sbx::image::platform::choose;
use sbx_fuzz::is_fit;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let limits = Limits::default();
    let host = Platform::of_machine("x86_64");
    let (mut manifests, mut indexes) = (0, 0);
    for announced in accepted() {
        match parse(data, announced, &limits) {
            Ok(Document::Manifest(manifest)) => {
                manifests += 1;
                assert!(manifest.layers.len() <= 500);
                for layer in &manifest.layers {
                    assert!((1..=limits.packed.0).contains(&layer.descriptor.size));
                }
                assert!((1..=limits.document.0).contains(&manifest.config.size));
            }
            Ok(Document::Index(index)) => {
                indexes += 1;
                match choose(&index.manifests, &host) {
                    Ok(chosen) => assert!(chosen.size <= limits.document.0),
                    Err(none) => is_fit(&none.to_string()),
                }
            }
            Err(error) => is_fit(&error.to_string()),
        }
    }
    assert!(manifests == 0 || indexes == 0, "one document is two things");
    match parse_stored(data, &limits) {
        Ok(_) => assert!(manifests > 0),
        Err(error) => is_fit(&error.to_string()),
    }
});

//! registries.conf, and where some images are had by it.
#![no_main]

use sbx::image::registries::Registries;
use sbx::image::registries::read::read;
use sbx::model::Reference;
use sbx_fuzz::is_fit;
use std::path::Path;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let file = match read(Path::new("/registries.conf"), text) {
        Ok(file) => file,
        Err(fault) => return is_fit(&fault.to_string()),
    };
    let mut registries = Registries::default();
    registries.overlay(file);
    for name in ["debian", "a.example.com/team/app:1", "localhost:5000/x"] {
        let name: Reference = name.parse().expect(name);
        let candidates = match registries.candidates(&name) {
            Ok(candidates) => candidates,
            Err(error) => {
                is_fit(&error.to_string());
                continue;
            }
        };
        for candidate in candidates {
            assert!(!candidate.is_short());
            match registries.endpoints(&candidate) {
                Ok(locations) => {
                    assert!(!locations.is_empty());
                    for location in locations {
                        let plain = |c: char| c.is_ascii_alphanumeric() || "._-:[]".contains(c);
                        assert!(location.host.chars().all(plain), "{location:?}");
                        assert!(!location.host.is_empty() && !location.repository.is_empty());
                    }
                }
                Err(error) => is_fit(&error.to_string()),
            }
        }
    }
});

//! Profiles: a fault is shown, and what is read reads the same when it is written down. As a local profile, it takes away or is refused.
#![no_main]

use sbx::profile::{Library, Source, show};
use sbx::profile::{read::read, tighten::tighten};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let source = Source::new("fuzz", false, text);
    let parsed = match read(&source) {
        Ok(parsed) => parsed,
        Err(error) => {
            let shown = error.to_string();
            let odd = shown.chars().find(|c| c.is_control() && *c != '\n');
            assert!(odd.is_none(), "{odd:?} in {shown:?}");
            return;
        }
    };
    let written = show::toml(&parsed.profile, false);
    let again = match read(&Source::new("again", false, &written)) {
        Ok(again) => again.profile,
        Err(error) => panic!("{written}\n{error}"),
    };
    assert_eq!(show::toml(&again, false), written);
    let library = Library {
        directory: None,
        uid: 0,
    };
    let base = library.load("strict").expect("strict");
    if let Ok(tightened) = tighten(&base, &source) {
        let none = Source::new("none", false, "");
        assert!(tighten(&tightened, &none).is_ok());
    }
});

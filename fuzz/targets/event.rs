//! What is said between `sbx` and its worker, which may be anybody by then: a line is read or it is not.
#![no_main]

use sbx::image::job::{Answer, Event, Job};
use sbx::image::owner::Owner;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;

fn same<T: Serialize + DeserializeOwned + PartialEq + Debug>(line: &[u8]) {
    if let Ok(read) = serde_json::from_slice::<T>(line) {
        let written = serde_json::to_vec(&read).expect("JSON");
        assert!(!written.contains(&b'\n'), "what is one line stays one");
        assert_eq!(serde_json::from_slice::<T>(&written).expect("the same"), read);
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    same::<Event>(data);
    same::<Answer>(data);
    same::<Job>(data);
    same::<Owner>(data);
});

//! Profiles as texts, in and out: what holds for all of them.

mod faults;
mod laws;
mod library;
pub(crate) mod pages;
mod widenings;

use super::read::read;
use super::{Profile, Source};

/// The profile of a text without `extends`.
fn profile(text: &str) -> Profile {
    read(&source(text))
        .unwrap_or_else(|e| panic!("{e}\n{text}"))
        .profile
}

fn source(text: &str) -> Source {
    Source::new("p.toml", false, text)
}

//! What several targets need.

pub mod ground;
pub mod script;

use sbx::policy::{Policy, Request, Root, resolve};
use sbx::profile::Library;

/// A policy for a run of `true` in some root.
#[must_use]
pub fn a_policy(root: Root) -> Policy {
    let library = Library {
        directory: None,
        uid: 0,
    };
    let request = Request::new(root, vec!["true".into()]);
    let profile = library.load("strict").expect("strict");
    resolve(&profile, &request).expect("a policy")
}

/// The bytes behind the first line, and that line: a target's input whose first line says how it is tried.
#[must_use]
pub fn first_line(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|b| *b == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, b""),
    }
}

/// A message is one line that a terminal shows as it is, and not a long one.
pub fn is_fit(message: &str) {
    assert!(message.len() < 4096, "a message of {} bytes", message.len());
    let odd = message.chars().find(|c| c.is_control());
    assert!(odd.is_none(), "a message with {odd:?}: {message:?}");
}

//! docker's grammar of hosts, paths and tags.

use super::DOCKER;
use std::net::Ipv6Addr;

/// The name that docker's configuration still has for its registry.
const LEGACY: &str = "index.docker.io";
const TAG: usize = 128;

/// What stands before the first slash is a host when it looks like one: docker's rule.
pub(super) fn split_host(text: &str) -> (Option<&str>, &str) {
    match text.split_once('/') {
        Some((host, path)) if looks_like_host(host) => (Some(host), path),
        _ => (None, text),
    }
}

fn looks_like_host(text: &str) -> bool {
    text.contains(['.', ':']) || text.eq_ignore_ascii_case("localhost")
}

/// A host, with its port, as it is compared: in lower case (or a rule for `docker.io` would not hold for `Docker.io`), IPv6 addresses in
/// their one short form, docker's old name replaced. `None` when it is none.
#[must_use]
pub fn parse_host(text: &str) -> Option<String> {
    let end = if text.starts_with('[') {
        text.find(']')? + 1
    } else {
        text.find(':').unwrap_or(text.len())
    };
    let (name, port) = text.split_at_checked(end)?;
    if !port.is_empty() && !is_port(port.strip_prefix(':')?) {
        return None;
    }
    if let Some(address) = name.strip_prefix('[') {
        let address: Ipv6Addr = address.strip_suffix(']')?.parse().ok()?;
        return Some(format!("[{address}]{port}"));
    }
    let label = |label: &str| {
        let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        inner && !label.is_empty() && label.len() < 64 && !label.starts_with('-') && !label.ends_with('-')
    };
    if !name.split('.').all(label) {
        return None;
    }
    let name = name.to_ascii_lowercase();
    let name = if name == LEGACY { DOCKER } else { &name };
    Some(format!("{name}{port}"))
}

/// A port has one way to be written, so that two hosts are the same when their texts are.
fn is_port(text: &str) -> bool {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    digits && !text.starts_with('0') && text.parse::<u16>().is_ok()
}

/// Whether a text is a tag (distribution-spec).
#[must_use]
pub fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let inner = text.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'));
    inner && text.len() <= TAG && text.bytes().next().is_some_and(word)
}

/// A part of a path. None begins or ends with a dot, so that `.` and `..` are none.
pub(super) fn is_part(part: &str) -> bool {
    let letter = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9');
    let between = part.split(|c: char| c.is_ascii() && letter(c as u8));
    let separators = between.filter(|s| !s.is_empty());
    let ends = [part.bytes().next(), part.bytes().next_back()];
    ends.into_iter().all(|b| b.is_some_and(letter))
        && separators
            .into_iter()
            .all(|s| matches!(s, "." | "_" | "__") || s.bytes().all(|b| b == b'-'))
}

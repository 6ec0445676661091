//! What goes wrong with a registry, in one line each.

use std::io;

/// How much of a stranger's text is shown.
const SHOWN: usize = 100;

/// Why a registry did not give, or take, what it was asked.
///
/// `what` is always the thing asked for with its host and repository (`docker.io/library/debian:12`, `blob 0123456789ab of …`).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The job itself makes no sense.
    #[error("registry {host}: {why}")]
    Endpoint {
        /// The host as it was given.
        host: String,
        /// What is wrong and what would be right.
        why: String,
    },
    /// A name has no addresses.
    #[error("host {name}: {why}")]
    Resolve {
        /// The name.
        name: String,
        /// Why it has none.
        why: String,
    },
    /// Nobody answered, or nobody whom one may believe.
    #[error("{host} cannot be reached: {why}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// Why.
        why: String,
    },
    /// Whoever answered is not whom one may speak to: a certificate that does not count, mostly.
    #[error("{host}: TLS: {why}")]
    Tls {
        /// Host and port.
        host: String,
        /// Why, and what would be right.
        why: String,
    },
    /// The connection ended before the answer did.
    #[error("{what}: the connection ended: {why}")]
    Cut {
        /// What was asked for.
        what: String,
        /// How it ended.
        why: String,
    },
    /// The answer is slower than anything honest.
    #[error("{what}: {why}")]
    Slow {
        /// What was asked for.
        what: String,
        /// The rule.
        why: String,
    },
    /// The answer is no HTTP, or its headers are beyond what is read.
    #[error("{what}: the answer of {host} makes no sense: {why}")]
    Nonsense {
        /// What was asked for.
        what: String,
        /// Who answered.
        host: String,
        /// What is wrong.
        why: String,
    },
    /// It sends one to where nobody goes for a stranger.
    #[error("{what}: {host} sends to {to}, which is refused: {why}")]
    Redirect {
        /// What was asked for.
        what: String,
        /// Who sent.
        host: String,
        /// Where to.
        to: String,
        /// The rule.
        why: String,
    },
    /// An address that strangers may not send one to.
    #[error("{name} is at {address}, {kind}: a registry elsewhere may not send there")]
    Address {
        /// The host.
        name: String,
        /// Its address.
        address: String,
        /// What kind of address that is.
        kind: &'static str,
    },
    /// Who one is does not suffice, or is not known.
    #[error("{what}: {why}")]
    Denied {
        /// What was asked for.
        what: String,
        /// What is missing.
        why: String,
    },
    /// There is no such thing.
    #[error("{what} is not there{said}")]
    NotFound {
        /// What was asked for.
        what: String,
        /// What the registry says of it.
        said: String,
    },
    /// Another status than was expected.
    #[error("{what}: {host} answers {status}{said}")]
    Status {
        /// What was asked for.
        what: String,
        /// Who answered.
        host: String,
        /// HTTP's number.
        status: u16,
        /// What the registry says of it.
        said: String,
    },
    /// More than is read, or more or less than was announced.
    #[error("{what}: size: {why}")]
    Size {
        /// What was asked for.
        what: String,
        /// How many there are and how many there should be.
        why: String,
    },
    /// The bytes are others than those that were asked for.
    #[error("{what}: digest: the bytes have {found}, not {expected}")]
    Digest {
        /// What was asked for.
        what: String,
        /// What they hash to.
        found: String,
        /// What they should hash to.
        expected: String,
    },
    /// A range that was not asked for.
    #[error("{what}: range: {why}")]
    Range {
        /// What was asked for.
        what: String,
        /// What came and what was asked.
        why: String,
    },
    /// A manifest that is none, or is of a kind that is not read.
    #[error("{what}: {why}")]
    Manifest {
        /// What was asked for.
        what: String,
        /// Why it is none.
        why: String,
    },
    /// Our own side: the file that a blob is written to or read from.
    #[error("{what}: the file: {source}")]
    File {
        /// What was transferred.
        what: String,
        /// Why not.
        source: io::Error,
    },
}

impl Error {
    /// Whether the same may go well a moment later: connections end, servers are busy, packets are lost.
    pub(super) fn passing(&self) -> bool {
        match self {
            Self::Cut { .. } | Self::Slow { .. } => true,
            Self::Status { status, .. } => busy(*status),
            _ => false,
        }
    }
}

/// Statuses that tell to come again.
pub(super) fn busy(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// A stranger's text as it may be printed: escaped, and not too much of it.
pub(super) fn shown(text: &str) -> String {
    let escaped: String = text
        .trim()
        .chars()
        .take(SHOWN + 1)
        .flat_map(char::escape_debug)
        .collect();
    if escaped.chars().count() <= SHOWN {
        return escaped;
    }
    let mut cut: String = escaped.chars().take(SHOWN).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_stranger_reaches_the_terminal_raw() {
        assert_eq!(shown(" plain text "), "plain text");
        assert_eq!(shown("\u{1b}]0;title\u{7}"), "\\u{1b}]0;title\\u{7}");
        assert_eq!(shown("a\r\nb\u{202e}"), "a\\r\\nb\\u{202e}");
        let long = shown(&"\u{1b}".repeat(1000));
        assert!(long.chars().count() <= SHOWN + 1 && long.ends_with('…'), "{long}");
        assert_eq!(shown(&"x".repeat(SHOWN)), "x".repeat(SHOWN));
    }
}

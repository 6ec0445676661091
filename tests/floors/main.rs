//! What the compiler does not check about the sources: which floor may import which, where `unsafe`, printing, threads and
//! allocation may stand, how long a file may grow, and what may not be written anywhere in the project.
//!
//! Every check is a function of texts, so that each is first seen to fail on a sample.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests start git and stop at the first surprise"
)]

mod documents;
mod imports;
mod places;
mod project;
mod source;

/// What is wrong, one line each: file, line and why.
pub(crate) type Findings = Vec<String>;

pub(crate) fn finding(path: &str, text: &str, at: usize, what: &str) -> String {
    let line = text[..at].matches('\n').count() + 1;
    format!("{path}:{line}: {what}")
}

#[track_caller]
pub(crate) fn none(findings: Findings) {
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

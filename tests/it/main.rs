//! The real binary, run as whoever runs these tests: `scripts/test` does it as an ordinary user and as root.
#![allow(
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests start processes, stop at the first surprise, and have no public interface"
)]

mod util;

mod answers;
mod archives;
mod doctor;
mod escape;
mod extremes;
mod fallback;
mod faults;
mod flags;
mod flags_wrong;
mod homes;
mod image;
mod kernel_files;
mod limits;
mod links;
mod planted;
mod portable;
mod programs;
mod pty;
mod readme;
mod reasons;
mod registry;
mod result;
mod signals;
mod started;
mod streams;
mod terminal;
mod tools;
mod unpack;
mod unread;
mod users;
mod verbs;
mod volumes;
mod workspace;

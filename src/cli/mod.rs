//! The command line: clap types, one file a verb, all printing, exit codes.

pub mod out;
pub mod report;

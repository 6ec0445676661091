//! Calls the command line.
#![no_main]

sbx::entry_point!(sbx::cli::start);

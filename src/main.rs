//! Calls the command line and turns its result into an exit code.

use clap::Parser;
use sbx::cli::{Cli, out};
use std::process::ExitCode;

fn main() -> ExitCode {
    match sbx::cli::main(Cli::parse()) {
        Ok(code) => code,
        Err(report) => {
            out::words(&report);
            ExitCode::from(report.exit_code())
        }
    }
}

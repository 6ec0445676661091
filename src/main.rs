//! Calls the command line and turns its result into an exit code.

use clap::Parser;
use sbx::cli::{Cli, Report, out};
use std::process::ExitCode;

fn main() -> ExitCode {
    let report = match Cli::try_parse() {
        Ok(arguments) => match sbx::cli::main(arguments) {
            Ok(code) => return code,
            Err(report) => report,
        },
        // `--help` and `--version` come as errors too.
        Err(error) if !error.use_stderr() => return out::page(&error),
        // Who starts `run` reads 2 as the command's own exit code.
        Err(error) => Report::of_arguments(
            &error,
            std::env::args_os().nth(1).is_some_and(|verb| verb == "run"),
        ),
    };
    out::words(&report);
    ExitCode::from(report.exit_code())
}

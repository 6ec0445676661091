//! The command line: clap types, one file a verb, all printing, exit codes.

pub mod env_file;
pub mod out;
pub mod profiles;
pub mod record;
pub mod report;
pub mod request;
pub mod run;
pub mod run_args;

use clap::{Parser, Subcommand};
use report::Report;
use std::process::ExitCode;

/// Runs a command that nobody trusts, as an ordinary user.
#[derive(Debug, Parser)]
#[command(name = "sbx", version, about, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a command in a sandbox
    Run(run::RunArgs),
}

/// Does what the arguments say.
///
/// # Errors
/// With what the user is to be told.
pub fn main(arguments: Cli) -> Result<ExitCode, Report> {
    match arguments.verb {
        Verb::Run(args) => run::run(&args),
    }
}

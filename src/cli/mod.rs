//! The command line: clap types, one file a verb, all printing, exit codes.
//!
//! | room | what it holds |
//! |---|---|
//! | `sandbox_args` | the flags of `run`, `plan` and `why`, a group a file |
//! | [`request`] | what these three need to be there before there is a plan: an image, a copy of it, volumes |
//! | [`images`] | verbs on images |
//! | `workers` | runs of sbx's own: what reads images, or shows them, and how far it is |
//! | `report`, [`out`], `table`, `time` | what is said, and how it is written |
//!
//! Everything else is a verb, or what one verb alone needs.

pub mod doctor;
mod ending;
pub mod env_file;
mod foreign;
pub mod images;
pub mod man;
pub mod mount_args;
pub mod out;
pub mod plan;
pub mod profile;
pub mod profiles;
pub mod record;
pub mod report;
pub mod request;
pub mod run;
pub mod sandbox_args;
mod store;
mod table;
mod targets;
#[cfg(test)]
mod tests;
mod text_file;
mod time;
pub mod volume;
pub mod why;
mod workers;

pub use report::Report;

use clap::error::ErrorKind;
use clap::{Args, Command, FromArgMatches, Parser, Subcommand};

/// Run a command that nobody trusts, as an ordinary user: no root, no daemon, nothing of yours readable unless you say so.
#[derive(Debug, Parser)]
#[command(name = "sbx", version, about, disable_help_subcommand = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  sbx run --profile strict host -- ./downloaded-tool
      Run it with this directory read-only and nothing else of yours
  sbx plan --profile strict host -- ./downloaded-tool
      Print what that would do, step by step, without doing it
  sbx why --path ~/.ssh/id_rsa --op read
      Whether something can be done inside, and what decides
  sbx doctor
      Check this machine and show how to fix what is missing";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a command in a sandbox
    Run(Box<run::RunArgs>),
    /// Print what `run` would do, each step with its reason
    Plan(Box<plan::PlanArgs>),
    /// Explain whether an operation is allowed inside, and what would change it
    Why(Box<why::WhyArgs>),
    /// Fetch an image from a registry, an archive or a layout
    Pull(images::pull::PullArgs),
    /// List the images in the store
    Images(images::list::ImagesArgs),
    /// Give an image another name
    Tag(images::tag::TagArgs),
    /// Remove names of images, and images without one
    Rmi(images::remove::RmiArgs),
    /// Print the manifests and configs of images, as JSON
    Inspect(images::inspect::InspectArgs),
    /// Print the build steps of an image
    History(images::history::HistoryArgs),
    /// Remove unused images, layers and blobs
    Prune(images::prune::PruneArgs),
    /// Hash all images again and report damage
    Verify(images::verify::VerifyArgs),
    /// Log in to a registry
    Login(images::login::LoginArgs),
    /// Log out from a registry
    Logout(images::login::LogoutArgs),
    /// Send an image to a registry
    Push(images::push::PushArgs),
    /// Load the images of an archive or a layout into the store
    Load(images::load::LoadArgs),
    /// Save images to one file
    Save(images::save::SaveArgs),
    /// Make an image from a root file system
    Import(images::import::ImportArgs),
    /// Create, list and remove volumes: directories that outlive sandboxes
    Volume(volume::VolumeArgs),
    /// List, show, check and compare profiles
    Profile(profile::ProfileArgs),
    /// Check this machine and show how to fix what is missing
    Doctor(doctor::DoctorArgs),
    /// Print manual pages
    Man(man::ManArgs),
    /// Print completions for a shell
    Completions(man::CompletionsArgs),
}

/// What `main` does: gives the exit code.
#[must_use]
pub fn start() -> u8 {
    let done = parse().map(|verb| match verb {
        Verb::Run(args) => run::run(&args),
        verb => main(verb),
    });
    let report = match done {
        Ok(Ok(code)) => return code,
        Ok(Err(report)) => report.with_limits(),
        // Nothing was asked for: what there is, on standard error.
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            out::words(error.to_string().trim_end());
            return 2;
        }
        // `--help` and `--version` come as errors too.
        Err(error) if !error.use_stderr() => return out::page(&error),
        // Who starts `run` reads 2 as the command's own exit code.
        Err(error) => Report::of_arguments(
            &error,
            std::env::args_os().nth(1).is_some_and(|verb| verb == "run"),
        ),
    };
    out::words(&report);
    report.exit_code()
}

/// `run` by itself first: building the arguments of all verbs takes as long as some of its namespaces. Whatever is said about
/// arguments (a fault, help) is said by all of them together. Both have frames of their own, as [`main`] has.
fn parse() -> Result<Verb, clap::Error> {
    match parse_run() {
        Some(run) => Ok(Verb::Run(run)),
        None => parse_all(),
    }
}

#[inline(never)]
fn parse_run() -> Option<Box<run::RunArgs>> {
    let mut arguments = std::env::args_os().skip(1).peekable();
    arguments.next_if(|verb| verb == "run")?;
    let command = run::RunArgs::augment_args(Command::new("run").no_binary_name(true));
    let matches = command.try_get_matches_from(arguments).ok()?;
    run::RunArgs::from_arg_matches(&matches).ok().map(Box::new)
}

#[inline(never)]
fn parse_all() -> Result<Verb, clap::Error> {
    Cli::try_parse().map(|all| all.verb)
}

/// Does what the arguments say. `run` does not come by here: the frames of all verbs are one of 16 KiB, every page of which each start
/// would touch.
///
/// # Errors
/// With what the user is to be told.
#[inline(never)]
fn main(verb: Verb) -> Result<u8, Report> {
    match verb {
        Verb::Run(args) => run::run(&args),
        Verb::Plan(args) => plan::plan(&args),
        Verb::Why(args) => why::why(&args),
        Verb::Pull(args) => images::pull::pull(&args),
        Verb::Images(args) => images::list::images(&args),
        Verb::Tag(args) => images::tag::tag(&args),
        Verb::Rmi(args) => images::remove::rmi(&args),
        Verb::Inspect(args) => images::inspect::inspect(&args),
        Verb::History(args) => images::history::history(&args),
        Verb::Prune(args) => images::prune::prune(&args),
        Verb::Verify(args) => images::verify::verify(&args),
        Verb::Login(args) => images::login::login(&args),
        Verb::Logout(args) => images::login::logout(&args),
        Verb::Push(args) => images::push::push(&args),
        Verb::Load(args) => images::load::load(&args),
        Verb::Save(args) => images::save::save(&args),
        Verb::Import(args) => images::import::import(&args),
        Verb::Volume(args) => volume::volume(&args),
        Verb::Profile(args) => profile::profile(&args),
        Verb::Doctor(args) => doctor::doctor(&args),
        Verb::Man(args) => man::man(&args),
        Verb::Completions(args) => man::completions(&args),
    }
}

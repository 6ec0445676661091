//! `sbx man` and `sbx completions`: generated from the same types that parse the command line.

use super::report::Report;
use super::{Cli, out};
use crate::sys::named::{Place, Planted};
use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Arguments of `man`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  sbx man run | man -l -
      Read one page
  sbx man --out ~/.local/share/man/man1
      Install all of them")]
pub struct ManArgs {
    /// Page of one verb; the overview when left out
    #[arg(value_name = "VERB")]
    verb: Option<String>,
    /// Write every page into this directory instead; it is made when it is not there
    #[arg(long, value_name = "DIR", conflicts_with = "verb")]
    out: Option<PathBuf>,
}

/// Arguments of `completions`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  sbx completions bash >> ~/.bash_completion
  sbx completions zsh > ~/.zfunc/_sbx
  sbx completions fish > ~/.config/fish/completions/sbx.fish")]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Prints a manual page, or writes all of them.
///
/// # Errors
/// For a verb that does not exist, and a directory that cannot be written.
pub fn man(args: &ManArgs) -> Result<u8, Report> {
    let mut all = Cli::command();
    all.build();
    if let Some(directory) = &args.out {
        std::fs::create_dir_all(directory)
            .map_err(|e| Report::sbx(format!("{}: {e}", directory.display())))?;
        let mut all = Cli::command().disable_help_subcommand(true);
        all.build();
        return pages(&all, directory).map(|()| 0);
    }
    let page = match args.verb.as_deref() {
        None => &all,
        Some(verb) => all.find_subcommand(verb).ok_or_else(|| {
            let known: Vec<&str> = all.get_subcommands().map(Command::get_name).collect();
            Report::usage(format!(
                "no verb `{}`: there are {}",
                verb.escape_debug(),
                known.join(", ")
            ))
        })?,
    };
    let text = String::from_utf8(render(page)?).map_err(Report::sbx)?;
    out::data(text.trim_end())?;
    Ok(0)
}

/// Writes the page of a verb and those of all below it.
fn pages(page: &Command, directory: &Path) -> Result<(), Report> {
    if page.is_hide_set() {
        return Ok(());
    }
    let path = directory.join(format!("{}.1", title(page)));
    let failed = |e: std::io::Error| Report::sbx(format!("{}: {e}", path.display()));
    let text = render(page)?;
    let place = Place::find(&path, &Planted::workdir()).map_err(failed)?;
    let written = place.replace(|mut to| to.write_all(&text).map(|()| to));
    written.map_err(failed)?;
    page.get_subcommands()
        .try_for_each(|below| pages(below, directory))
}

/// `sbx`, `sbx-run`, …
fn title(page: &Command) -> String {
    page.get_display_name().unwrap_or(page.get_name()).to_owned()
}

fn render(page: &Command) -> Result<Vec<u8>, Report> {
    let mut roff = Vec::new();
    clap_mangen::Man::new(page.clone())
        .title(title(page))
        .render(&mut roff)
        .map_err(Report::sbx)?;
    Ok(roff)
}

/// Prints completions.
///
/// # Errors
/// When standard output cannot be written.
pub fn completions(args: &CompletionsArgs) -> Result<u8, Report> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "sbx", &mut script);
    let text = String::from_utf8(script).map_err(Report::sbx)?;
    out::data(text.trim_end())?;
    Ok(0)
}

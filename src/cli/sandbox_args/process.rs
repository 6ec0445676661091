//! How the command is started and stopped.

use super::wrong;
use crate::cli::report::Report;
use crate::image::document::signal;
use crate::model::{Origin, Set};
use crate::policy::Flags;
use crate::profile::schema::{Profile, TerminalMode};
use clap::Args;
use std::ffi::OsString;

/// Flags about the command.
#[derive(Debug, Clone, Default, Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own on the command line"
)]
pub struct ProcessArgs {
    /// Replace the image's entrypoint; its command is dropped
    #[arg(long, value_name = "COMMAND", help_heading = "Process")]
    pub entrypoint: Option<OsString>,
    /// Accepted for docker compatibility; always on
    #[arg(short, long, help_heading = "Process")]
    pub interactive: bool,
    /// Allocate a pseudo-terminal even when no stream is a terminal
    #[arg(short, long, help_heading = "Process")]
    pub tty: bool,
    /// Run an init as PID 1 [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Process")]
    pub init: Option<bool>,
    /// Signal sent to the command when sbx receives SIGTERM [default: image's, else SIGTERM]
    #[arg(long, value_name = "SIGNAL", help_heading = "Process")]
    pub stop_signal: Option<String>,
}

impl ProcessArgs {
    pub(super) fn profile(&self, p: &mut Profile) {
        if self.tty {
            p.terminal.mode = Some(Set::new(TerminalMode::Always, Origin::flag("-t")));
        }
        if let Some(init) = self.init {
            p.namespaces.init = Some(Set::new(init, Origin::flag(format!("--init={init}"))));
        }
    }

    pub(super) fn flags(&self, flags: &mut Flags) -> Result<(), Report> {
        let Some(text) = &self.stop_signal else {
            return Ok(());
        };
        let why = "write a name or a number, for example SIGINT";
        let signal = signal::number(text).ok_or_else(|| wrong("--stop-signal", text, why))?;
        flags.stop_signal = Some(Set::new(signal, Origin::flag(format!("--stop-signal {text}"))));
        Ok(())
    }
}

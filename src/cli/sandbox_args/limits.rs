//! Ceilings.

use super::parsed;
use crate::cli::report::Report;
use crate::model::{Origin, Set, Span};
use crate::profile::schema::{Profile, Ulimit};
use clap::Args;

/// Flags about limits.
#[derive(Debug, Clone, Default, Args)]
pub struct LimitArgs {
    /// Limit: NAME=SOFT[:HARD], for example nofile=1024
    #[arg(long, value_name = "LIMIT", help_heading = "Limits")]
    pub ulimit: Vec<String>,
    /// Kill everything after this time (10m, 90s)
    #[arg(long, value_name = "TIME", help_heading = "Limits")]
    pub timeout: Option<String>,
}

impl LimitArgs {
    pub(super) fn profile(&self, p: &mut Profile) -> Result<(), Report> {
        for text in &self.ulimit {
            let (name, limit) = ulimit(text)?;
            p.limits
                .ulimits
                .insert(name, Set::new(limit, Origin::flag(format!("--ulimit {text}"))));
        }
        if let Some(time) = &self.timeout {
            p.limits.time = Some(parsed::<Span>("--timeout", time)?);
        }
        Ok(())
    }
}

/// `NAME=SOFT[:HARD]`
fn ulimit(text: &str) -> Result<(String, Ulimit), Report> {
    let limit = text
        .split_once('=')
        .and_then(|(name, values)| Some((name.to_owned(), values.parse().ok()?)));
    limit.ok_or_else(|| {
        Report::usage(format!(
            "--ulimit `{}`: write NAME=SOFT or NAME=SOFT:HARD",
            text.escape_debug()
        ))
    })
}

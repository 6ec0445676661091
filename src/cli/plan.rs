//! `sbx plan`: what `run` would do, printed from the very value that `run` walks through.

use super::out;
use super::report::Report;
use super::request::{self, Asked};
use super::sandbox_args::SandboxArgs;
use crate::plan::{Loss, Plan, Step};
use crate::policy::Policy;
use crate::profile::{Profile, show};
use clap::Args;
use serde::Serialize;
use std::fmt::Write;

/// Arguments of `plan`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct PlanArgs {
    #[command(flatten)]
    sandbox: SandboxArgs,
    /// Print one JSON object
    #[arg(long, help_heading = "Output")]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  sbx plan --profile strict host -- make
      Every step, with the line of the profile that asks for it
  sbx plan --json host -- make | jq -r '.losses'
      What this machine cannot give

Exit codes: 0; 2 the command line is wrong; 125 where `run` would refuse.";

/// Where the reasons start, when the step leaves room.
const REASON_COLUMN: usize = 76;

#[derive(Serialize)]
struct Printed<'a> {
    version: &'static str,
    profile: &'a str,
    sha256: String,
    steps: Vec<PrintedStep<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_signal: Option<i32>,
    losses: &'a [Loss],
    notes: &'a [String],
}

#[derive(Serialize)]
struct PrintedStep<'a> {
    part: &'static str,
    step: String,
    reason: &'a str,
}

/// Prints the plan.
///
/// # Errors
/// Where `run` would refuse.
pub fn plan(args: &PlanArgs) -> Result<u8, Report> {
    let (Asked { profile, policy, .. }, plan) = request::planned(&args.sandbox)?;
    let text = if args.json {
        json(&profile, &policy, &plan)?
    } else {
        table(&plan)
    };
    out::data(text)?;
    Ok(0)
}

fn json(profile: &Profile, policy: &Policy, plan: &Plan) -> Result<String, Report> {
    let steps = plan.steps.iter().map(|p| PrintedStep {
        part: p.step.word(),
        step: shown(&p.step),
        reason: &p.reason,
    });
    let printed = Printed {
        version: env!("CARGO_PKG_VERSION"),
        profile: &policy.profile,
        sha256: show::digest(profile),
        steps: steps.collect(),
        stop_signal: plan.stop_signal.as_ref().map(|stop| stop.value),
        losses: &plan.losses,
        notes: &plan.notes,
    };
    out::json(&printed)
}

fn shown(step: &Step) -> String {
    out::escaped(&step.to_string())
}

/// The steps, losses and notes for people.
pub(super) fn table(plan: &Plan) -> String {
    let mut out = String::new();
    for planned in &plan.steps {
        let left = format!("{:<11} {}", planned.step.word(), shown(&planned.step));
        let _ = writeln!(out, "{left:<REASON_COLUMN$}  {}", out::escaped(&planned.reason));
    }
    if let Some(stop) = &plan.stop_signal {
        let left = format!(
            "{:<11} SIGTERM to sbx is signal {} to the command",
            "stop", stop.value
        );
        let _ = writeln!(
            out,
            "{left:<REASON_COLUMN$}  {}",
            out::escaped(&stop.origin.to_string())
        );
    }
    for loss in &plan.losses {
        let _ = writeln!(out, "{:<11} {loss}\n{:<11} {}", "lost", "", loss.mend);
    }
    for note in &plan.notes {
        let _ = writeln!(out, "{:<11} {}", "note", out::escaped(note));
    }
    out.truncate(out.trim_end().len());
    out
}

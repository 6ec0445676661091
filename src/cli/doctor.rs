//! `sbx doctor`: what this machine gives, what follows for a run, and what mends what is missing.

use super::out::{self, escaped, lines};
use super::report::Report;
use super::request;
use super::run;
use super::sandbox_args::{Apart, LimitArgs, PolicyArgs, SandboxArgs};
use crate::host::findings::{self, Finding, State};
use crate::host::{self, Survey};
use crate::model::Host;
use crate::plan::{Loss, Plan, Step};
use crate::sandbox::{self, Counts, Ended, StartError, Streams, SuperviseError};
use crate::sys::fs;
use crate::sys::signal::{self, SignalSet};
use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::json;
use std::fmt::Write;
use std::io;
use std::os::fd::AsFd;

/// Arguments of `doctor`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Each line is one probe: works, degraded or missing. Below a probe that does not work stand its \
    consequences for a run, and the fix. Everything is really tried, in processes that end with it; nothing \
    is left behind or changed.

Examples:
  sbx doctor
      Everything
  sbx doctor cgroup id-maps
      These probes only, with their details
  sbx doctor --json | jq .run.losses
      What a run under the default profile would lack

--json prints one object: `run` (`works`, `reason`, `hints`, `losses` of a run under the default \
    profile), `findings` (each `probe`, `state`, `found`, `follows`, `mend` or null, `details`) and `host` \
    (every fact as `run` and `plan` use it).

Exit codes: 0 a run under the default profile works; 1 it does not, whatever words are given.")]
pub struct DoctorArgs {
    /// Run only these probes, with more detail
    #[arg(value_name = "WORD", value_parser = PossibleValuesParser::new(findings::words()))]
    words: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Longer than a start-up on any machine that can be worked on.
const PATIENCE: &str = "10s";

/// Whether a run under the default profile works.
#[derive(Debug)]
enum Verdict {
    Works(Vec<Loss>),
    Fails(Report),
}

/// Tries everything and tells it.
///
/// # Errors
/// When the machine cannot be looked at at all, or standard output cannot be written.
pub fn doctor(args: &DoctorArgs) -> Result<u8, Report> {
    let survey = host::survey().map_err(Report::sbx)?;
    let mut told = findings::findings(&survey);
    let verdict = try_default(&survey.host, &told);
    if !args.words.is_empty() {
        told.retain(|f| args.words.iter().any(|word| word == f.probe));
    }
    let text = if args.json {
        as_json(&told, &verdict, &survey)?
    } else {
        as_text(&told, &verdict, &survey.host, !args.words.is_empty())
    };
    out::data(text.trim_end())?;
    Ok(match verdict {
        Verdict::Works(_) => 0,
        Verdict::Fails(_) => 1,
    })
}

/// A whole run of `true`: what can be planned on paper may still be refused by the kernel.
fn try_default(host: &Host, told: &[Finding]) -> Verdict {
    if !host.user_namespaces.works() {
        let finding = told.iter().find(|f| f.probe == "user-namespaces");
        let report = Report::sbx(finding.map_or("no user namespaces", |f| f.found.as_str()));
        return Verdict::Fails(match finding.and_then(|f| f.mend.as_ref()) {
            Some(mend) => report.hint(mend),
            None => report,
        });
    }
    let args = SandboxArgs {
        policy: Apart(PolicyArgs {
            profile: vec!["default".into()],
            ..PolicyArgs::default()
        }),
        limits: Apart(LimitArgs {
            timeout: Some(PATIENCE.into()),
            ..LimitArgs::default()
        }),
        image: "host".into(),
        command: vec!["true".into()],
        ..SandboxArgs::default()
    };
    // The answer is about the machine: what lies in the directory where it is asked changes nothing.
    let planned = request::ask_on(host.clone(), None, &args, true)
        .and_then(|mut asked| request::plan(&mut asked, Streams::default()));
    match planned {
        Ok(plan) => match apart(|| start(&plan, host)) {
            Ok(()) => Verdict::Works(plan.losses),
            Err(report) => Verdict::Fails(report),
        },
        Err(report) => Verdict::Fails(report),
    }
}

/// A supervisor lets go of standard input and output once the command has them, and keeps signals for itself: all of it is given
/// back, since doctor has something to say afterwards.
fn apart<T>(body: impl FnOnce() -> T) -> T {
    let kept = (
        io::stdin().as_fd().try_clone_to_owned(),
        io::stdout().as_fd().try_clone_to_owned(),
    );
    if let Ok(null) = fs::open(c"/dev/null", libc::O_RDWR) {
        let _ = fs::duplicate_onto(null.as_fd(), 0);
        let _ = fs::duplicate_onto(null.as_fd(), 1);
    }
    let answer = body();
    for (number, stream) in [(0, kept.0), (1, kept.1)] {
        if let Ok(stream) = stream {
            let _ = fs::duplicate_onto(stream.as_fd(), number);
        }
    }
    let _ = signal::set_mask(&SignalSet::of(&[]));
    answer
}

fn start(plan: &Plan, host: &Host) -> Result<(), Report> {
    let none = Streams::default();
    let ended = sandbox::prepare(plan, Counts::default())
        .map_err(|e| SuperviseError::from(StartError::Prepare(e.to_string())))
        .and_then(|prepared| Ok(prepared.spawn(none, none)?))
        // Standard output is still to be written, so sbx keeps its rights.
        .and_then(|running| running.supervise(false, None));
    match ended {
        Ok(supervised) => match supervised.outcome.ended {
            Ended::Exited(_) => Ok(()),
            other => Err(Report::sbx(format!(
                "a run of `true` was {}",
                match other {
                    Ended::Timeout => "not over after ten seconds",
                    _ => "killed",
                }
            ))),
        },
        // Everything before the command was done; a host without `true` on its PATH can still run what it has.
        Err(SuperviseError::Start(StartError::Step { step, errno }))
            if errno == nix::errno::Errno::ENOENT && is_exec(plan, step) =>
        {
            Ok(())
        }
        Err(error) => Err(run::explain(plan, host, &error)),
    }
}

fn is_exec(plan: &Plan, step: usize) -> bool {
    matches!(plan.steps.get(step).map(|p| &p.step), Some(Step::Exec { .. }))
}

fn as_json(told: &[Finding], verdict: &Verdict, survey: &Survey) -> Result<String, Report> {
    let run = match verdict {
        Verdict::Works(losses) => json!({ "works": true, "reason": null, "hints": [], "losses": losses }),
        Verdict::Fails(report) => {
            json!({ "works": false, "reason": report.message, "hints": report.hints, "losses": [] })
        }
    };
    let whole = json!({
        "sbx": env!("CARGO_PKG_VERSION"),
        "run": run,
        "findings": told,
        "host": survey.host,
    });
    out::json(&whole)
}

fn as_text(told: &[Finding], verdict: &Verdict, host: &Host, detailed: bool) -> String {
    let mut text = String::new();
    let width = told.iter().map(|f| f.probe.len()).max().unwrap_or(0);
    let indent = " ".repeat(width + 11);
    for finding in told {
        let _ = writeln!(
            text,
            "{:<9} {:<width$} {}",
            finding.state,
            finding.probe,
            escaped(&finding.found)
        );
        let mut below = |line: &str| {
            let _ = writeln!(text, "{indent}{}", escaped(line));
        };
        if finding.state != State::Works || detailed {
            below(&finding.follows);
        }
        if let Some(mend) = &finding.mend {
            below(&format!("mend: {mend}"));
        }
        if detailed {
            finding.details.iter().for_each(|detail| below(detail));
        }
    }
    let who = host
        .caller
        .name
        .clone()
        .unwrap_or_else(|| host.caller.uid.to_string());
    text.push('\n');
    text.push_str(&conclusion(verdict, &escaped(&who)));
    text
}

fn conclusion(verdict: &Verdict, who: &str) -> String {
    match verdict {
        Verdict::Works(losses) => losses.iter().fold(
            format!("sbx run --profile default works for {who}\n"),
            |mut text, loss| {
                let _ = writeln!(text, "  lost: {}", escaped(&loss.to_string()));
                text
            },
        ),
        Verdict::Fails(report) => report.hints.iter().fold(
            format!(
                "sbx run --profile default does not work for {who}: {}\n",
                lines(&report.message)
            ),
            |mut text, hint| {
                let _ = writeln!(text, "  {}", lines(hint));
                text
            },
        ),
    }
}

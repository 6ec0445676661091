//! `sbx run`: one command in one sandbox, from arguments to exit code.

use super::out;
use super::record::{Record, RecordFile};
use super::report::{Kind, Report};
use super::request::volumes::Claimed;
use super::request::{self, Asked};
use super::sandbox_args::SandboxArgs;
use super::workers::fuse::Server;
use crate::model::host::Fact;
use crate::model::{Host, HostPath};
use crate::plan::{self, Plan, Step};
use crate::policy::Policy;
use crate::profile::schema::{TerminalMode, WorkdirMode};
use crate::sandbox::workspace::{self, ApplyError, Change};
use crate::sandbox::{self, Counts, StartError, Streams, SuperviseError, Supervised};
use crate::sys::Errno;
use clap::Args;
use std::mem::ManuallyDrop;

/// Arguments of `run`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct RunArgs {
    #[command(flatten)]
    sandbox: SandboxArgs,
    /// Write the record of the run, one JSON object, to a file or a descriptor
    #[arg(long, value_name = "FILE|fd:N", help_heading = "Outcome")]
    result: Option<String>,
    /// Write the record to standard error at the end; standard output is the command's
    #[arg(long, help_heading = "Outcome")]
    json: bool,
    /// List the changes to an overlaid workspace on standard error: C created or changed, R directory replaced, D deleted, S special file
    #[arg(long, help_heading = "Outcome")]
    diff: bool,
    /// Apply the changes to an overlaid workspace if the command exits with 0
    #[arg(long, help_heading = "Outcome")]
    apply: bool,
    /// Print the plan, as `sbx plan` does, on standard error before the command starts
    #[arg(long, help_heading = "Outcome", conflicts_with = "quiet")]
    explain: bool,
    /// Suppress losses, notes and pull progress
    #[arg(short, long, help_heading = "Outcome")]
    quiet: bool,
    /// Accepted for docker compatibility; always on
    #[arg(long, help_heading = "Outcome")]
    rm: bool,
}

impl RunArgs {
    /// Whether a record is written.
    fn records(&self) -> bool {
        self.json || self.result.is_some()
    }

    /// Whether somebody asks what was written to an overlaid workspace.
    fn wants_changes(&self) -> bool {
        self.apply || self.diff || self.records()
    }
}

const EXAMPLES: &str = "\
Examples:
  sbx run --profile strict host -- ./downloaded-tool
      This directory read-only, no network
  sbx run --profile build host -- make
      This directory writable
  sbx run --workspace overlay --diff host -- ./install
      See what it would change
  sbx run -v ~/data:/data:ro host -- python3 job.py
      One more directory
  sbx run --timeout 10s --result r.json host -- ./job
      A time limit, and a record of the end

Exit codes: the command's own; 125 sbx failed or refused; 126 the command cannot be executed; 127 it was \
    not found; 128+n it was killed by signal n.";

/// Runs. The exit code is the command's own, or 128 and the number of the signal that killed it.
///
/// # Errors
/// When the sandbox cannot be made as the profile wants it, or the command cannot be executed.
pub fn run(args: &RunArgs) -> Result<u8, Report> {
    let mut records = Vec::new();
    if let Some(target) = &args.result {
        records.push(RecordFile::open(target, &args.sandbox.files.planted())?);
    }
    if args.json {
        records.push(RecordFile::standard_error()?);
    }
    let mut blank = Record::default();
    let result = attempt(args, &mut blank).map_err(Report::of_run);
    if let Err(report) = &result {
        blank.failed(report);
    }
    for file in records {
        file.write(&blank)?;
    }
    result
}

fn attempt(args: &RunArgs, record: &mut Record) -> Result<u8, Report> {
    let own = Streams::of_this_process();
    streams_can_be_used(own)?;
    // Never freed: the process ends soon, and freeing writes to pages that it shares with its child, so that each is copied first.
    let mut asked = ManuallyDrop::new(request::ask(&args.sandbox, args.quiet)?);
    overlay_is_there(args, &asked.policy)?;
    let mut volumes = Claimed::take(&asked.volumes)?;
    let result = until_known(args, &mut asked, &mut volumes, own, record);
    asked.clear_space();
    result
}

/// Plans and starts, and once more with each fact that is learned of the host.
fn until_known(
    args: &RunArgs,
    asked: &mut Asked,
    volumes: &mut Claimed,
    own: Streams,
    record: &mut Record,
) -> Result<u8, Report> {
    let mut said = Vec::new();
    loop {
        asked.make_space(own, args.quiet)?;
        let plan = request::plan(asked, own).inspect_err(|_| record.profile(asked))?;
        let plan = ManuallyDrop::new(plan);
        volumes.fill(asked, &plan)?;
        record.losses.clone_from(&plan.losses);
        let mut server = server(asked, &plan)?;
        let ended = start(args, asked, &plan, own, (server.as_mut(), record, &mut said));
        // It has nothing to show any more, and what it wrote to is removed next.
        let words = server.and_then(Server::end);
        match ended {
            Ok(supervised) => {
                // When the time is up it is killed with the rest.
                if let Some(words) = words.filter(|_| supervised.outcome.ended != sandbox::Ended::Timeout) {
                    let line = format!("sbx: fuse-overlayfs, which showed the root, has failed: {words}");
                    out::last_words([line], supervised.until);
                }
                return finish(args, &asked.policy, supervised, record);
            }
            // A fact that was presumed does not hold here: plan once more, with what is known now. Each fact is learned once.
            Err(SuperviseError::Start(StartError::Step { step, errno }))
                if !super::targets::explains(&plan, step, errno)
                    && plan::learn(&plan, step, errno, &mut asked.host) =>
            {
                if let (Some(words), Fact::Missing(why)) = (words, &mut asked.host.fuse) {
                    *why = words;
                }
            }
            Err(error) => {
                record.profile(asked);
                return Err(explain(&plan, &asked.host, &error));
            }
        }
    }
}

/// What shows the root, where the plan has fuse-overlayfs(1) do it.
fn server(asked: &Asked, plan: &Plan) -> Result<Option<Server>, Report> {
    let image = asked.image.as_ref();
    let server = image.map(|image| Server::of(plan, &image.owners)).transpose()?;
    Ok(server.flatten())
}

/// A directory, or a descriptor that was opened with `O_PATH`, would be a way out of the root, and no stream.
fn streams_can_be_used(own: Streams) -> Result<(), Report> {
    let names = ["standard input", "standard output", "standard error"];
    match names.iter().zip(own.place).find(|(_, place)| *place) {
        None => Ok(()),
        Some((name, _)) => Err(Report::sbx(format!(
            "{name} is a directory or was opened with O_PATH: expected a file, a pipe or a terminal"
        ))
        .hint("redirect it, for example to /dev/null")),
    }
}

/// A flag that would do nothing is a mistake that its user learns of too late.
fn overlay_is_there(args: &RunArgs, policy: &Policy) -> Result<(), Report> {
    let flag = match (args.apply, args.diff) {
        (true, _) => "--apply",
        (_, true) => "--diff",
        _ => return Ok(()),
    };
    if policy.workspace.mode.value == WorkdirMode::Overlay {
        return Ok(());
    }
    let words = format!("{flag}: the working directory is not overlaid: add --workspace overlay");
    Err(policy.notes.iter().fold(Report::sbx(words), Report::hint))
}

fn start(
    args: &RunArgs,
    asked: &Asked,
    plan: &Plan,
    own: Streams,
    (server, record, said): (Option<&mut Server>, &mut Record, &mut Vec<String>),
) -> Result<Supervised, SuperviseError> {
    let streams = if asked.policy.terminal.value == TerminalMode::Always {
        Streams::terminals()
    } else {
        own
    };
    let counts = if args.records() {
        Counts::All
    } else {
        Counts::Limits
    };
    let prepared = sandbox::prepare(plan, counts).map_err(|e| StartError::Prepare(e.to_string()))?;
    if args.explain {
        out::words(super::plan::table(plan));
    } else if !args.quiet {
        announce(plan, said);
        if asked.policy.workspace.mode.value == WorkdirMode::Overlay && !args.wants_changes() {
            out::words(
                "sbx: what is written to the working directory is thrown away: --diff lists it, --apply keeps it",
            );
        }
    }
    let running = prepared.spawn(streams, own)?;
    if args.records() {
        // The child is at work meanwhile: hashing takes as long as several of its mounts.
        record.profile(asked);
    }
    let overlay = plan
        .steps
        .iter()
        .any(|p| matches!(p.step, Step::WorkspaceOverlay(..)));
    // What was written is read after the end, and what is on the disk removed, which a supervisor without rights could not.
    let rights = overlay && args.wants_changes() || asked.leaves_something();
    match server {
        Some(server) => running.supervise(!rights, Some(&mut |device| server.start(device))),
        None => running.supervise(!rights, None),
    }
}

/// Losses on one line, notes on one line each; what was said before a plan had to be made once more is not said again.
fn announce(plan: &Plan, said: &mut Vec<String>) {
    let mut unsaid = |line: &String| {
        let new = !said.contains(line);
        if new {
            said.push(line.clone());
        }
        new
    };
    let mut lost: Vec<String> = plan.losses.iter().map(ToString::to_string).collect();
    lost.retain(&mut unsaid);
    if !lost.is_empty() {
        out::words(format_args!(
            "sbx: lost: {} (sbx plan tells more)",
            lost.join("; ")
        ));
    }
    for note in plan.notes.iter().filter(|note| unsaid(note)) {
        out::words(format_args!("sbx: {note}"));
    }
}

fn finish(
    args: &RunArgs,
    policy: &Policy,
    supervised: Supervised,
    record: &mut Record,
) -> Result<u8, Report> {
    let ended = supervised.outcome.ended;
    record.outcome(&supervised.outcome);
    record.until = supervised.until;
    let lines = super::ending::words(&supervised.outcome, policy);
    out::last_words(lines.iter().map(|line| format!("sbx: {line}")), supervised.until);
    if let Some(errno) = supervised.outcome.input_lost {
        return Err(Report::sbx(format!(
            "standard input cannot be read: {}: the command has seen its end there",
            errno.desc()
        )));
    }
    if let Some(errno) = supervised.outcome.output_lost {
        return Err(Report::sbx(format!(
            "standard output or standard error cannot be written: {}: what the command wrote from there on is lost",
            errno.desc()
        )));
    }
    let upper = supervised.upper.filter(|_| args.wants_changes());
    if let (Some(upper), Some(source)) = (&upper, &policy.workspace.source) {
        let changes = workspace::changes(upper)
            .map_err(|e| Report::sbx(format!("cannot read what was written: {e}")))?;
        if args.diff {
            out::last_words(changes.iter().map(ToString::to_string), supervised.until);
        }
        record.changes = changes.iter().map(ToString::to_string).collect();
        if let (true, Some(workspace)) = (
            args.apply && ended == sandbox::Ended::Exited(0),
            &supervised.workspace,
        ) {
            workspace::apply(upper, workspace, &changes).map_err(|e| not_applied(source, &e, &changes))?;
        }
    }
    Ok(ended.exit_code())
}

/// What mends a file that is too large for the caller's own limit.
const FILE_SIZE: &str = "it is larger than the caller's own limit: raise `ulimit -f`";

/// Reports how far an apply came.
fn not_applied(source: &HostPath, error: &ApplyError, changes: &[Change]) -> Report {
    let report = Report::sbx(format!("cannot apply to {source}: {error}"));
    let too_large = error.why.raw_os_error() == Some(libc::EFBIG);
    let report = if too_large { report.hint(FILE_SIZE) } else { report };
    if error.applied == 0 {
        return report.hint("nothing was applied");
    }
    for change in changes.iter().take(error.applied) {
        out::words(format_args!("sbx: applied: {change}"));
    }
    report.hint(format!(
        "{} of {} changes were applied",
        error.applied,
        changes.len()
    ))
}

/// What a failed start is told as.
pub(super) fn explain(plan: &Plan, host: &Host, error: &SuperviseError) -> Report {
    let SuperviseError::Start(StartError::Step { step, errno }) = error else {
        let report = Report::sbx(error);
        return hints(report, "clone3", error, host);
    };
    let Some(planned) = plan.steps.get(*step) else {
        return Report::sbx(error);
    };
    if let Step::Exec { command, .. } = &planned.step {
        let name = command
            .first()
            .map(|c| c.display().to_string())
            .unwrap_or_default();
        let name = name.escape_debug();
        return match errno {
            Errno::ENOENT => Report::new(
                Kind::NotFound,
                format!("{name}: not found inside ({})", errno.desc()),
            )
            .hint("`sbx plan` with the same arguments lists what is mounted"),
            _ => Report::new(
                Kind::CannotExecute,
                format!("{name}: cannot be executed: {}", errno.desc()),
            ),
        };
    }
    let report =
        Report::sbx(format!("{} {}: {errno}", planned.step.word(), planned.step)).hint(&planned.reason);
    if matches!((&planned.step, errno), (Step::Mask(_), Errno::EACCES)) {
        return report.hint(
            "set-up cannot search the directory that holds this path, but the command may: mask that directory instead",
        );
    }
    let report = match super::targets::hint(&planned.step, *errno) {
        Some(hint) => report.hint(hint),
        None => report,
    };
    hints(report, planned.step.word(), error, host)
}

fn hints(mut report: Report, step: &str, error: &SuperviseError, host: &Host) -> Report {
    let errno = match error {
        // poll(2), where it is to watch more than may be open.
        SuperviseError::Wait(Errno::EINVAL) => return report.hint("too many open files: raise `ulimit -n`"),
        SuperviseError::Start(StartError::Maps(_)) => return report.hint("`sbx doctor id-maps` tells more"),
        SuperviseError::Start(StartError::Step { errno, .. } | StartError::Clone(errno)) => *errno as i32,
        _ => return report,
    };
    if let Some(hint) = crate::host::explain::diagnose(step, errno, host) {
        report = report.hint(hint);
    }
    report
}

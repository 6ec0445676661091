//! `sbx why`: one question to the plan.

use super::out;
use super::report::Report;
use super::request::{self, Asked};
use super::sandbox_args::SandboxArgs;
use crate::model::{InRoot, meant};
use crate::plan::Plan;
use crate::plan::why::{self, Answer, Use};
use crate::policy::Policy;
use crate::seccomp;
use crate::sys::walk::walk;
use clap::{ArgGroup, Args, ValueEnum};
use nix::unistd::{AccessFlags, access};
use serde_json::json;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Arguments of `why`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES, override_usage = "sbx why [OPTIONS] <QUESTION> [IMAGE] [COMMAND]...", group = ArgGroup::new("question").required(true).args(["path", "syscall", "connect"]))]
pub struct WhyArgs {
    /// Path inside the sandbox
    #[arg(long, value_name = "PATH", help_heading = "Question")]
    path: Option<PathBuf>,
    /// Operation on the path
    #[arg(
        long,
        value_enum,
        default_value = "read",
        requires = "path",
        help_heading = "Question"
    )]
    op: Op,
    /// System call
    #[arg(long, value_name = "NAME", help_heading = "Question")]
    syscall: Option<String>,
    /// TCP connection
    #[arg(long, value_name = "HOST:PORT", help_heading = "Question")]
    connect: Option<String>,
    /// Print one JSON object
    #[arg(long, help_heading = "Output")]
    json: bool,
    #[command(flatten)]
    sandbox: SandboxArgs,
}

const EXAMPLES: &str = "\
Examples:
  sbx why --path ~/.ssh/id_rsa --op read --profile build
      What decides, and the line that says so
  sbx why --path Makefile --op write host -- make
      With the same arguments as `run`
  sbx why --syscall ptrace --profile strict
  sbx why --connect example.org:443

Exit codes: 0 yes; 1 no; 2 the command line is wrong; 125 where `run` would refuse.";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Op {
    Read,
    Write,
    Exec,
}

/// Answers.
///
/// # Errors
/// For a question that makes no sense, and where `run` would refuse.
pub fn why(args: &WhyArgs) -> Result<u8, Report> {
    let mut sandbox = args.sandbox.clone();
    if sandbox.command.is_empty() && sandbox.process.entrypoint.is_none() {
        // The question is about the sandbox; what would run in it does not matter.
        sandbox.process.entrypoint = Some("true".into());
    }
    let (Asked { policy, .. }, plan) = request::planned(&sandbox)?;
    let (question, answer) = ask(args, &policy, &plan)?;
    let text = if args.json {
        let object = json!({ "question": question, "yes": answer.yes, "because": answer.because, "change": answer.change });
        out::json(&object)?
    } else {
        words(&question, &answer)
    };
    out::data(text)?;
    Ok(u8::from(!answer.yes))
}

fn ask(args: &WhyArgs, policy: &Policy, plan: &Plan) -> Result<(String, Answer), Report> {
    if let Some(name) = &args.syscall {
        let shown = name.escape_debug();
        let answer = why::syscall(policy, name).ok_or_else(|| unknown_call(name))?;
        return Ok((format!("system call {shown}"), answer));
    }
    if let Some(target) = &args.connect {
        let shown = target.escape_debug();
        let host = target
            .rsplit_once(':')
            .filter(|(_, port)| port.parse::<u16>().is_ok())
            .map(|(host, _)| host);
        let host = host.ok_or_else(|| Report::usage(format!("--connect `{shown}`: write HOST:PORT")))?;
        return Ok((format!("connect {shown}"), why::connect(policy, host)));
    }
    let asked = args.path.clone().unwrap_or_default();
    let path = InRoot::new(policy.start_in.as_path().join(&asked))
        .map_err(|e| Report::usage(format!("--path: {e}")))?;
    let (wanted, word) = match args.op {
        Op::Read => (Use::Read, "read"),
        Op::Write => (Use::Write, "write"),
        Op::Exec => (Use::Exec, "execute"),
    };
    let mut answer = why::path(plan, policy, &path, wanted);
    own_rights(&mut answer, wanted);
    if !answer.yes {
        other_name(&mut answer, &path, |real| {
            let mut there = why::path(plan, policy, real, wanted);
            own_rights(&mut there, wanted);
            there
                .yes
                .then(|| format!("the host's {path} is {real}, and under that name: yes"))
        });
    }
    Ok((format!("{word} {path}"), answer))
}

fn unknown_call(name: &str) -> Report {
    let report = Report::usage(format!("`{}` is no system call", name.escape_debug()));
    match meant(name, seccomp::table::all().map(|(_, known)| known)) {
        Some(near) => report.hint(format!("did you mean `{near}`?")),
        None => report,
    }
}

/// Adds that a file can be reached under another name: links of the host lead from the one to the other, and only outside.
fn other_name(answer: &mut Answer, path: &InRoot, said: impl FnOnce(&InRoot) -> Option<String>) {
    let real = walk(path.as_path(), &[] as &[&Path])
        .ok()
        .filter(|walked| !walked.missing);
    let real = real.and_then(|walked| InRoot::new(walked.real).ok());
    if let Some(line) = real.filter(|real| real != path).and_then(|real| said(&real)) {
        answer.because.push(line);
    }
}

/// The sandbox has no more rights on the host's files than its caller.
fn own_rights(answer: &mut Answer, wanted: Use) {
    let Some(source) = answer.source.clone().filter(|_| answer.yes) else {
        return;
    };
    let source = source.as_path();
    let shown = source.display();
    // Something new can be made where the directory can be written.
    let (checked, flags) = match (wanted, source.exists()) {
        (Use::Write, false) => (source.parent().unwrap_or(source), AccessFlags::W_OK),
        (Use::Write, true) => (source, AccessFlags::W_OK),
        (Use::Read, _) => (source, AccessFlags::R_OK),
        (Use::Exec, _) => (source, AccessFlags::X_OK),
    };
    if let Err(errno) = access(checked, flags) {
        answer.refuse(format!("on the host, {shown}: {}", errno.desc()));
    }
}

fn words(question: &str, answer: &Answer) -> String {
    let mut text = format!("{}: {question}", if answer.yes { "yes" } else { "no" });
    for line in &answer.because {
        let _ = write!(text, "\n  {}", out::escaped(line));
    }
    if let Some(change) = &answer.change {
        let _ = write!(text, "\n  to change it: {}", out::escaped(change));
    }
    text
}

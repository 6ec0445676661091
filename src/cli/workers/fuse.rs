//! fuse-overlayfs(1) for one run: `sbx run` under the profile `overlay-worker`, with the layers, what is written, and the device.

use super::{Owners, start};
use crate::cli::out;
use crate::cli::report::Report;
use crate::image::job::{FUSE, LAYERS, UPPER};
use crate::model::Layers;
use crate::plan::{Plan, Step, Upper};
use crate::sys::process;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take to see that nobody uses it any more.
const PATIENCE: Duration = Duration::from_secs(5);

/// Milliseconds between looking and looking again.
const PAUSE: u8 = 1;

/// What shows the root of a run.
#[derive(Debug)]
pub(in crate::cli) struct Server {
    command: Command,
    said: File,
    started: Option<Result<Child, String>>,
}

impl Server {
    /// For a plan that has one.
    ///
    /// # Errors
    /// When it cannot be started whatever happens.
    pub(in crate::cli) fn of(plan: &Plan, owners: &Owners) -> Result<Option<Self>, Report> {
        let root = plan.steps.iter().find_map(|planned| match &planned.step {
            Step::RootFuse {
                layers,
                upper,
                program,
            } => Some((layers, upper, program)),
            _ => None,
        });
        let Some((layers, upper, program)) = root else {
            return Ok(None);
        };
        let mut command = start::run("overlay-worker");
        command.args(owners.flags()).args(["--user", &user(plan)]);
        let within = layers.within.as_path();
        command
            .arg("-v")
            .arg(start::bind(within, &format!(":{LAYERS}:ro"))?);
        match upper {
            Upper::Memory(size) => {
                command.args(["--tmpfs", &format!("{UPPER}:size={},mode=0700", size.0)]);
            }
            Upper::Disk(at) => {
                command
                    .arg("-v")
                    .arg(start::bind(at.as_path(), &format!(":{UPPER}"))?);
            }
        }
        command.arg("-v").arg(start::bind(
            &start::program()?,
            &format!(":{}:ro", start::INSIDE),
        )?);
        command.args(["host", "--", start::INSIDE, FUSE]);
        command.arg(program.as_path()).arg(lower(layers));
        Ok(Some(Self {
            said: start::said(within)?,
            command,
            started: None,
        }))
    }

    /// Starts it with the device; gives the process that ends it.
    pub(in crate::cli) fn start(&mut self, device: OwnedFd) -> Option<i32> {
        let started = self.said.try_clone().and_then(|said| {
            process::end_with_parent(&mut self.command);
            // A key that interrupts the command is not for it, which has to outlast the command.
            let spawned = self
                .command
                .process_group(0)
                .stdin(device)
                .stdout(Stdio::null())
                .stderr(said)
                .spawn();
            // The command keeps its own copy of the device otherwise: the end of the program would not be seen.
            self.command.stdin(Stdio::null());
            spawned
        });
        let pid = started.as_ref().ok().map(Child::id);
        self.started = Some(started.map_err(|e| e.to_string()));
        pid.and_then(|pid| i32::try_from(pid).ok())
    }

    /// Waits for its end, which comes when the root is gone. Where that came otherwise: how, and what it said.
    pub(in crate::cli) fn end(self) -> Option<String> {
        let mut child = match self.started? {
            Ok(child) => child,
            Err(why) => return Some(why),
        };
        let until = Instant::now() + PATIENCE;
        let status = loop {
            match child.try_wait() {
                Ok(None) if Instant::now() < until => drop(nix::poll::poll(&mut [], PAUSE)),
                Ok(None) => {
                    let _ = child.kill();
                    break child.wait();
                }
                Ok(Some(status)) => break Ok(status),
                Err(e) => break Err(e),
            }
        };
        if matches!(&status, Ok(status) if status.success()) {
            return None;
        }
        let words = start::words(self.said);
        let words = out::escaped(words.trim()).replace('\n', "; ");
        let status = status.map_or_else(|e| e.to_string(), |status| status.to_string());
        Some(match words.is_empty() {
            true => status,
            false => format!("{status}: {words}"),
        })
    }
}

/// The layers, as fuse-overlayfs takes them: the names are ours, and hold neither colon nor comma.
fn lower(layers: &Layers) -> String {
    let names = layers.names.iter().map(|name| PathBuf::from(LAYERS).join(name));
    let names: Vec<String> = names.map(|path| path.display().to_string()).collect();
    names.join(":")
}

/// Whoever the command is with one id, since there is no other; else root of the map.
fn user(plan: &Plan) -> String {
    let maps = plan.steps.iter().find_map(|planned| match &planned.step {
        Step::MapIds { uids, gids, .. } => Some((uids, gids)),
        _ => None,
    });
    let (uid, gid) = match maps {
        Some((uids, gids)) if uids.is_single() => (
            uids.0.first().map_or(0, |range| range.inside),
            gids.0.first().map_or(0, |range| range.inside),
        ),
        _ => (0, 0),
    };
    format!("{uid}:{gid}")
}

//! Processes that run beside the sandbox with rights of their own: newuidmap and newgidmap.

use crate::model::{HostPath, IdMap};
use crate::plan::MapWriter;
use std::process::{Child, Command, Stdio};

/// Writes the maps of `pid`: as root directly, else by the helpers, both at once.
pub(super) fn write_maps(by: &MapWriter, uids: &IdMap, gids: &IdMap, pid: i32) -> Result<(), String> {
    match by {
        MapWriter::Child => Ok(()),
        MapWriter::Supervisor => {
            direct("uid_map", uids, pid)?;
            direct("gid_map", gids, pid)
        }
        MapWriter::Helpers { newuidmap, newgidmap } => {
            let users = newuidmap
                .as_ref()
                .map(|helper| start(helper, uids, pid))
                .transpose()?;
            let groups = newgidmap
                .as_ref()
                .map(|helper| start(helper, gids, pid))
                .transpose()?;
            users.map_or(Ok(()), |h| finish("newuidmap", h))?;
            groups.map_or(Ok(()), |h| finish("newgidmap", h))
        }
    }
}

fn direct(file: &str, map: &IdMap, pid: i32) -> Result<(), String> {
    std::fs::write(format!("/proc/{pid}/{file}"), map.lines())
        .map_err(|e| format!("cannot write {file} ({map}): {e}"))
}

/// Only numbers follow the helper's name, so nothing can become an option of it. Its environment is empty.
#[allow(
    clippy::disallowed_methods,
    reason = "this is the place where helpers are started"
)]
fn start(helper: &HostPath, map: &IdMap, pid: i32) -> Result<Child, String> {
    let mut command = Command::new(helper.as_path());
    command
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command.arg(pid.to_string());
    for range in &map.0 {
        command.args([range.inside, range.host, range.count].map(|n| n.to_string()));
    }
    command.spawn().map_err(|e| format!("cannot start {helper}: {e}"))
}

fn finish(name: &str, helper: Child) -> Result<(), String> {
    let output = helper.wait_with_output().map_err(|e| format!("{name}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{name} refused the map: {}", said.trim().escape_debug()))
}

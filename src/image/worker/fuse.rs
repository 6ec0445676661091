//! Becomes fuse-overlayfs(1), once there are the directories that it writes to.

use crate::image::job::UPPER;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

/// With the program and the layers, the topmost first and a colon between them.
pub(super) fn become_it(program: &OsString, lower: &OsString) -> ExitCode {
    let why = match directories(lower) {
        Ok(()) => execute(program, lower),
        Err(why) => why,
    };
    super::talk::last_words(&format!("{}: {why}", program.display()));
    ExitCode::from(125)
}

/// The top of the tree shows the owner and the mode of the upper directory: it is to look as the topmost layer does.
fn directories(lower: &OsString) -> io::Result<()> {
    let top = lower.as_bytes().split(|b| *b == b':').next().unwrap_or_default();
    let meta = fs::metadata(Path::new(std::ffi::OsStr::from_bytes(top)))?;
    let upper = Path::new(UPPER).join("upper");
    for directory in [&upper, &Path::new(UPPER).join("work")] {
        match fs::create_dir(directory) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
    }
    // An owner that is in no map is shown as nobody, to whom nothing can be given.
    let _ = chown(&upper, Some(meta.uid()), Some(meta.gid()));
    fs::set_permissions(&upper, Permissions::from_mode(meta.mode() & 0o1777))
}

/// Comes back only where it failed.
#[allow(
    clippy::disallowed_methods,
    reason = "it takes the place of this process, in the sandbox that was made for it"
)]
fn execute(program: &OsString, lower: &OsString) -> io::Error {
    let mut options = OsString::from("lowerdir=");
    options.push(lower);
    // Without a cache for writes, so that whoever writes is told when there is no more room.
    options.push(format!(
        ",upperdir={UPPER}/upper,workdir={UPPER}/work,writeback=0"
    ));
    Command::new(program)
        .args(["-f", "-o"])
        .arg(options)
        // Standard input is the device, and it is mounted already.
        .arg("/dev/fd/0")
        .exec()
}

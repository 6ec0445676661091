//! Files of the host on standard streams: under strict they are relayed, and what a descriptor allows beyond reading and writing is not
//! in reach.

use super::{profile, under};
use crate::util::{Dir, Out, Sbx, hand_over};
use std::fs::{File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};

/// What changes a file by its descriptor, each on its own; 5 is a duplicate of the stream.
const CHANGES: [&str; 6] = [
    "fchmod 5 0o600",
    "fchmod 5 0o4755",
    "utimensat 5 0 @w:1,0,1,0 0",
    "ftruncate 5 1",
    "fsetxattr 5 @s:user.x @s:y 1 0",
    "openat -100 @s:/proc/self/fd/5 0x201",
];

const NOTHING: [&str; 0] = [];

/// All that can be seen of a file that is changed: each change moves the last time.
fn state(file: &File) -> (u32, u64, i64, (i64, i64)) {
    let meta = file.metadata().expect("the file");
    (
        meta.mode(),
        meta.len(),
        meta.mtime(),
        (meta.ctime(), meta.ctime_nsec()),
    )
}

/// Runs sbx with a file on one of its standard streams, and nothing on the others but pipes for the answers.
fn with_stream(sbx: Sbx, stream: usize, file: File) -> Out {
    let (mut command, _home) = sbx.into_command();
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let set = [Command::stdin, Command::stdout, Command::stderr][stream];
    set(&mut command, file);
    Out::from(command.output().expect("sbx starts"))
}

/// The changes of [`CHANGES`] that a command makes to the file that is one of its standard streams.
fn changed(name: &str, flags: &[&str], stream: usize) -> Vec<&'static str> {
    let done = |change: &&str| {
        let dir = Dir::new();
        let path = dir.write("file", "words");
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("chmod");
        hand_over(&path);
        let open = || File::options().read(true).append(true).open(&path);
        let (file, seen) = (open().expect("the file"), open().expect("the file"));
        let before = state(&seen);
        let run = under(name).args(flags);
        let run = run.args(["host", "--", "/bin/sh", "-c"]);
        // The answers go elsewhere, so that they do not change the file.
        let script = format!("exec 5>&{stream}; exec /attacker '{change}' >/dev/null 2>&1");
        with_stream(run.args([script]), stream, file).code(0);
        state(&seen) != before
    };
    CHANGES.into_iter().filter(done).collect()
}

#[test]
fn a_file_on_a_standard_stream_is_out_of_reach_in_strict() {
    let off = ["--enforce", "seccomp=off", "--enforce", "landlock=off"];
    for stream in 0..3 {
        assert_eq!(changed("strict", &[], stream), NOTHING, "{stream}");
        // The pipe alone keeps it so.
        assert_eq!(changed("strict", &off, stream), NOTHING, "{stream}");
    }
    let open = |stream| changed(&profile("streams-passed"), &off, stream);
    assert_eq!([open(0), open(1), open(2)], [CHANGES; 3]);
}

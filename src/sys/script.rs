//! Scripts that tests write and run.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Writes a script, from its `#!` on, that can be run at once.
///
/// Another process writes it: were it open for writing here, a process that another test starts at that moment would have it open too,
/// and it could not be run (ETXTBSY).
#[allow(clippy::disallowed_methods, reason = "a test")]
pub fn write(path: &Path, text: &str) {
    let source = path.with_extension("source");
    fs::create_dir_all(path.parent().expect("a parent")).expect("mkdir");
    fs::write(&source, text).expect("write");
    let mut install = Command::new("install");
    let done = install.args(["-m", "755"]).arg(&source).arg(path).status();
    assert!(done.expect("install").success());
    fs::remove_file(&source).expect("its source");
}

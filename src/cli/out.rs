//! The only place that prints: data to standard output, words to standard error.

use std::fmt;
use std::io::{self, Write};

/// Prints data. A closed pipe is not an error: the reader has what it wanted.
///
/// # Errors
/// When standard output cannot be written for another reason (a full disk).
pub fn data(text: impl fmt::Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Prints a page of help.
pub fn page(text: impl fmt::Display) -> std::process::ExitCode {
    match data(text.to_string().trim_end()) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(_) => std::process::ExitCode::FAILURE,
    }
}

/// Prints words. What cannot be said is left unsaid: standard error may be closed.
pub fn words(text: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Text from outside (a profile, an image, a file name) with everything escaped that a terminal would act on.
#[must_use]
pub fn escaped(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            if c.is_control() {
                c.escape_default().collect()
            } else {
                vec![c]
            }
        })
        .collect()
}

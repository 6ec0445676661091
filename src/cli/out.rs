//! The only place that prints: data to standard output, words to standard error.

use super::report::Report;
use crate::sys::Errno;
use crate::sys::signal::Interruptible;
use serde::Serialize;
use std::fmt;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

/// Prints data. A closed pipe is not an error: the reader has what it wanted.
///
/// # Errors
/// When standard output cannot be written for another reason (a full disk).
pub fn data(text: impl fmt::Display) -> Result<(), Report> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(Report::sbx(format!("standard output: {e}"))),
        _ => Ok(()),
    }
}

/// Prints a page of help.
pub fn page(text: impl fmt::Display) -> u8 {
    match data(text.to_string().trim_end()) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

/// Prints words. What cannot be said is left unsaid: standard error may be closed.
///
/// The last wall against names that would act on the terminal: whoever builds a message escapes what comes from outside, and what was
/// forgotten is escaped here. Only the ends of lines stay.
pub fn words(text: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{}", lines(&text.to_string()));
}

/// Prints words about the end of a run, as long as they are read: `until` as in [`Supervised`](crate::sandbox::Supervised).
pub fn last_words(texts: impl IntoIterator<Item = String>, until: Option<Instant>) {
    let text: String = texts.into_iter().map(|text| lines(&text) + "\n").collect();
    if !text.is_empty() {
        let _ = write_while_read(io::stderr().lock().as_fd(), text.as_bytes(), until);
    }
}

/// Writes all of it, unless its reader has stopped when it is time to end, or a signal asks for the end.
///
/// # Errors
/// As write(2).
pub fn write_while_read(to: BorrowedFd<'_>, mut bytes: &[u8], until: Option<Instant>) -> Result<(), Errno> {
    let waiting = Interruptible::new(until);
    while !bytes.is_empty() {
        match nix::unistd::write(to, bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::EINTR) if waiting.ended() => break,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Whether words are read on a terminal.
#[must_use]
pub fn on_terminal() -> bool {
    io::IsTerminal::is_terminal(&io::stderr())
}

/// Draws lines on the terminal, over those that were drawn last.
pub fn redraw(last: usize, texts: &[String]) {
    use std::fmt::Write as _;
    let mut all = String::new();
    if last > 0 {
        // Up to the first of them.
        let _ = write!(all, "\x1b[{last}A");
    }
    for text in texts {
        let _ = writeln!(all, "\r\x1b[K{}", escaped(text));
    }
    let _ = io::stderr().lock().write_all(all.as_bytes());
}

/// A text of several lines, each escaped.
#[must_use]
pub fn lines(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(escaped).collect();
    lines.join("\n")
}

/// Whether a terminal would act on it, or it turns the direction of writing.
fn acts(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text from outside (a profile, an image, a file name) with everything escaped that a terminal would act on, and what turns the
/// direction of writing, so that a name is read as it is.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if acts(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// JSON for people to read and programs to take.
///
/// # Errors
/// Never for what has names and numbers alone.
pub fn json(value: &impl Serialize) -> Result<String, Report> {
    let text = serde_json::to_string_pretty(value).map_err(Report::sbx)?;
    Ok(numbered(&text))
}

/// JSON in which what a terminal would act on is written by its number: serde_json leaves some of it as it is.
#[must_use]
pub fn numbered(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        // Line ends are the only ones that stand outside of strings.
        if c == '\n' || !acts(c) {
            safe.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    safe
}

#[cfg(test)]
pub(super) const EVIL: &str = "a\x1b[31m\u{9b}31m\u{202e}b\n\u{7f}\u{fc}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_does_nothing_to_a_terminal_and_loses_nothing() {
        let text = json(&[EVIL]).expect("JSON");
        assert!(
            text.chars()
                .all(|c| c == '\n' || escaped(&c.to_string()) == c.to_string()),
            "{text:?}"
        );
        let back: Vec<String> = serde_json::from_str(&text).expect("JSON");
        assert_eq!(back, [EVIL]);
    }
}

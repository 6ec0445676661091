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

/// Text from outside (a profile, an image, a file name) with everything escaped that a terminal would act on, and what turns the
/// direction of writing, so that a name is read as it is.
#[must_use]
pub fn escaped(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let turns =
                matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            if c.is_control() || turns {
                c.escape_default().collect()
            } else {
                vec![c]
            }
        })
        .collect()
}

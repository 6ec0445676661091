//! A password, from the terminal or from standard input. It is never an argument: those are everybody's to read.

use crate::cli::report::Report;
use crate::sys::tty;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;

/// More than any registry's token has.
const LONGEST: usize = 16 << 10;

/// From standard input, without the end of the line.
///
/// # Errors
/// It cannot be read, or is no password.
pub(super) fn from_stdin() -> Result<String, Report> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().take(LONGEST as u64 + 3).read_to_end(&mut bytes);
    read.map_err(|e| Report::sbx(format!("the password on standard input: {e}")))?;
    let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    checked(text.strip_suffix(b"\r").unwrap_or(text), "standard input")
}

fn checked(bytes: &[u8], from: &str) -> Result<String, Report> {
    let wrong = |why: &str| Report::usage(format!("the password on {from} {why}"));
    if bytes.is_empty() {
        return Err(wrong("is empty"));
    }
    if bytes.len() > LONGEST {
        return Err(wrong("has more than 16 KiB"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| wrong("is not UTF-8"))?;
    match text.contains(char::is_control) {
        true => Err(wrong("holds control characters: one line is read")),
        false => Ok(text.to_owned()),
    }
}

/// The terminal that this process belongs to, whatever its streams are.
fn terminal(what: &str) -> Result<File, Report> {
    let terminal = File::options().read(true).write(true).open("/dev/tty");
    terminal.map_err(|e| {
        Report::usage(format!("no terminal to ask for the {what} at ({e})"))
            .hint("-u NAME --password-stdin takes the password from standard input")
    })
}

/// A name, which may be seen.
///
/// # Errors
/// There is no terminal, or nothing was typed.
pub(super) fn ask_name(question: &str) -> Result<String, Report> {
    let bytes = typed(terminal("name")?, question, true)?;
    match String::from_utf8(bytes) {
        Ok(name) if !name.is_empty() && !name.contains(char::is_control) => Ok(name),
        _ => Err(Report::usage("no name was typed")),
    }
}

/// A password, which is not seen.
///
/// # Errors
/// There is no terminal, or nothing was typed.
pub(super) fn ask(question: &str) -> Result<String, Report> {
    checked(&typed(terminal("password")?, question, false)?, "the terminal")
}

/// A line of keys. The terminal sends no signals meanwhile: whoever was killed by one would leave it without echo.
fn typed(mut terminal: File, question: &str, seen: bool) -> Result<Vec<u8>, Report> {
    let failed = |e: std::io::Error| Report::sbx(format!("the terminal: {e}"));
    let before = tty::modes(terminal.as_fd()).map_err(|e| failed(e.into()))?;
    // First: who answers faster than the modes change is seen.
    tty::set_modes(terminal.as_fd(), &before.raw()).map_err(|e| failed(e.into()))?;
    let asked = terminal.write_all(question.as_bytes());
    let line = asked.and_then(|()| keys(&mut terminal, seen));
    let restored = tty::set_modes(terminal.as_fd(), &before);
    let _ = terminal.write_all(b"\n");
    restored.map_err(|e| failed(e.into()))?;
    line.map_err(failed)?
        .ok_or_else(|| Report::sbx("nothing was typed to its end: not logged in"))
}

/// `None` when it was given up.
fn keys(terminal: &mut (impl Read + Write), seen: bool) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut key = [0];
    loop {
        match terminal.read(&mut key) {
            Ok(0) => return Ok(None),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            other => drop(other?),
        }
        let [byte] = key;
        match byte {
            b'\r' | b'\n' => return Ok(Some(line)),
            // Ctrl-C, Ctrl-\, Ctrl-D.
            3 | 28 | 4 => return Ok(None),
            // Ctrl-U.
            0x15 => {
                while erase(&mut line) {
                    show(terminal, seen, b"\x08 \x08")?;
                }
            }
            // Backspace, by either of its codes.
            8 | 0x7f => {
                if erase(&mut line) {
                    show(terminal, seen, b"\x08 \x08")?;
                }
            }
            _ if line.len() > LONGEST => {}
            byte => {
                line.push(byte);
                show(terminal, seen && !byte.is_ascii_control(), &[byte])?;
            }
        }
    }
}

fn show(terminal: &mut impl Write, seen: bool, bytes: &[u8]) -> std::io::Result<()> {
    if seen { terminal.write_all(bytes) } else { Ok(()) }
}

/// Takes away one letter, which may be several bytes; whether there was one.
fn erase(line: &mut Vec<u8>) -> bool {
    while let Some(byte) = line.pop() {
        if byte & 0xc0 != 0x80 {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    struct Keyboard(io::Cursor<Vec<u8>>, Vec<u8>);

    impl Read for Keyboard {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            self.0.read(to)
        }
    }

    impl Write for Keyboard {
        fn write(&mut self, from: &[u8]) -> io::Result<usize> {
            self.1.write(from)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn keys_become_a_line() {
        for (pressed, expected) in [
            ("secret\r", Some("secret")),
            ("secret\nmore", Some("secret")),
            ("sex\x7fcret\r", Some("secret")),
            ("\u{e4}\u{f6}\x08\r", Some("\u{e4}")),
            ("wrong\x15right\r", Some("right")),
            ("\x7f\x7fa\r", Some("a")),
            ("sec\x03", None),
            ("sec\x04", None),
            ("sec", None),
            ("\r", Some("")),
        ] {
            for seen in [false, true] {
                let mut keyboard = Keyboard(io::Cursor::new(pressed.into()), Vec::new());
                let line = keys(&mut keyboard, seen).expect("keys");
                assert_eq!(line.as_deref(), expected.map(str::as_bytes), "{pressed:?}");
                assert!(seen || keyboard.1.is_empty(), "nothing is shown");
            }
        }
    }

    #[test]
    fn a_password_is_one_line_of_text() {
        assert_eq!(checked(b"p w", "x").expect("fine"), "p w");
        let long = vec![b'x'; LONGEST + 1];
        for wrong in [&b""[..], b"a\nb", b"\xff", b"a\0", &long] {
            assert!(checked(wrong, "x").is_err());
        }
    }
}

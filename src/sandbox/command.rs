//! What execve(2) gets.

use super::operation::{Exec, Operation};
use super::prepare::{PrepareError, text};
use crate::sys::process::Strings;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// A command without a slash is looked for in the sandbox's own `PATH`, by trying: what is there is not known before the pivot.
pub(super) fn exec(
    command: &[OsString],
    environment: &[(OsString, OsString)],
) -> Result<Operation, PrepareError> {
    let name = command.first().cloned().unwrap_or_default();
    let mut candidates = Vec::new();
    if name.as_bytes().contains(&b'/') {
        candidates.push(text(name.as_bytes(), "the command")?);
    } else if !name.is_empty() {
        let search = environment
            .iter()
            .find(|(n, _)| n == "PATH")
            .map(|(_, v)| v.as_bytes())
            .unwrap_or_default();
        for directory in search.split(|b| *b == b':').filter(|d| d.starts_with(b"/")) {
            candidates.push(text([directory, b"/", name.as_bytes()].concat(), "the command")?);
        }
    }
    let arguments = command
        .iter()
        .map(|a| text(a.as_bytes(), "an argument"))
        .collect::<Result<_, _>>()?;
    let mut variables = Vec::with_capacity(environment.len());
    for (name, value) in environment {
        let line = [name.as_bytes(), b"=", value.as_bytes()].concat();
        variables.push(text(OsString::from_vec(line).into_vec(), "the environment")?);
    }
    Ok(Operation::Exec(Box::new(Exec {
        candidates,
        arguments: Strings::new(arguments),
        environment: Strings::new(variables),
    })))
}

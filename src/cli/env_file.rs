//! `--env` and `--env-file`.

use super::report::Report;
use super::text_file::text_file;
use crate::model::{Origin, Set};
use crate::profile::Profile;
use std::path::Path;

/// Larger files are not lists of variables.
const LIMIT: u64 = 1 << 20;

/// `NAME=VALUE` sets, `NAME` passes the caller's own.
pub(super) fn put(p: &mut Profile, text: &str, origin: &Origin) -> Result<(), &'static str> {
    let (name, value) = text.split_once('=').map_or((text, None), |(n, v)| (n, Some(v)));
    if name.is_empty() || name.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err("a variable's name is not empty and has no blanks; write NAME=VALUE or NAME");
    }
    if value.is_some_and(|v| v.contains('\0')) {
        return Err("a value cannot contain NUL");
    }
    match value {
        Some(value) => {
            p.environment
                .set
                .insert(name.to_owned(), Set::new(value.to_owned(), origin.clone()));
        }
        None if name.contains('*') => return Err("only a profile may pass variables by pattern"),
        None => {
            p.environment.set.remove(name);
            p.environment.pass.push(Set::new(name.to_owned(), origin.clone()));
        }
    }
    Ok(())
}

/// Reads a file as docker does: blank lines and lines that start with `#` are skipped.
pub(super) fn read(file: &Path, p: &mut Profile) -> Result<(), Report> {
    let shown = file.display().to_string().escape_debug().to_string();
    let fail = |why: String| Report::usage(format!("--env-file {shown}: {why}"));
    let text = text_file(file, LIMIT).map_err(fail)?;
    for (number, line) in (1u32..).zip(text.lines()) {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let origin = Origin::File {
            path: shown.as_str().into(),
            line: number,
            column: 1,
        };
        put(p, line, &origin).map_err(|why| Report::usage(format!("{shown}:{number}: {why}")))?;
    }
    Ok(())
}

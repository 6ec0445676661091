//! What the caller's environment says, as data: everything here is asked for by name, and only the outermost caller reads the real one.

use std::ffi::OsString;
use std::path::PathBuf;

/// Looks a variable up.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// A variable that is set to something.
#[must_use]
pub fn variable(lookup: Lookup<'_>, name: &str) -> Option<OsString> {
    lookup(name).filter(|value| !value.is_empty())
}

/// A variable that holds an absolute path; the base directory specification passes over relative ones.
#[must_use]
pub fn directory(lookup: Lookup<'_>, name: &str) -> Option<PathBuf> {
    variable(lookup, name)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}

/// `$XDG_CONFIG_HOME`, or `~/.config`.
#[must_use]
pub fn config_home(lookup: Lookup<'_>) -> Option<PathBuf> {
    let home = || directory(lookup, "HOME").map(|home| home.join(".config"));
    directory(lookup, "XDG_CONFIG_HOME").or_else(home)
}

/// A path as messages show it.
pub(crate) fn shown_path(path: &std::path::Path) -> String {
    path.as_os_str().as_encoded_bytes().escape_ascii().to_string()
}

/// Reads a small regular file of the host's configuration; what is no such file is an error, a FIFO too, which would never answer.
///
/// # Errors
/// As open(2) and read(2); `InvalidInput` for what is no regular file, `FileTooLarge` above `maximum` bytes.
pub(crate) fn read_file(
    path: &std::path::Path,
    maximum: u64,
) -> std::io::Result<(Vec<u8>, std::fs::Metadata)> {
    use std::io::{Error, ErrorKind, Read};
    use std::os::unix::fs::OpenOptionsExt;
    let file = std::fs::File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Error::new(ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(maximum + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > maximum {
        let what = format!("larger than {} KiB", maximum >> 10);
        return Err(Error::new(ErrorKind::FileTooLarge, what));
    }
    Ok((bytes, metadata))
}

#[cfg(test)]
pub(crate) fn of<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<OsString> + 'a {
    move |name| {
        let found = pairs.iter().find(|(n, _)| *n == name);
        found.map(|(_, value)| OsString::from(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::path::Path;

    #[test]
    fn only_absolute_paths_count() {
        for (pairs, expected) in [
            (&[("XDG_CONFIG_HOME", "/c"), ("HOME", "/h")][..], Some("/c")),
            (&[("XDG_CONFIG_HOME", "c"), ("HOME", "/h")], Some("/h/.config")),
            (&[("XDG_CONFIG_HOME", ""), ("HOME", "/h")], Some("/h/.config")),
            (&[("HOME", "h")], None),
            (&[], None),
        ] {
            assert_eq!(config_home(&of(pairs)).as_deref(), expected.map(Path::new));
        }
    }

    #[test]
    fn only_small_regular_files_are_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("mkfifo");
        let kind = |p: &Path| read_file(p, 16).map(|(b, _)| b.len()).map_err(|e| e.kind());
        assert_eq!(kind(&fifo), Err(ErrorKind::InvalidInput));
        assert_eq!(kind(dir.path()), Err(ErrorKind::InvalidInput));
        assert_eq!(kind(&dir.path().join("none")), Err(ErrorKind::NotFound));
        let file = dir.path().join("file");
        std::fs::write(&file, [b'x'; 16]).expect("write");
        assert_eq!(kind(&file), Ok(16));
        std::fs::write(&file, [b'x'; 17]).expect("write");
        assert_eq!(kind(&file), Err(ErrorKind::FileTooLarge));
    }
}

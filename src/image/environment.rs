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

/// `$XDG_DATA_HOME`, or `~/.local/share`.
#[must_use]
pub fn data_home(lookup: Lookup<'_>) -> Option<PathBuf> {
    let home = || directory(lookup, "HOME").map(|home| home.join(".local/share"));
    directory(lookup, "XDG_DATA_HOME").or_else(home)
}

/// A path as messages show it.
pub(crate) fn shown_path(path: &std::path::Path) -> String {
    path.as_os_str().as_encoded_bytes().escape_ascii().to_string()
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
}

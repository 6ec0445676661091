//! Which files of registries.conf there are, in the order in which later ones win.

use super::Registries;
use super::read::{Fault, read};
use crate::image::environment::{Lookup, config_home, shown_path, variable};
use crate::sys::small::{self, Unread};
use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

const MAXIMUM: u64 = 1 << 20;
/// More drop-ins than anybody has.
const DROP_INS: usize = 1000;

/// Why the files could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A file or directory cannot be read.
    #[error("cannot read {}: {error}", shown_path(.path))]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file is no text.
    #[error("{} is not UTF-8", shown_path(.0))]
    NotText(PathBuf),
    /// A file is wrong.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Reads everything that there is; nothing at all is fine.
///
/// # Errors
/// At the first file that is there and cannot be read, or is wrong: it may hold a rule that blocks. That holds for the default paths too,
/// unlike a file of credentials, without which less can be pulled and not more.
pub fn load(lookup: Lookup<'_>) -> Result<Registries, FilesError> {
    load_with(lookup, Path::new("/etc/containers"))
}

fn load_with(lookup: Lookup<'_>, system: &Path) -> Result<Registries, FilesError> {
    let mut registries = Registries::default();
    for path in files(lookup, system)? {
        let unreadable = |why: Unread| FilesError::Unreadable {
            path: path.clone(),
            error: why.into(),
        };
        let bytes = small::read(&path, MAXIMUM).map_err(unreadable)?;
        let text = String::from_utf8(bytes).map_err(|_| FilesError::NotText(path.clone()))?;
        registries.overlay(read(&path, &text)?);
    }
    Ok(registries)
}

/// The user's registries.conf stands in place of the system's and of the system's drop-ins: containers-registries.conf.d(5).
fn files(lookup: Lookup<'_>, system: &Path) -> Result<Vec<PathBuf>, FilesError> {
    const NAME: &str = "registries.conf";
    let user = config_home(lookup).map(|config| config.join("containers"));
    let named = variable(lookup, "CONTAINERS_REGISTRIES_CONF").map(PathBuf::from);
    let own = user.as_ref().map(|user| user.join(NAME)).filter(|own| there(own));
    let mut files = Vec::new();
    match (named, own) {
        // One that is named must be there.
        (Some(named), _) => files.push(named),
        (None, Some(own)) => {
            files.push(own);
            files.extend(user.map(|user| drop_ins(&user)).transpose()?.unwrap_or_default());
            return Ok(files);
        }
        (None, None) => files.extend(Some(system.join(NAME)).filter(|path| there(path))),
    }
    files.extend(drop_ins(system)?);
    if let Some(user) = user {
        files.extend(drop_ins(&user)?);
    }
    Ok(files)
}

/// What cannot be looked at counts as there: opening it says why.
fn there(path: &Path) -> bool {
    !matches!(path.symlink_metadata(), Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory))
}

fn drop_ins(beside: &Path) -> Result<Vec<PathBuf>, FilesError> {
    let directory = beside.join("registries.conf.d");
    if !there(&directory) {
        return Ok(Vec::new());
    }
    let unreadable = |error| FilesError::Unreadable {
        path: directory.clone(),
        error,
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension() == Some(OsStr::new("conf")) && !path.is_dir() {
            found.push(path);
        }
        if found.len() > DROP_INS {
            let what = format!("more than {DROP_INS} files");
            return Err(unreadable(io::Error::other(what)));
        }
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::environment::of;
    use std::fs;

    fn search(host: &str) -> String {
        format!("unqualified-search-registries = [\"{host}\"]\n")
    }

    #[test]
    fn later_files_win() {
        let dir = tempfile::tempdir().expect("a directory");
        let (system, home) = (dir.path().join("etc"), dir.path().join("config"));
        let config = home.to_str().expect("text").to_owned();
        let pairs = [("XDG_CONFIG_HOME", config.as_str())];
        let write = |path: PathBuf, host: &str| {
            fs::create_dir_all(path.parent().expect("a parent")).expect("mkdir");
            fs::write(path, search(host)).expect("write");
        };
        let first = || {
            let all = load_with(&of(&pairs), &system).expect("fine");
            all.search.map(|s| s.concat())
        };
        assert_eq!(first(), None);
        write(system.join("registries.conf"), "a.a");
        assert_eq!(first().as_deref(), Some("a.a"));
        write(system.join("registries.conf.d/20.conf"), "c.c");
        write(system.join("registries.conf.d/10.conf"), "b.b");
        write(system.join("registries.conf.d/30.conf~"), "x.x");
        write(system.join("registries.conf.d/40.conf/y"), "x.x");
        assert_eq!(first().as_deref(), Some("c.c"));
        write(home.join("containers/registries.conf.d/00.conf"), "d.d");
        assert_eq!(first().as_deref(), Some("d.d"));
        let aliases = "[aliases]\na = \"b.c/d\"\n";
        fs::write(system.join("registries.conf.d/99.conf"), aliases).expect("write");
        assert_eq!(load_with(&of(&pairs), &system).expect("fine").aliases.len(), 1);
        write(home.join("containers/registries.conf"), "e.e");
        assert_eq!(first().as_deref(), Some("d.d"));
        assert_eq!(load_with(&of(&pairs), &system).expect("fine").aliases.len(), 0);
        let named = dir.path().join("named");
        let text = named.to_str().expect("text");
        let pairs = [("CONTAINERS_REGISTRIES_CONF", text)];
        let line = load_with(&of(&pairs), &system).expect_err("none").to_string();
        assert!(
            line.starts_with("cannot read ") && line.contains("named: "),
            "{line}"
        );
        fs::remove_dir_all(system.join("registries.conf.d")).expect("rm");
        fs::write(&named, search("f.f")).expect("write");
        let all = load_with(&of(&pairs), &system).expect("fine");
        assert_eq!(all.search, Some(vec!["f.f".to_owned()]));
    }

    #[test]
    fn a_file_that_is_wrong_is_never_passed_over() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("registries.conf");
        let load = || {
            load_with(&of(&[]), dir.path())
                .map(|_| ())
                .map_err(|e| e.to_string())
        };
        for (bytes, part) in [
            (&b"\xff"[..], "registries.conf is not UTF-8"),
            (b"\nx = ", "registries.conf:2: "),
            (b"[[registry]]\nblocked = 1", "registries.conf:2: invalid type"),
        ] {
            fs::write(&file, bytes).expect("write");
            let line = load().expect_err("wrong");
            assert!(line.contains(part), "{line}");
        }
        fs::remove_file(&file).expect("rm");
        std::os::unix::fs::symlink("nowhere", &file).expect("link");
        assert!(load().expect_err("dangling").starts_with("cannot read "));
        fs::remove_file(&file).expect("rm");
        fs::create_dir(&file).expect("mkdir");
        assert!(load().expect_err("directory").contains("not a regular file"));
        fs::remove_dir(&file).expect("rm");
        fs::write(dir.path().join("registries.conf.d"), "").expect("write");
        assert!(load().expect_err("no directory").contains("registries.conf.d: "));
    }
}

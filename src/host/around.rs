//! What lies around sbx on this machine and is no fact of a run: which `sbx` the shell starts, where images would be kept, whose
//! sub-ids are whose.

use super::{accounts, files};
use crate::model::host::Caller;
use nix::unistd::{AccessFlags, access};
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Around {
    /// Which `sbx` the shell finds.
    pub(crate) path: OnPath,
    /// Where images are kept.
    pub(crate) store: Store,
    /// Entries of others that overlap the caller's sub-ids: the file and whose entry it is.
    pub(crate) shared_sub_ids: Vec<(String, String)>,
    /// The caller's lines that cannot be used: the file, and the line with the reason.
    pub(crate) unusable_sub_ids: Vec<(String, String)>,
    /// This process's line of `/proc/self/cgroup` for cgroup v2.
    pub(crate) own_cgroup: Option<String>,
    /// systemd is the machine's init.
    pub(crate) systemd: bool,
    /// The caller's own systemd answers on its bus: `systemd-run --user` works.
    pub(crate) user_systemd: bool,
}

/// Which `sbx` the shell finds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum OnPath {
    /// This one.
    This,
    /// None.
    #[default]
    None,
    /// Another file.
    Other(PathBuf),
}

/// The store, which doctor never makes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Store {
    /// Where it is, or would be.
    pub(crate) path: PathBuf,
    /// Its nearest parent that exists.
    pub(crate) parent: PathBuf,
    /// Why that cannot be written.
    pub(crate) refused: Option<String>,
}

/// Looks.
pub(super) fn look(caller: &Caller, program: Option<&Path>) -> Around {
    let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty());
    let own = files::text(Path::new("/proc/self/cgroup"));
    Around {
        path: on_path(variable("PATH").as_deref(), program),
        store: store(
            variable("XDG_DATA_HOME").map(PathBuf::from),
            caller.home.as_deref(),
        ),
        shared_sub_ids: of_sub_ids(caller, accounts::shared),
        unusable_sub_ids: of_sub_ids(caller, accounts::unusable),
        own_cgroup: own.lines().find_map(|l| l.strip_prefix("0::")).map(str::to_owned),
        systemd: Path::new("/run/systemd/system").is_dir(),
        user_systemd: Path::new("/run/user")
            .join(caller.uid.to_string())
            .join("systemd/private")
            .exists(),
    }
}

/// What `ask` finds in `/etc/subuid` and `/etc/subgid`, each with the file.
fn of_sub_ids(
    caller: &Caller,
    ask: fn(&[u8], Option<&str>, u32, u32) -> Vec<String>,
) -> Vec<(String, String)> {
    let both = [("/etc/subuid", caller.uid), ("/etc/subgid", caller.gid)];
    let each = both.into_iter().flat_map(|(file, own)| {
        let text = files::read(Path::new(file)).unwrap_or_default();
        let found = ask(&text, caller.name.as_deref(), caller.uid, own);
        found.into_iter().map(move |words| (file.to_owned(), words))
    });
    each.collect()
}

/// The first executable `sbx` of `$PATH`, as a shell looks for it.
fn on_path(path: Option<&OsStr>, program: Option<&Path>) -> OnPath {
    let executable =
        |p: &PathBuf| std::fs::metadata(p).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    let found = path
        .map(std::env::split_paths)
        .and_then(|mut all| all.find_map(|d| Some(d.join("sbx")).filter(executable)));
    let Some(found) = found else {
        return OnPath::None;
    };
    // A link to this very file is this one.
    match (found.canonicalize(), program.map(Path::canonicalize)) {
        (Ok(one), Some(Ok(other))) if one == other => OnPath::This,
        _ => OnPath::Other(found),
    }
}

/// `$XDG_DATA_HOME/sbx`, else `~/.local/share/sbx`; a relative value is to be passed over (XDG Base Directory).
fn store(data: Option<PathBuf>, home: Option<&Path>) -> Store {
    let data = data
        .filter(|p| p.is_absolute())
        .or_else(|| home.map(|h| h.join(".local/share")));
    let Some(path) = data.map(|d| d.join("sbx")) else {
        return Store {
            refused: Some("no home directory is known".into()),
            ..Store::default()
        };
    };
    let parent = path
        .ancestors()
        .find(|p| p.symlink_metadata().is_ok())
        .unwrap_or(Path::new("/"))
        .to_owned();
    let refused = if parent.is_dir() {
        access(&parent, AccessFlags::W_OK | AccessFlags::X_OK)
            .err()
            .map(|e| e.desc().to_lowercase())
    } else {
        Some("not a directory".into())
    };
    Store {
        path,
        parent,
        refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_shell_takes_the_first_that_can_be_executed() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        for name in ["empty", "plain", "other", "own", "link", "directory/sbx"] {
            fs::create_dir_all(at(name)).expect("mkdir");
        }
        for (name, mode) in [("plain", 0o644), ("other", 0o755), ("own", 0o755)] {
            let path = at(name).join("sbx");
            fs::write(&path, "").expect("write");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("chmod");
        }
        std::os::unix::fs::symlink(at("own/sbx"), at("link/sbx")).expect("link");
        let own = at("own/sbx");
        let other = OnPath::Other(at("other/sbx"));
        for (path, expected) in [
            (vec!["empty", "own", "other"], OnPath::This),
            (vec!["plain", "directory", "link", "other"], OnPath::This),
            (vec!["empty", "other", "own"], other),
            (vec!["empty", "plain", "directory"], OnPath::None),
        ] {
            let joined = std::env::join_paths(path.iter().map(|p| at(p))).expect("a path");
            assert_eq!(on_path(Some(&joined), Some(&own)), expected, "{path:?}");
        }
        assert_eq!(on_path(None, Some(&own)), OnPath::None);
    }

    #[test]
    fn the_store_is_never_made_only_its_parent_looked_at() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = dir.path();
        let found = store(None, Some(home));
        assert_eq!(found.path, home.join(".local/share/sbx"));
        assert_eq!((found.parent.as_path(), found.refused), (home, None));
        assert_eq!(fs::read_dir(home).expect("read").count(), 0);
        let found = store(Some("relative".into()), Some(home));
        assert_eq!(found.path, home.join(".local/share/sbx"));
        let file = home.join("file");
        fs::write(&file, "").expect("write");
        let found = store(Some(file.clone()), None);
        assert_eq!(
            (found.parent, found.refused.as_deref()),
            (file, Some("not a directory"))
        );
        assert!(store(None, None).refused.is_some());
        // Nobody writes there, root neither.
        assert!(store(Some("/proc/sys".into()), None).refused.is_some() || nix::unistd::geteuid().is_root());
    }
}

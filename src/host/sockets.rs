//! Unix sockets in the directories that a sandbox shows: a read-only mount does not keep anybody from connecting to them.

use crate::model::HostPath;
use crate::model::facts::{Facts, Kind, Sockets};
use crate::policy::Policy;
use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// Directories that are searched beneath one mount. A directory costs about 10 µs.
const MOST_DIRECTORIES: usize = 512;
/// Names that are looked at beneath one mount.
const MOST_NAMES: usize = 16 << 10;

/// Looks at the sources of all mounts. `search`: beneath directories, too.
pub fn look_up(policy: &Policy, facts: &mut Facts, search: bool) {
    let mut sockets = Sockets::default();
    for bind in &policy.binds {
        let Some(found) = facts.sources.get(&bind.value.source) else {
            continue;
        };
        match found.kind {
            Kind::Directory if search => {
                let (all, complete) = beneath(found.real.as_path());
                if !all.is_empty() {
                    sockets.beneath.insert(found.real.clone(), all);
                }
                if !complete {
                    sockets.unsearched.insert(found.real.clone());
                }
            }
            Kind::File if is_socket(&found.real) => {
                sockets.named.insert(found.real.clone());
            }
            Kind::Directory | Kind::File | Kind::Device => {}
        }
    }
    facts.sockets = sockets;
}

fn is_socket(path: &HostPath) -> bool {
    fs::symlink_metadata(path.as_path()).is_ok_and(|meta| meta.file_type().is_socket())
}

/// The sockets beneath a directory, as relative paths, and whether all of it was searched. Those nearest to the top come first, so that
/// the limits cut off the deepest. Follows no link; asks for no file, since the directory tells what it is.
fn beneath(top: &Path) -> (Vec<PathBuf>, bool) {
    let mut found = Vec::new();
    let mut waiting = VecDeque::from([PathBuf::new()]);
    let (mut directories, mut names, mut complete) = (0, 0, true);
    while let Some(directory) = waiting.pop_front() {
        directories += 1;
        if directories > MOST_DIRECTORIES || names > MOST_NAMES {
            return (found, false);
        }
        let Ok(entries) = fs::read_dir(top.join(&directory)) else {
            // The command may know a name in a directory that cannot be listed.
            complete = false;
            continue;
        };
        for entry in entries {
            names += 1;
            let Ok((entry, kind)) = entry.and_then(|entry| entry.file_type().map(|kind| (entry, kind)))
            else {
                complete = false;
                continue;
            };
            let path = || directory.join(entry.file_name());
            if kind.is_socket() {
                found.push(path());
            } else if kind.is_dir() && waiting.len() <= MOST_DIRECTORIES {
                waiting.push_back(path());
            }
        }
    }
    (found, complete)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    #[test]
    fn sockets_are_found_at_every_depth_and_not_through_links() {
        let dir = tempfile::tempdir().expect("a directory");
        let other = tempfile::tempdir().expect("a directory");
        let deep = dir.path().join("a/b");
        fs::create_dir_all(&deep).expect("mkdir");
        symlink(other.path(), dir.path().join("link")).expect("a link");
        let places = [
            dir.path().join("top"),
            deep.join("deep"),
            other.path().join("outside"),
        ];
        let _listeners = places.map(|at| UnixListener::bind(at).expect("a listener"));
        let all = (vec![PathBuf::from("top"), PathBuf::from("a/b/deep")], true);
        assert_eq!(beneath(dir.path()), all);
        assert_eq!(beneath(Path::new("/nonexistent")), (vec![], false));
        if !nix::unistd::geteuid().is_root() {
            fs::set_permissions(&deep, fs::Permissions::from_mode(0o311)).expect("chmod");
            assert_eq!(beneath(dir.path()), (vec![PathBuf::from("top")], false));
            fs::set_permissions(&deep, fs::Permissions::from_mode(0o755)).expect("chmod");
        }
    }

    #[test]
    fn large_tree_is_searched_from_the_top_and_not_to_its_end() {
        let dir = tempfile::tempdir().expect("a directory");
        for number in 0..MOST_DIRECTORIES {
            fs::create_dir(dir.path().join(number.to_string())).expect("mkdir");
        }
        let _listener = UnixListener::bind(dir.path().join("top")).expect("a listener");
        assert_eq!(beneath(dir.path()), (vec![PathBuf::from("top")], false));
        fs::remove_dir(dir.path().join("0")).expect("rmdir");
        assert_eq!(beneath(dir.path()), (vec![PathBuf::from("top")], true));
    }
}

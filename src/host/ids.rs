//! newuidmap(1), newgidmap(1), and which ids they would give the caller; fuse-overlayfs(1).

use super::{accounts, files};
use crate::model::host::{Caller, Helper, IdHelpers};
use crate::model::{Host, HostPath};
use crate::sys;
use nix::sys::statvfs::{FsFlags, fstatvfs};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Directories that only root writes, in the order in which they are searched. Never `$PATH`: what is started here is handed the maps
/// of the sandbox. NixOS keeps its set-uid wrappers in the first.
const DIRECTORIES: [&str; 6] = [
    "/run/wrappers/bin",
    "/usr/bin",
    "/bin",
    "/usr/local/bin",
    "/usr/sbin",
    "/sbin",
];

/// Where programs are, likewise.
const PROGRAMS: [&str; 3] = ["/usr/bin", "/usr/local/bin", "/usr/sbin"];

/// Set-user-id, and the execute bit of others: without it an ordinary user cannot start the helper.
const SET_UID: u32 = 0o4000;

/// Fills in [`Host::id_helpers`], once: where nothing was found it costs least to look again.
pub fn look_for_id_helpers(host: &mut Host) {
    if host.id_helpers == IdHelpers::default() {
        host.id_helpers = id_helpers(&host.caller);
    }
}

/// Looks for the helpers, and reads `/etc/subuid` and `/etc/subgid`.
pub(super) fn id_helpers(caller: &Caller) -> IdHelpers {
    let ranges = |file: &str, own| {
        let text = files::read(Path::new(file)).unwrap_or_default();
        accounts::sub_ids(&text, caller.name.as_deref(), caller.uid, own)
    };
    // Root has what the helpers would give it.
    let barred = caller.uid != 0 && nix::sys::prctl::get_no_new_privs().unwrap_or(false);
    let helper = |name: &str| match find(name, &DIRECTORIES) {
        Helper::Ready(at) if barred => Helper::NoNewPrivileges(at),
        found => found,
    };
    IdHelpers {
        newuidmap: helper("newuidmap"),
        newgidmap: helper("newgidmap"),
        subuid: ranges("/etc/subuid", caller.uid),
        subgid: ranges("/etc/subgid", caller.gid),
    }
}

/// Looks for fuse-overlayfs(1) in the directories that every sandbox of the host's programs shows.
#[must_use]
pub fn fuse_overlayfs() -> Option<HostPath> {
    PROGRAMS.iter().find_map(|directory| {
        let path = Path::new(directory).join("fuse-overlayfs");
        let meta = std::fs::metadata(&path).ok()?;
        let program = meta.is_file() && meta.permissions().mode() & 0o001 != 0;
        HostPath::new(path).ok().filter(|_| program)
    })
}

/// The first that is ready, else the first that is there with what it lacks.
fn find(name: &str, directories: &[&str]) -> Helper {
    let mut best = Helper::Missing;
    for directory in directories {
        match look(&Path::new(directory).join(name)) {
            ready @ Helper::Ready(_) => return ready,
            lame if best == Helper::Missing => best = lame,
            _ => {}
        }
    }
    best
}

fn look(path: &Path) -> Helper {
    let missing = Helper::Missing;
    let Ok(at) = HostPath::new(path) else {
        return missing;
    };
    // O_PATH: an ordinary user may be allowed to execute the helper, yet not to read it.
    let Ok(file) = nix::fcntl::open(
        path,
        nix::fcntl::OFlag::O_PATH | nix::fcntl::OFlag::O_CLOEXEC,
        nix::sys::stat::Mode::empty(),
    ) else {
        return missing;
    };
    let Ok(stat) = nix::sys::stat::fstat(&file) else {
        return missing;
    };
    if stat.st_mode & libc::S_IFMT != libc::S_IFREG || stat.st_mode & 0o111 == 0 {
        return missing;
    }
    let set_uid = stat.st_uid == 0 && stat.st_mode & SET_UID != 0;
    // Fedora and Arch give it cap_setuid=ep instead.
    let privileged = set_uid || sys::fs::path_has_attribute(path, c"security.capability").unwrap_or(false);
    if !privileged {
        return Helper::NoPrivilege(at);
    }
    let nosuid = fstatvfs(file.as_fd()).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_NOSUID));
    if nosuid {
        return Helper::NoSuidMount(at);
    }
    Helper::Ready(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(directory: &Path, mode: u32) -> HostPath {
        let path = directory.join("helper");
        std::fs::create_dir_all(directory).expect("mkdir");
        std::fs::write(&path, "").expect("write");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("chmod");
        HostPath::new(path).expect("a path")
    }

    #[test]
    fn a_helper_needs_privilege() {
        let dir = tempfile::tempdir().expect("a directory");
        let empty = dir.path().join("empty");
        let plain = dir.path().join("plain");
        let mine = dir.path().join("mine");
        let directory = dir.path().join("directory");
        std::fs::create_dir_all(directory.join("helper")).expect("mkdir");
        let in_order = |all: &[&Path]| {
            let all: Vec<&str> = all.iter().map(|p| p.to_str().expect("UTF-8")).collect();
            find("helper", &all)
        };
        assert_eq!(in_order(&[&empty]), Helper::Missing);
        assert_eq!(in_order(&[&directory]), Helper::Missing);
        let at = write(&plain, 0o755);
        assert_eq!(in_order(&[&empty, &plain]), Helper::NoPrivilege(at.clone()));
        // A file that cannot be executed is none.
        write(&mine, 0o644);
        assert_eq!(in_order(&[&mine, &plain]), Helper::NoPrivilege(at.clone()));
        // Set-uid to whoever runs this test: worth something only if that is root.
        let mine = write(&mine, 0o4755);
        let found = in_order(&[&plain, Path::new(mine.as_path().parent().expect("a parent"))]);
        if nix::unistd::geteuid().is_root() {
            // A temporary directory may lie on a file system mounted nosuid.
            assert!(
                matches!(found, Helper::Ready(_) | Helper::NoPrivilege(_)),
                "{found:?}"
            );
        } else {
            assert_eq!(found, Helper::NoPrivilege(at));
        }
    }
}

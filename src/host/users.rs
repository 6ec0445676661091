//! Names of users in a root that somebody else has filled: its own `/etc/passwd` and `/etc/group`, never the host's.

use super::accounts;
use super::files;
use crate::model::HostPath;
use crate::sys::Errno;
use crate::sys::fs::{self, Resolve};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

/// The uid and gid of `--user NAME[:GROUP]`, by the files of a root directory. Links in it are followed inside it.
///
/// # Errors
/// With what is wrong: a file that cannot be read, or that has no such name.
pub(super) fn look_up(root: &HostPath, user: &str, group: Option<&str>) -> Result<(u32, u32), String> {
    let passwd = read(root, c"etc/passwd")?;
    let (uid, own) = accounts::user(&passwd, user).ok_or_else(|| absent(user, "passwd"))?;
    let gid = match group {
        None => own,
        Some(number) if number.bytes().all(|b| b.is_ascii_digit()) => {
            accounts::id(number.as_bytes()).ok_or_else(|| format!("`{number}` is no group id"))?
        }
        Some(name) => {
            accounts::group(&read(root, c"etc/group")?, name).ok_or_else(|| absent(name, "group"))?
        }
    };
    Ok((uid, gid))
}

fn absent(name: &str, file: &str) -> String {
    format!(
        "the root's /etc/{file} has no `{}`: write a number, root or caller",
        name.escape_debug()
    )
}

fn read(root: &HostPath, name: &CStr) -> Result<Vec<u8>, String> {
    let open = || {
        let root = CString::new(root.as_path().as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
        let root = fs::open(&root, libc::O_PATH | libc::O_DIRECTORY)?;
        fs::open_beneath(
            root.as_fd(),
            name,
            libc::O_RDONLY | libc::O_NONBLOCK,
            0,
            Resolve::IN_ROOT,
        )
    };
    let file = open().map_err(|errno| errno.to_string()).map(File::from);
    let text = file.and_then(|file| files::read_open(file).map_err(|e| e.to_string()));
    text.map_err(|why| {
        format!(
            "the root's /{}: {why}; write a number, root or caller",
            name.to_string_lossy()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs as std_fs;

    #[test]
    fn names_are_those_of_the_root() {
        let dir = tempfile::tempdir().expect("a directory");
        std_fs::create_dir(dir.path().join("etc")).expect("mkdir");
        let passwd = "root:x:0:0::/:/bin/sh\nbad:x:-1:0::/:\nwww:x:33:34::/:/bin/sh\nwww:x:0:0::/:\nhalf:x:5\nminus:x:4294967295:0::/:\n";
        std_fs::write(dir.path().join("etc/passwd"), passwd).expect("write");
        let root = HostPath::new(dir.path()).expect("a path");
        let ask = |user: &str, group: Option<&str>| look_up(&root, user, group);
        assert_eq!(ask("www", None), Ok((33, 34)));
        assert_eq!(ask("www", Some("7")), Ok((33, 7)));
        for (user, group, why) in [
            ("bad", None, "has no `bad`"),
            ("half", None, "has no `half`"),
            ("minus", None, "has no `minus`"),
            ("www", Some("99999999999"), "is no group id"),
            ("www", Some("staff"), "/etc/group: ENOENT"),
        ] {
            let said = ask(user, group).expect_err(user);
            assert!(said.contains(why), "{said}");
        }
        std_fs::write(dir.path().join("etc/group"), "staff:x:50:\n").expect("write");
        assert_eq!(ask("www", Some("staff")), Ok((33, 50)));
    }
}

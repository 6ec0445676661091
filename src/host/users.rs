//! Names of users in a root that somebody else has filled: its own `/etc/passwd` and `/etc/group`, never the host's.

use super::accounts;
use super::files;
use super::merged::Merged;
use crate::model::HostPath;
use crate::model::facts::User;
use crate::sys::fs::{self, Resolve};
use crate::sys::{Errno, Result as Call};
use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Opens a file of a root, below `/`.
type Open<'a> = &'a dyn Fn(&str) -> Call<File>;

/// Who `--user NAME[:GROUP]` is, by the files of a root directory. Links in it are followed inside it.
///
/// # Errors
/// With what is wrong: a file that cannot be read, or that has no such name.
pub(super) fn look_up(root: &HostPath, user: &str, group: Option<&str>) -> Result<User, String> {
    by_files(&|name| open_in(root, name), user, group)
}

/// The same in an image; there a number may stand for itself, without a line in passwd (as docker has it).
///
/// # Errors
/// As [`look_up`].
pub(super) fn look_up_in_layers(merged: &Merged, user: &str, group: Option<&str>) -> Result<User, String> {
    let open = |name: &str| merged.read(&Path::new("/").join(name));
    let number = Some(user).filter(|user| user.bytes().all(|b| b.is_ascii_digit()));
    let Some(number) = number else {
        return by_files(&open, user, group);
    };
    let uid = accounts::id(number.as_bytes()).ok_or_else(|| format!("`{number}` is no user id"))?;
    let known = match read(&open, "etc/passwd") {
        Ok(passwd) => accounts::user(&passwd, number),
        // An image may have no passwd at all.
        Err(_) => None,
    };
    let unknown = || {
        let user = User {
            uid,
            gid: 0,
            home: None,
            groups: Vec::new(),
        };
        (user, Vec::new())
    };
    in_group(&open, known.unwrap_or_else(unknown), group)
}

/// What `--group-add` means in a root directory.
///
/// # Errors
/// For a name that its group file does not have.
pub(super) fn groups(root: &HostPath, wanted: &[String]) -> Result<Vec<u32>, String> {
    by_number_or_name(&|name| open_in(root, name), wanted)
}

/// The same in an image.
///
/// # Errors
/// As [`groups`].
pub(super) fn groups_in_layers(merged: &Merged, wanted: &[String]) -> Result<Vec<u32>, String> {
    by_number_or_name(&|name| merged.read(&Path::new("/").join(name)), wanted)
}

/// Where there is no group file, as in the host's root, whose own is generated.
///
/// # Errors
/// For a name.
pub(super) fn groups_by_number(wanted: &[String]) -> Result<Vec<u32>, String> {
    by_number_or_name(&|_| Err(Errno::ENOENT), wanted)
}

fn by_number_or_name(open: Open<'_>, wanted: &[String]) -> Result<Vec<u32>, String> {
    wanted.iter().map(|group| gid(open, group)).collect()
}

fn gid(open: Open<'_>, group: &str) -> Result<u32, String> {
    if group.bytes().all(|b| b.is_ascii_digit()) {
        return accounts::id(group.as_bytes()).ok_or_else(|| format!("`{group}` is no group id"));
    }
    let why = |_| {
        format!(
            "`{}`: this root has no group file of its own: write a number",
            group.escape_debug()
        )
    };
    accounts::group(&read(open, "etc/group").map_err(why)?, group).ok_or_else(|| absent(group, "group"))
}

fn by_files(open: Open<'_>, user: &str, group: Option<&str>) -> Result<User, String> {
    let passwd = read(open, "etc/passwd")?;
    let own = accounts::user(&passwd, user).ok_or_else(|| absent(user, "passwd"))?;
    in_group(open, own, group)
}

/// Other groups are given only where none was named, as docker and podman have it.
fn in_group(open: Open<'_>, (user, name): (User, Vec<u8>), group: Option<&str>) -> Result<User, String> {
    let gid = match group {
        None if name.is_empty() => user.gid,
        None => {
            let file = read(open, "etc/group").unwrap_or_default();
            let groups = accounts::groups_of(&file, &name);
            return Ok(User { groups, ..user });
        }
        Some(number) if number.bytes().all(|b| b.is_ascii_digit()) => {
            accounts::id(number.as_bytes()).ok_or_else(|| format!("`{number}` is no group id"))?
        }
        Some(name) => {
            accounts::group(&read(open, "etc/group")?, name).ok_or_else(|| absent(name, "group"))?
        }
    };
    Ok(User { gid, ..user })
}

fn absent(name: &str, file: &str) -> String {
    format!(
        "the root's /etc/{file} has no `{}`: write a number, root or caller",
        name.escape_debug()
    )
}

fn open_in(root: &HostPath, name: &str) -> Call<File> {
    let c = |bytes: &[u8]| CString::new(bytes).map_err(|_| Errno::EINVAL);
    let root = fs::open(
        &c(root.as_path().as_os_str().as_bytes())?,
        libc::O_PATH | libc::O_DIRECTORY,
    )?;
    let flags = libc::O_RDONLY | libc::O_NONBLOCK;
    fs::open_beneath(root.as_fd(), &c(name.as_bytes())?, flags, 0, Resolve::IN_ROOT).map(File::from)
}

fn read(open: Open<'_>, name: &str) -> Result<Vec<u8>, String> {
    let file = open(name).map_err(|errno| errno.to_string());
    let text = file.and_then(|file| files::read_open(file).map_err(|e| e.to_string()));
    text.map_err(|why| format!("the root's /{name}: {why}; write a number, root or caller"))
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
        let ask =
            |user: &str, group: Option<&str>| look_up(&root, user, group).map(|found| (found.uid, found.gid));
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

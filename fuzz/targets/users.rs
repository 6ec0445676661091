//! `/etc/passwd` and `/etc/group` of a root that a stranger has filled. The first line is the user, the second the group, then passwd; a line
//! with `%` begins group.
#![no_main]

use sbx::host::sources::look_up;
use sbx::model::HostPath;
use sbx::model::host::HostTree;
use sbx::policy::{Policy, Root};
use sbx::profile::schema::UserSpec;
use sbx_fuzz::{a_policy, first_line, is_fit};
use std::cell::RefCell;
use std::fs;
use tempfile::TempDir;

struct Ground {
    dir: TempDir,
    policy: Policy,
}

fn ground() -> Ground {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("etc")).expect("mkdir");
    let policy = a_policy(Root::Directory(HostPath::new(dir.path()).expect("a path")));
    Ground { dir, policy }
}

thread_local!(static GROUND: RefCell<Ground> = RefCell::new(ground()));

/// Whether a file has a line with this number in its third field, and this name in its first unless the name is that number (`033` is 33).
fn has(file: &[u8], name: &str, number: u32) -> bool {
    file.split(|b| *b == b'\n').any(|line| {
        let fields: Vec<&[u8]> = line.split(|b| *b == b':').collect();
        let third = fields.get(2).and_then(|field| std::str::from_utf8(field).ok());
        let named = fields[0] == name.as_bytes() || name.parse() == Ok(number);
        named && third.and_then(|third| third.parse().ok()) == Some(number)
    })
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (user, rest) = first_line(data);
    let (group, rest) = first_line(rest);
    let (Ok(user), Ok(group)) = (std::str::from_utf8(user), std::str::from_utf8(group)) else {
        return;
    };
    let half = rest
        .windows(2)
        .position(|w| w == b"%\n")
        .map_or(rest.len(), |at| at);
    let (passwd, groups) = (&rest[..half], rest.get(half + 2..).unwrap_or_default());
    GROUND.with_borrow_mut(|Ground { dir, policy }| {
        fs::write(dir.path().join("etc/passwd"), passwd).expect("write");
        fs::write(dir.path().join("etc/group"), groups).expect("write");
        policy.user.value = UserSpec::Names {
            user: user.to_owned(),
            group: (!group.is_empty()).then(|| group.to_owned()),
        };
        match look_up(policy, &HostTree::default(), &[], None).user {
            Some(Ok(found)) => {
                assert_ne!(found.uid, u32::MAX);
                assert_ne!(found.gid, u32::MAX);
                assert!(has(passwd, user, found.uid), "{user:?} became {}", found.uid);
                if !group.is_empty() && !group.bytes().all(|b| b.is_ascii_digit()) {
                    assert!(has(groups, group, found.gid), "{group:?} became {}", found.gid);
                }
                assert!(found.home.is_none_or(|home| home.is_absolute()));
            }
            Some(Err(why)) => is_fit(&why),
            None => unreachable!("names were asked for"),
        }
    });
});

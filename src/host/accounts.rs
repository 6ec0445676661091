//! `/etc/passwd`, `/etc/subuid`, `/etc/subgid` and `/proc/self/uid_map`, read here because getpwuid(3) would load the host's NSS
//! modules into this process.
//!
//! Every line may be anything. A line that is not exactly what its manual page says is passed over.

use crate::model::IdRange;
use crate::model::facts::User;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// What passwd(5) says about one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    /// The login name.
    pub(super) name: String,
    /// The home directory, when it is absolute.
    pub(super) home: Option<PathBuf>,
}

/// The first line of a passwd(5) file with this user id, as getpwuid(3) answers.
pub(super) fn account(passwd: &[u8], uid: u32) -> Option<Account> {
    lines(passwd).find_map(|line| {
        let fields: Vec<&[u8]> = line.split(|b| *b == b':').collect();
        let [name, _, id, _, _, home, _] = fields.as_slice() else {
            return None;
        };
        if number(id)? != uid {
            return None;
        }
        Some(Account {
            name: std::str::from_utf8(name).ok().filter(|n| is_name(n))?.to_owned(),
            home: home
                .starts_with(b"/")
                .then(|| PathBuf::from(OsStr::from_bytes(home))),
        })
    })
}

/// The first line of a passwd(5) file with this name, or with this number where it is one and no name; and the name.
pub(super) fn user(passwd: &[u8], wanted: &str) -> Option<(User, Vec<u8>)> {
    let entry = |line: &[u8], by_name: bool| {
        let mut fields = line.split(|b| *b == b':');
        let name = fields.next()?;
        let (uid, gid) = (id(fields.nth(1)?)?, id(fields.next()?)?);
        let home = fields.nth(1).filter(|home| home.starts_with(b"/"));
        let found = if by_name {
            name == wanted.as_bytes()
        } else {
            id(wanted.as_bytes()) == Some(uid)
        };
        let user = User {
            uid,
            gid,
            home: home.map(|home| PathBuf::from(OsStr::from_bytes(home))),
            groups: Vec::new(),
        };
        found.then(|| (user, name.to_vec()))
    };
    let by = |by_name| lines(passwd).find_map(|line| entry(line, by_name));
    by(true).or_else(|| by(false))
}

/// No more than `--user` takes: -1 would leave the id as it is (setresuid(2)), and what is beyond 31 bits is -1 to some program.
pub(super) fn id(text: &[u8]) -> Option<u32> {
    number(text).filter(|id| *id <= 0x7fff_ffff)
}

/// The gid of the first line of a group(5) file with this name.
pub(super) fn group(file: &[u8], name: &str) -> Option<u32> {
    lines(file).find_map(|line| {
        let mut fields = line.split(|b| *b == b':');
        let found = fields.next()? == name.as_bytes();
        let gid = id(fields.nth(1)?)?;
        found.then_some(gid)
    })
}

/// The gids of all lines of a group(5) file that have a user among their members, as initgroups(3) finds them.
pub(super) fn groups_of(file: &[u8], name: &[u8]) -> Vec<u32> {
    // The kernel takes no more (NGROUPS_MAX).
    const MOST: usize = 65536;
    let mut found: Vec<u32> = lines(file)
        .filter_map(|line| {
            let mut fields = line.split(|b| *b == b':');
            let gid = id(fields.nth(2)?)?;
            let member = fields.next()?.split(|b| *b == b',').any(|member| member == name);
            member.then_some(gid)
        })
        .take(MOST)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// A name goes into generated account files and messages: a control character could forge a line of either.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 256 && !name.starts_with('-') && !name.contains(char::is_control)
}

/// The lines of a subuid(5) file that belong to a user, by name or by number: the range of each that can be used, or why it cannot.
///
/// A range that overlaps an earlier one of the same user is refused: a map that held an id twice would be refused whole. So is one that
/// holds id 0 or `own`, the user's own uid or gid, as newuidmap would refuse it too, or one that runs past the last id.
fn entries<'a>(
    file: &'a [u8],
    name: Option<&str>,
    id: u32,
    own: u32,
) -> Vec<(&'a [u8], Result<IdRange, String>)> {
    let mut all: Vec<(&[u8], Result<IdRange, String>)> = Vec::new();
    for line in lines(file) {
        let mut fields = line.splitn(2, |b| *b == b':');
        let owner = fields.next().unwrap_or_default();
        let by_name = name.is_some_and(|n| owner == n.as_bytes());
        let Some(rest) = fields.next().filter(|_| by_name || number(owner) == Some(id)) else {
            continue;
        };
        let earlier = all.iter().filter_map(|(_, range)| range.as_ref().ok());
        let range = usable(rest, own, earlier);
        all.push((line, range));
    }
    all
}

fn usable<'a>(
    rest: &[u8],
    own: u32,
    mut earlier: impl Iterator<Item = &'a IdRange>,
) -> Result<IdRange, String> {
    let fields: Vec<&[u8]> = rest.split(|b| *b == b':').collect();
    let numbers = match fields.as_slice() {
        [first, count] => number(first).zip(number(count)),
        _ => None,
    };
    let (first, count) = numbers.ok_or("write OWNER:FIRST:COUNT")?;
    let range = match range(first, count) {
        Some(range) => range,
        None if count == 0 => return Err("it holds no id".into()),
        None => return Err(format!("it runs past the last id, {}", u32::MAX - 1)),
    };
    if holds(&range, own) {
        return Err(format!("it holds your own id, {own}"));
    }
    if holds(&range, 0) {
        return Err("it holds id 0".into());
    }
    match earlier.any(|earlier| overlap(earlier, &range)) {
        true => Err("it overlaps an earlier line of yours".into()),
        false => Ok(range),
    }
}

/// The ranges of a subuid(5) file that belong to a user and can be used, in the file's order.
pub(super) fn sub_ids(file: &[u8], name: Option<&str>, id: u32, own: u32) -> Vec<IdRange> {
    let all = entries(file, name, id, own).into_iter();
    all.filter_map(|(_, range)| range.ok()).collect()
}

/// The lines of a subuid(5) file that belong to a user and cannot be used, with the reason.
pub(super) fn unusable(file: &[u8], name: Option<&str>, id: u32, own: u32) -> Vec<String> {
    let all = entries(file, name, id, own).into_iter();
    all.filter_map(|(line, range)| Some(format!("`{}`: {}", line.escape_ascii(), range.err()?)))
        .collect()
}

/// Whose entries of a subuid(5) file overlap those of a user: both could change each other's files.
pub(super) fn shared(file: &[u8], name: Option<&str>, id: u32, own: u32) -> Vec<String> {
    let own = sub_ids(file, name, id, own);
    let mut found: Vec<String> = lines(file)
        .filter_map(|line| {
            let fields: Vec<&[u8]> = line.split(|b| *b == b':').collect();
            let [owner, first, count] = fields.as_slice() else {
                return None;
            };
            let mine = name.is_some_and(|n| owner == &n.as_bytes()) || number(owner) == Some(id);
            let range = range(number(first)?, number(count)?)?;
            let shares = !mine && own.iter().any(|o| overlap(o, &range));
            shares.then(|| String::from_utf8_lossy(owner).into_owned())
        })
        .collect();
    found.dedup();
    found
}

/// The ids that a map of this process's own user namespace holds, by their number in it. Empty when that is all of them.
pub(super) fn own_ids(map: &[u8]) -> Vec<IdRange> {
    let all: Vec<IdRange> = lines(map)
        .filter_map(|line| {
            let mut fields = line.split(u8::is_ascii_whitespace).filter(|f| !f.is_empty());
            let (first, _, count) = (fields.next()?, fields.next()?, fields.next()?);
            range(number(first)?, number(count)?)
        })
        .collect();
    // The first namespace has `0 0 4294967295`.
    if all.iter().any(|r| r.host == 0 && r.count == u32::MAX) {
        return Vec::new();
    }
    all
}

/// -1 is no id: chown(2) and setuid(2) take it for "unchanged".
fn range(first: u32, count: u32) -> Option<IdRange> {
    let end = first.checked_add(count)?;
    (count > 0 && (end < u32::MAX || first == 0)).then_some(IdRange {
        inside: 0,
        host: first,
        count,
    })
}

fn holds(range: &IdRange, id: u32) -> bool {
    id.checked_sub(range.host).is_some_and(|n| n < range.count)
}

fn overlap(a: &IdRange, b: &IdRange) -> bool {
    holds(a, b.host) || holds(b, a.host)
}

fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    file.split(|b| *b == b'\n')
        .filter(|l| !l.is_empty() && !l.starts_with(b"#"))
}

/// Decimal digits only: `+1`, ` 1` and `0x1` are read as one number here and as another elsewhere.
fn number(text: &[u8]) -> Option<u32> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn passwd_answers_as_getpwuid_does() {
        let passwd = b"# a comment\nroot:x:0:0:root:/root:/bin/bash\nbroken:x:7\n:x:8:8::/:/\n\
            evil\x1b[2J:x:9:9::/:/\nann:x:1000:1000:Ann,,,:/home/ann:/bin/sh\nbert:x:1000:1000::/home/bert:/bin/sh\n\
            far:x:4294967296:0::/:/\nplus:x:+5:5::/:/\nspace:x: 6:6::/:/\nlost:x:11:11::relative:/bin/sh\n\
            -rf:x:12:12::/:/\n\xff:x:13:13::/:/\nlast:x:14:14::/home/last:";
        let name = |uid| account(passwd, uid).map(|a| a.name);
        for (uid, expected) in [
            (0, Some("root")),
            (1000, Some("ann")),
            (11, Some("lost")),
            (14, Some("last")),
            (7, None),
            (8, None),
            (9, None),
            (5, None),
            (6, None),
            (12, None),
            (13, None),
            (1, None),
        ] {
            assert_eq!(name(uid).as_deref(), expected, "{uid}");
        }
        assert_eq!(
            account(passwd, 1000).and_then(|a| a.home),
            Some("/home/ann".into())
        );
        assert_eq!(account(passwd, 11).and_then(|a| a.home), None);
    }

    fn ranges(file: &str) -> Vec<(u32, u32)> {
        sub_ids(file.as_bytes(), Some("ann"), 1000, 1000)
            .iter()
            .map(|r| (r.host, r.count))
            .collect()
    }

    #[test]
    fn sub_ids_by_name_and_by_number() {
        for (file, expected) in [
            ("", vec![]),
            ("ann:100000:65536\n", vec![(100_000, 65536)]),
            ("1000:100000:65536", vec![(100_000, 65536)]),
            (
                "bert:1:2\nann:100000:65536\n1000:300000:10\nann:400000:1\n",
                vec![(100_000, 65536), (300_000, 10), (400_000, 1)],
            ),
            // Overlaps, in every way.
            (
                "ann:100000:10\nann:100005:10\nann:99995:10\nann:90000:65536\nann:100001:2\nann:100010:5\n",
                vec![(100_000, 10), (100_010, 5)],
            ),
            // Past the end, around zero, nothing, oneself.
            ("ann:4294967290:100\nann:4294967295:1\nann:4294967294:1\n", vec![]),
            ("ann:4294967200:10\n", vec![(4_294_967_200, 10)]),
            ("ann:0:65536\nann:1:0\nann:999:2\nann:1000:1\n", vec![]),
            // What is no number.
            (
                "ann:-1:5\nann:+7:5\nann: 7:5\nann:0x10:5\nann:7:5:9\nann:7\nann::\n",
                vec![],
            ),
            ("ann:99999999999999999999:5\r\nann:7:5\r\n", vec![]),
            ("annA:7:5\nan:7:5\n#ann:7:5\n ann:7:5\n", vec![]),
        ] {
            assert_eq!(ranges(file), expected, "{file:?}");
        }
    }

    #[test]
    fn line_that_cannot_be_used_is_named_with_the_reason() {
        for (file, reason) in [
            ("ann:999:2\n", Some("`ann:999:2`: it holds your own id, 1000")),
            (
                "1000:4294967290:100\n",
                Some("`1000:4294967290:100`: it runs past the last id, 4294967294"),
            ),
            ("ann:0:5\n", Some("it holds id 0")),
            ("ann:5:0\n", Some("it holds no id")),
            ("ann:5\n", Some("write OWNER:FIRST:COUNT")),
            (
                "ann:100000:10\n1000:100005:10\n",
                Some("`1000:100005:10`: it overlaps an earlier line of yours"),
            ),
            ("ann:100000:10\nbert:1:2\n", None),
        ] {
            let found = unusable(file.as_bytes(), Some("ann"), 1000, 1000);
            match reason {
                Some(reason) => assert!(
                    found.len() == 1 && found[0].contains(reason),
                    "{file:?}: {found:?}"
                ),
                None => assert!(found.is_empty(), "{file:?}: {found:?}"),
            }
        }
    }

    /// /etc/subgid has users before its ranges, and groups in them.
    #[test]
    fn a_range_of_groups_may_hold_the_users_number_and_not_its_group() {
        let found = |file: &[u8], own| sub_ids(file, Some("ann"), 1000, own).len();
        assert_eq!((found(b"ann:1000:5", 1000), found(b"ann:1000:5", 100)), (0, 1));
        assert_eq!(found(b"ann:100:5", 100), 0);
    }

    #[test]
    fn a_user_without_a_name_is_found_by_number_only() {
        assert_eq!(sub_ids(b":7:5\n", None, 1000, 1000), []);
        assert_eq!(sub_ids(b"1000:7:5\n", None, 1000, 1000).len(), 1);
    }

    #[test]
    fn entries_of_others_that_overlap() {
        let others = |file: &str| shared(file.as_bytes(), Some("ann"), 1000, 1000);
        let none: [String; 0] = [];
        assert_eq!(others("ann:100000:65536\nbert:165536:65536\n"), none);
        assert_eq!(others("bert:100000:65536\ncarl:100000:65536\n"), none);
        assert_eq!(
            others(
                "ann:100000:65536\n1000:200000:10\nbert:165535:1\n1000:165530:2\ncarl:199999:2\ndora:1:2\n"
            ),
            ["bert", "carl"]
        );
        assert_eq!(
            others("ann:100000:65536\nroot:1:65535\nx:nonsense:1\ny:0:4294967295\n"),
            ["y"]
        );
    }

    #[test]
    fn groups_are_those_with_the_user_among_their_members() {
        let file = b"root:x:0:\nwww:x:33:\nstaff:x:50:ann,www\nmedia:x:60:www\nlast:x:61:annwww,www2\nbad:x:-1:www\nshort:x:7\n\
            again:x:50:www\n";
        assert_eq!(groups_of(file, b"www"), [50, 60]);
        assert_eq!(groups_of(file, b"ann"), [50]);
        assert_eq!(groups_of(file, b""), [0, 33]);
        assert_eq!(groups_of(b"", b"www"), Vec::<u32>::new());
    }

    #[test]
    fn own_ids_of_a_nested_container() {
        let own = |map: &str| {
            own_ids(map.as_bytes())
                .iter()
                .map(|r| (r.host, r.count))
                .collect::<Vec<_>>()
        };
        assert_eq!(own("         0          0 4294967295\n"), []);
        assert_eq!(
            own("         0       1000          1\n         1     100000      65536\n"),
            [(0, 1), (1, 65536)]
        );
        assert_eq!(own("nonsense\n0 0\n"), []);
    }

    proptest! {
        #[test]
        fn whatever_the_file_holds_the_ranges_are_sound(
            lines in proptest::collection::vec(("(ann|1000|bert)", any::<u32>(), any::<u32>()), 0..12),
            noise in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let mut file: Vec<u8> = lines.iter().flat_map(|(o, a, b)| format!("{o}:{a}:{b}\n").into_bytes()).collect();
            file.extend(noise);
            let found = sub_ids(&file, Some("ann"), 1000, 1000);
            for (i, a) in found.iter().enumerate() {
                prop_assert!(a.count > 0 && a.host.checked_add(a.count).is_some());
                prop_assert!(!holds(a, 0) && !holds(a, 1000) && !holds(a, u32::MAX));
                prop_assert!(found.iter().skip(i + 1).all(|b| !overlap(a, b)));
            }
            let _ = (account(&file, 1000), own_ids(&file));
        }
    }
}

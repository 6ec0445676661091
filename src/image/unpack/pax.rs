//! The records of a PAX header, which override an entry's fields (POSIX pax, "pax Header Block").
//!
//! Read as Go's archive/tar does, which docker, containers/image and umoci see layers through: of two records of a key the last counts, an
//! empty value is none. Values are bytes and may hold line ends: a record is as long as it says.

use super::sparse::Claims;

/// Longest value that Linux takes (`XATTR_SIZE_MAX`).
const ATTRIBUTE_SIZE: usize = 64 << 10;
/// Longest name that Linux takes (`XATTR_NAME_MAX`).
const ATTRIBUTE_NAME: usize = 255;

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Time {
    /// Seconds since 1970, rounded down.
    pub(super) seconds: i64,
    /// And these.
    pub(super) nanoseconds: u32,
}

/// What the records say of the entry that follows.
#[derive(Debug, Default)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) time: Option<Time>,
    pub(super) attributes: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) sparse: Claims,
}

type Result<T> = std::result::Result<T, String>;

impl Pax {
    pub(super) fn read(mut records: &[u8]) -> Result<Self> {
        let mut pax = Self::default();
        while !records.is_empty() {
            let (key, value, rest) =
                record(records).ok_or("a record of its pax header is not `LENGTH KEY=VALUE`")?;
            pax.take(key, value)?;
            records = rest;
        }
        Ok(pax)
    }

    /// Reads the records of a global header, which POSIX applies to every entry that follows, and Go, and so every tool for images, to none.
    /// Counts the values that an entry would have. One that decides where entries begin and end, or what they are called, is refused.
    pub(super) fn read_global(records: &[u8]) -> Result<u64> {
        let pax = Self::read(records)?;
        let structure = [
            ("path", pax.path.is_some()),
            ("linkpath", pax.link.is_some()),
            ("size", pax.size.is_some()),
            ("GNU.sparse", pax.sparse != Claims::default()),
        ];
        if let Some((key, _)) = structure.iter().find(|(_, there)| *there) {
            return Err(format!(
                "a pax global header gives `{key}` to all entries that follow: programs read such an archive in different ways"
            ));
        }
        let values = [pax.uid.is_some(), pax.gid.is_some(), pax.time.is_some()];
        let values = values.iter().filter(|there| **there).count();
        Ok((values + pax.attributes.len()) as u64)
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            return self.attribute(name, value);
        }
        if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
            return self.sparse.take(key, value);
        }
        match key {
            b"path" => self.path = text(value),
            b"linkpath" => self.link = text(value),
            b"size" => self.size = whole(value)?,
            b"uid" => self.uid = whole(value)?,
            b"gid" => self.gid = whole(value)?,
            b"mtime" => self.time = time(value)?,
            _ => {}
        }
        Ok(())
    }

    fn attribute(&mut self, name: &[u8], value: &[u8]) -> Result<()> {
        if name.is_empty() || name.len() > ATTRIBUTE_NAME || name.contains(&0) {
            return Err(format!(
                "the name of an extended attribute has {} bytes: 1 to {ATTRIBUTE_NAME} without NUL are right",
                name.len()
            ));
        }
        if value.len() > ATTRIBUTE_SIZE {
            return Err(format!(
                "an extended attribute has {} bytes: {ATTRIBUTE_SIZE} are the most",
                value.len()
            ));
        }
        self.attributes.retain(|(n, _)| n != name);
        self.attributes.push((name.to_vec(), value.to_vec()));
        // Each may be as short as 20 bytes, and each is looked for among the others.
        if self.attributes.len() > 1024 {
            return Err("an entry has more than 1024 extended attributes".into());
        }
        Ok(())
    }
}

/// The first record, and what follows it.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().take(20).position(|b| *b == b' ')?;
    let length: usize = number(bytes.get(..space)?)?.try_into().ok()?;
    let record = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|b| *b == b'=')?;
    let key = record.get(..equals).filter(|key| !key.is_empty())?;
    Some((key, record.get(equals + 1..)?, bytes.get(length..)?))
}

/// Decimal digits and nothing else.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn text(value: &[u8]) -> Option<Vec<u8>> {
    (!value.is_empty()).then(|| value.to_vec())
}

/// A whole number; an empty value takes a record back.
pub(super) fn whole(value: &[u8]) -> Result<Option<u64>> {
    if value.is_empty() {
        return Ok(None);
    }
    number(value)
        .map(Some)
        .ok_or_else(|| format!("`{}` in its pax header is no number", super::error::shown(value)))
}

/// Seconds with a fraction, which may be negative.
fn time(value: &[u8]) -> Result<Option<Time>> {
    if value.is_empty() {
        return Ok(None);
    }
    let parsed = || {
        let (negative, value) = match value.strip_prefix(b"-") {
            Some(rest) => (true, rest),
            None => (false, value),
        };
        let point = value.iter().position(|b| *b == b'.').unwrap_or(value.len());
        let seconds = i64::try_from(number(value.get(..point)?)?).ok()?;
        let fraction = value.get(point + 1..).unwrap_or_default();
        if !fraction.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let digits = fraction.iter().map(|b| u32::from(b - b'0'));
        let nanoseconds = digits
            .chain(std::iter::repeat(0))
            .take(9)
            .fold(0, |n, d| n * 10 + d);
        Some(match (negative, nanoseconds) {
            (false, nanoseconds) => Time { seconds, nanoseconds },
            (true, 0) => Time {
                seconds: -seconds,
                nanoseconds,
            },
            (true, n) => Time {
                seconds: -seconds - 1,
                nanoseconds: 1_000_000_000 - n,
            },
        })
    };
    parsed()
        .map(Some)
        .ok_or_else(|| format!("`{}` in its pax header is no time", super::error::shown(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(list: &[(&str, &[u8])]) -> Vec<u8> {
        let list = list.iter();
        list.flat_map(|(k, v)| super::super::tests::archive::record(k.as_bytes(), v))
            .collect()
    }

    #[test]
    fn values_may_hold_line_ends_and_the_last_counts() {
        let pax = Pax::read(&records(&[
            ("path", b"first"),
            ("path", b"a\nb=c\n"),
            ("SCHILY.xattr.user.a", b"\n\0=\n"),
            ("comment", b"whatever"),
            ("uid", b"4"),
            ("uid", b""),
        ]))
        .expect("records");
        assert_eq!(pax.path.as_deref(), Some(&b"a\nb=c\n"[..]));
        assert_eq!(pax.attributes, [(b"user.a".to_vec(), b"\n\0=\n".to_vec())]);
        assert_eq!(pax.uid, None);
    }

    #[test]
    fn times_are_rounded_down() {
        for (text, seconds, nanoseconds) in [
            ("0", 0, 0),
            ("1.5", 1, 500_000_000),
            ("1.", 1, 0),
            ("1.0000000019", 1, 1),
            ("-1", -1, 0),
            ("-1.5", -2, 500_000_000),
            ("-0.000000001", -1, 999_999_999),
        ] {
            assert_eq!(
                time(text.as_bytes()),
                Ok(Some(Time { seconds, nanoseconds })),
                "{text}"
            );
        }
        for text in ["x", "1.x", "1e3", "--1", ".5", " 1", "99999999999999999999"] {
            assert!(time(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for bytes in [
            &b"x"[..],
            b"5 a=b",
            b"7 a=bcd\n",
            b"5 a=b\n",
            b"4 ab\n",
            b"4 =b\n",
            b"0 a=b\n",
            b"-6 a=b\n",
            b"+6 a=b\n",
            b"99999999999999999999999 a=b\n",
            b"6 a=b\n\n",
            b"9 uid=-1\n",
        ] {
            assert!(Pax::read(bytes).is_err(), "{:?}", String::from_utf8_lossy(bytes));
        }
        let long = vec![b'x'; ATTRIBUTE_SIZE + 1];
        assert!(Pax::read(&records(&[("SCHILY.xattr.user.a", &long)])).is_err());
        assert!(Pax::read(&records(&[("SCHILY.xattr.user.a", &long[1..])])).is_ok());
        assert!(Pax::read(&records(&[("SCHILY.xattr.", b"a")])).is_err());
    }
}

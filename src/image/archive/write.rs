//! Writes tars: ustar, with PAX headers for what does not fit (POSIX pax, "ustar Interchange Format"). The same entries make the same bytes.

use std::io::{self, Write};

const BLOCK: u64 = 512;
/// What the eleven digits of a size hold.
const LARGEST: u64 = 0o777_7777_7777;
/// What the seven digits of an id hold.
const LARGEST_ID: u32 = 0o777_7777;
/// What a name's field holds.
const NAME: usize = 100;

/// An entry.
#[derive(Debug, Clone, Default)]
pub struct Entry<'a> {
    /// Its name; a directory's ends with a slash.
    pub name: &'a [u8],
    /// What it is.
    pub what: What<'a>,
    /// Permissions and the bits above them.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Seconds since 1970; negative before.
    pub time: i64,
    /// Extended attributes.
    pub attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, Default)]
pub enum What<'a> {
    /// A file with so many bytes, which follow.
    File(u64),
    /// A directory.
    #[default]
    Directory,
    /// A symbolic link.
    Link(&'a [u8]),
    /// Another name of an entry before it.
    SameAs(&'a [u8]),
}

/// A tar that is being written.
#[derive(Debug)]
pub struct Writer<W> {
    to: W,
}

impl<W: Write> Writer<W> {
    /// Begins.
    pub fn new(to: W) -> Self {
        Self { to }
    }

    /// Writes an entry's header. A file's bytes follow by [`Self::contents`].
    ///
    /// # Errors
    /// As write(2).
    pub fn entry(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        let mut records = Vec::new();
        if entry.name.len() > NAME {
            record(&mut records, b"path", entry.name);
        }
        let (flag, link, size) = match entry.what {
            What::File(size) => (b'0', &b""[..], size),
            What::Directory => (b'5', &b""[..], 0),
            What::Link(to) => (b'2', to, 0),
            What::SameAs(to) => (b'1', to, 0),
        };
        if link.len() > NAME {
            record(&mut records, b"linkpath", link);
        }
        if size > LARGEST {
            record(&mut records, b"size", size.to_string().as_bytes());
        }
        for (key, id) in [(b"uid", entry.uid), (b"gid", entry.gid)] {
            if id > LARGEST_ID {
                record(&mut records, key, id.to_string().as_bytes());
            }
        }
        if octal_time(entry.time).is_none() {
            record(&mut records, b"mtime", entry.time.to_string().as_bytes());
        }
        for (name, value) in &entry.attributes {
            record(&mut records, &[b"SCHILY.xattr.", name.as_slice()].concat(), value);
        }
        if !records.is_empty() {
            let length = records.len() as u64;
            let header = Entry {
                name: b"PaxHeaders/entry",
                what: What::File(length),
                mode: 0o644,
                ..Entry::default()
            };
            self.header(&header, b'x', b"", length)?;
            self.to.write_all(&records)?;
            self.fill(length)?;
        }
        self.header(entry, flag, link, size)
    }

    /// Writes a file's bytes: as many as its entry says.
    ///
    /// # Errors
    /// As write(2).
    pub fn contents(
        &mut self,
        size: u64,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        write(&mut self.to)?;
        self.fill(size)
    }

    /// A file whose bytes are at hand.
    ///
    /// # Errors
    /// As write(2).
    pub fn file(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let size = bytes.len() as u64;
        self.entry(&Entry {
            name: name.as_bytes(),
            what: What::File(size),
            mode: 0o644,
            ..Entry::default()
        })?;
        self.contents(size, |to| to.write_all(bytes))
    }

    /// Ends it.
    ///
    /// # Errors
    /// As write(2).
    pub fn finish(mut self) -> io::Result<W> {
        self.to.write_all(&[0; 2 * BLOCK as usize])?;
        self.to.flush()?;
        Ok(self.to)
    }

    fn fill(&mut self, size: u64) -> io::Result<()> {
        let zeros = [0; BLOCK as usize];
        let missing = usize::try_from(size.wrapping_neg() % BLOCK).unwrap_or_default();
        self.to.write_all(zeros.get(..missing).unwrap_or_default())
    }

    fn header(&mut self, entry: &Entry<'_>, flag: u8, link: &[u8], size: u64) -> io::Result<()> {
        let mut block = Vec::with_capacity(BLOCK as usize);
        text(&mut block, entry.name, NAME);
        number(&mut block, u64::from(entry.mode & 0o7777), 8);
        for id in [entry.uid, entry.gid] {
            number(&mut block, u64::from(if id > LARGEST_ID { 0 } else { id }), 8);
        }
        number(&mut block, if size > LARGEST { 0 } else { size }, 12);
        number(&mut block, octal_time(entry.time).unwrap_or_default(), 12);
        block.extend_from_slice(b"        ");
        block.push(flag);
        text(&mut block, link, NAME);
        block.extend_from_slice(b"ustar\x0000");
        block.resize(BLOCK as usize, 0);
        let sum: u64 = block.iter().map(|b| u64::from(*b)).sum();
        let sum = format!("{sum:06o}\0 ");
        if let Some(field) = block.get_mut(148..156) {
            field.copy_from_slice(sum.as_bytes());
        }
        self.to.write_all(&block)
    }
}

/// A time as the header holds it: from 1970 to 2242.
fn octal_time(seconds: i64) -> Option<u64> {
    u64::try_from(seconds).ok().filter(|seconds| *seconds <= LARGEST)
}

/// As much as fits: what does not stands in a PAX header.
fn text(block: &mut Vec<u8>, text: &[u8], width: usize) {
    let end = block.len() + width;
    block.extend_from_slice(text.get(..width).unwrap_or(text));
    block.resize(end, 0);
}

fn number(block: &mut Vec<u8>, number: u64, width: usize) {
    block.extend_from_slice(format!("{number:0digits$o}\0", digits = width - 1).as_bytes());
}

/// `LENGTH KEY=VALUE\n`, where the length counts its own digits.
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    length = rest + length.to_string().len();
    records.extend_from_slice(length.to_string().as_bytes());
    for part in [b" ", key, b"=", value, b"\n"] {
        records.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::AsFd;

    #[test]
    fn others_read_what_is_written() {
        let long = [b"d/".repeat(60), b"name".to_vec()].concat();
        let mut writer = Writer::new(Vec::new());
        let mut entry = |entry: Entry<'_>| writer.entry(&entry).expect("an entry");
        entry(Entry {
            name: b"dir/",
            mode: 0o1777,
            ..Entry::default()
        });
        entry(Entry {
            name: &long,
            what: What::Link(&long),
            uid: 3_000_000,
            time: 1_700_000_000,
            ..Entry::default()
        });
        entry(Entry {
            name: b"x",
            what: What::File(0),
            mode: 0o4755,
            gid: 7,
            attributes: vec![(b"user.a".to_vec(), b"b c=".to_vec())],
            ..Entry::default()
        });
        writer.file("file", &[7; 513]).expect("a file");
        let bytes = writer.finish().expect("an end");
        assert_eq!(bytes.len() % 512, 0);
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut seen = Vec::new();
        for entry in archive.entries().expect("entries") {
            let mut entry = entry.expect("an entry");
            let header = entry.header().clone();
            let link = entry.link_name_bytes().map(|l| l.len()).unwrap_or_default();
            let pax: Vec<_> = entry
                .pax_extensions()
                .expect("pax")
                .map(|all| {
                    let keys = all.map(|one| one.expect("a record").key().expect("text").to_owned());
                    keys.collect()
                })
                .unwrap_or_default();
            let name = entry.path_bytes().len();
            let mut data = Vec::new();
            entry.read_to_end(&mut data).expect("data");
            seen.push((
                name,
                header.mode().expect("mode"),
                link,
                data.len(),
                pax.join(","),
            ));
        }
        let expected = [
            (4, 0o1777, 0, 0, ""),
            (124, 0, 124, 0, "path,linkpath,uid"),
            (1, 0o4755, 0, 0, "SCHILY.xattr.user.a"),
            (4, 0o644, 0, 513, ""),
        ];
        assert_eq!(
            seen,
            expected.map(|(n, m, l, d, p): (usize, u32, usize, usize, &str)| (n, m, l, d, p.to_owned()))
        );
    }

    /// A digit more in the length makes it longer, at most by one more digit: what lies around each such border is tried.
    #[test]
    fn a_records_length_counts_itself() {
        let borders = [10, 100, 1000, 10_000, 100_000];
        let lengths = borders
            .into_iter()
            .flat_map(|border: usize| border.saturating_sub(20)..border + 5);
        for length in lengths.chain(0..2000) {
            let mut records = Vec::new();
            let value = vec![b'x'; length];
            for key in [&b"path"[..], b"linkpath"] {
                record(&mut records, key, &value);
            }
            let mut read = tar::PaxExtensions::new(&records);
            for key in ["path", "linkpath"] {
                let one = read.next().expect("a record").expect("a right one");
                assert_eq!(
                    (one.key(), one.value_bytes()),
                    (Ok(key), value.as_slice()),
                    "{length}"
                );
            }
            assert!(read.next().is_none(), "{length}");
        }
    }

    /// That reader ends a record at the first line's end, and what says how long it is may hold any byte.
    #[test]
    fn values_of_any_bytes_come_back() {
        use crate::image::descriptor::Compression;
        let attributes = vec![
            (b"user.lines".to_vec(), b"\n\na=b\n9 x=y\n".to_vec()),
            (b"user.none".to_vec(), Vec::new()),
            (b"user.zero".to_vec(), vec![0; 999]),
        ];
        let mut writer = Writer::new(Vec::new());
        let entry = Entry {
            name: b"x",
            what: What::File(0),
            attributes: attributes.clone(),
            ..Entry::default()
        };
        writer.entry(&entry).expect("an entry");
        let bytes = writer.finish().expect("an end");
        let dir = tempfile::tempdir().expect("a directory");
        let into = std::fs::File::open(dir.path()).expect("a directory");
        let options = crate::image::unpack::Options {
            compression: Compression::None,
            ownership: crate::image::owner::Ownership::Single,
            limits: &crate::image::limits::Limits::default(),
        };
        let unpacked = crate::image::unpack::unpack(bytes.as_slice(), into.as_fd(), &options, &mut |_| {});
        unpacked.expect("unpacked");
        let file = std::fs::File::open(dir.path().join("x")).expect("a file");
        let kept = crate::image::attribute::kept(file.as_fd()).expect("attributes");
        let mut kept: Vec<_> = kept
            .into_iter()
            .map(|(name, value)| (name.into_bytes(), value))
            .collect();
        kept.sort_unstable();
        assert_eq!(kept, attributes);
    }
}

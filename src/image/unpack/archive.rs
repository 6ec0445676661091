//! The entries of a tar: each header with everything that overrides it.
//!
//! Field layouts and sparse headers are the `tar` crate's. Its iterator is not used: it reads headers of any length into memory, splits PAX
//! records at line ends within their values, and knows no PAX sparse form. Where readers of archives differ, Go's archive/tar is followed
//! (docker, containers/image, umoci and containerd read layers with it), or the archive is refused.

use super::error::{Error, Result, limit, shown};
use super::pax::{Pax, Time};
use super::sparse::{self, Piece};
use super::stream::{BLOCK, Stream};
use crate::image::owner::Device;
use crate::model::Digest;
use tar::Header;

/// The longest PAX header or long name. GNU tar and Go (`maxSpecialFileSize`) have the same.
const EXTENSION: u64 = 1 << 20;

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Symlink,
    HardLink,
    Fifo,
    Device(Device),
}

/// An entry.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) time: Time,
    /// Of the contents, holes and all.
    pub(super) size: u64,
    /// Where they lie, when there are holes.
    pub(super) map: Option<Vec<Piece>>,
    pub(super) attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Headers that describe the entry behind them.
#[derive(Default)]
struct Overrides {
    pax: Option<Pax>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

/// A tar as it comes.
pub(super) struct Archive<'a> {
    stream: Stream<'a>,
    /// Bytes of the entry's contents that are not read yet.
    left: u64,
    /// Bytes that fill its last block.
    fill: u64,
    entry: u64,
    /// What the entry is called, as far as that is known; for messages.
    name: Option<Vec<u8>>,
    /// What the one before it is called.
    before: Option<Vec<u8>>,
    global_values: u64,
}

impl<'a> Archive<'a> {
    pub(super) fn new(stream: Stream<'a>) -> Self {
        Self {
            stream,
            left: 0,
            fill: 0,
            entry: 0,
            name: None,
            before: None,
            global_values: 0,
        }
    }

    /// Names the entry in a message: by its number and its name, or that of the one before it.
    fn place(&self) -> String {
        let entry = format!("entry {}", self.entry);
        match (&self.name, &self.before) {
            (Some(name), _) => format!("{entry} (`{}`)", shown(name)),
            (None, Some(name)) => format!("{entry} (behind `{}`)", shown(name)),
            (None, None) => entry,
        }
    }

    fn wrong(&self, why: impl Into<String>) -> Error {
        Error::Archive {
            entry: self.place(),
            why: why.into(),
        }
    }

    /// The next entry; what is left of the one before is passed over.
    pub(super) fn next(&mut self) -> Result<Option<Member>> {
        let mut over = Overrides::default();
        self.pass()?;
        self.entry += 1;
        self.before = self.name.take();
        loop {
            let Some(header) = self.header()? else {
                if over.pax.is_some() || over.name.is_some() || over.link.is_some() {
                    return Err(self.wrong("the archive ends behind a header that describes the next entry"));
                }
                return Ok(None);
            };
            let flag = header.as_bytes()[156];
            if self.describes(&header, flag, &mut over)? {
                continue;
            }
            let pax = over.pax.as_mut().and_then(|pax| pax.path.take());
            let name = over.name.take().or(pax);
            self.name = Some(name.unwrap_or_else(|| header.path_bytes().into_owned()));
            return self.member(&header, flag, over).map(Some);
        }
    }

    /// Takes a header that describes the entry behind it, or all of them; false when it is an entry itself.
    fn describes(&mut self, header: &Header, flag: u8, over: &mut Overrides) -> Result<bool> {
        if !matches!(flag, b'x' | b'L' | b'K' | b'g') {
            return Ok(false);
        }
        let size = self.number(&header.as_old().size, "size")?;
        let bytes = self.extension(size)?;
        match flag {
            b'x' => {
                let pax = Pax::read(&bytes).map_err(|why| self.wrong(why))?;
                self.once(over.pax.replace(pax).is_some())?;
            }
            b'L' => self.once(over.name.replace(c_string(bytes)).is_some())?,
            b'K' => self.once(over.link.replace(c_string(bytes)).is_some())?,
            // Of the whole archive: git writes its commit there.
            _ => {
                let values = Pax::read_global(&bytes).map_err(|why| self.wrong(why))?;
                self.global_values += values;
            }
        }
        Ok(true)
    }

    fn once(&self, twice: bool) -> Result<()> {
        if twice {
            return Err(self.wrong("two headers of one kind describe it: there may be one"));
        }
        Ok(())
    }

    fn expect(&mut self, size: u64) {
        self.left = size;
        self.fill = size.wrapping_neg() % BLOCK as u64;
    }

    /// Passes over what is left of the contents.
    fn pass(&mut self) -> Result<()> {
        self.contents(|_| Ok(()))?;
        let fill = std::mem::take(&mut self.fill);
        // umoci insert writes no end, and the last file is not filled up either: it is whole all the same.
        if self.stream.fill()?.is_empty() {
            return Ok(());
        }
        let read = self.stream.pieces(fill, |_| Ok(()))?;
        self.whole(read)
    }

    fn whole(&self, read: bool) -> Result<()> {
        match read {
            true => Ok(()),
            false => Err(Error::Truncated(self.place())),
        }
    }

    fn header(&mut self) -> Result<Option<Header>> {
        let Some(block) = self.stream.block()? else {
            return Ok(None);
        };
        if block == [0; BLOCK] {
            // Two such blocks end an archive. Behind a single one GNU tar stops and Go refuses.
            return match self.stream.block()? {
                None => Ok(None),
                Some(second) if second == [0; BLOCK] => Ok(None),
                Some(_) => Err(self.wrong("a single block of zeros stands before it: two end an archive")),
            };
        }
        let header = Header::from_byte_slice(&block).clone();
        let said = self.number(&header.as_old().cksum, "checksum")?;
        let bytes = || {
            block
                .iter()
                .enumerate()
                .map(|(i, b)| if (148..156).contains(&i) { b' ' } else { *b })
        };
        let sum: u64 = bytes().map(u64::from).sum();
        // Old tars added signed bytes.
        let signed = || bytes().map(|b| i64::from(b.cast_signed())).sum::<i64>();
        if said != sum && i64::try_from(said) != Ok(signed()) {
            return Err(self.wrong("the checksum of its header is wrong: this is no tar, or a damaged one"));
        }
        Ok(Some(header))
    }

    fn number(&self, field: &[u8], what: &str) -> Result<u64> {
        let number = field_number(field).and_then(|n| u64::try_from(n).ok());
        number.ok_or_else(|| self.wrong(format!("its {what} is no number that a tar can have")))
    }

    fn bounded(&self, size: u64) -> Result<()> {
        if size > EXTENSION {
            let what = format!("{} is described by {size} bytes", self.place());
            return Err(limit(what, EXTENSION));
        }
        Ok(())
    }

    /// The contents of a header that describes the next entry.
    fn extension(&mut self, size: u64) -> Result<Vec<u8>> {
        self.bounded(size)?;
        self.expect(size);
        let mut bytes = Vec::new();
        self.contents(|piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        self.pass()?;
        Ok(bytes)
    }

    fn member(&mut self, header: &Header, flag: u8, over: Overrides) -> Result<Member> {
        let old = header.as_old();
        let size = self.number(&old.size, "size")?;
        let pax = over.pax.unwrap_or_default();
        let name = self.name.clone().unwrap_or_default();
        let link = over.link.or(pax.link);
        let link = link.unwrap_or_else(|| header.link_name_bytes().unwrap_or_default().into_owned());
        let mtime = field_number(&old.mtime).ok_or_else(|| self.wrong("its time is no number"))?;
        let kind = self.kind(header, flag, &name)?;
        let mut member = Member {
            name,
            link,
            mode: (self.number(&old.mode, "mode")? & 0o7777) as u32,
            uid: pax.uid.map_or_else(|| self.number(&old.uid, "uid"), Ok)?,
            gid: pax.gid.map_or_else(|| self.number(&old.gid, "gid"), Ok)?,
            time: pax.time.unwrap_or(Time {
                seconds: mtime,
                nanoseconds: 0,
            }),
            size: 0,
            map: None,
            attributes: pax.attributes,
            kind,
        };
        // All others have no contents whatever their size says: old writers gave hard links their file's.
        if member.kind == Kind::File {
            let size = pax.size.unwrap_or(size);
            // So that no sum of sizes below runs over.
            if size > i64::MAX.cast_unsigned() {
                return Err(self.wrong("its size is no number that a file can have"));
            }
            member.size = size;
            self.expect(size);
            self.holes(header, flag, pax.sparse, &mut member)?;
        }
        Ok(member)
    }

    fn kind(&self, header: &Header, flag: u8, name: &[u8]) -> Result<Kind> {
        Ok(match flag {
            // Before POSIX a directory was a file whose name ends so.
            0 if name.ends_with(b"/") => Kind::Directory,
            0 | b'0' | b'7' | b'S' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'3' => Kind::Device(self.device(header, false)?),
            b'4' => Kind::Device(self.device(header, true)?),
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            other => {
                let what = char::from(other).escape_default();
                return Err(self.wrong(format!("its type `{what}` is not known: 0 to 7 and S are")));
            }
        })
    }

    fn device(&self, header: &Header, block: bool) -> Result<Device> {
        let number = |field: &[u8]| {
            let number = self.number(field, "device number")?;
            u32::try_from(number).map_err(|_| self.wrong("its device number is larger than 32 bits"))
        };
        let (major, minor) = match (header.as_ustar(), header.as_gnu()) {
            (Some(h), _) => (number(&h.dev_major)?, number(&h.dev_minor)?),
            (_, Some(h)) => (number(&h.dev_major)?, number(&h.dev_minor)?),
            _ => (0, 0),
        };
        Ok(Device { block, major, minor })
    }

    fn holes(
        &mut self,
        header: &Header,
        flag: u8,
        claims: sparse::Claims,
        member: &mut Member,
    ) -> Result<()> {
        let real = claims.size().map_err(|why| self.wrong(why))?;
        let (map, size) = match (flag, real) {
            (b'S', None) => {
                let gnu = header.as_gnu();
                let gnu = gnu.ok_or_else(|| self.wrong("it has holes, and its header is not GNU's"))?;
                let map = sparse::old(&mut self.stream, gnu)?;
                let size = self.number(&gnu.realsize, "real size")?;
                (map.map_err(|why| self.wrong(why))?, size)
            }
            (b'S', Some(_)) => return Err(self.wrong("invalid GNU sparse map: there are two")),
            (_, Some(size)) => {
                if let Some(name) = &claims.name {
                    member.name.clone_from(name);
                }
                let map = claims.map(&mut self.stream, self.left)?;
                let (map, taken) = map.map_err(|why| self.wrong(why))?;
                self.left -= taken;
                (map, size)
            }
            (_, None) => return Ok(()),
        };
        if size > i64::MAX.cast_unsigned() || !sparse::sound(&map, size, self.left) {
            return Err(self.wrong("invalid GNU sparse map: it does not fit the size of the file"));
        }
        member.size = size;
        member.map = Some(map);
        Ok(())
    }

    /// Gives what is left of the contents to `each`, piece by piece.
    pub(super) fn contents(&mut self, each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let left = std::mem::take(&mut self.left);
        let read = self.stream.pieces(left, each)?;
        self.whole(read)
    }

    /// Values of global headers that have been passed over.
    pub(super) fn global_values(&self) -> u64 {
        self.global_values
    }

    /// Where the contents of the entry begin that [`Self::next`] has given, counted from the beginning of the stream.
    pub(super) fn offset(&self) -> u64 {
        self.stream.taken()
    }

    /// Reads to the very end of the stream.
    pub(super) fn finish(self) -> Result<Digest> {
        self.stream.finish()
    }
}

/// Without the NULs that end it; others are refused with the name.
fn c_string(mut bytes: Vec<u8>) -> Vec<u8> {
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    bytes
}

/// A numeric field: octal digits, or, with the highest bit set, a two's complement of the others.
fn field_number(field: &[u8]) -> Option<i64> {
    let first = *field.first()?;
    if first & 0x80 != 0 {
        let sign = if first & 0x40 != 0 { -1 } else { 0 };
        let start = sign << 6 | i128::from(first & 0x3f);
        let rest = field.get(1..)?.iter();
        return i64::try_from(rest.fold(start, |n, b| n << 8 | i128::from(*b))).ok();
    }
    let digits = field.trim_ascii_start();
    let end = digits
        .iter()
        .position(|b| matches!(b, 0 | b' '))
        .unwrap_or(digits.len());
    let (digits, rest) = digits.split_at_checked(end)?;
    if !rest.iter().all(|b| matches!(b, 0 | b' ')) {
        return None;
    }
    let octal = |n: i64, b: &u8| matches!(b, b'0'..=b'7').then(|| n << 3 | i64::from(b - b'0'));
    digits.iter().try_fold(0, octal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_twos_complement() {
        for (field, number) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"644     ", Some(0o644)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"        ", Some(0)),
            (b"77777777", Some(0o77_777_777)),
            (b"\x80\0\0\0\0\x20\0\0", Some(0x20_0000)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
            (b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"0000648\0", None),
            (b"00 0644\0", None),
            (b"-000644\0", None),
            (b"", None),
        ] {
            assert_eq!(field_number(field), number, "{field:?}");
        }
    }
}

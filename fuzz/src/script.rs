//! Layers as lines of text, so that what is changed at random is still a layer:
//!
//! ```text
//! TYPE NAME LINK-OR-CONTENTS MODE HOW RECORDS
//! ```
//!
//! TYPE is the byte of the header; HOW has `p` for names in a PAX header, `l` for GNU's long names, `u` for a prefix; RECORDS are PAX
//! records, with `;` between them. What is missing is empty.

use crate::ground::CANARY;
use tar::{EntryType, Header};

struct Line<'a> {
    flag: u8,
    name: Vec<u8>,
    other: Vec<u8>,
    mode: u32,
    how: &'a [u8],
    records: Vec<u8>,
}

fn read<'a>(line: &'a [u8], canary: &[u8]) -> Option<Line<'a>> {
    let mut fields = line.split(|b| *b == b' ');
    let flag = *fields.next()?.first()?;
    let name = with_canary(fields.next()?, canary);
    let other = with_canary(fields.next().unwrap_or_default(), canary);
    let mode = std::str::from_utf8(fields.next().unwrap_or_default()).ok();
    let mode = mode.and_then(|mode| u32::from_str_radix(mode, 8).ok());
    Some(Line {
        flag,
        name,
        other,
        mode: mode.unwrap_or(0o755),
        how: fields.next().unwrap_or_default(),
        records: with_canary(fields.next().unwrap_or_default(), canary),
    })
}

fn with_canary(text: &[u8], canary: &[u8]) -> Vec<u8> {
    match text.windows(CANARY.len()).position(|w| w == CANARY) {
        Some(at) => [&text[..at], canary, &text[at + CANARY.len()..]].concat(),
        None => text.to_vec(),
    }
}

/// The archive that a text describes, 40 lines of it at most.
#[must_use]
pub fn archive(text: &[u8], canary: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in text.split(|b| *b == b'\n').take(40) {
        if let Some(line) = read(line, canary) {
            entry(&mut out, &line);
        }
    }
    out.extend_from_slice(&[0; 1024]);
    out
}

fn entry(out: &mut Vec<u8>, line: &Line<'_>) {
    let link = matches!(line.flag, b'1' | b'2');
    let mut records = Vec::new();
    for record in line
        .records
        .split(|b| *b == b';')
        .filter(|record| !record.is_empty())
    {
        records.extend(pax(record));
    }
    if line.how.contains(&b'p') {
        records.extend(pax(&[b"path=", &line.name[..]].concat()));
        if link {
            records.extend(pax(&[b"linkpath=", &line.other[..]].concat()));
        }
    }
    if !records.is_empty() {
        block(out, b'x', b"pax", b"", b"", 0o644, &records);
    }
    if line.how.contains(&b'l') {
        block(out, b'L', b"././@LongLink", b"", b"", 0o644, &line.name);
        if link {
            block(out, b'K', b"././@LongLink", b"", b"", 0o644, &line.other);
        }
    }
    let (to, contents) = if link {
        (&line.other[..], &b""[..])
    } else {
        (&b""[..], &line.other[..])
    };
    let contents = if line.flag == b'0' { contents } else { b"" };
    let cut = line.name.iter().position(|b| *b == b'/');
    match cut.filter(|_| line.how.contains(&b'u')) {
        Some(at) => block(
            out,
            line.flag,
            &line.name[at + 1..],
            &line.name[..at],
            to,
            line.mode,
            contents,
        ),
        None => block(out, line.flag, &line.name, b"", to, line.mode, contents),
    }
}

/// `LENGTH KEY=VALUE\n`, where the length counts its own digits.
fn pax(record: &[u8]) -> Vec<u8> {
    let rest = record.len() + 2;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", record, b"\n"].concat()
}

fn put(field: &mut [u8], text: &[u8]) {
    let n = text.len().min(field.len());
    field[..n].copy_from_slice(&text[..n]);
}

/// A header with its contents. Names are put as they are: the crate's own setters refuse what is wanted here.
fn block(out: &mut Vec<u8>, flag: u8, name: &[u8], prefix: &[u8], link: &[u8], mode: u32, contents: &[u8]) {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::new(flag));
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1);
    header.set_size(contents.len() as u64);
    put(&mut header.as_old_mut().name, name);
    put(&mut header.as_old_mut().linkname, link);
    if let Some(ustar) = header.as_ustar_mut() {
        put(&mut ustar.prefix, prefix);
    }
    header.set_cksum();
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(contents);
    out.resize(out.len().next_multiple_of(512), 0);
}

/// Makes the checksums right of whatever stands where headers stand, so that changed bytes are read at all.
#[must_use]
pub fn mended(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < out.len().saturating_sub(511) {
        let block = &mut out[at..at + 512];
        if block.iter().any(|b| *b != 0) {
            let mut header = Header::from_byte_slice(block).clone();
            header.set_cksum();
            block.copy_from_slice(header.as_bytes());
        }
        let size = Header::from_byte_slice(block).entry_size().unwrap_or(0);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        at = at
            .saturating_add(512)
            .saturating_add(size.checked_next_multiple_of(512).unwrap_or(usize::MAX));
    }
    out
}

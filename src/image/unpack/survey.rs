//! Archives of images: what entries they have, none of which is ever unpacked, and streams that are only read.

use super::archive::{Archive, Kind, Member};
use super::error::{Error, Result, limit, refused, shown};
use super::name::clean;
use super::stream::Stream;
use crate::image::descriptor::Compression;
use crate::image::limits::Limits;
use crate::model::Digest;
use std::collections::BTreeMap;
use std::io::{Read, Write};

/// Entries of an archive of images: three or four for a layer, so that thousands of layers fit.
const ENTRIES: u64 = 1 << 16;

/// What stands under a name of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Contents, at an offset of the archive.
    File {
        /// Where they begin.
        at: u64,
        /// How many bytes there are.
        size: u64,
    },
    /// What stands under another name of the archive, which is clean.
    Link(String),
}

/// Lists the entries of a plain tar by their names. Links are taken for other names of the archive, and must not lead out of it.
///
/// # Errors
/// It is no tar, ends early, has a name twice or one that leads out of it, or holds what an archive of images does not.
pub fn survey(archive: impl Read, limits: &Limits) -> Result<BTreeMap<String, Place>> {
    let mut ignore = |_| ();
    let stream = Stream::new(archive, Compression::None, limits, &mut ignore)?;
    let mut archive = Archive::new(stream.of_images());
    let (mut places, mut entries) = (BTreeMap::new(), 0);
    while let Some(member) = archive.next()? {
        entries += 1;
        if entries > ENTRIES {
            return Err(limit("the archive has too many entries", ENTRIES));
        }
        let path = clean(&member.name, limits)?;
        if member.name.first() == Some(&b'/') {
            return Err(refused(
                &member.name,
                "a name in an archive of images is relative",
            ));
        }
        let Some(place) = place(&member, &path, archive.offset(), limits)? else {
            continue;
        };
        if places.insert(text(path)?, place).is_some() {
            return Err(refused(
                &member.name,
                "the archive has this name twice: it could be read in two ways",
            ));
        }
    }
    Ok(places)
}

/// What stands there; nothing for a directory.
fn place(member: &Member, path: &[u8], at: u64, limits: &Limits) -> Result<Option<Place>> {
    let size = member.size;
    Ok(Some(match member.kind {
        Kind::Directory => return Ok(None),
        Kind::File if member.map.is_some() => {
            return Err(refused(path, "an archive of images has no files with holes"));
        }
        Kind::File if size > limits.image.0 => {
            return Err(limit(format!("`{}` has {size} bytes", shown(path)), limits.image));
        }
        Kind::File => Place::File { at, size },
        Kind::Symlink => Place::Link(target(parent(path), &member.link)?),
        Kind::HardLink => Place::Link(target(b"", &member.link)?),
        Kind::Fifo | Kind::Device(_) => {
            return Err(refused(
                path,
                "an archive of images has files and directories only",
            ));
        }
    }))
}

/// Unpacks an archive of images.
///
/// # Errors
/// The packed bytes are damaged, become too many, or cannot be written.
pub fn decompress(
    from: impl Read,
    compression: Compression,
    limits: &Limits,
    mut to: impl Write,
) -> Result<()> {
    let mut ignore = |_| ();
    let mut stream = Stream::new(from, compression, limits, &mut ignore)?.of_images();
    loop {
        let chunk = stream.fill()?;
        if chunk.is_empty() {
            return Ok(());
        }
        to.write_all(chunk).map_err(Error::Write)?;
        let taken = chunk.len();
        stream.consume(taken);
    }
}

/// What a packed layer hashes to when it is unpacked.
///
/// # Errors
/// The packed bytes are damaged, or become too many.
pub fn diff_id(
    layer: impl Read,
    compression: Compression,
    limits: &Limits,
    progress: &mut dyn FnMut(u64),
) -> Result<Digest> {
    Stream::new(layer, compression, limits, progress)?.finish()
}

fn text(path: Vec<u8>) -> Result<String> {
    String::from_utf8(path).map_err(|e| refused(e.as_bytes(), "a name in an archive of images is UTF-8"))
}

fn parent(path: &[u8]) -> &[u8] {
    super::name::split(path).0
}

/// The name that a link means: lexically, since no directory of the archive is a link.
fn target(from: &[u8], link: &[u8]) -> Result<String> {
    let out = || refused(link, "a link of the archive leads out of it");
    if link.first() == Some(&b'/') {
        return Err(out());
    }
    let mut parts: Vec<&[u8]> = from
        .split(|b| *b == b'/')
        .filter(|part| !part.is_empty())
        .collect();
    for part in link.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop().ok_or_else(out)?;
            }
            part => parts.push(part),
        }
    }
    text(parts.join(&b'/'))
}

/// A name of an archive, fit for a message.
#[must_use]
pub fn name_shown(name: &str) -> String {
    shown(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(builder: &mut tar::Builder<Vec<u8>>, name: &str, kind: tar::EntryType, link: &str, data: &[u8]) {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        let field = &mut header.as_old_mut().name;
        field[..name.len()].copy_from_slice(name.as_bytes());
        let field = &mut header.as_old_mut().linkname;
        field[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        builder.append(&header, data).expect("an entry");
    }

    fn of(entries: &[(&str, tar::EntryType, &str)]) -> Result<BTreeMap<String, Place>> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, link) in entries {
            let data: &[u8] = if *kind == tar::EntryType::Regular {
                b"data"
            } else {
                b""
            };
            entry(&mut builder, name, *kind, link, data);
        }
        survey(
            builder.into_inner().expect("an archive").as_slice(),
            &Limits::default(),
        )
    }

    #[test]
    fn entries_are_found_where_they_lie() {
        use tar::EntryType::{Directory, Link, Regular, Symlink};
        let found = of(&[
            ("a/", Directory, ""),
            ("./a/one", Regular, ""),
            ("two", Regular, ""),
            ("b/x", Symlink, "../a/./one"),
            ("y", Link, "two"),
        ])
        .expect("an archive");
        let file = |at| Place::File { at, size: 4 };
        let link = |to: &str| Place::Link(to.to_owned());
        let expected = [
            ("a/one", file(1024)),
            ("b/x", link("a/one")),
            ("two", file(2048)),
            ("y", link("two")),
        ];
        assert_eq!(
            found,
            expected.map(|(name, place)| (name.to_owned(), place)).into()
        );
    }

    #[test]
    fn nothing_leads_out() {
        use tar::EntryType::{Block, Char, Fifo, Link, Regular, Symlink};
        for (entries, why) in [
            (vec![("../a", Regular, "")], "through `..`"),
            (vec![("/a", Regular, "")], "is relative"),
            (vec![("a", Symlink, "../b")], "leads out"),
            (vec![("a/b", Symlink, "../../c")], "leads out"),
            (vec![("a", Symlink, "/etc/passwd")], "leads out"),
            (vec![("a", Link, "../b")], "leads out"),
            (vec![("a", Fifo, "")], "files and directories only"),
            (vec![("a", Char, "")], "files and directories only"),
            (vec![("a", Block, "")], "files and directories only"),
            (vec![("a", Regular, ""), ("./a", Regular, "")], "twice"),
            (vec![("a", Regular, ""), ("a", Symlink, "b")], "twice"),
        ] {
            let error = of(&entries).expect_err(why).to_string();
            assert!(error.contains(why), "{entries:?}: {error}");
        }
    }
}

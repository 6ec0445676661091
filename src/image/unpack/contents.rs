//! Writes a file's contents, and leaves its holes.

use super::archive::{Archive, Member};
use super::error::{Error, Result, system};
use super::sparse::Piece;
use super::tree::Spot;
use crate::sys::Errno;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

/// Writes what the archive has of an entry into its file.
pub(super) fn fill(mut file: &File, archive: &mut Archive<'_>, member: &Member, spot: &Spot) -> Result<()> {
    let failed = |e: io::Error| -> Error {
        system(&spot.path, "written")(Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO)))
    };
    let Some(map) = &member.map else {
        return archive.contents(|bytes| file.write_all(bytes).map_err(failed));
    };
    file.set_len(member.size).map_err(failed)?;
    let mut pieces = map.iter().copied().filter(|piece| piece.length > 0);
    let mut here = pieces.next();
    archive.contents(|mut bytes| {
        while let (Some(piece), false) = (&mut here, bytes.is_empty()) {
            bytes = part(file, piece, bytes).map_err(failed)?;
            if piece.length == 0 {
                here = pieces.next();
            }
        }
        Ok(())
    })
}

/// Writes as much as fits into a piece, which becomes shorter; what is left over.
fn part<'b>(file: &File, piece: &mut Piece, bytes: &'b [u8]) -> io::Result<&'b [u8]> {
    let n = bytes
        .len()
        .min(usize::try_from(piece.length).unwrap_or(usize::MAX));
    let (head, tail) = bytes.split_at(n);
    file.write_all_at(head, piece.offset)?;
    piece.offset += n as u64;
    piece.length -= n as u64;
    Ok(tail)
}

//! Files with holes: where their data lies. GNU's old form, and its three forms in PAX headers (0.0, 0.1, 1.0).

use super::error::Result;
use super::pax::{number, whole};
use super::stream::{BLOCK, Stream};
use tar::{GnuExtSparseHeader, GnuHeader, GnuSparseHeader};

/// The most pieces of a file: a map of them stays below 4 MiB.
const PIECES: usize = 1 << 18;

/// A piece of a file that is not a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// What a PAX header says of holes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Claims {
    version: (Option<u64>, Option<u64>),
    pub(super) name: Option<Vec<u8>>,
    size: Option<u64>,
    map: Option<Vec<Piece>>,
    /// Of 0.0: an offset whose length is still to come.
    offset: Option<u64>,
}

impl Claims {
    /// Takes one `GNU.sparse.` record.
    pub(super) fn take(&mut self, key: &[u8], value: &[u8]) -> std::result::Result<(), String> {
        match key {
            b"major" => self.version.0 = whole(value)?,
            b"minor" => self.version.1 = whole(value)?,
            b"name" => self.name = (!value.is_empty()).then(|| value.to_vec()),
            b"size" | b"realsize" => self.size = whole(value)?,
            b"offset" => self.offset = whole(value)?,
            b"numbytes" => {
                let piece = self.offset.take().zip(whole(value)?);
                let (offset, length) = piece.ok_or("invalid GNU sparse map: a length without an offset")?;
                self.map.get_or_insert_default().push(Piece { offset, length });
            }
            b"map" => {
                let numbers: Option<Vec<u64>> = value.split(|b| *b == b',').map(number).collect();
                self.map = Some(pieces(
                    &numbers.ok_or("invalid GNU sparse map: not a list of numbers")?,
                )?);
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether there are holes, and the file's real size.
    pub(super) fn size(&self) -> std::result::Result<Option<u64>, String> {
        match (self.version, &self.map) {
            ((None, None), None) => Ok(None),
            ((Some(1), Some(0)), None) | ((None | Some(0), None | Some(0 | 1)), Some(_)) => match self.size {
                Some(size) => Ok(Some(size)),
                None => Err("invalid GNU sparse map: the file's size is missing".into()),
            },
            _ => Err("unsupported GNU sparse format: expected 0.0, 0.1 or 1.0".into()),
        }
    }

    /// The map, which is in the header or at the front of the data; how many bytes of data it took.
    pub(super) fn map(
        self,
        stream: &mut Stream<'_>,
        data: u64,
    ) -> Result<std::result::Result<(Vec<Piece>, u64), String>> {
        match self.map {
            Some(map) => Ok(Ok((map, 0))),
            None => front(stream, data),
        }
    }
}

fn pieces(numbers: &[u64]) -> std::result::Result<Vec<Piece>, String> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() || pairs.len() > PIECES {
        return Err(format!(
            "invalid GNU sparse map: an odd number of values, or more than {PIECES} pieces"
        ));
    }
    let piece = |[offset, length]: &[u64; 2]| Piece {
        offset: *offset,
        length: *length,
    };
    Ok(pairs.iter().map(piece).collect())
}

/// The map of form 1.0: decimal lines, how many pieces and then each one's offset and length, filled up to a whole block.
fn front(stream: &mut Stream<'_>, data: u64) -> Result<std::result::Result<(Vec<Piece>, u64), String>> {
    let mut numbers: Vec<u64> = Vec::new();
    let mut line: Vec<u8> = Vec::new();
    let mut taken = 0;
    loop {
        if taken + BLOCK as u64 > data {
            return Ok(Err("invalid GNU sparse map: longer than the data".into()));
        }
        let block = stream.block()?.unwrap_or([0; BLOCK]);
        taken += BLOCK as u64;
        for byte in block {
            if byte != b'\n' {
                line.push(byte);
                continue;
            }
            match number(&line) {
                Some(n) if line.len() <= 20 => numbers.push(n),
                _ => return Ok(Err("invalid GNU sparse map: not a list of numbers".into())),
            }
            line.clear();
            let count = numbers.first().copied().unwrap_or_default();
            if count > PIECES as u64 {
                return Ok(Err(format!("invalid GNU sparse map: more than {PIECES} pieces")));
            }
            if numbers.len() as u64 == 1 + 2 * count {
                let rest = numbers.get(1..).unwrap_or_default();
                return Ok(pieces(rest).map(|map| (map, taken)));
            }
        }
        if line.len() > 20 {
            return Ok(Err("invalid GNU sparse map: not a list of numbers".into()));
        }
    }
}

/// The map of GNU's old form: four pieces in the header, more in blocks behind it.
pub(super) fn old(
    stream: &mut Stream<'_>,
    gnu: &GnuHeader,
) -> Result<std::result::Result<Vec<Piece>, String>> {
    let mut map = Vec::new();
    let mut add = |list: &[GnuSparseHeader]| {
        for piece in list.iter().filter(|p| !p.is_empty()) {
            let (Ok(offset), Ok(length)) = (piece.offset(), piece.length()) else {
                return Err("invalid GNU sparse map: not a list of numbers".to_owned());
            };
            map.push(Piece { offset, length });
        }
        Ok(map.len())
    };
    let mut extended = gnu.is_extended();
    let mut added = add(&gnu.sparse);
    while extended && matches!(added, Ok(n) if n <= PIECES) {
        let Some(block) = stream.block()? else {
            return Ok(Err("invalid GNU sparse map: truncated".into()));
        };
        let mut more = GnuExtSparseHeader::new();
        *more.as_mut_bytes() = block;
        added = add(&more.sparse);
        extended = more.is_extended();
    }
    Ok(match added {
        Err(why) => Err(why),
        Ok(n) if n > PIECES => Err(format!("invalid GNU sparse map: more than {PIECES} pieces")),
        Ok(_) => Ok(map),
    })
}

/// Whether the pieces lie one behind another within the file and are as long as the data, each but the last of whole blocks: GNU tar begins
/// each at a block, Go's reader does not, and only then they read the same.
pub(super) fn sound(map: &[Piece], size: u64, data: u64) -> bool {
    let (mut end, mut sum) = (0u64, 0u64);
    for piece in map {
        let until = piece.offset.checked_add(piece.length);
        let whole = sum.is_multiple_of(BLOCK as u64) || piece.length == 0;
        match until {
            Some(until) if piece.offset >= end && until <= size && whole => end = until,
            _ => return false,
        }
        sum += piece.length;
    }
    sum == data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_maps_that_every_reader_reads_alike_are_sound() {
        let map = |list: &[(u64, u64)]| -> Vec<Piece> {
            list.iter()
                .map(|(offset, length)| Piece {
                    offset: *offset,
                    length: *length,
                })
                .collect()
        };
        for (list, size, data, right) in [
            (&[][..], 0, 0, true),
            (&[][..], 1 << 40, 0, true),
            (&[(512, 512), (4096, 3)], 4099, 515, true),
            (&[(512, 512), (4096, 3), (5000, 0)], 5000, 515, true),
            (&[(512, 512)], 1024, 511, false),
            (&[(512, 512)], 1023, 512, false),
            (&[(512, 512), (600, 512)], 5000, 1024, false),
            (&[(4096, 512), (512, 512)], 5000, 1024, false),
            (&[(0, 3), (512, 3)], 5000, 6, false),
            (&[(u64::MAX, 2)], u64::MAX, 2, false),
        ] {
            assert_eq!(sound(&map(list), size, data), right, "{list:?} {size} {data}");
        }
    }
}

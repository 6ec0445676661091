//! Small files, read so that none of them can hold sbx up or fill its memory.

use super::named::{self, Planted};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// open(2), fstat(2) or read(2).
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A directory, a FIFO that may never answer, a device that never ends.
    #[error("not a regular file")]
    NotRegular,
    /// It is refused whole and not cut, since half a line may say something else.
    #[error("larger than {} KiB", .0 >> 10)]
    TooLarge(u64),
}

impl From<Unread> for io::Error {
    fn from(why: Unread) -> Self {
        match why {
            Unread::Io(error) => error,
            Unread::NotRegular => Self::new(io::ErrorKind::InvalidInput, why),
            Unread::TooLarge(_) => Self::new(io::ErrorKind::FileTooLarge, why),
        }
    }
}

/// Opens a regular file. `O_NONBLOCK`: opening a FIFO that somebody put there returns at once, and it is refused like any other thing
/// that is no file.
///
/// # Errors
/// As open(2); [`Unread::NotRegular`].
pub fn open(path: &Path) -> Result<File, Unread> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    regular(&file)?;
    Ok(file)
}

/// Opens a regular file that the caller has named; see [`named`].
///
/// # Errors
/// As [`named::open`]; [`Unread::NotRegular`].
pub fn open_named(path: &Path) -> Result<File, Unread> {
    let file = named::open(path, &Planted::workdir())?;
    regular(&file)?;
    Ok(file)
}

/// Opens and reads it.
///
/// # Errors
/// As [`open_named`] and [`contents`].
pub fn read_named(path: &Path, most: u64) -> Result<Vec<u8>, Unread> {
    contents(open_named(path)?, most)
}

/// Reads a file that was opened without waiting, of no more than `most` bytes.
///
/// # Errors
/// As read(2); [`Unread::NotRegular`], [`Unread::TooLarge`].
pub fn contents(file: File, most: u64) -> Result<Vec<u8>, Unread> {
    regular(&file)?;
    let mut bytes = Vec::with_capacity(4096);
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(Unread::TooLarge(most));
    }
    Ok(bytes)
}

/// Opens and reads.
///
/// # Errors
/// As [`open`] and [`contents`].
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, Unread> {
    contents(open(path)?, most)
}

fn regular(file: &File) -> Result<(), Unread> {
    if file.metadata()?.is_file() {
        Ok(())
    } else {
        Err(Unread::NotRegular)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_of_a_sane_size() {
        let dir = tempfile::tempdir().expect("a directory");
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("mkfifo");
        for odd in [fifo.as_path(), dir.path(), Path::new("/dev/zero")] {
            let said = read(odd, 1 << 20);
            assert!(matches!(said, Err(Unread::NotRegular)), "{odd:?}: {said:?}");
        }
        let file = dir.path().join("file");
        std::fs::write(&file, vec![b'x'; 1 << 20]).expect("write");
        assert_eq!(read(&file, 1 << 20).expect("the file").len(), 1 << 20);
        std::fs::write(&file, vec![b'x'; (1 << 20) + 1]).expect("write");
        let said = read(&file, 1 << 20);
        assert!(matches!(said, Err(Unread::TooLarge(_))), "{said:?}");
        assert!(
            matches!(read(&dir.path().join("none"), 1), Err(Unread::Io(e)) if e.kind() == io::ErrorKind::NotFound)
        );
    }
}

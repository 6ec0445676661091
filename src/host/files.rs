//! Small text files of the host, read so that none of them can hold sbx up or fill its memory.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// No account file of a real machine is larger; what is longer is refused whole, not cut, since half a line may name another id.
pub(super) const MAXIMUM: u64 = 1 << 20;

/// Reads a regular file. `O_NONBLOCK`: opening a FIFO that somebody put there returns at once, and it is refused like any other
/// thing that is no file.
///
/// # Errors
/// As open(2) and read(2); `InvalidInput` for what is no regular file, `FileTooLarge` above [`MAXIMUM`].
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    read_open(file)
}

/// The same for a file that was opened without waiting.
///
/// # Errors
/// As [`read`].
pub(super) fn read_open(file: File) -> io::Result<Vec<u8>> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let mut bytes = Vec::with_capacity(4096);
    file.take(MAXIMUM + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAXIMUM {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    Ok(bytes)
}

/// The text of a file; empty where it cannot be read.
pub(super) fn text(path: &Path) -> String {
    let bytes = read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The number in a file of `/proc/sys`; `None` where the kernel has no such file, or it holds something else.
pub(super) fn sysctl(name: &str) -> Option<u64> {
    let text = read(&Path::new("/proc/sys").join(name)).ok()?;
    std::str::from_utf8(&text).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;

    #[test]
    fn only_regular_files_of_a_sane_size() {
        let dir = tempfile::tempdir().expect("a directory");
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("mkfifo");
        let kind = |p: &Path| read(p).map_err(|e| e.kind());
        assert_eq!(kind(&fifo), Err(ErrorKind::InvalidInput));
        assert_eq!(kind(dir.path()), Err(ErrorKind::InvalidInput));
        assert_eq!(kind(Path::new("/dev/zero")), Err(ErrorKind::InvalidInput));
        let file = dir.path().join("file");
        std::fs::write(&file, vec![b'x'; 1 << 20]).expect("write");
        assert_eq!(kind(&file).map(|b| b.len()), Ok(1 << 20));
        std::fs::write(&file, vec![b'x'; (1 << 20) + 1]).expect("write");
        assert_eq!(kind(&file), Err(ErrorKind::FileTooLarge));
    }

    #[test]
    fn a_sysctl_is_a_number() {
        assert!(sysctl("kernel/pid_max").is_some_and(|n| n > 300));
        assert_eq!(sysctl("kernel/ostype"), None);
        assert_eq!(sysctl("no/such"), None);
    }
}

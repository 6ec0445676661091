//! Trees of files: the names in a directory, extended attributes, shared blocks, and modes of what cannot be opened.

use super::{Errno, Result, check, check_int, uninterrupted};
use nix::dir::Dir;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{Whence, lseek};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, BorrowedFd};

/// The names in a directory, without `.` and `..`, in the file system's order.
///
/// # Errors
/// As open(2) and getdents(2).
pub fn names(directory: BorrowedFd<'_>) -> Result<Vec<CString>> {
    // Opened anew: copies of a descriptor share the place up to which it is read.
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let again = uninterrupted(|| openat(directory, c".", flags, Mode::empty()))?;
    let mut found = Vec::new();
    for entry in Dir::from_fd(again)?.iter() {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            found.push(entry.file_name().to_owned());
        }
    }
    Ok(found)
}

/// Sets an extended attribute of an open file.
///
/// # Errors
/// As fsetxattr(2): `ENOTSUP` where the file system has none, `EPERM` for `user.*` on what is neither file nor directory.
pub fn set_attribute(file: BorrowedFd<'_>, name: &CStr, value: &[u8]) -> Result<()> {
    // SAFETY: `name` is NUL-terminated, the length of `value` is given, both live through the call.
    check_int(unsafe {
        libc::fsetxattr(
            file.as_raw_fd(),
            name.as_ptr(),
            value.as_ptr().cast(),
            value.len(),
            0,
        )
    })
    .map(|_| ())
}

/// The value of an extended attribute, when it has at most as many bytes as the buffer; how many they are.
///
/// # Errors
/// As fgetxattr(2): `ENODATA` without one, `ERANGE` for a longer value.
pub fn attribute(file: BorrowedFd<'_>, name: &CStr, value: &mut [u8]) -> Result<usize> {
    // SAFETY: `name` is NUL-terminated, the length of the buffer is given, both live through the call.
    let length = unsafe {
        libc::fgetxattr(
            file.as_raw_fd(),
            name.as_ptr(),
            value.as_mut_ptr().cast(),
            value.len(),
        )
    };
    check(length as libc::c_long).map(|length| usize::try_from(length).unwrap_or_default())
}

/// The names of all extended attributes, each with a NUL behind it; how many bytes they take. An empty buffer only asks for that.
///
/// # Errors
/// As flistxattr(2), without `ENOTSUP`: `ERANGE` for a buffer that is too small.
pub fn attributes(file: BorrowedFd<'_>, names: &mut [u8]) -> Result<usize> {
    // SAFETY: the length of the buffer is given, and it lives through the call.
    let length = unsafe { libc::flistxattr(file.as_raw_fd(), names.as_mut_ptr().cast(), names.len()) };
    match check(length as libc::c_long) {
        Err(Errno::ENOTSUP) => Ok(0),
        other => other.map(|length| usize::try_from(length).unwrap_or_default()),
    }
}

/// Changes permission bits of what an `O_PATH` descriptor refers to, which fchmod(2) refuses.
///
/// fchmodat2(2) since Linux 6.6; before it the magic link under `/proc/self/fd`, which leads to that very file.
///
/// # Errors
/// As fchmodat2(2); `ENOENT` before Linux 6.6 without `/proc`.
pub fn set_mode_of_path(object: BorrowedFd<'_>, mode: u32) -> Result<()> {
    // SAFETY: the path is an empty C string; the descriptor is live.
    let answer = check(unsafe {
        libc::syscall(
            libc::SYS_fchmodat2,
            object.as_raw_fd(),
            c"".as_ptr(),
            mode,
            libc::AT_EMPTY_PATH,
        )
    });
    // A seccomp filter that is older than the call says EPERM.
    if !matches!(answer, Err(Errno::ENOSYS | Errno::EPERM)) {
        return answer.map(|_| ());
    }
    let mut buffer = [0; 32];
    write!(&mut buffer[..], "/proc/self/fd/{}\0", object.as_raw_fd()).map_err(|_| Errno::EINVAL)?;
    let link = CStr::from_bytes_until_nul(&buffer).map_err(|_| Errno::EINVAL)?;
    // SAFETY: `link` is NUL-terminated and lives through the call.
    check_int(unsafe { libc::chmod(link.as_ptr(), mode) }).map(|_| ())
}

/// Copies the content of a file, data by data, so that holes stay holes. It comes to copy_file_range(2), by which a file system that can
/// shares the blocks; the ioctl for that, FICLONE, is not on the list of the worker's filter.
///
/// # Errors
/// As lseek(2), read(2), write(2) and ftruncate(2).
pub fn copy_contents(from: &File, to: &File, size: u64) -> Result<()> {
    let errno = |e: io::Error| Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO));
    let mut at = 0;
    loop {
        let data = match lseek(from, at, Whence::SeekData) {
            Err(Errno::ENXIO) => break,
            // A file system that knows no holes.
            Err(Errno::EINVAL) => at,
            other => other?,
        };
        let end = lseek(from, data, Whence::SeekHole).unwrap_or(i64::MAX);
        let (first, last) = (
            u64::try_from(data).unwrap_or_default(),
            u64::try_from(end).unwrap_or(u64::MAX).min(size),
        );
        (&mut &*from).seek(SeekFrom::Start(first)).map_err(errno)?;
        (&mut &*to).seek(SeekFrom::Start(first)).map_err(errno)?;
        io::copy(&mut from.take(last.saturating_sub(first)), &mut &*to).map_err(errno)?;
        if last >= size {
            break;
        }
        at = end;
    }
    to.set_len(size).map_err(errno)
}

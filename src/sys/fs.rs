//! Files, always relative to a directory's descriptor and never through a link that points outside.

use super::{Result, check, check_int};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// `RESOLVE_*` bits of openat2(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolve(u64);

impl Resolve {
    /// `/` and `..` stay inside the directory; links are followed inside it; no magic links.
    pub const IN_ROOT: Self = Self(0x10 | 0x02);
    /// The ordinary meaning of a path.
    pub const ANYWHERE: Self = Self(0);
    /// As [`Self::IN_ROOT`], and no link of any kind is followed.
    pub const IN_ROOT_NO_LINKS: Self = Self(0x10 | 0x02 | 0x04);
    /// Nothing may even name something outside: no absolute path, no `..` above; no link is followed.
    pub const BENEATH_NO_LINKS: Self = Self(0x08 | 0x02 | 0x04);
}

fn owned(fd: RawFd) -> OwnedFd {
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Opens beneath a directory. `O_CLOEXEC` and `O_NOCTTY` are always set.
///
/// # Errors
/// `ENOENT`; `ELOOP` for a refused link; `EXDEV` for a way out; `EAGAIN` after a race with a rename, tried again here.
pub fn open_beneath(
    directory: BorrowedFd<'_>,
    path: &CStr,
    flags: libc::c_int,
    mode: u32,
    resolve: Resolve,
) -> Result<OwnedFd> {
    openat2(directory.as_raw_fd(), path, flags, mode, resolve)
}

/// Opens an absolute path of the host on which no link may lie, so that nobody who swaps a directory for a link leads it elsewhere.
///
/// # Errors
/// As open(2); `ELOOP` for a link.
pub fn open_without_links(path: &CStr, flags: libc::c_int) -> Result<OwnedFd> {
    openat2(libc::AT_FDCWD, path, flags, 0, Resolve(0x04 | 0x02))
}

fn openat2(
    directory: RawFd,
    path: &CStr,
    flags: libc::c_int,
    mode: u32,
    resolve: Resolve,
) -> Result<OwnedFd> {
    // SAFETY: `open_how` is a plain C struct for which all zeroes is a valid value.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    #[allow(clippy::cast_sign_loss, reason = "flag bits")]
    {
        how.flags = u64::from((flags | libc::O_CLOEXEC | libc::O_NOCTTY) as u32);
    }
    // O_PATH takes no mode and openat2 is strict about it.
    how.mode = if flags & libc::O_CREAT == 0 {
        0
    } else {
        u64::from(mode)
    };
    how.resolve = resolve.0;
    if flags & libc::O_PATH != 0 {
        #[allow(clippy::cast_sign_loss, reason = "flag bits")]
        {
            how.flags &= !u64::from(libc::O_NOCTTY as u32);
        }
    }
    loop {
        // SAFETY: `path` is NUL-terminated, `how` has the size that is given, both live through the call.
        let answer = check(unsafe {
            libc::syscall(
                libc::SYS_openat2,
                directory,
                path.as_ptr(),
                &raw const how,
                size_of::<libc::open_how>(),
            )
        });
        match answer {
            Err(super::Errno::EAGAIN | super::Errno::EINTR) => {}
            #[allow(clippy::cast_possible_truncation, reason = "a file descriptor is an int")]
            other => return other.map(|fd| owned(fd as RawFd)),
        }
    }
}

/// Opens a path of the host with its ordinary meaning.
///
/// # Errors
/// As open(2).
pub fn open(path: &CStr, flags: libc::c_int) -> Result<OwnedFd> {
    // SAFETY: `path` is NUL-terminated and lives through the call.
    check_int(unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC | libc::O_NOCTTY) }).map(owned)
}

/// Makes a directory; one that is there already is fine.
///
/// # Errors
/// As mkdirat(2), without `EEXIST`.
pub fn make_directory(parent: BorrowedFd<'_>, name: &CStr, mode: u32) -> Result<()> {
    // SAFETY: `name` is NUL-terminated and lives through the call.
    match check_int(unsafe { libc::mkdirat(parent.as_raw_fd(), name.as_ptr(), mode) }) {
        Err(super::Errno::EEXIST) => Ok(()),
        other => other.map(|_| ()),
    }
}

/// Removes a name, but no directory.
///
/// # Errors
/// As unlinkat(2); `EISDIR` for a directory.
pub fn unlink(parent: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    // SAFETY: `name` is NUL-terminated and lives through the call.
    check_int(unsafe { libc::unlinkat(parent.as_raw_fd(), name.as_ptr(), 0) }).map(|_| ())
}

/// Makes a symbolic link.
///
/// # Errors
/// As symlinkat(2).
pub fn make_link(target: &CStr, parent: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    // SAFETY: both strings are NUL-terminated and live through the call.
    check_int(unsafe { libc::symlinkat(target.as_ptr(), parent.as_raw_fd(), name.as_ptr()) }).map(|_| ())
}

/// Changes permission bits of an open file.
///
/// # Errors
/// As fchmod(2).
pub fn set_mode(file: BorrowedFd<'_>, mode: u32) -> Result<()> {
    // SAFETY: only numbers are passed.
    check_int(unsafe { libc::fchmod(file.as_raw_fd(), mode) }).map(|_| ())
}

/// Changes the owner of an open file.
///
/// # Errors
/// As fchown(2).
pub fn set_owner(file: BorrowedFd<'_>, uid: u32, gid: u32) -> Result<()> {
    // SAFETY: only numbers are passed.
    check_int(unsafe { libc::fchown(file.as_raw_fd(), uid, gid) }).map(|_| ())
}

/// Writes all of `bytes`.
///
/// # Errors
/// As write(2).
pub fn write_all(file: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        // SAFETY: the buffer is live and its length is given.
        let answer = check(unsafe {
            libc::write(file.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) as libc::c_long
        });
        match answer {
            Err(super::Errno::EINTR) => {}
            Err(e) => return Err(e),
            Ok(n) => {
                bytes = usize::try_from(n)
                    .ok()
                    .and_then(|n| bytes.get(n..))
                    .unwrap_or_default()
            }
        }
    }
    Ok(())
}

/// Opens a file of the kernel (`/proc/self/uid_map`), writes it and closes it.
///
/// # Errors
/// As open(2) and write(2).
pub fn write_kernel_file(path: &CStr, bytes: &[u8]) -> Result<()> {
    use std::os::fd::AsFd;
    let file = open(path, libc::O_WRONLY)?;
    write_all(file.as_fd(), bytes)
}

/// Goes to the directory of a descriptor.
///
/// # Errors
/// `EACCES` without search permission.
pub fn change_directory(directory: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: only a number is passed.
    check_int(unsafe { libc::fchdir(directory.as_raw_fd()) }).map(|_| ())
}

/// Whether the current directory lies under the current root; the kernel writes `(unreachable)` before one that does not
/// (CVE-2024-21626).
///
/// # Errors
/// `ENOENT` for a deleted directory.
pub fn working_directory_is_inside() -> Result<bool> {
    let mut buffer = [0u8; 4096];
    // SAFETY: the buffer is live and its length is given; the raw call, because glibc hides `(unreachable)`.
    check(unsafe { libc::syscall(libc::SYS_getcwd, buffer.as_mut_ptr(), buffer.len()) })?;
    Ok(buffer[0] == b'/')
}

/// Makes every descriptor from `first` on close at exec.
///
/// # Errors
/// `EINVAL` before Linux 5.11.
pub fn close_range_at_exec(first: u32) -> Result<()> {
    // SAFETY: only numbers are passed; 4 is CLOSE_RANGE_CLOEXEC.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 4) }).map(|_| ())
}

/// Makes `to` another name of `from`, open across exec.
///
/// # Errors
/// As dup2(2).
pub fn duplicate_onto(from: BorrowedFd<'_>, to: RawFd) -> Result<()> {
    // SAFETY: only numbers are passed; whoever owns `to` is told by the caller (0, 1 and 2 belong to nobody).
    check_int(unsafe { libc::dup2(from.as_raw_fd(), to) }).map(|_| ())
}

/// Sets the permission mask for new files. Returns the old one.
pub fn set_umask(mask: u32) -> u32 {
    // SAFETY: umask(2) cannot fail.
    unsafe { libc::umask(mask) }
}

/// What kind of file a descriptor refers to, and its permission bits (`st_mode`).
///
/// # Errors
/// As fstat(2).
pub fn kind(file: BorrowedFd<'_>) -> Result<u32> {
    // SAFETY: `stat` is a plain C struct for which all zeroes is a valid value.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is live and of the right type.
    check_int(unsafe { libc::fstat(file.as_raw_fd(), &raw mut stat) })?;
    Ok(stat.st_mode)
}

/// Device and inode number of an open file.
///
/// # Errors
/// As fstat(2).
pub fn id(file: BorrowedFd<'_>) -> Result<(u64, u64)> {
    let stat = nix::sys::stat::fstat(file)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// Whether a standard stream, given by its number, is a regular file, and whether it is a directory or was opened with `O_PATH`; neither
/// for a closed one.
#[must_use]
pub fn stream_kind(number: RawFd) -> (bool, bool) {
    // SAFETY: the standard streams stay open as long as this process lives, and a closed one is an error of the call.
    let stream = unsafe { BorrowedFd::borrow_raw(number) };
    let format = kind(stream).map_or(0, |mode| mode & libc::S_IFMT);
    // SAFETY: only numbers are passed.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFL) };
    let path = flags >= 0 && flags & libc::O_PATH != 0;
    (format == libc::S_IFREG && !path, format == libc::S_IFDIR || path)
}

/// Where the next write to a file begins: its end with `O_APPEND`, else the descriptor's offset.
///
/// # Errors
/// As lseek(2).
pub fn write_position(file: BorrowedFd<'_>) -> Result<u64> {
    // SAFETY: only numbers are passed.
    let flags = check_int(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) })?;
    if flags & libc::O_APPEND != 0 {
        let stat = nix::sys::stat::fstat(file)?;
        return Ok(stat.st_size.cast_unsigned());
    }
    // SAFETY: only numbers are passed.
    check(unsafe { libc::lseek(file.as_raw_fd(), 0, libc::SEEK_CUR) }).map(i64::cast_unsigned)
}

/// Sets `O_NONBLOCK` on an open file description.
///
/// # Errors
/// As fcntl(2).
pub fn set_nonblocking(file: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: only numbers are passed.
    let flags = check_int(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) })?;
    // SAFETY: only numbers are passed.
    check_int(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) }).map(drop)
}

/// The bytes that wait in a pipe (`FIONREAD`).
///
/// # Errors
/// `EBADF`.
pub fn bytes_in_pipe(pipe: BorrowedFd<'_>) -> Result<usize> {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int.
    check_int(unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &raw mut count) })?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// Closes every descriptor from `first` to `last`. Whoever owned one of them must not use it again.
///
/// # Errors
/// `ENOSYS` before Linux 5.9.
pub fn close_range(first: u32, last: u32) -> Result<()> {
    // SAFETY: only numbers are passed; init, the only caller, ends by _exit and drops no owner of a closed descriptor.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(|_| ())
}

/// A copy of a descriptor that the caller of sbx has opened and named by its number.
///
/// # Errors
/// `EBADF` when nothing is open there.
pub fn borrow_numbered(number: RawFd) -> Result<std::fs::File> {
    // SAFETY: only numbers are passed; F_DUPFD_CLOEXEC makes a new descriptor.
    check_int(unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) })
        .map(owned)
        .map(std::fs::File::from)
}

/// Whether a file carries an extended attribute.
///
/// # Errors
/// As fgetxattr(2), without `ENODATA` and `ENOTSUP`.
pub fn has_attribute(file: BorrowedFd<'_>, name: &CStr) -> Result<bool> {
    // SAFETY: `name` is NUL-terminated; a null buffer of size 0 asks for the length only.
    let length = unsafe { libc::fgetxattr(file.as_raw_fd(), name.as_ptr(), std::ptr::null_mut(), 0) };
    match check(length as libc::c_long) {
        Ok(_) => Ok(true),
        Err(super::Errno::ENODATA | super::Errno::ENOTSUP) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Whether the file that a path leads to carries an extended attribute; it need not be readable.
///
/// # Errors
/// As getxattr(2), without `ENODATA` and `ENOTSUP`.
pub fn path_has_attribute(path: &std::path::Path, name: &CStr) -> Result<bool> {
    use nix::NixPath;
    let length = path.with_nix_path(|path| {
        // SAFETY: both strings are NUL-terminated; a null buffer of size 0 asks for the length only.
        unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), std::ptr::null_mut(), 0) }
    })?;
    match check(length as libc::c_long) {
        Ok(_) => Ok(true),
        Err(super::Errno::ENODATA | super::Errno::ENOTSUP) => Ok(false),
        Err(errno) => Err(errno),
    }
}

//! The mount API of Linux 5.2 and later, and pivot_root(2).

use super::{Errno, Result, check, check_int};
use std::ffi::CStr;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// `MOUNT_ATTR_*` bits of mount_setattr(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes(pub u64);

impl Attributes {
    /// No writes.
    pub const READ_ONLY: u64 = 0x1;
    /// Set-id bits and file capabilities are ignored.
    pub const NO_SUID: u64 = 0x2;
    /// Device nodes cannot be opened.
    pub const NO_DEV: u64 = 0x4;
    /// Nothing can be executed.
    pub const NO_EXEC: u64 = 0x8;
}

#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

const FSCONFIG_SET_FLAG: libc::c_uint = 0;
const FSCONFIG_SET_STRING: libc::c_uint = 1;
const FSCONFIG_CMD_CREATE: libc::c_uint = 6;
const FSCONFIG_CMD_RECONFIGURE: libc::c_uint = 7;
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 0x4;
const MOVE_MOUNT_T_EMPTY_PATH: libc::c_uint = 0x40;
const OPEN_TREE_CLONE: libc::c_uint = 1;

fn owned(answer: libc::c_long) -> OwnedFd {
    #[allow(clippy::cast_possible_truncation, reason = "a file descriptor is an int")]
    let fd = answer as RawFd;
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// A detached, recursive copy of the mounts at what a descriptor refers to.
///
/// Recursive because a copy without its children is refused for mounts that another user namespace has locked.
///
/// # Errors
/// `EPERM` without rights over the mount namespace.
pub fn open_tree(object: BorrowedFd<'_>) -> Result<OwnedFd> {
    let flags = libc::O_CLOEXEC | libc::AT_RECURSIVE | libc::AT_EMPTY_PATH;
    let flags = OPEN_TREE_CLONE | flags.cast_unsigned();
    // SAFETY: the path is an empty C string; the descriptor is live.
    check(unsafe { libc::syscall(libc::SYS_open_tree, object.as_raw_fd(), c"".as_ptr(), flags) }).map(owned)
}

/// Sets attributes on a mount (and with `recursive` on everything below), and cuts it from the host's mount events.
///
/// # Errors
/// `EPERM` when a locked attribute would be cleared; never happens for setting.
pub fn set_attributes(tree: BorrowedFd<'_>, set: Attributes, recursive: bool) -> Result<()> {
    let attr = MountAttr {
        set: set.0,
        clear: 0,
        propagation: libc::MS_PRIVATE,
        userns_fd: 0,
    };
    let deep = if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: `attr` has the kernel's layout and its size is given; the descriptor is live.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | deep,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    })
    .map(|_| ())
}

/// Attaches a detached mount on the object that `target` refers to, so that no path is walked.
///
/// # Errors
/// `ENOTDIR` when one is a directory and the other is not.
pub fn move_mount(tree: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: both descriptors are live; the paths are empty C strings.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            target.as_raw_fd(),
            c"".as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH,
        )
    })
    .map(|_| ())
}

/// A detached copy of the mount at a name in a directory, which may be a symbolic link: that of the object itself, without children.
///
/// # Errors
/// `ENOENT`; `EINVAL` for a directory that is not mounted in this namespace.
pub fn open_tree_at(directory: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    let flags = OPEN_TREE_CLONE | (libc::O_CLOEXEC | libc::AT_SYMLINK_NOFOLLOW).cast_unsigned();
    // SAFETY: `name` is NUL-terminated and lives through the call; the descriptor is live.
    check(unsafe { libc::syscall(libc::SYS_open_tree, directory.as_raw_fd(), name.as_ptr(), flags) })
        .map(owned)
}

/// Attaches a detached mount at a name in a directory, which may be a symbolic link and is not followed.
///
/// # Errors
/// As [`move_mount`].
pub fn move_mount_at(tree: BorrowedFd<'_>, directory: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    // SAFETY: both descriptors are live; the first path is empty, the second lives through the call, and both are NUL-terminated.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            directory.as_raw_fd(),
            name.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    })
    .map(|_| ())
}

/// Starts a new file system of the given type.
///
/// # Errors
/// `ENODEV` when the kernel has no such type; `EPERM` where user namespaces may not mount it.
pub fn fsopen(kind: &CStr) -> Result<OwnedFd> {
    // SAFETY: `kind` is NUL-terminated and lives through the call; 1 is FSOPEN_CLOEXEC.
    check(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), 1) }).map(owned)
}

/// Sets an option that has a value.
///
/// # Errors
/// `EINVAL` when the file system does not know or refuses it.
pub fn fsconfig_string(fs: BorrowedFd<'_>, key: &CStr, value: &CStr) -> Result<()> {
    // SAFETY: both strings are NUL-terminated and live through the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            fs.as_raw_fd(),
            FSCONFIG_SET_STRING,
            key.as_ptr(),
            value.as_ptr(),
            0,
        )
    })
    .map(|_| ())
}

/// Sets an option that has none.
///
/// # Errors
/// `EINVAL` when the file system does not know it.
pub fn fsconfig_flag(fs: BorrowedFd<'_>, key: &CStr) -> Result<()> {
    let none = std::ptr::null::<libc::c_char>();
    // SAFETY: `key` is NUL-terminated and lives through the call; a flag has no value.
    check(unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            fs.as_raw_fd(),
            FSCONFIG_SET_FLAG,
            key.as_ptr(),
            none,
            0,
        )
    })
    .map(|_| ())
}

/// Makes the file system's superblock.
///
/// # Errors
/// `EPERM` for `proc` when the host's own is partly masked (`mount_too_revealing`).
pub fn fsconfig_create(fs: BorrowedFd<'_>) -> Result<()> {
    fsconfig_command(fs, FSCONFIG_CMD_CREATE)
}

/// Gives options that were set after the mount to the superblock.
///
/// # Errors
/// `EINVAL` when the file system refuses one of them.
pub fn fsconfig_reconfigure(fs: BorrowedFd<'_>) -> Result<()> {
    fsconfig_command(fs, FSCONFIG_CMD_RECONFIGURE)
}

fn fsconfig_command(fs: BorrowedFd<'_>, command: libc::c_uint) -> Result<()> {
    let none = std::ptr::null::<libc::c_char>();
    // SAFETY: the commands take neither key nor value.
    check(unsafe { libc::syscall(libc::SYS_fsconfig, fs.as_raw_fd(), command, none, none, 0) }).map(|_| ())
}

/// A detached mount of it.
///
/// # Errors
/// `EPERM` for `proc`, as above.
pub fn fsmount(fs: BorrowedFd<'_>, attributes: Attributes) -> Result<OwnedFd> {
    // SAFETY: only numbers are passed; 1 is FSMOUNT_CLOEXEC.
    check(unsafe { libc::syscall(libc::SYS_fsmount, fs.as_raw_fd(), 1, attributes.0) }).map(owned)
}

/// A file system that whoever holds `device` shows. Allocates nothing.
///
/// # Errors
/// `EINVAL` for a device that was opened in another user namespace.
pub fn fuse(
    device: BorrowedFd<'_>,
    (user, group): (&CStr, &CStr),
    attributes: Attributes,
) -> Result<OwnedFd> {
    let fs = fsopen(c"fuse")?;
    let mut number = [0; 12];
    // A descriptor has ten digits at most.
    write!(&mut number[..], "{}\0", device.as_raw_fd()).map_err(|_| Errno::EINVAL)?;
    let number = CStr::from_bytes_until_nul(&number).map_err(|_| Errno::EINVAL)?;
    for (key, value) in [
        (c"source", c"fuse-overlayfs"),
        (c"fd", number),
        (c"rootmode", c"40000"),
        (c"user_id", user),
        (c"group_id", group),
    ] {
        fsconfig_string(fs.as_fd(), key, value)?;
    }
    // The kernel decides who may do what, by owners and modes, and for every id inside.
    fsconfig_flag(fs.as_fd(), c"default_permissions")?;
    fsconfig_flag(fs.as_fd(), c"allow_other")?;
    fsconfig_create(fs.as_fd())?;
    fsmount(fs.as_fd(), attributes)
}

/// Mounts an overlay by mount(2), which takes a page of options at once.
///
/// # Errors
/// `EINVAL` for options that it does not know; `ENOENT` for a layer that is not there.
pub fn mount_overlay(target: &CStr, options: &CStr) -> Result<()> {
    let flags = libc::MS_NOSUID | libc::MS_NODEV;
    // SAFETY: all strings are NUL-terminated and live through the call; overlay's data is a string.
    check_int(unsafe {
        let kind = c"overlay".as_ptr();
        libc::mount(kind, target.as_ptr(), kind, flags, options.as_ptr().cast())
    })
    .map(|_| ())
}

/// Makes the current directory the root and the old root what lies on top of it, to be detached by [`detach_here`].
///
/// # Errors
/// `EINVAL` when the current directory is not a mount point of this namespace.
pub fn pivot_root_here() -> Result<()> {
    // SAFETY: both strings are static and NUL-terminated.
    check(unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) }).map(|_| ())
}

/// Detaches the topmost mount at the current directory with everything below it.
///
/// # Errors
/// `EINVAL` when nothing is mounted there.
pub fn detach_here() -> Result<()> {
    // SAFETY: the string is static and NUL-terminated.
    check_int(unsafe { libc::umount2(c".".as_ptr(), libc::MNT_DETACH) }).map(|_| ())
}

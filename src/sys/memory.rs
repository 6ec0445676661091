//! This process's own memory: a stack for another, pages and arguments that are not needed any more.

use super::{Errno, Result, check_int};
use std::ffi::c_void;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// Memory for the stack of [`vfork_run`](super::process::vfork_run), above a page that cannot be written: an overflow ends in SIGSEGV and not in the heap.
#[derive(Debug)]
pub struct Stack {
    base: *mut c_void,
    length: usize,
}

impl Stack {
    const GUARD: usize = 4096;

    /// Maps `length` bytes, a multiple of the page size. Pages cost nothing until they are written.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new(length: usize) -> Result<Self> {
        let length = length + Self::GUARD;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), length, libc::PROT_NONE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        let stack = Self { base, length };
        let (above, writable) = (
            base.wrapping_byte_add(Self::GUARD),
            libc::PROT_READ | libc::PROT_WRITE,
        );
        // SAFETY: this part of the mapping was made above and nobody knows of it yet.
        check_int(unsafe { libc::mprotect(above, length - Self::GUARD, writable) })?;
        Ok(stack)
    }

    /// Where a stack that grows downwards begins.
    pub(super) fn top(&self) -> *mut c_void {
        self.base.wrapping_byte_add(self.length)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no process runs on it when nobody can name it any more.
        unsafe { libc::munmap(self.base, self.length) };
    }
}

/// Two numbers that this process and its children have in common, whether or not they share the rest of their memory.
#[derive(Debug)]
pub struct Shared(NonNull<[AtomicU32; 2]>);

impl Shared {
    const LENGTH: usize = size_of::<[AtomicU32; 2]>();

    /// Maps a page of its own, which holds zeros.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new() -> Result<Self> {
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), Self::LENGTH, access, flags, -1, 0) };
        if page == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        NonNull::new(page.cast()).map(Self).ok_or(Errno::ENOMEM)
    }

    fn numbers(&self) -> &[AtomicU32; 2] {
        // SAFETY: the page is mapped as long as this is there, aligned, and never touched but through these atomics.
        unsafe { self.0.as_ref() }
    }

    /// What was put there last.
    #[must_use]
    pub fn get(&self) -> [u32; 2] {
        self.numbers()
            .each_ref()
            .map(|number| number.load(Ordering::Relaxed))
    }

    /// Puts two numbers there, for everybody who has the page.
    pub fn put(&self, numbers: [u32; 2]) {
        for (place, number) in self.numbers().iter().zip(numbers) {
            place.store(number, Ordering::Relaxed);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no reference to it outlives us.
        unsafe { libc::munmap(self.0.as_ptr().cast(), Self::LENGTH) };
    }
}

/// A file of memfd_create(2), empty, closed at exec.
///
/// # Errors
/// `EMFILE`; `ENOSYS` where memfd_create(2) is filtered.
pub fn memory_file() -> Result<OwnedFd> {
    // SAFETY: the name is a C string.
    let fd = check_int(unsafe { libc::memfd_create(c"".as_ptr(), libc::MFD_CLOEXEC) })?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Bytes in all SysV shared memory segments of this process's ipc namespace, attached or not: shmctl(2), `SHM_INFO`.
///
/// # Errors
/// `ENOSYS` on a kernel without SysV IPC.
pub fn segments() -> Result<u64> {
    /// `SHM_INFO` of linux/shm.h.
    const INFO: libc::c_int = 14;
    /// `struct shm_info` of linux/shm.h.
    #[repr(C)]
    #[derive(Default)]
    struct Info {
        used_ids: libc::c_int,
        total: libc::c_ulong,
        resident: libc::c_ulong,
        swapped: libc::c_ulong,
        attempts: libc::c_ulong,
        successes: libc::c_ulong,
    }
    let mut info = Info::default();
    // SAFETY: with `SHM_INFO` the kernel fills a `struct shm_info`, whatever the type of the pointer says.
    check_int(unsafe { libc::shmctl(0, INFO, (&raw mut info).cast()) })?;
    Ok((info.resident + info.swapped).saturating_mul(4096))
}

unsafe extern "C" {
    /// glibc's name for `argv[0]`: where the kernel has put the arguments, one after the other.
    static program_invocation_name: *mut libc::c_char;
}

/// Gives back what a process that only waits has no use for, since every one of many sandboxes would be charged for it: free memory,
/// the stack that is not in use, and the code that parsed profiles and made plans.
pub fn release_unused() {
    // SAFETY: gives free pages back to the kernel.
    unsafe { libc::malloc_trim(0) };
    release_stack();
    release_code();
}

/// What deeper calls have left below the frames that are in use.
#[inline(never)]
fn release_stack() {
    /// More than calls that are made from here on need before the pages are gone, and the 128 bytes below it that a leaf may use.
    const NEAR: usize = 8 << 10;
    /// Less than the kernel's gap between a stack and the next mapping (256 pages, mm/mmap.c).
    const DEEP: usize = 256 << 10;
    let here = 0_u8;
    let end = ((&raw const here).addr() - NEAR) & !0xfff;
    // SAFETY: nothing lives below the frames of a stack that grows downwards; where it has not grown there is nothing to be dropped.
    unsafe { libc::madvise((end - DEEP) as *mut c_void, DEEP, libc::MADV_DONTNEED) };
}

unsafe extern "C" {
    /// The linker's names for where the program begins and where its code ends.
    static __executable_start: u8;
    static etext: u8;
}

/// Unmaps the pages of the program itself: what is needed again is mapped again from the page cache. Data that was relocated or written
/// cannot be read again from the file; it comes behind the code.
fn release_code() {
    let start = (&raw const __executable_start).addr() & !0xfff;
    let end = (&raw const etext).addr() & !0xfff;
    // SAFETY: a mapping of a file that nobody can write through: its pages come back as they were.
    unsafe {
        libc::madvise(
            start as *mut c_void,
            end.saturating_sub(start),
            libc::MADV_DONTNEED,
        )
    };
}

/// How many bytes this process's arguments take, for [`forget_arguments`].
#[must_use]
pub fn size_of_arguments() -> usize {
    std::env::args_os().map(|argument| argument.len() + 1).sum()
}

/// Puts `init` in the place of the arguments, `size` bytes of them: `/proc/PID/cmdline` can be read by everybody who sees the process,
/// dumpable or not.
pub fn forget_arguments(size: usize) {
    const NAME: &[u8] = b"init";
    // SAFETY: glibc sets it before main and never again.
    let start = unsafe { program_invocation_name }.cast::<u8>();
    if start.is_null() || size <= NAME.len() {
        return;
    }
    // SAFETY: the kernel lays the arguments out without a gap, on the writable stack; nobody holds a reference to them.
    unsafe { start.write_bytes(0, size) };
    // SAFETY: the same place, and shorter.
    unsafe { start.copy_from_nonoverlapping(NAME.as_ptr(), NAME.len()) };
}

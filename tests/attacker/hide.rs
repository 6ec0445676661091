//! Memory that is in no process's resident set, in steps of 8 MiB, so that at no moment much of it can be seen.

use super::step::last;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const STEP: usize = 8 << 20;

/// Hides mebibytes in one way; gives them, or the error of the call that failed.
pub(crate) fn hide(way: &str, most: i64) -> i64 {
    let steps = usize::try_from(most).unwrap_or(0) / (STEP >> 20);
    let done = match way {
        "undumpable" => undumpable(steps),
        "mapped" => mapped(steps),
        "anonymous" => anonymous(steps),
        "queued" => queued(steps),
        "segments" => segments(steps),
        "tables" => tables(steps),
        "thread" => thread(steps),
        "orphaned" => orphaned(steps),
        other => panic!("no way to hide memory: {other}"),
    };
    done.map_or_else(|errno| errno, |()| most)
}

fn checked(answer: i64) -> Result<i64, i64> {
    if answer < 0 { Err(-last()) } else { Ok(answer) }
}

fn memory_file(size: usize) -> Result<OwnedFd, i64> {
    // SAFETY: the name is a C string.
    let fd = checked(unsafe { libc::memfd_create(c"hidden".as_ptr(), 0) }.into())?;
    // SAFETY: a new descriptor that nobody else owns.
    let file = unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).expect("a descriptor")) };
    // SAFETY: only numbers are passed.
    checked(unsafe { libc::ftruncate(file.as_raw_fd(), i64::try_from(size).expect("a size")) }.into())?;
    Ok(file)
}

fn map(file: Option<&OwnedFd>, size: usize, protection: i32, flags: i32) -> Result<*mut u8, i64> {
    let (fd, anonymous) = file.map_or((-1, libc::MAP_ANONYMOUS), |file| (file.as_raw_fd(), 0));
    // SAFETY: a new mapping at a place that the kernel chooses.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), size, protection, flags | anonymous, fd, 0) };
    if at == libc::MAP_FAILED {
        Err(-last())
    } else {
        Ok(at.cast())
    }
}

const WRITE: i32 = libc::PROT_READ | libc::PROT_WRITE;

fn touch(at: *mut u8, size: usize, every: usize) {
    for offset in (0..size).step_by(every) {
        // SAFETY: inside a mapping of that size that can be written.
        unsafe { at.add(offset).write_volatile(1) };
    }
}

fn unmap(at: *mut u8, size: usize) {
    // SAFETY: the mapping is the caller's and is not used again.
    unsafe { libc::munmap(at.cast(), size) };
}

/// Fills memory through a mapping and takes its pages out of the resident set, step by step.
fn fill_and_drop(at: *mut u8, steps: usize) -> Result<(), i64> {
    for step in 0..steps {
        // SAFETY: inside the mapping.
        let at = unsafe { at.add(step * STEP) };
        touch(at, STEP, 4096);
        // SAFETY: pages of a shared mapping, which its object keeps.
        checked(unsafe { libc::madvise(at.cast(), STEP, libc::MADV_DONTNEED) }.into())?;
    }
    Ok(())
}

/// A file of a process whose descriptors nobody may list.
fn undumpable(steps: usize) -> Result<(), i64> {
    // SAFETY: only numbers are passed.
    checked(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) }.into())?;
    let file = memory_file(0)?;
    for step in 1..=steps {
        let size = i64::try_from(STEP * step).expect("a size");
        // SAFETY: only numbers are passed.
        checked(unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, size) }.into())?;
    }
    std::mem::forget(file);
    Ok(())
}

/// A file that is closed and of which one page stays mapped, and none is in use.
fn mapped(steps: usize) -> Result<(), i64> {
    let size = STEP * steps;
    let file = memory_file(size)?;
    let at = map(Some(&file), size, WRITE, libc::MAP_SHARED)?;
    drop(file);
    fill_and_drop(at, steps)?;
    // SAFETY: all but the first page.
    unmap(unsafe { at.add(4096) }, size - 4096);
    Ok(())
}

/// Shared memory without a file.
fn anonymous(steps: usize) -> Result<(), i64> {
    fill_and_drop(map(None, STEP * steps, WRITE, libc::MAP_SHARED)?, steps)
}

/// Files that are nowhere but in the queue of a socket.
fn queued(steps: usize) -> Result<(), i64> {
    let mut ends = [-1; 2];
    // SAFETY: room for two descriptors.
    checked(unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM, 0, ends.as_mut_ptr()) }.into())?;
    for _ in 0..steps {
        let file = memory_file(STEP)?;
        let at = map(Some(&file), STEP, WRITE, libc::MAP_SHARED)?;
        send(ends[0], &file)?;
        drop(file);
        touch(at, STEP, 4096);
        unmap(at, STEP);
    }
    Ok(())
}

fn send(socket: i32, file: &OwnedFd) -> Result<(), i64> {
    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    let files = [file.as_raw_fd()];
    let part = [std::io::IoSlice::new(b"x")];
    let rights = [ControlMessage::ScmRights(&files)];
    sendmsg::<()>(socket, &part, &rights, MsgFlags::empty(), None)
        .map(|_| ())
        .map_err(|errno| -i64::from(errno as i32))
}

/// Segments of System V that nobody has attached.
fn segments(steps: usize) -> Result<(), i64> {
    for _ in 0..steps {
        // SAFETY: only numbers are passed.
        let id = checked(unsafe { libc::shmget(libc::IPC_PRIVATE, STEP, libc::IPC_CREAT | 0o600) }.into())?;
        // SAFETY: a new mapping at a place that the kernel chooses.
        let at = unsafe { libc::shmat(i32::try_from(id).expect("an id"), std::ptr::null(), 0) };
        if at as isize == -1 {
            return Err(-last());
        }
        touch(at.cast(), STEP, 4096);
        // SAFETY: the segment was attached there, and is not used again.
        checked(unsafe { libc::shmdt(at) }.into())?;
    }
    Ok(())
}

/// Page tables: a page of them for each 2 MiB that were only looked at, which is the kernel's page of zeros.
fn tables(steps: usize) -> Result<(), i64> {
    const EACH: usize = 2 << 20;
    for _ in 0..steps {
        let size = STEP / 4096 * EACH;
        let at = map(
            None,
            size,
            libc::PROT_READ,
            libc::MAP_PRIVATE | libc::MAP_NORESERVE,
        )?;
        // SAFETY: the mapping was just made.
        checked(unsafe { libc::madvise(at.cast(), size, libc::MADV_NOHUGEPAGE) }.into())?;
        for offset in (0..size).step_by(EACH) {
            // SAFETY: inside a mapping that can be read.
            unsafe { at.add(offset).read_volatile() };
        }
    }
    Ok(())
}

/// A file in the descriptors of a thread that shares none with the others.
fn thread(steps: usize) -> Result<(), i64> {
    extern "C" fn hold(size: *mut libc::c_void) -> i32 {
        let file = memory_file(0).expect("a file");
        for step in (STEP..=size as usize).step_by(STEP) {
            let step = i64::try_from(step).expect("a size");
            // SAFETY: only numbers are passed.
            unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, step) };
        }
        loop {
            // SAFETY: pause(2) touches no memory.
            unsafe { libc::pause() };
        }
    }
    let stack = map(None, 1 << 20, WRITE, libc::MAP_PRIVATE)?;
    let flags = libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_THREAD | libc::CLONE_FS;
    // SAFETY: the thread has a stack of its own and uses nothing of this one's.
    checked(
        unsafe {
            libc::clone(
                hold,
                stack.add(1 << 20).cast(),
                flags,
                (STEP * steps) as *mut libc::c_void,
            )
        }
        .into(),
    )
    .map(|_| ())
}

/// Memory of a process whose first thread has exited; does not come back.
fn orphaned(steps: usize) -> Result<(), i64> {
    std::thread::spawn(move || {
        // The first thread is gone soon.
        std::thread::sleep(std::time::Duration::from_millis(50));
        for _ in 0..steps {
            touch(
                map(None, STEP, WRITE, libc::MAP_PRIVATE).expect("memory"),
                STEP,
                4096,
            );
        }
        println!("hide={}", steps * (STEP >> 20));
        std::thread::sleep(std::time::Duration::from_millis(1500));
        println!("sleep=0");
        std::process::exit(0);
    });
    // SAFETY: ends this thread alone.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    Ok(())
}

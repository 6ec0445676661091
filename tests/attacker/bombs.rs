//! What a bomb would do, up to a bound that the test names: how far it came, and then the error on a line of its own.

use super::step::{last, raw, show};
use std::io::Write;

fn stopped(by: i64) {
    println!("stopped by {}", show(by));
}

/// Starts processes that wait, until it is refused or `most` are there; ends them all, unless they shall stay.
pub(crate) fn forks(most: i64, stay: bool) -> i64 {
    let mut children = Vec::new();
    while i64::try_from(children.len()).is_ok_and(|n| n < most) {
        // SAFETY: this program has one thread; the child only waits.
        match unsafe { libc::fork() } {
            0 => loop {
                // SAFETY: pause(2) touches no memory.
                unsafe { libc::pause() };
            },
            -1 => {
                stopped(-last());
                break;
            }
            pid => children.push(pid),
        }
    }
    for pid in children.iter().filter(|_| !stay) {
        // SAFETY: these are our own children, not yet waited for.
        unsafe {
            libc::kill(*pid, libc::SIGKILL);
            libc::waitpid(*pid, std::ptr::null_mut(), 0);
        }
    }
    i64::try_from(children.len()).unwrap_or(i64::MAX)
}

/// Opens descriptors.
pub(crate) fn descriptors(most: i64) -> i64 {
    for count in 0..most {
        let answer = raw(libc::SYS_dup, [0; 6]);
        if answer < 0 {
            stopped(answer);
            return count;
        }
    }
    most
}

/// Takes private memory and touches every page, in steps of 16 MiB; gives the mebibytes.
pub(crate) fn memory(most: i64) -> i64 {
    const STEP: usize = 16 << 20;
    let mut got = 0;
    while got < most {
        let (protection, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        );
        // SAFETY: a new mapping at a place that the kernel chooses.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), STEP, protection, flags, -1, 0) };
        if at == libc::MAP_FAILED {
            stopped(-last());
            break;
        }
        for page in (0..STEP).step_by(4096) {
            // SAFETY: inside the mapping.
            unsafe { at.cast::<u8>().add(page).write(1) };
        }
        got += 16;
    }
    got
}

/// Writes mebibytes into a file.
pub(crate) fn fill(path: &str, most: i64) -> i64 {
    let block = vec![0x5au8; 1 << 20];
    let mut file = match std::fs::File::create(path) {
        Ok(file) => file,
        Err(error) => return -i64::from(error.raw_os_error().unwrap_or(0)),
    };
    for count in 0..most {
        if let Err(error) = file.write_all(&block) {
            stopped(-i64::from(error.raw_os_error().unwrap_or(0)));
            return count;
        }
    }
    most
}

/// Makes empty files in a directory.
pub(crate) fn inodes(directory: &str, most: i64) -> i64 {
    for count in 0..most {
        if let Err(error) = std::fs::File::create(format!("{directory}/inode{count}")) {
            stopped(-i64::from(error.raw_os_error().unwrap_or(0)));
            return count;
        }
    }
    most
}

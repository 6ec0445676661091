//! The only door to the kernel: one thin function a system call, safe flags built in, the error is the errno.
//!
//! What the child of clone3 calls does not allocate. What a failure means is said by the caller, which knows the step.

pub mod cred;
pub mod fs;
pub mod landlock;
pub mod machine;
pub mod memory;
pub mod mount;
pub mod named;
pub mod net;
pub mod process;
#[cfg(test)]
pub mod script;
pub mod seccomp;
pub mod signal;
pub mod small;
pub mod socket;
pub mod start;
pub mod tree;
pub mod tty;
pub mod walk;

pub use nix::errno::Errno;

/// The answer of every call.
pub type Result<T> = std::result::Result<T, Errno>;

/// Turns the kernel's `-1` into the errno.
fn check(answer: libc::c_long) -> Result<libc::c_long> {
    if answer == -1 {
        Err(Errno::last())
    } else {
        Ok(answer)
    }
}

/// The same for calls that answer an `int`.
fn check_int(answer: libc::c_int) -> Result<libc::c_int> {
    if answer == -1 {
        Err(Errno::last())
    } else {
        Ok(answer)
    }
}

/// Calls again for as long as a signal interrupts.
pub(crate) fn uninterrupted<T>(mut call: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

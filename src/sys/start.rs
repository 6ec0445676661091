//! The start of the program, in place of the standard library's.
//!
//! Rust's own start reads `/proc/self/maps` and makes a signal stack, to tell of an overflow of the stack: a sixth of the time that an
//! empty static program takes. What else it does is done here.

use super::{fs, process, signal};

/// Makes descriptors 0, 1 and 2 exist, so that nothing that is opened later is taken for a stream; and a closed pipe is an error and
/// no signal.
pub fn prepare_streams() {
    for number in 0..3 {
        // SAFETY: only numbers are passed.
        if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
            // The lowest free number is this one, since those below are open. The command finds it closed again, as it would have
            // without sbx; without it a descriptor of ours would be taken for a stream.
            match fs::open(c"/dev/null", libc::O_RDWR) {
                Ok(null) => std::mem::forget(null),
                Err(_) => process::exit_now(125),
            }
        }
    }
    // So is a file that grows beyond the caller's `ulimit -f`.
    for signal in [libc::SIGPIPE, libc::SIGXFSZ] {
        signal::ignore(signal);
    }
}

/// Defines `main`, which calls a function for its exit code.
#[macro_export]
macro_rules! entry_point {
    ($start:path) => {
        /// What libc calls. The standard library finds the arguments by itself.
        #[allow(unsafe_code, reason = "the one name that libc looks for")]
        #[unsafe(no_mangle)]
        extern "C" fn main() -> i32 {
            $crate::sys::start::prepare_streams();
            i32::from($start())
        }
    };
}

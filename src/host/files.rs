//! Small text files of the host.

use crate::sys::small::{self, Unread};
use std::fs::File;
use std::path::Path;

/// No account file of a real machine is larger.
const MAXIMUM: u64 = 1 << 20;

/// Reads a regular file.
///
/// # Errors
/// As [`small::read`].
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Unread> {
    small::read(path, MAXIMUM)
}

/// The same for a file that was opened without waiting.
///
/// # Errors
/// As [`small::contents`].
pub(super) fn read_open(file: File) -> Result<Vec<u8>, Unread> {
    small::contents(file, MAXIMUM)
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

    #[test]
    fn a_sysctl_is_a_number() {
        assert!(sysctl("kernel/pid_max").is_some_and(|n| n > 300));
        assert_eq!(sysctl("kernel/ostype"), None);
        assert_eq!(sysctl("no/such"), None);
    }
}

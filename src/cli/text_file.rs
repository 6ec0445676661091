//! Files that a flag names.

use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A file that is to be read at once: no FIFO that never answers, no device, no book.
pub(super) fn text_file(path: &Path, largest: u64) -> Result<String, String> {
    let opened = std::fs::File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path);
    let file = opened.map_err(|e| e.to_string())?;
    if !file.metadata().is_ok_and(|m| m.is_file()) {
        return Err("not a regular file".to_owned());
    }
    let mut text = String::new();
    file.take(largest + 1)
        .read_to_string(&mut text)
        .map_err(|e| e.to_string())?;
    if text.len() as u64 > largest {
        return Err(format!("larger than {} KiB", largest >> 10));
    }
    Ok(text)
}

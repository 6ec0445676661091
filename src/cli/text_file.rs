//! Files that a flag names.

use crate::sys::small;
use std::path::Path;

/// A file that is to be read at once: no FIFO that never answers, no device, no book.
pub(super) fn text_file(path: &Path, largest: u64) -> Result<String, String> {
    let bytes = small::read_named(path, largest).map_err(|e| e.to_string())?;
    String::from_utf8(bytes).map_err(|e| format!("not UTF-8 at byte {}", e.utf8_error().valid_up_to()))
}

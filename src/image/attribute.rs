//! Extended attributes that a file of an image may have: a user's own, and none that an overlay reads.

use crate::sys::{Result, tree};
use std::ffi::{CStr, CString};
use std::os::fd::BorrowedFd;

/// The kernel gives no longer list of names and no longer value (XATTR_LIST_MAX, XATTR_SIZE_MAX).
const LONGEST: usize = 64 << 10;

/// Whether a layer may set it, and a copy or a tar takes it along.
pub(super) fn is_kept(name: &[u8]) -> bool {
    let overlay = [&b"overlay."[..], b"fuseoverlayfs.", b"containers."];
    name.strip_prefix(b"user.")
        .is_some_and(|rest| !rest.is_empty() && !overlay.iter().any(|prefix| rest.starts_with(prefix)))
}

/// Those of an open file that are kept; none where the file system has none.
pub(super) fn kept(file: BorrowedFd<'_>) -> Result<Vec<(CString, Vec<u8>)>> {
    if tree::attributes(file, &mut [])? == 0 {
        return Ok(Vec::new());
    }
    let mut names = vec![0; LONGEST];
    let length = tree::attributes(file, &mut names)?;
    let names = names.get(..length).unwrap_or_default();
    let names = names.split_inclusive(|b| *b == 0);
    let (mut found, mut value) = (Vec::new(), vec![0; LONGEST]);
    for name in names.filter_map(|name| CStr::from_bytes_with_nul(name).ok()) {
        if is_kept(name.to_bytes()) {
            let length = tree::attribute(file, name, &mut value)?;
            found.push((name.to_owned(), value.get(..length).unwrap_or_default().to_vec()));
        }
    }
    Ok(found)
}

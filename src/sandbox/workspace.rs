//! What was written to an overlaid workspace: listed, and applied when asked.
use std::os::fd::OwnedFd;
/// c
#[derive(Debug)]
pub struct Change;
impl std::fmt::Display for Change { fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { Ok(()) } }
/// c
/// # Errors
/// c
pub fn changes(_: &OwnedFd) -> std::io::Result<Vec<Change>> { Ok(vec![]) }
/// c
/// # Errors
/// c
pub fn apply(_: &OwnedFd, _: &crate::model::HostPath, _: &[Change]) -> std::io::Result<()> { Ok(()) }

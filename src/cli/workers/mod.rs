//! Runs of sbx's own: what reads images, or shows them, is in a sandbox itself, and mapped to the ids that their files belong to.

mod conversation;
pub(super) mod fuse;
mod getent;
pub(super) mod given;
mod owners;
pub(super) mod progress;
pub(super) mod removal;
pub(super) mod start;

pub(super) use owners::Owners;

//! Verbs on images, a file each, and what they share: how an image is named.

mod change;
pub mod history;
pub mod import;
pub mod inspect;
pub mod list;
pub mod load;
pub mod login;
pub(super) mod named;
mod password;
pub mod prune;
pub mod pull;
pub mod push;
pub mod remove;
pub mod save;
pub mod tag;
pub mod unpack_args;
pub mod verify;

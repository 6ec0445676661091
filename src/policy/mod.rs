//! Profile, flags and request to a [`Policy`], in which nothing is optional and every value knows who set it.

mod contents;
mod environment;
mod flags;
mod image;
mod limits;
mod mounts;
mod request;
mod resolve;
#[cfg(test)]
mod tests;
mod whole;

pub use contents::{Bind, Device, Enforcement, EnvVar, Limit, Policy, Protected, Scratch, Workspace};
pub use flags::{Flags, Userns, Volume};
pub use limits::{Io, Resource, Swap};
pub use mounts::{HOME, never_shown};
pub use request::{Error, Image, ImageConfig, Request, Root};
pub use resolve::resolve;

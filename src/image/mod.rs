//! Images: what their names mean, where they come from, how they are checked, stored and unpacked. Never clones, never mounts.
//!
//! What reads bytes of strangers (a registry's answers, manifests, layers, archives) runs in the worker, a program of its own inside a
//! sandbox of its own; see [`job`] for what is said between it and `sbx`.

pub mod archive;
mod attribute;
pub mod copy;
pub mod credentials;
pub mod descriptor;
pub mod document;
pub mod dropped;
pub mod endpoints;
pub mod environment;
pub mod job;
pub mod limits;
mod lock;
pub mod owner;
pub mod platform;
pub mod ports;
pub mod registries;
pub mod registry;
pub mod remove;
pub mod source;
pub mod store;
pub mod transport;
pub mod unpack;
pub mod volume;
pub mod worker;

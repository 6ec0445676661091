//! What a registry or a layout says an image is: manifests, indexes and configs, read strictly and checked before anything is made of them.
//!
//! A document of a stranger is read as the one type that it was announced as, or not at all: what one program takes for a manifest
//! and another for an index is how one image is shown and another run (CVE-2021-41190).

mod config;
mod error;
mod manifest;
mod media;
pub mod signal;

#[cfg(test)]
mod tests;

pub use config::{Config, Execution, History};
pub use error::Error;
pub(in crate::image) use error::{json, shown};
pub use manifest::{Document, Index, Layer, Manifest, parse, parse_stored};
pub(in crate::image) use media::layer_type;
pub use media::{DOCKER_LIST, DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, accepted};

//! TOML profiles: the schema, reading with positions, inheritance, merging, the built-in ones.

pub mod diagnostic;
pub mod json_schema;
pub mod library;
mod merge;
pub mod portable;
pub mod read;
pub mod schema;
pub mod show;
#[cfg(test)]
pub(crate) mod tests;
pub mod tighten;
pub mod words;

pub use diagnostic::{Error, Source};
pub use library::Library;
pub use schema::Profile;

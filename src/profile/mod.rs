//! TOML profiles: the schema, reading with positions, inheritance, merging, the built-in ones.

pub mod schema;

pub use schema::Profile;

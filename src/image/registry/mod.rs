//! A client of the OCI distribution API: manifests and blobs of one repository, fetched and pushed.
//!
//! Everything that a registry says is taken for a lie until it is checked: lengths and digests against the descriptor, ranges
//! against what was asked, the places it sends one to against what a stranger may name (see `gate`), the hosts it wants a password
//! for against the one that the password is for (see `token`).
//!
//! | file | what it holds |
//! |---|---|
//! | `client` | the one type that others use |
//! | `documents`, `download`, `upload` | manifests, blobs in, blobs out |
//! | `request`, `exchange` | one request: redirects; credentials, tries |
//! | `token`, `challenge` | who one is, and to whom it is told |
//! | `wire`, `gate`, `roots` | connections, the addresses they may go to, whose certificates count |
//! | `place`, `repository` | URLs and whose they are; paths and names of what is asked for |
//! | `body`, `patience` | bodies that are neither endless nor slow; how long is waited and how often is tried |

mod body;
mod challenge;
mod client;
mod documents;
mod download;
mod error;
mod exchange;
mod gate;
mod patience;
mod place;
mod repository;
mod request;
mod roots;
mod token;
mod upload;
mod wire;

pub use challenge::{Challenge, challenges};
pub use client::Client;
pub use error::Error;
pub use gate::Resolve;
pub use patience::Patience;
pub use repository::Document;

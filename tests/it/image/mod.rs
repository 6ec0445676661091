//! Images from end to end: pulled from a real registry by the real binary, run, and hostile ones refused.
//!
//! Honest images come from Debian's docker-registry ([`crate::util::daemon`]); those that no registry would take are served by [`liar`].
//! What was done to the host is judged from the host, by a tree beside the store ([`place::Canary`]).

mod config;
mod debian;
mod documents;
mod layers;
mod liar;
mod nonsense;
mod place;
mod pull;
mod roots;
mod run;
mod tools;
mod worker;

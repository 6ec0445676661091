//! Images from end to end: pulled from a real registry by the real binary, run, and hostile ones refused.
//!
//! Honest images come from Debian's docker-registry ([`daemon`]); those that no registry would take are served by [`liar`]. What was
//! done to the host is judged from the host, by a tree beside the store ([`place::Canary`]).

mod config;
mod daemon;
mod documents;
mod layers;
mod liar;
mod make;
mod nonsense;
mod place;
mod pull;
mod roots;
mod run;
mod tar;
mod tools;
mod worker;

use crate::util::binary;
use std::path::PathBuf;

/// The program that attacks: `$SBX_TEST_ATTACKER`, or the example that cargo built beside the binary.
fn attacker() -> PathBuf {
    std::env::var_os("SBX_TEST_ATTACKER").map_or_else(
        || binary().with_file_name("examples").join("attacker"),
        PathBuf::from,
    )
}

//! What only flags say: no profile may ask for it, since it is about this machine, or about this one run.

use super::limits::Swap;
use crate::model::{Bytes, HostPath, IdRange, InRoot, Processors, Set};
use std::net::IpAddr;

/// Flags that have no word in a profile.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// Named volumes.
    pub volumes: Vec<Set<Volume>>,
    /// Volumes without a name: each is among the tmpfs mounts.
    pub anonymous: Vec<InRoot>,
    /// `--userns`, `--uidmap`, `--gidmap`
    pub userns: Option<Set<Userns>>,
    /// `--group-add`
    pub groups: Vec<Set<String>>,
    /// `--stop-signal`
    pub stop_signal: Option<Set<i32>>,
    /// `--shm-size`
    pub shm: Option<Set<Bytes>>,
    /// `--add-host`
    pub hosts: Vec<Set<(String, IpAddr)>>,
    /// `--dns`
    pub dns: Vec<Set<IpAddr>>,
    /// `--connect-port`
    pub connect: Vec<Set<u16>>,
    /// `--memory-swap`
    pub swap: Option<Set<Swap>>,
    /// `--cpuset-cpus`
    pub processors: Option<Set<Processors>>,
    /// `--cgroup-parent`
    pub cgroup_parent: Option<Set<HostPath>>,
}

/// A named volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Where its files are.
    pub source: HostPath,
    /// Inside.
    pub target: InRoot,
    /// Whether it may be written.
    pub writable: bool,
}

/// A map of ids that is neither the caller alone nor the range as it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Userns {
    /// The caller under a number of its own, with the sub-ids around it.
    KeepId {
        /// Its uid inside; its own when not given.
        uid: Option<u32>,
        /// Its gid inside.
        gid: Option<u32>,
    },
    /// Lines of a map. `host` is what podman calls an intermediate id: 0 is the caller, the others are its sub-ids in their order; for
    /// root it is an id of the host.
    Maps {
        /// User ids.
        uids: Vec<IdRange>,
        /// Group ids.
        gids: Vec<IdRange>,
    },
}

impl Userns {
    /// The flags that say the same, for a run of sbx's own with the same map.
    #[must_use]
    pub fn flags(&self) -> Vec<String> {
        match self {
            Self::KeepId { uid, gid } => {
                let options: Vec<String> = [("uid", uid), ("gid", gid)]
                    .into_iter()
                    .filter_map(|(key, id)| id.map(|id| format!("{key}={id}")))
                    .collect();
                let colon = if options.is_empty() { "" } else { ":" };
                vec!["--userns".into(), format!("keep-id{colon}{}", options.join(","))]
            }
            Self::Maps { uids, gids } => {
                let line = |flag: &str, r: &IdRange| {
                    [flag.to_owned(), format!("{}:{}:{}", r.inside, r.host, r.count)]
                };
                let uids = uids.iter().flat_map(|r| line("--uidmap", r));
                uids.chain(gids.iter().flat_map(|r| line("--gidmap", r)))
                    .collect()
            }
        }
    }
}

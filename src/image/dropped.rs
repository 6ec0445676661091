//! What a layer has and its unpacked form has not: it is counted, so that whoever unpacks can tell it.

use serde::{Deserialize, Serialize};
use std::ops::AddAssign;

/// The attribute that holds a file's capabilities (capabilities(7)).
const CAPABILITY: &[u8] = b"security.capability";

/// How much of a layer was left out on purpose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Dropped {
    /// Capabilities of programs: in the sandbox none is gained by starting a program.
    pub capabilities: u64,
    /// Other extended attributes that are not a user's own, or that the file system does not take.
    pub attributes: u64,
    /// Device nodes, which became empty files.
    pub devices: u64,
    /// aufs's own files.
    pub aufs: u64,
    /// Set-id bits of files that belong to the caller's only id.
    pub set_ids: u64,
    /// Set-group-id bits that the kernel left out: the worker lacks CAP_FSETID.
    pub set_group_ids: u64,
    /// Values of pax global headers, for all entries that follow: no other tool for images applies them.
    pub global_values: u64,
}

impl Dropped {
    /// Counts an extended attribute.
    pub(super) fn attribute(&mut self, name: &[u8]) {
        match name {
            CAPABILITY => self.capabilities += 1,
            _ => self.attributes += 1,
        }
    }

    /// In words, for the user; `None` when nothing is missed. aufs's files mean nothing to any other file system.
    #[must_use]
    pub fn told(&self) -> Option<String> {
        let all = [
            (self.capabilities, "capabilities of programs"),
            (self.attributes, "other extended attributes"),
            (self.devices, "devices, for which empty files stand"),
            (self.set_ids, "set-id bits"),
            (self.set_group_ids, "set-group-id bits"),
            (self.global_values, "values of pax global headers"),
        ];
        let told: Vec<String> = all
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{what} ({count})"))
            .collect();
        (!told.is_empty()).then(|| format!("left out of the image's files: {}", told.join(", ")))
    }
}

impl AddAssign for Dropped {
    fn add_assign(&mut self, other: Self) {
        self.capabilities += other.capabilities;
        self.attributes += other.attributes;
        self.devices += other.devices;
        self.aufs += other.aufs;
        self.set_ids += other.set_ids;
        self.set_group_ids += other.set_group_ids;
        self.global_values += other.global_values;
    }
}

//! Looking up the paths that a policy names: what they are, not what is in them.

use crate::model::facts::{Facts, Kind};
use crate::model::host::{HostTree, TopEntry};
use crate::model::{HostPath, InRoot};
use crate::policy::{Policy, Root};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::FileTypeExt;

/// Looks up every source of a policy, and for a directory root which of `places` are real directories in it.
#[must_use]
pub fn look_up(policy: &Policy, tree: &HostTree, places: &[InRoot]) -> Facts {
    let mut sources = BTreeMap::new();
    for bind in &policy.binds {
        add(&mut sources, &bind.value.source);
    }
    for device in &policy.devices {
        add(&mut sources, &device.value.source);
    }
    if policy.root == Root::Host {
        let directories = tree
            .top
            .iter()
            .filter(|(_, e)| *e == TopEntry::Directory)
            .map(|(name, _)| format!("/{name}"));
        let etc = tree.etc.iter().map(|name| format!("/etc/{name}"));
        for path in directories
            .chain(etc)
            .chain(tree.stores.iter().cloned())
            .chain(["/usr".to_owned()])
        {
            if let Ok(path) = HostPath::new(path) {
                add(&mut sources, &path);
            }
        }
    }
    Facts {
        sources,
        places: real_directories(policy, places),
        terminal: false,
    }
}

fn add(sources: &mut BTreeMap<HostPath, Kind>, path: &HostPath) {
    let Ok(meta) = fs::metadata(path.as_path()) else {
        return;
    };
    let kind = meta.file_type();
    let kind = if kind.is_dir() {
        Kind::Directory
    } else if kind.is_char_device() || kind.is_block_device() {
        Kind::Device
    } else {
        Kind::File
    };
    sources.insert(path.clone(), kind);
}

/// Directories on whose way no symbolic link lies: a link in an image must not decide where a mount lands.
fn real_directories(policy: &Policy, places: &[InRoot]) -> BTreeSet<InRoot> {
    let Root::Directory(root) = &policy.root else {
        return BTreeSet::new();
    };
    let real = |place: &&InRoot| {
        let mut path = root.as_path().to_owned();
        place.relative().components().all(|part| {
            path.push(part);
            fs::symlink_metadata(&path).is_ok_and(|m| m.is_dir())
        })
    };
    places.iter().filter(real).cloned().collect()
}

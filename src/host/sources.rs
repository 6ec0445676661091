//! Looking up the paths that a policy names: what they are, not what is in them.

use super::homes::is_home_or_above;
use super::merged::Merged;
use super::users;
use crate::model::facts::{APT, Astray, Facts, Found, Kind, Machine, Owned, RESOLVER, Sockets, User};
use crate::model::host::{HostTree, TopEntry};
use crate::model::{HostPath, InRoot};
use crate::policy::{Policy, Root};
use crate::profile::schema::{NetworkMode, UserSpec};
use crate::sys::walk::walk;
use crate::sys::{Errno, machine};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Looks up every source of a policy, and for a directory root which of `places` are real directories in it. `current`: the caller's
/// working directory.
#[must_use]
pub fn look_up(policy: &Policy, tree: &HostTree, places: &[InRoot], current: Option<&Path>) -> Facts {
    let homes = &policy.homes;
    let mut sources = BTreeMap::new();
    let mut astray = BTreeMap::new();
    let mut unreadable = BTreeMap::new();
    let binds = policy.binds.iter().map(|bind| &bind.value.source);
    let devices = policy.devices.iter().map(|device| &device.value.source);
    for path in binds.chain(devices) {
        // Every component counts: any of them may be a link.
        let walked = match walk(path.as_path(), current.as_slice()) {
            Ok(walked) => walked,
            Err(error) => {
                if !is_absent(error) {
                    unreadable.insert(path.clone(), error.desc().to_owned());
                }
                continue;
            }
        };
        if walked.leads_out_of(current.as_slice()) {
            astray.insert(path.clone(), Astray::Link);
        } else if is_home_or_above(&walked.real, homes) {
            astray.insert(path.clone(), Astray::Home);
        }
        add(&mut sources, path, Some(walked.real));
    }
    if policy.root == Root::Host {
        let directories = tree
            .top
            .iter()
            .filter(|(_, e)| *e == TopEntry::Directory)
            .map(|(name, _)| format!("/{name}"));
        let etc = tree.etc.iter().map(|name| format!("/etc/{name}"));
        let names = (policy.network.value == NetworkMode::Host).then(|| RESOLVER.to_owned());
        for path in directories
            .chain(etc)
            .chain(names)
            .chain(tree.stores.iter().cloned())
            .chain(["/usr".to_owned()])
        {
            if let Ok(path) = HostPath::new(path) {
                add_named(&mut sources, &path);
            }
        }
    }
    let layers = match &policy.root {
        Root::Image(image) => Some(Merged::open(&image.layers)),
        _ => None,
    };
    let layers = layers.as_ref().map(Result::as_ref);
    if let (Some(_), NetworkMode::Host, Ok(path)) = (layers, policy.network.value, HostPath::new(RESOLVER)) {
        add_named(&mut sources, &path);
    }
    Facts {
        machine: machine(),
        copy: None,
        upper: None,
        sources,
        unreadable,
        sockets: Sockets::default(),
        places: real_directories(policy, places, layers),
        apt: layers.is_some_and(|layers| is_real(layers, Path::new(APT))),
        user: user(policy, layers),
        groups: groups(policy, layers),
        disks: disks(policy),
        workspace: workspace(policy),
        astray,
        terminal: false,
        stream_files: [false; 3],
    }
}

/// Whether a path does not exist; any other error leaves that open.
fn is_absent(error: Errno) -> bool {
    matches!(error, Errno::ENOENT | Errno::ENOTDIR)
}

/// Adds a name of the host's tree. One below `/` or `/etc` takes a single lstat(2); in a longer one (`/etc/ssl/certs`, `/nix/store`)
/// any component may be a link.
fn add_named(sources: &mut BTreeMap<HostPath, Found>, path: &HostPath) {
    let etc = path.as_path().starts_with("/etc");
    let long = path.as_path().components().count() > if etc { 3 } else { 2 };
    let meta = (!long).then(|| fs::symlink_metadata(path.as_path()));
    match meta {
        Some(Ok(meta)) if !meta.is_symlink() => {
            let (kind, real) = (kind(meta.file_type()), path.clone());
            sources.insert(path.clone(), Found { kind, real });
        }
        Some(Err(_)) => {}
        Some(Ok(_)) | None => add(sources, path, fs::canonicalize(path.as_path()).ok()),
    }
}

fn kind(file: fs::FileType) -> Kind {
    if file.is_dir() {
        Kind::Directory
    } else if file.is_char_device() || file.is_block_device() {
        Kind::Device
    } else {
        Kind::File
    }
}

fn machine() -> Machine {
    let release = machine::release().map(|release| String::from_utf8_lossy(release.as_bytes()).into_owned());
    let (memory, up) = machine::memory_and_uptime().unwrap_or_default();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Machine {
        release: release.unwrap_or_default(),
        memory,
        now: now.map_or(0, |now| now.as_secs()),
        up,
    }
}

fn workspace(policy: &Policy) -> Option<Owned> {
    let source = policy.workspace.source.as_ref()?;
    let meta = fs::metadata(source.as_path()).ok()?;
    Some(Owned {
        uid: meta.uid(),
        mode: meta.mode() & 0o7777,
    })
}

/// The layers of an image, which are opened once; or why they cannot be.
type Opened<'a> = Result<&'a Merged, &'a Errno>;

fn unread(errno: &Errno) -> String {
    format!("the image's layers: {errno}")
}

fn is_real(layers: Opened<'_>, path: &Path) -> bool {
    layers.is_ok_and(|layers| layers.is_real_directory(path))
}

fn user(policy: &Policy, layers: Option<Opened<'_>>) -> Option<Result<User, String>> {
    match (&policy.root, &policy.user.value, layers) {
        (Root::Directory(root), UserSpec::Names { user, group }, _) => {
            Some(users::look_up(root, user, group.as_deref()))
        }
        (_, spec, Some(layers)) => {
            let (user, group) = match spec {
                UserSpec::Names { user, group } => (user.clone(), group.clone()),
                UserSpec::Ids { uid, gid } => (uid.to_string(), gid.map(|gid| gid.to_string())),
                UserSpec::Image | UserSpec::Root => ("0".to_owned(), None),
                UserSpec::Caller => return None,
            };
            let look_up = |layers| users::look_up_in_layers(layers, &user, group.as_deref());
            Some(layers.map_err(unread).and_then(look_up))
        }
        _ => None,
    }
}

fn disks(policy: &Policy) -> BTreeMap<HostPath, Result<String, String>> {
    let each = policy.io.iter().map(|io| io.value.path.clone());
    each.map(|path| {
        let disk = super::disk::of(path.as_path());
        (path, disk)
    })
    .collect()
}

fn groups(policy: &Policy, layers: Option<Opened<'_>>) -> Option<Result<Vec<u32>, String>> {
    if policy.groups.is_empty() {
        return None;
    }
    let wanted: Vec<String> = policy.groups.iter().map(|group| group.value.clone()).collect();
    Some(match (&policy.root, layers) {
        (Root::Directory(root), _) => users::groups(root, &wanted),
        (_, Some(layers)) => layers
            .map_err(unread)
            .and_then(|layers| users::groups_in_layers(layers, &wanted)),
        _ => users::groups_by_number(&wanted),
    })
}

fn add(sources: &mut BTreeMap<HostPath, Found>, path: &HostPath, real: Option<PathBuf>) {
    let Some(Ok(real)) = real.map(HostPath::new) else {
        return;
    };
    let Ok(meta) = fs::symlink_metadata(real.as_path()) else {
        return;
    };
    let kind = kind(meta.file_type());
    sources.insert(path.clone(), Found { kind, real });
}

/// Directories on whose way no symbolic link lies: a link in an image must not decide where a mount lands.
fn real_directories(policy: &Policy, places: &[InRoot], layers: Option<Opened<'_>>) -> BTreeSet<InRoot> {
    let root = match (&policy.root, layers) {
        (Root::Directory(root), _) => root,
        (_, Some(layers)) => {
            let real = |place: &&InRoot| is_real(layers, place.as_path());
            return places.iter().filter(real).cloned().collect();
        }
        _ => return BTreeSet::new(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_halfway_is_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        let base = dir.path().canonicalize().expect("a real path");
        fs::create_dir_all(base.join("real/certs")).expect("mkdir");
        std::os::unix::fs::symlink("real", base.join("ssl")).expect("a link");
        let found = |path: &Path| {
            let (mut sources, path) = (BTreeMap::new(), HostPath::new(path).expect("a path"));
            add_named(&mut sources, &path);
            sources.remove(&path).map(|found| found.real.as_path().to_owned())
        };
        assert_eq!(found(&base.join("ssl/certs")), Some(base.join("real/certs")));
        assert_eq!(found(&base.join("gone/certs")), None);
        assert_eq!(found(Path::new("/usr")), Some("/usr".into()));
        assert_eq!(found(Path::new("/no-such-name")), None);
    }

    #[test]
    fn only_a_path_that_does_not_exist_is_absent() {
        for (error, absent) in [
            (Errno::ENOENT, true),
            (Errno::ENOTDIR, true),
            (Errno::EACCES, false),
            (Errno::ELOOP, false),
            (Errno::EIO, false),
            (Errno::ESTALE, false),
        ] {
            assert_eq!(is_absent(error), absent, "{error}");
        }
    }
}

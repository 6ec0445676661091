//! Whether the caller has a cgroup of its own, from `/proc/self/cgroup` and `/proc/self/mountinfo`.

use super::mountinfo::{Mount, mounts};
use crate::model::HostPath;
use crate::model::host::Cgroup;
use crate::sys::fs::path_has_attribute;
use nix::unistd::{AccessFlags, access};
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

/// What the two files say, before the directory itself is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    Unified(PathBuf),
    /// v2, but this process's cgroup lies outside what is mounted here.
    Elsewhere,
    Legacy,
    Absent,
}

const TOP: &str = "/sys/fs/cgroup";
/// The machine's own systemd, for root.
const MACHINE: &str = "/run/systemd/private";

/// Where a run makes a cgroup: below the directory that is given, else at the nearest place that is the caller's own, else in a scope of
/// the user's systemd. Asked by every run with limits, so it costs one system call where there is no such place.
pub(super) fn place(given: Option<&HostPath>) -> Cgroup {
    if let Some(given) = given {
        let given = given.as_path();
        if !unified(given) {
            return Cgroup::Absent;
        }
        return usable(given).unwrap_or(Cgroup::NotDelegated);
    }
    if !unified(Path::new(TOP)) {
        return Cgroup::Legacy;
    }
    let own = text(Path::new("/proc/self/cgroup"));
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"));
    let own = own
        .map(Path::new)
        .filter(|own| own.components().all(|c| matches!(c, Component::Normal(_))));
    let Some(own) = own else {
        return Cgroup::NotDelegated;
    };
    at_or_above(&Path::new(TOP).join(own))
}

/// A file that the kernel makes: nobody can have put there what is no file, or what has no end.
fn text(path: &Path) -> String {
    let mut bytes = Vec::with_capacity(4 << 10);
    // What was read before an error is not the whole.
    let read = File::open(path).and_then(|file| file.take(1 << 20).read_to_end(&mut bytes));
    read.map_or_else(
        |_| String::new(),
        |_| String::from_utf8_lossy(&bytes).into_owned(),
    )
}

fn unified(directory: &Path) -> bool {
    let found = nix::sys::statfs::statfs(directory);
    found.is_ok_and(|found| found.filesystem_type() == nix::sys::statfs::CGROUP2_SUPER_MAGIC)
}

/// The nearest place that is surely the caller's; else a scope; else one that may be.
fn at_or_above(own: &Path) -> Cgroup {
    nearest(own, |unit| given_away(unit, own))
        .or_else(manager)
        .or_else(|| nearest(own, |unit| !is_marked(unit)))
        .unwrap_or(Cgroup::NotDelegated)
}

/// This process's own cgroup when it is alone there, else the nearest above it. No slice, and nothing above one: it is systemd's to
/// write, which takes controllers back that nobody else has asked it for, at the next `daemon-reload` and with all limits in them.
fn nearest(own: &Path, given: impl Fn(&Path) -> bool) -> Option<Cgroup> {
    let above = own
        .ancestors()
        .take_while(|a| a.starts_with(TOP) && !is(a, &["slice"]));
    let mut units = above.take_while(|a| writable(a) && (!is(a, &["service", "scope"]) || given(a)));
    units.find_map(below)
}

fn is(directory: &Path, kinds: &[&str]) -> bool {
    let kind = directory.extension().and_then(|kind| kind.to_str());
    kind.is_some_and(|kind| kinds.contains(&kind))
}

/// Whether a unit has `Delegate=`. Where its systemd does not say so (before 251, and that of a user in 252), whoever has made a cgroup
/// in it knew.
fn given_away(unit: &Path, own: &Path) -> bool {
    path_has_attribute(unit, c"user.delegate").unwrap_or(false) || (unit != own && !is_marked(unit))
}

/// Whether the systemd of a unit writes on it what it is.
fn is_marked(unit: &Path) -> bool {
    path_has_attribute(unit, c"user.invocation_id").unwrap_or(false)
}

fn usable(directory: &Path) -> Option<Cgroup> {
    writable(directory).then(|| below(directory)).flatten()
}

/// What has processes gives no controllers on: but for the root of all cgroups, and for one that this process can leave empty.
fn below(directory: &Path) -> Option<Cgroup> {
    let inside = text(&directory.join("cgroup.procs"));
    let alone = inside.trim_end() == std::process::id().to_string();
    let root = || !directory.join("cgroup.type").exists();
    if !(inside.is_empty() || alone || root()) {
        return None;
    }
    let controllers = text(&directory.join("cgroup.controllers"));
    Some(Cgroup::Delegated {
        path: HostPath::new(directory).ok()?,
        controllers: controllers.split_whitespace().map(str::to_owned).collect(),
        own: alone,
    })
}

/// A systemd that makes scopes for the caller, by its socket: for root the machine's, which listens without a bus.
fn manager() -> Option<Cgroup> {
    use std::os::unix::fs::FileTypeExt;
    let uid = nix::unistd::geteuid();
    let is_socket = |path: &Path| path.metadata().is_ok_and(|m| m.file_type().is_socket());
    let (socket, controllers) = if uid.is_root() {
        let top = text(&Path::new(TOP).join("cgroup.controllers"));
        (PathBuf::from(MACHINE), top)
    } else {
        let directory = std::env::var_os("XDG_RUNTIME_DIR")
            .map_or_else(|| PathBuf::from(format!("/run/user/{uid}")), PathBuf::from);
        // The manager's own socket is there only while it runs; a bus may be somebody else's.
        let runs = directory.join("systemd/private").exists();
        let socket = Some(directory.join("bus")).filter(|_| runs);
        (socket?, delegated_to(uid.as_raw()))
    };
    let bus = HostPath::new(socket)
        .ok()
        .filter(|bus| is_socket(bus.as_path()))?;
    Some(Cgroup::Systemd {
        bus,
        controllers: controllers.split_whitespace().map(str::to_owned).collect(),
    })
}

/// What the administrator delegates to the user's systemd; memory and pids where nothing else is said.
fn delegated_to(uid: u32) -> String {
    let own = format!("user.slice/user-{uid}.slice/user@{uid}.service/cgroup.controllers");
    let all = text(&Path::new(TOP).join(own));
    if all.is_empty() { "memory pids".into() } else { all }
}

pub(super) fn look() -> Cgroup {
    let of_this = |name: &str| text(&Path::new("/proc/self").join(name));
    match find(&of_this("cgroup"), &of_this("mountinfo")) {
        Found::Absent => Cgroup::Absent,
        Found::Legacy => Cgroup::Legacy,
        Found::Elsewhere => Cgroup::NotDelegated,
        Found::Unified(directory) => at_or_above(&directory),
    }
}

/// cgroups(7), "Delegation": the directory and these two files are what the delegatee must be able to write.
fn writable(directory: &Path) -> bool {
    ["", "cgroup.procs", "cgroup.subtree_control"]
        .iter()
        .all(|name| access(&directory.join(name), AccessFlags::W_OK).is_ok())
}

fn find(own: &str, mountinfo: &str) -> Found {
    let mounts: Vec<Mount> = mounts(mountinfo).collect();
    let unified = mounts.iter().find(|m| m.kind == "cgroup2");
    if unified.is_none() && mounts.iter().all(|m| m.kind != "cgroup") {
        return Found::Absent;
    }
    // `4:memory:/x` is a v1 hierarchy with a controller; `1:name=systemd:/` is one without.
    let v1 = own.lines().any(|line| {
        let controllers = line.split(':').nth(1).unwrap_or_default();
        !controllers.is_empty() && !controllers.starts_with("name=")
    });
    let path = own.lines().find_map(|line| line.strip_prefix("0::"));
    match (unified, path) {
        _ if v1 => Found::Legacy,
        (Some(mount), Some(path)) => seen_in(mount, path).map_or(Found::Elsewhere, Found::Unified),
        (Some(_), None) => Found::Elsewhere,
        (None, _) => Found::Legacy,
    }
}

/// Where a cgroup is seen in a mount. With a cgroup namespace of an outer container its path may begin with `/..`.
fn seen_in(mount: &Mount, path: &str) -> Option<PathBuf> {
    let below = Path::new(path).strip_prefix(&mount.root).ok()?;
    let plain = below.components().all(|c| matches!(c, Component::Normal(_)));
    plain.then(|| Path::new(&mount.point).join(below))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(root: &str, point: &str) -> String {
        format!("31 23 0:29 {root} {point} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n")
    }

    const V1: &str = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n";

    #[test]
    fn where_a_cgroup_is() {
        let at = |p: &str| Found::Unified(p.into());
        let normal = v2("/", "/sys/fs/cgroup");
        let hybrid = format!("{V1}{}", v2("/", "/sys/fs/cgroup/unified"));
        for (own, mounts, expected) in [
            ("0::/a.slice/b", normal.as_str(), at("/sys/fs/cgroup/a.slice/b")),
            ("0::/", &normal, at("/sys/fs/cgroup/")),
            ("1:name=systemd:/x\n0::/a", &normal, at("/sys/fs/cgroup/a")),
            ("4:memory:/x\n0::/a", &hybrid, Found::Legacy),
            ("4:memory:/x", V1, Found::Legacy),
            ("0::/a", V1, Found::Legacy),
            ("", V1, Found::Legacy),
            ("", &normal, Found::Elsewhere),
            ("0::/../../b", &normal, Found::Elsewhere),
            ("0::/a/../../../etc", &normal, Found::Elsewhere),
            ("0::relative", &normal, Found::Elsewhere),
            (
                "0::/docker/x/y",
                &v2("/docker/x", "/sys/fs/cgroup"),
                at("/sys/fs/cgroup/y"),
            ),
            (
                "0::/docker/z",
                &v2("/docker/x", "/sys/fs/cgroup"),
                Found::Elsewhere,
            ),
            ("0::/a", &v2("/", "/mnt/with\\040space"), at("/mnt/with space/a")),
            ("0::/a", "", Found::Absent),
            ("0::/a", "garbage\n - \n1 2 3 - cgroup2", Found::Absent),
        ] {
            assert_eq!(find(own, mounts), expected, "{own:?} {mounts:?}");
        }
    }

    #[test]
    fn a_directory_is_delegated_when_all_three_can_be_written() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(usable(dir.path()), None);
        for (name, text) in [
            ("cgroup.procs", ""),
            ("cgroup.subtree_control", ""),
            ("cgroup.controllers", "memory pids\n"),
        ] {
            std::fs::write(dir.path().join(name), text).expect("write");
        }
        assert_eq!(
            usable(dir.path()),
            Some(Cgroup::Delegated {
                path: HostPath::new(dir.path()).expect("a path"),
                controllers: vec!["memory".into(), "pids".into()],
                own: false,
            })
        );
    }
}

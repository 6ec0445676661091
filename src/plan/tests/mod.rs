//! Plans as snapshots, and the rules that hold for every plan.

mod limits;
mod property;
mod roots;
mod snapshots;
mod sockets;
mod tightened;

use super::{Facts, Kind, Plan, Refusal, Room, build, places, room};
use crate::model::facts::Found;
use crate::model::{Host, HostPath, InRoot, Layers};
use crate::policy::{Image, ImageConfig, Policy, Request, Root, resolve};
use crate::profile::{Library, Profile};
use std::collections::BTreeSet;

fn built_in(name: &str) -> Profile {
    Library {
        directory: None,
        uid: 0,
    }
    .load(name)
    .expect(name)
}

fn host_path(path: &str) -> HostPath {
    HostPath::new(path).expect(path)
}

fn image() -> Image {
    Image {
        name: "debian:12".into(),
        layers: Layers {
            within: host_path("/store/layers"),
            names: vec!["1/tree".into(), "0/tree".into()],
        },
        config: ImageConfig::default(),
    }
}

fn request(root: Root, host: &Host) -> Request {
    Request {
        current: Some("/srv/project".into()),
        home: host.caller.home.clone(),
        homes: host.caller.homes.clone(),
        user: host.caller.name.clone(),
        environment: vec![("TERM".into(), "xterm".into()), ("SECRET".into(), "x".into())],
        profile: "test".into(),
        ..Request::new(root, vec!["make".into(), "check".into()])
    }
}

/// Facts under which everything that a policy names exists.
fn all_there(policy: &Policy, host: &Host) -> Facts {
    let mut facts = Facts::default();
    let directories = policy.binds.iter().map(|b| b.value.source.clone());
    let tree = host
        .tree
        .stores
        .iter()
        .cloned()
        .chain(["/usr".to_owned()])
        .map(|p| host_path(&p));
    facts.sources.extend(directories.chain(tree).map(|path| {
        (
            path.clone(),
            Found {
                kind: Kind::Directory,
                real: path,
            },
        )
    }));
    for name in &host.tree.etc {
        let directory = matches!(
            name.as_str(),
            "alternatives" | "ca-certificates" | "ld.so.conf.d" | "ssl/certs" | "terminfo"
        );
        let kind = if directory { Kind::Directory } else { Kind::File };
        let real = host_path(&format!("/etc/{name}"));
        facts.sources.insert(real.clone(), Found { kind, real });
    }
    for device in &policy.devices {
        let real = device.value.source.clone();
        facts.sources.insert(
            real.clone(),
            Found {
                kind: Kind::Device,
                real,
            },
        );
    }
    facts.places = BTreeSet::from_iter(places(policy));
    match room(policy, host) {
        Room::None => {}
        Room::Upper => facts.upper = Some(host_path("/store/copies")),
        Room::Copy => facts.copy = Some(host_path("/store/copies")),
    }
    facts
}

fn plan_of(profile: &Profile, root: Root, host: &Host) -> Result<Plan, Refusal> {
    let policy = resolve(profile, &request(root, host)).expect("a policy");
    build(&policy, host, &all_there(&policy, host))
}

fn inside(path: &str) -> InRoot {
    InRoot::new(path).expect(path)
}

#[test]
fn root_is_told_where_its_command_writes_nothing() {
    use crate::model::facts::Owned;
    let of = |uid, mode| Some(Owned { uid, mode });
    for (profile, host, workspace, told) in [
        ("build", Host::ci_root(), of(0, 0o755), true),
        ("build", Host::ci_root(), of(0, 0o1777), false),
        ("build", Host::ci_root(), of(1000, 0o755), false),
        ("build", Host::ci_root(), None, false),
        ("strict", Host::ci_root(), of(0, 0o755), false),
        // What an ordinary user may not write is told by the command's own errors.
        ("build", Host::debian_12(), of(1000, 0o755), false),
    ] {
        let policy = resolve(&built_in(profile), &request(Root::Host, &host)).expect("a policy");
        let mut facts = all_there(&policy, &host);
        facts.workspace = workspace;
        let plan = build(&policy, &host, &facts);
        // Root of this host lacks what strict requires.
        let notes = plan.map(|p| p.notes).unwrap_or_default();
        let found = notes.iter().any(|n| n.contains("belongs to root"));
        assert_eq!(found, told, "{profile} {workspace:?}: {notes:?}");
    }
}

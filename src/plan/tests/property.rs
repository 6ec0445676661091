//! Whatever profile and host: a plan keeps its own rules, and what was wanted is in force, lost with a word, or refused.

use super::{Host, Plan, Root, all_there, built_in, host_path, image, inside, plan_of, request};
use crate::model::host::Fact;
use crate::model::{Level, Origin, Protection, Set};
use crate::plan::{Attributes, Planned, Step, Upper, build};
use crate::policy::{Policy, resolve};
use crate::profile::Profile;
use crate::profile::Source;
use crate::profile::read::read;
use proptest::prelude::*;

/// One of the lines, or none of them.
fn maybe(lines: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop_oneof![1 => Just(""), 3 => proptest::sample::select(lines)]
}

fn places() -> impl Strategy<Value = String> {
    let parts = proptest::sample::select(
        &[
            "usr", "bin", "opt", "data", "tmp", "home", "user", "dev", "proc", "etc", "run", "var", "srv",
        ][..],
    );
    proptest::collection::vec(parts, 1..4).prop_map(|parts| format!("/{}", parts.join("/")))
}

fn profile() -> impl Strategy<Value = Profile> {
    let mount = (places(), places(), any::<bool>(), any::<bool>()).prop_map(|(source, target, writable, optional)| {
        let mode = if writable { "writable" } else { "read-only" };
        format!("{{ source = \"/mnt{source}\", target = \"{target}\", mode = \"{mode}\", optional = {optional} }}")
    });
    let lists = (
        proptest::collection::vec(mount, 0..4),
        proptest::collection::vec(places().prop_map(|at| format!("{{ target = \"{at}\" }}")), 0..3),
        proptest::collection::vec(places().prop_map(|at| format!("\"{at}\"")), 0..3),
    );
    let words = (
        proptest::sample::select(&["strict", "default", "build"][..]),
        maybe(&["root = \"read-only\"", "root = \"ephemeral\""]),
        maybe(&[
            "workdir = \"none\"",
            "workdir = \"overlay\"",
            "workdir = \"writable\"",
        ]),
        maybe(&["home = \"none\"", "home = \"empty\""]),
        maybe(&["proc = \"none\"", "proc = \"masked\"", "proc = \"own-processes\""]),
        maybe(&["map = \"range\"", "map = \"caller\"", "map = \"host-root\""]),
        maybe(&["user = \"root\"", "user = \"1000:1000\"", "user = \"7\""]),
        maybe(&["mode = \"host\""]),
        maybe(&["init = false"]),
        maybe(&[
            "upper = \"disk\"",
            "upper = \"disk\"\nupper-size = \"8M\"",
            "upper = \"memory\"",
        ]),
        maybe(&["without-overlay = \"copy\"", "without-overlay = \"fuse\""]),
        proptest::collection::vec(
            (
                0..Protection::ALL.len(),
                proptest::sample::select(&["require", "prefer", "off"][..]),
            ),
            0..4,
        ),
    );
    (lists, words).prop_map(|((mounts, tmpfs, masked), (base, root, workdir, home, proc, map, user, net, init, upper, without, levels))| {
        let mut enforcement: Vec<String> = levels
            .iter()
            .filter_map(|(at, level)| Some(format!("{} = \"{level}\"", Protection::ALL.get(*at)?.key())))
            .collect();
        enforcement.sort();
        enforcement.dedup_by_key(|line| line.split(' ').next().map(str::to_owned));
        let text = format!(
            "[identity]\n{map}\n{user}\n[filesystem]\n{root}\n{workdir}\n{home}\n{proc}\n{upper}\n{without}\nmounts = [{}]\ntmpfs = [{}]\nmasked = [{}]\n\
             [network]\n{net}\n[namespaces]\n{init}\n[enforcement]\n{}\n",
            mounts.join(", "),
            tmpfs.join(", "),
            masked.join(", "),
            enforcement.join("\n")
        );
        let own = read(&Source::new("generated", false, &text)).map(|parsed| parsed.profile);
        // Two mounts on one target are a fault of the text, not of a plan.
        built_in(base).merge(own.unwrap_or_default())
    })
}

fn host() -> impl Strategy<Value = Host> {
    let hosts = prop_oneof![
        Just(Host::debian_12()),
        Just(Host::no_subids()),
        (0u8..8).prop_map(Host::landlock_abi),
        Just(Host::no_cgroup()),
        Just(Host::nested_in_docker()),
        Just(Host::nested_in_podman()),
        Just(Host::ci_root()),
    ];
    let groups = proptest::collection::vec(1u32..200, 0..3);
    (hosts, groups, any::<[bool; 5]>()).prop_map(|(mut host, groups, refused)| {
        host.caller.groups = groups;
        let [overlay, of_image, disk, fuse, program] = refused;
        for (refused, fact) in [
            (overlay, &mut host.overlay),
            (of_image, &mut host.image_overlay),
            (disk, &mut host.disk_upper),
            (fuse, &mut host.fuse),
        ] {
            if refused {
                *fact = Fact::Missing("a test".into());
            }
        }
        host.fuse_overlayfs = host.fuse_overlayfs.filter(|_| !program);
        host
    })
}

fn root() -> impl Strategy<Value = Root> {
    prop_oneof![
        Just(Root::Host),
        Just(Root::Scratch),
        Just(Root::Directory(host_path("/srv/root"))),
        Just(Root::Image(image()))
    ]
}

fn on_disk(step: &Step) -> bool {
    let disk = |upper: &Upper| matches!(upper, Upper::Disk(_));
    match step {
        Step::RootCopy(_) => true,
        Step::RootOverlay(_, upper, _) | Step::RootFuse { upper, .. } => disk(upper),
        _ => false,
    }
}

fn counts(step: &Step, file: &str) -> bool {
    matches!(step, Step::Cgroup(group) if group.files.iter().any(|(name, _)| *name == file))
}

/// A step, or a loss, for everything that was wanted.
fn accounted(policy: &Policy, plan: &Plan) -> Result<(), String> {
    let step = |wanted: fn(&Step) -> bool| plan.steps.iter().any(|p| wanted(&p.step));
    for protection in Protection::ALL {
        let level = policy.enforcement.level(protection).value;
        let lost = plan.losses.iter().any(|l| l.protection == protection);
        if lost && level != Level::Prefer {
            return Err(format!("{protection} is {level} and lost"));
        }
        let in_force = match protection {
            Protection::Seccomp => step(|s| matches!(s, Step::Seccomp(_))),
            Protection::Landlock => step(|s| matches!(s, Step::Landlock { .. })),
            Protection::LandlockScopes => step(|s| matches!(s, Step::Landlock { scopes: true, .. })),
            Protection::NestedNamespaces => step(|s| matches!(s, Step::NoNestedNamespaces)),
            Protection::TimeNamespace => step(|s| matches!(s, Step::TimeNamespace)),
            Protection::Memory => {
                policy.memory.is_none()
                    || step(|s| counts(s, "memory.max") || matches!(s, Step::WatchMemory(_)))
            }
            Protection::Cpu => {
                policy.cpu.as_ref().is_none_or(|c| c.value >= 200)
                    || step(|s| counts(s, "cpu.max") || matches!(s, Step::Processors(_)))
            }
            Protection::Io => policy.io.is_empty() || step(|s| counts(s, "io.max")),
            Protection::Disk => {
                !step(on_disk) || step(|s| matches!(s, Step::SealRoot | Step::WatchDisk { .. }))
            }
            _ => true,
        };
        if level != Level::Off && !in_force && !lost {
            return Err(format!(
                "{protection} is wanted, not in force, and nobody says so"
            ));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn every_plan_keeps_its_rules(profile in profile(), host in host(), root in root(), there in any::<u64>(), terminal in any::<bool>()) {
        let Ok(policy) = resolve(&profile, &request(root, &host)) else { return Ok(()) };
        let mut facts = all_there(&policy, &host);
        let mut turn = 0;
        let mut keep = || { turn += 1; there >> (turn % 64) & 3 != 0 };
        facts.sources.retain(|_, _| keep());
        facts.places.retain(|_| keep());
        facts.terminal = terminal;
        if let Ok(plan) = build(&policy, &host, &facts) {
            prop_assert_eq!(plan.verify(), Ok(()));
            prop_assert_eq!(accounted(&policy, &plan), Ok(()));
        }
    }
}

fn strict() -> Plan {
    plan_of(&built_in("strict"), Root::Host, &Host::landlock_abi(7)).expect("a plan")
}

fn planned(step: Step) -> Planned {
    Planned {
        step,
        reason: "a test".into(),
    }
}

fn position(plan: &Plan, wanted: fn(&Step) -> bool) -> usize {
    plan.steps.iter().position(|p| wanted(&p.step)).expect("the step")
}

/// The check of the check: a plan that is changed for the worse is refused.
#[test]
fn broken_plans_are_seen() {
    assert_eq!(strict().verify(), Ok(()));
    let bind = |at: &str, attributes| planned(Step::Bind(host_path("/mnt/x"), inside(at), attributes));
    let device = Attributes::DEVICE;
    /// What is broken, at which step, and what stands there instead; nothing where the step is taken out.
    type Change = (&'static str, fn(&Step) -> bool, Option<Planned>);
    let changes: [Change; 12] = [
        (
            "a step after the filter",
            |s| matches!(s, Step::Exec { .. }),
            Some(planned(Step::Keyring)),
        ),
        (
            "a descriptor after close_range",
            |s| matches!(s, Step::Seccomp(_)),
            Some(planned(Step::Terminal)),
        ),
        (
            "a mount after the pivot",
            |s| matches!(s, Step::Keyring),
            Some(bind("/data", Attributes::READ)),
        ),
        (
            "a file made in a tree of the host",
            |s| matches!(s, Step::PivotRoot),
            Some(planned(Step::File(inside("/usr/x"), vec![]))),
        ),
        (
            "a mount over others",
            |s| matches!(s, Step::PivotRoot),
            Some(bind("/etc", Attributes::READ)),
        ),
        (
            "a mount through a link",
            |s| matches!(s, Step::PivotRoot),
            Some(bind("/bin/x", Attributes::READ)),
        ),
        (
            "a rule without its mount",
            |s| matches!(s, Step::PivotRoot),
            Some(bind(
                "/data",
                Attributes {
                    writable: true,
                    ..Attributes::READ
                },
            )),
        ),
        (
            "two sets of ids",
            |s| matches!(s, Step::SetIds { .. }),
            Some(planned(Step::SetIds { uid: 0, gid: 0 })),
        ),
        (
            "groups after ids",
            |s| matches!(s, Step::NoNewPrivileges),
            Some(planned(Step::Groups(vec![]))),
        ),
        (
            "no capability step",
            |s| matches!(s, Step::Capabilities(..)),
            None,
        ),
        (
            "no new privileges missing",
            |s| matches!(s, Step::NoNewPrivileges),
            None,
        ),
        ("no pivot", |s| matches!(s, Step::PivotRoot), None),
    ];
    for (what, before, new) in changes {
        let mut plan = strict();
        let at = position(&plan, before);
        match new {
            Some(new) => plan.steps.insert(at, new),
            None => drop(plan.steps.remove(at)),
        }
        assert!(plan.verify().is_err(), "{what}");
    }
    let plan = strict();
    let at = position(&plan, |s| matches!(s, Step::PivotRoot));
    let device_at_mem = |step| {
        let mut plan = plan.clone();
        plan.steps.insert(at, planned(step));
        plan.verify().expect_err("no Landlock rule repeats it").rule
            == "a device outside /dev that nobody asked for"
    };
    for asked in [true, false] {
        let (source, at) = (host_path("/dev/mem"), inside("/mem"));
        assert_eq!(device_at_mem(Step::Device { source, at, asked }), !asked);
    }
    assert!(device_at_mem(Step::Bind(
        host_path("/dev/mem"),
        inside("/mem"),
        device
    )));
}

/// Facts that change nothing may not change the plan's digest of rules: an optional source that is gone leaves no trace.
#[test]
fn an_optional_mount_without_source_leaves_no_trace() {
    let mut profile = built_in("strict");
    let text = "[filesystem]\nmounts = [{ source = \"/mnt/gone\", optional = true }]\n";
    let more = read(&Source::new("more", false, text))
        .expect("a profile")
        .profile;
    let with = profile.clone().merge(more);
    let host = Host::landlock_abi(7);
    let steps = |profile: &Profile| {
        let policy = resolve(profile, &request(Root::Host, &host)).expect("a policy");
        let mut facts = all_there(&policy, &host);
        facts.sources.remove(&host_path("/mnt/gone"));
        let plan = build(&policy, &host, &facts).expect("a plan");
        plan.steps.iter().map(|p| p.step.to_string()).collect::<Vec<_>>()
    };
    profile.description = Some(Set::new("the same".into(), Origin::Default));
    assert_eq!(steps(&with), steps(&profile));
}

#[test]
fn mount_source_that_cannot_be_looked_up_is_named() {
    let host = Host::landlock_abi(7);
    let source = host_path("/mnt/closed");
    let plan = |optional: bool| {
        let text = format!("[filesystem]\nmounts = [{{ source = \"{source}\", optional = {optional} }}]\n");
        let more = read(&Source::new("more", false, &text))
            .expect("a profile")
            .profile;
        let policy = resolve(&built_in("strict").merge(more), &request(Root::Host, &host)).expect("a policy");
        let mut facts = all_there(&policy, &host);
        facts.sources.remove(&source);
        facts
            .unreadable
            .insert(source.clone(), "Permission denied".into());
        build(&policy, &host, &facts)
    };
    let notes = plan(true).expect("a plan").notes;
    let named = |note: &String| note.contains("/mnt/closed (Permission denied)");
    assert!(notes.iter().any(named), "{notes:?}");
    let refused = plan(false).expect_err("not optional").to_string();
    assert!(refused.contains("Permission denied"), "{refused}");
}

//! Hosts that were never surveyed, and what is told of them.

use super::*;
use crate::host::around::{Around, OnPath, Store};
use crate::host::clues::{Clues, Container};
use crate::model::Host;
use crate::model::host::{Cgroup, Fact, Helper, Kernel, UserNamespaceRefusal};

/// A survey of a host on which nothing else is odd.
fn survey(host: Host) -> Survey {
    let helpers = &host.id_helpers;
    let maps = (helpers.newuidmap.ready().is_some() && !helpers.subuid.is_empty()).then_some(Ok(()));
    Survey {
        clues: Clues {
            max_user_namespaces: Some(31_000),
            program: Some("/usr/bin/sbx".into()),
            ..Clues::default()
        },
        around: Around {
            path: OnPath::This,
            store: Store {
                path: "/home/user/.local/share/sbx".into(),
                parent: "/home/user".into(),
                refused: None,
            },
            systemd: true,
            ..Around::default()
        },
        host,
        maps,
    }
}

fn find(survey: &Survey, probe: &str) -> Finding {
    let all = findings(survey);
    all.into_iter().find(|f| f.probe == probe).expect("a probe")
}

/// What does not work whole, in a fixed order.
fn lacking(survey: &Survey) -> Vec<(&'static str, State)> {
    findings(survey)
        .iter()
        .filter(|f| f.state != State::Works)
        .map(|f| (f.probe, f.state))
        .collect()
}

#[test]
fn hosts_and_what_they_lack() {
    use State::{Degraded, Missing};
    let no_namespaces = |host: Host| Host {
        user_namespaces: Fact::Missing(UserNamespaceRefusal::AppArmor),
        ..host
    };
    for (name, host, expected) in [
        (
            "debian 12",
            Host::debian_12(),
            vec![("kernel", Degraded), ("landlock", Degraded)],
        ),
        (
            "no sub-ids",
            Host::no_subids(),
            vec![
                ("kernel", Degraded),
                ("landlock", Degraded),
                ("id-maps", Degraded),
            ],
        ),
        ("newest", Host::landlock_abi(7), vec![]),
        (
            "no landlock",
            Host::landlock_abi(0),
            vec![("kernel", Degraded), ("landlock", Missing)],
        ),
        (
            "ubuntu",
            no_namespaces(Host::ubuntu_apparmor()),
            vec![
                ("kernel", Degraded),
                ("user-namespaces", Missing),
                ("landlock", Degraded),
            ],
        ),
        (
            "nested in docker",
            Host::nested_in_docker(),
            vec![
                ("kernel", Degraded),
                ("landlock", Degraded),
                ("proc", Missing),
                ("nested-namespaces", Missing),
                ("cgroup", Missing),
                ("fuse", Missing),
                ("tun", Missing),
            ],
        ),
        (
            "ci",
            Host::ci_root(),
            vec![("kernel", Degraded), ("landlock", Degraded), ("cgroup", Missing)],
        ),
    ] {
        assert_eq!(lacking(&survey(host)), expected, "{name}");
    }
}

#[test]
fn what_does_not_work_has_a_consequence_and_a_mend_in_one_line() {
    let hosts = [
        Host::debian_12(),
        Host::no_subids(),
        Host::landlock_abi(0),
        Host::landlock_abi(4),
        Host::no_cgroup(),
        Host::nested_in_docker(),
        Host::nested_in_podman(),
        Host::ci_root(),
        Host::ubuntu_apparmor(),
    ];
    for finding in hosts.into_iter().flat_map(|h| findings(&survey(h))) {
        assert!(
            !finding.found.is_empty() && !finding.follows.is_empty(),
            "{finding:?}"
        );
        assert_eq!(
            finding.state == State::Works,
            finding.mend.is_none(),
            "{finding:?}"
        );
        for text in [
            Some(&finding.found),
            Some(&finding.follows),
            finding.mend.as_ref(),
        ] {
            let text = text.map_or("x", String::as_str);
            assert!(!text.contains('\n') && !text.ends_with('.'), "{text}");
        }
    }
}

#[test]
fn words_are_the_probes() {
    let all = findings(&survey(Host::debian_12()));
    assert_eq!(all.iter().map(|f| f.probe).collect::<Vec<_>>(), words());
}

#[test]
fn each_refusal_of_user_namespaces_is_named_with_its_mend() {
    use UserNamespaceRefusal as R;
    for (refusal, found, mend) in [
        (R::Sysctl, "unprivileged_userns_clone = 0", "sysctl --system"),
        (R::Limit, "max_user_namespaces", "max_user_namespaces"),
        (
            R::AppArmor,
            "AppArmor",
            "profile sbx /usr/bin/sbx flags=(unconfined)",
        ),
        (R::Outer, "container", "--security-opt seccomp=unconfined"),
        (R::Kernel, "CONFIG_USER_NS", "CONFIG_USER_NS=y"),
        (R::Chroot, "chroot", "systemd-nspawn"),
        (R::Other("EIO".into()), "EIO", "dmesg"),
        (R::Other("EAGAIN".into()), "limit of processes", "ulimit -u"),
    ] {
        let mut survey = survey(Host {
            user_namespaces: Fact::Missing(refusal.clone()),
            ..Host::debian_12()
        });
        survey.clues.container = Some(Container::Docker);
        let told = find(&survey, "user-namespaces");
        assert_eq!(told.state, State::Missing);
        assert!(told.found.contains(found), "{refusal:?}: {}", told.found);
        let said = told.mend.unwrap_or_default();
        assert!(said.contains(mend), "{refusal:?}: {said}");
    }
}

#[test]
fn what_a_user_lacks_for_a_range() {
    type Change = fn(&mut Survey);
    let path = || crate::model::HostPath::new("/usr/bin/newuidmap").expect("a path");
    let cases: [(&str, Change, &str, &str); 11] = [
        ("fine", |_| (), "wrote them", ""),
        (
            "missing",
            |s| s.host.id_helpers.newgidmap = Helper::Missing,
            "newgidmap is not installed",
            "apt install uidmap",
        ),
        (
            "no sub-uids",
            |s| s.host.id_helpers.subuid.clear(),
            "/etc/subuid names no ids for user",
            "usermod --add-subuids",
        ),
        (
            "no sub-gids",
            |s| s.host.id_helpers.subgid.clear(),
            "/etc/subgid names no ids for user",
            "--add-subgids",
        ),
        (
            "shared",
            |s| s.around.shared_sub_ids = vec![("/etc/subuid".into(), "bert".into())],
            "/etc/subuid gives bert ids",
            "--del-subuids",
        ),
        (
            "refused",
            |s| s.maps = Some(Err("newuidmap refused the map: x".into())),
            "newuidmap refused",
            "newuidmap(1)",
        ),
        (
            "odd name",
            |s| {
                s.host.caller.name = Some("a;reboot".into());
                s.host.id_helpers.subuid.clear();
            },
            "for 'a;reboot'",
            "100000-165535 'a;reboot'",
        ),
        (
            "no name",
            |s| {
                s.host.caller.name = None;
                s.host.id_helpers.subuid.clear();
            },
            "for 1000",
            "useradd -M -u 1000 -g 1000 NAME",
        ),
        (
            "no name, and lines by number",
            |s| {
                s.host.caller.name = None;
                s.maps = Some(Err("newuidmap: Cannot determine your user name".into()));
            },
            "Cannot determine your user name",
            "useradd -M -u 1000 -g 1000 NAME",
        ),
        (
            "a line that cannot be used",
            |s| {
                s.host.id_helpers.subgid.clear();
                s.around.unusable_sub_ids = vec![(
                    "/etc/subgid".into(),
                    "`user:999:2`: it holds your own id, 1000".into(),
                )];
            },
            "/etc/subgid: `user:999:2`: it holds your own id, 1000",
            "correct that line",
        ),
        (
            "few ids",
            |s| {
                s.host.caller.writes_maps = true;
                s.host.caller.outer_uids = vec![s.host.id_helpers.subuid[0]; 1];
                s.host.caller.outer_uids[0].count = 10;
            },
            "only 10 ids",
            "more ids",
        ),
    ];
    for (name, change, found, mend) in cases {
        let mut survey = survey(Host::debian_12());
        change(&mut survey);
        let told = find(&survey, "id-maps");
        assert!(told.found.contains(found), "{name}: {told:?}");
        assert!(told.mend.unwrap_or_default().contains(mend), "{name}");
    }
    for (helper, found, mend) in [
        (
            Helper::NoPrivilege(path()),
            "neither set-uid",
            "chmod u+s '/usr/bin/newuidmap'",
        ),
        (Helper::NoSuidMount(path()), "nosuid", "without nosuid"),
        (
            Helper::NoNewPrivileges(path()),
            "no_new_privs",
            "NoNewPrivileges=no",
        ),
    ] {
        let mut survey = survey(Host::debian_12());
        survey.host.id_helpers.newuidmap = helper;
        let told = find(&survey, "id-maps");
        assert!(told.found.contains(found), "{told:?}");
        assert!(told.mend.unwrap_or_default().contains(mend), "{found}");
    }
}

#[test]
fn cgroups_are_told_by_who_could_delegate_them() {
    let with = |systemd, user_systemd| {
        let mut survey = survey(Host::no_cgroup());
        (survey.around.systemd, survey.around.user_systemd) = (systemd, user_systemd);
        find(&survey, "cgroup").mend.unwrap_or_default()
    };
    assert!(with(true, true).starts_with("systemd-run --user"));
    assert!(with(true, false).contains("log in"));
    assert!(with(false, false).contains("chown"));
    let mut half = survey(Host::debian_12());
    if let Cgroup::Delegated { controllers, .. } = &mut half.host.cgroup {
        controllers.retain(|c| c != "memory");
    }
    let told = find(&half, "cgroup");
    assert_eq!(told.state, State::Degraded);
    assert!(told.found.ends_with("without memory"), "{told:?}");
}

#[test]
fn an_old_kernel_a_read_only_home_and_another_sbx() {
    let mut survey = survey(Host {
        kernel: Kernel { major: 5, minor: 10 },
        ..Host::debian_12()
    });
    survey.around.path = OnPath::Other("/usr/local/bin/sbx".into());
    survey.around.store.refused = Some("read-only file system".into());
    survey.clues.masked_proc = vec!["/proc/kcore".into()];
    assert_eq!(find(&survey, "kernel").state, State::Missing);
    assert!(find(&survey, "path").found.contains("/usr/local/bin/sbx"));
    let store = find(&survey, "store");
    assert!(
        store.found.ends_with("/home/user: read-only file system"),
        "{store:?}"
    );
    let details = find(&survey, "proc").details;
    assert!(details.iter().any(|d| d.ends_with("/proc/kcore")), "{details:?}");
}

#[test]
fn what_could_not_be_tried_is_not_blamed() {
    let untried = || Fact::Missing("not tried: no child could be made, EAGAIN".to_owned());
    let survey = survey(Host {
        user_namespaces: Fact::Missing(UserNamespaceRefusal::Other("EAGAIN".into())),
        seccomp: untried(),
        namespace_limits: untried(),
        time_namespace: untried(),
        overlay: untried(),
        image_overlay: untried(),
        fuse: untried(),
        tun: untried(),
        ..Host::debian_12()
    });
    for probe in [
        "seccomp",
        "nested-namespaces",
        "time-namespace",
        "overlay",
        "fuse",
        "tun",
    ] {
        let told = find(&survey, probe);
        assert_eq!(
            told.mend.as_deref(),
            Some("mend user-namespaces first"),
            "{told:?}"
        );
    }
}

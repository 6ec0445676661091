//! What several sources say of one thing.

use super::{Error, Flags, Policy, Request, Root, Volume, resolve};
use crate::model::{Homes, HostPath, InRoot, Origin, Set};
use crate::profile::read::read;
use crate::profile::schema::{Tmpfs, Ulimit};
use crate::profile::{Profile, Source};

fn profile(text: &str) -> Profile {
    let text = format!("{text}\n[enforcement]\nseccomp = \"off\"\n");
    read(&Source::new("p.toml", false, &text)).expect(&text).profile
}

fn request(flags: Flags) -> Request {
    Request {
        home: Some("/home/u".into()),
        homes: Homes::named(["/home/u".into()]),
        flags,
        ..Request::new(Root::Scratch, vec!["x".into()])
    }
}

fn at(path: &str) -> InRoot {
    InRoot::new(path).expect(path)
}

fn volume(target: &str) -> Flags {
    let volume = Volume {
        source: HostPath::new("/volumes/d").expect("a path"),
        target: at(target),
        writable: true,
    };
    Flags {
        volumes: vec![Set::new(volume, Origin::flag(format!("-v d:{target}")))],
        ..Flags::default()
    }
}

fn targets(policy: &Policy) -> (Vec<String>, Vec<String>) {
    (
        policy.binds.iter().map(|b| b.value.target.to_string()).collect(),
        policy
            .scratch
            .iter()
            .map(|s| s.value.target.to_string())
            .collect(),
    )
}

#[test]
fn a_flag_is_not_hidden_by_what_a_profile_mounts_there() {
    let cached = profile("[filesystem]\ntmpfs = [{ target = \"/cache\" }, { target = \"/other\" }]");
    let policy = resolve(&cached, &request(volume("/cache"))).expect("a policy");
    assert_eq!(targets(&policy), (vec!["/cache".into()], vec!["/other".into()]));

    let mut bound = profile("[filesystem]\nmounts = [{ source = \"/srv\", target = \"/cache\" }]");
    let tmpfs = Tmpfs {
        target: at("/cache"),
        size: None,
        inodes: None,
        mode: None,
        execute: None,
    };
    let flag = Origin::flag("--tmpfs /cache");
    bound.filesystem.tmpfs.push(Set::new(tmpfs, flag));
    let policy = resolve(&bound, &request(Flags::default())).expect("a policy");
    assert_eq!(targets(&policy), (vec![], vec!["/cache".into()]));
}

#[test]
fn two_of_a_profile_at_one_place_are_a_contradiction() {
    let both = profile(
        "[filesystem]\nmounts = [{ source = \"/srv\", target = \"/x/\" }]\ntmpfs = [{ target = \"/x\" }]",
    );
    let refused: Error = resolve(&both, &request(Flags::default())).expect_err("twice");
    let said = refused.to_string();
    assert!(said.starts_with("tmpfs at /x (p.toml:3:"), "{said}");
    assert!(
        said.contains("p.toml:2:") && said.ends_with("leave one of them out"),
        "{said}"
    );
}

#[test]
fn what_would_mean_nothing_or_end_everything_is_refused() {
    let refused = |text: &str| {
        let said = resolve(&profile(text), &request(Flags::default())).expect_err(text);
        said.to_string()
    };
    for (text, words) in [
        ("[limits]\nmemory = \"1k\"", "the least is 6M"),
        ("[filesystem]\nmasked = [\"/\"]", "no command could run"),
        ("[filesystem]\nmasked = [\"/dev/.\"]", "no command could run"),
        (
            "[filesystem]\ntmpfs = [{ target = \"/x\", mode = \"+7\" }]",
            "write octal digits",
        ),
        (
            "[filesystem]\ntmpfs = [{ target = \"/dev/null\" }]",
            "own devices",
        ),
        (
            "[filesystem]\ntmpfs = [{ target = \"/dev/pts/x\" }]",
            "own devices",
        ),
        (
            "[filesystem]\nmounts = [{ source = \"/srv\", target = \"/dev/tty\" }]",
            "own devices",
        ),
    ] {
        let said = refused(text);
        assert!(said.contains(words) && said.contains("p.toml:"), "{text}: {said}");
    }
    let mut timeless = profile("");
    let none = crate::model::Span(std::time::Duration::ZERO);
    timeless.limits.time = Some(Set::new(none, Origin::flag("--timeout 0")));
    let said = resolve(&timeless, &request(Flags::default())).expect_err("no time");
    assert!(said.to_string().contains("(the flag --timeout 0)"), "{said}");
    // Below /dev there is room, and a device may stand for another.
    for text in [
        "[filesystem]\ntmpfs = [{ target = \"/dev/shm\" }, { target = \"/dev/nullx\" }]",
        "[filesystem]\ndevices = [{ source = \"/dev/null\" }]\nmasked = [\"/dev/full\"]",
    ] {
        assert!(
            resolve(&profile(text), &request(Flags::default())).is_ok(),
            "{text}"
        );
    }
}

#[test]
fn as_many_processes_as_one_may_have_are_counted_by_no_cgroup() {
    let pids = |text: &str, by_flag: bool| {
        let mut profile = profile(text);
        let unlimited = Ulimit {
            soft: u64::MAX,
            hard: u64::MAX,
        };
        let flag = Origin::flag("--ulimit nproc=unlimited");
        let ulimits = &mut profile.limits.ulimits;
        ulimits.insert("nproc".into(), Set::new(unlimited, flag));
        if by_flag {
            profile.limits.pids = Some(Set::new(7, Origin::flag("--pids-limit 7")));
        }
        let policy = resolve(&profile, &request(Flags::default())).expect("a policy");
        policy.pids.map(|pids| pids.value)
    };
    assert_eq!(pids("[limits]\npids = 5", false), None);
    assert_eq!(pids("[limits]\npids = 5", true), Some(7));
}

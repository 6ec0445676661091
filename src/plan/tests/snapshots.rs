//! Every built-in profile on hosts that differ in what they can give. A weaker plan shows in the diff of a snapshot.

use super::{Host, Root, built_in, host_path, inside, plan_of};
use crate::model::Origin;
use crate::model::Protection;
use crate::plan::why::{self, Use};
use crate::plan::{Plan, Refusal, Step};
use std::fmt::Write;

fn hosts() -> Vec<(&'static str, Host)> {
    let with_groups = |mut host: Host| {
        host.caller.groups = vec![27, 100];
        host
    };
    vec![
        ("debian_12", with_groups(Host::debian_12())),
        ("no_subids", with_groups(Host::no_subids())),
        ("landlock_abi_2", Host::landlock_abi(2)),
        ("landlock_abi_7", Host::landlock_abi(7)),
        ("no_landlock", Host::landlock_abi(0)),
        ("no_cgroup", Host::no_cgroup()),
        ("nested_in_docker", Host::nested_in_docker()),
        ("ci_root", Host::ci_root()),
    ]
}

fn text(result: &Result<Plan, Refusal>) -> String {
    let plan = match result {
        Ok(plan) => plan,
        Err(refusal) => return format!("refused: {refusal}\n  {}\n", refusal.mend().unwrap_or_default()),
    };
    let mut out = String::new();
    for planned in &plan.steps {
        let _ = writeln!(out, "{:<10} {}", planned.step.word(), planned.step);
        if let Step::Landlock { rules, .. } = &planned.step {
            for rule in rules {
                let _ = writeln!(out, "{:<10}   {} {:?}", "", rule.at, rule.access);
            }
        }
        if let Step::Seccomp(table) = &planned.step {
            let _ = writeln!(out, "{:<10}   sha256 {}", "", table.digest().expect("compiles"));
        }
    }
    for loss in &plan.losses {
        let _ = writeln!(out, "{:<10} {loss}", "lost");
    }
    out
}

#[test]
fn built_in_profiles_on_many_hosts() {
    for profile in ["strict", "default", "build"] {
        for (name, host) in hosts() {
            insta::assert_snapshot!(
                format!("{profile}_on_{name}"),
                text(&plan_of(&built_in(profile), Root::Host, &host))
            );
        }
    }
}

#[test]
fn a_directory_as_root() {
    for profile in ["strict", "default"] {
        let root = Root::Directory(host_path("/srv/root"));
        insta::assert_snapshot!(
            format!("{profile}_on_a_directory"),
            text(&plan_of(&built_in(profile), root, &Host::landlock_abi(7)))
        );
    }
}

/// `require` is never a loss, and a refusal names what requires it and what mends it.
#[test]
fn what_is_required_is_never_lost() {
    let refused = plan_of(&built_in("strict"), Root::Host, &Host::landlock_abi(0));
    let Err(Refusal::Protection {
        protection,
        origin,
        mend,
        ..
    }) = refused
    else {
        panic!("not refused: {refused:?}");
    };
    assert_eq!(protection, Protection::Landlock);
    assert!(
        matches!(origin, Origin::BuiltIn { ref profile, .. } if &**profile == "strict"),
        "{origin}"
    );
    assert!(!mend.is_empty());
}

#[test]
fn why_asks_the_plan() {
    let profile = built_in("strict");
    let host = Host::landlock_abi(7);
    let policy = crate::policy::resolve(&profile, &super::request(Root::Host, &host)).expect("a policy");
    let plan = plan_of(&profile, Root::Host, &host).expect("a plan");
    let table = [
        ("/usr/bin/make", Use::Exec, true),
        ("/bin/sh", Use::Exec, true),
        ("/usr/bin/make", Use::Write, false),
        ("/srv/project/Makefile", Use::Read, true),
        ("/srv/project/Makefile", Use::Write, false),
        ("/srv/project/run", Use::Exec, true),
        ("/srv/other", Use::Read, false),
        ("/etc/shadow", Use::Read, false),
        ("/etc/passwd", Use::Read, true),
        ("/home/user/.ssh/id_rsa", Use::Read, false),
        ("/home/user/new", Use::Write, true),
        ("/tmp/new", Use::Write, true),
        ("/tmp/new", Use::Exec, false),
        ("/var/tmp/new", Use::Write, true),
        ("/dev/null", Use::Write, true),
        ("/dev/new", Use::Write, false),
        ("/proc/self/status", Use::Read, true),
        ("/proc/cpuinfo", Use::Read, true),
        ("/proc/meminfo", Use::Write, false),
        ("/proc/sys/kernel", Use::Read, true),
        ("/proc/sys/kernel/core_pattern", Use::Read, false),
        ("/proc/interrupts", Use::Read, false),
        ("/sys/devices/system/cpu/online", Use::Read, true),
        ("/sys/kernel", Use::Read, false),
        ("/new", Use::Write, false),
    ];
    for (path, wanted, yes) in table {
        let answer = why::path(&plan, &policy, &inside(path), wanted);
        assert_eq!(answer.yes, yes, "{wanted:?} {path}: {answer:?}");
        assert!(!answer.because.is_empty());
    }
    for (call, yes) in [
        ("read", true),
        ("ptrace", false),
        ("mount", false),
        ("socket", true),
        ("clone3", false),
    ] {
        assert_eq!(why::syscall(&policy, call).map(|a| a.yes), Some(yes), "{call}");
    }
    assert_eq!(why::syscall(&policy, "no_such_call"), None);
    assert!(!why::connect(&policy, "example.org").yes);
    assert!(why::connect(&policy, "127.0.0.1").yes);
}

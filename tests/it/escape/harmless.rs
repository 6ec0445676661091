//! Calls of ordinary programs that change nothing outside or nothing at all: they work, and their neighbours are refused.

use super::{ALL, Answers, Attack, attack, profile, under};
use crate::util::Sbx;
use crate::util::image::Image;

/// Calls that set ids or owners and answer with 0.
const CALLS: [&str; 10] = [
    "setresuid",
    "setresgid",
    "setreuid",
    "setregid",
    "setuid",
    "setgid",
    "chown",
    "fchown",
    "lchown",
    "fchownat",
];

/// What make, install and chgrp call.
#[test]
fn own_ids_pass_and_other_ids_are_refused_in_strict() {
    let own = "getuid; getgid; setresuid -1 $0 -1; setresgid $1 -1 $1; setreuid $0 $0; setregid -1 $1; setuid $0; setgid $1; \
               setfsuid $0; setfsgid -1; openat -100 @s:/tmp/f 0o102 0o600; chown @s:/tmp/f $0 $1; fchown $10 -1 $1; \
               lchown @s:/tmp/f $0 -1; fchownat -100 @s:/tmp/f $0 $1 0";
    for name in ALL {
        let answers = attack(name, own);
        for call in CALLS {
            assert_eq!(answers.of(call), "0", "{name}: {call}");
        }
        assert_eq!(answers.of("setfsuid"), answers.of("getuid"), "{name}");
        assert_eq!(answers.of("setfsgid"), answers.of("getgid"), "{name}");
    }
    let others = "getuid; getgid; setresuid -1 $0 33; setresgid 33 -1 $1; setreuid 33 $0; setregid -1 33; setuid 33; setgid 33; \
                  openat -100 @s:/tmp/f 0o102 0o600; chown @s:/tmp/f 33 $1; fchown $8 -1 33; lchown @s:/tmp/f $0 33; \
                  fchownat -100 @s:/tmp/f 33 $1 0";
    // With the capabilities for it, so that the filter alone stands in the way.
    let able = || under(&profile("capabilities"));
    let (refused, open) = (
        able().attack(others),
        able().args(["--enforce", "seccomp=off"]).attack(others),
    );
    for call in CALLS {
        refused.refused(call, &["EPERM"]);
        assert_ne!(open.of(call), "EPERM", "{call}");
    }
}

/// The calls of openpty(3) and login_tty(3), older and newer, by a session leader without a terminal.
#[test]
fn pseudo_terminals_of_the_sandbox_work_in_every_profile() {
    let program = "openat -100 @s:/dev/ptmx 2; ioctl $0 0x40045431 @z:4; ioctl $0 0x80045430 @z:4; ioctl $0 0x5441 0o402; \
                   ioctl $3 0x5414 @z:8; ioctl $3 0x5401 @z:64";
    for name in ALL {
        let answers = attack(name, program);
        answers.number("openat");
        let all = answers.all("ioctl");
        assert!(
            all.iter().all(|answer| answer.parse::<u32>().is_ok()),
            "{name}: {all:?}"
        );
        let out = under(name)
            .shell("command -v script >/dev/null || { echo /dev/pts/0; exit; }; script -qec tty /dev/null");
        assert!(out.ok().trim().starts_with("/dev/pts/"), "{name}");
    }
}

/// ping(8) keeps its capabilities, of which it has none, over a change to its own uid.
#[test]
fn keep_caps_can_be_set_and_gives_nothing() {
    for name in ALL {
        let answers = attack(name, "getuid; prctl 8 1 0 0 0; setuid $0; prctl 8 0 0 0 0");
        assert_eq!(answers.all("prctl"), ["0", "0"], "{name}");
        let capabilities = under(name)
            .shell("grep -E '^Cap(Prm|Eff|Amb)' /proc/self/status")
            .ok();
        let held = |line: &str| {
            line.split_whitespace()
                .last()
                .map(|set| set.trim_matches('0').to_owned())
        };
        assert!(
            capabilities
                .lines()
                .all(|line| held(line).is_some_and(|set| set.is_empty())),
            "{capabilities}"
        );
    }
}

#[test]
fn message_queues_work_where_they_are_allowed() {
    let program = "mq_open @s:q 0o102 0o600 0; mq_timedsend $0 @s:word 4 0 0; mq_open @s:q 2 0 0";
    let good = |answers: &Answers| {
        answers.number("mq_open");
        assert_eq!(answers.of("mq_timedsend"), "0");
    };
    for name in ["default", "build"] {
        good(&attack(name, program));
        assert_eq!(
            under(name)
                .shell("grep -c ' /dev/mqueue .*nosuid,nodev,noexec' /proc/self/mountinfo")
                .ok(),
            "1"
        );
    }
    let (_store, layout) = Image::attacker().build().layout();
    let image = format!("oci:{}", layout.display());
    good(&Answers(Sbx::run("default").args([&image, program]).out()));
    // No file system of queues where the calls are refused.
    let shown = under("strict").shell("ls -d /dev/mqueue");
    assert_ne!(shown.code, Some(0));
    attack("strict", program).refused("mq_open", &["ENOSYS"]);
}

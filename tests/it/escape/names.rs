//! What tells one host from another: its name, its users, how long it has been up.

use super::{ALL, Attack, BUILT_IN, attack, finish, outside, profile, under};
use crate::util::skip;
use std::process::Command;

#[test]
fn names_of_the_host_are_not_told() {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    let host = host.trim();
    let users = std::fs::read_to_string("/etc/passwd").expect("/etc/passwd");
    let mine = finish(Command::new("id").arg("-un")).ok();
    let users: Vec<&str> = users.lines().filter_map(|line| line.split(':').next()).collect();
    let others = users
        .iter()
        .filter(|user| user.len() > 4 && **user != "nobody" && **user != mine);
    let others: Vec<String> = others.map(|user| format!("{user}:")).collect();
    let names = "uname -n; cat /etc/hostname";
    let script = format!("{names}; cat /etc/passwd /etc/group /etc/hosts");
    for name in BUILT_IN {
        assert_eq!(under(name).shell(names).ok(), "sbx\nsbx", "{name}");
        let said = under(name).shell(&script).ok();
        for user in &others {
            let told = said.lines().any(|line| line.starts_with(user.as_str()));
            assert!(!told, "{name}: {user} {said}");
        }
        assert!(
            host == "localhost" || host == "sbx" || !said.contains(host),
            "{name}: {said}"
        );
    }
    // The same words outside tell all of it.
    let said = finish(Command::new("sh").args(["-c", &script])).stdout();
    assert!(said.starts_with(host) && !others.is_empty());
    assert!(others.iter().all(|user| said.contains(user.as_str())));
    if host == "sbx" {
        skip("host-name", "the host has the name that sandboxes have");
    }
}

#[test]
fn the_name_of_the_host_cannot_be_changed() {
    let place = "readlink /proc/self/ns/uts";
    let host = finish(Command::new("sh").args(["-c", place])).ok();
    for name in ALL {
        assert_ne!(
            under(name).shell(place).ok(),
            host,
            "{name}: a namespace of its own"
        );
        for program in ["sethostname @s:told 4", "setdomainname @s:told 4"] {
            let step = program.split(' ').next().expect("a step");
            let answers = under(name).args(["--user", "root"]).attack(program);
            answers.refused(step, &["EPERM"]);
        }
    }
    // Without the filter, and with all rights in a user namespace below, the sandbox's name stays; in a uts namespace below it does not.
    let open = |flags: &str| {
        let program = format!("unshare {flags}; sethostname @s:told 4");
        attack(&profile("nested-namespaces"), &program)
    };
    assert_eq!(open("0x10000000").of("sethostname"), "EPERM");
    assert_eq!(open("0x14000000").number("sethostname"), 0);
    assert_ne!(finish(Command::new("uname").arg("-n")).ok(), "told");
}

#[test]
fn the_time_since_boot_is_hidden_in_strict() {
    // CLOCK_BOOTTIME, as /proc/uptime would say: it tells one host from another.
    let strict = under("strict").attack("boot-time");
    let file = under("strict").shell("cat /proc/uptime").ok();
    assert_eq!(file, "0.00 0.00", "not the processors' idle time either");
    let file = under(&profile("whole-proc"))
        .shell("cut -d. -f1 /proc/uptime")
        .ok();
    let own = outside("boot-time").number("boot-time");
    // Default does not ask for it, so that there the clock is the host's.
    let default = attack("default", "boot-time").number("boot-time");
    assert!((default - own).abs() <= 60, "{default} and {own}");
    if !std::path::Path::new("/proc/self/ns/time").exists() {
        return skip("time-namespace", "this kernel has no time namespaces");
    }
    if own < 120 {
        return skip("uptime", "the machine has just started");
    }
    let inside = [strict.number("boot-time"), file.parse().expect("a number")];
    assert!(
        inside.iter().all(|inside| (0..60).contains(inside)),
        "{inside:?} and {own}"
    );
}

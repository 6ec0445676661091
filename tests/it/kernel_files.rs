//! Files of the kernel that programs size themselves by, in `/proc` and `/sys`.

use crate::util::image::Image;
use crate::util::{Sbx, range};

const ALL: [&str; 3] = ["strict", "default", "build"];

fn said(profile: &str, flags: &[&str], script: &str) -> String {
    let run = Sbx::run(profile)
        .args(flags)
        .args(["host", "--", "sh", "-c", script]);
    run.out().ok()
}

#[test]
fn memory_is_the_limit() {
    for profile in ALL {
        let total = said(
            profile,
            &["--memory", "256m"],
            "grep MemTotal /proc/meminfo; free -b | awk 'NR == 2 { print $2 }'",
        );
        assert_eq!(total, "MemTotal:         262144 kB\n268435456", "{profile}");
    }
    // The machine's own where no limit is less.
    let host = std::fs::read_to_string("/proc/meminfo").expect("meminfo");
    let outside = host.lines().next().expect("a line");
    assert_eq!(said("default", &[], "head -n 1 /proc/meminfo"), outside);
    assert_eq!(
        said("strict", &["--memory", "900g"], "head -n 1 /proc/meminfo"),
        outside
    );
}

#[test]
fn processors_are_those_of_the_limits() {
    let count =
        "getconf _NPROCESSORS_ONLN; getconf _NPROCESSORS_CONF; nproc; cat /sys/devices/system/cpu/online";
    for profile in ALL {
        let one = said(profile, &["--cpuset-cpus", "0"], count);
        assert_eq!(one, "1\n1\n1\n0", "{profile}");
    }
    assert_eq!(
        said(
            "strict",
            &["--cpuset-cpus", "0"],
            "grep -c '^cpu[0-9]' /proc/stat"
        ),
        "1"
    );
    let outside = std::process::Command::new("nproc")
        .output()
        .expect("nproc")
        .stdout;
    assert_eq!(
        said("strict", &[], "nproc; nproc --all").lines().next(),
        String::from_utf8_lossy(&outside).lines().next()
    );
}

#[test]
fn files_tell_the_limits_and_nothing_that_the_host_does() {
    let script = "cat /proc/loadavg /proc/uptime; grep -E '^(cpu|intr|ctxt|softirq)' /proc/stat | grep '[1-9] *$' | grep -v '^cpu[0-9]* 0'; \
                  awk '/MemFree|MemAvailable/ { print $2 }' /proc/meminfo; cat /proc/sys/kernel/osrelease";
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("osrelease");
    let expected = format!(
        "0.00 0.00 0.00 1/1 1\n0.00 0.00\n65536\n65536\n{}",
        release.trim_end()
    );
    assert_eq!(said("strict", &["--memory", "64m"], script), expected);
    // Outside the same lines count.
    let outside = std::fs::read_to_string("/proc/stat").expect("stat");
    assert!(
        outside
            .lines()
            .any(|line| line.starts_with("ctxt ") && line != "ctxt 0")
    );
}

#[test]
fn programs_that_ask_about_the_machine_work_in_strict() {
    for (script, expected) in [
        (
            "ps -o pid=,comm= > /tmp/ps; awk '{ print $2 }' /tmp/ps | sort | tr '\\n' ' '",
            "ps sh ",
        ),
        ("top -bn1 | grep -c 'Tasks:'", "1"),
        ("uptime | grep -c 'up 0 min'", "1"),
        ("free -m | awk 'NR == 2 { print $2 }'", "1024"),
        (
            "sysctl -n kernel.ngroups_max kernel.cap_last_cap | tr '\\n' ' '",
            "65536 40 ",
        ),
        (
            "cat /proc/sys/kernel/random/uuid /proc/sys/kernel/random/uuid | sort -u | wc -l",
            "2",
        ),
        (
            "grep -c ^processor /proc/cpuinfo | sed 's/[1-9][0-9]*/some/'; uname -r > /tmp/r; grep -cFf /tmp/r /proc/version",
            "some\n1",
        ),
        (
            "cut -d' ' -f2 /proc/mounts | grep -x /proc; grep -c lo: /proc/net/dev",
            "/proc\n1",
        ),
    ] {
        assert_eq!(
            said("strict", &[], script),
            expected.trim_end_matches('\n'),
            "{script}"
        );
    }
}

#[test]
fn roots_that_are_no_tmpfs_have_them_too() {
    let Some(image) = Image::busybox() else { return };
    if !range() {
        return;
    }
    let (_dir, layout) = image.build().layout();
    let name = format!("oci:{}", layout.display());
    for (profile, names) in [
        ("strict", "cpuinfo loadavg meminfo stat sys uptime"),
        ("default", "meminfo"),
    ] {
        let script = format!("cd /proc && ls -d {names} > /dev/null && grep MemTotal meminfo");
        let run = Sbx::run(profile).args(["--memory", "128m", &name, "sh", "-c", &script]);
        assert_eq!(run.out().ok(), "MemTotal:         131072 kB", "{profile}");
    }
}

//! `/proc` name by name: each file of this kernel is shown by a list, masked, or closed by its owner.

use super::{attack, under};
use crate::util::Sbx;
use std::collections::BTreeSet;
use std::path::Path;

/// The names that a `/proc` of own processes shows besides processes.
const OWN_PROCESSES: [&str; 11] = [
    "cpuinfo",
    "loadavg",
    "meminfo",
    "mounts",
    "net",
    "self",
    "stat",
    "sys",
    "thread-self",
    "uptime",
    "version",
];

/// The names that a masked `/proc` shows with their contents: the kernel's build, the machine's parts and counters, as container
/// runtimes show them. None tells an address of the kernel, another user's process, or what a device has sent.
const SHOWN: &[&str] = &[
    "buddyinfo",
    "bus",
    "cgroups",
    "cmdline",
    "config.gz",
    "consoles",
    "cpuinfo",
    "crypto",
    "devices",
    "diskstats",
    "dma",
    "driver",
    "dynamic_debug",
    "execdomains",
    "fb",
    "filesystems",
    "fs",
    "iomem",
    "ioports",
    "irq",
    "kallsyms",
    "key-users",
    "loadavg",
    "locks",
    "mdstat",
    "meminfo",
    "misc",
    "modules",
    "mounts",
    "mtd",
    "mtrr",
    "net",
    "partitions",
    "pressure",
    "schedstat",
    "self",
    "softirqs",
    "stat",
    "swaps",
    "sys",
    "sysvipc",
    "thread-self",
    "tty",
    "uptime",
    "version",
    "version_signature",
    "vmstat",
    "zoneinfo",
];

/// Names of the host's `/proc` that are no processes.
fn names_of_the_host() -> BTreeSet<String> {
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let names: BTreeSet<String> = names.filter(|name| name.parse::<u32>().is_err()).collect();
    assert!(names.len() > 30, "a whole /proc: {names:?}");
    names
}

#[test]
fn proc_of_own_processes_shows_a_list_of_names_and_no_other() {
    let names = names_of_the_host();
    let look = |profile: &str| -> BTreeSet<String> {
        let script =
            "for name; do if [ -e \"/proc/$name\" ] || [ -L \"/proc/$name\" ]; then echo \"$name\"; fi; done";
        let run = Sbx::run(profile).args(["host", "--", "sh", "-c", script, "sh"]);
        run.args(&names).out().ok().lines().map(str::to_owned).collect()
    };
    assert_eq!(look("strict"), OWN_PROCESSES.map(str::to_owned).into());
    // Where they are not hidden, the same look finds them.
    assert_eq!(look("default"), names);
    // Once a name was asked for in vain, and under pressure on memory, nothing appears: no file was ever there.
    let again = Sbx::sh(
        "strict",
        "ls /proc/kcore /proc/kcore /proc/interrupts 2>/dev/null; find /proc/sys -type f | sort",
    );
    let expected = [
        "cap_last_cap",
        "ngroups_max",
        "osrelease",
        "pid_max",
        "random/uuid",
    ];
    assert_eq!(
        again.out().stdout(),
        expected.map(|name| format!("/proc/sys/kernel/{name}\n")).concat()
    );
}

#[test]
fn what_proc_of_own_processes_shows_cannot_be_changed_or_uncovered() {
    let script = "cd /proc; for f in cpuinfo loadavg meminfo stat uptime version sys/kernel/pid_max sys/kernel/random/uuid; do \
                  (echo 1 > $f) 2>/dev/null && echo $f; chmod 666 $f 2>/dev/null && echo $f; rm -f $f 2>/dev/null && echo $f; done; \
                  mkdir sys/new 2>/dev/null && echo made; mv sys/kernel sys/other 2>/dev/null && echo moved; true";
    for user in ["caller", "root"] {
        let out = under("strict")
            .args(["--user", user, "host", "--", "sh", "-c", script])
            .out();
        assert_eq!(out.ok(), "", "as {user}");
    }
    let answers = attack(
        "strict",
        "umount2 @s:/proc/sys 2; umount2 @s:/proc/meminfo 2; umount2 @s:/proc 2; mount 0 @s:/proc 0 0x20 @s:subset=",
    );
    assert!(
        answers
            .all("umount2")
            .iter()
            .all(|answer| answer == "EPERM" || answer == "ENOSYS")
    );
    answers.refused("mount", &["EPERM", "ENOSYS"]);
}

#[test]
fn every_name_of_a_masked_proc_is_shown_by_a_list_masked_or_closed() {
    let names = names_of_the_host();
    // A directory that is empty, a file that holds nothing, or one that cannot be opened.
    let script = "for name; do f=/proc/$name; if [ -d $f ]; then [ -z \"$(ls -A $f)\" ] || echo $name; \
                  elif head -c 1 $f 2>/dev/null | grep -q .; then echo $name; fi; done";
    let listed = |name: &&str| SHOWN.contains(name);
    for profile in ["default", "build"] {
        let run = Sbx::run(profile).args(["host", "--", "sh", "-c", script, "sh"]);
        let said = run.args(&names).out().ok();
        let open: Vec<&str> = said.lines().filter(|name| !listed(name)).collect();
        assert!(open.is_empty(), "{profile}: {open:?}");
        assert!(said.lines().any(|name| name == "cpuinfo"), "{said}");
    }
    // Addresses of the kernel are zeros, and whoever may see them is not inside.
    let answers = Sbx::sh(
        "default",
        "test ! -e /proc/kallsyms || cut -d' ' -f1 /proc/kallsyms | sort -u | head -n 3",
    );
    let said = answers.out().ok();
    assert!(said.bytes().all(|b| b == b'0'), "{said}");
    if Path::new("/proc/interrupts").exists() {
        let outside = std::fs::read("/proc/interrupts").expect("interrupts");
        assert!(!outside.is_empty(), "the same file outside");
    }
}

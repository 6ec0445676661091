//! A profile of the working directory: every key, tightened and widened.

use super::{profile, source};
use crate::profile::tighten::tighten;

/// A page in force, a local page that may be, and one that may not.
const TABLE: &[(&str, &str, &str)] = &[
    (
        "[identity]\nmap = \"caller\"",
        "[identity]\nmap = \"caller\"",
        "[identity]\nmap = \"auto\"",
    ),
    (
        "[identity]\nmap = \"range\"",
        "[identity]\nmap = \"range\"",
        "[identity]\nmap = \"caller\"",
    ),
    ("", "[identity]\nmap = \"auto\"", "[identity]\nmap = \"range\""),
    (
        "[identity]\nuser = \"caller\"",
        "[identity]\nuser = \"caller\"",
        "[identity]\nuser = \"root\"",
    ),
    (
        "[identity]\ncapabilities = [\"CAP_KILL\"]",
        "[identity]\ncapabilities = []",
        "[identity]\ncapabilities = [\"CAP_CHOWN\"]",
    ),
    (
        "[identity]\nroot-capabilities = [\"CAP_KILL\"]",
        "[identity]\nroot-capabilities = []",
        "[identity]\nroot-capabilities = [\"CAP_KILL\", \"CAP_CHOWN\"]",
    ),
    (
        "[filesystem]\nroot = \"ephemeral\"",
        "[filesystem]\nroot = \"read-only\"",
        "[filesystem]\nroot = \"kept\"",
    ),
    (
        "[filesystem]\nworkdir = \"overlay\"",
        "[filesystem]\nworkdir = \"none\"",
        "[filesystem]\nworkdir = \"writable\"",
    ),
    (
        "[filesystem]\nhome = \"none\"",
        "[filesystem]\nhome = \"none\"",
        "[filesystem]\nhome = \"empty\"",
    ),
    (
        "[filesystem]\nproc = \"own-processes\"",
        "[filesystem]\nproc = \"none\"",
        "[filesystem]\nproc = \"masked\"",
    ),
    (
        "[filesystem]\nexecute = \"read-only-places\"",
        "[filesystem]\nexecute = \"read-only-places\"",
        "[filesystem]\nexecute = \"anywhere\"",
    ),
    (
        "[filesystem]\ntmp = \"64M\"",
        "[filesystem]\ntmp = \"1M\"",
        "[filesystem]\ntmp = \"65M\"",
    ),
    (
        "[filesystem]\nupper = \"memory\"",
        "[filesystem]\nupper = \"memory\"",
        "[filesystem]\nupper = \"disk\"",
    ),
    (
        "[filesystem]\nwithout-overlay = \"copy\"",
        "[filesystem]\nwithout-overlay = \"copy\"",
        "[filesystem]\nwithout-overlay = \"fuse\"",
    ),
    (
        "[filesystem]\nwithout-overlay = \"fuse\"",
        "[filesystem]\nwithout-overlay = \"fuse\"",
        "[filesystem]\nwithout-overlay = \"copy\"",
    ),
    (
        "",
        "[filesystem]\nmounts = []",
        "[filesystem]\nmounts = [{ source = \"~\" }]",
    ),
    (
        "",
        "[filesystem]\ntmpfs = []",
        "[filesystem]\ntmpfs = [{ target = \"/etc\" }]",
    ),
    (
        "",
        "[filesystem]\ndevices = []",
        "[filesystem]\ndevices = [{ source = \"/dev/kvm\" }]",
    ),
    (
        "[network]\nmode = \"nat\"",
        "[network]\nmode = \"gateway\"",
        "[network]\nmode = \"host\"",
    ),
    (
        "",
        "[network]\nallow = []",
        "[network]\nallow = [\"example.org:443\"]",
    ),
    ("", "[network]\npublish = []", "[network]\npublish = [\"80:80\"]"),
    (
        "",
        "[syscalls]\ndeny = { ptrace = \"EPERM\" }",
        "[syscalls]\nallow = [\"ptrace\"]",
    ),
    (
        "[syscalls]\nsocket-families = [\"unix\", \"inet\"]",
        "[syscalls]\nsocket-families = [\"unix\"]",
        "[syscalls]\nsocket-families = [\"inet6\"]",
    ),
    (
        "",
        "[syscalls]\nguards = [\"msg-oob\"]",
        "[syscalls]\ndeny = { setuid = \"0\" }",
    ),
    (
        "[limits]\nmemory = \"1G\"",
        "[limits]\nmemory = \"1M\"",
        "[limits]\nmemory = \"2G\"",
    ),
    (
        "",
        "[filesystem]\nupper-size = \"64M\"",
        "[filesystem]\nupper-size = \"65M\"",
    ),
    (
        "[filesystem]\nupper = \"disk\"\nupper-size = \"1G\"",
        "[filesystem]\nupper-size = \"1G\"",
        "[filesystem]\nupper-size = \"2G\"",
    ),
    (
        "[filesystem]\nupper = \"disk\"",
        "[filesystem]\nupper = \"memory\"\nupper-size = \"64M\"",
        "[filesystem]\nupper-size = \"65M\"\nupper = \"memory\"",
    ),
    (
        "[filesystem]\nupper = \"disk\"\nupper-size = \"1G\"\ntmp = \"1M\"",
        "[filesystem]\nupper = \"memory\"\nupper-size = \"1M\"",
        "[filesystem]\nupper = \"memory\"",
    ),
    ("", "[filesystem]\ntmp = \"64M\"", "[filesystem]\ntmp = \"65M\""),
    (
        "[limits]\nmemory-high = \"1G\"",
        "[limits]\nmemory-high = \"1M\"",
        "[limits]\nmemory-high = \"2G\"",
    ),
    ("", "[limits]\nswap = \"0\"", "[limits]\nswap = \"1\""),
    (
        "[limits]\nswap = \"1M\"",
        "[limits]\nswap = \"1M\"",
        "[limits]\nswap = \"2M\"",
    ),
    ("", "[limits]\ncpu-weight = 100", "[limits]\ncpu-weight = 101"),
    (
        "[limits]\nprocessors = \"0-3\"",
        "[limits]\nprocessors = \"1,3\"",
        "[limits]\nprocessors = \"3-4\"",
    ),
    (
        "[limits]\nio = [{ path = \"/a\", read-bps = \"1M\" }]",
        "[limits]\nio = [{ path = \"/a\", read-bps = \"1M\", write-bps = \"9G\" }, { path = \"/b\", read-iops = 1 }]",
        "[limits]\nio = [{ path = \"/a\", write-bps = \"1M\" }]",
    ),
    ("[limits]\npids = 10", "[limits]\npids = 9", "[limits]\npids = 11"),
    ("[limits]\ncpu = 2", "[limits]\ncpu = 1.5", "[limits]\ncpu = 2.01"),
    (
        "[limits]\ntime = \"10m\"",
        "[limits]\ntime = \"10m\"",
        "[limits]\ntime = \"11m\"",
    ),
    (
        "[limits]\nopen-files = 10",
        "[limits]\nopen-files = 10",
        "[limits]\nopen-files = 11",
    ),
    (
        "[limits]\noutput = \"1M\"",
        "[limits]\noutput = \"1K\"",
        "[limits]\noutput = \"2M\"",
    ),
    (
        "[limits]\nfile-size = \"1M\"",
        "[limits]\nfile-size = \"1K\"",
        "[limits]\nfile-size = \"1G\"",
    ),
    (
        "[limits]\nlocked-memory = \"64K\"",
        "[limits]\nlocked-memory = \"1K\"",
        "[limits]\nlocked-memory = \"1M\"",
    ),
    (
        "",
        "[limits]\nulimits = {}",
        "[limits]\nulimits = { core = \"unlimited\" }",
    ),
    (
        "",
        "[environment]\npass = []",
        "[environment]\npass = [\"AWS_SECRET_ACCESS_KEY\"]",
    ),
    (
        "",
        "[environment]\nset = {}",
        "[environment]\nset = { LD_PRELOAD = \"/tmp/x.so\" }",
    ),
    (
        "[terminal]\nfiles = \"relay\"",
        "[terminal]\nfiles = \"relay\"",
        "[terminal]\nfiles = \"pass\"",
    ),
    ("", "[terminal]\nmode = \"auto\"", "[terminal]\nmode = \"always\""),
    ("", "[namespaces]\ninit = true", "[namespaces]\ninit = false"),
    ("", "[namespaces]\nhostname = \"x\"", "extends = \"default\""),
    (
        "[enforcement]\nlandlock = \"prefer\"",
        "[enforcement]\nlandlock = \"require\"",
        "[enforcement]\nlandlock = \"off\"",
    ),
    (
        "",
        "[enforcement]\nseccomp = \"require\"",
        "[enforcement]\nseccomp = \"off\"",
    ),
];

#[test]
fn a_local_profile_may_take_away_and_never_give() {
    for (base, tighter, wider) in TABLE {
        let base = profile(base);
        tighten(&base, &source(tighter)).unwrap_or_else(|e| panic!("{tighter}: {e}"));
        let refused = tighten(&base, &source(wider)).expect_err(wider);
        assert!(refused.to_string().contains("widen"), "{wider}: {refused}");
        let line = wider.lines().count();
        assert_eq!(refused.line as usize, line, "{refused}");
    }
}

#[test]
fn every_key_is_in_the_table() {
    for key in crate::profile::words::KEYS
        .iter()
        .filter(|k| !["description", "masked"].contains(&k.name))
    {
        let named = |text: &str| text.contains(&format!("{} = ", key.name));
        let there = key.section == "enforcement" || TABLE.iter().any(|(_, t, w)| named(t) || named(w));
        assert!(there, "{}.{}", key.section, key.name);
    }
}

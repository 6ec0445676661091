//! Laws of merging and of printing, for profiles made of every key.

use super::profile;
use crate::profile::{Profile, show, words};
use proptest::collection::vec;
use proptest::prelude::*;
use std::fmt::Write as _;

/// Values for every key, two that conflict where that is possible.
const VALUES: &[(&str, &str, [&str; 2])] = &[
    ("", "description", ["\"a\"", "\"b \\\" \\\\ \\u001b\""]),
    ("identity", "map", ["\"auto\"", "\"range\""]),
    ("identity", "user", ["\"root\"", "\"1000:100\""]),
    (
        "identity",
        "capabilities",
        ["[]", "[\"CAP_CHOWN\", \"CAP_KILL\"]"],
    ),
    ("identity", "root-capabilities", ["[\"CAP_SETUID\"]", "[]"]),
    ("filesystem", "root", ["\"read-only\"", "\"ephemeral\""]),
    ("filesystem", "workdir", ["\"overlay\"", "\"none\""]),
    ("filesystem", "home", ["\"none\"", "\"empty\""]),
    ("filesystem", "proc", ["\"masked\"", "\"own-processes\""]),
    ("filesystem", "tmp", ["\"64M\"", "\"1G\""]),
    ("filesystem", "execute", ["\"anywhere\"", "\"read-only-places\""]),
    (
        "filesystem",
        "mounts",
        [
            "[{ source = \"/a\" }, { source = \"/b\", target = \"/c\", mode = \"writable\" }]",
            "[{ source = \"~/d\", target = \"/c\", optional = true, execute = true }]",
        ],
    ),
    (
        "filesystem",
        "tmpfs",
        [
            "[{ target = \"/t\", size = \"1M\", mode = \"0700\" }]",
            "[{ target = \"/t\" }, { target = \"/\u{fc}\", execute = true }]",
        ],
    ),
    (
        "filesystem",
        "devices",
        [
            "[{ source = \"/dev/kvm\", optional = true }]",
            "[{ source = \"/dev/kvm\", target = \"/dev/\u{e9}\" }]",
        ],
    ),
    (
        "filesystem",
        "masked",
        ["[\"/proc/cmdline\"]", "[\"/proc/cmdline\", \"/etc/\u{fc} \\\\\"]"],
    ),
    ("filesystem", "upper-size", ["\"1M\"", "\"2G\""]),
    ("filesystem", "upper", ["\"memory\"", "\"disk\""]),
    ("filesystem", "without-overlay", ["\"copy\"", "\"fuse\""]),
    ("network", "mode", ["\"none\"", "\"host\""]),
    (
        "network",
        "allow",
        ["[\"example.org:443\"]", "[\"10.0.0.0/8:1\"]"],
    ),
    ("network", "publish", ["[\"80:80\"]", "[]"]),
    (
        "syscalls",
        "allow",
        ["[\"@basic\", \"ptrace\"]", "[\"ptrace\", \"bpf\"]"],
    ),
    (
        "syscalls",
        "deny",
        [
            "{ ptrace = \"EPERM\", \"@aio\" = \"ENOSYS\" }",
            "{ ptrace = \"ENOSYS\" }",
        ],
    ),
    (
        "syscalls",
        "guards",
        ["[\"msg-oob\"]", "[\"personality\", \"msg-oob\"]"],
    ),
    (
        "syscalls",
        "socket-families",
        ["[\"unix\"]", "[\"inet\", \"inet6\"]"],
    ),
    ("limits", "memory", ["\"1G\"", "\"2G\""]),
    ("limits", "memory-high", ["\"1M\"", "\"2M\""]),
    ("limits", "swap", ["\"1M\"", "\"0\""]),
    ("limits", "pids", ["64", "0x100"]),
    ("limits", "cpu", ["1.5", "0x10"]),
    ("limits", "cpu-weight", ["1", "10000"]),
    ("limits", "processors", ["\"0\"", "\"0-2,5\""]),
    (
        "limits",
        "io",
        [
            "[{ path = \"/srv\", read-bps = \"1M\", write-iops = 5 }]",
            "[{ path = \"/srv\", write-bps = \"2M\" }, { path = \"~/x\", read-iops = 7 }]",
        ],
    ),
    ("limits", "time", ["\"10m\"", "\"1h\""]),
    ("limits", "open-files", ["64", "1_024"]),
    ("limits", "output", ["\"1M\"", "\"1G\""]),
    ("limits", "file-size", ["\"1M\"", "\"1G\""]),
    ("limits", "locked-memory", ["\"64K\"", "\"1M\""]),
    (
        "limits",
        "ulimits",
        ["{ core = \"0\", stack = \"1:unlimited\" }", "{ stack = \"5\" }"],
    ),
    ("environment", "pass", ["[\"LANG\"]", "[\"TERM\", \"LC_*\"]"]),
    (
        "environment",
        "set",
        ["{ A = \"1\", B = \"x y\" }", "{ B = \"\" }"],
    ),
    ("terminal", "mode", ["\"auto\"", "\"always\""]),
    ("namespaces", "hostname", ["\"a\"", "\"b\""]),
    ("namespaces", "init", ["true", "false"]),
    ("enforcement", "landlock", ["\"require\"", "\"off\""]),
    ("enforcement", "memory", ["\"prefer\"", "\"require\""]),
];

/// A text with some of the values; `None` leaves a key out.
fn text(choice: &[Option<bool>]) -> String {
    let mut text = String::new();
    let mut open = "";
    for ((section, key, values), chosen) in VALUES.iter().zip(choice) {
        let Some(second) = chosen else { continue };
        if open != *section {
            let _ = writeln!(text, "[{section}]");
            open = section;
        }
        let _ = writeln!(text, "{key} = {}", values[usize::from(*second)]);
    }
    text
}

fn any_profile() -> impl Strategy<Value = Profile> {
    vec(any::<Option<bool>>(), VALUES.len()).prop_map(|choice| profile(&text(&choice)))
}

/// A profile without its origins.
fn values(profile: &Profile) -> String {
    show::toml(profile, false)
}

#[test]
fn values_cover_every_key() {
    for key in words::KEYS
        .iter()
        .filter(|k| k.name != "extends" && k.section != "enforcement")
    {
        assert!(
            VALUES.iter().any(|(s, k, _)| (*s, *k) == (key.section, key.name)),
            "{}.{}",
            key.section,
            key.name
        );
    }
}

proptest! {
    #[test]
    fn merging_with_nothing_changes_nothing(p in any_profile()) {
        prop_assert_eq!(p.clone().merge(Profile::default()), p.clone());
        prop_assert_eq!(Profile::default().merge(p.clone()), p);
    }

    #[test]
    fn merging_twice_changes_nothing(p in any_profile()) {
        // A word that one page both allows and denies is decided by its own `deny`, once and twice.
        prop_assert_eq!(p.clone().merge(p.clone()), p);
    }

    #[test]
    fn merging_groups_either_way(a in any_profile(), b in any_profile(), c in any_profile()) {
        let left = a.clone().merge(b.clone()).merge(c.clone());
        let right = a.merge(b.merge(c));
        prop_assert_eq!(left, right);
    }

    #[test]
    fn what_is_printed_reads_as_the_same(p in any_profile()) {
        prop_assert_eq!(values(&profile(&values(&p))), values(&p));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(\\[[a-z.]{0,9}\\]|[a-z-]{1,9} = |[\\[\\]{}\",=0-9a-zé\\n\\x00-\\x1f]){0,60}") {
        let refused = crate::profile::read::read(&super::source(&text)).err().map(|e| e.to_string());
        if let Some(words) = refused {
            prop_assert!(!words.chars().any(|c| c.is_control() && c != '\n'), "{words:?}");
        }
    }
}

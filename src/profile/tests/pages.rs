//! Pages made of every key, for properties.

use crate::profile::words;
use std::fmt::Write as _;

/// A section, a key and values for it.
type Values = (&'static str, &'static str, &'static [&'static str]);

/// Values for every key, at least two that conflict where that is possible.
pub(crate) const VALUES: &[Values] = &[
    ("", "description", &["\"a\"", "\"b \\\" \\\\ \\u001b\""]),
    (
        "identity",
        "map",
        &["\"auto\"", "\"range\"", "\"caller\"", "\"host-root\""],
    ),
    (
        "identity",
        "user",
        &["\"root\"", "\"1000:100\"", "\"caller\"", "\"0\""],
    ),
    (
        "identity",
        "capabilities",
        &["[]", "[\"CAP_CHOWN\", \"CAP_KILL\"]"],
    ),
    ("identity", "root-capabilities", &["[\"CAP_SETUID\"]", "[]"]),
    ("filesystem", "root", &["\"read-only\"", "\"ephemeral\""]),
    (
        "filesystem",
        "workdir",
        &["\"overlay\"", "\"none\"", "\"read-only\"", "\"writable\""],
    ),
    ("filesystem", "home", &["\"none\"", "\"empty\""]),
    (
        "filesystem",
        "proc",
        &["\"masked\"", "\"own-processes\"", "\"none\""],
    ),
    ("filesystem", "tmp", &["\"64M\"", "\"1G\"", "\"1M\""]),
    ("filesystem", "execute", &["\"anywhere\"", "\"read-only-places\""]),
    (
        "filesystem",
        "mounts",
        &[
            "[{ source = \"/a\" }, { source = \"/b\", target = \"/c\", mode = \"writable\" }]",
            "[{ source = \"~/d\", target = \"/c\", optional = true, execute = true }]",
        ],
    ),
    (
        "filesystem",
        "tmpfs",
        &[
            "[{ target = \"/t\", size = \"1M\", mode = \"0700\" }]",
            "[{ target = \"/t\" }, { target = \"/\u{fc}\", execute = true }]",
        ],
    ),
    (
        "filesystem",
        "devices",
        &[
            "[{ source = \"/dev/kvm\", optional = true }]",
            "[{ source = \"/dev/kvm\", target = \"/dev/\u{e9}\" }]",
        ],
    ),
    (
        "filesystem",
        "masked",
        &["[\"/proc/cmdline\"]", "[\"/proc/cmdline\", \"/etc/\u{fc} \\\\\"]"],
    ),
    ("filesystem", "upper-size", &["\"1M\"", "\"2G\"", "\"64M\""]),
    ("filesystem", "upper", &["\"memory\"", "\"disk\""]),
    ("filesystem", "without-overlay", &["\"copy\"", "\"fuse\""]),
    ("network", "mode", &["\"none\"", "\"host\""]),
    (
        "network",
        "allow",
        &["[\"example.org:443\"]", "[\"10.0.0.0/8:1\"]"],
    ),
    ("network", "publish", &["[\"80:80\"]", "[]"]),
    (
        "syscalls",
        "allow",
        &["[\"@basic\", \"ptrace\"]", "[\"ptrace\", \"bpf\"]"],
    ),
    (
        "syscalls",
        "deny",
        &[
            "{ ptrace = \"EPERM\", \"@aio\" = \"ENOSYS\" }",
            "{ ptrace = \"ENOSYS\" }",
        ],
    ),
    (
        "syscalls",
        "guards",
        &[
            "[\"msg-oob\"]",
            "[\"personality\", \"msg-oob\"]",
            "[\"socket-families\"]",
        ],
    ),
    (
        "syscalls",
        "socket-families",
        &["[\"unix\"]", "[\"inet\", \"inet6\"]", "[]"],
    ),
    ("limits", "memory", &["\"1G\"", "\"2G\"", "\"64M\""]),
    ("limits", "memory-high", &["\"1M\"", "\"2M\""]),
    ("limits", "swap", &["\"1M\"", "\"0\""]),
    ("limits", "pids", &["64", "0x100", "8"]),
    ("limits", "cpu", &["1.5", "0x10", "1", "2"]),
    ("limits", "cpu-weight", &["1", "10000"]),
    ("limits", "processors", &["\"0\"", "\"0-2,5\"", "\"1-2\""]),
    (
        "limits",
        "io",
        &[
            "[{ path = \"/srv\", read-bps = \"1M\", write-iops = 5 }]",
            "[{ path = \"/srv\", write-bps = \"2M\" }, { path = \"~/x\", read-iops = 7 }]",
        ],
    ),
    ("limits", "time", &["\"10m\"", "\"1h\""]),
    ("limits", "open-files", &["64", "1_024"]),
    ("limits", "output", &["\"1M\"", "\"1G\""]),
    ("limits", "file-size", &["\"1M\"", "\"1G\""]),
    ("limits", "locked-memory", &["\"64K\"", "\"1M\""]),
    (
        "limits",
        "ulimits",
        &[
            "{ core = \"0\", stack = \"1:unlimited\" }",
            "{ stack = \"5\" }",
            "{ nproc = \"5\", data = \"9000000\", nofile = \"8:9\" }",
        ],
    ),
    ("environment", "pass", &["[\"LANG\"]", "[\"TERM\", \"LC_*\"]"]),
    (
        "environment",
        "set",
        &["{ A = \"1\", B = \"x y\" }", "{ B = \"\" }"],
    ),
    ("terminal", "mode", &["\"auto\"", "\"always\""]),
    ("terminal", "files", &["\"relay\"", "\"pass\""]),
    ("namespaces", "hostname", &["\"a\"", "\"b\""]),
    ("namespaces", "init", &["true", "false"]),
    (
        "enforcement",
        "landlock",
        &["\"require\"", "\"off\"", "\"prefer\""],
    ),
    ("enforcement", "memory", &["\"prefer\"", "\"require\"", "\"off\""]),
    (
        "enforcement",
        "seccomp",
        &["\"require\"", "\"prefer\"", "\"off\""],
    ),
    (
        "enforcement",
        "landlock-network",
        &["\"require\"", "\"prefer\"", "\"off\""],
    ),
    (
        "enforcement",
        "landlock-scopes",
        &["\"require\"", "\"prefer\"", "\"off\""],
    ),
    (
        "enforcement",
        "host-sockets",
        &["\"require\"", "\"prefer\"", "\"off\""],
    ),
    ("enforcement", "groups", &["\"require\"", "\"prefer\"", "\"off\""]),
    (
        "enforcement",
        "private-proc",
        &["\"require\"", "\"prefer\"", "\"off\""],
    ),
    (
        "enforcement",
        "nested-namespaces",
        &["\"require\"", "\"prefer\"", "\"off\""],
    ),
    (
        "enforcement",
        "time-namespace",
        &["\"require\"", "\"prefer\"", "\"off\""],
    ),
    ("enforcement", "pids", &["\"require\"", "\"prefer\"", "\"off\""]),
    ("enforcement", "cpu", &["\"require\"", "\"prefer\"", "\"off\""]),
    ("enforcement", "io", &["\"require\"", "\"prefer\"", "\"off\""]),
    ("enforcement", "disk", &["\"require\"", "\"prefer\"", "\"off\""]),
];

/// A text with some of the values; `None` leaves a key out.
pub(crate) fn text(choice: &[Option<usize>]) -> String {
    let mut text = String::new();
    let mut open = "";
    for ((section, key, values), chosen) in VALUES.iter().zip(choice) {
        let Some(value) = chosen.and_then(|at| values.get(at % values.len())) else {
            continue;
        };
        if open != *section {
            let _ = writeln!(text, "[{section}]");
            open = section;
        }
        let _ = writeln!(text, "{key} = {value}");
    }
    text
}

#[test]
fn values_cover_every_key() {
    for key in words::KEYS.iter().filter(|key| key.name != "extends") {
        let named = |(section, name, _): &Values| (*section, *name) == (key.section, key.name);
        assert!(VALUES.iter().any(named), "{}.{}", key.section, key.name);
    }
}

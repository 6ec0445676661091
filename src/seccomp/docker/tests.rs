use super::*;
use crate::seccomp::oracle::prove;

/// Every feature of the format, once.
const PROFILE: &str = r#"{
  "defaultAction": "SCMP_ACT_ERRNO",
  "defaultErrnoRet": 1,
  "archMap": [
    { "architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"] },
    { "architecture": "SCMP_ARCH_X86_64", "subArchitectures": null }
  ],
  "syscalls": [
    { "names": ["execve", "read", "write", "exit_group", "chown32", "frobnicate"], "action": "SCMP_ACT_ALLOW", "args": null },
    { "name": "close", "action": "SCMP_ACT_ALLOW" },
    { "names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{ "index": 0, "value": 0, "op": "SCMP_CMP_EQ" }] },
    { "names": ["personality"], "action": "SCMP_ACT_ALLOW",
      "args": [{ "index": 0, "value": 4294967295, "valueTwo": 0, "op": "SCMP_CMP_EQ" }] },
    { "names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 22, "errno": "EINVAL",
      "args": [{ "index": 0, "value": 16, "op": "SCMP_CMP_EQ" }, { "index": 2, "value": 9, "op": "SCMP_CMP_EQ" }],
      "excludes": { "caps": ["CAP_AUDIT_WRITE"] } },
    { "names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{ "index": 0, "value": 16, "op": "SCMP_CMP_LE" }] },
    { "names": ["clone"], "action": "SCMP_ACT_ALLOW", "comment": "no namespaces", "excludes": { "caps": ["CAP_SYS_ADMIN"], "arches": ["s390x"] },
      "args": [{ "index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ" }] },
    { "names": ["clone", "mount"], "action": "SCMP_ACT_ALLOW", "includes": { "caps": ["CAP_SYS_ADMIN"] } },
    { "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "excludes": { "caps": ["CAP_SYS_ADMIN"] } },
    { "names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": { "minKernel": "4.8" } },
    { "names": ["kcmp"], "action": "SCMP_ACT_ALLOW", "includes": { "minKernel": "99.0" } },
    { "names": ["arch_prctl"], "action": "SCMP_ACT_LOG", "includes": { "arches": ["amd64", "x32"] } },
    { "names": ["ioperm"], "action": "SCMP_ACT_ALLOW", "includes": { "arches": ["s390x"] } },
    { "names": ["iopl"], "action": "SCMP_ACT_KILL" },
    { "names": ["reboot"], "action": "SCMP_ACT_KILL_PROCESS" },
    { "names": ["swapon"], "action": "SCMP_ACT_TRAP" },
    { "names": ["fcntl"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13, "args": [{ "index": 1, "value": 5, "op": "SCMP_CMP_GT" }] },
    { "names": ["fcntl"], "action": "SCMP_ACT_ALLOW" },
    { "names": ["mincore"], "action": "SCMP_ACT_ERRNO" },
    { "names": ["mincore"], "action": "SCMP_ACT_ALLOW", "args": [{ "index": 1, "value": 4096, "op": "SCMP_CMP_LT" }] }
  ]
}"#;

const KERNEL: Kernel = Kernel { major: 6, minor: 1 };

fn import(text: &str, capabilities: &[&str]) -> Result<Imported, DockerError> {
    let capabilities = capabilities
        .iter()
        .map(|name| name.parse::<Capability>().expect(name))
        .collect();
    parse(
        text,
        &Origin::flag("--security-opt seccomp=p.json"),
        capabilities,
        KERNEL,
    )
}

fn answer_to(imported: &Imported, name: &str, arguments: &[u64]) -> Answer {
    let arguments = std::array::from_fn(|n| arguments.get(n).copied().unwrap_or_default());
    imported
        .table
        .explain(name)
        .expect(name)
        .entry
        .verdict
        .answer(&arguments)
}

#[test]
fn every_feature() {
    let imported = import(PROFILE, &[]).expect("parses");
    prove(&imported.table);
    let invalid = Answer::Errno(22);
    let refused = Answer::Errno(EPERM);
    let missing = Answer::Errno(ENOSYS);
    for (name, arguments, expected) in [
        ("read", &[][..], Answer::Allow),
        ("close", &[], Answer::Allow),
        ("openat", &[], refused),
        ("personality", &[0], Answer::Allow),
        ("personality", &[0xffff_ffff], Answer::Allow),
        // All 64 bits, as libseccomp compares.
        ("personality", &[u64::MAX], refused),
        ("socket", &[16, 3, 9], invalid),
        ("socket", &[16, 3, 0], Answer::Allow),
        ("socket", &[17, 3, 0], refused),
        ("clone", &[0x0120_0011], Answer::Allow),
        ("clone", &[0x1000_0011], refused),
        ("clone3", &[], missing),
        ("mount", &[], refused),
        ("ptrace", &[], Answer::Allow),
        ("kcmp", &[], refused),
        ("arch_prctl", &[], Answer::Log),
        ("ioperm", &[], refused),
        ("iopl", &[], Answer::KillThread),
        ("reboot", &[], Answer::KillProcess),
        ("swapon", &[], Answer::Trap),
        // Without conditions beats with, whichever comes first.
        ("fcntl", &[3, 9], Answer::Allow),
        // What does the same as the default is no entry at all.
        ("mincore", &[0, 1], Answer::Allow),
        ("mincore", &[0, 4096], refused),
        // clone3 (435) is the highest number that is named.
        ("close_range", &[], missing),
        ("file_setattr", &[], missing),
    ] {
        assert_eq!(
            answer_to(&imported, name, arguments),
            expected,
            "{name} {arguments:x?}"
        );
    }
    assert_eq!(imported.table.others(), missing);
    assert_eq!(
        imported.ignored.iter().collect::<Vec<_>>(),
        ["chown32", "frobnicate"]
    );
}

#[test]
fn capabilities_change_the_table() {
    let imported = import(PROFILE, &["SYS_ADMIN", "AUDIT_WRITE"]).expect("parses");
    prove(&imported.table);
    assert_eq!(answer_to(&imported, "mount", &[]), Answer::Allow);
    assert_eq!(answer_to(&imported, "clone", &[0x1000_0011]), Answer::Allow);
    assert_eq!(answer_to(&imported, "socket", &[16, 3, 9]), Answer::Allow);
    // Nothing names clone3 any more: it gets the default, and ptrace is not above the highest.
    assert_eq!(answer_to(&imported, "clone3", &[]), Answer::Errno(ENOSYS));
}

#[test]
fn a_list_of_refusals() {
    let text = r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X32"],
        "syscalls": [{"names": ["ptrace"], "action": "SCMP_ACT_ERRNO"}]}"#;
    let imported = import(text, &[]).expect("parses");
    prove(&imported.table);
    assert_eq!(answer_to(&imported, "ptrace", &[]), Answer::Errno(EPERM));
    assert_eq!(answer_to(&imported, "rseq_slice_yield", &[]), Answer::Allow);
    assert_eq!(imported.table.verdict(100_000), Verdict::Always(Answer::Allow));
    // x32 stays closed.
    assert_eq!(
        imported.table.verdict(table::X32 | 521),
        Verdict::Always(Answer::Errno(ENOSYS))
    );
}

#[test]
fn malformed() {
    let entry = |entry: &str| format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{entry}]}}"#);
    let args = |args: &str| {
        entry(&format!(
            r#"{{"names": ["read"], "action": "SCMP_ACT_KILL", "args": [{args}]}}"#
        ))
    };
    for (text, message) in [
        (String::new(), "EOF while parsing a value at line 1 column 0"),
        ("[]".to_owned(), "invalid length 0"),
        (r#"{"syscalls": []}"#.to_owned(), "missing field `defaultAction`"),
        (
            r#"{"defaultAction": "ALLOW"}"#.to_owned(),
            "`ALLOW` is no action: write SCMP_ACT_ALLOW",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 5000}"#.to_owned(),
            "errno 5000 does not exist",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_ERRNO"}"#.to_owned(),
            "does not allow execve",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_ARM"]}"#.to_owned(),
            "add SCMP_ARCH_X86_64",
        ),
        (
            entry(r#"{"names": ["read"], "action": "SCMP_ACT_KILL", "arg": []}"#),
            "unknown field `arg`, expected one of",
        ),
        (
            entry(r#"{"names": ["read"], "action": "SCMP_ACT_KILL", "\u001b[31m": 1}"#),
            r"unknown field `\u{1b}[31m`",
        ),
        (
            entry(r#"{"names": ["read"], "action": "SCMP_ACT_NOTIFY"}"#),
            "syscalls[0]: SCMP_ACT_NOTIFY asks another process",
        ),
        (
            entry(r#"{"names": ["read"], "action": "SCMP_ACT_TRACE"}"#),
            "syscalls[0]: SCMP_ACT_TRACE asks another process",
        ),
        (
            entry(r#"{"action": "SCMP_ACT_KILL"}"#),
            "syscalls[0]: write either `names` or the older `name`",
        ),
        (
            entry(r#"{"names": ["a"], "name": "b", "action": "SCMP_ACT_KILL"}"#),
            "write either `names`",
        ),
        (
            entry(r#"{"names": ["execve"], "action": "SCMP_ACT_KILL"}"#),
            "does not allow execve",
        ),
        (
            args(r#"{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}"#),
            "args index 6: a system call has the arguments 0 to 5",
        ),
        (
            args(r#"{"index": 0, "value": 1, "op": "=="}"#),
            "`==` is no operator",
        ),
        (
            args(r#"{"index": 0, "value": -1, "op": "SCMP_CMP_EQ"}"#),
            "invalid value: integer `-1`, expected u64",
        ),
        (
            args(
                r#"{"index": 1, "value": 1, "op": "SCMP_CMP_GE"}, {"index": 1, "value": 9, "op": "SCMP_CMP_LE"}"#,
            ),
            "two conditions on argument 1",
        ),
        (
            entry(r#"{"names": ["read"], "action": "SCMP_ACT_KILL", "includes": {"caps": ["CAP_ROOT"]}}"#),
            "syscalls[0]: `CAP_ROOT` is not a capability",
        ),
        (
            entry(r#"{"names": ["read"], "action": "SCMP_ACT_KILL", "excludes": {"minKernel": "4.x"}}"#),
            "minKernel `4.x` is no kernel version: write for example 4.8",
        ),
    ] {
        let error = import(&text, &[]).expect_err(&text).to_string();
        assert!(
            error.contains(message) && !error.contains('\n'),
            "{text}: {error}"
        );
    }
}

//! The compiled program against the model: every number, every argument that could make a difference.

use super::interpret::{self, Call, Outcome};
use super::samples::{answer, interesting, verdict};
use super::table::{ARCH, X32};
use super::verdict::Check;
use super::*;
use crate::model::{Origin, Set};
use crate::profile::Library;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// `[syscalls]`, owned.
#[derive(Debug, Clone, Default)]
struct Lists {
    allow: Vec<String>,
    deny: BTreeMap<String, String>,
    guards: Vec<String>,
    socket_families: Vec<String>,
}

impl Lists {
    fn resolve(&self) -> Result<Table, SpecError> {
        let set = |text: &String| Set::new(text.clone(), Origin::flag(format!("--test {text}")));
        let allow: Vec<_> = self.allow.iter().map(set).collect();
        let guards: Vec<_> = self.guards.iter().map(set).collect();
        let deny = self
            .deny
            .iter()
            .map(|(name, errno)| (name.clone(), set(errno)))
            .collect();
        resolve(&Spec {
            allow: &allow,
            deny: &deny,
            guards: &guards,
            socket_families: &self.socket_families,
        })
    }
}

/// The table of a built-in profile.
fn built_in(profile: &str) -> Table {
    let library = Library {
        directory: None,
        uid: 0,
    };
    let syscalls = library.load(profile).expect(profile).syscalls;
    let families = syscalls.socket_families.map(|f| f.value).unwrap_or_default();
    let spec = Spec {
        allow: &syscalls.allow,
        deny: &syscalls.deny,
        guards: &syscalls.guards,
        socket_families: &families,
    };
    resolve(&spec).expect(profile)
}

fn run(program: &Program, number: u32, arguments: [u64; 6]) -> Outcome {
    let call = Call {
        number,
        arch: ARCH,
        instruction_pointer: 0x7fff_0000_1234,
        arguments,
    };
    interpret::run(program, &call).expect("the program runs")
}

fn agree(table: &Table, program: &Program, number: u32, arguments: [u64; 6]) {
    let model = table.verdict(number).answer(&arguments);
    let outcome = run(program, number, arguments);
    assert_eq!(
        outcome.action,
        model.action(),
        "{number} {arguments:x?}: the model says {model}"
    );
}

/// Holds a compiled program against its table.
pub(super) fn prove(table: &Table) {
    let program = table.compile().expect("compiles");
    assert_eq!(interpret::check(&program), Ok(()));
    for number in (0..=600).chain([X32 - 1, X32, X32 + 1, X32 | 59, X32 | 520, u32::MAX]) {
        let constant = matches!(table.verdict(number), Verdict::Always(_));
        let outcome = run(&program, number, [u64::MAX; 6]);
        assert!(
            !(constant && outcome.looked_inside),
            "{number} is answered at once, yet its arguments are read"
        );
        if constant {
            agree(table, &program, number, [0; 6]);
            agree(table, &program, number, [u64::MAX; 6]);
        }
    }
    for explanation in table.iter() {
        if let Verdict::Guarded { checks, .. } = &explanation.entry.verdict {
            prove_guarded(table, &program, explanation.number, checks);
        }
    }
    for arch in [0, ARCH ^ 1, 0x4000_0003, 0xc000_00b7] {
        let call = Call {
            number: 59,
            arch,
            ..Call::default()
        };
        let action = interpret::run(&program, &call).expect("runs").action;
        assert_eq!(action, Answer::KillProcess.action(), "{arch:#x}");
    }
}

fn prove_guarded(table: &Table, program: &Program, number: u32, checks: &[Check]) {
    let used: BTreeSet<usize> = checks
        .iter()
        .flat_map(|check| &check.rules)
        .flatten()
        .map(|condition| condition.argument.into())
        .collect();
    let values = interesting(checks);
    let used: Vec<_> = used.into_iter().collect();
    // Every pair of values for every pair of arguments, the third and later ones going along with both.
    for (at, first) in values.iter().enumerate() {
        for (to, second) in values.iter().enumerate() {
            if used.len() < 2 && to > 0 {
                break;
            }
            for turn in 0..used.len() {
                let third = values[(at + to * 7) % values.len()];
                let mut arguments = [third; 6];
                arguments[used[turn]] = *first;
                arguments[used[(turn + 1) % used.len()]] = if used.len() > 1 { *second } else { *first };
                agree(table, program, number, arguments);
            }
        }
    }
}

#[test]
fn built_in_filters_do_what_their_tables_say() {
    for profile in ["strict", "default", "build"] {
        prove(&built_in(profile));
    }
}

/// The numbers that SECURITY.md gives. A weaker profile shows here.
#[test]
fn built_in_counts() {
    let measure = |profile| {
        let table = built_in(profile);
        let counts = table.counts();
        (
            counts.allowed + counts.guarded,
            counts.guarded,
            table.compile().expect(profile).instructions.len(),
        )
    };
    assert_eq!(measure("strict"), (241, 34, 230));
    assert_eq!(measure("default"), (288, 15, 161));
    assert_eq!(measure("build"), (289, 15, 160));
}

/// What SECURITY.md promises of `strict`, door by door.
#[test]
fn strict_closes_the_doors() {
    let table = built_in("strict");
    for name in [
        "ptrace",
        "process_vm_readv",
        "pidfd_getfd",
        "kcmp",
        "bpf",
        "perf_event_open",
        "io_uring_setup",
        "userfaultfd",
        "unshare",
        "setns",
        "mount",
        "fsopen",
        "open_tree_attr",
        "keyctl",
        "add_key",
        "request_key",
        "modify_ldt",
        "clone3",
        "kexec_load",
        "init_module",
        "open_by_handle_at",
        "vmsplice",
        "memfd_secret",
        "iopl",
        "reboot",
        "setgroups",
        "io_submit",
        "mbind",
    ] {
        let explanation = table.explain(name).expect(name);
        assert!(
            !explanation.entry.verdict.may_allow(),
            "{name}: {:?}",
            explanation.entry.verdict
        );
    }
    for name in [
        "read",
        "getdents64",
        "execve",
        "futex",
        "landlock_restrict_self",
        "seccomp",
        "inotify_init1",
        "pidfd_open",
        "splice",
    ] {
        assert_eq!(
            table.explain(name).expect(name).entry.verdict,
            Verdict::Always(Answer::Allow),
            "{name}"
        );
    }
    let clone3 = table.explain("clone3").expect("clone3");
    assert_eq!(
        clone3.entry.verdict,
        Verdict::Always(Answer::Errno(errno::ENOSYS))
    );
}

/// The ids are known after the profile, and the program must be the model of both.
#[test]
fn strict_lets_the_command_s_own_ids_pass() {
    const OTHER: u64 = 33;
    for ids in [Ids { uid: 1000, gid: 100 }, Ids { uid: 0, gid: 0 }] {
        let (uid, gid) = (u64::from(ids.uid), u64::from(ids.gid));
        let table = built_in("strict").with_own_ids(ids);
        prove(&table);
        prove(&table.clone().with_set_id_bits());
        let answer = |call: &str, arguments: [u64; 6]| {
            let number = table::number(call).expect(call);
            table.verdict(number).answer(&arguments)
        };
        let refused = Answer::Errno(errno::EPERM);
        for (call, own, others) in [
            ("setuid", [uid, 0, 0, 0, 0, 0], vec![[OTHER, 0, 0, 0, 0, 0]]),
            ("setgid", [gid, 0, 0, 0, 0, 0], vec![[OTHER, 0, 0, 0, 0, 0]]),
            (
                "setresuid",
                [u64::MAX, uid, uid, 0, 0, 0],
                vec![
                    [OTHER, uid, uid, 0, 0, 0],
                    [uid, OTHER, uid, 0, 0, 0],
                    [uid, u64::from(u32::MAX), OTHER, 0, 0, 0],
                ],
            ),
            (
                "setregid",
                [gid, u64::MAX, 0, 0, 0, 0],
                vec![[gid, OTHER, 0, 0, 0, 0]],
            ),
            (
                "fchown",
                [9, uid, gid, 0, 0, 0],
                vec![[9, OTHER, gid, 0, 0, 0], [9, uid, OTHER, 0, 0, 0]],
            ),
            (
                "fchownat",
                [9, 9, u64::MAX, gid, 0, 0],
                vec![[9, 9, OTHER, gid, 0, 0], [9, 9, uid, OTHER, 0, 0]],
            ),
        ] {
            assert_eq!(answer(call, own), Answer::Allow, "{call} {own:?}");
            for other in others {
                assert_eq!(answer(call, other), refused, "{call} {other:?}");
            }
        }
    }
}

#[test]
fn wider_profiles_allow_what_narrower_ones_do() {
    let (strict, default) = (built_in("strict"), built_in("default"));
    for explanation in strict.iter().filter(|e| e.entry.verdict.may_allow()) {
        assert!(
            default.verdict(explanation.number).may_allow(),
            "{}",
            explanation.name
        );
    }
}

/// Names of calls and groups, and errnos for some of them.
fn lists() -> impl Strategy<Value = Lists> {
    let names: Vec<String> = groups::GROUPS
        .iter()
        .map(|g| g.name)
        .chain(table::all().map(|(_, name)| name))
        .map(str::to_owned)
        .collect();
    let guards: Vec<String> = guard::GUARDS.iter().map(|g| g.name.to_owned()).collect();
    let families: Vec<String> = sockets::Family::ALL
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let errno = prop_oneof![Just("EPERM"), Just("ENOSYS"), Just("EACCES")].prop_map(str::to_owned);
    let some = |of: &Vec<String>| prop::sample::subsequence(of.clone(), 0..of.len().min(40));
    (
        some(&names),
        prop::collection::btree_map(prop::sample::select(names), errno, 0..6),
        some(&guards),
        some(&families),
    )
        .prop_map(|(mut allow, mut deny, guards, socket_families)| {
            allow.push("execve".to_owned());
            deny.retain(|name, _| !["execve", "@basic", "@processes"].contains(&name.as_str()));
            let guarded = guards.iter().any(|name| name == guard::SOCKET_FAMILIES);
            Lists {
                allow,
                deny,
                guards,
                socket_families: if guarded { socket_families } else { Vec::new() },
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn random_profiles_do_what_their_tables_say(lists in lists()) {
        prove(&lists.resolve().expect("resolves"));
    }

    #[test]
    fn random_verdicts_do_what_they_say(
        verdicts in prop::collection::btree_map(0..600_u32, verdict(), 0..60),
        others in answer(),
    ) {
        let entry = |verdict| Entry { verdict, origin: Origin::Default, guards: Vec::new() };
        let table = Table::of(verdicts.into_iter().map(|(number, verdict)| (number, entry(verdict))), others);
        let program = table.compile();
        prop_assume!(!matches!(program, Err(CompileError::TooLong(_))));
        let program = program.expect("compiles");
        prop_assert_eq!(interpret::check(&program), Ok(()));
        for number in 0..=600 {
            let verdict = table.verdict(number);
            let checks = if let Verdict::Guarded { checks, .. } = &verdict { checks.as_slice() } else { &[] };
            let values = interesting(checks);
            for (at, _) in values.iter().enumerate().take(64) {
                agree(&table, &program, number, std::array::from_fn(|n| values[(at * (n + 1) + n) % values.len()]));
            }
        }
    }
}

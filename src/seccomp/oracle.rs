//! The compiled program against the model: every number, every argument that could make a difference.

use super::interpret::{self, Call, Outcome};
use super::table::{ARCH, X32};
use super::verdict::{Check, Comparison, Condition, Match, Width};
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

/// Argument values at which some comparison of the table could change its mind.
fn interesting(table: &Table, number: u32) -> Vec<u64> {
    let mut values = BTreeSet::from([0, 1, u64::MAX, u64::from(u32::MAX), 1 << 32]);
    if let Verdict::Guarded { checks, .. } = table.verdict(number) {
        for condition in checks.iter().flat_map(|check| &check.rules).flatten() {
            let (value, mask) = match condition.comparison {
                Comparison::Equal(v) | Comparison::NotEqual(v) | Comparison::Less(v) => (v, u64::MAX),
                Comparison::LessOrEqual(v) | Comparison::Greater(v) | Comparison::GreaterOrEqual(v) => {
                    (v, u64::MAX)
                }
                Comparison::Masked { mask, value } => (value, mask),
            };
            values.extend([
                value,
                value.wrapping_sub(1),
                value.wrapping_add(1),
                !value,
                mask,
                !mask,
                value | !mask,
            ]);
            values.extend(
                (0..64)
                    .filter(|bit| mask != u64::MAX && mask >> bit & 1 == 1)
                    .map(|bit| value ^ 1 << bit),
            );
        }
    }
    // The same again under bits that a 32-bit comparison must not see.
    values
        .iter()
        .flat_map(|value| [*value, value ^ 0xdead_beef_0000_0000, value ^ 1 << 32])
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
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
    let values = interesting(table, number);
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
    assert_eq!(measure("strict"), (229, 15, 440));
    assert_eq!(measure("default"), (289, 8, 350));
    assert_eq!(measure("build"), (290, 8, 348));
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
        "setuid",
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
        "openat",
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

fn condition() -> impl Strategy<Value = Condition> {
    let value = prop_oneof![
        0..4_u64,
        any::<u64>(),
        (0..64_u32).prop_map(|bit| 1 << bit),
        Just(0xffff_ffff)
    ];
    let comparison = (0..7, value.clone(), value).prop_map(|(kind, value, mask)| match kind {
        0 => Comparison::Equal(value),
        1 => Comparison::NotEqual(value),
        2 => Comparison::Less(value),
        3 => Comparison::LessOrEqual(value),
        4 => Comparison::Greater(value),
        5 => Comparison::GreaterOrEqual(value),
        _ => Comparison::Masked { mask, value },
    });
    let width = prop_oneof![Just(Width::Low32), Just(Width::Full64)];
    (0..6_u8, width, comparison).prop_map(|(argument, width, comparison)| Condition {
        argument,
        width,
        comparison,
    })
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        Just(Answer::Allow),
        Just(Answer::Log),
        (0..=errno::LARGEST).prop_map(Answer::Errno),
        Just(Answer::Trap),
        Just(Answer::KillThread),
        Just(Answer::KillProcess),
    ]
}

fn verdict() -> impl Strategy<Value = Verdict> {
    let rules = prop::collection::vec(prop::collection::vec(condition(), 1..4), 1..4);
    let check = (rules, any::<bool>(), answer()).prop_map(|(rules, any, answer)| Check {
        rules,
        on: if any { Match::Any } else { Match::None },
        answer,
    });
    prop_oneof![
        4 => answer().prop_map(Verdict::Always),
        1 => (prop::collection::vec(check, 1..3), answer())
            .prop_map(|(checks, otherwise)| Verdict::Guarded { checks, otherwise }),
    ]
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
        let table = Table::new(verdicts.into_iter().map(|(number, verdict)| (number, entry(verdict))).collect(), others);
        let program = table.compile();
        prop_assume!(!matches!(program, Err(CompileError::TooLong(_))));
        let program = program.expect("compiles");
        prop_assert_eq!(interpret::check(&program), Ok(()));
        for number in 0..=600 {
            let values = interesting(&table, number);
            for (at, _) in values.iter().enumerate().take(64) {
                agree(&table, &program, number, std::array::from_fn(|n| values[(at * (n + 1) + n) % values.len()]));
            }
        }
    }
}

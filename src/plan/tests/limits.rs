//! Which rung holds which ceiling.

use super::{Host, Plan, Refusal, Root, all_there, built_in, request};
use crate::model::host::Cgroup;
use crate::model::{Bytes, Level, Origin, Processors, Protection, Set};
use crate::plan::{Step, build, learn};
use crate::policy::{Io, Policy, Resource, Swap, resolve};
use crate::profile::schema::IoLimit;
use crate::sys::Errno;

fn plan(host: &Host, change: impl FnOnce(&mut Policy)) -> Result<Plan, Refusal> {
    let mut profile = built_in("strict");
    profile.limits.memory = Some(by_flag(Bytes(100 << 20)));
    let mut policy = resolve(&profile, &request(Root::Host, host)).expect("a policy");
    change(&mut policy);
    build(&policy, host, &all_there(&policy, host))
}

fn by_flag<T>(value: T) -> Set<T> {
    Set::new(value, Origin::flag("--x"))
}

fn in_profile<T>(value: T) -> Set<T> {
    Set::new(value, Origin::Default)
}

fn limits(plan: &Plan) -> String {
    let shown = |step: &Step| match step {
        Step::Limits(all) => {
            let floor = |r: Resource| all.iter().any(|l| l.resource == r);
            format!(
                "floors: data {}, nproc {}",
                floor(Resource::Data),
                floor(Resource::Nproc)
            )
        }
        step => step.to_string(),
    };
    let all = plan.steps.iter().filter(|p| p.step.word() == "limits");
    all.map(|p| shown(&p.step)).collect::<Vec<_>>().join("; ")
}

fn with(controllers: &[&str]) -> Host {
    let mut host = Host::debian_12();
    if let Cgroup::Delegated { controllers: all, .. } = &mut host.cgroup {
        *all = controllers.iter().map(|c| String::from(*c)).collect();
    }
    host
}

#[test]
fn each_controller_that_is_missing_falls_alone() {
    let cpu = |p: &mut Policy| p.cpu = Some(by_flag(100));
    let parent = "cgroup in /sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice";
    let memory = "memory.max 104857600, memory.swap.max 0, memory.oom.group 1";
    for (host, expected) in [
        (with(&["memory", "pids", "cpu"]), format!("{parent}: {memory}, cpu.max 100000 100000, pids.max 257; floors: data false, nproc false")),
        (with(&["memory", "pids"]), format!("{parent}: {memory}, pids.max 257; processors 0; floors: data false, nproc false")),
        (with(&["pids"]), format!("{parent}: pids.max 257; memory of all processes together 100M, watched from outside; processors 0; floors: data true, nproc false")),
        (Host::no_cgroup(), "memory of all processes together 100M, watched from outside; processors 0; floors: data true, nproc true".into()),
    ] {
        let plan = plan(&host, cpu).expect("a plan");
        assert_eq!(limits(&plan), expected);
        assert!(plan.losses.iter().all(|l| !matches!(l.protection, Protection::Memory | Protection::Cpu)), "{:?}", plan.losses);
    }
}

#[test]
fn what_cannot_be_held_is_an_error_for_a_flag_and_a_loss_for_a_profile() {
    let none = Host::no_cgroup();
    let refused = |change: fn(&mut Policy)| {
        plan(&none, change)
            .err()
            .map(|r| r.to_string())
            .unwrap_or_default()
    };
    assert!(refused(|p| p.cpu = Some(by_flag(50))).contains("cpu is required (the flag --x)"));
    assert!(refused(|p| p.swap = Some(by_flag(Swap::Unlimited))).contains("swap cannot be counted apart"));
    assert!(refused(|p| p.processors = Processors::of(vec![7]).map(by_flag)).contains("you may use 0-1"));
    let lost = plan(&none, |p| p.cpu = Some(in_profile(50))).expect("a plan");
    assert!(lost.losses.iter().any(|l| l.protection == Protection::Cpu));
    // All processors that there are hold by themselves, and so does a part of one where a cgroup counts.
    assert!(!limits(&plan(&none, |p| p.cpu = Some(by_flag(200))).expect("a plan")).contains("processors"));
    assert!(
        limits(&plan(&with(&["cpu"]), |p| p.cpu = Some(by_flag(50))).expect("a plan"))
            .contains("cpu.max 50000 100000")
    );
    // A watch is no count, for whoever requires one.
    let required = |host: &Host| {
        let mut profile = built_in("strict");
        profile
            .enforcement
            .insert(Protection::Memory, in_profile(Level::Require));
        let policy = resolve(&profile, &request(Root::Host, host)).expect("a policy");
        build(&policy, host, &all_there(&policy, host)).map(drop)
    };
    assert!(
        required(&none)
            .expect_err("no count")
            .to_string()
            .contains("is watched")
    );
    assert_eq!(required(&with(&["memory"])), Ok(()));
}

#[test]
fn swap_is_none_unless_it_is_asked_for() {
    let host = with(&["memory"]);
    for (swap, expected) in [
        (None, "memory.swap.max 0,"),
        (Some(Swap::Unlimited), "memory.swap.max max,"),
        (Some(Swap::Besides(Bytes(1 << 20))), "memory.swap.max 1048576,"),
        (
            Some(Swap::Together(Bytes(150 << 20))),
            "memory.swap.max 52428800,",
        ),
    ] {
        let plan = plan(&host, |p| p.swap = swap.map(by_flag)).expect("a plan");
        assert!(limits(&plan).contains(expected), "{}", limits(&plan));
    }
}

fn io(path: &str, read: u64, writes: Option<u64>) -> Io {
    Io {
        path: super::host_path(path),
        limit: IoLimit {
            path: path.into(),
            read_bps: Some(Bytes(read)),
            write_iops: writes,
            ..IoLimit::default()
        },
    }
}

#[test]
fn what_only_a_cgroup_can_do() {
    let all = |host: &Host, origin: fn() -> Origin| {
        let mut profile = built_in("strict");
        profile.limits.memory = None;
        let mut policy = resolve(&profile, &request(Root::Host, host)).expect("a policy");
        policy.memory_high = Some(Set::new(Bytes(50 << 20), origin()));
        policy.cpu_weight = Some(Set::new(30, origin()));
        policy.io = [
            io("/srv/a", 70, None),
            io("/dev/sda", 50, Some(9)),
            io("/nfs", 1, None),
        ]
        .map(|io| Set::new(io, origin()))
        .into();
        let mut facts = all_there(&policy, host);
        for (path, disk) in [
            ("/srv/a", Ok("8:0")),
            ("/dev/sda", Ok("8:0")),
            ("/nfs", Err("no disk")),
        ] {
            let disk = disk.map(String::from).map_err(String::from);
            facts.disks.insert(super::host_path(path), disk);
        }
        build(&policy, host, &facts)
    };
    let lost = |plan: &Plan| -> Vec<String> {
        let ours = |p| matches!(p, Protection::Memory | Protection::Cpu | Protection::Io);
        let all = plan.losses.iter().filter(|l| ours(l.protection));
        all.map(|l| format!("{}: {}", l.protection, l.reason)).collect()
    };
    // Two paths of one disk: the lower rate of each kind. One that lies on none is a loss by itself.
    let counted = all(&with(&["memory", "cpu", "io"]), || Origin::Default).expect("a plan");
    assert!(
        limits(&counted).contains(": memory.high 52428800, cpu.weight 30, io.max 8:0 rbps=50 wiops=9;"),
        "{}",
        limits(&counted)
    );
    assert_eq!(lost(&counted), ["io: /nfs is as fast as it is: no disk"]);
    // Without a cgroup each is a loss for a profile.
    let none = Host::no_cgroup();
    let plan = all(&none, || Origin::Default).expect("a plan");
    let why = "no cgroup is delegated to you";
    assert_eq!(
        lost(&plan),
        [
            format!("memory: nobody is slowed down at limits.memory-high: {why}"),
            format!("cpu: the share of the processors is everybody's: {why}"),
            format!("io: disks are as fast as they are: {why}"),
        ]
    );
    // And an error for a flag, one controller after the other.
    for (controllers, protection) in [
        (&["cpu", "io"][..], Protection::Memory),
        (&["memory", "io"], Protection::Cpu),
        (&["memory", "cpu"], Protection::Io),
        (&["memory", "cpu", "io"], Protection::Io),
    ] {
        let refused = all(&with(controllers), || Origin::flag("--x")).expect_err("a refusal");
        assert!(
            refused
                .to_string()
                .starts_with(&format!("{protection} is required (the flag --x)")),
            "{controllers:?}: {refused}"
        );
        assert!(refused.mend().is_some());
    }
}

#[test]
fn a_cgroup_that_cannot_be_made_is_the_next_rung() {
    let mut host = with(&["memory", "pids"]);
    let first = plan(&host, |_| ()).expect("a plan");
    assert!(matches!(
        first.steps.first().map(|p| &p.step),
        Some(Step::Cgroup(_))
    ));
    assert!(learn(&first, 0, Errno::EACCES, &mut host));
    // It is told: as a loss where memory is only watched now, else as a note, and who requires a count is refused.
    let second = plan(&host, |_| ()).expect("a plan");
    assert!(limits(&second).contains("watched"));
    let lost = |plan: &Plan| {
        plan.losses
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ")
    };
    let why = "no cgroup could be made in /sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice: EACCES";
    assert!(lost(&second).contains("memory: 100M"), "{}", lost(&second));
    assert!(lost(&second).contains(why), "{}", lost(&second));
    assert!(!second.notes.iter().any(|n| n.contains(why)));
    let third = plan(&host, |p| p.memory = None).expect("a plan");
    assert!(!lost(&third).contains(why));
    assert!(third.notes.iter().any(|n| n.contains(why)), "{:?}", third.notes);
    let mut profile = built_in("strict");
    profile
        .enforcement
        .insert(Protection::Memory, in_profile(Level::Require));
    let policy = resolve(&profile, &request(Root::Host, &host)).expect("a policy");
    let refused = build(&policy, &host, &all_there(&policy, &host)).expect_err("a refusal");
    assert!(refused.to_string().contains(why), "{refused}");
    assert!(!learn(&first, 0, Errno::EACCES, &mut host));
}

//! Unix sockets of the host in what is shown.

use super::{Host, Plan, Root, all_there, built_in, host_path, inside, request};
use crate::model::facts::Kind;
use crate::model::{Level, Protection};
use crate::plan::{Step, build};
use crate::policy::resolve;
use crate::profile::Source;
use crate::profile::read::read;

/// The plan of strict with mounts, where `/srv/a` holds two sockets and `/srv/s` is one.
fn plan(abi: u8, mounts: &str, unsearched: bool) -> Plan {
    let text = format!("[filesystem]\nmounts = [{mounts}]\n");
    let more = read(&Source::new("more", false, &text))
        .expect("a profile")
        .profile;
    let host = Host::landlock_abi(abi);
    let policy = resolve(&built_in("strict").merge(more), &request(Root::Host, &host)).expect("a policy");
    assert_eq!(
        policy.enforcement.level(Protection::HostSockets).value,
        Level::Prefer
    );
    let mut facts = all_there(&policy, &host);
    if let Some(named) = facts.sources.get_mut(&host_path("/srv/s")) {
        named.kind = Kind::File;
    }
    let beneath = ["x", "sub/y"].map(Into::into).into();
    facts.sockets.beneath.insert(host_path("/srv/a"), beneath);
    facts.sockets.named.insert(host_path("/srv/s"));
    facts
        .sockets
        .unsearched
        .extend(unsearched.then(|| host_path("/srv/a")));
    build(&policy, &host, &facts).expect("a plan")
}

fn masks(plan: &Plan) -> Vec<String> {
    let steps = plan.steps.iter().filter_map(|p| match &p.step {
        Step::Mask(at) if !at.as_path().starts_with("/proc") => Some(at.to_string()),
        _ => None,
    });
    steps.collect()
}

#[test]
fn sockets_are_masked_where_they_are_shown() {
    let at = "{ source = \"/srv/a\", target = \"/w\" }";
    assert_eq!(masks(&plan(7, at, false)), ["/w/x", "/w/sub/y"]);
    let over = format!("{at}, {{ source = \"/srv/b\", target = \"/w/sub\" }}");
    assert_eq!(masks(&plan(7, &over, false)), ["/w/x"]);
    assert_eq!(masks(&plan(7, "{ source = \"/srv/b\" }", false)), [""; 0]);
}

#[test]
fn directory_that_was_not_searched_is_a_loss() {
    let lost = |abi, unsearched| {
        let plan = plan(abi, "{ source = \"/srv/a\" }", unsearched);
        plan.losses
            .iter()
            .any(|loss| loss.protection == Protection::HostSockets)
    };
    assert_eq!(
        [lost(7, false), lost(7, true), lost(9, true)],
        [false, true, false]
    );
}

#[test]
fn landlock_closes_all_but_those_that_are_named() {
    let allowed = |abi| {
        let plan = plan(
            abi,
            "{ source = \"/srv/s\", target = \"/s\" }, { source = \"/srv/a\" }",
            false,
        );
        plan.steps.into_iter().find_map(|p| match p.step {
            Step::LandlockSockets(allowed) => Some(allowed),
            _ => None,
        })
    };
    assert_eq!(allowed(9), Some(vec![inside("/s")]));
    assert_eq!(allowed(7), None);
}

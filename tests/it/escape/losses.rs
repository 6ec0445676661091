//! What this kernel cannot give is told, and where it is required nothing runs, whatever the kernel: which one it is, Landlock itself
//! is asked. Linux 6.1, as in the guest of `scripts/vm`, has ABI 2.

use super::landlock;
use crate::util::{Out, Sbx};

/// Protections and the ABI that brought them.
const SINCE: [(&str, i64); 3] = [("landlock", 1), ("landlock-network", 4), ("landlock-scopes", 6)];

fn run(profile: &str, levels: &[&str]) -> Out {
    let mut sbx = Sbx::new(["run", "--profile", profile]);
    for level in levels {
        sbx = sbx.args(["--enforce", level]);
    }
    sbx.args(["host", "--", "echo", "ran"]).out()
}

/// Those of Landlock, as standard error has them.
fn told(out: &Out) -> Vec<String> {
    let said = out.stderr();
    let list = said
        .lines()
        .find_map(|line| line.strip_prefix("sbx: lost: "))
        .unwrap_or_default();
    let names = list.split("; ").filter_map(|loss| loss.split_once(": "));
    names
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.starts_with("landlock"))
        .collect()
}

/// Exit code 125, one line that names it and one that mends it, and nothing has run.
#[track_caller]
fn refused(out: &Out, protection: &str) {
    out.code(125);
    assert_eq!(out.stdout(), "");
    let said = out.stderr();
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines[0].starts_with(&format!("sbx: {protection} is required")),
        "{said}"
    );
    assert!(lines.len() == 2 && lines[1].starts_with("  "), "{said}");
}

#[test]
fn what_the_kernel_lacks_is_told_by_every_profile_that_wants_it() {
    let abi = landlock();
    for (profile, wanted) in [("strict", &SINCE[1..]), ("default", &SINCE[2..])] {
        let out = run(profile, &[]);
        if abi == 0 {
            refused(&out, "landlock");
            continue;
        }
        assert_eq!(out.ok(), "ran");
        let lacking = wanted.iter().filter(|(_, since)| abi < *since);
        let lacking: Vec<&str> = lacking.map(|(name, _)| *name).collect();
        assert_eq!(told(&out), lacking, "{profile}, ABI {abi}");
    }
}

#[test]
fn what_the_kernel_lacks_and_a_profile_requires_is_refused() {
    let abi = landlock();
    for (name, since) in SINCE {
        // Without this, strict would be refused for Landlock itself where there is none.
        let rest = (name != "landlock").then_some("landlock=prefer");
        let required = format!("{name}=require");
        let levels: Vec<&str> = rest.into_iter().chain([&*required]).collect();
        let out = run("strict", &levels);
        if abi < since {
            refused(&out, name);
        } else {
            assert_eq!(out.ok(), "ran", "{name}, ABI {abi}");
        }
    }
}

#[test]
fn a_part_of_landlock_is_not_to_be_had_without_the_rest() {
    for (name, _) in &SINCE[1..] {
        let required = format!("{name}=require");
        refused(&run("strict", &["landlock=off", &required]), name);
        let out = run("strict", &["landlock=off"]);
        assert_eq!(out.ok(), "ran");
        assert_eq!(told(&out), ["landlock-network", "landlock-scopes"]);
    }
}

//! The first line of the README.

use crate::util::Sbx;

#[test]
fn every_built_in_profile_runs_a_command_of_the_host() {
    for profile in ["strict", "default", "build"] {
        assert_eq!(Sbx::sh(profile, "echo in; echo $$").out().ok(), "in\n2");
    }
}

#[test]
fn exit_codes_are_the_commands() {
    Sbx::sh("strict", "exit 7").out().code(7);
    Sbx::sh("strict", "kill -9 $$").out().code(137);
    Sbx::run("strict")
        .args(["host", "--", "no-such-command"])
        .out()
        .code(127)
        .says("no-such-command: not found");
    Sbx::run("strict").args(["host", "--", "/etc"]).out().code(126);
}

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

#[test]
fn nothing_asked_is_answered_with_what_there_is() {
    for arguments in [&[][..], &["profile"]] {
        let out = Sbx::new(arguments).out();
        out.code(2).says("Usage: ").says("Examples:");
        assert!(out.stdout.is_empty());
    }
}

#[test]
fn why_suggests_no_flag_that_would_be_refused() {
    let out = Sbx::new(["why", "--path", "/home/of-nobody/.ssh/id_rsa", "--op", "read"])
        .env("HOME", "/home/of-nobody")
        .out();
    out.code(1);
    assert!(!out.stdout().contains("-v "), "{}", out.stdout());
}

#[test]
fn why_knows_what_was_meant() {
    Sbx::new(["why", "--syscall", "opnat"])
        .out()
        .code(2)
        .says("did you mean `openat`?");
}

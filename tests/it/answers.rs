//! What sbx answers where nothing is run.

use crate::util::Sbx;

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

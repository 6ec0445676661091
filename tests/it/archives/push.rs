//! Images that go to a registry.

use super::{Shop, with_image};
use crate::util::daemon;

#[test]
fn what_is_pushed_is_pulled() {
    let Some((shop, digest)) = with_image() else {
        return;
    };
    let Some(registry) = daemon::plain() else {
        return;
    };
    let name = registry.name("team/tool:1");
    let pushed = shop.sbx(["push", "tool:1", &name]).out();
    pushed.says("complete");
    assert_eq!(pushed.ok(), digest);
    let other = Shop::new();
    assert_eq!(other.sbx(["pull", "-q", &name]).out().ok(), digest);
    assert_eq!(other.run([name.as_str()]).ok(), "from the image");
    // What is there is not sent again, and an image that was pulled goes back under its own name.
    let again = other.sbx(["push", &name]).out();
    assert_eq!(again.ok(), digest);
    assert!(!again.stderr().contains("complete"), "{}", again.stderr());
    let renamed = registry.name("team/other:2");
    shop.sbx(["push", "-q", &digest, &renamed]).out().ok();
    assert_eq!(other.sbx(["pull", "-q", &renamed]).out().ok(), digest);
}

#[test]
fn nothing_is_pushed_to_a_place_that_nobody_named() {
    let Some((shop, digest)) = with_image() else {
        return;
    };
    let refused = |words: &[&str], code: i32, why: &str| {
        shop.sbx(["push"]).args(words).out().code(code).says(why);
    };
    refused(&["tool:1", "team/tool"], 2, "write the registry before it");
    refused(&[&digest], 2, "an id names no place");
    refused(&["tool:1", &digest], 2, "an id is no destination");
    refused(&["nothing"], 125, "not in the store");
    let wrong = format!("127.0.0.1:1/x@sha256:{}", "0".repeat(64));
    refused(&["tool:1", &wrong], 125, "the digest of the image is");
    let nobody = shop.sbx(["push", "tool:1", "127.0.0.1:1/x"]).out();
    nobody.code(125).says("push to 127.0.0.1:1/x:latest");
    assert_eq!(nobody.stderr().lines().count(), 1, "{}", nobody.stderr());
}

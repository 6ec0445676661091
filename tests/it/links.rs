//! Mount sources that are links: they lead where they led when the plan was made, and never out of a directory that a sandbox may
//! have written.

use crate::util::{Dir, Sbx};
use std::fs;
use std::os::unix::fs::symlink;

#[test]
fn a_link_elsewhere_is_followed_and_the_plan_names_its_end() {
    let there = Dir::new();
    there.write("real/file", "seen");
    symlink(there.path().join("real"), there.path().join("link")).expect("a link");
    let volume = format!("{}:/data:ro", there.path().join("link").display());
    let out = Sbx::run("strict")
        .args(["-v", &volume, "host", "--", "cat", "/data/file"])
        .out();
    assert_eq!(out.ok(), "seen");
    let plan = Sbx::new(["plan", "--profile", "strict", "-v", &volume, "host", "--", "true"])
        .out()
        .ok();
    let real = there.path().join("real").display().to_string();
    assert!(plan.contains(&format!("/data: host {real}")), "{plan}");
}

#[test]
fn a_link_in_the_working_directory_leads_nowhere_outside() {
    let (work, outside) = (Dir::new(), Dir::new());
    outside.write("secret", "s");
    fs::create_dir(work.path().join("cache")).expect("mkdir");
    let run = |link: &str| {
        let volume = format!("./{link}:/data");
        let sbx = Sbx::run("build").args(["-v", &volume, "host", "--", "ls", "/data"]);
        sbx.within(work.path()).out()
    };
    symlink(outside.path(), work.path().join("out")).expect("a link");
    let out = run("out");
    out.code(125)
        .says("link in the working directory")
        .says(&outside.path().display().to_string());
    symlink("cache", work.path().join("in")).expect("a link");
    assert_eq!(run("in").ok(), "");
}

#[test]
fn a_planted_link_is_seen_under_every_name_of_the_working_directory() {
    let (there, outside) = (Dir::new(), Dir::new());
    there.write("work/file", "x");
    let path = |name: &str| there.path().join(name);
    symlink("work", path("alias")).expect("a link");
    symlink(outside.path(), path("work/planted")).expect("a link");
    symlink("work/planted", path("beside")).expect("a link");
    let run = |at: &str, source: &str| {
        let volume = format!("{}:/data:ro", path(source).display());
        let sbx = Sbx::run("strict").args(["-v", &volume, "host", "--", "true"]);
        sbx.within(&path(at)).out()
    };
    for source in ["alias/planted", "work/../alias/planted", "beside"] {
        run("work", source)
            .code(125)
            .says("link in the working directory");
        // The control: from elsewhere the link is one like any other.
        fs::create_dir_all(path("other")).expect("mkdir");
        run("other", source).code(0);
    }
    // `..` by itself is no link.
    run("work", "work/../other").code(0);
}

#[test]
fn a_link_to_what_is_never_shown_is_refused() {
    let (home, elsewhere) = (Dir::new(), Dir::new());
    fs::create_dir(home.path().join(".ssh")).expect("mkdir");
    for (target, why) in [
        (home.path().to_owned(), "home directory"),
        (home.path().join(".ssh"), "ssh keys"),
        ("/proc".into(), "/proc"),
        ("/".into(), "root directory"),
    ] {
        let link = elsewhere.path().join("link");
        symlink(&target, &link).expect("a link");
        let volume = format!("{}:/data", link.display());
        let out = Sbx::run("strict")
            .env("HOME", home.path())
            .args(["-v", &volume, "host", "--", "true"])
            .out();
        out.code(125).says(why).says("leads to");
        fs::remove_file(&link).expect("removed");
    }
}

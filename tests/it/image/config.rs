//! What an image's config says about a run, and the flags that say otherwise: as docker has it.

use super::place::{Home, refused};
use crate::util::daemon;
use crate::util::image::Image;
use crate::util::range;
use crate::util::tar::Entry;
use serde_json::{Value, json};

/// Says its arguments, one a line.
const SAY: &str = "#!/bin/sh\nfor w in \"$0\" \"$@\"; do echo \"$w\"; done\n";

fn there(image: Image, repository: &str) -> Option<(Home, String)> {
    Some((Home::new(), daemon::plain()?.push(&image.build(), repository)))
}

fn with(config: &[(&str, Value)]) -> Option<Image> {
    let image = Image::busybox()?.layer([
        Entry::program("bin/say", SAY),
        Entry::program("bin/other", SAY),
        Entry::file(
            "etc/passwd",
            "root:x:0:0::/root:/bin/sh\nwww:x:33:34::/var/www:/bin/sh\n",
        ),
        Entry::file("etc/group", "root:x:0:\nwww:x:34:\nstaff:x:50:\n"),
        Entry::folder("var/www/").owner(33, 34),
    ]);
    let set = |image: Image, (key, value): &(&str, Value)| image.set(key, value.clone());
    Some(config.iter().fold(image, set))
}

#[test]
fn entrypoint_and_command() {
    let image = with(&[
        ("Entrypoint", json!(["/bin/say", "a"])),
        ("Cmd", json!(["b", "c d"])),
    ]);
    let Some((home, name)) = image.and_then(|image| there(image, "entry:1")) else {
        return;
    };
    for (flags, command, expected) in [
        (&[][..], &[][..], "/bin/say\na\nb\nc d"),
        (&[], &["x", ""], "/bin/say\na\nx\n"),
        (&["--entrypoint", "/bin/other"], &[], "/bin/other"),
        (&["--entrypoint", "other"], &["x"], "/bin/other\nx"),
        (&["--entrypoint", ""], &["/bin/other", "x"], "/bin/other\nx"),
    ] {
        let out = home.run("default", flags, &name, command);
        out.code(0);
        assert_eq!(out.stdout(), format!("{expected}\n"), "{flags:?} {command:?}");
    }
    refused(
        &home.run("default", &["--entrypoint", ""], &name, &[]),
        &["no command"],
    );
}

#[test]
fn entrypoint_of_one_empty_word_is_none() {
    let image = with(&[("Entrypoint", json!([""])), ("Cmd", json!(["/bin/say", "b"]))]);
    let Some((home, name)) = image.and_then(|image| there(image, "reset-entry:1")) else {
        return;
    };
    assert_eq!(home.run("default", &[], &name, &[]).ok(), "/bin/say\nb");
    assert_eq!(
        home.run("default", &[], &name, &["other", "x"]).ok(),
        "/bin/other\nx"
    );
    // A word that is empty in front of others is a program without a name.
    let image = with(&[("Entrypoint", json!(["", "a"]))]);
    let Some((home, name)) = image.and_then(|image| there(image, "odd-entry:1")) else {
        return;
    };
    refused(
        &home.run("default", &[], &name, &[]),
        &["its first word is empty"],
    );
}

#[test]
fn an_image_without_a_command_says_so() {
    let image = with(&[("Cmd", json!(null))]);
    let Some((home, name)) = image.and_then(|image| there(image, "no-command:1")) else {
        return;
    };
    refused(&home.run("default", &[], &name, &[]), &["no command"]);
    assert_eq!(home.run("default", &[], &name, &["say", "x"]).ok(), "/bin/say\nx");
}

#[test]
fn environment_and_working_directory() {
    let env = ["PATH=/odd:/bin", "A=1", "A=2", "B=x=y", "EMPTY=", "HOME=/its/own"];
    let image = with(&[("Env", json!(env)), ("WorkingDir", json!("/made/by/sbx"))]);
    let Some((home, name)) = image.and_then(|image| there(image, "environment:1")) else {
        return;
    };
    let script = "pwd; echo $PATH $A $B [$EMPTY] $HOME $C; test -w . && echo mine";
    let run = |flags: &[&str]| home.run("default", flags, &name, &["sh", "-c", script]).ok();
    assert_eq!(run(&[]), "/made/by/sbx\n/odd:/bin 2 x=y [] /its/own\nmine");
    // The caller's PATH, which this profile passes, is another tree's.
    let out = home.run("build", &[], &name, &["sh", "-c", "echo $PATH"]);
    assert_eq!(out.ok(), "/odd:/bin");
    let flags = ["-e", "A=3", "-e", "C=new", "-w", "/tmp", "-e", "HOME=/mine"];
    assert_eq!(run(&flags), "/tmp\n/odd:/bin 3 x=y [] /mine new\nmine");
}

#[test]
fn the_user_by_name_number_and_group() {
    if !range() {
        return;
    }
    for (at, (user, ids, home_there)) in [
        ("www", "33 34", "/var/www"),
        ("www:staff", "33 50", "/var/www"),
        ("www:7", "33 7", "/var/www"),
        ("33", "33 34", "/var/www"),
        ("33:root", "33 0", "/var/www"),
        ("4242", "4242 0", "/"),
        ("4242:4343", "4242 4343", "/"),
        ("", "0 0", "/root"),
        ("0", "0 0", "/root"),
        ("root", "0 0", "/root"),
    ]
    .into_iter()
    .enumerate()
    {
        let image = with(&[("User", json!(user))]);
        let Some((home, name)) = image.and_then(|image| there(image, &format!("user:{at}"))) else {
            return;
        };
        let out = home.sh(&name, "echo $(id -u) $(id -g) $HOME");
        assert_eq!(out.ok(), format!("{ids} {home_there}"), "{user}");
        // The flag counts.
        let out = home.run(
            "default",
            &["--user", "www"],
            &name,
            &["sh", "-c", "echo $(id -u) $HOME"],
        );
        assert_eq!(out.ok(), "33 /var/www", "{user}");
    }
}

#[test]
fn a_user_that_is_not_there_is_an_error_and_never_root() {
    for (at, user) in [
        "mallory",
        "www:mallory",
        "-1",
        "4294967295",
        "99999999999",
        "0x0",
        " 0",
        "root ",
        ":",
    ]
    .into_iter()
    .enumerate()
    {
        let image = with(&[("User", json!(user))]);
        let Some((home, name)) = image.and_then(|image| there(image, &format!("no-user:{at}"))) else {
            return;
        };
        let out = home.sh(&name, "id -u");
        if user == ":" {
            assert_eq!(out.ok(), "0", "no user and no group: nobody is named");
        } else {
            refused(&out, &["user"]);
        }
    }
}

#[test]
fn the_directory_of_the_user_is_its_own_in_the_image() {
    if !range() {
        return;
    }
    let image = with(&[("User", json!("www")), ("WorkingDir", json!("/var/www"))]);
    let Some((home, name)) = image.and_then(|image| there(image, "own-directory:1")) else {
        return;
    };
    let script = "touch file && stat -c '%u %g' . file && touch /bin/x";
    let out = home.sh(&name, script);
    assert_eq!(out.stdout(), "33 34\n33 34\n");
    out.says("Permission denied");
}

#[test]
fn the_callers_environment_and_directory_stay_outside() {
    let Some((home, name)) = with(&[]).and_then(|image| there(image, "outside:1")) else {
        return;
    };
    let home = home.env("AWS_SECRET_ACCESS_KEY", "hunter2");
    home.dir.write("mine", "private");
    let out = home.sh(&name, "env; cat mine; ls -a .");
    let said = format!("{}{}", out.stdout(), out.stderr());
    assert!(!said.contains("hunter2") && !said.contains("private"), "{said}");
}

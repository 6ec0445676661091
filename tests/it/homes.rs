//! The caller's homes are never mounted whole, under whatever name: a link, `..`, a bind mount, or passwd's home beside `$HOME`.

use crate::util::{Dir, Out, Sbx};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A home behind a link, as `/home -> var/home` of ostree, with a project in it.
fn linked() -> Dir {
    let dir = Dir::new();
    dir.write("var/home/u/secret", "top secret\n");
    dir.write("var/home/u/.ssh/id", "key\n");
    dir.write("var/home/u/project/file", "seen\n");
    symlink("var/home", dir.path().join("home")).expect("a link");
    dir
}

/// `cat secret` in `at`, where the home is `home`.
fn cat(profile: &str, flags: &[&str], home: &Path, at: &Path) -> Out {
    let run = Sbx::new(["run", "--profile", profile]).args(flags);
    let run = run.args(["host", "--", "cat", "secret"]);
    run.env("HOME", home).within(at).out()
}

#[test]
fn home_behind_a_link_is_not_the_working_directory() {
    let dir = linked();
    let real = dir.path().join("var/home/u");
    let names = ["home/u", "var/home/u", "home/../home/./u/", "home/u/../u"];
    for profile in ["strict", "default", "build"] {
        for home in names {
            let home = dir.path().join(home);
            cat(profile, &[], &home, &real).code(1).says("home directory");
        }
    }
    for mode in ["read-only", "writable", "overlay"] {
        let home = dir.path().join("home/u");
        let out = cat("default", &["--workspace", mode], &home, &real);
        out.code(1).says("home directory");
        let home = dir.path().join("home/u/project");
        let out = cat("default", &["--workspace", mode], &home, &real);
        out.code(1).says("or holds it");
        // The control: with another home the same directory is shown.
        let other = dir.path().join("var/other");
        let out = cat("default", &["--workspace", mode], &other, &real);
        assert_eq!(out.ok(), "top secret", "{mode}");
    }
}

#[test]
fn home_behind_a_link_is_not_mounted_by_a_flag_or_a_profile() {
    let dir = linked();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let profile = |source: &str| {
        let text = format!(
            "extends = \"strict\"\n[filesystem]\nmounts = [{{ source = \"{source}\", target = \"/x\" }}]\n"
        );
        dir.write("p.toml", text).display().to_string()
    };
    let run = |home: &str, flags: &[&str]| {
        let run = Sbx::run("strict").env("HOME", path(home)).args(flags);
        run.args(["host", "--", "true"]).out()
    };
    symlink(path("var/home/u"), path("link")).expect("a link");
    for source in [
        "home/u",
        "var/home/u",
        "home",
        "var/home",
        "var",
        "link",
        "home/../home/u",
        "var/home/u/.",
    ] {
        let source = path(source);
        let (volume, mount) = (
            format!("{source}:/x"),
            format!("type=bind,src={source},dst=/x,readonly"),
        );
        for home in ["home/u", "var/home/u", "home/u/../u"] {
            for flags in [
                &["-v", &volume][..],
                &["--mount", &mount],
                &["--profile", &profile(&source)],
            ] {
                run(home, flags).code(125).says("home directory");
            }
        }
        // The control.
        run("other", &["-v", &volume]).code(0);
    }
    for keys in ["home/u/.ssh", "var/home/u/.ssh", "var/home/u/.ssh/id"] {
        let volume = format!("{}:/x", path(keys));
        run("home/u", &["-v", &volume]).code(125).says("ssh keys");
        run("other", &["-v", &volume]).code(0);
    }
    run("home/u", &["-v", &format!("{}:/x", path("home/u/project"))]).code(0);
}

#[test]
fn home_is_not_the_root_of_a_sandbox() {
    let dir = linked();
    for image in ["home/u", "var/home/u", "var"] {
        let plan = |home: &str| {
            let words = [
                dir.path().join(image).into_os_string(),
                "--".into(),
                "true".into(),
            ];
            Sbx::new(["plan"])
                .args(words)
                .env("HOME", dir.path().join(home))
                .out()
        };
        plan("home/u").code(125).says("home directory");
        assert!(!plan("other").stderr().contains("home directory"), "{image}");
    }
}

/// The home that passwd has for whoever runs the tests.
fn home_in_passwd() -> PathBuf {
    let uid = nix::unistd::geteuid();
    let user = nix::unistd::User::from_uid(uid)
        .expect("passwd")
        .expect("a line in passwd");
    user.dir
}

#[test]
fn home_in_passwd_counts_beside_the_variable() {
    let (home, other) = (home_in_passwd(), Dir::new());
    for source in home.ancestors() {
        let volume = format!("{}:/x:ro", source.display());
        let run = Sbx::run("strict").env("HOME", other.path());
        let out = run.args(["-v", &volume, "host", "--", "true"]).out();
        out.code(125).says(if source == Path::new("/") {
            "root directory"
        } else {
            "home directory"
        });
    }
    if home.is_dir() {
        let out = Sbx::new(["run", "--profile", "strict", "host", "--", "pwd"]);
        let out = out.env("HOME", other.path()).within(&home).out();
        out.says("home directory");
        assert_ne!(out.ok(), home.display().to_string());
    }
}

#[test]
fn home_is_not_mounted_by_the_name_of_a_bind_mount() {
    let dir = linked();
    std::fs::create_dir(dir.path().join("alias")).expect("mkdir");
    let plan = |home: &str| {
        let (sbx, _home) = Sbx::new(["plan", "-v", "alias:/x:ro", "host", "--", "true"]).into_command();
        let mut shell = Command::new("unshare");
        shell.args([
            "-rm",
            "sh",
            "-ec",
            "mount --bind var/home alias; exec unshare --map-user=1000 -- \"$@\"",
            "sh",
        ]);
        shell
            .arg(sbx.get_program())
            .args(["plan", "-v", "./alias:/x:ro", "host", "--", "true"]);
        shell.current_dir(dir.path()).env("HOME", dir.path().join(home));
        Out::from(shell.stdin(Stdio::null()).output().expect("unshare starts"))
    };
    plan("home/u").code(125).says("home directory");
    plan("other").code(0);
}

#[test]
fn why_answers_for_a_home_as_a_run_does() {
    let dir = linked();
    let path = |name: &str| dir.path().join(name);
    let why = |home: &str, at: &str, file: &str| {
        let why = Sbx::new(["why", "--profile", "build", "--path"]).args([path(file)]);
        why.env("HOME", path(home)).within(&path(at)).out()
    };
    for file in ["home/u/secret", "var/home/u/secret"] {
        why("home/u", "var/home/u", file).code(1);
        why("var/home/u", "home/u", file).code(1);
    }
    cat("build", &[], &path("home/u"), &path("var/home/u")).code(1);
    // Below the home the project is shown, under its own name; asked by the other, the answer tells.
    why("home/u", "var/home/u/project", "var/home/u/project/file").code(0);
    let told = why("home/u", "var/home/u/project", "home/u/project/file");
    let real = path("var/home/u/project/file").display().to_string();
    assert!(
        told.code(1)
            .stdout()
            .contains(&format!("is {real}, and under that name: yes")),
        "{}",
        told.stdout()
    );
}

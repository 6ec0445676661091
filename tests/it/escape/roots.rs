//! Directories that somebody else has filled, as the root of a sandbox: links where sbx mounts, files where it reads.

use super::{Answers, Attack, BUILT_IN, attacker, outside, profile, under};
use crate::util::{Dir, Out, Sbx, hand_over, patient};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

/// A root with nothing in it but the attacker, and a directory of the host that a link in it can name.
struct Hostile {
    root: Dir,
    host: Dir,
}

impl Hostile {
    fn new() -> Self {
        let (root, host) = (Dir::new(), Dir::new());
        root.program("attacker", attacker());
        host.write("secret", "top secret\n");
        std::fs::set_permissions(host.path(), PermissionsExt::from_mode(0o777)).expect("chmod");
        Self { root, host }
    }

    /// A link in the root to the directory of the host: `NAME -> /tmp/…`.
    fn link(&self, name: &str) -> &Self {
        let at = self.root.path().join(name);
        std::fs::create_dir_all(at.parent().expect("a parent")).expect("mkdir");
        symlink(self.host.path(), &at).expect("a link");
        assert!(at.join("secret").exists(), "outside the link leads there");
        self
    }

    fn run(&self, profile: &str, flags: &[&str], program: &str) -> Answers {
        let out = Sbx::run(profile)
            .args(flags)
            .args([self.root.path()])
            .args(["--", "/attacker", program])
            .out();
        Answers(out)
    }

    /// The directory of the host is as it was.
    #[track_caller]
    fn untouched(&self) {
        let names: Vec<_> = std::fs::read_dir(self.host.path())
            .expect("the directory")
            .filter_map(Result::ok)
            .collect();
        assert_eq!(names.len(), 1, "{names:?}");
        assert_eq!(self.host.read("secret"), "top secret\n");
    }
}

/// Refused with words, and nothing was run.
#[track_caller]
fn refused(out: &Out) {
    out.code(125);
    assert_eq!(out.stdout(), "");
}

#[test]
fn a_plain_root_works() {
    for profile in BUILT_IN {
        let hostile = Hostile::new();
        let answers = hostile.run(
            profile,
            &[],
            "openat -100 @s:/dev/null 2; openat -100 @s:/proc/self/status 0",
        );
        assert_eq!(
            answers.all("openat"),
            ["3", "4"],
            "{profile}: {}",
            answers.0.stderr()
        );
        hostile.untouched();
    }
}

#[test]
fn nothing_of_the_host_lies_above_the_root() {
    // `..` of the root follows what is mounted over it: a tree of the host that was not detached would be there.
    let hostile = Hostile::new();
    let secret = format!("{}/secret", hostile.host.path().display());
    let program = format!("openat -100 @s:/..{secret} 0; openat -100 @s:/../attacker 0");
    outside(&format!("openat -100 @s:/..{secret} 0")).number("openat");
    let open = profile("no-landlock");
    let bare = hostile.run(&open, &[], &program);
    assert_eq!(bare.all("openat"), ["ENOENT", "3"], "under an overlay");
    for place in ["proc", "dev", "tmp"] {
        std::fs::create_dir(hostile.root.path().join(place)).expect("mkdir");
    }
    let whole = hostile.run(&open, &["--read-only"], &program);
    assert_eq!(whole.all("openat"), ["ENOENT", "3"], "as it is");
    let overlay = ["--workspace", "overlay"];
    for flags in [&[][..], &overlay] {
        let host = under(&open).args(flags).attack(&program);
        assert_eq!(host.all("openat"), ["ENOENT", "3"], "host {flags:?}");
    }
    hostile.untouched();
}

#[test]
fn cve_2026_41579_dev_that_is_a_link_leads_nowhere() {
    for profile in BUILT_IN {
        for name in ["dev", "dev/pts", "dev/shm", "dev/null"] {
            let hostile = Hostile::new();
            let answers = hostile.link(name).run(
                profile,
                &["-t"],
                "openat -100 @s:/dev/secret 0; openat -100 @s:/dev/null 2",
            );
            if answers.0.code == Some(0) {
                assert_eq!(answers.all("openat").first().map(String::as_str), Some("ENOENT"));
            } else {
                refused(&answers.0);
            }
            hostile.untouched();
        }
    }
}

#[test]
fn cve_2023_27561_proc_that_is_a_link_is_refused() {
    for profile in BUILT_IN {
        let hostile = Hostile::new();
        let answers = hostile.link("proc").run(profile, &[], "getpid");
        refused(&answers.0);
        answers.0.says("/proc");
        hostile.untouched();
    }
}

#[test]
fn cve_2019_19921_proc_that_is_a_file_is_refused() {
    for profile in BUILT_IN {
        let hostile = Hostile::new();
        hostile.root.write("proc", "");
        refused(&hostile.run(profile, &[], "getpid").0);
    }
}

#[test]
fn cve_2025_31133_a_false_dev_null_masks_nothing_of_the_host() {
    // runc bound the container's own /dev/null over what it masked: a link there was followed. Ours comes from the host.
    let hostile = Hostile::new();
    std::fs::create_dir_all(hostile.root.path().join("dev")).expect("mkdir");
    symlink(
        "/proc/sys/kernel/core_pattern",
        hostile.root.path().join("dev/null"),
    )
    .expect("a link");
    let answers = hostile.run(
        "default",
        &[],
        "openat -100 @s:/proc/keys 0; read $0 @z:64 64; openat -100 @s:/proc/sys/kernel/core_pattern 1; chmod @s:/proc/sys/kernel/core_pattern 0o666",
    );
    let pattern = answers.all("openat").pop().unwrap_or_default();
    assert!(
        ["EROFS", "EACCES"].contains(&pattern.as_str()),
        "{pattern} {}",
        answers.0.stderr()
    );
    // The mount's word, and not only its owner's.
    assert_eq!(answers.of("chmod"), "EROFS");
    assert_eq!(answers.number("read"), 0);
}

#[test]
fn mounts_on_links_of_the_image_land_inside() {
    // tmp, the home, the working directory and -v, each through a link that names a directory of the host.
    for profile in BUILT_IN {
        for name in ["tmp", "root", "home", "run", "var"] {
            let hostile = Hostile::new();
            let answers = hostile
                .link(name)
                .run(profile, &[], &format!("openat -100 @s:/{name}/secret 0"));
            if answers.0.code == Some(0) {
                answers.refused("openat", &["ENOENT"]);
            } else {
                refused(&answers.0);
            }
            hostile.untouched();
        }
        let hostile = Hostile::new();
        let source = Dir::new();
        let bind = format!("{}:/v/sub:rw", source.path().display());
        let answers = hostile
            .link("v")
            .run(profile, &["-v", &bind], "openat -100 @s:/v/secret 0");
        if answers.0.code == Some(0) {
            answers.refused("openat", &["ENOENT"]);
        } else {
            refused(&answers.0);
        }
        hostile.untouched();
    }
}

#[test]
fn files_that_sbx_writes_do_not_go_through_links() {
    for profile in BUILT_IN {
        for name in [
            "etc",
            "etc/resolv.conf",
            "etc/hosts",
            "etc/hostname",
            "etc/mtab",
            "etc/passwd",
        ] {
            let hostile = Hostile::new();
            let at = hostile.root.path().join(name);
            std::fs::create_dir_all(at.parent().expect("a parent")).expect("mkdir");
            let target = if name == "etc" {
                hostile.host.path().to_owned()
            } else {
                hostile.host.path().join("secret")
            };
            symlink(target, at).expect("a link");
            let answers = hostile.run(
                profile,
                &[],
                &format!("openat -100 @s:/{name}/secret 0; openat -100 @s:/{name} 0; read $1 @z:64 64"),
            );
            // "top secret\n" is 11 bytes.
            if answers.0.code == Some(0) {
                assert_ne!(answers.of("read"), "11", "{profile} {name}");
                assert_ne!(answers.all("openat").first().map(String::as_str), Some("3"));
            } else {
                refused(&answers.0);
            }
            hostile.untouched();
        }
    }
}

#[test]
fn cve_2026_55686_the_working_directory_is_not_made_outside() {
    for profile in BUILT_IN {
        let hostile = Hostile::new();
        hostile.link("srv");
        for place in [
            "/srv/new",
            "/srv",
            "/../../../tmp/new",
            "/proc/self/fd/3",
            "/proc/self/cwd",
        ] {
            let answers = hostile.run(
                profile,
                &["-w", place],
                "getcwd @z:256 256; openat -100 @s:secret 0",
            );
            if answers.0.code == Some(0) {
                answers.refused("openat", &["ENOENT"]);
            } else {
                refused(&answers.0);
            }
            hostile.untouched();
        }
    }
}

#[test]
fn a_name_is_looked_up_in_a_plain_file_only() {
    // A pipe, a device, a directory, a link to the host, a file without end: refused, and at once.
    type Make = fn(&Path);
    let make: [(&str, Make); 4] = [
        ("pipe", |at| {
            nix::unistd::mkfifo(at, nix::sys::stat::Mode::S_IRWXU).expect("mkfifo")
        }),
        ("device", |at| symlink("/dev/zero", at).expect("a link")),
        ("directory", |at| std::fs::create_dir(at).expect("mkdir")),
        ("long", |at| {
            let file = std::fs::File::create(at).expect("a file");
            file.set_len(8 << 30).expect("a size");
        }),
    ];
    for (what, make) in make {
        for profile in BUILT_IN {
            let hostile = Hostile::new();
            std::fs::create_dir(hostile.root.path().join("etc")).expect("mkdir");
            make(&hostile.root.path().join("etc/passwd"));
            let since = Instant::now();
            let answers = hostile.run(profile, &["--user", "mallory"], "getuid");
            assert!(since.elapsed() < patient(Duration::from_secs(3)), "{what}");
            refused(&answers.0);
        }
    }
}

#[test]
fn cve_2026_47262_users_of_the_host_are_not_looked_up_through_a_link() {
    let hostile = Hostile::new();
    hostile.host.write("passwd", "mallory:x:0:0::/:/bin/sh\n");
    std::fs::create_dir(hostile.root.path().join("etc")).expect("mkdir");
    symlink(
        hostile.host.path().join("passwd"),
        hostile.root.path().join("etc/passwd"),
    )
    .expect("a link");
    refused(&hostile.run("default", &["--user", "mallory"], "getuid").0);
    // The same line in a file of the root, behind a link that stays in it: there it is found.
    hostile.root.write("etc/own", "mallory:x:0:0::/:/bin/sh\n");
    let link = hostile.root.path().join("etc/passwd");
    std::fs::remove_file(&link).expect("remove");
    symlink("own", &link).expect("a link");
    let found = hostile.run("default", &["--user", "mallory"], "getuid");
    assert_eq!(found.number("getuid"), 0, "{}", found.0.stderr());
}

#[test]
fn cve_2026_30892_odd_user_numbers_are_refused() {
    for user in [
        "-1",
        "+0",
        "4294967295",
        "4294967296",
        "0x0",
        " 0",
        "0:-1",
        "-u",
        "",
    ] {
        let hostile = Hostile::new();
        let out = hostile.run("default", &[&format!("--user={user}")], "getuid").0;
        assert!(
            matches!(out.code, Some(2 | 125)),
            "{user}: {:?} {}",
            out.code,
            out.stdout()
        );
        assert_eq!(out.stdout(), "");
    }
    for user in ["0", "0:0"] {
        let out = Hostile::new().run("default", &[&format!("--user={user}")], "getuid");
        assert_eq!(out.number("getuid"), 0, "{user}");
    }
}

#[test]
fn cve_2019_5736_the_command_of_a_root_cannot_be_sbx() {
    // A command or an interpreter that is a link to the executable of whoever executes it.
    for profile in BUILT_IN {
        let hostile = Hostile::new();
        symlink("/proc/self/exe", hostile.root.path().join("link")).expect("a link");
        hostile.root.script("script", "#!/proc/self/exe\n");
        for command in ["/link", "/script", "/proc/self/exe"] {
            let out = Sbx::run(profile)
                .args([hostile.root.path()])
                .args(["--", command, "--help"])
                .out();
            assert!(
                matches!(out.code, Some(126 | 127)),
                "{profile} {command}: {:?}",
                out.code
            );
            assert!(!out.stdout().contains("Usage"));
        }
        assert_eq!(
            hostile.run(profile, &[], "getpid").number("getpid"),
            2,
            "{profile}"
        );
    }
}

#[test]
fn what_is_written_to_the_root_does_not_reach_the_directory() {
    let program = |root: &str| {
        format!(
            "openat -100 @s:{root}/new 0o102 0o644; write $0 @s:x 1; chmod @s:{root}/file 0o600; \
             openat -100 @s:{root}/file 0o1001; unlink @s:{root}/file"
        )
    };
    for profile in BUILT_IN {
        let hostile = Hostile::new();
        let file = hostile.root.write("file", "content");
        // Theirs who attack: it is not the owner that stands in the way.
        hand_over(hostile.root.path());
        let root = hostile.root.path().display().to_string();
        let answers = hostile.run(profile, &["--user", "root"], &program(""));
        answers.0.code(0);
        assert_eq!(answers.all("openat").len(), 2);
        assert!(!hostile.root.path().join("new").exists(), "{profile}");
        assert_eq!(hostile.root.read("file"), "content", "{profile}");
        outside(&program(&root)).number("unlink");
        assert!(!file.exists() && hostile.root.path().join("new").exists());
    }
}

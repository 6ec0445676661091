//! What a process inherits: variables, groups, signals; and what of it comes back to the caller's terminal.

use super::{ALL, Attack, BUILT_IN, finish, profile, under};
use crate::util::{Dir, Sbx, binary, skip};
use std::process::{Command, Stdio};

#[test]
fn secrets_in_the_environment_do_not_pass() {
    let names = [
        "AWS_SECRET_ACCESS_KEY",
        "GITHUB_TOKEN",
        "SSH_AUTH_SOCK",
        "DBUS_SESSION_BUS_ADDRESS",
        "XDG_RUNTIME_DIR",
        "DISPLAY",
        "WAYLAND_DISPLAY",
    ];
    let run = |name: &str| {
        let sbx = names
            .iter()
            .fold(under(name), |sbx, variable| sbx.env(variable, "told"));
        sbx.shell("env; cat /proc/1/environ /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'")
            .ok()
    };
    for name in ALL {
        assert!(!run(name).contains("told"), "{name}: {}", run(name));
    }
    let open = run(&profile("environment-passed"));
    for name in names {
        assert!(open.contains(&format!("{name}=told")), "{open}");
    }
}

#[test]
fn variables_that_load_code_do_not_pass() {
    let names = [
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "LD_AUDIT",
        "BASH_ENV",
        "ENV",
        "PYTHONPATH",
        "PERL5LIB",
        "NODE_OPTIONS",
        "GIT_SSH_COMMAND",
    ];
    for name in BUILT_IN {
        let sbx = names
            .iter()
            .fold(under(name), |sbx, variable| sbx.env(variable, "/told"));
        assert!(!sbx.shell("env").ok().contains("/told"), "{name}");
    }
    let open = names
        .iter()
        .fold(under(&profile("environment-passed")), |sbx, variable| {
            sbx.env(variable, "/told")
        })
        .shell("env")
        .ok();
    for name in names {
        let told = open.lines().any(|line| line == format!("{name}=/told"));
        assert!(told, "{name}: {open}");
    }
}

#[test]
fn sbx_itself_loads_nothing_that_its_environment_names() {
    // A dynamic program says on standard error that it cannot preload; a static one has no loader that could.
    let mut sbx = Command::new(binary());
    let out = finish(
        sbx.arg("--version")
            .env("LD_PRELOAD", "/nonexistent/told.so")
            .env("LD_DEBUG", "libs")
            .stdin(Stdio::null()),
    );
    out.code(0);
    assert_eq!(out.stderr(), "");
    let mut dynamic = Command::new("true");
    assert_ne!(
        finish(dynamic.env("LD_PRELOAD", "/nonexistent/told.so")).stderr(),
        ""
    );
}

#[test]
fn sbx_finds_no_helper_in_a_directory_of_the_caller_s_path() {
    // A false newuidmap first in PATH would be run with the caller's rights, and could answer anything.
    let dir = Dir::new();
    let witness = dir.path().join("witness");
    for name in ["newuidmap", "newgidmap"] {
        dir.script(name, format!("#!/bin/sh\n: > {}\nexit 1\n", witness.display()));
    }
    let path = format!("{}:/usr/bin:/bin", dir.path().display());
    for profile in BUILT_IN {
        Sbx::sh(profile, "true").env("PATH", &path).out().code(0);
        // As an ordinary user it is the helper that makes the map.
        Sbx::run(profile)
            .args(["--map", "range", "host", "--", "true"])
            .env("PATH", &path)
            .out()
            .code(0);
    }
    assert!(!witness.exists());
    finish(Command::new("sh").args(["-c", "newuidmap"]).env("PATH", &path));
    assert!(witness.exists(), "whoever looks in PATH finds the false one");
}

#[test]
fn supplementary_groups_are_dropped() {
    let own = nix::unistd::getegid();
    if crate::util::is_root() {
        return a_file_of_a_group_is_closed();
    }
    if nix::unistd::getgroups()
        .expect("groups")
        .iter()
        .all(|group| *group == own)
    {
        return skip("groups", "the caller has no supplementary group");
    }
    let count = |name: &str| under(name).attack("getgroups 0 0").number("getgroups");
    for name in BUILT_IN {
        assert_eq!(count(name), 0, "{name}");
    }
    assert_ne!(count(&profile("groups-kept")), 0);
}

/// The user that `scripts/setup` makes calls sbx: only root can make a file that somebody reads by a group alone.
fn a_file_of_a_group_is_closed() {
    // By id(1): a static program must not ask the C library, which would load others.
    let id = |flag: &str| -> Vec<u32> {
        let said = finish(Command::new("id").args([flag, "sbxtest"])).stdout();
        let numbers = said.split_whitespace().map(str::parse);
        numbers.collect::<Result<_, _>>().expect("numbers")
    };
    let (&[uid], &[gid]) = (id("-u").as_slice(), id("-g").as_slice()) else {
        return skip("test-user", "there is no user sbxtest");
    };
    let Some(group) = id("-G").into_iter().find(|group| *group != gid) else {
        return skip("groups", "sbxtest has no supplementary group");
    };
    let dir = Dir::new();
    let path = dir.write("secret", "top secret");
    nix::unistd::chown(&path, None, Some(group.into())).expect("chown");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o040)).expect("chmod");
    let bind = format!("{}:/g:ro", dir.path().display());
    let read = |profile: &str, flags: &[&str]| {
        let program = "openat -100 @s:/g/secret 0; getgroups 0 0";
        let (sbx, _home) = under(profile)
            .args(["-v", &bind])
            .args(flags)
            .args(["host", "--", "/attacker", program])
            .into_command();
        let mut command = Command::new("setpriv");
        let ids = [format!("--reuid={uid}"), format!("--regid={gid}")];
        command.args(ids).args(["--init-groups", "--inh-caps=-all"]);
        command.arg(sbx.get_program()).args(sbx.get_args());
        let answers = super::Answers(finish(command.current_dir("/").stdin(Stdio::null())));
        (answers.of("openat"), answers.number("getgroups"))
    };
    for name in BUILT_IN {
        for inside in ["caller", "root"] {
            let (opened, groups) = read(name, &["--user", inside]);
            assert_eq!((opened.as_str(), groups), ("EACCES", 0), "{name} as {inside}");
        }
    }
    let (opened, groups) = read(&profile("groups-kept"), &[]);
    assert_eq!(opened, "3");
    assert_ne!(groups, 0);
}

#[test]
fn signals_umask_and_limits_of_the_caller_do_not_pass() {
    let script = "grep -E '^Sig(Blk|Ign)' /proc/self/status | tr -s '\\t\\n' '  '; umask";
    let caller = |umask: &str, command: &str| {
        let mut sh = Command::new("sh");
        let command = format!("trap '' HUP PIPE USR1 TERM; umask {umask}; {command}");
        finish(sh.args(["-c", &command]).stdin(Stdio::null()).current_dir("/")).stdout()
    };
    for name in BUILT_IN {
        // With 077 nothing that is made for the root may be closed to the command, with 000 nothing open to everybody.
        for umask in ["000", "077"] {
            let sbx = binary().display().to_string();
            let said = caller(
                umask,
                &format!(
                    "{sbx} run --quiet --profile {name} host -- sh -c \"{}\"",
                    script.replace('"', "\\\"")
                ),
            );
            assert_eq!(
                said, "SigBlk: 0000000000000000 SigIgn: 0000000000000000 0022\n",
                "{name} {umask}"
            );
        }
    }
    assert!(!caller("000", script).contains("SigIgn: 0000000000000000"));
}

#[test]
fn the_kernel_s_personality_of_the_caller_does_not_pass() {
    let program = "personality 0xffffffff";
    let call = |words: &[&str]| {
        let mut command = Command::new("setarch");
        let attacker = super::attacker().display().to_string();
        let bind = format!("{attacker}:/attacker:ro");
        command.args(["-R"]);
        if words.is_empty() {
            command.arg(&attacker);
        } else {
            command.arg(binary()).args(["run", "--quiet"]).args(words).args([
                "-v",
                &bind,
                "host",
                "--",
                "/attacker",
            ]);
        }
        super::Answers(finish(command.arg(program).current_dir("/").stdin(Stdio::null())))
            .number("personality")
    };
    assert_eq!(call(&[]), 0x4_0000, "ADDR_NO_RANDOMIZE");
    for name in BUILT_IN {
        assert_eq!(call(&["--profile", name]), 0, "{name}");
    }
}

/// Whatever a stranger may have named, in every message that says it.
#[test]
fn messages_hold_no_terminal_escapes() {
    // A title, a clipboard write, a colour, a bell, a carriage return, the 8-bit form of the same.
    let evil = "\u{1b}]0;owned\u{7}\u{1b}[31m\u{9b}31m\r";
    assert!(
        evil.chars().filter(|c| c.is_control()).count() >= 5,
        "raw it would be seen"
    );
    let dir = Dir::new();
    let named = dir.path().join(evil);
    std::fs::create_dir(&named).expect("mkdir");
    let profile = dir.write(
        "evil.toml",
        format!(
            "description = \"x\"\n[identity]\nuser = \"{}\"\nmap = \"{}\"\n",
            "a", "\\u001b]0;owned\\u0007"
        ),
    );
    let unknown = dir.write("unknown.toml", "\"\\u001b]0;owned\\u0007\" = 1\n");
    let raw = dir.write("raw.toml", format!("extends = \"strict\"\n[{evil}]\n"));
    let at = named.display().to_string();
    let bind = format!("{at}:/v");
    let missing = format!("{at}/missing:/v");
    let cases: Vec<Vec<&str>> = vec![
        vec!["host", "--", evil],
        vec!["-w", evil, "host", "--", "true"],
        vec!["-v", &missing, "host", "--", "true"],
        vec!["-v", &bind, "-v", evil, "host", "--", "true"],
        vec!["--user", evil, "host", "--", "true"],
        vec!["--env", evil, "--timeout", evil, "host", "--", "true"],
        vec!["--env-file", &at, "host", "--", "true"],
        vec!["--hostname", evil, "host", "--", "true"],
        vec!["--network", evil, "host", "--", "true"],
        vec!["--ulimit", evil, "host", "--", "true"],
        vec!["--tmpfs", evil, "host", "--", "true"],
        vec!["--device", evil, "host", "--", "true"],
        vec!["--cap-add", evil, "host", "--", "true"],
        vec!["--enforce", evil, "host", "--", "true"],
        vec!["--security-opt", evil, "host", "--", "true"],
        vec!["--map", evil, "host", "--", "true"],
        vec!["--workspace", evil, "host", "--", "true"],
        vec![&at, "--", "/x"],
        vec![evil],
        vec![evil, "--", "x"],
        vec!["--profile", evil, "host", "--", "true"],
        vec!["--profile", profile.to_str().expect("text"), "host", "--", "true"],
        vec!["--profile", unknown.to_str().expect("text"), "host", "--", "true"],
        vec!["--profile", raw.to_str().expect("text"), "host", "--", "true"],
    ];
    for verb in ["run", "plan", "why"] {
        for case in &cases {
            let out = Sbx::new([verb]).args(case).within(&named).out();
            let said = [out.stderr.as_slice(), out.stdout.as_slice()].concat();
            let text = String::from_utf8_lossy(&said);
            let raw = text.chars().find(|c| c.is_control() && *c != '\n');
            assert_eq!(raw, None, "{verb} {case:?}: {text:?}");
            assert!(!text.is_empty(), "{verb} {case:?}: something is said");
        }
    }
}

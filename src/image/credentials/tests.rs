//! Files and helpers, as they are found on a real disk.

use super::*;
use crate::image::environment::of;
use crate::sys::script;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A home with its own PATH.
struct Home {
    dir: TempDir,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("mkdir");
        fs::write(&path, text).expect("write");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod");
        path
    }

    fn helper(&self, name: &str, script: &str) {
        self.program(
            &format!("docker-credential-{name}"),
            &format!("#!/bin/sh\n{script}\n"),
        );
    }

    fn program(&self, name: &str, text: &str) {
        script::write(&self.path("bin").join(name), text);
    }

    fn with(&self, more: &[(&str, &str)]) -> Accounts {
        let at = |name: &str| self.path(name).to_str().expect("text").to_owned();
        let (home, run) = (at(""), at("run"));
        let path = format!("bin:{}:/usr/bin:/bin", at("bin"));
        let mut pairs = vec![
            ("HOME", home.as_str()),
            ("XDG_RUNTIME_DIR", &run),
            ("PATH", &path),
        ];
        pairs.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
        pairs.extend(more.iter().filter(|(_, value)| !value.is_empty()));
        Accounts::new(&of(&pairs), nix::unistd::getuid().as_raw())
    }

    fn accounts(&self) -> Accounts {
        self.with(&[])
    }
}

fn shown(found: Result<Option<Credentials>, CredentialsError>) -> String {
    match found {
        Ok(None) => "nobody".to_owned(),
        Ok(Some(Credentials::Password { name, password })) => format!("{name}:{password}"),
        Ok(Some(Credentials::IdentityToken(token))) => format!("token {token}"),
        Err(error) => error.to_string(),
    }
}

/// `auth` of NAME:PASSWORD.
fn auth(text: &str) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(text);
    format!("{{\"auth\":\"{text}\"}}")
}

#[test]
fn the_longest_path_of_a_file_wins() {
    let home = Home::new();
    let auths = [
        ("my.local/a/b/c", auth("abc:1")),
        ("my.local/a", auth("a:p:w")),
        (
            "https://my.local",
            auth("host:1\\0").replace("aG9zdDoxXDA=", "aG9zdDoxAAA="),
        ),
        ("https://index.docker.io/v1/", auth("hub:1")),
        ("docker.io/me", auth("me:1")),
        ("tok.en", "{\"auth\":\"eDp5\",\"identitytoken\":\"T\"}".to_owned()),
        ("plain", "{\"username\":\"u\",\"password\":\"p\"}".to_owned()),
        ("empty", "{}".to_owned()),
        ("Half:5", "{\"username\":\"u\",\"auth\":null}".to_owned()),
    ];
    let auths: Vec<_> = auths.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
    home.write(
        "run/containers/auth.json",
        &format!("{{\"auths\":{{{}}},\"x\":1}}", auths.join(",")),
    );
    for (host, repository, expected) in [
        ("my.local", "a/b/c", "abc:1"),
        ("my.local", "a/b/c/d", "abc:1"),
        ("my.local", "a/b/cd", "a:p:w"),
        ("my.local", "a/b", "a:p:w"),
        ("my.local", "ab", "host:1"),
        ("my.local:5000", "a", "nobody"),
        ("y.local", "a", "nobody"),
        ("docker.io", "library/debian", "hub:1"),
        ("docker.io", "me/x", "me:1"),
        ("docker.io", "men/x", "hub:1"),
        ("tok.en", "x", "token T"),
        ("plain", "x", "u:p"),
        ("empty", "x", "nobody"),
        ("half:5", "x", "nobody"),
    ] {
        assert_eq!(
            shown(home.accounts().find(host, repository)),
            expected,
            "{host}/{repository}"
        );
    }
}

#[test]
fn files_are_asked_in_their_order() {
    let home = Home::new();
    let file =
        |name: &str, user: &str| home.write(name, &format!("{{\"auths\":{{\"a.b\":{}}}}}", auth(user)));
    let ask = |more: &[(&str, &str)]| shown(home.with(more).find("a.b", "x"));
    assert_eq!(ask(&[]), "nobody");
    file(".docker/config.json", "docker:1");
    assert_eq!(ask(&[]), "docker:1");
    let other = file("other/config.json", "other:1");
    let other = other.parent().and_then(Path::to_str).expect("text").to_owned();
    assert_eq!(ask(&[("DOCKER_CONFIG", &other)]), "other:1");
    file(".config/containers/auth.json", "config:1");
    assert_eq!(ask(&[("DOCKER_CONFIG", &other)]), "config:1");
    assert_eq!(ask(&[("XDG_CONFIG_HOME", &other)]), "docker:1");
    file("run/containers/auth.json", "run:1");
    assert_eq!(ask(&[]), "run:1");
    assert_eq!(ask(&[("XDG_RUNTIME_DIR", "run")]), "config:1");
    let named = home.path("named");
    let named = named.to_str().expect("text");
    let line = ask(&[("REGISTRY_AUTH_FILE", named)]);
    assert!(
        line.starts_with("cannot read ") && line.contains("named: "),
        "{line}"
    );
    file("named", "named:1");
    assert_eq!(ask(&[("REGISTRY_AUTH_FILE", named)]), "named:1");
    home.write("named", "\n");
    assert_eq!(ask(&[("REGISTRY_AUTH_FILE", named)]), "nobody");
}

#[test]
fn a_file_that_is_wrong_says_where_and_shows_no_secret() {
    let home = Home::new();
    for (text, part) in [
        ("{\"auths\":\n {\"a.b\": \"SECRET\"", "auth.json:2:"),
        ("SECRET", "auth.json:1:1: not JSON"),
        ("[\"SECRET\"]", "must hold one JSON object"),
        ("{\"auths\": \"SECRET\"}", "`auths` must be an object"),
        (
            "{\"auths\": {\"a.b\": \"SECRET\"}}",
            "auths: `a.b`: an entry must be an object",
        ),
        (
            "{\"auths\": {\"a.b\": {\"auth\": [\"SECRET\"]}}}",
            "`auth` must be a string",
        ),
        (
            "{\"auths\": {\"a.b\": {\"auth\": \"SECRET!\"}}}",
            "NAME:PASSWORD in base64",
        ),
        (
            "{\"auths\": {\"a.b\": {\"auth\": \"U0VDUkVU\"}}}",
            "NAME:PASSWORD in base64",
        ),
        (
            "{\"auths\": {\"a.b\": {\"auth\": \"OlNFQ1JFVA==\"}}}",
            "NAME:PASSWORD in base64",
        ),
        (
            "{\"auths\": {\"https://a.b/\\u001b\": 1, \"https://a.b\": 1}}",
            "`https://a.b`: an entry",
        ),
        ("{\"credHelpers\": []}", "`credHelpers` must be an object"),
        (
            "{\"credHelpers\": {\"a.b\": 1}}",
            "credHelpers: `a.b` must be the name",
        ),
        ("{\"credsStore\": 1}", "`credsStore` must be the name"),
        (
            "{\"credsStore\": \"../x\"}",
            "credential helper `../x`: a name holds",
        ),
        (
            "{\"credsStore\": \"a b\\u001b\"}",
            "credential helper `a b\\u{1b}`",
        ),
        (
            "{\"credsStore\": \"no-such-helper\"}",
            "docker-credential-no-such-helper is in no absolute directory of PATH",
        ),
    ] {
        home.write("run/containers/auth.json", text);
        let line = shown(home.accounts().find("a.b", "x"));
        assert!(line.contains(part) && !line.contains("SECRET"), "{text}: {line}");
        assert!(!line.chars().any(char::is_control), "{line}");
    }
}

#[test]
fn only_files_that_nobody_else_can_write_are_read() {
    let home = Home::new();
    let file = home.write("run/containers/auth.json", "{}");
    for (mode, fine) in [
        (0o600, true),
        (0o444, true),
        (0o620, false),
        (0o602, false),
        (0o666, false),
    ] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("chmod");
        let found = home.accounts().find("a.b", "x");
        assert_eq!(found.is_ok(), fine, "{mode:o}");
        assert_eq!(home.accounts().store("a.b", "u", "p").is_ok(), fine, "{mode:o}");
        home.write("run/containers/auth.json", "{}");
    }
    if nix::unistd::getuid().is_root() {
        std::os::unix::fs::chown(&file, Some(65533), None).expect("chown");
        let line = shown(home.accounts().find("a.b", "x"));
        assert!(line.contains("belongs to uid 65533, not to you"), "{line}");
    }
    fs::remove_file(&file).expect("rm");
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).expect("mkfifo");
    assert!(shown(home.accounts().find("a.b", "x")).contains("not a regular file"));
}

#[test]
fn what_is_kept_is_found_and_forgotten() {
    let home = Home::new();
    let accounts = home.accounts();
    let file = home.path("run/containers/auth.json");
    assert!(!accounts.remove("a.b").expect("nothing"));
    assert!(!file.exists(), "nothing is made for what is not there");
    assert_eq!(
        accounts.store("A.b", "u", "p:w\u{e9}").expect("kept"),
        Kept::File(file.clone())
    );
    assert_eq!(shown(accounts.find("a.b", "x")), "u:p:w\u{e9}");
    let mode = |path: &Path| path.metadata().expect("there").permissions().mode() & 0o777;
    assert_eq!(
        (mode(&file), mode(file.parent().expect("a parent"))),
        (0o600, 0o700)
    );
    let text = "{\"HttpHeaders\":{\"x\":\"y\"},\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"eDp5\"},\"c.d\":{\"z\":1}}}";
    home.write("run/containers/auth.json", text);
    accounts.store("docker.io", "me", "2").expect("kept");
    accounts.store("a.b/c", "c", "3").expect("kept");
    let read = || serde_json::from_slice::<serde_json::Value>(&fs::read(&file).expect("read")).expect("json");
    let value = read();
    assert_eq!(value["HttpHeaders"]["x"], "y");
    assert_eq!(value["auths"]["c.d"]["z"], 1);
    assert_eq!(value["auths"].as_object().map(serde_json::Map::len), Some(3));
    assert_eq!(shown(accounts.find("docker.io", "library/x")), "me:2");
    assert_eq!(shown(accounts.find("a.b", "c")), "c:3");
    assert_eq!(shown(accounts.find("a.b", "d")), "nobody");
    assert!(accounts.remove("index.docker.io").expect("removed"));
    assert!(!accounts.remove("docker.io").expect("removed"));
    assert!(accounts.remove("a.b/c").expect("removed"));
    assert_eq!(read()["HttpHeaders"]["x"], "y");
    let left: Vec<_> = fs::read_dir(file.parent().expect("a parent"))
        .expect("list")
        .collect();
    assert_eq!(left.len(), 1, "nothing temporary is left: {left:?}");
}

#[test]
fn a_link_stays_a_link_and_a_wrong_file_stays() {
    let home = Home::new();
    let target = home.write("dotfiles/auth.json", "{}");
    fs::create_dir_all(home.path("run/containers")).expect("mkdir");
    let link = home.path("run/containers/auth.json");
    std::os::unix::fs::symlink(&target, &link).expect("link");
    home.accounts().store("a.b", "u", "p").expect("kept");
    assert!(link.symlink_metadata().expect("there").is_symlink());
    assert!(fs::read_to_string(&target).expect("read").contains("a.b"));
    for text in ["{", "{\"auths\": 1}"] {
        fs::write(&target, text).expect("write");
        assert!(home.accounts().store("a.b", "u", "p").is_err());
        assert_eq!(fs::read_to_string(&target).expect("read"), text);
    }
}

#[test]
fn without_a_runtime_directory_the_configuration_is_written() {
    let home = Home::new();
    let kept = home.with(&[("XDG_RUNTIME_DIR", "")]).store("a.b", "u", "p");
    let file = home.path(".config/containers/auth.json");
    assert_eq!(kept.expect("kept"), Kept::File(file));
    let none = Accounts::new(&of(&[]), 1).store("a.b", "u", "p");
    assert!(none.is_err());
}

#[test]
fn helpers_are_asked_and_told() {
    let home = Home::new();
    let json = "{\"auths\":{\"a.b\":{\"auth\":\"eDp5\"}},\"credHelpers\":{\"h.x\":\"one\",\"docker.io\":\"hub\"},\"credsStore\":\"all\"}";
    home.write("run/containers/auth.json", json);
    let log = home.path("log");
    let log = log.display();
    let answer = |user: &str| {
        format!(
            "echo \"$1 $(cat) $(env | cut -d= -f1 | sort | tr '\\n' ' ')$PWD\" >> {log}; echo '{{\"Username\":\"{user}\",\"Secret\":\"s\"}}'"
        )
    };
    home.helper("one", &answer("one"));
    home.helper("all", &answer("<token>"));
    home.helper(
        "hub",
        "read server; case $server in docker.io) echo '{\"Username\":\"hub\",\"Secret\":\"s\"}';; \
         *) echo credentials not found in native keychain; exit 1;; esac",
    );
    let accounts = home.with(&[
        ("SECRET_OF_MINE", "x"),
        ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/x"),
    ]);
    assert_eq!(shown(accounts.find("h.x", "y")), "one:s");
    assert_eq!(shown(accounts.find("a.b", "y")), "x:y");
    assert_eq!(shown(accounts.find("z.z", "y/z")), "token s");
    assert_eq!(shown(accounts.find("docker.io", "library/y")), "hub:s");
    assert_eq!(
        accounts.store("h.x", "me", "p\"w").expect("kept"),
        Kept::Helper("one".to_owned())
    );
    assert!(accounts.remove("z.z").expect("erased"));
    let log = fs::read_to_string(home.path("log")).expect("log");
    let lines: Vec<_> = log.lines().collect();
    assert!(
        lines[0].starts_with("get h.x DBUS_SESSION_BUS_ADDRESS HOME PATH PWD "),
        "{log}"
    );
    assert!(lines[0].ends_with("XDG_RUNTIME_DIR /"), "{log}");
    assert!(lines[1].starts_with("get z.z "), "{log}");
    let stored = "store {\"Secret\":\"p\\\"w\",\"ServerURL\":\"h.x\",\"Username\":\"me\"} ";
    assert!(lines[2].starts_with(stored), "{log}");
    assert!(
        lines[3].starts_with("get z.z ") && lines[4].starts_with("erase z.z "),
        "{log}"
    );
    assert_eq!(
        fs::read_to_string(home.path("run/containers/auth.json")).expect("read"),
        json
    );
}

#[test]
fn a_helper_that_fails_is_one_line() {
    let home = Home::new();
    home.write("run/containers/auth.json", "{\"credsStore\":\"x\"}");
    for (script, expected) in [
        ("exit 3", "docker-credential-x get for a.b failed: exit status: 3"),
        (
            "echo 'no \x1b[31mkeyring'; echo more; exit 1",
            "docker-credential-x get for a.b failed: no \\u{1b}[31mkeyring",
        ),
        (
            "echo broken >&2; exit 1",
            "docker-credential-x get for a.b failed: broken",
        ),
        (
            "echo '{\"Secret\":\"SECRET\"}'; exit 1",
            "docker-credential-x get for a.b failed: exit status: 1",
        ),
        (
            "kill -9 $$",
            "docker-credential-x get for a.b failed: signal: 9 (SIGKILL)",
        ),
        ("echo credentials not found in native keychain; exit 1", "nobody"),
        ("echo '{\"Username\":\"\",\"Secret\":\"\"}'", "nobody"),
        (
            "",
            "docker-credential-x has not answered with a JSON object that has Username and Secret",
        ),
        (
            "echo '{\"Username\":1,\"Secret\":\"SECRET\"}'",
            "docker-credential-x has not answered with a JSON object that has Username and Secret",
        ),
        (
            "echo SECRET",
            "docker-credential-x has not answered with a JSON object that has Username and Secret",
        ),
        (
            "exec cat /dev/zero",
            "docker-credential-x has written more than 64 KiB and was killed",
        ),
        (
            "exec cat /dev/zero >&2",
            "docker-credential-x has written more than 64 KiB and was killed",
        ),
        (
            "exec <&- >&- 2>&-; exit 1",
            "docker-credential-x get for a.b failed: exit status: 1",
        ),
    ] {
        home.helper("x", script);
        assert_eq!(shown(home.accounts().find("a.b", "x")), expected, "{script}");
    }
    home.helper("x", "cat >&2; exit 1");
    let line = home
        .accounts()
        .store("a.b", "u", "SECRET")
        .expect_err("fails")
        .to_string();
    assert_eq!(line, "docker-credential-x store for a.b failed: exit status: 1");
    home.program("docker-credential-x", "#!/no/such/interpreter\n");
    let line = shown(home.accounts().find("a.b", "x"));
    assert!(line.starts_with("cannot run docker-credential-x: "), "{line}");
}

#[test]
fn nobody_waits_for_a_helper_for_good() {
    let home = Home::new();
    home.write("run/containers/auth.json", "{\"credsStore\":\"x\"}");
    let mut accounts = home.accounts();
    accounts.helpers = accounts.helpers.with_timeout(Duration::from_millis(400));
    for script in [
        "exec sleep 60",
        "exec sleep 60 >&- 2>&-",
        "while :; do echo; sleep 0.01; done",
    ] {
        home.helper("x", script);
        let start = Instant::now();
        let line = shown(accounts.find("a.b", "x"));
        assert!(
            line.ends_with("has not answered within 0 s and was killed"),
            "{script}: {line}"
        );
        assert!(start.elapsed() < Duration::from_secs(20), "{script}");
    }
    // What it leaves behind keeps its streams, but its answer is there.
    home.helper("x", "sleep 30 & echo '{\"Username\":\"u\",\"Secret\":\"s\"}'");
    let start = Instant::now();
    assert_eq!(shown(home.accounts().find("a.b", "x")), "u:s");
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn helpers_of_relative_directories_are_not_run() {
    let home = Home::new();
    home.write("run/containers/auth.json", "{\"credsStore\":\"x\"}");
    home.helper("x", "echo '{\"Username\":\"u\",\"Secret\":\"s\"}'");
    for (path, found) in [("bin:.::../bin", false), ("", false)] {
        let line = shown(home.with(&[("PATH", path)]).find("a.b", "x"));
        assert_eq!(line == "u:s", found, "{path}: {line}");
    }
}

#[test]
fn nothing_of_a_credential_is_in_debug() {
    let home = Home::new();
    let accounts = home.with(&[("HTTP_PROXY", "http://u:SECRET@x")]);
    accounts.store("a.b", "u", "SECRET").expect("kept");
    let found = accounts.find("a.b", "x").expect("found");
    assert_eq!(format!("{found:?}"), "Some(credentials)");
    assert!(!format!("{accounts:?}").contains("SECRET"));
}

#[test]
fn two_at_once_lose_nothing() {
    let home = Home::new();
    let accounts = home.accounts();
    std::thread::scope(|scope| {
        for who in ["a", "b", "c"] {
            let accounts = &accounts;
            scope.spawn(move || {
                for n in 0..4 {
                    accounts.store(&format!("{who}{n}.x"), who, "p").expect("kept");
                }
            });
        }
    });
    for who in ["a", "b", "c"] {
        for n in 0..4 {
            assert_eq!(
                shown(accounts.find(&format!("{who}{n}.x"), "y")),
                format!("{who}:p")
            );
        }
    }
}

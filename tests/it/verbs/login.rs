//! Passwords are tried before they are kept, and are seen nowhere.

use super::registry::Registry;
use super::{Place, image, two};
use crate::pty::{ALL, Terminal};
use crate::util::tar::{Entry, Tar};
use nix::sys::termios::LocalFlags;

fn locked() -> Registry {
    let image = image("one", [Tar::new([Entry::file("says", "x")])]);
    Registry::default().image("one", &["1"], &image).locked().serve()
}

#[test]
fn a_password_is_kept_when_it_is_right() {
    let (registry, place) = (locked(), Place::new());
    let (host, one) = (registry.host(), registry.name("one:1"));
    place.out(&["pull", "-q", &one]).code(125).says("sbx login");
    let login = |password: &str| {
        let login = place.sbx(["login", "-u", "me", "--password-stdin", &host]);
        login.stdin(password).out()
    };
    let out = login("wrong-word\n");
    out.code(125).says(&format!("login to {host}: "));
    assert!(
        !out.stderr().contains("wrong-word") && out.stderr().lines().count() == 1,
        "{}",
        out.stderr()
    );
    let file = place.dir.path().join("containers/auth.json");
    assert!(!file.exists(), "nothing is kept");
    for password in ["pass", "pass\n", "pass\r\n"] {
        login(password)
            .code(0)
            .says(&format!("logged in to {host} as me"));
        assert!(
            std::fs::read_to_string(&file)
                .expect("kept")
                .contains("bWU6cGFzcw==")
        );
    }
    place.ok(&["pull", "-q", &one]);
    // One that was right stays when a wrong one is tried.
    login("wrong-word").code(125);
    place.ok(&["pull", "-q", &one]);
    assert_eq!(place.ok(&["logout", &host]), format!("logged out of {host}"));
    assert!(!std::fs::read_to_string(&file).expect("a file").contains("bWU6"));
    place.out(&["pull", "-q", &one]).code(125).says("sbx login");
    place
        .out(&["logout", &host])
        .code(125)
        .says("nothing is kept for it");
}

#[test]
fn one_may_log_in_to_a_path() {
    let (registry, place) = (locked(), Place::new());
    let (host, one) = (registry.host(), registry.name("one:1"));
    let login = |path: &str| {
        let login = place.sbx(["login", "-u", "me", "--password-stdin", &format!("{host}/{path}")]);
        login.stdin("pass").out().ok()
    };
    login("other");
    place.out(&["pull", "-q", &one]).code(125);
    login("test");
    place.ok(&["pull", "-q", &one]);
    place.out(&["logout", &host]).code(125);
    place.ok(&["logout", &format!("{host}/test")]);
}

#[test]
fn what_is_no_registry_gets_no_password() {
    let Some((registry, place)) = two() else { return };
    let image = registry.name("one:1");
    // No registry listens there.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let free = listener.local_addr().expect("an address").to_string();
    drop(listener);
    let login = |host: &str, password: &[u8]| {
        let login = place.sbx(["login", "-u", "me", "--password-stdin", host]);
        login.stdin(password).out()
    };
    login(&free, b"pass").code(125).says("cannot be reached");
    for (host, code, says) in [
        ("quay", 2, "is no registry of any image"),
        ("quay/me", 2, "is no registry of any image"),
        ("", 2, "is no registry"),
        ("a b", 2, "is no registry"),
        (&image, 2, "is no registry"),
        ("https://me:pass@quay.io", 2, "is no registry"),
    ] {
        login(host, b"pass").code(code).says(says);
    }
    for (password, says) in [(&b""[..], "is empty"), (b"a\nb", "control"), (b"\xff", "UTF-8")] {
        login(&registry.host(), password).code(2).says(says);
    }
    let named = |name: &str| place.sbx(["login", "-u", name, "--password-stdin", &registry.host()]);
    named("m:e").stdin("pass").out().code(125).says("no colon");
    place
        .out(&["login", "--password-stdin"])
        .code(2)
        .says("--username");
    assert!(!place.dir.path().join("containers/auth.json").exists());
}

#[test]
fn without_a_terminal_it_says_how() {
    let place = Place::new();
    let (command, _home) = place.sbx(["login", "quay.io"]).into_command();
    // A session of its own has no terminal.
    let mut alone = std::process::Command::new("setsid");
    alone
        .arg("--wait")
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .stdin(std::process::Stdio::null());
    for (name, value) in command.get_envs() {
        alone.env(name, value.unwrap_or_default());
    }
    let out = crate::util::Out::from(alone.output().expect("setsid"));
    out.code(2).says("no terminal").says("--password-stdin");
}

/// Keys are shown, and some of them are signals.
fn as_before(terminal: &Terminal) {
    let all = LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG;
    assert!(terminal.modes().local_flags.contains(all));
}

#[test]
fn a_password_that_is_typed_is_not_seen() {
    let (registry, place) = (locked(), Place::new());
    let host = registry.host();
    let (command, home) = place.sbx(["login", &host]).into_command();
    let mut terminal = Terminal::start(&command, home, ALL);
    terminal.sees(&format!("name at {host}: "));
    terminal.keys("mee\x7f\r");
    terminal.sees(&format!("password of me at {host}: "));
    terminal.keys("pasx\x7fs\r");
    terminal.sees("logged in to");
    as_before(&terminal);
    let screen = terminal.screen();
    assert!(screen.contains(": mee") && !screen.contains("pasx"), "{screen}");
    assert_eq!(terminal.end(), 0);
    place.ok(&["pull", "-q", &registry.name("one:1")]);
}

#[test]
fn typing_can_be_given_up() {
    let (registry, place) = (locked(), Place::new());
    let (command, home) = place.sbx(["login", "-u", "me", &registry.host()]).into_command();
    let mut terminal = Terminal::start(&command, home, ALL);
    terminal.sees("password of me at");
    terminal.keys("pass\x03");
    terminal.sees("not logged in");
    as_before(&terminal);
    assert_eq!(terminal.end(), 125);
    assert!(!place.dir.path().join("containers/auth.json").exists());
}

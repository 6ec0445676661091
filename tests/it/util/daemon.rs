//! Debian's docker-registry: one of each kind for all tests of the process, and more for those that want their own.

use super::image::Built;
use super::{skip, within};
use crate::registry::server::{AUTHORITY, CERTIFICATE, KEY};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

pub const USER: &str = "ada";
pub const PASSWORD: &str = "correct horse";

/// She, and `user` with `the secret`; with the least rounds that bcrypt has.
const HTPASSWD: &str = "ada:$2y$04$8PTmDpwA/4T98HEyTpzYuu1Gy50ahNjyroY52sujiUsTU6qg91lSK\n\
                        user:$2b$04$XKPY7p/acBZeU/46Wx6Ws.Mlq56KufdbtgQcl2.irSCKJQna6fIqm\n";

/// What of it is not as usual.
#[derive(Clone, Copy, Default)]
pub struct Kind {
    /// It wants a password.
    pub password: bool,
    /// It speaks https, with the certificate of the tests.
    pub tls: bool,
}

/// A registry that runs until this is dropped, or this process ends.
pub struct Daemon {
    pub port: u16,
    /// Its configuration, its data, what it says, and the certificate of its authority.
    pub dir: PathBuf,
    password: bool,
    /// The shell that keeps it: it waits for the end of this pipe, and nobody else has the other end.
    _keeper: Child,
}

/// The one that speaks http and lets everybody in. `None`, and a skip, where there is no docker-registry or no skopeo.
pub fn plain() -> Option<&'static Daemon> {
    static PLAIN: OnceLock<Option<Daemon>> = OnceLock::new();
    shared(&PLAIN, Kind::default())
}

/// The one that wants a password.
pub fn with_password() -> Option<&'static Daemon> {
    static AUTH: OnceLock<Option<Daemon>> = OnceLock::new();
    shared(
        &AUTH,
        Kind {
            password: true,
            tls: false,
        },
    )
}

/// The one that speaks https, as `localhost`.
pub fn with_certificate() -> Option<&'static Daemon> {
    static TLS: OnceLock<Option<Daemon>> = OnceLock::new();
    shared(
        &TLS,
        Kind {
            password: false,
            tls: true,
        },
    )
}

fn shared(one: &'static OnceLock<Option<Daemon>>, kind: Kind) -> Option<&'static Daemon> {
    // Asked by each test: each is skipped.
    if !there("skopeo") || !there("docker-registry") {
        return None;
    }
    one.get_or_init(|| Daemon::start(kind)).as_ref()
}

/// skopeo with a home, a runtime directory and so an auth file of its own: what else ran on this machine is nothing to it.
pub fn skopeo(home: &Path) -> Command {
    let mut skopeo = Command::new("skopeo");
    skopeo.env("HOME", home).env("XDG_RUNTIME_DIR", home);
    skopeo
        .env_remove("REGISTRY_AUTH_FILE")
        .env_remove("DOCKER_CONFIG");
    skopeo.env_remove("XDG_CONFIG_HOME").arg("--insecure-policy");
    skopeo
}

/// Whether a program can be run; else the test that needs it is skipped.
fn there(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        skip(program, "not installed");
    }
    found
}

impl Daemon {
    /// One of a test's own. `None`, and a skip, where none is installed.
    pub fn start(kind: Kind) -> Option<Self> {
        if !there("docker-registry") {
            return None;
        }
        // Not removed here: a static is never dropped. The shell below does it.
        let dir = tempfile::Builder::new().prefix("sbx-test-registry-").tempdir();
        let dir = dir.expect("a directory").keep();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let at = dir.display();
        let mut config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {at}/data\nhttp:\n  addr: 127.0.0.1:{port}\n"
        );
        if kind.tls {
            config += &format!("  tls:\n    certificate: {at}/host.pem\n    key: {at}/host.key\n");
        }
        if kind.password {
            config += &format!("auth:\n  htpasswd:\n    realm: x\n    path: {at}/htpasswd\n");
        }
        for (name, bytes) in [
            ("config.yml", config.as_bytes()),
            ("htpasswd", HTPASSWD.as_bytes()),
            ("ca.pem", AUTHORITY.as_bytes()),
            ("host.pem", CERTIFICATE),
            ("host.key", KEY),
        ] {
            std::fs::write(dir.join(name), bytes).expect("room");
        }
        let keep =
            "docker-registry serve config.yml >log 2>&1 & cat >/dev/null; kill $!; wait; rm -rf \"$0\"";
        let keeper = Command::new("sh")
            .args([Path::new("-c"), Path::new(keep), &dir])
            .current_dir(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let daemon = Self {
            port,
            dir,
            password: kind.password,
            _keeper: keeper.expect("a shell"),
        };
        let answers = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        within(Duration::from_secs(30), "docker-registry", answers);
        Some(daemon)
    }

    /// The full name of what is called so here.
    pub fn name(&self, repository: &str) -> String {
        format!("127.0.0.1:{}/{repository}", self.port)
    }

    /// Pushes an image with skopeo, and gives its full name.
    pub fn push(&self, image: &Built, repository: &str) -> String {
        let (_dir, layout) = image.layout();
        self.copy(&format!("oci:{}:it", layout.display()), repository)
    }

    /// Has skopeo bring here whatever it can read.
    pub fn copy(&self, from: &str, repository: &str) -> String {
        let name = self.name(repository);
        let mut skopeo = skopeo(&self.dir);
        skopeo.args(["copy", "--all", "--preserve-digests", "--quiet"]);
        skopeo.arg("--dest-tls-verify=false");
        if self.password {
            skopeo.arg(format!("--dest-creds={USER}:{PASSWORD}"));
        }
        let out = skopeo.args([from, &format!("docker://{name}")]).output();
        let out = out.expect("skopeo");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        name
    }

    /// What it was asked about a repository since it runs: `GET /v2/…`, in its own log's words.
    pub fn asked(&self, repository: &str) -> Vec<String> {
        let log = std::fs::read_to_string(self.dir.join("log")).expect("the log");
        let path = format!("/v2/{repository}/");
        let requests = log
            .lines()
            .filter(|line| line.starts_with("127.0.0.1 ") && line.contains(" \"sbx/"));
        let requests = requests.filter_map(|line| line.split('"').nth(1));
        let own = requests.filter(|request| request.contains(&path));
        own.map(str::to_owned).collect()
    }
}

//! Debian's docker-registry, one of each kind for all tests of the process: plain, with a password, and with a certificate.

use super::make::Built;
use crate::util::{skip, within};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

pub const USER: &str = "ada";
pub const PASSWORD: &str = "correct horse";

/// A registry that runs until this process ends.
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
    PLAIN
        .get_or_init(|| Daemon::start("", ""))
        .as_ref()
        .or_else(lacking)
}

/// The one that wants a password.
pub fn with_password() -> Option<&'static Daemon> {
    static AUTH: OnceLock<Option<Daemon>> = OnceLock::new();
    let auth = "auth:\n  htpasswd:\n    realm: x\n    path: DIR/htpasswd\n";
    AUTH.get_or_init(|| Daemon::start("", auth))
        .as_ref()
        .or_else(lacking)
}

/// The one that speaks https, as `localhost`.
pub fn with_certificate() -> Option<&'static Daemon> {
    static TLS: OnceLock<Option<Daemon>> = OnceLock::new();
    let tls = "  tls:\n    certificate: DIR/host.pem\n    key: DIR/host.key\n";
    TLS.get_or_init(|| Daemon::start(tls, ""))
        .as_ref()
        .or_else(lacking)
}

fn lacking<T>() -> Option<T> {
    skip(
        "docker-registry",
        "no docker-registry, skopeo, htpasswd or openssl",
    );
    None
}

/// Whether a command can be run and ends well.
fn done(command: &mut Command) -> bool {
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

fn openssl(dir: &Path, words: &str) -> bool {
    done(Command::new("openssl").current_dir(dir).args(words.split(' ')))
}

/// An authority of its own, and a certificate of it for `localhost`.
fn certificates(dir: &Path) -> bool {
    let names = "subjectAltName=DNS:localhost,DNS:registry.test,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n";
    std::fs::write(dir.join("names"), names).expect("room");
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(
        dir,
        &format!("req -x509 {key} -keyout ca.key -out ca.pem -days 30 -subj /CN=authority"),
    ) && openssl(
        dir,
        &format!("req {key} -keyout host.key -out host.csr -subj /CN=localhost"),
    ) && openssl(
        dir,
        "x509 -req -in host.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile names -out host.pem",
    )
}

fn password_file(dir: &Path) -> bool {
    let made = Command::new("htpasswd").args(["-Bbn", USER, PASSWORD]).output();
    made.is_ok_and(|out| std::fs::write(dir.join("htpasswd"), out.stdout).is_ok() && out.status.success())
}

impl Daemon {
    fn start(http: &str, more: &str) -> Option<Self> {
        let there = |name: &str| done(Command::new(name).arg("--version"));
        if !there("docker-registry") || !there("skopeo") {
            return None;
        }
        // Not removed here: a static is never dropped. The shell below does it.
        let dir = tempfile::Builder::new().prefix("sbx-test-registry-").tempdir();
        let dir = dir.expect("a directory").keep();
        if !certificates(&dir) || !password_file(&dir) {
            return None;
        }
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: DIR/data\nhttp:\n  addr: 127.0.0.1:{port}\n{http}{more}"
        );
        let config = config.replace("DIR", &dir.display().to_string());
        std::fs::write(dir.join("config.yml"), config).expect("room");
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
            password: more.contains("htpasswd"),
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
        let mut skopeo = Command::new("skopeo");
        skopeo.args([
            "--insecure-policy",
            "copy",
            "--all",
            "--preserve-digests",
            "--quiet",
        ]);
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

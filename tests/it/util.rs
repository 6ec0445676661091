//! What the tests share: a directory of one's own, one sbx command line, what came out of it, and skips that are counted.

pub mod bus;
pub mod daemon;
pub mod image;
pub mod tar;

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// The binary under test: `$SBX_TEST_BINARY`, or the one that cargo built beside the tests.
pub fn binary() -> PathBuf {
    std::env::var_os("SBX_TEST_BINARY")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_sbx")), PathBuf::from)
}

/// The program that attacks: `$SBX_TEST_ATTACKER`, or the example that cargo built beside the binary.
pub fn attacker() -> PathBuf {
    std::env::var_os("SBX_TEST_ATTACKER").map_or_else(
        || binary().with_file_name("examples").join("attacker"),
        PathBuf::from,
    )
}

/// Whether these tests run as root.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Notes a skip where `scripts/test` counts it (`$SBX_TEST_SKIPS`) and says it. CI allows only the keys that it names.
pub fn skip(key: &str, reason: &str) {
    eprintln!("SKIP({key}): {reason}");
    if let Some(path) = std::env::var_os("SBX_TEST_SKIPS") {
        let mut file = std::fs::File::options()
            .append(true)
            .create(true)
            .open(path)
            .expect("$SBX_TEST_SKIPS");
        writeln!(file, "SKIP({key}): {reason}").expect("$SBX_TEST_SKIPS");
    }
}

/// Whether ranges of ids can be mapped: always as root, with newuidmap and sub-ids otherwise.
pub fn has_range() -> bool {
    static RANGE: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *RANGE.get_or_init(|| {
        let run = Sbx::run("default").args(["--map", "range", "host", "--", "true"]);
        is_root() || run.out().code == Some(0)
    })
}

/// The same; where they cannot, the test is skipped.
pub fn range() -> bool {
    if !has_range() {
        skip("range", "no newuidmap or no sub-ids");
    }
    has_range()
}

/// A directory of the test's own, removed with it. World-readable, since under root the sandbox runs as another id.
pub struct Dir(tempfile::TempDir);

impl Dir {
    pub fn new() -> Self {
        // Modes are what a test says, whoever runs it; sbx and other programs inherit it.
        static UMASK: std::sync::Once = std::sync::Once::new();
        UMASK.call_once(|| {
            nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
        });
        let dir = tempfile::Builder::new()
            .prefix("sbx-test-")
            .tempdir()
            .expect("a temporary directory");
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("chmod");
        Self(dir)
    }

    /// One that anybody may write to: under root the sandbox is another user.
    pub fn open() -> Self {
        let dir = Self::new();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).expect("chmod");
        dir
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, with the directories on its way.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("mkdir");
        std::fs::write(&path, content).expect("write");
        path
    }

    /// Writes a file that can be executed, with the directories on its way.
    pub fn script(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let source = self.write(&format!("{name}.source"), content);
        let path = self.program(name, &source);
        std::fs::remove_file(source).expect("its source");
        path
    }

    /// A copy of a program, with the directories on its way. Another process makes it: were it open for writing here, a process that
    /// another test starts at that moment would have it open too, and it could not be run (ETXTBSY).
    pub fn program(&self, name: &str, from: impl AsRef<Path>) -> PathBuf {
        let path = self.path().join(name);
        let mut install = Command::new("install");
        let done = install
            .args(["-D", "-m", "755"])
            .arg(from.as_ref())
            .arg(&path)
            .status();
        assert!(done.expect("install").success());
        path
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }
}

/// One sbx command line. Environment and standard input are empty unless a test says otherwise; the working directory is one that
/// nothing is in.
pub struct Sbx {
    command: Command,
    input: Vec<u8>,
    _home: Dir,
}

impl Sbx {
    /// `sbx VERB…`, with a home of its own.
    pub fn new<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Self {
        let home = Dir::new();
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("HOME", home.path())
            .current_dir(home.path());
        Self {
            command,
            input: Vec::new(),
            _home: home,
        }
    }

    /// `sbx run --profile PROFILE …`; flags, image and command follow by [`Sbx::args`].
    pub fn run(profile: &str) -> Self {
        Self::new(["run", "--quiet", "--profile", profile])
    }

    /// `sbx run --profile PROFILE host -- sh -c SCRIPT`
    pub fn sh(profile: &str, script: &str) -> Self {
        Self::run(profile).args(["host", "--", "sh", "-c", script])
    }

    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.command.args(arguments);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn within(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    pub fn stdin(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// The command itself, for what this type has no word for.
    pub fn into_command(self) -> (Command, Dir) {
        (self.command, self._home)
    }

    /// Starts it, with all three streams as pipes.
    pub fn spawn(mut self) -> (Child, Dir) {
        let all = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        (all.spawn().expect("sbx starts"), self._home)
    }

    /// Runs it to its end, with all three streams as pipes.
    pub fn out(mut self) -> Out {
        let input = std::mem::take(&mut self.input);
        let (mut child, _home) = self.spawn();
        let mut stdin = child.stdin.take().expect("a pipe");
        let writer = std::thread::spawn(move || {
            // A command that does not read its input is no failure.
            let _ = stdin.write_all(&input);
        });
        let output = child.wait_with_output().expect("sbx ends");
        writer.join().expect("the writer");
        output.into()
    }
}

/// What came out.
pub struct Out {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl From<Output> for Out {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            signal: output.status.signal(),
            stdout: output.stdout,
            stderr: output.stderr,
        }
    }
}

impl Out {
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Exit code 0, or the test fails with everything that was said. Gives standard output without the last newline.
    #[track_caller]
    pub fn ok(&self) -> String {
        self.code(0);
        self.stdout().trim_end_matches('\n').to_owned()
    }

    /// This exit code, or the test fails.
    #[track_caller]
    pub fn code(&self, expected: i32) -> &Self {
        assert_eq!(
            self.code,
            Some(expected),
            "signal {:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.signal,
            self.stdout(),
            self.stderr()
        );
        self
    }

    /// Standard error holds this text.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        assert!(
            self.stderr().contains(text),
            "`{text}` is not in standard error:\n{}",
            self.stderr()
        );
        self
    }
}

/// A time that is enough on any machine, and as many times that as `$SBX_TEST_PATIENCE` says where an emulator is slow.
pub fn patient(limit: Duration) -> Duration {
    let factor = std::env::var("SBX_TEST_PATIENCE")
        .ok()
        .and_then(|n| n.parse::<u32>().ok());
    limit * factor.unwrap_or(1)
}

/// Waits until something holds, looking every 5 ms.
pub fn within(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    let limit = patient(limit);
    while !holds() {
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A shell outside, where `$S` is sbx with these words; for what a pipeline does with its streams.
pub fn outer_shell(words: &str, script: &str) -> Out {
    // The home is another directory, since no profile hands it over.
    let (home, work) = (Dir::new(), Dir::open());
    Command::new("bash")
        .args(["-c", script])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", home.path())
        .env("S", format!("{} {words}", binary().display()))
        .current_dir(work.path())
        .output()
        .expect("bash starts")
        .into()
}

/// Processes of which a file in /proc, `cmdline` or `environ`, holds a word; not the one that asks.
pub fn processes(file: &str, word: &str) -> Vec<u32> {
    let own = std::process::id();
    let holds = |pid: &u32| {
        let text = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        text.windows(word.len()).any(|part| part == word.as_bytes())
    };
    std::fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != own && holds(pid))
        .collect()
}

/// A working directory of the sandbox's own user, filled by a function.
pub fn project(fill: impl FnOnce(&Dir)) -> Dir {
    let dir = Dir::new();
    fill(&dir);
    hand_over(dir.path());
    dir
}

/// Gives a tree to whom the sandbox runs as: under root that is an id of an unprivileged range, which owns nothing on the host.
pub fn hand_over(at: &Path) {
    if !is_root() {
        return;
    }
    static INSIDE: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    let uid = *INSIDE.get_or_init(|| {
        let said = Sbx::sh("default", "cat /proc/self/uid_map; id -u").out().ok();
        let numbers: Vec<u32> = said
            .split_whitespace()
            .map(|n| n.parse().expect("a number"))
            .collect();
        assert_eq!(numbers.len(), 4, "one range and an id: {said}");
        numbers[1] + numbers[3] - numbers[0]
    });
    give(at, uid);
}

fn give(at: &Path, uid: u32) {
    std::os::unix::fs::lchown(at, Some(uid), Some(uid)).expect("chown");
    if at.symlink_metadata().expect("stat").is_dir() {
        for entry in std::fs::read_dir(at).expect("read") {
            give(&entry.expect("an entry").path(), uid);
        }
    }
}

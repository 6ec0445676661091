//! Attacks, made from inside a real sandbox. Every test is named after what must hold, and each holds its own check: the same attack
//! succeeds where just that protection is switched off (`tests/profiles`), or outside, against a process that nothing protects.

mod environment;
mod failing_calls;
mod files;
mod harmless;
mod ipc;
mod kernel;
mod limits;
mod losses;
mod masks;
mod modes;
mod mounts;
mod names;
mod namespaces;
mod network;
mod proc;
mod process;
mod roots;
mod runtime;
mod shown_sockets;
mod sockets;
mod streams;

use crate::util::{Dir, Out, Sbx, attacker};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The profiles that people use, each of which must stop an attack where a test says no more.
const BUILT_IN: [&str; 2] = ["strict", "default"];

/// All profiles that come with sbx.
const ALL: [&str; 3] = ["strict", "default", "build"];

/// Profiles under which the network is the sandbox's own, with Landlock and without.
fn in_a_network_of_its_own() -> [String; 5] {
    let own = |name: &str| name.to_owned();
    [
        own("strict"),
        own("default"),
        own("build"),
        profile("no-landlock-strict"),
        profile("no-landlock"),
    ]
}

/// A profile of `tests/profiles`.
pub(crate) fn profile(name: &str) -> String {
    let directory = std::env::var_os("SBX_TEST_PROFILES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/profiles"),
        PathBuf::from,
    );
    let path = directory.join(name).with_extension("toml");
    assert!(path.exists(), "{}", path.display());
    path.display().to_string()
}

/// `sbx run --profile PROFILE` with the attacker at `/attacker`; flags follow, then [`Attack::attack`].
fn under(profile: &str) -> Sbx {
    let bind = format!("{}:/attacker:ro", attacker().display());
    Sbx::run(profile).args(["-v", &bind])
}

/// How a command line that is complete but for the command goes on.
trait Attack {
    /// Attacks with a program of the attacker's language, in the host's own tools.
    fn attack(self, program: &str) -> Answers;
    /// Runs a shell script there.
    fn shell(self, script: &str) -> Out;
}

impl Attack for Sbx {
    fn attack(self, program: &str) -> Answers {
        Answers(self.args(["host", "--", "/attacker", program]).out())
    }

    fn shell(self, script: &str) -> Out {
        self.args(["host", "--", "sh", "-c", script]).out()
    }
}

/// The attack in a profile, without further flags.
fn attack(profile: &str, program: &str) -> Answers {
    under(profile).attack(program)
}

/// The attack outside, where nothing stops it.
fn outside(program: &str) -> Answers {
    Answers(finish(attacker_command([program]).stdin(Stdio::null())))
}

/// What the kernel's Landlock knows, by its own word: 4 has rules for TCP, 6 has scopes. 0: it has none, or was started without.
fn landlock() -> i64 {
    let answers = outside("landlock_create_ruleset 0 0 1");
    match &*answers.of("landlock_create_ruleset") {
        "ENOSYS" | "EOPNOTSUPP" => 0,
        _ => answers.number("landlock_create_ruleset"),
    }
}

/// The attacker as a process of the host.
fn attacker_command<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(attacker());
    command.args(arguments);
    command
}

/// A command's end.
fn finish(command: &mut Command) -> Out {
    use std::os::unix::process::ExitStatusExt;
    let output = command.output().expect("the command starts");
    Out {
        code: output.status.code(),
        signal: output.status.signal(),
        stdout: output.stdout,
        stderr: output.stderr,
    }
}

/// What the attacker printed: one answer a step.
struct Answers(Out);

impl Answers {
    /// All answers to steps of this name.
    #[track_caller]
    fn all(&self, step: &str) -> Vec<String> {
        let text = self.0.stdout();
        let lines = text.lines().filter_map(|line| line.split_once('='));
        lines
            .filter(|(name, _)| *name == step)
            .map(|(_, answer)| answer.to_owned())
            .collect()
    }

    /// The last answer to a step of this name.
    #[track_caller]
    fn of(&self, step: &str) -> String {
        let Some(last) = self.all(step).pop() else {
            panic!(
                "no answer to {step}: code {:?}, signal {:?}\n{}\n{}",
                self.0.code,
                self.0.signal,
                self.0.stdout(),
                self.0.stderr()
            )
        };
        last
    }

    /// The number that a step was answered with: it was done.
    #[track_caller]
    fn number(&self, step: &str) -> i64 {
        let answer = self.of(step);
        answer
            .parse()
            .unwrap_or_else(|_| panic!("{step}={answer}\n{}{}", self.0.stdout(), self.0.stderr()))
    }

    /// The answer to a step is one of these errors.
    #[track_caller]
    fn refused(&self, step: &str, errors: &[&str]) {
        let answer = self.of(step);
        assert!(
            errors.contains(&answer.as_str()),
            "{step}={answer}, not one of {errors:?}\n{}{}",
            self.0.stdout(),
            self.0.stderr()
        );
    }
}

/// A process of the host that must live on: whatever is inside must not reach it. Killed at the end.
struct Victim(Child);

impl Victim {
    fn new() -> Self {
        Self::of(Command::new("sleep").arg("600"))
    }

    /// Any other command, with none of our streams: a test that fails must not leave its output open.
    fn of(command: &mut Command) -> Self {
        for set in [Command::stdin, Command::stdout, Command::stderr] {
            set(command, Stdio::null());
        }
        Self(command.spawn().expect("the command starts"))
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().expect("wait").is_none()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A file of the host with a secret in it, readable by everybody, in a directory of its own.
fn secret() -> (Dir, PathBuf) {
    let dir = Dir::new();
    let path = dir.write("secret", "top secret\n");
    (dir, path)
}

/// A socket address as words of the attacker's language.
fn bytes(of: &[u8]) -> String {
    let list: Vec<String> = of.iter().map(u8::to_string).collect();
    format!("@b:{}", list.join(","))
}

/// `struct sockaddr_un` of a path, or of an abstract name that starts with NUL.
fn unix(name: &str) -> String {
    let mut of = vec![1, 0];
    of.extend(name.bytes());
    bytes(&of)
}

//! A terminal with somebody at it: a pseudo-terminal whose keys a test presses and whose screen it reads.

use crate::util::{Dir, patient};
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::termios::{Termios, tcgetattr};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than anything here takes, shorter than anybody's patience.
const LIMIT: Duration = Duration::from_secs(10);

/// A terminal and the process that leads its session.
pub struct Terminal {
    master: Option<File>,
    name: String,
    /// Its modes before anybody could change them.
    pub fresh: Termios,
    child: Child,
    screen: Vec<u8>,
    /// How much of the screen has been looked at.
    read: usize,
    _home: Dir,
}

/// Which standard streams of a command are the terminal; the others are pipes.
pub const ALL: [bool; 3] = [true; 3];

impl Terminal {
    /// Starts a command as the leader of a session on a new terminal of 24 lines and 80 columns.
    pub fn start(command: &Command, home: Dir, streams: [bool; 3]) -> Self {
        let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).expect("a terminal");
        grantpt(&master).expect("grantpt");
        unlockpt(&master).expect("unlockpt");
        let name = ptsname_r(&master).expect("its name");
        // Close-on-exec from the first moment: a sandbox of another test must not keep this terminal open.
        let master = File::from(OwnedFd::from(master));
        let slave = || -> OwnedFd {
            let mut options = File::options();
            options.read(true).write(true);
            std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, OFlag::O_NOCTTY.bits());
            options.open(&name).expect("the slave").into()
        };
        let slaves = streams.map(|wanted| wanted.then(slave));
        // Kept until the command has opened it: a terminal that nobody has open reads as hung up.
        let _first = slave();
        stty(&name, &["rows", "24", "cols", "80"]);
        let fresh = tcgetattr(master.as_fd()).expect("modes");
        let [input, output, error] = slaves.map(|s| s.map_or_else(Stdio::piped, Stdio::from));
        let mut leader = session(command, streams, &name);
        let child = leader
            .stdin(input)
            .stdout(output)
            .stderr(error)
            .spawn()
            .expect("setsid starts");
        Self {
            master: Some(master),
            name,
            fresh,
            child,
            screen: Vec::new(),
            read: 0,
            _home: home,
        }
    }

    fn master(&self) -> &File {
        self.master.as_ref().expect("not hung up")
    }

    /// Closes the window.
    pub fn hang_up(&mut self) {
        self.master = None;
    }

    /// Presses keys.
    pub fn keys(&mut self, keys: &str) {
        self.master().write_all(keys.as_bytes()).expect("keys");
    }

    /// Waits until this text is on the screen, after what was seen before.
    #[track_caller]
    pub fn sees(&mut self, text: &str) {
        let start = Instant::now();
        loop {
            let rest = &self.screen[self.read..];
            if let Some(at) = rest.windows(text.len()).position(|w| w == text.as_bytes()) {
                self.read += at + text.len();
                return;
            }
            assert!(
                start.elapsed() < patient(LIMIT) && self.more(Duration::from_millis(100)) != Some(false),
                "`{text}` is not on the screen:\n{}\n(all of it: {:?})",
                self.shown(),
                String::from_utf8_lossy(&self.screen)
            );
        }
    }

    /// What has been on the screen since the last look.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.screen[self.read..]).into_owned()
    }

    /// Everything that was ever on the screen.
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen).into_owned()
    }

    /// Reads what is there: `None` when nothing came, `false` when the terminal has been hung up.
    fn more(&mut self, patience: Duration) -> Option<bool> {
        let timeout = PollTimeout::try_from(patience).expect("a short time");
        let mut fds = [PollFd::new(self.master().as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, timeout).expect("poll") == 0 {
            return None;
        }
        let mut buffer = [0; 65536];
        match self.master().read(&mut buffer) {
            Ok(n) if n > 0 => {
                self.screen.extend_from_slice(&buffer[..n]);
                Some(true)
            }
            _ => Some(false),
        }
    }

    /// Changes the window's size.
    pub fn resize(&self, rows: u16, columns: u16) {
        stty(
            &self.name,
            &["rows", &rows.to_string(), "cols", &columns.to_string()],
        );
    }

    /// The terminal's modes.
    pub fn modes(&self) -> Termios {
        tcgetattr(self.master().as_fd()).expect("modes")
    }

    /// The process that leads the session.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The pipe of a stream that is not the terminal.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits for the end of the command; everything that it wrote has been read then. Its exit code, or 128 and a signal.
    #[track_caller]
    pub fn end(&mut self) -> i32 {
        let start = Instant::now();
        let status = loop {
            self.more(Duration::from_millis(10));
            if let Some(status) = self.child.try_wait().expect("wait") {
                break status;
            }
            assert!(
                start.elapsed() < patient(LIMIT),
                "it does not end; on the screen:\n{}",
                self.screen()
            );
        };
        while self.more(Duration::from_millis(50)) == Some(true) {}
        status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// setsid(1) makes its standard input the controlling terminal and execs; where that is a pipe, the shell opens the terminal first.
fn session(command: &Command, streams: [bool; 3], name: &str) -> Command {
    let mut leader = Command::new("setsid");
    if streams[0] {
        leader.arg("--ctty");
    } else {
        leader.args(["sh", "-c", ": <\"$0\"; exec \"$@\"", name]);
    }
    leader
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .env("TERM", "xterm");
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            leader.env(name, value);
        }
    }
    if let Some(directory) = command.get_current_dir() {
        leader.current_dir(directory);
    }
    leader
}

fn stty(name: &str, words: &[&str]) {
    let done = Command::new("stty")
        .args(["-F", name])
        .args(words)
        .status()
        .expect("stty starts");
    assert!(done.success(), "stty {words:?}");
}

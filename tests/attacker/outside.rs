//! Parts that are played outside the sandbox: what starts sbx with something that it must not pass on.
//!
//! ```text
//! as:leaker PATH COMMAND…    executes COMMAND with PATH open as descriptors 3 to 20
//! as:keeper NAME COMMAND…    executes COMMAND with a key NAME in its session keyring
//! as:terminal COMMAND…       runs COMMAND on a pseudo-terminal of its own; then prints what was typed into that and not read
//! as:swapper A B             exchanges two names as fast as it can, until its standard input ends
//! ```

use super::step::raw;
use std::ffi::CString;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, exit};

/// Plays the part and does not come back.
pub(crate) fn play(role: &str) -> ! {
    let words: Vec<String> = std::env::args().skip(2).collect();
    match role {
        "leaker" => leaker(&words),
        "keeper" => keeper(&words),
        "terminal" => terminal(&words),
        "swapper" => swapper(&words),
        _ => panic!("no such part: {role}"),
    }
}

fn become_command(words: &[String]) -> ! {
    let (name, arguments) = words.split_first().expect("a command");
    panic!("{name}: {}", Command::new(name).args(arguments).exec());
}

fn leaker(words: &[String]) -> ! {
    let (path, command) = words.split_first().expect("a path");
    let file = std::fs::File::open(path).expect("the path opens").into_raw_fd();
    for fd in 3..=20 {
        // SAFETY: only numbers are passed; nothing of ours is open there but `file`, which may be replaced by itself.
        unsafe { libc::dup2(file, fd) };
    }
    // SAFETY: only numbers are passed. The one that the library opened would close on exec; what dup2 made does not.
    unsafe { libc::fcntl(file, libc::F_SETFD, 0) };
    become_command(command)
}

fn keeper(words: &[String]) -> ! {
    const JOIN_SESSION_KEYRING: i64 = 1;
    const SESSION: i64 = -3;
    let (name, command) = words.split_first().expect("a name");
    let name = CString::new(name.as_str()).expect("a name");
    raw(libc::SYS_keyctl, [JOIN_SESSION_KEYRING, 0, 0, 0, 0, 0]);
    let key = raw(
        libc::SYS_add_key,
        [
            c"user".as_ptr() as i64,
            name.as_ptr() as i64,
            c"secret".as_ptr() as i64,
            6,
            SESSION,
            0,
        ],
    );
    assert!(key > 0, "add_key: {key}");
    become_command(command)
}

fn terminal(words: &[String]) -> ! {
    let pair = nix::pty::openpty(None, None).expect("a pseudo-terminal");
    let slave = pair.slave.as_raw_fd();
    let (name, arguments) = words.split_first().expect("a command");
    let mut command = Command::new(name);
    command.args(arguments);
    for set in [Command::stdin, Command::stdout, Command::stderr] {
        set(&mut command, pair.slave.try_clone().expect("dup"));
    }
    // SAFETY: setsid(2) and ioctl(2) may be called after fork.
    unsafe {
        command.pre_exec(move || {
            libc::setsid();
            match libc::ioctl(slave, libc::TIOCSCTTY, 0) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
    let mut child = command.spawn().expect("the command starts");
    drop(command);
    let master = pair.master;
    let copy = master.try_clone().expect("dup");
    std::thread::spawn(move || {
        let mut out = std::fs::File::from(copy);
        let _ = std::io::copy(&mut out, &mut std::io::stdout());
    });
    let status = child.wait().expect("the command ends");
    // What the command wrote last is still on its way through the thread.
    std::thread::sleep(std::time::Duration::from_millis(50));
    println!("typed={:?}", left(&pair.slave));
    println!(
        "status={:?} {:?}",
        status.code(),
        std::os::unix::process::ExitStatusExt::signal(&status)
    );
    exit(0)
}

/// What waits to be read from a terminal.
fn left(slave: &OwnedFd) -> String {
    // SAFETY: `termios` is a plain C struct for which all zeroes is a valid value.
    let mut settings: libc::termios = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is live, the struct of the right type.
    unsafe {
        libc::tcgetattr(slave.as_raw_fd(), &raw mut settings);
        libc::cfmakeraw(&raw mut settings);
        settings.c_cc[libc::VMIN] = 0;
        settings.c_cc[libc::VTIME] = 0;
        libc::tcsetattr(slave.as_raw_fd(), libc::TCSANOW, &raw const settings);
    }
    // SAFETY: only a number is passed, and the copy is ours.
    let mut file = unsafe { std::fs::File::from_raw_fd(libc::dup(slave.as_raw_fd())) };
    let mut bytes = [0; 256];
    let count = file.read(&mut bytes).unwrap_or(0);
    String::from_utf8_lossy(bytes.get(..count).unwrap_or_default()).into_owned()
}

fn swapper(words: &[String]) -> ! {
    const EXCHANGE: i64 = 2;
    let path = |at: usize| CString::new(words.get(at).expect("two names").as_str()).expect("a name");
    let (a, b) = (path(0), path(1));
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0; 1]);
        exit(0)
    });
    loop {
        let at = i64::from(libc::AT_FDCWD);
        raw(
            libc::SYS_renameat2,
            [at, a.as_ptr() as i64, at, b.as_ptr() as i64, EXCHANGE, 0],
        );
    }
}

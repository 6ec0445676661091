//! Credential helpers: programs `docker-credential-NAME` of the caller, asked through their standard streams.

use crate::image::environment::{Lookup, variable};
use crate::image::job::Credentials;
use crate::model::reference::shown;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What is passed on to helpers: enough to find a home, a keyring and other programs.
const PASSED: [&str; 4] = ["HOME", "PATH", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"];
/// Bytes of each stream.
const MAXIMUM: usize = 64 << 10;
/// A user may have to unlock a keyring.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where helpers are and what they run with.
#[derive(Debug, Clone)]
pub struct Helpers {
    directories: Vec<PathBuf>,
    environment: Vec<(&'static str, OsString)>,
    timeout: Duration,
}

/// Why a helper did not help.
#[derive(Debug, thiserror::Error)]
pub enum HelperError {
    /// A name that could be a path or an option.
    #[error("credential helper `{0}`: a name holds letters, digits, `-`, `_` and `.` alone")]
    Name(String),
    /// No such program.
    #[error(
        "credential helper docker-credential-{0} is in no absolute directory of PATH: install it, or take it out of the auth file"
    )]
    Absent(String),
    /// It cannot be run.
    #[error("cannot run docker-credential-{name}: {error}")]
    Run {
        /// Which.
        name: String,
        /// Why.
        error: io::Error,
    },
    /// It takes too long.
    #[error(
        "docker-credential-{name} {verb} for {server} has not answered within {seconds} s and was killed"
    )]
    Timeout {
        /// Which.
        name: String,
        /// What it was to do.
        verb: &'static str,
        /// For which registry.
        server: String,
        /// How long.
        seconds: u64,
    },
    /// It says too much.
    #[error("docker-credential-{0} has written more than 64 KiB and was killed")]
    TooMuch(String),
    /// It says no.
    #[error("docker-credential-{name} {verb} for {server} failed: {said}")]
    Failed {
        /// Which.
        name: String,
        /// What it was to do.
        verb: &'static str,
        /// For which registry.
        server: String,
        /// Its own words, as far as they are safe to show.
        said: String,
    },
    /// Its answer is none.
    #[error("docker-credential-{0} has not answered with a JSON object that has Username and Secret")]
    Answer(String),
}

/// One question.
struct Call<'a> {
    name: &'a str,
    verb: &'static str,
    server: &'a str,
    input: String,
}

struct Answer {
    status: ExitStatus,
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Helpers {
    /// What the environment says of them.
    #[must_use]
    pub fn new(lookup: Lookup<'_>) -> Self {
        let path = variable(lookup, "PATH").unwrap_or_default();
        let value = |name: &'static str| Some((name, variable(lookup, name)?));
        Self {
            // A relative one would be run from wherever the caller stands, which may be what is not trusted.
            directories: std::env::split_paths(&path).filter(|d| d.is_absolute()).collect(),
            environment: PASSED.into_iter().filter_map(value).collect(),
            timeout: TIMEOUT,
        }
    }

    #[cfg(test)]
    pub(super) fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// What a helper knows of the first of these servers that it knows.
    pub(super) fn first(&self, name: &str, servers: &[String]) -> Result<Option<Credentials>, HelperError> {
        for server in servers {
            if let Some(found) = self.get(name, server)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn get(&self, name: &str, server: &str) -> Result<Option<Credentials>, HelperError> {
        let input = server.to_owned();
        let call = Call {
            name,
            verb: "get",
            server,
            input,
        };
        let answer = self.run(&call)?;
        if !answer.status.success() {
            return if is_absent(&answer) {
                Ok(None)
            } else {
                Err(call.failed(&answer, ""))
            };
        }
        let wrong = || HelperError::Answer(name.to_owned());
        let value: Value = serde_json::from_slice(&answer.out).map_err(|_| wrong())?;
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let (Some(user), Some(secret)) = (text("Username"), text("Secret")) else {
            return Err(wrong());
        };
        Ok(match (user.as_str(), secret.is_empty()) {
            ("<token>", false) => Some(Credentials::IdentityToken(secret)),
            ("", _) | (_, true) => None,
            _ => Some(Credentials::Password {
                name: user,
                password: secret,
            }),
        })
    }

    /// Gives a helper something to keep.
    pub(super) fn store(
        &self,
        name: &str,
        server: &str,
        user: &str,
        secret: &str,
    ) -> Result<(), HelperError> {
        let input = json!({ "ServerURL": server, "Username": user, "Secret": secret }).to_string();
        let call = Call {
            name,
            verb: "store",
            server,
            input,
        };
        let answer = self.run(&call)?;
        if answer.status.success() {
            Ok(())
        } else {
            Err(call.failed(&answer, secret))
        }
    }

    /// Has a helper forget; whether it knew.
    pub(super) fn erase(&self, name: &str, server: &str) -> Result<bool, HelperError> {
        // Most answer an unknown server with success.
        if self.get(name, server)?.is_none() {
            return Ok(false);
        }
        let input = server.to_owned();
        let call = Call {
            name,
            verb: "erase",
            server,
            input,
        };
        let answer = self.run(&call)?;
        if answer.status.success() {
            Ok(true)
        } else {
            Err(call.failed(&answer, ""))
        }
    }

    fn find(&self, name: &str) -> Result<PathBuf, HelperError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
            return Err(HelperError::Name(shown(name)));
        }
        let file = format!("docker-credential-{name}");
        let runs = |path: &PathBuf| {
            path.metadata()
                .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        };
        let found = self.directories.iter().map(|d| d.join(&file)).find(runs);
        found.ok_or_else(|| HelperError::Absent(name.to_owned()))
    }

    fn run(&self, call: &Call<'_>) -> Result<Answer, HelperError> {
        let program = self.find(call.name)?;
        let failed = |error| HelperError::Run {
            name: call.name.to_owned(),
            error,
        };
        // What is asked fits into the pipe, so that it is written before there is anybody who could close it.
        let (question, mut writer) = io::pipe().map_err(failed)?;
        writer.write_all(call.input.as_bytes()).map_err(failed)?;
        drop(writer);
        #[allow(
            clippy::disallowed_methods,
            reason = "the second place where helpers are started: by name, with a clean environment, one fixed word as argument"
        )]
        let mut command = Command::new(program);
        command
            .arg(call.verb)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(question)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let answer = self.listen(call, &mut child);
        if answer.is_err() {
            let _ = child.kill();
            let _ = child.wait();
        }
        answer
    }

    /// Until it has ended and nothing more is to be read. A daemon that it leaves behind may hold its streams open for good.
    fn listen(&self, call: &Call<'_>, child: &mut Child) -> Result<Answer, HelperError> {
        let failed = |error| HelperError::Run {
            name: call.name.to_owned(),
            error,
        };
        let deadline = Instant::now() + self.timeout;
        let mut out = Stream::new(child.stdout.take());
        let mut err = Stream::new(child.stderr.take());
        loop {
            let ended = child.try_wait().map_err(failed)?;
            let open = out.open.is_some() || err.open.is_some();
            let patience = match (ended, open) {
                (Some(_), _) => PollTimeout::ZERO,
                (None, true) => PollTimeout::from(100u8),
                (None, false) => PollTimeout::from(2u8),
            };
            let read = wait([&mut out, &mut err], patience).map_err(failed)?;
            if out.bytes.len() > MAXIMUM || err.bytes.len() > MAXIMUM {
                return Err(HelperError::TooMuch(call.name.to_owned()));
            }
            if let (Some(status), false) = (ended, read) {
                let (out, err) = (out.bytes, err.bytes);
                return Ok(Answer { status, out, err });
            }
            if Instant::now() >= deadline {
                return Err(HelperError::Timeout {
                    name: call.name.to_owned(),
                    verb: call.verb,
                    server: shown(call.server),
                    seconds: self.timeout.as_secs(),
                });
            }
        }
    }
}

impl Call<'_> {
    /// The first line that it has said, unless a secret may stand in it.
    fn failed(&self, answer: &Answer, secret: &str) -> HelperError {
        let texts = [&answer.out, &answer.err].map(|bytes| String::from_utf8_lossy(bytes));
        let lines = texts.iter().flat_map(|text| text.lines()).map(str::trim);
        let line = lines
            .into_iter()
            .find(|line| !line.is_empty())
            .unwrap_or_default();
        let hidden = line.contains(['{', '}']) || (!secret.is_empty() && line.contains(secret));
        let said = if hidden || line.is_empty() {
            answer.status.to_string()
        } else {
            shown(line)
        };
        HelperError::Failed {
            name: self.name.to_owned(),
            verb: self.verb,
            server: shown(self.server),
            said,
        }
    }
}

/// The words of docker's own library of helpers, which all use.
fn is_absent(answer: &Answer) -> bool {
    let said = [&answer.out[..], &answer.err].concat();
    String::from_utf8_lossy(&said).contains("credentials not found")
}

/// One of its streams, as far as it was read.
struct Stream {
    open: Option<File>,
    bytes: Vec<u8>,
}

impl Stream {
    fn new(open: Option<impl Into<OwnedFd>>) -> Self {
        let open = open.map(|stream| File::from(stream.into()));
        let bytes = Vec::new();
        Self { open, bytes }
    }

    fn read(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        match open.read(&mut buffer)? {
            0 => self.open = None,
            n => self.bytes.extend(buffer.get(..n).unwrap_or_default()),
        }
        Ok(())
    }
}

/// Reads once from each stream that has something; whether one had.
fn wait(streams: [&mut Stream; 2], patience: PollTimeout) -> io::Result<bool> {
    let mut streams: Vec<_> = streams.into_iter().filter(|s| s.open.is_some()).collect();
    let open = streams.iter().filter_map(|s| s.open.as_ref());
    let mut fds: Vec<_> = open.map(|f| PollFd::new(f.as_fd(), PollFlags::POLLIN)).collect();
    match poll(&mut fds, patience) {
        // Whether there is something is not known: ask again.
        Err(nix::errno::Errno::EINTR) => return Ok(true),
        Err(errno) => return Err(errno.into()),
        Ok(_) => {}
    }
    let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(true)).collect();
    for (stream, _) in streams.iter_mut().zip(&ready).filter(|(_, ready)| **ready) {
        stream.read()?;
    }
    Ok(ready.contains(&true))
}

//! A sandbox that runs while a test does something to it.

use crate::util::{Dir, Out, Sbx};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Stdio};

/// A sandbox that has said `ready`.
pub struct Started {
    pub child: Child,
    pub stdout: BufReader<ChildStdout>,
    _home: Dir,
}

impl Started {
    pub fn new(sbx: Sbx) -> Self {
        let (mut command, home) = sbx.into_command();
        // A job of its own: in a group whose parents lie outside the session the kernel ignores stop signals.
        let mut child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("sbx starts");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut started = Self {
            child,
            stdout,
            _home: home,
        };
        let line = started.line();
        if line != "ready\n" {
            let mut said = String::new();
            let stderr = started
                .child
                .stderr
                .take()
                .map(|mut e| e.read_to_string(&mut said));
            panic!("{line:?} and not ready: {said} {stderr:?}");
        }
        started
    }

    pub fn sh(script: &str) -> Self {
        Self::new(Sbx::sh("default", script))
    }

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("a line");
        line
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"))
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it is there");
    }

    pub fn end(mut self) -> Out {
        let mut stdout = Vec::new();
        self.stdout.read_to_end(&mut stdout).expect("read");
        let output = self.child.wait_with_output().expect("wait");
        Out {
            stdout,
            ..output.into()
        }
    }
}

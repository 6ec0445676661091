//! A bus that gives no scope, whatever it does instead: told, or refused, and never passed over.

use super::PLAIN;
use super::rungs::scopes;
use crate::util::bus::{message, removed};
use crate::util::{Dir, Out, Sbx, is_root, skip};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// What stands where the bus of a session would.
#[derive(Debug, Clone, Copy)]
enum Bus {
    /// A socket that a dead manager has left.
    Dead,
    /// Whoever asks is nobody.
    Rejects,
    /// It goes away in the middle.
    HangsUp,
    /// As for a property that it does not know.
    AnswersAnError,
    /// The job has failed.
    Fails,
    /// The job is done, and nothing was moved.
    Lies,
}

const ALL: [Bus; 6] = [
    Bus::Dead,
    Bus::Rejects,
    Bus::HangsUp,
    Bus::AnswersAnError,
    Bus::Fails,
    Bus::Lies,
];

impl Bus {
    /// A directory for `$XDG_RUNTIME_DIR` in which it is, as the bus or as the manager itself. Its thread lives as long as the tests do.
    fn directory(self, name: &str) -> Dir {
        let dir = Dir::new();
        dir.write("systemd/private", "");
        // What is not asked has been left by somebody who is dead.
        drop(UnixListener::bind(dir.path().join("bus")).expect("a socket"));
        std::fs::remove_file(dir.path().join(name)).expect("it is there");
        let listener = UnixListener::bind(dir.path().join(name)).expect("a socket");
        if !matches!(self, Self::Dead) {
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    // Whoever has heard enough goes.
                    let _ = self.talk(stream);
                }
            });
        }
        dir
    }

    fn talk(self, mut stream: UnixStream) -> std::io::Result<()> {
        if matches!(self, Self::Rejects) {
            return until(&mut stream, b"\r\n").and_then(|_| stream.write_all(b"REJECTED ANONYMOUS\r\n"));
        }
        stream.write_all(b"OK 0123456789abcdef0123456789abcdef\r\n")?;
        if matches!(self, Self::HangsUp) {
            return until(&mut stream, b"BEGIN\r\n").map(drop);
        }
        // The last word of what is asked for.
        let said = until(&mut stream, b"inactive-or-failed")?;
        let unit = unit(&said);
        match self {
            Self::AnswersAnError => stream.write_all(&message(3, b"", b""))?,
            Self::Fails => stream.write_all(&removed(&unit, "failed"))?,
            _ => stream.write_all(&removed(&unit, "done"))?,
        }
        until(&mut stream, b"never said").map(drop)
    }
}

/// What is said up to a word; an error when it is not.
fn until(stream: &mut UnixStream, word: &[u8]) -> std::io::Result<Vec<u8>> {
    let (mut said, mut byte) = (Vec::new(), [0]);
    while !said.ends_with(word) {
        stream.read_exact(&mut byte)?;
        said.push(byte[0]);
    }
    Ok(said)
}

fn unit(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let start = text.find("run-sbx-").expect("a unit");
    let end = text[start..].find(".scope").expect("a scope");
    text[start..start + end + 6].to_owned()
}

/// One run whose session is that directory.
fn run(directory: &Path, profile: &str, flags: &[&str]) -> Out {
    let sbx = Sbx::new(["run", "--profile", profile]).args(PLAIN).args(flags);
    let sbx = sbx.env("XDG_RUNTIME_DIR", directory);
    sbx.args(["host", "--", "echo", "ran"]).out()
}

#[test]
fn a_bus_that_gives_no_scope_is_told_or_refused() {
    // Root's systemd is asked where it always listens.
    if is_root() {
        return skip("user", "root has no bus of a session");
    }
    if !scopes() {
        return;
    }
    let dir = Dir::new();
    let text = "extends = \"strict\"\n[enforcement]\nmemory = \"require\"\n";
    let counted = dir.write("counted.toml", text);
    let text = "extends = \"strict\"\n[limits]\ncpu = \"0.5\"\n";
    let preferred = dir.write("preferred.toml", text);
    let names = ["bus", "systemd/private"];
    for (bus, name) in ALL.into_iter().flat_map(|bus| names.map(|name| (bus, name))) {
        let directory = bus.directory(name);
        let at = directory.path();
        let place = format!("a scope of systemd ({}", at.display());
        // What is left holds memory too, but for a burst: that is said.
        let out = run(at, "strict", &["-m", "100m"]);
        assert_eq!(out.ok(), "ran", "{bus:?}");
        out.says("lost: ").says("memory").says(&place);
        // A part of a processor: nothing else holds it.
        let out = run(at, "strict", &["--cpus", "0.5"]);
        out.code(125)
            .says("cpu is required (the flag --cpus 0.5)")
            .says(&place);
        assert_eq!(out.stdout(), "", "{bus:?}");
        let out = run(at, preferred.to_str().expect("a path"), &[]);
        assert_eq!(out.ok(), "ran", "{bus:?}");
        out.says("cpu: 0.50 processors cannot be counted out")
            .says(&place);
        // And a watch is no count.
        let out = run(at, counted.to_str().expect("a path"), &[]);
        out.code(125).says("memory").says(&place);
        assert_eq!(out.stdout(), "", "{bus:?}");
    }
}

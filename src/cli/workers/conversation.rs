//! The parent's side of the conversation with the worker. What the worker says may be anybody's words by now: lines are bounded, texts
//! escaped, and the only question that it can ask is for the addresses of a name.

use super::getent;
use super::progress::Shown;
use crate::cli::report::Report;
use crate::image::descriptor::Descriptor;
use crate::image::job::{Answer, Event, Job};
use crate::model::Digest;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStdin, ChildStdout};

/// An event is some hundred bytes; a message is cut at some hundred letters.
const LONGEST: u64 = 64 << 10;

/// What a job has made.
pub(in crate::cli) enum Made {
    /// An image.
    Image(Digest),
    /// An image that is neither unpacked nor named, and what the registry answered for its name.
    Fetched(Descriptor, Digest),
    /// Nothing that has a name.
    Nothing,
}

/// Hands over the job and listens until the worker has done it; `None` when it ended without a word.
///
/// # Errors
/// With what the worker says went wrong.
pub(super) fn hold(
    job: &Job,
    mut to: ChildStdin,
    from: ChildStdout,
    shown: &mut Shown,
) -> Result<Option<Made>, Report> {
    let mut from = BufReader::new(from);
    if say(&mut to, job).is_none() {
        return Ok(None);
    }
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = from.by_ref().take(LONGEST).read_until(b'\n', &mut line);
        if !matches!(read, Ok(1..)) || line.last() != Some(&b'\n') {
            return Ok(None);
        }
        let Ok(event) = serde_json::from_slice(&line) else {
            return Ok(None);
        };
        match event {
            Event::Resolve(name) => {
                if say(&mut to, &Answer::Addresses(getent::addresses(&name))).is_none() {
                    return Ok(None);
                }
            }
            Event::Progress(progress) => shown.progress(&progress),
            Event::Loaded { manifest, names } => shown.loaded(manifest, names),
            Event::Note(text) => shown.note(&text),
            Event::Fetched { image, source } => return Ok(Some(Made::Fetched(image, source))),
            Event::Done(digest) => return Ok(Some(Made::Image(digest))),
            Event::Finished => return Ok(Some(Made::Nothing)),
            Event::Failed(why) => return Err(Report::sbx(crate::cli::out::escaped(&why))),
        }
    }
}

fn say(to: &mut ChildStdin, what: &impl serde::Serialize) -> Option<()> {
    let mut line = serde_json::to_vec(what).ok()?;
    line.push(b'\n');
    to.write_all(&line).ok()
}

//! The worker's side of the conversation: lines of JSON on the standard streams.

use crate::image::descriptor::Descriptor;
use crate::image::job::{Answer, Event, Job, Progress, Stage};
use crate::image::registry;
use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often it is told how far a blob is.
const EVERY: Duration = Duration::from_millis(100);
/// How long an answer may take: resolvers give up after 10 s or so.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whom the worker works for.
#[derive(Debug)]
pub(super) struct Talk {
    answers: Mutex<Receiver<Answer>>,
}

/// Reads the job. Whatever comes after it are answers; when nothing can come any more, whoever asked is gone, and the worker ends.
pub(super) fn begin() -> Option<(Job, Arc<Talk>)> {
    let mut lines = BufReader::new(stdin()).lines();
    let job = serde_json::from_str(&lines.next()?.ok()?).ok()?;
    let (send, answers) = channel();
    #[allow(clippy::disallowed_methods, reason = "the worker never clones")]
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let Ok(answer) = serde_json::from_str(&line) else {
                break;
            };
            if send.send(answer).is_err() {
                break;
            }
        }
        #[allow(clippy::exit, reason = "nobody waits for what the other threads do")]
        std::process::exit(3);
    });
    let answers = Mutex::new(answers);
    Some((job, Arc::new(Talk { answers })))
}

/// Says on standard error what it was that failed, where nobody listens to standard output.
pub(super) fn last_words(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

impl Talk {
    /// Says it. A parent that no longer listens is noticed by the end of its questions.
    pub(super) fn say(&self, event: &Event) {
        let Ok(mut line) = serde_json::to_vec(event) else {
            return;
        };
        line.push(b'\n');
        let mut out = stdout().lock();
        let _ = out.write_all(&line).and_then(|()| out.flush());
    }

    /// Says something that the user should know.
    pub(super) fn note(&self, text: impl Into<String>) {
        self.say(&Event::Note(text.into()));
    }

    /// Tells how far a blob is.
    pub(super) fn stage(&self, blob: &Descriptor, stage: Stage, bytes: u64) {
        self.say(&Event::Progress(Progress {
            blob: blob.digest,
            stage,
            bytes,
            total: blob.size,
        }));
    }

    /// Tells how far a blob is, now and then.
    pub(super) fn ticker<'a>(&'a self, blob: &'a Descriptor, stage: Stage) -> impl Fn(u64) + Sync + 'a {
        let last = Mutex::new(None::<Instant>);
        move |bytes| {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.is_none_or(|then| then.elapsed() >= EVERY) {
                *last = Some(Instant::now());
                drop(last);
                self.stage(blob, stage, bytes);
            }
        }
    }
}

impl registry::Resolve for Talk {
    fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, registry::Error> {
        // One question at a time, so that each answer is that of its question.
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        self.say(&Event::Resolve(name.to_owned()));
        match answers.recv_timeout(PATIENCE) {
            Ok(Answer::Addresses(all)) => Ok(all),
            Err(_) => Ok(Vec::new()),
        }
    }
}

//! The worker: a program of its own (`sbx-image`), started by `sbx` inside a sandbox that holds the store and nothing else of the
//! caller's. It may have threads; nothing here is ever part of the process that clones.

mod copies;
mod docker;
mod fetch;
mod fuse;
mod import;
mod layers;
mod layout;
mod load;
mod made;
mod origin;
mod push;
mod several;
mod shelf;
mod talk;
mod volume;

use super::job::{Event, FUSE, Job, Ping, STORE};
use super::registry;
use super::store::{Open, Store};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use talk::Talk;

/// Reads a job, does it, and says what came of it.
#[must_use]
pub fn serve() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if let [what, program, lower] = arguments.as_slice()
        && what == FUSE
    {
        return fuse::become_it(program, lower);
    }
    let Some((job, talk)) = talk::begin() else {
        return ExitCode::from(2);
    };
    let event = match work(job, &talk) {
        Ok(done) => done,
        Err(why) => Event::Failed(why),
    };
    let failed = matches!(event, Event::Failed(_));
    talk.say(&event);
    ExitCode::from(u8::from(failed))
}

fn work(job: Job, talk: &Arc<Talk>) -> Result<Event, String> {
    let store = || Store::open(Path::new(STORE), Open::Existing).map_err(|e| e.to_string());
    match job {
        Job::Pull(pull) => fetch::pull(&store()?, &pull, talk),
        Job::Load(load) => load::load(&store()?, &load, talk).map(Event::Done),
        Job::Import(import) => import::import(&store()?, &import, talk).map(Event::Done),
        Job::Push(push) => push::push(&store()?, &push, talk).map(Event::Done),
        Job::Unpack(unpack) => {
            layers::unpack_image(&store()?, &unpack, talk).map(|()| Event::Done(unpack.manifest))
        }
        Job::Remove(remove) => {
            let removed = store()?.remove_remains(&remove.kind, &remove.entries);
            removed.map(|()| Event::Finished).map_err(|e| e.to_string())
        }
        Job::Fill(fill) => volume::fill(&fill).map(|()| Event::Finished),
        Job::Empty => volume::empty().map(|()| Event::Finished),
        Job::Copy(copy) => copies::copy(&store()?, &copy, talk).map(|()| Event::Done(copy.image)),
        Job::Ping(job) => ping(&job, talk).map(|()| Event::Finished),
    }
}

fn ping(job: &Ping, talk: &Arc<Talk>) -> Result<(), String> {
    let resolve: Arc<dyn registry::Resolve> = talk.clone();
    let client = registry::Client::new(&job.endpoint, &job.transport, &job.limits, resolve);
    client.and_then(|client| client.ping()).map_err(|e| e.to_string())
}

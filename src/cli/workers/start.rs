//! Starts the worker: `sbx run` itself, under the profile `image-worker`, with the store and nothing else; under `fetch-worker`, with the
//! host's network, where the job needs one.

use super::Owners;
use super::conversation;
pub(in crate::cli) use super::conversation::Made;
use super::progress::Shown;
use crate::cli::out;
use crate::cli::report::Report;
use crate::cli::store::{lookup, real};
use crate::image::job::{GIVEN, Job, STORE, VOLUME};
use crate::image::ports::ports;
use crate::image::store::Store;
use crate::model::Digest;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program, beside sbx itself.
const PROGRAM: &str = "sbx-image";
/// Where the worker's sandbox has it.
pub(in crate::cli) const INSIDE: &str = "/.sbx-image";

/// Where the worker works.
struct Place<'a> {
    /// What its root is: `scratch`, or an image.
    root: OsString,
    /// Directories of the host, and where they are inside, with `:ro` where they are not to be written.
    binds: Vec<(PathBuf, String)>,
    /// What the caller has named, for it to read.
    reads: Option<PathBuf>,
    owners: &'a Owners,
    /// Where a file without a name may be made.
    temporary: PathBuf,
}

impl<'a> Place<'a> {
    fn of_store(job: &Job, store: Option<&Store>, owners: &'a Owners) -> Result<Self, Report> {
        let bind = |store| Ok::<_, Report>(binds(job, real(store)?.as_path()));
        Ok(Self {
            root: "scratch".into(),
            binds: store.map(bind).transpose()?.unwrap_or_default(),
            reads: None,
            owners,
            temporary: store.map_or_else(std::env::temp_dir, Store::path),
        })
    }
}

/// What of the store a job may write: all of it, or the folders that it cannot do without.
fn binds(job: &Job, store: &Path) -> Vec<(PathBuf, String)> {
    let folders = match job {
        Job::Push(_) => vec!["locks".to_owned()],
        Job::Unpack(unpack) => vec!["locks".to_owned(), format!("layers/{}", unpack.kind)],
        Job::Pull(_)
        | Job::Remove(_)
        | Job::Copy(_)
        | Job::Ping(_)
        | Job::Load(_)
        | Job::Import(_)
        | Job::Fill(_)
        | Job::Empty => return vec![(store.to_owned(), STORE.to_owned())],
    };
    let folders = folders.into_iter();
    let writable = folders.map(|name| (store.join(&name), format!("{STORE}/{name}")));
    std::iter::once((store.to_owned(), format!("{STORE}:ro")))
        .chain(writable)
        .collect()
}

/// Has the worker do a job that makes an image.
///
/// # Errors
/// When it cannot be started, or says what went wrong.
pub(in crate::cli) fn work(
    job: &Job,
    store: &Store,
    owners: &Owners,
    shown: &mut Shown,
) -> Result<Digest, Report> {
    work_with(job, store, owners, None, shown)
}

/// As [`work`], with a file or a directory of the caller's, which the worker may read.
///
/// # Errors
/// As [`work`].
pub(in crate::cli) fn work_with(
    job: &Job,
    store: &Store,
    owners: &Owners,
    given: Option<&Path>,
    shown: &mut Shown,
) -> Result<Digest, Report> {
    let mut place = Place::of_store(job, Some(store), owners)?;
    place.reads = given.map(Path::to_owned);
    let made = at(&place, job, shown)?;
    match made {
        Made::Image(digest) => Ok(digest),
        Made::Fetched(..) | Made::Nothing => Err(Report::sbx("the image worker has made no image")),
    }
}

/// Has the worker do a job, with the store where the job needs it.
///
/// # Errors
/// As [`work`].
pub(in crate::cli) fn task(
    job: &Job,
    store: Option<&Store>,
    owners: &Owners,
    shown: &mut Shown,
) -> Result<Made, Report> {
    at(&Place::of_store(job, store, owners)?, job, shown)
}

/// Has the worker do a job on a directory that a volume is made of, in a root of nothing or in that of an image.
///
/// # Errors
/// As [`work`].
pub(in crate::cli) fn on_volume(
    job: &Job,
    directory: &Path,
    image: Option<&Digest>,
    owners: &Owners,
) -> Result<(), Report> {
    let real = directory.canonicalize().map_err(failed)?;
    let place = Place {
        root: image.map_or("scratch".into(), |digest| digest.to_string().into()),
        temporary: real.parent().unwrap_or(&real).to_owned(),
        binds: vec![(real, VOLUME.to_owned())],
        reads: None,
        owners,
    };
    at(&place, job, &mut Shown::new(true)).map(|_| ())
}

fn at(place: &Place<'_>, job: &Job, shown: &mut Shown) -> Result<Made, Report> {
    let said = said(&place.temporary)?;
    let mut child = command(place, job)?
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(said.try_clone().map_err(failed)?)
        .spawn()
        .map_err(failed)?;
    let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Report::sbx("cannot speak to the image worker"));
    };
    let answer = conversation::hold(job, to, from, shown);
    let ended = child.wait().map_err(failed)?;
    match answer? {
        Some(made) => Ok(made),
        None => {
            let report = Report::sbx(format!("the image worker ended without an answer ({ended})"));
            Err(words(said)
                .lines()
                .fold(report, |report, line| report.hint(out::escaped(line))))
        }
    }
}

fn failed(error: std::io::Error) -> Report {
    Report::sbx(format!("cannot start the image worker: {error}"))
}

/// What it says on standard error goes to a file without a name: a terminal would act on it.
pub(in crate::cli) fn said(directory: &Path) -> Result<File, Report> {
    let mut file = File::options();
    let file = file
        .read(true)
        .write(true)
        .custom_flags(libc::O_TMPFILE)
        .mode(0o600);
    file.open(directory).map_err(failed)
}

pub(in crate::cli) fn words(mut said: File) -> String {
    let mut text = Vec::new();
    let read = said
        .rewind()
        .and_then(|()| said.take(4096).read_to_end(&mut text));
    read.map(|_| String::from_utf8_lossy(&text).into_owned())
        .unwrap_or_default()
}

/// `sbx run` under a profile. In `/` and with a configuration directory that is not there: no profile of the user's takes the place of
/// the built-in one.
#[allow(
    clippy::disallowed_methods,
    reason = "it starts sbx, and sbx starts the worker"
)]
pub(in crate::cli) fn run(profile: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command
        .env_clear()
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .current_dir("/");
    command.args(["run", "--quiet", "--profile", profile]);
    command
}

/// The value of `-v`.
pub(in crate::cli) fn bind(source: &Path, target: &str) -> Result<OsString, Report> {
    let mut bind = source.as_os_str().to_owned();
    let why = match bind.to_str() {
        None => Some("a path that is not UTF-8 cannot be mounted for the image worker"),
        Some(text) => text
            .contains(':')
            .then_some("a path with a colon cannot be mounted for the image worker"),
    };
    if let Some(why) = why {
        let shown = bind.as_encoded_bytes().escape_ascii();
        return Err(Report::sbx(format!("{shown}: {why}"))
            .hint("move it, or keep images and volumes elsewhere: XDG_DATA_HOME=DIR"));
    }
    bind.push(target);
    Ok(bind)
}

fn command(place: &Place<'_>, job: &Job) -> Result<Command, Report> {
    let mut command = match ports(job) {
        None => run("image-worker"),
        Some(ports) => {
            let mut command = run("fetch-worker");
            command.args(["--network", "host"]);
            command.args(ports.iter().map(|port| format!("--connect-port={port}")));
            command
        }
    };
    command.args(place.owners.flags());
    if place.root != "scratch" {
        // Where the image is; and as it is, without what its config says of volumes, of users and of where to start.
        let own = ["XDG_DATA_HOME", "HOME"].map(|name| (name, lookup(name)));
        command.envs(own.into_iter().filter_map(|(name, value)| Some((name, value?))));
        command.args(["--read-only=false", "--pull", "never", "--user", "0:0", "-w", "/"]);
        command.args(["--entrypoint", INSIDE]);
    }
    for (source, target) in &place.binds {
        command.arg("-v").arg(bind(source, &format!(":{target}"))?);
    }
    if let Some(given) = &place.reads {
        command.arg("-v").arg(bind(given, &format!(":{GIVEN}:ro"))?);
    }
    command
        .arg("-v")
        .arg(bind(&program()?, &format!(":{INSIDE}:ro"))?);
    command.arg(&place.root);
    if place.root == "scratch" {
        command.arg(INSIDE);
    }
    Ok(command)
}

pub(in crate::cli) fn program() -> Result<PathBuf, Report> {
    let own = std::env::current_exe().map_err(failed)?;
    let program = own.with_file_name(PROGRAM);
    if program.is_file() {
        return Ok(program);
    }
    let shown = program.display().to_string();
    Err(Report::sbx(format!(
        "{} is not there: it comes with sbx and reads images",
        shown.escape_debug()
    ))
    .hint("put it beside sbx; where sbx was built, `cargo build --release` makes both"))
}

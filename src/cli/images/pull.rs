//! `sbx pull`: an image from a registry, an archive or a layout into the store.

use super::load;
use super::unpack_args::{self, UnpackArgs};
use crate::cli::out;
use crate::cli::report::Report;
use crate::cli::request::image::How;
use crate::cli::store::{lookup, open};
use crate::cli::workers::progress::Shown;
use crate::cli::workers::removal;
use crate::cli::workers::start::{self, Made};
use crate::host;
use crate::image::credentials::Accounts;
use crate::image::descriptor::Platform;
use crate::image::endpoints::endpoints;
use crate::image::job::{Job, Pull, Terms, Unpack};
use crate::image::registries::files as registries;
use crate::image::source::{Named, Source, SourceError};
use crate::image::store::{Store, Wait};
use crate::image::transport;
use crate::model::Digest;
use crate::model::reference::Reference;
use clap::{Args, ValueEnum};
use std::ffi::OsStr;

/// When an image is asked for at its registry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// Always, since a tag may have moved
    Always,
    /// When the image is not in the store
    #[default]
    Missing,
    /// Never
    Never,
}

/// Arguments of `pull`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  sbx pull debian:12
      From docker.io, or the registries that registries.conf lists for short names
  sbx pull --platform linux/arm64 quay.io/team/tool:1
  sbx pull --image-limit unpacked=100G big/model:3
      A layer of more than 32 GiB
  sbx pull oci-archive:tool.tar
      From an archive, under the name that the image has there

`sbx run` pulls a missing image by itself.

Short names, mirrors and registries without TLS are configured in registries.conf (~/.config/containers, \
    /etc/containers); the authorities of single registries in certs.d/HOST[:PORT]/*.crt beside it or in \
    /etc/docker. For passwords see `sbx login --help`. $http_proxy, $https_proxy, $no_proxy (names, \
    addresses, networks) and $SSL_CERT_FILE work as for curl; a proxy is reached by http or https.")]
pub struct PullArgs {
    /// Image: [HOST[:PORT]/]NAME[:TAG][@sha256:…], oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME]
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Platform of a multi-platform image: OS/ARCH[/VARIANT] [default: this machine]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    #[command(flatten)]
    unpack: UnpackArgs,
}

/// Pulls, and prints the digest of the image.
///
/// # Errors
/// When it cannot be had.
pub fn pull(args: &PullArgs) -> Result<u8, Report> {
    let mut host = host::presumed().map_err(Report::sbx)?;
    let source = source(&args.image)?;
    let owners = args.unpack.owners(&mut host)?;
    let how = How {
        owners: &owners,
        when: When::Always,
        platform: unpack_args::platform(args.platform.as_deref())?,
        limits: args.unpack.limits()?,
        quiet: args.unpack.quiet,
        uid: host.caller.uid,
    };
    let digest = match &source {
        Source::Registry(named) => first(&candidates(named)?, &how)?,
        archive => load::pulled(archive, &how)?,
    };
    out::data(digest)?;
    Ok(0)
}

/// A name at a registry, an archive or a layout.
fn source(text: &str) -> Result<Source, Report> {
    let source = match Source::of_archive(OsStr::new(text)) {
        Some(archive) => archive,
        None => Source::named(text),
    };
    match source.map_err(|wrong| no_name(text, wrong))? {
        Source::Id(_) => Err(Report::usage(format!(
            "pull {}: an id names nothing at a registry: write NAME[:TAG]",
            text.escape_debug()
        ))),
        source => Ok(source),
    }
}

/// A path is a file that would be loaded, a directory that would be run, or the mistake of somebody who thinks that it is there.
fn no_name(text: &str, wrong: SourceError) -> Report {
    let report = Report::usage(&wrong);
    match (wrong, std::fs::metadata(text)) {
        (SourceError::IsPath(_), Err(e)) => {
            report.hint(format!("no file and no directory is there either: {e}"))
        }
        (SourceError::IsPath(shown), Ok(meta)) if meta.is_dir() => report.hint(format!(
            "`sbx run {shown}` runs what is in a directory, `sbx load {shown}` reads the layout of an image"
        )),
        (SourceError::IsPath(shown), Ok(_)) => {
            report.hint(format!("`sbx load {shown}` reads an archive of images"))
        }
        _ => report,
    }
}

/// The full names that a name may mean.
///
/// # Errors
/// When registries.conf cannot be used, or gives it no meaning.
pub(in crate::cli) fn candidates(named: &Named) -> Result<Vec<Reference>, Report> {
    if !named.reference().is_short() {
        return Ok(vec![named.reference().clone()]);
    }
    let registries = registries::load(&lookup).map_err(Report::sbx)?;
    registries.candidates(named.reference()).map_err(Report::sbx)
}

/// Pulls the first of several names that is there.
///
/// # Errors
/// With what the last one's registry says.
pub(in crate::cli) fn first(candidates: &[Reference], how: &How<'_>) -> Result<Digest, Report> {
    let mut last = Report::sbx("no name to pull");
    for (at, name) in candidates.iter().enumerate() {
        match one(name, how) {
            Ok(digest) => return Ok(digest),
            Err(report) => {
                if at + 1 < candidates.len() && !how.quiet {
                    out::words(format_args!("sbx: {}", report.message));
                }
                last = report;
            }
        }
    }
    Err(last)
}

fn one(name: &Reference, how: &How<'_>) -> Result<Digest, Report> {
    let about = |e: &dyn std::fmt::Display| Report::sbx(format!("image {name}: {e}"));
    let registries = registries::load(&lookup).map_err(|e| about(&e))?;
    let accounts = Accounts::new(&lookup, how.uid);
    let endpoints = endpoints(name, &registries, &accounts, &lookup).map_err(|e| about(&e))?;
    let job = Job::Pull(Box::new(Pull {
        name: name.to_string(),
        tag: name.tag().map(str::to_owned),
        digest: name.digest(),
        endpoints,
        transport: transport::transport(&lookup).map_err(|e| about(&e))?,
        terms: Terms {
            platform: how.platform.clone().unwrap_or_else(Platform::host),
            limits: how.limits.clone(),
            kind: how.owners.kind,
        },
    }));
    let store = open(how.owners)?;
    let mut shown = Shown::new(how.quiet);
    fetched(&job, &store, name, how, &mut shown).map_err(|mut report| {
        report.message = named_once(name, &report.message);
        report
    })
}

/// One worker fetches, with the network; another unpacks, without one; and only then the image has a name.
fn fetched(
    job: &Job,
    store: &Store,
    name: &Reference,
    how: &How<'_>,
    shown: &mut Shown,
) -> Result<Digest, Report> {
    let mut waiting = removal::waiting();
    let _kept = store.pulling(Wait::Saying(&mut waiting)).map_err(Report::sbx)?;
    let (image, source) = match start::task(job, Some(store), how.owners, shown)? {
        Made::Image(unchanged) => return Ok(unchanged),
        Made::Fetched(image, source) => (image, source),
        Made::Nothing => return Err(Report::sbx("the image worker has fetched no image")),
    };
    if name.digest().is_some_and(|asked| asked != source) {
        return Err(Report::sbx("the image worker has fetched another image"));
    }
    let unpack = Job::Unpack(Unpack {
        manifest: image.digest,
        kind: how.owners.kind,
        limits: how.limits.clone(),
    });
    start::work(&unpack, store, how.owners, shown)?;
    let named = store.name(&name.to_string(), &image, Some(&source));
    named.map_err(Report::sbx)?;
    Ok(image.digest)
}

/// What a registry says of a manifest or a blob names its repository, which the name of the image does too; unless it is a mirror's.
fn named_once(name: &Reference, said: &str) -> String {
    if said.contains(&name.to_string()) {
        return said.to_owned();
    }
    let repository = name.name();
    let short = name
        .digest()
        .map(|digest| format!("{repository}@sha256:{}", digest.short()));
    match short.and_then(|short| said.strip_prefix(&short)) {
        Some(rest) => format!("image {name}{rest}"),
        None => format!(
            "image {name}: {}",
            said.replacen(&format!(" of {repository}"), "", 1)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_named_once_and_a_mirror_as_well() {
        let hex = "0123456789ab".repeat(6);
        let digest = format!("q.io/a@sha256:{}", &hex[..64]);
        for (name, said, expected) in [
            (
                "q.io/a:1",
                "q.io/a:1 is not there",
                "q.io/a:1 is not there".to_owned(),
            ),
            (
                "q.io/a:1",
                "blob 0123456789ab of q.io/a: size: 5 of 6",
                "image q.io/a:1: blob 0123456789ab: size: 5 of 6".to_owned(),
            ),
            (
                &digest,
                "q.io/a@sha256:0123456789ab is not there",
                format!("image {digest} is not there"),
            ),
            (
                "q.io/a:1",
                "m.io/b/a:1 is not there",
                "image q.io/a:1: m.io/b/a:1 is not there".to_owned(),
            ),
        ] {
            let name = name.parse().expect("a name");
            assert_eq!(named_once(&name, said), expected);
        }
    }
}

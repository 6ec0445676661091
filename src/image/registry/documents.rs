//! Manifests and indexes, and the question whether there is a registry at all.

use super::error::{Error, shown};
use super::exchange::Exchange;
use super::repository::{Document, Repository};
use super::request::{Answer, Ask};
use crate::image::document::accepted;
use crate::model::Digest;
use crate::model::reference::is_tag;
use serde::Deserialize;
use ureq::http::Method;

const DIGEST: &str = "docker-content-digest";

/// See [`super::Client::manifest`].
pub(super) fn manifest(
    exchange: &Exchange,
    repository: &Repository,
    reference: &str,
) -> Result<Document, Error> {
    let what = repository.named(reference);
    let ask = ask(exchange, repository, Method::GET, reference)?;
    let mut tries = exchange.tries();
    let (bytes, media_type, told) = loop {
        let mut answer = exchange.send(&ask, &repository.pull(), &mut tries)?;
        if answer.status != 200 {
            return Err(answer.into_error(&what));
        }
        let (media_type, told) = (media_type(&answer), told(&answer));
        match answer.body().all(repository.limits.document.0) {
            Ok(bytes) => break (bytes, media_type, told),
            Err(e) if e.passing() && tries.again(None) => {}
            Err(e) => return Err(e),
        }
    };
    check_kind(&what, &media_type, &bytes)?;
    let digest = Digest::of(&bytes);
    let asked = reference.parse().ok();
    match asked.or(told).filter(|expected| *expected != digest) {
        Some(expected) => Err(Error::Digest {
            what,
            found: digest.to_string(),
            expected: expected.to_string(),
        }),
        None => Ok(Document {
            bytes,
            media_type,
            digest,
        }),
    }
}

/// See [`super::Client::digest_of`].
pub(super) fn digest_of(
    exchange: &Exchange,
    repository: &Repository,
    tag: &str,
) -> Result<Option<Digest>, Error> {
    let ask = ask(exchange, repository, Method::HEAD, tag)?;
    let answer = exchange.send(&ask, &repository.pull(), &mut exchange.tries())?;
    match answer.status {
        200 => Ok(told(&answer)),
        // Whoever does not know the method can still be asked for the manifest.
        405 | 501 => Ok(None),
        _ => Err(answer.into_error(&repository.named(tag))),
    }
}

/// See [`super::Client::ping`].
pub(super) fn ping(exchange: &Exchange, host: &str) -> Result<(), Error> {
    let ask = Ask::get(exchange.place("/v2/")?, host);
    let answer = exchange.send(&ask, &String::new(), &mut exchange.tries())?;
    if answer.status != 200 {
        return Err(answer.into_error(host));
    }
    if !exchange.auth.tells(&exchange.origin()?) {
        return Err(Error::Denied {
            what: host.to_owned(),
            why: "its token server belongs to somebody else, who is not told the password".to_owned(),
        });
    }
    Ok(())
}

fn ask<'a>(
    exchange: &Exchange,
    repository: &Repository,
    method: Method,
    reference: &str,
) -> Result<Ask<'a>, Error> {
    let what = repository.named(reference);
    if !is_reference(reference) {
        return Err(Error::Manifest {
            what,
            why: "a tag is up to 128 of A-Z, a-z, 0-9, `.`, `_` and `-`, a digest sha256: and 64 digits"
                .to_owned(),
        });
    }
    let place = exchange.place(&repository.below(&format!("manifests/{reference}")))?;
    Ok(Ask::new(method, place, what).header("Accept", accepted().join(", ")))
}

/// Whether a text is a tag (distribution-spec) or a digest.
pub(super) fn is_reference(text: &str) -> bool {
    is_tag(text) || text.parse::<Digest>().is_ok()
}

fn media_type(answer: &Answer<'_>) -> String {
    let given = answer.header("content-type").unwrap_or_default();
    let kind = given.split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

/// The digest that the registry says a manifest has; one of another algorithm says nothing here.
pub(super) fn told(answer: &Answer<'_>) -> Option<Digest> {
    answer.header(DIGEST)?.trim().parse().ok()
}

/// Refuses what is no manifest at all, and the first kind of manifest, which names layers by a digest of something else.
fn check_kind(what: &str, media_type: &str, bytes: &[u8]) -> Result<(), Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Kind {
        schema_version: Option<u64>,
    }
    let refused = |why: String| {
        Err(Error::Manifest {
            what: what.to_owned(),
            why,
        })
    };
    let first = media_type.starts_with("application/vnd.docker.distribution.manifest.v1");
    match serde_json::from_slice::<Kind>(bytes) {
        Ok(kind) if first || kind.schema_version == Some(1) => {
            refused("manifest schema 1 is not supported: re-push the image with a current client".to_owned())
        }
        Ok(_) => Ok(()),
        Err(_) => refused(format!(
            "expected a manifest, got `{}`: wrong host or captive portal?",
            shown(media_type)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_a_tag_or_a_digest() {
        let digest = Digest::of(b"").to_string();
        for (text, right) in [
            ("latest", true),
            ("1.2-rc_3", true),
            ("_x", true),
            (digest.as_str(), true),
            ("", false),
            (".", false),
            ("..", false),
            ("-x", false),
            ("a/b", false),
            ("a?b", false),
            ("a b", false),
            ("sha256:00", false),
            ("sha512:00", false),
        ] {
            assert_eq!(is_reference(text), right, "{text}");
        }
        assert!(is_reference(&"x".repeat(128)) && !is_reference(&"x".repeat(129)));
    }

    #[test]
    fn what_is_no_manifest_is_said() {
        let oci = "application/vnd.oci.image.manifest.v1+json";
        let first = "application/vnd.docker.distribution.manifest.v1+prettyjws";
        for (media_type, bytes, said) in [
            (oci, r#"{"schemaVersion":2}"#, None),
            (oci, "{}", None),
            (
                oci,
                r#"{"schemaVersion":1,"fsLayers":[]}"#,
                Some("manifest schema 1"),
            ),
            (first, r#"{"schemaVersion":2}"#, Some("manifest schema 1")),
            ("text/html", "<html>", Some("got `text/html`")),
            (oci, "", Some("expected a manifest")),
            (oci, "[]", Some("expected a manifest")),
        ] {
            let found = check_kind("x", media_type, bytes.as_bytes());
            match (found, said) {
                (Ok(()), None) => {}
                (Err(e), Some(said)) => assert!(e.to_string().contains(said), "{e}"),
                (found, _) => panic!("{bytes}: {found:?}"),
            }
        }
    }
}

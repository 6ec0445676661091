//! The client against a registry that nobody wrote for these tests: Debian's docker-registry.

use super::server::AUTHORITY;
use super::{MANIFEST, Reach, content, descriptor, fails};
use crate::util::daemon::{self, Daemon, Kind};
use crate::util::{Dir, skip};
use sbx::image::registry::Error;
use sbx::model::Digest;

/// With a password and a certificate.
const SEALED: Kind = Kind {
    password: true,
    tls: true,
};

fn plain(registry: &Daemon) -> Reach {
    Reach::of(format!("127.0.0.1:{}", registry.port))
}

fn sealed(registry: &Daemon) -> Reach {
    let mut reach = Reach::of(format!("registry.test:{}", registry.port));
    reach.transport.authorities = AUTHORITY.to_owned();
    reach
}

/// A blob, a config and a manifest of them: there and back.
fn there_and_back(reach: &Reach) -> Result<(), Error> {
    let client = reach.client();
    client.ping()?;
    let (layer, config) = (content(3 << 20), b"{}".to_vec());
    for bytes in [&layer, &config] {
        assert!(!client.has_blob(&Digest::of(bytes))?);
        let mut file = tempfile::tempfile().expect("a file");
        std::io::Write::write_all(&mut file, bytes).expect("room");
        client.upload(&descriptor(bytes), &file, &|_| {})?;
        assert!(client.has_blob(&Digest::of(bytes))?);
    }
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let one = |kind: &str, bytes: &[u8]| {
        let (digest, size) = (Digest::of(bytes), bytes.len());
        format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":{size}}}"#)
    };
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{kind}","config":{},"layers":[{}]}}"#,
        one("application/vnd.oci.image.config.v1+json", &config),
        one("application/vnd.oci.image.layer.v1.tar", &layer),
    );
    client.put_manifest("12", kind, manifest.as_bytes())?;
    let digest = Digest::of(manifest.as_bytes());
    assert_eq!(client.digest_of("12")?, Some(digest));
    for reference in ["12", &digest.to_string()] {
        let found = client.manifest(reference)?;
        assert_eq!((found.digest, found.media_type.as_str()), (digest, kind));
    }
    // Whole, and from the middle on.
    for there in [0, 1 << 20] {
        let mut file = tempfile::tempfile().expect("a file");
        std::io::Write::write_all(&mut file, &layer[..there]).expect("room");
        client.blob(&descriptor(&layer), &file, &|_| {})?;
        assert_eq!(file.metadata().expect("a file").len(), layer.len() as u64);
    }
    Ok(())
}

#[test]
fn an_image_goes_to_a_real_registry_and_comes_back() {
    let Some(registry) = Daemon::start(Kind::default()) else {
        return;
    };
    let reach = plain(&registry);
    there_and_back(&reach).expect("there and back");
    let client = reach.client();
    fails(
        client.manifest("nope"),
        "is not there: the registry says `manifest unknown`",
    );
    fails(client.digest_of("nope"), "is not there");
    let file = tempfile::tempfile().expect("a file");
    fails(
        client.blob(&descriptor(b"x"), &file, &|_| {}),
        "is not there: the registry says `blob unknown to registry`",
    );
    fails(
        client.put_manifest(
            "13",
            "application/vnd.oci.image.manifest.v1+json",
            MANIFEST.as_bytes(),
        ),
        "answers 400",
    );
    // What is stored wrong does not come back as right.
    let hex = Digest::of(b"{}").hex();
    let data = registry.dir.join("data/docker/registry/v2/blobs/sha256");
    let data = data.join(&hex[..2]).join(&hex).join("data");
    std::fs::write(data, b"[]").expect("room");
    fails(
        client.blob(&descriptor(b"{}"), &file, &|_| {}),
        "digest: the bytes have",
    );
}

#[test]
fn a_real_registry_with_a_password_and_a_certificate() {
    let Some(registry) = Daemon::start(SEALED) else {
        return;
    };
    there_and_back(&sealed(&registry).password()).expect("there and back");
    fails(sealed(&registry).client().manifest("12"), "`sbx login`");
    let mut wrong = sealed(&registry).password();
    if let Some(sbx::image::job::Credentials::Password { password, .. }) = &mut wrong.endpoint.credentials {
        password.push('x');
    }
    fails(wrong.client().ping(), "not with these");
    // It answers http on its TLS port, which is no reason to tell it a password that way.
    let mut reach = plain(&registry).password();
    fails(reach.client().ping(), "certificate authorities");
    reach.transport.authorities = AUTHORITY.to_owned();
    reach.client().ping().expect("a registry");
}

/// Runs skopeo; `None`, and a skip, where it is not installed.
fn skopeo(home: &Dir, args: &[&str]) -> Option<()> {
    let out = daemon::skopeo(home.path())
        .args(["copy", "--src-tls-verify=false", "--dest-tls-verify=false"])
        .args(args)
        .output();
    match out {
        Ok(out) => {
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            Some(())
        }
        Err(e) => {
            skip("skopeo", &e.to_string());
            None
        }
    }
}

#[test]
fn what_is_pushed_is_understood_by_others_and_theirs_is_here() {
    let Some(registry) = Daemon::start(Kind::default()) else {
        return;
    };
    let mut reach = plain(&registry);
    there_and_back(&reach).expect("there and back");
    let ours = reach.client().manifest("12").expect("the manifest");
    let at = |repository: &str| format!("docker://127.0.0.1:{}/{repository}:12", registry.port);
    let layout = format!("oci:{}:12", registry.dir.join("layout").display());
    // Of one home: what skopeo has seen at a registry it sends back as it was.
    let home = Dir::new();
    let copied = skopeo(&home, &[&at("some/thing"), &layout])
        .and_then(|()| skopeo(&home, &[&layout, &at("their/thing")]));
    if copied.is_none() {
        return;
    }
    reach.endpoint.repository = "their/thing".to_owned();
    let client = reach.client();
    assert_eq!(client.manifest("12").expect("the manifest"), ours);
    let layer = content(3 << 20);
    let file = tempfile::tempfile().expect("a file");
    client
        .blob(&descriptor(&layer), &file, &|_| {})
        .expect("the layer");
}

//! What variables and directories mean.

use super::*;
use crate::image::environment::of;
use std::fs;

const PEM: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

#[test]
fn proxies_are_as_the_environment_names_them() {
    for (pairs, http, https, none) in [
        (&[][..], None, None, &[][..]),
        (
            &[("http_proxy", "http://a:1"), ("HTTP_PROXY", "http://b:1")],
            Some("http://a:1"),
            None,
            &[],
        ),
        (&[("HTTPS_PROXY", "b:1")], None, Some("http://b:1"), &[]),
        (
            &[("https_proxy", ""), ("HTTPS_PROXY", "https://u:p%40@b:1/")],
            None,
            Some("https://u:p%40@b:1/"),
            &[],
        ),
        (
            &[("http_proxy", "[::1]:3128")],
            Some("http://[::1]:3128"),
            None,
            &[],
        ),
        (
            &[("no_proxy", "localhost,.Example.com, *.a.b ,,10.0.0.0/8,*")],
            None,
            None,
            &["localhost", "example.com", "a.b", "10.0.0.0/8", "*"],
        ),
        (&[("NO_PROXY", "a")], None, None, &["a"]),
    ] {
        let found = proxies(&of(pairs)).expect("fine");
        assert_eq!(
            (found.http.as_deref(), found.https.as_deref()),
            (http, https),
            "{pairs:?}"
        );
        assert_eq!(found.direct, none, "{pairs:?}");
    }
}

#[test]
fn what_is_no_proxy_is_named_and_not_shown() {
    let long = format!("http://u:secret@{}", "a".repeat(3000));
    for text in [
        "socks5://u:secret@a:1",
        "http://",
        "http://u:secret@",
        "http://u:secret@a:99999",
        "http://u:secret@a b",
        "http://u:secret@a\r\nHost: b",
        "http://u:se\u{e9}cret@a",
        "file:///secret",
        &long,
    ] {
        let line = proxies(&of(&[("HTTPS_PROXY", text)]))
            .expect_err(text)
            .to_string();
        assert_eq!(
            line,
            "HTTPS_PROXY is no proxy: write http://HOST:PORT or https://HOST:PORT"
        );
    }
}

#[test]
fn the_first_bundle_is_taken_and_only_certificates_of_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let [none, bundle, named] = ["none", "bundle", "named"].map(|n| dir.path().join(n));
    let noise = [
        b"# caf\xe9\n-----BEGIN PRIVATE KEY-----\nX\n-----END PRIVATE KEY-----\n",
        PEM.as_bytes(),
    ]
    .concat();
    fs::write(&bundle, noise).expect("write");
    let bundles = [none.clone(), bundle.clone()];
    assert_eq!(authorities(&of(&[]), &bundles).expect("fine"), PEM);
    assert_eq!(authorities(&of(&[]), &bundles[..1]).expect("fine"), "");
    let name = named.to_str().expect("text");
    let pairs = [("SSL_CERT_FILE", name)];
    let line = authorities(&of(&pairs), &bundles).expect_err("none").to_string();
    assert!(
        line.starts_with("cannot read ") && line.contains("named"),
        "{line}"
    );
    fs::write(&named, "-----BEGIN CERTIFICATE-----\ncut").expect("write");
    let line = authorities(&of(&pairs), &bundles).expect_err("cut").to_string();
    assert!(line.ends_with("named holds no certificate in PEM"), "{line}");
    fs::write(&named, [PEM, PEM].concat()).expect("write");
    assert_eq!(
        authorities(&of(&pairs), &bundles).expect("fine"),
        [PEM, PEM].concat()
    );
}

#[test]
fn a_registry_has_authorities_of_its_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let [own, system] = ["own", "system"].map(|n| dir.path().join(n));
    let of = |host: &str| authorities_of(host, [own.clone(), system.clone()].into_iter());
    let write = |path: PathBuf, text: &str| {
        fs::create_dir_all(path.parent().expect("a parent")).expect("mkdir");
        fs::write(path, text).expect("write");
    };
    assert!(of("a:1").expect("fine").is_empty());
    write(system.join("a:1/ca.crt"), PEM);
    write(system.join("a:1/readme"), "x");
    assert_eq!(of("a:1").expect("fine"), [PEM]);
    assert!(of("a").expect("fine").is_empty());
    write(own.join("a:1/2.crt"), PEM);
    write(own.join("a:1/1.crt"), &PEM.replace("MIIB", "MIIA"));
    let found = of("a:1").expect("fine");
    assert_eq!(found.len(), 2);
    assert!(found[0].contains("MIIA"), "sorted by name");
    write(own.join("b/client.cert"), PEM);
    let line = of("b").expect_err("client").to_string();
    assert!(
        line.contains("own/b/client.cert: client certificates are not supported"),
        "{line}"
    );
    write(own.join("c/client.key"), "x");
    assert!(matches!(of("c"), Err(TransportError::Client(_))));
    write(own.join("d/ca.crt"), "x");
    assert!(matches!(of("d"), Err(TransportError::NoCertificate(_))));
    write(dir.path().join("outside/ca.crt"), PEM);
    for host in ["../outside", "..", "a:1/../../outside", "/"] {
        assert!(of(host).expect("nothing").is_empty(), "{host}");
    }
}

//! What each form of IMAGE means.

use super::*;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn parse(text: &str) -> Result<Source, SourceError> {
    Source::parse(OsStr::new(text))
}

#[test]
fn each_form_is_told_from_the_others() {
    let tag = |text: &str| Some(text.to_owned());
    for (text, expected) in [
        ("host", Source::Host),
        ("scratch", Source::Scratch),
        (".", Source::Directory(".".into())),
        ("..", Source::Directory("..".into())),
        ("./a:b", Source::Directory("./a:b".into())),
        ("../x", Source::Directory("../x".into())),
        ("/", Source::Directory("/".into())),
        ("/x/oci:y", Source::Directory("/x/oci:y".into())),
        (
            "oci:a",
            Source::OciLayout {
                dir: "a".into(),
                tag: None,
            },
        ),
        (
            "oci:/a/b:12",
            Source::OciLayout {
                dir: "/a/b".into(),
                tag: tag("12"),
            },
        ),
        (
            "oci:a:docker.io/library/debian:12",
            Source::OciLayout {
                dir: "a".into(),
                tag: tag("docker.io/library/debian:12"),
            },
        ),
        (
            "oci-archive:a.tar",
            Source::OciArchive {
                file: "a.tar".into(),
                tag: None,
            },
        ),
        (
            "oci-archive:./a:x",
            Source::OciArchive {
                file: "./a".into(),
                tag: tag("x"),
            },
        ),
        (
            "docker-archive:a",
            Source::DockerArchive {
                file: "a".into(),
                tag: None,
            },
        ),
        (
            "docker-archive:a:debian:12",
            Source::DockerArchive {
                file: "a".into(),
                tag: "debian:12".parse().ok(),
            },
        ),
    ] {
        assert_eq!(parse(text), Ok(expected), "{text}");
    }
    let bytes = OsStr::from_bytes(b"./\xff");
    assert_eq!(Source::parse(bytes), Ok(Source::Directory(bytes.into())));
    let bytes = OsStr::from_bytes(b"oci:\xff:x");
    let dir = OsStr::from_bytes(b"\xff").into();
    assert_eq!(Source::parse(bytes), Ok(Source::OciLayout { dir, tag: tag("x") }));
}

#[test]
fn names_keep_what_was_typed() {
    for (text, full, typed, id) in [
        ("debian:12", "docker.io/library/debian:12", "debian:12", None),
        (
            "docker://debian",
            "docker.io/library/debian:latest",
            "debian",
            None,
        ),
        ("docker://host", "docker.io/library/host:latest", "host", None),
        ("docker://dir:1", "docker.io/library/dir:1", "dir:1", None),
        ("host:1", "docker.io/library/host:1", "host:1", None),
        (
            "docker:dind",
            "docker.io/library/docker:dind",
            "docker:dind",
            None,
        ),
        (
            "library/scratch",
            "docker.io/library/scratch:latest",
            "library/scratch",
            None,
        ),
        ("dir", "docker.io/library/dir:latest", "dir", None),
        ("oci/x", "docker.io/oci/x:latest", "oci/x", None),
        ("deadbeef", "docker.io/library/deadbeef:latest", "deadbeef", None),
        (
            "0123456789ab",
            "docker.io/library/0123456789ab:latest",
            "0123456789ab",
            Some("0123456789ab"),
        ),
    ] {
        let Ok(Source::Registry(named)) = parse(text) else {
            panic!("{text}: {:?}", parse(text));
        };
        assert_eq!(
            (named.reference().to_string().as_str(), named.text()),
            (full, typed),
            "{text}"
        );
        assert_eq!(named.id_prefix(), id, "{text}");
    }
    let id: Digest = format!("sha256:{HEX}").parse().expect("a digest");
    for text in [HEX.to_owned(), format!("sha256:{HEX}")] {
        assert_eq!(parse(&text), Ok(Source::Id(id)), "{text}");
    }
    assert!(parse(&format!("docker://{HEX}")).is_err());
}

#[test]
fn a_path_is_not_taken_for_a_name_with_an_odd_host() {
    for text in ["./debian", "../a/b:1", "/srv/root", ".", "..", "./a:b"] {
        assert_eq!(Source::named(text), Err(SourceError::IsPath(text.to_owned())));
    }
    assert!(Source::named("a/../b").is_err_and(|e| e.to_string().contains("`..` may hold")));
}

#[test]
fn what_is_refused_says_what_is_supported() {
    for (text, part) in [
        ("", "no image is named: write NAME[:TAG], docker://NAME, oci:DIR"),
        ("docker://", "no image is named"),
        (
            "containers-storage:x",
            "`containers-storage:` is not supported: write NAME[:TAG], docker://NAME",
        ),
        ("docker-daemon:debian:12", "`docker-daemon:` is not supported"),
        ("ostree:x@/y", "`ostree:` is not supported"),
        ("dir:/x", "write a root file system as ./DIR or /DIR"),
        ("https://quay.io/x/", "write `quay.io/x`"),
        ("docker://docker://x", "has no `docker://` before it: write `x`"),
        ("ftp://x/y", "`ftp://` is not supported"),
        ("\x1b://x", "`\\u{1b}://` is not supported"),
        ("oci:", "write oci:DIR[:TAG]"),
        ("oci::x", "write oci:DIR[:TAG]"),
        ("oci-archive:", "write oci-archive:FILE[:TAG]"),
        ("docker-archive:", "write docker-archive:FILE[:NAME]"),
        ("oci:a:", "the name behind the path"),
        ("oci:a:-x", "the name behind the path"),
        ("oci:a:x y", "the name behind the path"),
        ("oci-archive:a:@1", "the name behind the path"),
        ("docker-archive:a:", "no repository"),
        ("docker-archive:a:@0", "digest"),
        ("docker-archive:a:B", "lower case: `b`"),
        ("/a\0b", "NUL"),
        ("oci:a\0b", "NUL"),
        ("Debian", "lower case: `debian`"),
        ("~/x", "`~` may hold"),
        ("a b", "may hold"),
        ("-it", "may hold"),
    ] {
        let line = parse(text).expect_err(text).to_string();
        assert!(line.contains(part), "{text:?}: {line}");
        assert!(!line.chars().any(char::is_control) && line.len() < 800, "{line}");
    }
    let line = Source::parse(OsStr::from_bytes(b"deb\xffian"))
        .expect_err("no text")
        .to_string();
    assert!(line.contains("`deb\\xffian` is not UTF-8"), "{line}");
    assert!(Source::parse(OsStr::from_bytes(b"oci:a:\xff")).is_err());
    assert!(parse(&format!("/{}", "x".repeat(4096))).is_err());
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_in_one_line(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        if let Err(error) = Source::parse(OsStr::from_bytes(&bytes)) {
            let line = error.to_string();
            proptest::prop_assert!(!line.chars().any(char::is_control) && line.len() < 2000);
        }
    }
}

//! What is a name, what it means, and what is none.

use super::*;
use proptest::prelude::*;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn read(text: &str) -> Reference {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn names_are_completed_as_docker_completes_them() {
    let digest = format!("sha256:{HEX}");
    for (text, full, familiar, short) in [
        ("debian", "docker.io/library/debian:latest", "debian:latest", true),
        ("debian:12", "docker.io/library/debian:12", "debian:12", true),
        (
            "library/debian",
            "docker.io/library/debian:latest",
            "debian:latest",
            true,
        ),
        ("a/b/c", "docker.io/a/b/c:latest", "a/b/c:latest", true),
        (
            "docker.io/debian",
            "docker.io/library/debian:latest",
            "debian:latest",
            false,
        ),
        (
            "index.docker.io/debian",
            "docker.io/library/debian:latest",
            "debian:latest",
            false,
        ),
        ("Docker.IO/me/x:V_1", "docker.io/me/x:V_1", "me/x:V_1", false),
        ("quay.io/x", "quay.io/x:latest", "quay.io/x:latest", false),
        ("localhost/x", "localhost/x:latest", "localhost/x:latest", false),
        (
            "LOCALHOST:5000/x",
            "localhost:5000/x:latest",
            "localhost:5000/x:latest",
            false,
        ),
        (
            "localhost",
            "docker.io/library/localhost:latest",
            "localhost:latest",
            true,
        ),
        (
            "localhost:5000",
            "docker.io/library/localhost:5000",
            "localhost:5000",
            true,
        ),
        ("a:1/b", "a:1/b:latest", "a:1/b:latest", false),
        (
            "[::1]:5000/b",
            "[::1]:5000/b:latest",
            "[::1]:5000/b:latest",
            false,
        ),
        ("[0:0::0001]/b:x", "[::1]/b:x", "[::1]/b:x", false),
        (
            "127.0.0.1:5000/b",
            "127.0.0.1:5000/b:latest",
            "127.0.0.1:5000/b:latest",
            false,
        ),
        ("a.b", "docker.io/library/a.b:latest", "a.b:latest", true),
        (
            "a__b-----c.d_e",
            "docker.io/library/a__b-----c.d_e:latest",
            "a__b-----c.d_e:latest",
            true,
        ),
        (
            "docker.io/a.b/c",
            "docker.io/a.b/c:latest",
            "docker.io/a.b/c:latest",
            false,
        ),
        (
            "docker.io/localhost/c",
            "docker.io/localhost/c:latest",
            "docker.io/localhost/c:latest",
            false,
        ),
        (
            "docker.io/library/a/b",
            "docker.io/library/a/b:latest",
            "library/a/b:latest",
            false,
        ),
        (
            "deadbeef",
            "docker.io/library/deadbeef:latest",
            "deadbeef:latest",
            true,
        ),
    ] {
        let name = read(text);
        assert_eq!(name.to_string(), full, "{text}");
        assert_eq!(name.familiar(), familiar, "{text}");
        assert_eq!(name.is_short(), short, "{text}");
    }
    let both = read(&format!("debian:12@{digest}"));
    assert_eq!(
        (both.tag(), both.digest().map(|d| d.to_string())),
        (Some("12"), Some(digest.clone()))
    );
    let alone = read(&format!("localhost:5000/debian@{digest}"));
    assert_eq!(
        (alone.tag(), alone.registry(), alone.repository()),
        (None, "localhost:5000", "debian")
    );
    assert_eq!(alone.to_string(), format!("localhost:5000/debian@{digest}"));
    assert_eq!(alone.name(), "localhost:5000/debian");
    let long = read(&format!("docker.io/library/{HEX}"));
    assert_eq!(long.familiar(), format!("{HEX}:latest"));
}

#[test]
fn what_is_no_name_is_told_why() {
    use ReferenceError as E;
    type Is = fn(&E) -> bool;
    let (empty, upper, path, host, tag): (Is, Is, Is, Is, Is) = (
        |e| matches!(e, E::Empty(_)),
        |e| matches!(e, E::Upper(..)),
        |e| matches!(e, E::Path(..)),
        |e| matches!(e, E::Host(..)),
        |e| matches!(e, E::Tag(_)),
    );
    let (digest, long, id): (Is, Is, Is) = (
        |e| matches!(e, E::Digest(..)),
        |e| matches!(e, E::Long(..)),
        |e| matches!(e, E::Id(_)),
    );
    let wide = |n: usize| "a".repeat(n);
    for (text, is) in [
        (String::new(), empty),
        (":12".into(), empty),
        ("quay.io/".into(), empty),
        (format!("@sha256:{HEX}"), empty),
        ("Debian".into(), upper),
        ("MyName/debian:12".into(), upper),
        ("quay.io/a/B".into(), upper),
        ("/debian".into(), path),
        ("a//b".into(), path),
        ("a/".into(), path),
        ("../b".into(), host),
        ("a/../b".into(), path),
        ("a/./b".into(), path),
        ("-a".into(), path),
        ("a-".into(), path),
        ("a..b".into(), path),
        ("a___b".into(), path),
        ("a_.b".into(), path),
        ("a b".into(), path),
        ("a\nb".into(), path),
        ("a\0".into(), path),
        ("d\u{e9}bian".into(), path),
        ("\u{430}lpine".into(), path),
        ("a;b".into(), path),
        ("*.example.com/a".into(), host),
        ("user@quay.io/a".into(), digest),
        ("-a.b/c".into(), host),
        ("a.b./c".into(), host),
        (".a/c".into(), host),
        ("a..b/c".into(), host),
        ("a:/c".into(), host),
        ("a:0/c".into(), host),
        ("a:080/c".into(), host),
        ("a:65536/c".into(), host),
        ("a:+8/c".into(), host),
        ("a:1:2/c".into(), host),
        ("[::1/c".into(), host),
        ("[::1]x/c".into(), host),
        ("[::1%eth0]/c".into(), host),
        ("[1.2.3.4]:1/c".into(), host),
        ("https://quay.io/a".into(), host),
        (format!("{}.x/c", wide(64)), host),
        ("a:".into(), tag),
        ("a:.b".into(), tag),
        ("a:-b".into(), tag),
        ("a:b:c".into(), tag),
        ("a:b c".into(), tag),
        (format!("a:{}", wide(129)), tag),
        ("a@".into(), digest),
        ("a@sha256:abc".into(), digest),
        (format!("a@sha512:{HEX}{HEX}"), digest),
        (format!("a@sha256:{}", HEX.to_uppercase()), digest),
        (format!("a@sha256:{HEX}@sha256:{HEX}"), digest),
        (format!("a@sha256:{HEX}:12"), digest),
        (wide(256), long),
        (HEX.into(), id),
    ] {
        let error = text.parse::<Reference>().expect_err(&text);
        assert!(is(&error), "{text:?}: {error:?}");
        let line = error.to_string();
        assert!(line.len() < 700 && !line.chars().any(char::is_control), "{line}");
    }
    assert!(
        read(&format!("a:{}", wide(128)))
            .tag()
            .is_some_and(|t| t.len() == 128)
    );
    // docker.io/ and library/ count.
    assert!(wide(255 - 18).parse::<Reference>().is_ok());
    assert!(wide(256 - 18).parse::<Reference>().is_err());
}

#[test]
fn messages_say_what_would_be_right() {
    for (text, expected) in [
        (
            "Debian:12",
            "image name `Debian:12`: a repository is written in lower case: `debian`",
        ),
        (
            "a:x:/b",
            "image name `a:x:/b`: `a:x:` is no host: write NAME, NAME:PORT, ADDRESS:PORT or [IPV6]:PORT",
        ),
        (
            "\x1b[31m",
            "image name `\\u{1b}[31m`: `\\u{1b}[31m` may hold a-z and 0-9, and between them one `.`, one or two `_`, \
             or any number of `-`",
        ),
    ] {
        assert_eq!(text.parse::<Reference>().expect_err(text).to_string(), expected);
    }
}

#[test]
fn two_names_of_one_image_are_equal() {
    assert_eq!(read("debian"), read("docker.io/library/debian:latest"));
    assert_ne!(read("debian"), read("debian:12"));
    assert_ne!(read("debian"), read("quay.io/library/debian"));
    let text = serde_json::to_string(&read("debian:12")).expect("json");
    assert_eq!(text, "\"docker.io/library/debian:12\"");
    assert_eq!(
        serde_json::from_str::<Reference>(&text).expect("a name"),
        read("debian:12")
    );
    assert!(serde_json::from_str::<Reference>("\"../x\"").is_err());
}

#[test]
fn a_short_name_can_get_another_host() {
    let digest = format!("sha256:{HEX}");
    for (text, name, expected) in [
        (
            "debian:12",
            "quay.io/x/debian",
            Some("quay.io/x/debian:12".to_owned()),
        ),
        (
            "debian",
            "localhost:5000/debian",
            Some("localhost:5000/debian:latest".to_owned()),
        ),
        (
            &format!("a@{digest}"),
            "docker.io/b",
            Some(format!("docker.io/library/b@{digest}")),
        ),
        ("a", "b", None),
        ("a", "b/c", None),
        ("a", "quay.io/b:1", None),
        ("a", &format!("quay.io/b@{digest}"), None),
        ("a", "quay.io/", None),
        ("a", "quay.io/B", None),
        ("a", "", None),
    ] {
        let renamed = read(text).renamed(name).ok();
        assert_eq!(
            renamed.as_ref().map(ToString::to_string),
            expected,
            "{text} {name}"
        );
        assert!(renamed.is_none_or(|r| !r.is_short()));
    }
    for (text, path) in [
        ("debian", "debian"),
        ("library/debian", "library/debian"),
        ("a/b", "a/b"),
        ("docker.io/debian", "library/debian"),
    ] {
        assert_eq!(read(text).typed_path(), path);
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(text in "([A-Za-z0-9.\\[\\]:-]{1,9}/)?[a-zA-Z0-9._/-]{1,12}(:[\\w.-]{0,5})?") {
        if let Ok(name) = text.parse::<Reference>() {
            prop_assert_eq!(name.to_string().parse::<Reference>(), Ok(name.clone()));
            prop_assert_eq!(name.familiar().parse::<Reference>(), Ok(name.clone()));
            prop_assert!(!name.repository().split('/').any(|p| p.is_empty() || p == "." || p == ".."));
        }
    }

    #[test]
    fn any_text_is_read_or_refused_in_one_line(text in ".{0,300}") {
        if let Err(error) = text.parse::<Reference>() {
            prop_assert!(!error.to_string().chars().any(char::is_control));
        }
    }
}

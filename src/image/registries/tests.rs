//! What the files mean, together with a name.

use super::read::read;
use super::*;
use std::path::Path;

fn registries(texts: &[&str]) -> Registries {
    let mut all = Registries::default();
    for text in texts {
        all.overlay(read(Path::new("/f"), text).unwrap_or_else(|e| panic!("{text}: {e}")));
    }
    all
}

fn name(text: &str) -> Reference {
    text.parse().expect(text)
}

/// `HOST/REPOSITORY`, with `!` behind it when insecure.
fn places(all: &Registries, text: &str) -> String {
    let found = match all.endpoints(&name(text)) {
        Ok(found) => found,
        Err(error) => return error.to_string(),
    };
    let one = |l: &Location| format!("{}/{}{}", l.host, l.repository, if l.insecure { "!" } else { "" });
    found.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[test]
fn short_names_mean_what_the_files_say() {
    let aliases = "[aliases]\n\"debian\" = \"docker.io/library/debian\"\n\"a/b\" = \"Quay.io/c/d\"\n";
    let search = "unqualified-search-registries = [\"localhost:5000\", \"docker.io\", \"INDEX.docker.io\", \"[::1]:5\"]";
    for (texts, text, expected) in [
        (&[][..], "debian", "docker.io/library/debian:latest"),
        (&[], "quay.io/debian:1", "quay.io/debian:1"),
        (
            &[search],
            "debian:12",
            "localhost:5000/debian:12 docker.io/library/debian:12 docker.io/library/debian:12 [::1]:5/debian:12",
        ),
        (&[search], "quay.io/debian:12", "quay.io/debian:12"),
        (
            &[
                search,
                "short-name-mode = \"disabled\"\nunqualified-search-registries = [\"a.b\"]",
            ],
            "x/y",
            "a.b/x/y:latest",
        ),
        (&[search, aliases], "debian:12", "docker.io/library/debian:12"),
        (&[search, aliases], "a/b:x", "quay.io/c/d:x"),
        (
            &[aliases, "[aliases]\ndebian = \"a.b/c\""],
            "debian",
            "a.b/c:latest",
        ),
        (
            &[aliases, "[aliases]\ndebian = \"a.b/c\""],
            "a/b",
            "quay.io/c/d:latest",
        ),
        // Typed with `library/` it is no alias of `debian`.
        (
            &[aliases, "unqualified-search-registries = [\"a.b\"]"],
            "library/debian",
            "a.b/library/debian:latest",
        ),
        (
            &[
                aliases,
                "[aliases]\ndebian = \"\"\n",
                "unqualified-search-registries = [\"a.b\"]",
            ],
            "debian",
            "a.b/debian:latest",
        ),
        (
            &["short-name-mode = \"enforcing\"\nunqualified-search-registries = [\"a.b\"]"],
            "x",
            "a.b/x:latest",
        ),
    ] {
        let found = registries(texts).candidates(&name(text)).expect(text);
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found.join(" "), expected, "{texts:?} {text}");
    }
    for (texts, expected) in [
        (
            "unqualified-search-registries = []",
            "image `x`: unqualified-search-registries is empty in registries.conf, so that a name must have its host: docker.io/x",
        ),
        (
            "short-name-mode = \"enforcing\"\nunqualified-search-registries = [\"a.b\", \"c:1\"]",
            "image `x` may mean one of a.b, c:1: registries.conf has short-name-mode = \"enforcing\": write the name with its host",
        ),
    ] {
        let error = registries(&[texts]).candidates(&name("x")).expect_err(texts);
        assert_eq!(error.to_string(), expected);
    }
    let long = format!("unqualified-search-registries = [\"{}.com\"]", "a".repeat(60));
    let error = registries(&[&long]).candidates(&name(&"x".repeat(230)));
    assert!(matches!(error, Err(RegistriesError::Name { .. })), "{error:?}");
}

const TABLES: &str = r#"
[[registry]]
prefix = "example.com/foo"
location = "internal.example.net/bar"
[[registry.mirror]]
location = "mirror-0.local/for-foo"
[[registry.mirror]]
location = "mirror-1.local/mirrors/foo/"
insecure = true

[[registry]]
location = "Registry.com"
insecure = true
[[registry.mirror]]
location = "mirror"

[[registry]]
prefix = "example.com/foo/deep"
location = "deep:5000"

[[registry]]
prefix = "*.wild.org"
[[registry.mirror]]
location = "m.org/w"

[[registry]]
prefix = "*.bad.wild.org"
blocked = true

[[registry]]
prefix = "good.bad.wild.org"

[[registry]]
prefix = "index.docker.io/library"
location = "hub.local"

[[registry]]
prefix = "hub.only"
location = "docker.io"

[[registry]]
prefix = "kept.com"
location = "kept.com"
mirror-by-digest-only = true
[[registry.mirror]]
location = "m.kept.com"

[[registry]]
prefix = "t.com"
[[registry.mirror]]
location = "tags.com"
pull-from-mirror = "tag-only"
[[registry.mirror]]
location = "digests.com"
pull-from-mirror = "digest-only"
[[registry.mirror]]
location = "all.com"
pull-from-mirror = "all"
"#;

#[test]
fn mirrors_come_first_and_the_longest_prefix_wins() {
    let all = registries(&[TABLES]);
    let digest = format!("@{}", crate::model::Digest::of(b""));
    for (text, expected) in [
        ("unknown.com/x", "unknown.com/x".to_owned()),
        ("docker.io/me/x", "registry-1.docker.io/me/x".to_owned()),
        ("debian", "hub.local/debian".to_owned()),
        ("docker.io/libraryx/y", "registry-1.docker.io/libraryx/y".to_owned()),
        (
            "example.com/foo/image",
            "mirror-0.local/for-foo/image mirror-1.local/mirrors/foo/image! internal.example.net/bar/image".to_owned(),
        ),
        (
            "example.com/foo",
            "mirror-0.local/for-foo mirror-1.local/mirrors/foo! internal.example.net/bar".to_owned(),
        ),
        ("example.com/foobar", "example.com/foobar".to_owned()),
        ("example.com:5000/foo", "example.com:5000/foo".to_owned()),
        ("example.com/foo/deep/x", "deep:5000/x".to_owned()),
        ("registry.COM/a/b", "mirror/a/b registry.com/a/b!".to_owned()),
        ("a.b.wild.org:5000/x/y", "m.org/w/x/y a.b.wild.org:5000/x/y".to_owned()),
        ("wild.org/x", "wild.org/x".to_owned()),
        ("evilwild.org/x", "evilwild.org/x".to_owned()),
        ("good.bad.wild.org/x", "good.bad.wild.org/x".to_owned()),
        (
            "x.bad.wild.org:1/x",
            "image x.bad.wild.org:1/x:latest: registries.conf blocks `*.bad.wild.org`: nothing is pulled from there".to_owned(),
        ),
        ("hub.only/debian", "registry-1.docker.io/library/debian".to_owned()),
        ("hub.only/me/x", "registry-1.docker.io/me/x".to_owned()),
        ("kept.com/x", "kept.com/x".to_owned()),
        (&format!("kept.com/x{digest}"), "m.kept.com/x kept.com/x".to_owned()),
        ("t.com/x", "tags.com/x all.com/x t.com/x".to_owned()),
        (&format!("t.com/x:1{digest}"), "digests.com/x all.com/x t.com/x".to_owned()),
    ] {
        assert_eq!(places(&all, text), expected, "{text}");
    }
    let hub = all.endpoints(&name("me/x")).expect("fine");
    assert_eq!(hub.first().map(|l| l.registry.as_str()), Some("docker.io"));
    // A location that is a whole repository leaves nothing for a host alone.
    let bare = registries(&["[[registry]]\nprefix = \"a.b/c\"\nlocation = \"d.e\""]);
    assert!(
        places(&bare, "a.b/c").contains("location `d.e`"),
        "{}",
        places(&bare, "a.b/c")
    );
}

#[test]
fn a_block_cannot_be_passed_by_another_spelling() {
    let all = registries(&[
        "[[registry]]\nprefix = \"Docker.io\"\nblocked = true\n[[registry]]\nprefix = \"[0::1]:5000/x\"\nblocked = true",
    ]);
    for text in [
        "debian",
        "DOCKER.IO/debian",
        "index.docker.io/x/y",
        "Index.Docker.Io/x",
        "[::1]:5000/x",
        "[::0:1]:5000/x/y",
    ] {
        assert!(
            matches!(all.endpoints(&name(text)), Err(RegistriesError::Blocked { .. })),
            "{text}"
        );
    }
    assert!(all.endpoints(&name("[::1]:5000/y")).is_ok());
}

#[test]
fn a_later_file_replaces_a_table_whole() {
    let all = registries(&[
        "[[registry]]\nprefix = \"a.b\"\nblocked = true\n[[registry]]\nprefix = \"c.d\"\nblocked = true",
        "[[registry]]\nlocation = \"A.b\"\n",
    ]);
    assert_eq!(places(&all, "a.b/x"), "a.b/x");
    assert!(all.endpoints(&name("c.d/x")).is_err());
}

#[test]
fn faults_name_file_and_line() {
    for (text, line, part) in [
        ("unqualified-search-registries = \"a\"", 1, "invalid type"),
        ("\n\nunqualified-search-registries = [\n1]", 4, "invalid type"),
        (
            "unqualified-search-registries = [\n\"a\"]",
            2,
            "`a` is no registry: write HOST.DOMAIN or HOST:PORT",
        ),
        (
            "unqualified-search-registries = [\"https://a.b\"]",
            1,
            "is no registry",
        ),
        ("unqualified-search-registries = [\"a.b/c\"]", 1, "is no registry"),
        (
            "short-name-mode = \"x\\u001b\"",
            1,
            "`x\\u{1b}`: write enforcing, permissive or disabled",
        ),
        ("[registries.search]\nregistries = []", 1, "version 1"),
        ("[registries.block]\nregistries = ['a']", 1, "version 1"),
        ("x = 1\n[[registry]]\n", 2, "needs `prefix` or `location`"),
        ("[registry]\nprefix = 'a'", 1, "invalid type"),
        ("[[registry]]\nprefix = 'a.b'\nblocked = 'yes'", 3, "invalid type"),
        ("[[registry]]\nlocation = 'https://a.b'", 2, "without http://"),
        ("[[registry]]\nprefix = 'a.b/c:1'", 2, "a tag or a digest"),
        ("[[registry]]\nprefix = 'a.b/C'", 2, "lower case"),
        ("[[registry]]\nprefix = 'a.b/../c'", 2, "HOST[:PORT]/PATH"),
        ("[[registry]]\nprefix = '/c'", 2, "HOST[:PORT]"),
        ("[[registry]]\nprefix = '*.a.b/c'", 2, "*.example.com"),
        ("[[registry]]\nprefix = '*.a.b:1'", 2, "*.example.com"),
        ("[[registry]]\nprefix = 'a.*.b'", 2, "HOST[:PORT]"),
        ("[[registry]]\nprefix = '*'", 2, "HOST[:PORT]"),
        (
            "[[registry]]\nprefix='a.b'\n[[registry.mirror]]\ninsecure=true",
            3,
            "needs `location`",
        ),
        (
            "[[registry]]\nprefix='a.b'\n[[registry.mirror]]\nlocation='*.c'",
            4,
            "HOST[:PORT]",
        ),
        (
            "[[registry]]\nprefix='a.b'\nmirror-by-digest-only=true\n[[registry.mirror]]\nlocation='c'\npull-from-mirror='all'",
            6,
            "cannot stand beside",
        ),
        (
            "[[registry]]\nprefix='a.b'\n[[registry.mirror]]\nlocation='c'\npull-from-mirror='x'",
            5,
            "tag-only",
        ),
        (
            "[[registry]]\nprefix='a.b'\n[[registry]]\nprefix='A.B'",
            3,
            "stands twice",
        ),
        ("[aliases]\n'a.b/c' = 'd.e/f'", 2, "without host, tag and digest"),
        ("[aliases]\n'a:1' = 'd.e/f'", 2, "without host, tag and digest"),
        ("[aliases]\n'' = 'd.e/f'", 2, "without host"),
        ("[aliases]\na = 'b/c'", 2, "with its host"),
        ("[aliases]\na = 'b.c/d:1'", 2, "without tag and digest"),
        ("[aliases]\na = 'b.c/D'", 2, "lower case"),
        ("[aliases]\na = 1", 2, "invalid type"),
        ("[aliases]\na = 'x'\na = 'y'", 3, "duplicate"),
        ("x", 1, ""),
        ("\n\n\"\u{1b}", 3, ""),
    ] {
        let fault = read(Path::new("/etc/x\n"), text).expect_err(text);
        let shown = fault.to_string();
        assert!(
            shown.starts_with(&format!("/etc/x\\n:{line}: ")),
            "{text:?}: {shown}"
        );
        assert!(
            shown.contains(part) && !shown.chars().any(char::is_control),
            "{text:?}: {shown}"
        );
    }
}

#[test]
fn what_others_write_is_passed_over() {
    let file = read(
        Path::new("/f"),
        "credential-helpers = ['x']\nnew = 1\n[table]\na = 1\n[[registry]]\nprefix = 'a.b'\nnew = 2\n[[registry.mirror]]\nlocation = 'c'\nz = 1",
    );
    assert_eq!(file.expect("fine").namespaces.len(), 1);
    assert_eq!(read(Path::new("/f"), ""), Ok(read::File::default()));
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused_in_one_line(
        key in "(prefix|location|unqualified-search-registries|short-name-mode|[a-z.\"\\[\\]]{1,12})",
        value in "('[^'\n]{0,12}'|\\['[^'\n]{0,9}'\\]|[^\n]{0,12})",
        table in "(\\[\\[registry\\]\\]|\\[aliases\\]|)",
    ) {
        let text = format!("{table}\n{key} = {value}");
        match read(Path::new("/f"), &text) {
            Err(fault) => proptest::prop_assert!(!fault.to_string().chars().any(char::is_control), "{fault:?}"),
            Ok(file) => {
                let mut all = Registries::default();
                all.overlay(file);
                if let Ok(found) = all.candidates(&name("debian")) {
                    for image in found {
                        proptest::prop_assert!(!image.is_short());
                        let _ = all.endpoints(&image);
                    }
                }
            }
        }
    }
}

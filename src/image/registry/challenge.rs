//! `WWW-Authenticate`: what a registry wants to be told (RFC 9110, 11.6.1).

/// A way to say who one is. Others (Negotiate, Digest) are not spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// A token of another server.
    Bearer {
        /// Where tokens are had.
        realm: String,
        /// What the token is for, in that server's words.
        service: Option<String>,
    },
    /// A name and a password.
    Basic,
}

/// Challenges that are read in all; honest servers send one or two.
const MOST: usize = 16;

/// A challenge as it is written, before anybody asks whether it is one that is spoken.
struct Written<'a> {
    scheme: &'a str,
    parameters: Vec<(String, String)>,
}

/// The challenges of all `WWW-Authenticate` headers, in their order. What cannot be read ends its header.
#[must_use]
pub fn challenges<'a>(headers: impl IntoIterator<Item = &'a str>) -> Vec<Challenge> {
    let written = headers.into_iter().flat_map(|header| {
        let mut reader = Reader { rest: header };
        std::iter::from_fn(move || reader.challenge()).take(MOST)
    });
    written.filter_map(spoken).take(MOST).collect()
}

fn spoken(written: Written<'_>) -> Option<Challenge> {
    let value = |name: &str| {
        let found = written.parameters.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.clone())
    };
    if written.scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    let bearer = written.scheme.eq_ignore_ascii_case("bearer");
    bearer.then(|| {
        Some(Challenge::Bearer {
            realm: value("realm")?,
            service: value("service"),
        })
    })?
}

/// What has not been read of one header.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn challenge(&mut self) -> Option<Written<'a>> {
        self.separators();
        let scheme = self.token()?;
        let mut written = Written {
            scheme,
            parameters: Vec::new(),
        };
        loop {
            self.separators();
            let before = self.rest;
            match self.parameter() {
                Some(parameter) => written.parameters.push(parameter),
                None => {
                    // It was the scheme of the next challenge, a token68 as Negotiate has, or nonsense.
                    self.rest = before;
                    break;
                }
            }
        }
        Some(written)
    }

    fn parameter(&mut self) -> Option<(String, String)> {
        let name = self.token()?.to_ascii_lowercase();
        self.blanks();
        self.rest = self.rest.strip_prefix('=')?;
        self.blanks();
        let value = match self.rest.strip_prefix('"') {
            Some(rest) => {
                self.rest = rest;
                self.quoted()?
            }
            None => self.token()?.to_owned(),
        };
        Some((name, value))
    }

    /// The rest of a quoted string; `None` when it has no end.
    fn quoted(&mut self) -> Option<String> {
        let mut value = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Some(value);
                }
                '\\' => value.push(chars.next()?.1),
                c => value.push(c),
            }
        }
        None
    }

    fn token(&mut self) -> Option<&'a str> {
        let part = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/:?".contains(c);
        let end = self.rest.find(|c| !part(c)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!token.is_empty()).then_some(token)
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn separators(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
        }
    }

    #[test]
    fn challenges_are_read_as_they_are_written() {
        let docker = bearer("https://auth.docker.io/token", Some("registry.docker.io"));
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/debian:pull""#;
        let table: &[(&str, Vec<Challenge>)] = &[
            (hub, vec![docker.clone()]),
            (
                r#"bearer Realm = "https://a/t" , SERVICE="b""#,
                vec![bearer("https://a/t", Some("b"))],
            ),
            ("Bearer realm=https://a/t", vec![bearer("https://a/t", None)]),
            ("Basic realm=\"Registry Realm\"", vec![Challenge::Basic]),
            ("Basic", vec![Challenge::Basic]),
            ("BASIC realm=x", vec![Challenge::Basic]),
            (
                r#"Basic realm="x", Bearer realm="https://a/t""#,
                vec![Challenge::Basic, bearer("https://a/t", None)],
            ),
            (
                r#"Bearer realm="https://a/t", Basic realm="Basic, Bearer realm=evil""#,
                vec![bearer("https://a/t", None), Challenge::Basic],
            ),
            (r#"Bearer realm="a\"b\\c""#, vec![bearer("a\"b\\c", None)]),
            (
                r#"Digest nonce="1", realm="x", Bearer realm="https://a/t""#,
                vec![bearer("https://a/t", None)],
            ),
            // The first of two wins, so that a proxy that adds one changes nothing.
            (
                r#"Bearer realm="https://a/t",realm="https://b/t""#,
                vec![bearer("https://a/t", None)],
            ),
        ];
        for (text, expected) in table {
            assert_eq!(challenges([*text]), *expected, "{text}");
        }
        assert_eq!(challenges(["Basic", hub]), [Challenge::Basic, docker]);
    }

    #[test]
    fn what_is_no_challenge_is_none() {
        for text in [
            "",
            " , ,",
            "=",
            "\"",
            "Bearer",
            "Bearer realm",
            "Bearer realm=",
            "Bearer realm=\"https://a",
            "Bearer realm=\"https://a\\",
            "Bearer service=\"x\"",
            "Negotiate YIIabc==",
            "\u{1b}[31m",
        ] {
            assert_eq!(challenges([text]), [], "{text:?}");
        }
        assert_eq!(challenges(["Basic, ".repeat(10_000).as_str()]).len(), MOST);
    }

    proptest! {
        #[test]
        fn no_text_confuses_the_reader(text in "\\PC{0,200}") {
            prop_assert!(challenges([text.as_str()]).len() <= MOST);
        }

        #[test]
        fn a_realm_comes_back_whole(realm in "[ -~]{1,60}") {
            let quoted = realm.replace('\\', "\\\\").replace('"', "\\\"");
            let text = format!("Basic x=y, Bearer service=s, realm=\"{quoted}\"");
            prop_assert_eq!(challenges([text.as_str()]), [Challenge::Basic, bearer(&realm, Some("s"))]);
        }
    }
}

//! How registries are named in auth files: by host, by host and path, and docker's own by an address of long ago.

use super::CredentialsError;
use crate::model::Reference;
use crate::model::reference::{DOCKER, parse_host, shown};

/// What docker calls its registry in its files and to its helpers.
pub(super) const LEGACY: &str = "https://index.docker.io/v1/";

/// A key of a file in the form in which two are compared: `HOST[:PORT][/PATH]`.
pub(super) fn normal(key: &str) -> String {
    let bare = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"));
    let rest = bare.unwrap_or(key).trim_end_matches('/');
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let lower = host.to_ascii_lowercase();
    let hub = ["index.docker.io", "registry-1.docker.io"].contains(&lower.as_str());
    let host = if hub {
        DOCKER.to_owned()
    } else {
        parse_host(host).unwrap_or(lower)
    };
    // The version of the protocol is no namespace.
    let version = matches!(path, "v1" | "v2") && (bare.is_some() || hub);
    if path.is_empty() || version {
        host
    } else {
        format!("{host}/{path}")
    }
}

/// The keys that may hold credentials for a repository: the longest path first, the host alone last.
pub(super) fn keys(host: &str, repository: &str) -> Vec<String> {
    let mut key = normal(&format!("{host}/{repository}"));
    let mut all = vec![key.clone()];
    while let Some(slash) = key.rfind('/') {
        key.truncate(slash);
        all.push(key.clone());
    }
    all
}

/// What a helper may know a place as, the likeliest first.
pub(super) fn servers(key: &str) -> Vec<String> {
    let legacy = (key == DOCKER).then(|| LEGACY.to_owned());
    legacy.into_iter().chain([key.to_owned()]).collect()
}

/// What a helper is told to keep it as.
pub(super) fn server(key: &str) -> &str {
    if key == DOCKER { LEGACY } else { key }
}

/// What somebody logs in to, as it is kept.
pub(super) fn login(text: &str) -> Result<String, CredentialsError> {
    let key = normal(text);
    let (host, path) = key.split_once('/').unwrap_or((&key, "x"));
    let path = format!("{DOCKER}/{path}").parse::<Reference>();
    let plain = path.is_ok_and(|path| path.digest().is_none() && path.tag() == Some("latest"));
    if parse_host(host).is_none() || !plain || key.ends_with(":latest") {
        return Err(CredentialsError::Registry(shown(text)));
    }
    Ok(key)
}

/// Whether an entry can hold them: it is NAME:PASSWORD, and helpers read it from a pipe.
pub(super) fn fit(name: &str, password: &str) -> Result<(), CredentialsError> {
    let why = if name.is_empty() || password.is_empty() {
        "a name and a password are needed, neither of them empty"
    } else if name.contains(':') {
        "a name at a registry holds no colon: auth files write NAME:PASSWORD"
    } else if name.len() > 1024 || password.len() > 16 << 10 {
        "a name may have 1024 bytes and a password 16 KiB"
    } else if name.chars().chain(password.chars()).any(char::is_control) {
        "a name or password may hold no control characters, and no end of line"
    } else {
        return Ok(());
    };
    Err(CredentialsError::Unfit(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_compared_in_one_form() {
        for (key, expected) in [
            ("docker.io", "docker.io"),
            (LEGACY, "docker.io"),
            ("https://index.docker.io/v1", "docker.io"),
            ("index.docker.io/v1/", "docker.io"),
            ("registry-1.docker.io", "docker.io"),
            ("HTTPS://x", "https://x"),
            ("Quay.io", "quay.io"),
            ("https://quay.io", "quay.io"),
            ("http://quay.io:80/v2/", "quay.io:80"),
            ("quay.io/v2", "quay.io/v2"),
            ("https://quay.io/me", "quay.io/me"),
            ("[0::1]:5000/x", "[::1]:5000/x"),
            ("docker.io/library/debian", "docker.io/library/debian"),
            ("", ""),
        ] {
            assert_eq!(normal(key), expected, "{key}");
        }
    }

    #[test]
    fn the_longest_path_comes_first() {
        assert_eq!(keys("a:1", "b/c"), ["a:1/b/c", "a:1/b", "a:1"]);
        assert_eq!(keys("docker.io", "x"), ["docker.io/x", "docker.io"]);
        assert_eq!(servers("docker.io"), [LEGACY, "docker.io"]);
        assert_eq!(servers("docker.io/x"), ["docker.io/x"]);
    }

    #[test]
    fn one_logs_in_to_a_host_or_a_path() {
        for (text, expected) in [
            ("quay.io", Some("quay.io")),
            ("https://quay.io/", Some("quay.io")),
            ("registry:5000", Some("registry:5000")),
            ("index.docker.io", Some("docker.io")),
            (LEGACY, Some("docker.io")),
            ("quay.io/me/x", Some("quay.io/me/x")),
            ("localhost", Some("localhost")),
            ("", None),
            ("https://", None),
            ("a b", None),
            ("quay.io/x:1", None),
            ("quay.io/x:latest", None),
            ("quay.io/x@sha256:1", None),
            ("quay.io/X", None),
            ("quay.io/../x", None),
            ("a:99999", None),
            ("u:p@quay.io", None),
            ("a\nb", None),
            ("-x", None),
        ] {
            assert_eq!(login(text).ok().as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_written_back_is_refused() {
        let long = "x".repeat(17 << 10);
        for (name, password, fine) in [
            ("me", "p:w\u{e9}", true),
            ("", "p", false),
            ("me", "", false),
            ("m:e", "p", false),
            ("me", "p\n", false),
            ("m\0e", "p", false),
            ("me", &long, false),
            (&long, "p", false),
        ] {
            let found = fit(name, password);
            assert_eq!(found.is_ok(), fine, "{name:.9?}");
        }
    }
}

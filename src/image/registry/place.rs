//! URLs, and whose they are. Only those that a registry client can have a use for are URLs here.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use ureq::http::Uri;

/// Scheme, host and port: what credentials belong to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Origin {
    /// Whether it is https.
    pub(super) secure: bool,
    /// In lower case; an IPv6 address without its brackets.
    pub(super) host: String,
    /// Always a number.
    pub(super) port: u16,
}

/// A URL with http or https, and a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Whose it is.
    pub(super) origin: Origin,
    /// From the slash on.
    pub(super) path: String,
}

impl Origin {
    /// Of `HOST` or `HOST:PORT`.
    pub(super) fn parse(secure: bool, host: &str) -> Option<Self> {
        let scheme = if secure { "https" } else { "http" };
        let place = Place::parse(&format!("{scheme}://{host}/")).ok()?;
        (place.path == "/").then_some(place.origin)
    }

    /// The address, when the host is one.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Whether the host is this machine by its very name, so that no resolver has a say in it.
    pub(super) fn is_here(&self) -> bool {
        self.host == "localhost" || self.address().is_some_and(|a| a.is_loopback())
    }

    /// Whether the same people run both, as far as names can tell: a password for one may be given to the other.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        self.host == other.host
            || domain(&self.host).is_some_and(|ours| domain(&other.host).is_some_and(|theirs| ours == theirs))
    }
}

/// The name that somebody has registered, of a host below it: `docker.io` of `auth.docker.io`.
///
/// There is no list of public suffixes here. What looks like one (`co.uk`, `com.au`) takes another label; of the rest, a registry
/// that stands below a shared suffix can at worst send its own users' passwords to a neighbour, whom it could also tell them.
fn domain(host: &str) -> Option<&str> {
    if host.parse::<IpAddr>().is_ok() {
        return None;
    }
    let labels: Vec<&str> = host.split('.').collect();
    if labels.len() < 2 || labels.iter().any(|l| l.is_empty()) {
        return None;
    }
    let (last, second) = (labels[labels.len() - 1], labels[labels.len() - 2]);
    let public = last.len() == 2 && (second.len() <= 3 || ["info", "gouv", "asso"].contains(&second));
    let wanted = if public && labels.len() > 2 { 3 } else { 2 };
    let skipped: usize = labels[..labels.len() - wanted].iter().map(|l| l.len() + 1).sum();
    Some(&host[skipped..])
}

impl Place {
    /// Of an absolute URL. The error is what is wrong with it.
    pub(super) fn parse(url: &str) -> Result<Self, &'static str> {
        let uri = Uri::from_str(url).map_err(|_| "it is no URL")?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("only https (and http, where it is allowed) is spoken"),
        };
        let authority = uri.authority().ok_or("it names no host")?;
        if authority.as_str().contains('@') {
            return Err("it holds a name or a password");
        }
        let host = authority.host();
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        if host.is_empty() || bare.is_some_and(|h| h.parse::<IpAddr>().is_err()) {
            return Err("it names no host");
        }
        let given = authority.as_str().len() > host.len();
        let port = match (given, authority.port_u16()) {
            (false, _) => [80, 443][usize::from(secure)],
            (true, Some(port)) if port != 0 => port,
            (true, _) => return Err("its port is no number of 1 to 65535"),
        };
        Ok(Self {
            origin: Origin {
                secure,
                host: bare.unwrap_or(host).to_ascii_lowercase(),
                port,
            },
            path: uri.path_and_query().map_or("/", |p| p.as_str()).to_owned(),
        })
    }

    /// What a `Location` header means that came from here (RFC 3986, 5.2, without dots: they are the server's to understand).
    pub(super) fn join(&self, location: &str) -> Result<Self, &'static str> {
        let scheme = location.split(['/', '?', '#']).next().unwrap_or_default();
        let ours = if self.origin.secure { "https:" } else { "http:" };
        let url = if scheme.contains(':') {
            location.to_owned()
        } else if location.starts_with("//") {
            format!("{ours}{location}")
        } else if location.starts_with('/') {
            format!("{}{location}", self.origin)
        } else {
            let path = self.path.split('?').next().unwrap_or_default();
            let folder = match location.starts_with('?') {
                true => path,
                false => &path[..path.rfind('/').map_or(0, |i| i + 1)],
            };
            format!("{}{folder}{location}", self.origin)
        };
        Self::parse(&url)
    }

    /// With one more parameter.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        let sign = if self.path.contains('?') { '&' } else { '?' };
        self.path = format!("{}{sign}{name}={}", self.path, escape(value));
        self
    }
}

/// Percent-encoding for a query or a form: everything but RFC 3986's unreserved characters.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        let usual = [80, 443][usize::from(self.secure)];
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        match self.port == usual {
            true => write!(f, "{scheme}://{host}"),
            false => write!(f, "{scheme}://{host}:{}", self.port),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn origin(host: &str) -> Origin {
        Origin::parse(true, host).unwrap()
    }

    #[test]
    fn locations_are_taken_from_where_they_came() {
        let from = Place::parse("https://r.test:5000/v2/a/blobs/uploads/?x=1").unwrap();
        for (location, expected) in [
            ("https://cdn.test/b?sig=1", "https://cdn.test/b?sig=1"),
            ("HTTPS://CDN.test:443/b", "https://cdn.test/b"),
            ("http://r.test:80/b", "http://r.test/b"),
            ("//cdn.test/b", "https://cdn.test/b"),
            ("/b", "https://r.test:5000/b"),
            ("u1?y=2", "https://r.test:5000/v2/a/blobs/uploads/u1?y=2"),
            ("?y=2", "https://r.test:5000/v2/a/blobs/uploads/?y=2"),
            ("/b?to=http://x/", "https://r.test:5000/b?to=http://x/"),
            ("https://[::1]:5000/b", "https://[::1]:5000/b"),
        ] {
            assert_eq!(from.join(location).unwrap().to_string(), expected, "{location}");
        }
    }

    #[test]
    fn nothing_else_is_a_place() {
        let from = Place::parse("https://r.test/v2/").unwrap();
        for location in [
            "file:///etc/passwd",
            "ftp://r.test/b",
            "gopher:x",
            "unix:/run/x.sock",
            "javascript:1",
            "data:,x",
            "https://user:word@r.test/",
            "https://r.test@evil.test/",
            "https:///b",
            "https://",
            "https:b",
            "https://r.test:0/",
            "https://r.test:/",
            "https://r.test:99999/",
            "https://[::1/",
            "https://[x]/",
            "https://r test/",
            "https://r.test/\u{1b}",
            "//",
        ] {
            assert!(from.join(location).is_err(), "{location}");
        }
    }

    #[test]
    fn hosts_are_taken_as_they_are_given() {
        for (host, shown) in [
            ("r.test", Some("https://r.test")),
            ("R.test:5000", Some("https://r.test:5000")),
            ("[::1]:5000", Some("https://[::1]:5000")),
            ("r.test/x", None),
            ("a@r.test", None),
            ("", None),
            ("r.test?x", None),
            ("r.test:x", None),
        ] {
            let found = Origin::parse(true, host).map(|o| o.to_string());
            assert_eq!(found.as_deref(), shown, "{host}");
        }
        for (host, here) in [
            ("localhost:5000", true),
            ("127.0.0.1", true),
            ("127.8.8.8:1", true),
            ("[::1]:5000", true),
            ("localhost.evil.test", false),
            ("127.0.0.1.nip.io", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(origin(host).is_here(), here, "{host}");
        }
    }

    #[test]
    fn a_password_stays_with_those_it_is_for() {
        for (registry, realm, shared) in [
            ("registry-1.docker.io", "auth.docker.io", true),
            ("registry.gitlab.com", "gitlab.com", true),
            ("ghcr.io", "ghcr.io", true),
            ("r.test:5000", "r.test:5001", true),
            ("a.example.co.uk", "b.example.co.uk", true),
            ("127.0.0.1:5000", "127.0.0.1:5001", true),
            ("registry-1.docker.io", "auth.docker.com", false),
            ("registry-1.docker.io", "auth.docker.io.evil.test", false),
            ("registry-1.docker.io", "evildocker.io", false),
            ("quay.io", "ghcr.io", false),
            ("a.co.uk", "b.co.uk", false),
            ("a.com.au", "b.com.au", false),
            ("10.0.0.1", "10.0.0.2", false),
            ("1.2.3.4", "5.6.3.4", false),
            ("localhost", "test", false),
            ("a", "b.a", false),
        ] {
            assert_eq!(
                origin(realm).is_of(&origin(registry)),
                shared,
                "{registry} {realm}"
            );
            assert_eq!(
                origin(registry).is_of(&origin(realm)),
                shared,
                "{realm} {registry}"
            );
        }
    }

    #[test]
    fn parameters_are_escaped() {
        let place = Place::parse("https://r.test/t").unwrap();
        let place = place.with("scope", "repository:a/b:pull,push").with("x", "&= é");
        assert_eq!(
            place.path,
            "/t?scope=repository%3Aa%2Fb%3Apull%2Cpush&x=%26%3D%20%C3%A9"
        );
    }

    proptest! {
        #[test]
        fn a_place_is_the_same_when_it_is_read_again(location in "\\PC{0,60}|(https?:)?//[a-z.:@\\[\\]0-9%]{0,30}[/?#]?[ -~]{0,20}") {
            let from = Place::parse("https://r.test/v2/").unwrap();
            if let Ok(place) = from.join(&location) {
                prop_assert_eq!(Place::parse(&place.to_string()), Ok(place));
            }
        }

        #[test]
        fn kinship_is_mutual(a in "[a-z0-9.-]{1,20}", b in "[a-z0-9.-]{1,20}") {
            if let (Some(a), Some(b)) = (Origin::parse(true, &a), Origin::parse(true, &b)) {
                prop_assert_eq!(a.is_of(&b), b.is_of(&a));
                prop_assert!(a.is_of(&a));
            }
        }
    }
}

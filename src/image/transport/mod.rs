//! How registries are reached: the caller's proxies, the system's certificate authorities, and those of single registries.

#[cfg(test)]
mod tests;

use super::environment::{Lookup, config_home, shown_path, variable};
use super::job::{Proxies, Transport};
use crate::sys::small;
use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Where distributions keep what they trust: Debian, Fedora, SUSE, Alpine. The first that is there holds everything.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// Whole systems trust less than 300 KiB.
const MAXIMUM: u64 = 8 << 20;
/// Files of one registry's directory.
const FILES: usize = 100;

/// Why it is not known how to reach a registry.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// A proxy is none. Its address is not shown: it may hold a password.
    #[error("{0} is no proxy: write http://HOST:PORT or https://HOST:PORT")]
    Proxy(&'static str),
    /// A file cannot be read.
    #[error("cannot read {}: {error}", shown_path(.path))]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file without a certificate.
    #[error("{} holds no certificate in PEM", shown_path(.0))]
    NoCertificate(PathBuf),
    /// Certificates of clients.
    #[error("{}: client certificates are not supported: only authorities (*.crt) are read here", shown_path(.0))]
    Client(PathBuf),
}

/// Proxies and the system's authorities. Without any authority, no registry can be spoken to by https.
///
/// # Errors
/// When a variable names what is not there or not right.
pub fn transport(lookup: Lookup<'_>) -> Result<Transport, TransportError> {
    Ok(Transport {
        proxies: proxies(lookup)?,
        authorities: authorities(lookup, &BUNDLES.map(PathBuf::from))?,
    })
}

fn proxies(lookup: Lookup<'_>) -> Result<Proxies, TransportError> {
    let no_proxy = either(lookup, "no_proxy", "NO_PROXY").unwrap_or_default();
    Ok(Proxies {
        http: proxy(lookup, "http_proxy", "HTTP_PROXY")?,
        https: proxy(lookup, "https_proxy", "HTTPS_PROXY")?,
        direct: direct(&no_proxy),
    })
}

/// The name in lower case comes first, as with curl; what is no text is passed on as what no proxy's address is.
fn either(lookup: Lookup<'_>, lower: &str, upper: &str) -> Option<String> {
    let value = variable(lookup, lower).or_else(|| variable(lookup, upper))?;
    Some(value.into_string().unwrap_or_else(|_| "\0".to_owned()))
}

fn proxy(
    lookup: Lookup<'_>,
    lower: &'static str,
    upper: &'static str,
) -> Result<Option<String>, TransportError> {
    let Some(text) = either(lookup, lower, upper) else {
        return Ok(None);
    };
    let text = text.trim();
    // Without a scheme it is http, as with curl and Go.
    let url = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let plain = |b: u8| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b);
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    let host = host.and_then(|host| host.rsplit('@').next());
    let named = host.is_some_and(|host| crate::model::reference::parse_host(host).is_some());
    if named && url.len() <= 2048 && url.bytes().all(plain) {
        return Ok(Some(url));
    }
    let set = variable(lookup, lower).is_some();
    Err(TransportError::Proxy(if set { lower } else { upper }))
}

/// `.example.com`, `*.example.com` and `example.com` are one and the same: the name and everything below it.
fn direct(text: &str) -> Vec<String> {
    let words = text.split([',', ' ', '\t', '\n']);
    let name = |word: &str| {
        let word = word
            .strip_prefix('*')
            .filter(|rest| rest.starts_with('.'))
            .unwrap_or(word);
        word.trim_start_matches('.').to_ascii_lowercase()
    };
    words.map(name).filter(|name| !name.is_empty()).collect()
}

fn authorities(lookup: Lookup<'_>, bundles: &[PathBuf]) -> Result<String, TransportError> {
    if let Some(file) = variable(lookup, "SSL_CERT_FILE") {
        return certificates(Path::new(&file));
    }
    for bundle in bundles {
        match certificates(bundle) {
            Err(TransportError::Unreadable { error, .. }) if is_absent(&error) => {}
            other => return other,
        }
    }
    Ok(String::new())
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// The certificates of a file, without the comments and keys that may stand between them.
fn certificates(path: &Path) -> Result<String, TransportError> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let bytes = small::read(path, MAXIMUM).map_err(|why| TransportError::Unreadable {
        path: path.to_owned(),
        error: why.into(),
    })?;
    // Comments may be in any character set; certificates are ASCII.
    let text = String::from_utf8_lossy(&bytes);
    let mut found = String::new();
    for block in text.split(BEGIN).skip(1) {
        if let Some((body, _)) = block.split_once(END) {
            for part in [BEGIN, body, END, "\n"] {
                found.push_str(part);
            }
        }
    }
    if found.is_empty() {
        return Err(TransportError::NoCertificate(path.to_owned()));
    }
    Ok(found)
}

/// The authorities that are trusted for one registry (`HOST` or `HOST:PORT`): of the first directory that there is for it, the caller's
/// before the system's, as with podman (containers-certs.d(5)). A directory that the caller may not read counts as absent.
///
/// # Errors
/// When a file there cannot be read, or is a client's certificate or key.
pub fn registry_authorities(lookup: Lookup<'_>, registry: &str) -> Result<Vec<String>, TransportError> {
    let own = config_home(lookup).map(|config| config.join("containers/certs.d"));
    let system = ["/etc/containers/certs.d", "/etc/docker/certs.d"].map(PathBuf::from);
    authorities_of(registry, own.into_iter().chain(system))
}

fn authorities_of(
    registry: &str,
    directories: impl Iterator<Item = PathBuf>,
) -> Result<Vec<String>, TransportError> {
    // A host is one name; this is what keeps the path below the directory whoever calls.
    if registry.contains('/') || registry.starts_with('.') {
        return Ok(Vec::new());
    }
    for directory in directories.map(|d| d.join(registry)) {
        let unreadable = |error| TransportError::Unreadable {
            path: directory.clone(),
            error,
        };
        let mut files = Vec::new();
        match std::fs::read_dir(&directory) {
            // Authorities only widen what is trusted. dockerd has made /etc/docker with mode 0700; podman passes it over too.
            Err(error) if is_absent(&error) || error.raw_os_error() == Some(libc::EACCES) => continue,
            Err(error) => return Err(unreadable(error)),
            Ok(entries) => {
                for entry in entries.take(FILES + 1) {
                    files.push(entry.map_err(unreadable)?.path());
                }
            }
        }
        if files.len() > FILES {
            let what = format!("more than {FILES} files");
            return Err(unreadable(io::Error::other(what)));
        }
        files.sort_unstable();
        let has = |path: &&PathBuf, extension: &str| path.extension() == Some(OsStr::new(extension));
        if let Some(client) = files.iter().find(|f| has(f, "cert") || has(f, "key")) {
            return Err(TransportError::Client(client.clone()));
        }
        let authorities = files.iter().filter(|f| has(f, "crt"));
        return authorities.map(|file| certificates(file)).collect();
    }
    Ok(Vec::new())
}

//! The TCP ports that a worker may connect to, decided by the process that starts it.

use super::job::{Endpoint, Job, Proxies};
use crate::model::reference::parse_host;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Where a registry may send to (a token server, a store of blobs), whatever port it has itself.
const HTTPS: u16 = 443;
const HTTP: u16 = 80;

/// The ports that a job needs; `None` for one without a network.
///
/// They are those of its endpoints, as https and, where plain http is allowed, as http; those of the proxies; and 443, for token servers
/// and redirects. A redirect to another port is refused by the kernel (Landlock), and to another address by the gate.
#[must_use]
pub fn ports(job: &Job) -> Option<BTreeSet<u16>> {
    let (endpoints, transport) = match job {
        Job::Pull(pull) => (pull.endpoints.as_slice(), &pull.transport),
        Job::Push(push) => (std::slice::from_ref(&push.endpoint), &push.transport),
        Job::Ping(ping) => (std::slice::from_ref(&ping.endpoint), &ping.transport),
        Job::Unpack(_)
        | Job::Remove(_)
        | Job::Copy(_)
        | Job::Load(_)
        | Job::Import(_)
        | Job::Fill(_)
        | Job::Empty => return None,
    };
    let own = endpoints.iter().flat_map(of_endpoint);
    Some(own.chain(of_proxies(&transport.proxies)).chain([HTTPS]).collect())
}

fn of_endpoint(endpoint: &Endpoint) -> impl Iterator<Item = u16> {
    let plain = endpoint.insecure || is_here(&endpoint.host);
    let ports = [
        port(&endpoint.host, HTTPS),
        port(&endpoint.host, HTTP).filter(|_| plain),
    ];
    ports.into_iter().flatten()
}

fn of_proxies(proxies: &Proxies) -> impl Iterator<Item = u16> {
    let of = |url: &String| {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        // A name and a password may stand before the host.
        let host = authority.rsplit('@').next()?;
        port(host, if scheme == "https" { HTTPS } else { HTTP })
    };
    [proxies.http.as_ref(), proxies.https.as_ref()]
        .into_iter()
        .flatten()
        .filter_map(of)
}

/// `HOST` and what follows it.
fn split(host: &str) -> (&str, &str) {
    let name = host.find(']').map_or(0, |end| end + 1);
    host.split_at(host[name..].find(':').map_or(host.len(), |colon| name + colon))
}

/// The port of `HOST` or `HOST:PORT`; `None` where it is neither.
fn port(host: &str, default: u16) -> Option<u16> {
    parse_host(host)?;
    match split(host).1.strip_prefix(':') {
        Some(port) => port.parse().ok(),
        None => Some(default),
    }
}

/// Whether the host is this machine by its very name: plain http is spoken there.
fn is_here(host: &str) -> bool {
    let name = split(host).0.trim_matches(['[', ']']).to_ascii_lowercase();
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::job::{Ping, Transport};
    use crate::image::limits::Limits;

    #[test]
    fn ports_are_those_of_the_endpoint_its_proxies_and_https() {
        for (host, insecure, proxy, expected) in [
            ("quay.io", false, None, &[443][..]),
            ("quay.io:8443", false, None, &[443, 8443]),
            ("quay.io", true, None, &[80, 443]),
            ("10.0.0.1:5000", true, None, &[443, 5000]),
            ("localhost", false, None, &[80, 443]),
            ("[::1]:5000", false, None, &[443, 5000]),
            ("quay.io", false, Some("http://u:p@proxy:3128/"), &[443, 3128]),
            ("quay.io", false, Some("http://proxy"), &[80, 443]),
            ("no host", false, None, &[443]),
        ] {
            let endpoint = Endpoint {
                host: host.to_owned(),
                repository: "x".to_owned(),
                insecure,
                credentials: None,
                authorities: Vec::new(),
            };
            let mut transport = Transport::default();
            transport.proxies.https = proxy.map(str::to_owned);
            let limits = Limits::default();
            let job = Job::Ping(Box::new(Ping {
                endpoint,
                transport,
                limits,
            }));
            let found = ports(&job).expect("a network");
            assert!(found.iter().eq(expected), "{host}: {found:?}");
        }
        assert_eq!(ports(&Job::Empty), None);
    }
}

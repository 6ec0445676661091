//! Connections: one request goes out, its answer's headers come in. Nothing is followed, repeated or believed here.

use super::error::{Error, shown};
use super::gate::{Doorman, Gate};
use super::patience::Patience;
use super::place::{Origin, Place};
use super::roots::Roots;
use crate::image::job::Proxies;
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use ureq::http::{Method, Request, Response};
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, RustlsConnector, TcpConnector};
use ureq::{Agent, AsSendBody, Body, Proxy, ProxyProtocol, Timeout};

/// Bytes of an answer's headers that are read.
const HEADERS: usize = 32 << 10;
/// What one calls oneself.
const NAME: &str = concat!("sbx/", env!("CARGO_PKG_VERSION"));

/// How a place is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Direct,
    HttpProxy,
    HttpsProxy,
}

/// Speaks to the registry and to those it sends to. It has no `Debug`: the library's knows of proxies, and they of passwords.
pub(super) struct Wire {
    registry: Origin,
    gate: Arc<Gate>,
    roots: Roots,
    proxies: Proxies,
    patience: Patience,
    /// By whether it speaks to the registry itself, and how: what is configured differs.
    agents: Mutex<BTreeMap<(bool, Way), Agent>>,
}

impl Wire {
    pub(super) fn new(
        registry: Origin,
        gate: Arc<Gate>,
        roots: Roots,
        proxies: Proxies,
        patience: Patience,
    ) -> Self {
        Self {
            registry,
            gate,
            roots,
            proxies,
            patience,
            agents: Mutex::default(),
        }
    }

    /// Sends a request and waits for the headers of its answer.
    pub(super) fn send(
        &self,
        what: &str,
        place: &Place,
        request: Request<impl AsSendBody>,
    ) -> Result<Response<Body>, Error> {
        let agent = self.agent(&place.origin)?;
        let request = match *request.method() {
            Method::PUT => agent
                .configure_request(request)
                .timeout_recv_response(Some(self.patience.store))
                .timeout_per_read(Some(self.patience.store))
                .build(),
            _ => request,
        };
        agent.run(request).map_err(|e| self.error(e, what, &place.origin))
    }

    fn agent(&self, to: &Origin) -> Result<Agent, Error> {
        let way = self.way(to);
        if way != Way::Direct {
            self.gate.by_proxy(&to.host)?;
        }
        // Whatever its port: the token server of a small registry often stands beside it.
        let own = to.host == self.registry.host;
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get(&(own, way)) {
            return Ok(agent.clone());
        }
        let agent = self.made(own, self.proxy(way)?);
        agents.insert((own, way), agent.clone());
        Ok(agent)
    }

    fn made(&self, own: bool, proxy: Option<Proxy>) -> Agent {
        let patience = &self.patience;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(proxy)
            .tls_config(self.roots.of(own))
            .user_agent(NAME)
            .accept_encoding("identity")
            .max_response_header_size(HEADERS)
            .timeout_connect(Some(patience.connect))
            .timeout_recv_response(Some(patience.headers))
            .timeout_per_read(Some(patience.window))
            .timeout_per_write(Some(patience.window))
            .build();
        let connector =
            ().chain(ConnectProxyConnector::default())
                .chain(TcpConnector::default())
                .chain(RustlsConnector::default());
        Agent::with_parts(config, connector, Doorman(Arc::clone(&self.gate)))
    }

    fn way(&self, to: &Origin) -> Way {
        let (proxy, way) = match to.secure {
            true => (&self.proxies.https, Way::HttpsProxy),
            false => (&self.proxies.http, Way::HttpProxy),
        };
        let wanted = proxy.as_deref().is_some_and(|p| !p.trim().is_empty());
        match wanted && !to.is_here() && !self.proxies.direct.iter().any(|d| stands_for(d, to)) {
            true => way,
            false => Way::Direct,
        }
    }

    fn proxy(&self, way: Way) -> Result<Option<Proxy>, Error> {
        let (text, name) = match way {
            Way::Direct => return Ok(None),
            Way::HttpProxy => (&self.proxies.http, "http_proxy"),
            Way::HttpsProxy => (&self.proxies.https, "https_proxy"),
        };
        let parsed = Proxy::new(text.as_deref().unwrap_or_default().trim()).ok();
        // Of any other protocol the library knows only how to stop the program.
        let spoken = |p: &Proxy| matches!(p.protocol(), ProxyProtocol::Http | ProxyProtocol::Https);
        parsed.filter(spoken).map(Some).ok_or_else(|| Error::Unreachable {
            host: name.to_owned(),
            why: "it is no proxy that is spoken to: http://HOST:PORT or https://HOST:PORT".to_owned(),
        })
    }

    /// A failure of the library in our own words. Its texts may hold what a stranger sent.
    fn error(&self, error: ureq::Error, what: &str, to: &Origin) -> Error {
        let host = to.to_string();
        let unreachable = |why: String| Error::Unreachable {
            host: to.to_string(),
            why,
        };
        match error {
            ureq::Error::Io(e) => self.io_error(e, what, to),
            ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
                unreachable(format!("no connection within {:?}", self.patience.connect))
            }
            ureq::Error::Timeout(_) => slow(what, &self.patience),
            ureq::Error::Other(e) => match e.downcast::<Error>() {
                Ok(ours) => *ours,
                Err(other) => unreachable(shown(&other.to_string())),
            },
            ureq::Error::Tls(why) => Error::Tls {
                host,
                why: why.to_owned(),
            },
            ureq::Error::Rustls(e) => self.tls_error(&e, to),
            ureq::Error::ConnectProxyFailed(why) => {
                unreachable(format!("the proxy refuses: {}", shown(&why)))
            }
            ureq::Error::ConnectionFailed => unreachable("no connection".to_owned()),
            ureq::Error::LargeResponseHeader(..) => Error::Nonsense {
                what: what.to_owned(),
                host,
                why: format!("its headers go on beyond {} KiB", HEADERS >> 10),
            },
            e => Error::Nonsense {
                what: what.to_owned(),
                host,
                why: shown(&e.to_string()),
            },
        }
    }

    fn io_error(&self, error: io::Error, what: &str, to: &Origin) -> Error {
        if let Some(tls) = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
            return self.tls_error(tls, to);
        }
        use io::ErrorKind::{
            AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable, PermissionDenied,
        };
        match error.kind() {
            // Landlock: see `image::ports`.
            PermissionDenied => Error::Unreachable {
                host: to.to_string(),
                why: format!(
                    "port {} is not the registry's own, and only 443 may be another's: refused",
                    to.port
                ),
            },
            ConnectionRefused | HostUnreachable | NetworkUnreachable | AddrNotAvailable => {
                Error::Unreachable {
                    host: to.to_string(),
                    why: shown(&error.to_string()),
                }
            }
            _ => Error::Cut {
                what: what.to_owned(),
                why: shown(&error.to_string()),
            },
        }
    }

    fn tls_error(&self, error: &rustls::Error, to: &Origin) -> Error {
        let host = to.to_string();
        let why = match error {
            rustls::Error::InvalidMessage(_) => {
                let why = "it does not speak TLS".to_owned();
                return Error::Unreachable { host, why };
            }
            rustls::Error::InvalidCertificate(_) if self.roots.is_empty() => {
                "no certificate authorities are known: install ca-certificates".to_owned()
            }
            rustls::Error::InvalidCertificate(e) => {
                format!("the certificate is not trusted: {}", shown(&e.to_string()))
            }
            e => shown(&e.to_string()),
        };
        Error::Tls { host, why }
    }

    /// What a failure to read a body means.
    pub(super) fn body_error(&self, error: io::Error, what: &str, from: &Origin) -> Error {
        self.error(ureq::Error::from(error), what, from)
    }
}

/// The rule of [`Patience::least`].
pub(super) fn slow(what: &str, patience: &Patience) -> Error {
    Error::Slow {
        what: what.to_owned(),
        why: format!("less than {} bytes came in {:?}", patience.least, patience.window),
    }
}

/// Whether an entry of `no_proxy` is for this host: `*`, a network as 10.0.0.0/8, or an address, a name and what is below it, each with
/// or without a port. In lower case, as [`transport`](crate::image::transport) writes them.
fn stands_for(entry: &str, to: &Origin) -> bool {
    if let Some((network, bits)) = entry.split_once('/') {
        return to
            .address()
            .is_some_and(|address| is_within(address, network, bits));
    }
    let (name, port) = match entry.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, port.parse().ok()),
        _ => (entry, None),
    };
    let name = name.trim_matches(['[', ']']);
    if name.is_empty() || port.is_some_and(|p: u16| p != to.port) {
        return false;
    }
    let below = || to.host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
    name == "*" || name == to.host || (to.address().is_none() && below())
}

/// Whether an address lies in the network that begins at another and whose members have the first `bits` in common with it.
fn is_within(address: IpAddr, network: &str, bits: &str) -> bool {
    let common = match (address, network.parse()) {
        (IpAddr::V4(a), Ok(IpAddr::V4(b))) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        (IpAddr::V6(a), Ok(IpAddr::V6(b))) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        _ => return false,
    };
    bits.parse().is_ok_and(|bits: u32| bits <= common)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_proxy_stands_for() {
        let to = |host| Origin::parse(true, host).unwrap();
        for (entry, host, direct) in [
            ("*", "a.test", true),
            ("a.test", "a.test", true),
            ("test", "a.test", true),
            ("a.test:5000", "a.test:5000", true),
            ("10.0.0.1", "10.0.0.1", true),
            ("::1", "[::1]", true),
            ("[::1]:443", "[::1]", true),
            ("10.0.0.0/8", "10.1.2.3:5000", true),
            ("10.1.2.3/32", "10.1.2.3", true),
            ("0.0.0.0/0", "192.0.2.1", true),
            ("fd00::/8", "[fd12::1]", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.1.2.2/32", "10.1.2.3", false),
            ("10.0.0.0/33", "10.0.0.0", false),
            ("10.0.0.0/", "10.0.0.0", false),
            ("10.0.0.0/8", "a.test", false),
            ("::/0", "10.0.0.1", false),
            ("fd00::/8", "[fe12::1]", false),
            ("a.test:5000", "a.test", false),
            ("a.test", "b.test", false),
            ("est", "a.test", false),
            ("0.0.1", "10.0.0.1", false),
            ("", "a.test", false),
        ] {
            assert_eq!(stands_for(entry, &to(host)), direct, "{entry:?} {host}");
        }
    }
}

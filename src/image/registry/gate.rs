//! Which addresses a stranger may send one to.
//!
//! A registry (or whoever answers in its name) can redirect to any URL and name any server for tokens. What stands behind a firewall
//! or on this machine trusts whoever reaches it, so that a public registry may only send to public addresses. The *resolved*
//! addresses count, each time a connection is made, and a name is resolved once: neither names nor a change of mind of DNS lie.

use super::error::{Error, shown};
use super::place::{Origin, Place};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Addresses of a name: asked of the parent in the worker, a table in tests.
pub trait Resolve: Send + Sync {
    /// All of them, those to be tried first in front; none when there is no such host.
    fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, Error>;
}

/// How many addresses of a name are kept; ureq takes no more.
const MOST: usize = 16;

/// How near an address is. One that is at one kind may send to it and to what stands before it, but for links: only to links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Public,
    Private,
    Here,
    /// The metadata services of clouds give keys to whoever asks.
    Link,
    /// No host has such an address.
    Nowhere,
}

impl Reach {
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(a) => Self::of_v4(a),
            IpAddr::V6(a) => Self::of_v6(a),
        }
    }

    fn of_v4(a: Ipv4Addr) -> Self {
        match a.octets() {
            // Linux takes 0.0.0.0 for the machine itself.
            [0, ..] | [127, ..] => Self::Here,
            [169, 254, ..] => Self::Link,
            [10, ..] | [192, 168, ..] | [192, 0, 0, _] => Self::Private,
            [172, b, ..] if b & 0xf0 == 16 => Self::Private,
            [100, b, ..] if b & 0xc0 == 64 => Self::Private,
            [198, 18 | 19, ..] => Self::Private,
            [a, ..] if a >= 224 => Self::Nowhere,
            _ => Self::Public,
        }
    }

    fn of_v6(a: Ipv6Addr) -> Self {
        let s = a.segments();
        let v4 = |high: u16, low: u16| {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            Self::of_v4(Ipv4Addr::new(a, b, c, d))
        };
        match s {
            [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Self::Here,
            // Mapped, compatible, translated (RFC 6052, RFC 8215) and 6to4: what they lead to is an IPv4 address.
            [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
            | [0, 0, 0, 0, 0xffff, 0, high, low]
            | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
            | [0x2002, high, low, ..] => v4(high, low),
            [0x64, 0xff9b, 1, ..] => Self::Private,
            [first, ..] if first & 0xffc0 == 0xfe80 => Self::Link,
            // Unique local, and site local before it.
            [first, ..] if first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfec0 => Self::Private,
            [first, ..] if first & 0xff00 == 0xff00 => Self::Nowhere,
            _ => Self::Public,
        }
    }

    fn may_send_to(self, there: Self) -> bool {
        match there {
            Self::Nowhere => false,
            Self::Link => self == Self::Link,
            there => there == Self::Public || (self != Self::Link && there <= self),
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Public => "a public address",
            Self::Private => "a private address",
            Self::Here => "this machine itself",
            Self::Link => "a link-local address",
            Self::Nowhere => "an address of no host",
        }
    }
}

/// Knows the addresses of names, and who may send to which.
pub(super) struct Gate {
    registry: String,
    resolve: Arc<dyn Resolve>,
    known: Mutex<BTreeMap<String, Vec<IpAddr>>>,
}

impl Gate {
    pub(super) fn new(registry: &Origin, resolve: Arc<dyn Resolve>) -> Self {
        Self {
            registry: registry.host.clone(),
            resolve,
            known: Mutex::default(),
        }
    }

    /// The addresses of a host that a stranger may have named.
    pub(super) fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Error> {
        let found = self.known(host)?;
        if host != self.registry {
            self.check(host, &found)?;
        }
        Ok(found)
    }

    /// What can be said of a host that a proxy resolves: names are the proxy's to judge, addresses are not.
    pub(super) fn by_proxy(&self, host: &str) -> Result<(), Error> {
        match host.parse::<IpAddr>() {
            Ok(address) if host != self.registry => self.check(host, &[address]),
            _ => Ok(()),
        }
    }

    fn check(&self, host: &str, found: &[IpAddr]) -> Result<(), Error> {
        // Of several addresses the farthest counts: whoever runs a public name can add any address to it. A name that only a proxy
        // knows is as far away as can be.
        let own = self.known(&self.registry).unwrap_or_default();
        let own = own.into_iter().map(Reach::of).min().unwrap_or(Reach::Public);
        match found.iter().find(|a| !own.may_send_to(Reach::of(**a))) {
            None => Ok(()),
            Some(refused) => Err(Error::Address {
                name: shown(host),
                address: refused.to_string(),
                kind: Reach::of(*refused).kind(),
            }),
        }
    }

    /// The addresses of a host that the user has named.
    fn known(&self, host: &str) -> Result<Vec<IpAddr>, Error> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        if host == "localhost" {
            // Credentials go there without TLS: nobody else may be meant, whatever a resolver says.
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known().get(host) {
            return Ok(found.clone());
        }
        let mut found = self.resolve.resolve(host)?;
        found.truncate(MOST);
        if found.is_empty() {
            return Err(Error::Resolve {
                name: shown(host),
                why: "it has no addresses; is the name right, and does this machine resolve names?"
                    .to_owned(),
            });
        }
        // Two threads may have asked at once: the first answer stands.
        Ok(known().entry(host.to_owned()).or_insert(found).clone())
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gate of {:?}", self.registry)
    }
}

/// [`Gate`] as ureq asks it, before each connection.
#[derive(Debug, Clone)]
pub(super) struct Doorman(pub(super) Arc<Gate>);

impl Resolver for Doorman {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let place = Place::parse(&uri.to_string());
        // Only a proxy's own name is asked for while a proxy is set, and that is the user's choice.
        let proxy = config.proxy();
        let (host, port) = match (proxy, &place) {
            (Some(proxy), _) => (proxy.host().trim_matches(['[', ']']), proxy.port()),
            (None, Ok(place)) => (place.origin.host.as_str(), place.origin.port),
            (None, Err(why)) => return Err(ureq::Error::BadUri((*why).to_owned())),
        };
        let found = match proxy {
            Some(_) => self.0.known(host),
            None => self.0.addresses(host),
        };
        let mut addresses = self.empty();
        for address in found.map_err(|e| ureq::Error::Other(Box::new(e)))? {
            addresses.push(SocketAddr::new(address, port));
        }
        Ok(addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Table(&'static [(&'static str, &'static [&'static str])]);

    impl Resolve for Table {
        fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, Error> {
            let found = self.0.iter().find(|(n, _)| *n == name);
            Ok(found.map_or_else(Vec::new, |(_, a)| a.iter().map(|a| a.parse().unwrap()).collect()))
        }
    }

    fn gate(registry: &str) -> Gate {
        let table = Table(&[
            ("public.test", &["203.0.113.9", "2001:db8::9"]),
            ("private.test", &["10.1.1.1"]),
            ("here.test", &["127.0.0.1"]),
            ("both.test", &["127.0.0.1", "203.0.113.9"]),
            ("meta.test", &["169.254.169.254"]),
        ]);
        Gate::new(&Origin::parse(true, registry).unwrap(), Arc::new(table))
    }

    #[test]
    fn every_address_has_its_reach() {
        for (address, reach) in [
            ("8.8.8.8", Reach::Public),
            ("172.15.0.1", Reach::Public),
            ("172.32.0.1", Reach::Public),
            ("100.128.0.1", Reach::Public),
            ("2606:4700::1", Reach::Public),
            ("10.0.0.1", Reach::Private),
            ("172.16.0.1", Reach::Private),
            ("172.31.255.255", Reach::Private),
            ("192.168.1.1", Reach::Private),
            ("100.64.0.1", Reach::Private),
            ("198.19.0.1", Reach::Private),
            ("fd00::1", Reach::Private),
            ("fec0::1", Reach::Private),
            ("64:ff9b:1::1", Reach::Private),
            ("::ffff:10.0.0.1", Reach::Private),
            ("127.0.0.1", Reach::Here),
            ("127.255.255.254", Reach::Here),
            ("0.0.0.0", Reach::Here),
            ("0.1.2.3", Reach::Here),
            ("::", Reach::Here),
            ("::1", Reach::Here),
            ("::ffff:127.0.0.1", Reach::Here),
            ("::127.0.0.1", Reach::Here),
            ("64:ff9b::7f00:1", Reach::Here),
            ("2002:7f00:1::", Reach::Here),
            ("169.254.169.254", Reach::Link),
            ("::ffff:169.254.169.254", Reach::Link),
            ("64:ff9b::a9fe:a9fe", Reach::Link),
            ("fe80::1", Reach::Link),
            ("febf::1", Reach::Link),
            ("224.0.0.1", Reach::Nowhere),
            ("255.255.255.255", Reach::Nowhere),
            ("ff02::1", Reach::Nowhere),
        ] {
            assert_eq!(Reach::of(address.parse().unwrap()), reach, "{address}");
        }
    }

    #[test]
    fn who_may_send_where() {
        for (registry, to, allowed) in [
            ("public.test", "public.test", true),
            ("public.test", "8.8.8.8", true),
            ("public.test", "private.test", false),
            ("public.test", "10.0.0.1", false),
            ("public.test", "here.test", false),
            ("public.test", "localhost", false),
            ("public.test", "::1", false),
            ("public.test", "meta.test", false),
            ("public.test", "both.test", false),
            ("private.test", "10.9.9.9", true),
            ("private.test", "public.test", true),
            ("private.test", "here.test", false),
            ("private.test", "meta.test", false),
            ("here.test", "private.test", true),
            ("here.test", "localhost", true),
            ("here.test", "meta.test", false),
            ("localhost", "127.0.0.1", true),
            ("localhost", "169.254.169.254", false),
            // One public address makes a name public.
            ("both.test", "both.test", true),
            ("both.test", "here.test", false),
            ("169.254.1.1", "169.254.1.2", true),
            ("169.254.1.1", "here.test", false),
            ("public.test", "224.0.0.1", false),
        ] {
            let found = gate(registry).addresses(to);
            assert_eq!(found.is_ok(), allowed, "{registry} {to} {found:?}");
        }
    }

    #[test]
    fn behind_a_proxy_addresses_are_judged_and_names_are_not() {
        let gate = gate("public.test");
        assert!(gate.by_proxy("any.test").is_ok());
        assert!(gate.by_proxy("8.8.8.8").is_ok());
        for host in ["169.254.169.254", "127.0.0.1", "::1", "10.0.0.1"] {
            assert!(gate.by_proxy(host).is_err(), "{host}");
        }
    }

    #[test]
    fn a_name_is_resolved_once() {
        struct Rebinding(Mutex<u8>);
        impl Resolve for Rebinding {
            fn resolve(&self, _: &str) -> Result<Vec<IpAddr>, Error> {
                let mut asked = self.0.lock().unwrap();
                *asked += 1;
                Ok(vec![IpAddr::from([127 + (*asked % 2) * 70, 0, 0, 1])])
            }
        }
        let origin = Origin::parse(true, "a.test").unwrap();
        let gate = Gate::new(&origin, Arc::new(Rebinding(Mutex::new(0))));
        let first = gate.addresses("a.test").unwrap();
        assert_eq!(first, gate.addresses("a.test").unwrap());
        assert!(gate.addresses("nowhere.test").is_err());
    }

    #[test]
    fn a_name_without_addresses_is_said() {
        let error = gate("public.test").addresses("nowhere.test").unwrap_err();
        assert!(error.to_string().contains("nowhere.test"), "{error}");
    }
}

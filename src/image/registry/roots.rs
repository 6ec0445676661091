//! Whose certificates count: the system's authorities and those for this host, as they came with the job. None is built in.

use super::error::{Error, shown};
use crate::image::job::{Endpoint, Transport};
use std::sync::Arc;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

/// The authorities that count while one registry is spoken to.
///
/// Those of its own count for the hosts that it sends to as well: the storage behind a company's registry has certificates of the
/// same authority. That a certificate is *not* checked holds for the registry alone.
pub(super) struct Roots {
    own: TlsConfig,
    others: TlsConfig,
    count: usize,
}

impl Roots {
    pub(super) fn new(endpoint: &Endpoint, transport: &Transport) -> Result<Self, Error> {
        // A system's bundle holds what its packagers put there: what cannot be read of it is left out.
        let mut roots: Vec<_> = certificates(&transport.authorities).flatten().collect();
        for (n, pem) in endpoint.authorities.iter().enumerate() {
            let found: Option<Vec<_>> = certificates(pem).collect();
            match found {
                Some(found) if !found.is_empty() => roots.extend(found),
                _ => {
                    return Err(Error::Endpoint {
                        host: shown(&endpoint.host),
                        why: format!("certificate file {} holds no certificate in PEM", n + 1),
                    });
                }
            }
        }
        let count = roots.len();
        let roots = RootCerts::Specific(Arc::new(roots));
        Ok(Self {
            own: config(roots.clone(), endpoint.insecure),
            others: config(roots, false),
            count,
        })
    }

    pub(super) fn of(&self, own: bool) -> TlsConfig {
        match own {
            true => self.own.clone(),
            false => self.others.clone(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// The certificates of a text, `None` for what cannot be read. Keys that stand beside them are passed over.
fn certificates(pem: &str) -> impl Iterator<Item = Option<Certificate<'static>>> + '_ {
    parse_pem(pem.as_bytes()).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(Some(certificate)),
        Ok(_) => None,
        Err(_) => Some(None),
    })
}

fn config(roots: RootCerts, unchecked: bool) -> TlsConfig {
    TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(roots)
        .disable_verification(unchecked)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(authorities: &[&str]) -> Endpoint {
        Endpoint {
            host: "r.test".to_owned(),
            repository: "a".to_owned(),
            insecure: false,
            credentials: None,
            authorities: authorities.iter().map(|a| (*a).to_owned()).collect(),
        }
    }

    const ONE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

    #[test]
    fn nothing_is_trusted_that_did_not_come_with_the_job() {
        let roots = Roots::new(&endpoint(&[]), &Transport::default()).unwrap();
        assert!(roots.is_empty());
        for own in [true, false] {
            assert!(matches!(roots.of(own).root_certs(), RootCerts::Specific(c) if c.is_empty()));
        }
    }

    #[test]
    fn authorities_are_those_of_the_system_and_of_the_host() {
        let transport = Transport {
            authorities: ONE.repeat(2),
            ..Transport::default()
        };
        let roots = Roots::new(&endpoint(&[ONE]), &transport).unwrap();
        for own in [true, false] {
            assert!(matches!(roots.of(own).root_certs(), RootCerts::Specific(c) if c.len() == 3));
        }
    }

    #[test]
    fn insecure_means_the_registry_and_nobody_else() {
        let endpoint = Endpoint {
            insecure: true,
            ..endpoint(&[])
        };
        let roots = Roots::new(&endpoint, &Transport::default()).unwrap();
        assert!(roots.of(true).disable_verification());
        assert!(!roots.of(false).disable_verification());
    }

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        for pem in [
            "",
            "no PEM",
            "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
        ] {
            let made = Roots::new(&endpoint(&[ONE, pem]), &Transport::default());
            let error = made.err().unwrap();
            assert!(error.to_string().contains("certificate file 2"), "{error}");
        }
    }
}

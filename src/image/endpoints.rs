//! Everything that the worker must know to have an image from its registry: where, as whom, and whom to trust.

use super::credentials::{Accounts, CredentialsError};
use super::environment::Lookup;
use super::job::Endpoint;
use super::registries::{Location, Registries, RegistriesError};
use super::transport::{TransportError, registry_authorities};
use crate::model::Reference;

/// Why it is not known where an image is to be had.
#[derive(Debug, thiserror::Error)]
pub enum EndpointsError {
    /// By registries.conf.
    #[error(transparent)]
    Registries(#[from] RegistriesError),
    /// By an auth file or a helper.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// By certificates.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// The places of an image with a full name ([`Registries::candidates`] gives such), mirrors first. Each gets the credentials and the
/// authorities of its own name and of no other, so that a mirror never sees what is the registry's.
///
/// # Errors
/// When the name is blocked, or a file or helper that belongs to a place is wrong.
pub fn endpoints(
    image: &Reference,
    registries: &Registries,
    accounts: &Accounts,
    lookup: Lookup<'_>,
) -> Result<Vec<Endpoint>, EndpointsError> {
    let complete = |place: Location| {
        Ok(Endpoint {
            credentials: accounts.find(&place.registry, &place.repository)?,
            authorities: registry_authorities(lookup, &place.registry)?,
            host: place.host,
            repository: place.repository,
            insecure: place.insecure,
        })
    };
    registries.endpoints(image)?.into_iter().map(complete).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::environment::of;
    use crate::image::job::Credentials;
    use crate::image::registries::read::read;
    use std::path::Path;

    #[test]
    fn each_place_gets_its_own_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = dir.path().to_str().expect("text");
        let pairs = [("HOME", home), ("XDG_RUNTIME_DIR", home)];
        let lookup = of(&pairs);
        let accounts = Accounts::new(&lookup, nix::unistd::getuid().as_raw());
        accounts.store("docker.io", "me", "hub").expect("kept");
        let pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        let certificates = dir.path().join(".config/containers/certs.d/m:5000");
        std::fs::create_dir_all(&certificates).expect("mkdir");
        std::fs::write(certificates.join("ca.crt"), pem).expect("write");
        let mut registries = Registries::default();
        let text = "[[registry]]\nprefix = 'docker.io'\n[[registry.mirror]]\nlocation = 'm:5000/hub'\ninsecure = true";
        registries.overlay(read(Path::new("/f"), text).expect("fine"));
        let image = "debian:12".parse().expect("a name");
        let found = endpoints(&image, &registries, &accounts, &lookup).expect("fine");
        let password = Credentials::Password {
            name: "me".to_owned(),
            password: "hub".to_owned(),
        };
        let [mirror, itself] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(
            format!("{mirror:?} {itself:?}"),
            "m:5000/hub/library/debian registry-1.docker.io/library/debian"
        );
        assert_eq!((&mirror.credentials, mirror.insecure), (&None, true));
        assert_eq!((&itself.credentials, itself.insecure), (&Some(password), false));
        assert_eq!(
            (mirror.authorities.as_slice(), itself.authorities.len()),
            (&[pem.to_owned()][..], 0)
        );
    }
}

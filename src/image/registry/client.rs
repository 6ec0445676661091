//! The client of one repository at one host.

use super::documents;
use super::download;
use super::error::{Error, shown};
use super::exchange::Exchange;
use super::gate::{Gate, Resolve};
use super::patience::Patience;
use super::place::Origin;
use super::repository::{Document, Repository};
use super::roots::Roots;
use super::token::Auth;
use super::upload;
use super::wire::Wire;
use crate::image::descriptor::Descriptor;
use crate::image::job::{Endpoint, Transport};
use crate::image::limits::Limits;
use crate::model::Digest;
use std::fs::File;
use std::sync::Arc;

/// Speaks to one repository of one registry. Several threads may use it at once.
pub struct Client {
    exchange: Exchange,
    repository: Repository,
}

impl Client {
    /// Makes a client; nothing is sent yet.
    pub fn new(
        endpoint: &Endpoint,
        transport: &Transport,
        limits: &Limits,
        resolve: Arc<dyn Resolve>,
    ) -> Result<Self, Error> {
        Self::with_patience(endpoint, transport, limits, resolve, Patience::default())
    }

    /// [`Client::new`] with other times to wait.
    pub fn with_patience(
        endpoint: &Endpoint,
        transport: &Transport,
        limits: &Limits,
        resolve: Arc<dyn Resolve>,
        patience: Patience,
    ) -> Result<Self, Error> {
        let wrong = |why: &str| Error::Endpoint {
            host: shown(&endpoint.host),
            why: why.to_owned(),
        };
        let no_host = || wrong("the host must be HOST or HOST:PORT");
        let secure = Origin::parse(true, &endpoint.host).ok_or_else(no_host)?;
        let plain = Origin::parse(false, &endpoint.host).ok_or_else(no_host)?;
        let repository = Repository::new(&endpoint.host, &endpoint.repository, limits);
        let repository = repository.ok_or_else(|| {
            wrong("the repository must be words of a-z, 0-9, `.`, `_` and `-` with slashes between")
        })?;
        let may_be_plain = endpoint.insecure || secure.is_here();
        let gate = Arc::new(Gate::new(&secure, resolve));
        let roots = Roots::new(endpoint, transport)?;
        let wire = Wire::new(secure.clone(), gate, roots, transport.proxies.clone(), patience);
        let auth = Auth::new(endpoint.credentials.clone(), may_be_plain);
        let plain = may_be_plain.then_some(plain);
        Ok(Self {
            exchange: Exchange::new(wire, auth, patience, secure, plain),
            repository,
        })
    }

    /// A manifest or an index by its tag or digest. By a digest, it has that digest.
    pub fn manifest(&self, reference: &str) -> Result<Document, Error> {
        documents::manifest(&self.exchange, &self.repository, reference)
    }

    /// The digest that a tag has now, without the manifest; `None` when the registry does not tell.
    pub fn digest_of(&self, tag: &str) -> Result<Option<Digest>, Error> {
        documents::digest_of(&self.exchange, &self.repository, tag)
    }

    /// Fetches a blob into `partial`, which may hold the beginning of it already; `progress` is told how many bytes are there.
    ///
    /// When this returns the file is the blob, by size and digest. When it fails because the bytes are wrong the file is empty; when
    /// it fails otherwise the file holds what came, and the next call goes on from there.
    pub fn blob(
        &self,
        blob: &Descriptor,
        partial: &File,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Error> {
        download::blob(&self.exchange, &self.repository, blob, partial, progress)
    }

    /// Whether the repository has a blob already.
    pub fn has_blob(&self, digest: &Digest) -> Result<bool, Error> {
        upload::has_blob(&self.exchange, &self.repository, digest)
    }

    /// Pushes a blob, which must be the whole of `file`; `progress` is told how many bytes have gone.
    pub fn upload(
        &self,
        blob: &Descriptor,
        file: &File,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Error> {
        upload::blob(&self.exchange, &self.repository, blob, file, progress)
    }

    /// Pushes a manifest or an index under a tag or its digest.
    pub fn put_manifest(&self, reference: &str, media_type: &str, bytes: &[u8]) -> Result<(), Error> {
        upload::manifest(&self.exchange, &self.repository, reference, media_type, bytes)
    }

    /// Whether the registry is one and takes the credentials.
    pub fn ping(&self) -> Result<(), Error> {
        documents::ping(&self.exchange, self.repository.host())
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "client of {}", self.repository)
    }
}

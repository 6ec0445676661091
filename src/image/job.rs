//! What is said between `sbx` and the worker: JSON, an object a line; a [`Job`] goes in, [`Event`]s come out.
//!
//! The worker has no home, no environment and no configuration: what it needs of them (credentials for the hosts that it may speak to,
//! certificates, proxies) is in the job, which comes through a pipe. Names are resolved outside, by the host's own rules.

use super::archive::Form;
use super::descriptor::{Descriptor, Platform};
use super::limits::Limits;
use super::store::Kind;
use crate::model::Digest;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::PathBuf;

/// Where an image may be had.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Endpoint {
    /// `HOST` or `HOST:PORT`, as it is spoken to (`registry-1.docker.io`).
    pub host: String,
    /// The repository there: `library/debian`.
    pub repository: String,
    /// registries.conf says `insecure = true`: http when https does not answer, and any certificate.
    pub insecure: bool,
    /// What to say who one is with.
    pub credentials: Option<Credentials>,
    /// Certificates of authorities that are trusted for this host besides the system's, in PEM.
    pub authorities: Vec<String>,
}

/// Who one is at a registry. Never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Credentials {
    /// A name and a password.
    Password {
        /// The name.
        name: String,
        /// The password.
        password: String,
    },
    /// An OAuth2 refresh token (`identitytoken` in auth files).
    IdentityToken(String),
}

/// Proxies, as `http_proxy`, `https_proxy` and `no_proxy` name them.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Proxies {
    /// For http.
    pub http: Option<String>,
    /// For https.
    pub https: Option<String>,
    /// Hosts that are spoken to without one: a name and everything below it, an address, `*`.
    pub direct: Vec<String>,
}

/// How the network is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Transport {
    /// Proxies.
    pub proxies: Proxies,
    /// The system's certificate authorities, in PEM.
    pub authorities: String,
}

/// What the worker is to do. The store is at [`STORE`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Job {
    /// Fetch an image.
    Pull(Box<Pull>),
    /// Unpack an image that is there.
    Unpack(Unpack),
    /// Remove directories of layers, whose files belong to the ids that the worker is mapped to.
    Remove(Remove),
    /// Merge the layers of an image into one directory.
    Copy(Copy),
    /// Ask a registry whether it is one, and takes the credentials.
    Ping(Box<Ping>),
    /// Bring images of an archive or a layout into the store.
    Load(Box<Load>),
    /// Make an image of a root file system's tar.
    Import(Box<Import>),
    /// Send an image to a registry.
    Push(Box<Push>),
    /// Fill a volume with what the root that the worker runs in has at a place. The volume is at [`VOLUME`]; there is no store.
    Fill(Fill),
    /// Remove everything in the directory at [`VOLUME`]. There is no store.
    Empty,
}

/// What the program is told that is to become fuse-overlayfs(1), and that gets the device as its standard input.
pub const FUSE: &str = "fuse";
/// Where it finds the unpacked layers.
pub const LAYERS: &str = "/.sbx-layers";
/// Where it writes.
pub const UPPER: &str = "/.sbx-upper";

/// Where the worker finds a volume.
pub const VOLUME: &str = "/.sbx-volume";

/// A volume before its first use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Fill {
    /// The place in the root; `None` when nothing is to be copied.
    pub from: Option<String>,
    /// Whose the volume is when nothing is there: uid and gid inside.
    pub owner: (u32, u32),
}

/// Where the worker finds the store.
pub const STORE: &str = "/store";

/// Layers that are to become the root of one run, where the kernel refuses overlay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Copy {
    /// The manifest, for whoever looks on.
    pub image: Digest,
    /// Whose the files are.
    #[serde(with = "as_text")]
    pub kind: Kind,
    /// The layers by their diff ids, the topmost first.
    pub layers: Vec<Digest>,
    /// What the copy is called in the store.
    pub name: String,
}

/// Directories of layers that are none any more, or never were; and copies that nobody uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Remove {
    /// Whose their files are.
    #[serde(with = "as_text")]
    pub kind: Kind,
    /// Their names in the directories of that kind: `.old-HEX`, `.new-HEX`, `copy-ID`.
    pub entries: Vec<String>,
}

/// A registry that somebody logs in to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ping {
    /// Where, and as whom.
    pub endpoint: Endpoint,
    /// How the network is reached.
    pub transport: Transport,
    /// How much is read.
    pub limits: Limits,
}

/// On what terms an image is brought into the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Terms {
    /// What it is to run on: which image of an index is taken.
    pub platform: Platform,
    /// How much is read.
    pub limits: Limits,
    /// Whose the unpacked files are.
    #[serde(with = "as_text")]
    pub kind: Kind,
}

/// Where the worker finds what the caller names on the command line: a file or a directory, read-only.
pub const GIVEN: &str = "/given";

/// Which images of an archive or a layout are loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// All of them.
    All,
    /// The only one; several are an error.
    Only,
    /// The one that has this name there, or this digest.
    Named(String),
}

/// Images of an archive or a layout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Load {
    /// [`GIVEN`], or a file below [`STORE`].
    pub at: PathBuf,
    /// What it must be; `None` when that is to be found out.
    pub form: Option<Form>,
    /// Which of its images.
    pub which: Which,
    /// Whether they get the names that they have there; otherwise they are kept under their digests alone.
    pub named: bool,
    /// On what terms.
    pub terms: Terms,
}

/// A root file system that becomes an image of one layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Import {
    /// [`GIVEN`], or a file below [`STORE`].
    pub at: PathBuf,
    /// The full name of the image, if it is to have one.
    pub name: Option<String>,
    /// Its config, without `rootfs`.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// On what terms; it is made for their platform.
    pub terms: Terms,
}

/// An image of the store, to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Push {
    /// Which.
    pub manifest: Digest,
    /// What its manifest is said to be.
    pub media_type: String,
    /// The tag that it gets; `None` for its digest alone.
    pub tag: Option<String>,
    /// Where it goes.
    pub endpoint: Endpoint,
    /// How the network is reached.
    pub transport: Transport,
    /// How much is read.
    pub limits: Limits,
}

/// An image of the store, to be unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Unpack {
    /// Which.
    pub manifest: Digest,
    /// For whom.
    #[serde(with = "as_text")]
    pub kind: Kind,
    /// How much is read.
    pub limits: Limits,
}

/// An image that is to be fetched and checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Pull {
    /// The full name, which the store keeps it under.
    pub name: String,
    /// The tag that is asked for; `None` with a digest alone.
    pub tag: Option<String>,
    /// The digest that is asked for.
    pub digest: Option<Digest>,
    /// Tried one after another: mirrors, then the registry itself.
    pub endpoints: Vec<Endpoint>,
    /// How the network is reached.
    pub transport: Transport,
    /// On what terms.
    pub terms: Terms,
}

/// What has a text of its own, as that text.
mod as_text {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use std::fmt::Display;
    use std::str::FromStr;

    pub(super) fn serialize<S: Serializer>(what: &impl Display, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(what)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, T: FromStr>(from: D) -> Result<T, D::Error> {
        let text = String::deserialize(from)?;
        text.parse()
            .map_err(|_| D::Error::custom("not what it should be"))
    }
}

/// What is said to the worker after its job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The addresses of a name; none when there is no such host.
    Addresses(Vec<IpAddr>),
}

/// What the worker says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// Asks for the addresses of a name, and waits for an [`Answer`].
    Resolve(String),
    /// Something of a layer (or of the config) has gone on.
    Progress(Progress),
    /// Something the user should know.
    Note(String),
    /// Every blob of an image is in the store. It has no name yet, and is not unpacked.
    Fetched {
        /// Its manifest.
        image: Descriptor,
        /// What the registry answered for the name: the same, or the index that it was chosen from.
        source: Digest,
    },
    /// An image of an archive is in the store, under these names.
    Loaded {
        /// Its manifest.
        manifest: Digest,
        /// Full names, perhaps none.
        names: Vec<String>,
    },
    /// The job is done; the manifest of the image.
    Done(Digest),
    /// The job is done, and there is no image to name.
    Finished,
    /// The job has failed; the store is as before. One line: what, where, what would be right.
    Failed(String),
}

/// How far a blob is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Progress {
    /// Which.
    pub blob: Digest,
    /// What happens to it.
    pub stage: Stage,
    /// Bytes so far.
    pub bytes: u64,
    /// Bytes in all.
    pub total: u64,
}

/// What happens to a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// It is there already.
    Present,
    /// It is transferred.
    Transfer,
    /// It is sent.
    Send,
    /// It is unpacked.
    Unpack,
    /// It is copied.
    Copy,
    /// It is done with.
    Complete,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("credentials")
    }
}

impl std::fmt::Debug for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A proxy's address may hold a password.
        f.write_str("proxies")
    }
}

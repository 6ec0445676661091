//! What is wrong with a document.

use crate::model::Digest;
pub(in crate::image) use crate::model::reference::shown;

/// How much of such a message is shown.
const SHOWN: usize = 200;

/// A message of the JSON reader, escaped and cut; what it cites it has put in quotes.
pub(in crate::image) fn json(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let plain = |c: char| (c == ' ' || c.is_ascii_graphic()).then_some(c);
    let mut cut = String::new();
    for c in text.chars().take(SHOWN) {
        match plain(c) {
            Some(c) => cut.push(c),
            None => cut.extend(c.escape_unicode()),
        }
    }
    cut
}

/// Why a document is refused. Whoever read it says which image and blob it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Larger than the limit.
    #[error("the document has {size} bytes, the limit is {limit}: --image-limit document=SIZE raises it")]
    Large {
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// No JSON, or of another shape.
    #[error("the document is not what it is said to be: {0}")]
    Json(String),
    /// A type that is neither a manifest nor an index.
    #[error("media type `{0}` is no image manifest and no image index")]
    MediaType(String),
    /// Docker's schema 1, which has no digests of unpacked layers.
    #[error("manifest schema 1 is not supported: re-push the image with a current client")]
    Schema1,
    /// Another schema.
    #[error("schemaVersion is {0}, and must be 2")]
    Schema(u64),
    /// The type inside is another one.
    #[error("the document says that it is `{inside}`, but was announced as `{announced}`")]
    Mismatch {
        /// `mediaType` in the document.
        inside: String,
        /// What the descriptor or the registry said.
        announced: String,
    },
    /// Could be read as two types.
    #[error(
        "the document has both `{0}` and `{1}`: it could be read as a manifest and as an index (CVE-2021-41190)"
    )]
    Ambiguous(&'static str, &'static str),
    /// An artifact: a chart, a signature, a model.
    #[error("it is not a container image: it holds `{0}`")]
    Artifact(String),
    /// A layer that may only be had from elsewhere.
    #[error("layer {layer} is not distributable (`{media_type}`): it has to be had from its maker")]
    Foreign {
        /// Which.
        layer: Digest,
        /// Its type.
        media_type: String,
    },
    /// An encrypted layer.
    #[error("layer {0} is encrypted: decrypt the image first, for example with skopeo copy --decryption-key")]
    Encrypted(Digest),
    /// A layer that is packed in no known way.
    #[error("layer {layer} is `{media_type}`, and must be a tar, plain or packed by gzip or zstd")]
    Packing {
        /// Which.
        layer: Digest,
        /// Its type.
        media_type: String,
    },
    /// Too many layers.
    #[error("the image has {count} layers, the limit is {limit}: --image-limit layers=N raises it")]
    Layers {
        /// How many.
        count: usize,
        /// The limit.
        limit: u32,
    },
    /// A size that cannot be.
    #[error("{what} {digest} is said to have {size} bytes, and must have {least} to {limit}")]
    Size {
        /// A layer, a config, a manifest.
        what: &'static str,
        /// Which.
        digest: Digest,
        /// The size.
        size: u64,
        /// The smallest size that is accepted.
        least: u64,
        /// The limit.
        limit: u64,
    },
    /// The config speaks of other layers than the manifest.
    #[error("the config names {config} layers (rootfs.diff_ids), the manifest {manifest}")]
    DiffIds {
        /// In the config.
        config: usize,
        /// In the manifest.
        manifest: usize,
    },
    /// `rootfs.type` is not `layers`.
    #[error("rootfs.type of the config is `{0}`, and must be `layers`")]
    Rootfs(String),
    /// A text with a NUL, which no program can be given.
    #[error("{0} in the config holds a NUL byte")]
    Nul(&'static str),
    /// An environment entry that is no assignment.
    #[error("environment entry `{0}` in the config must be NAME=VALUE")]
    Environment(String),
    /// Too much environment.
    #[error("the environment in the config is too large: {size} bytes{of}, the limit is {limit}")]
    EnvironmentSize {
        /// How many bytes.
        size: usize,
        /// In all, or of which entry.
        of: String,
        /// The limit.
        limit: usize,
    },
    /// A working directory that would be relative to nothing.
    #[error("working directory `{0}` in the config must be absolute")]
    WorkingDir(String),
    /// A signal that there is not.
    #[error(
        "stop signal `{0}` in the config is no signal: a name like SIGTERM or a number from 1 to 64 would be"
    )]
    StopSignal(String),
}

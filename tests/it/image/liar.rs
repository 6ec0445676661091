//! A registry that serves what no registry would take: manifests and blobs exactly as they are given.

use crate::registry::server::{Reply, Server};
use crate::util::image::Built;
use std::collections::BTreeMap;

/// The repository of everything here.
const NAME: &str = "the/liar";

/// What it answers to which path below `/v2/the/liar/`: a media type and bytes.
pub type Answers = BTreeMap<String, (String, Vec<u8>)>;

/// Serves one image until the process ends.
pub struct Liar {
    pub server: Server,
}

impl Liar {
    /// The image, as `the/liar:it`.
    pub fn of(image: &Built) -> Self {
        Self::with(answers(image))
    }

    pub fn with(answers: Answers) -> Self {
        let server = Server::plain(move |asked| {
            let path = asked
                .path
                .strip_prefix(&format!("/v2/{NAME}/"))
                .unwrap_or_default();
            match answers.get(path) {
                _ if asked.path == "/v2/" => Reply::ok("{}"),
                None => Reply::new(404).body("{}"),
                Some((kind, bytes)) => {
                    let reply = Reply::new(200).header("Content-Type", kind);
                    match asked.method.as_str() {
                        "HEAD" => reply.header("Content-Length", bytes.len()),
                        _ => reply.body(bytes),
                    }
                }
            }
        });
        Self { server }
    }

    /// The image's full name.
    pub fn name(&self) -> String {
        format!("127.0.0.1:{}/{NAME}:it", self.server.port)
    }
}

/// What an honest registry would answer.
pub fn answers(image: &Built) -> Answers {
    let mut all = Answers::new();
    let manifest = (image.media_type.clone(), image.manifest.clone());
    all.insert("manifests/it".to_owned(), manifest.clone());
    all.insert(format!("manifests/{}", image.digest()), manifest);
    for (digest, bytes) in &image.blobs {
        let blob = ("application/octet-stream".to_owned(), bytes.clone());
        all.insert(format!("blobs/{digest}"), blob);
        // An index names manifests, which have their own place.
        if let Ok(inner) = serde_json::from_slice::<serde_json::Value>(bytes)
            && let Some(kind) = inner["mediaType"].as_str()
        {
            all.insert(format!("manifests/{digest}"), (kind.to_owned(), bytes.clone()));
        }
    }
    all
}

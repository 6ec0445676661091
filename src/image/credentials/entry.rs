//! What an auth file says. It is kept as JSON, so that what we do not know is written back.

use super::{CredentialsError, place};
use crate::image::job::Credentials;
use crate::model::reference::shown;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// A file, read.
pub(super) struct Document {
    path: PathBuf,
    top: Map<String, Value>,
}

/// Who has the credentials for a repository.
pub(super) enum Holder {
    /// The file itself.
    Entry(Credentials),
    /// A helper, which may know the place by several names.
    Helper {
        /// Behind `docker-credential-`.
        name: String,
        /// What to ask for.
        servers: Vec<String>,
    },
}

impl Document {
    pub(super) fn empty(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            top: Map::new(),
        }
    }

    /// An empty file is an empty document: `REGISTRY_AUTH_FILE=$(mktemp)`.
    pub(super) fn read(path: &Path, text: &[u8]) -> Result<Self, CredentialsError> {
        let mut document = Self::empty(path);
        if text.iter().all(u8::is_ascii_whitespace) {
            return Ok(document);
        }
        // Only where it is wrong: the parser's words may repeat what stands there.
        let value = serde_json::from_slice(text).map_err(|e| CredentialsError::Json {
            path: path.to_owned(),
            line: e.line(),
            column: e.column(),
        })?;
        let Value::Object(top) = value else {
            return Err(document.shape("the file must hold one JSON object".to_owned()));
        };
        document.top = top;
        Ok(document)
    }

    fn shape(&self, what: String) -> CredentialsError {
        CredentialsError::Shape {
            path: self.path.clone(),
            what,
        }
    }

    /// An object at the top; an absent one is empty.
    fn table(&self, name: &str) -> Result<Option<&Map<String, Value>>, CredentialsError> {
        match self.top.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(table)) => Ok(Some(table)),
            Some(_) => Err(self.shape(format!("`{name}` must be an object"))),
        }
    }

    /// A value of a table by its key: as it is written, else by what it means.
    fn of<'a>(table: &'a Map<String, Value>, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
        let exact = table.get_key_value(key);
        let other = table.iter().filter({
            let key = key.to_owned();
            move |(k, _)| **k != key && place::normal(k) == key
        });
        exact.into_iter().chain(other)
    }

    /// Who has what is needed for a repository: a helper of the place, an entry, or the helper of all places.
    pub(super) fn holder(&self, host: &str, repository: &str) -> Result<Option<Holder>, CredentialsError> {
        let keys = place::keys(host, repository);
        for key in &keys {
            if let Some(name) = self.named_helper(key)? {
                let servers = place::servers(key);
                return Ok(Some(Holder::Helper { name, servers }));
            }
        }
        if let Some(auths) = self.table("auths")? {
            for key in &keys {
                for (written, entry) in Self::of(auths, key) {
                    if let Some(found) = self.entry(written, entry)? {
                        return Ok(Some(Holder::Entry(found)));
                    }
                }
            }
        }
        let host = keys.last().map_or(host, String::as_str);
        let servers = place::servers(host);
        let name = self.helper_of_all()?;
        Ok(name.map(|name| Holder::Helper { name, servers }))
    }

    /// The helper that keeps what is stored for a key.
    pub(super) fn helper(&self, key: &str) -> Result<Option<String>, CredentialsError> {
        let host = key.split('/').next().unwrap_or(key);
        for key in place::keys(host, key.get(host.len() + 1..).unwrap_or_default()) {
            if let Some(name) = self.named_helper(&key)? {
                return Ok(Some(name));
            }
        }
        self.helper_of_all()
    }

    fn named_helper(&self, key: &str) -> Result<Option<String>, CredentialsError> {
        let Some(table) = self.table("credHelpers")? else {
            return Ok(None);
        };
        match Self::of(table, key).next() {
            None => Ok(None),
            Some((_, Value::String(name))) if name.is_empty() => Ok(None),
            Some((_, Value::String(name))) => Ok(Some(name.clone())),
            Some((key, _)) => {
                let what = format!("credHelpers: `{}` must be the name of a helper", shown(key));
                Err(self.shape(what))
            }
        }
    }

    fn helper_of_all(&self) -> Result<Option<String>, CredentialsError> {
        match self.top.get("credsStore") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(name)) if name.is_empty() => Ok(None),
            Some(Value::String(name)) => Ok(Some(name.clone())),
            Some(_) => Err(self.shape("`credsStore` must be the name of a helper".to_owned())),
        }
    }

    /// `None` for an entry that says nothing: docker writes such where a helper has the credentials.
    fn entry(&self, key: &str, entry: &Value) -> Result<Option<Credentials>, CredentialsError> {
        let wrong = |what: &str| self.shape(format!("auths: `{}`: {what}", shown(key)));
        let Value::Object(entry) = entry else {
            return Err(wrong("an entry must be an object"));
        };
        let text = |name: &str| match entry.get(name) {
            None | Some(Value::Null) => Ok(""),
            Some(Value::String(text)) => Ok(text.as_str()),
            Some(_) => Err(wrong(&format!("`{name}` must be a string"))),
        };
        let token = text("identitytoken")?;
        if !token.is_empty() {
            return Ok(Some(Credentials::IdentityToken(token.to_owned())));
        }
        let auth = text("auth")?;
        if auth.is_empty() {
            let (name, password) = (text("username")?.to_owned(), text("password")?.to_owned());
            let both = !name.is_empty() && !password.is_empty();
            return Ok(both.then_some(Credentials::Password { name, password }));
        }
        let decoded = STANDARD.decode(auth.trim()).ok();
        let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
        let Some((name, password)) = pair.filter(|(name, _)| !name.is_empty()) else {
            return Err(wrong("`auth` must be NAME:PASSWORD in base64"));
        };
        Ok(Some(Credentials::Password {
            name: name.to_owned(),
            // docker pads with NUL.
            password: password.trim_end_matches('\0').to_owned(),
        }))
    }

    pub(super) fn has(&self, key: &str) -> bool {
        let auths = self.top.get("auths").and_then(Value::as_object);
        auths.is_some_and(|auths| Self::of(auths, key).next().is_some())
    }

    /// Puts an entry in place of all that mean the same place.
    pub(super) fn put(&mut self, key: &str, name: &str, password: &str) -> Result<(), CredentialsError> {
        self.remove(key)?;
        let auth = STANDARD.encode(format!("{name}:{password}"));
        let auths = self.top.entry("auths").or_insert_with(|| json!({}));
        if auths.is_null() {
            *auths = json!({});
        }
        if let Value::Object(auths) = auths {
            auths.insert(key.to_owned(), json!({ "auth": auth }));
        }
        Ok(())
    }

    /// Takes all entries away that mean a place; whether there were some.
    pub(super) fn remove(&mut self, key: &str) -> Result<bool, CredentialsError> {
        self.table("auths")?;
        let Some(Value::Object(auths)) = self.top.get_mut("auths") else {
            return Ok(false);
        };
        let before = auths.len();
        auths.retain(|written, _| written != key && place::normal(written) != key);
        Ok(auths.len() < before)
    }

    pub(super) fn text(&self) -> String {
        format!("{:#}\n", Value::Object(self.top.clone()))
    }
}

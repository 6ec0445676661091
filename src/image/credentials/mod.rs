//! Who the caller is at which registry: the files of podman and docker, and the helpers that they name (containers-auth.json(5)).
//!
//! Nothing of a credential is ever in a message, in `Debug`, in an argument or in an environment.

mod entry;
mod file;
mod helper;
mod place;
#[cfg(test)]
mod tests;

use super::environment::{Lookup, config_home, directory, shown_path, variable};
use super::job::Credentials;
use entry::{Document, Holder};
pub use helper::{HelperError, Helpers};
use std::io;
use std::path::{Path, PathBuf};

/// What files and helpers know.
#[derive(Debug, Clone)]
pub struct Accounts {
    /// Read in this order.
    files: Vec<AuthFile>,
    /// What is written.
    primary: Option<PathBuf>,
    /// `$REGISTRY_AUTH_FILE` names the only one, which must be there.
    named: bool,
    /// Whose the files must be.
    uid: u32,
    helpers: Helpers,
}

/// A file that may hold credentials.
#[derive(Debug, Clone)]
struct AuthFile {
    path: PathBuf,
    /// The user named it or its directory; else it is a default path, and one that the user may not read counts as absent.
    named: bool,
}

/// Where credentials were put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// In a file, as anybody who reads it can decode them.
    File(PathBuf),
    /// By a helper of this name.
    Helper(String),
}

/// Why credentials cannot be read, kept or removed.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A file cannot be read.
    #[error("cannot read {}: {error}", shown_path(.path))]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {error}", shown_path(.path))]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Somebody else's file.
    #[error("{} belongs to uid {owner}, not to you: credentials are read from your own files alone", shown_path(.path))]
    Owner {
        /// Which.
        path: PathBuf,
        /// Whose.
        owner: u32,
    },
    /// A file that others may write.
    #[error("{} can be written by others: chmod 600 it", shown_path(.0))]
    Writable(PathBuf),
    /// A file that is no JSON.
    #[error("{}:{line}:{column}: not JSON, or not complete", shown_path(.path))]
    Json {
        /// Which.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// A value of the wrong kind.
    #[error("{}: {what}", shown_path(.path))]
    Shape {
        /// Which.
        path: PathBuf,
        /// What is wrong, and what would be right.
        what: String,
    },
    /// A helper fails.
    #[error(transparent)]
    Helper(#[from] HelperError),
    /// There is no home.
    #[error("there is no place for credentials: set HOME, or name a file with REGISTRY_AUTH_FILE")]
    NoPlace,
    /// What is logged in to is none.
    #[error("`{0}` is no registry: write HOST, HOST:PORT or HOST/PATH")]
    Registry(String),
    /// A name or password that cannot be kept.
    #[error("{0}")]
    Unfit(&'static str),
    /// Another program changes the file.
    #[error("{} is being changed by another program: try again", shown_path(.0))]
    Busy(PathBuf),
}

impl CredentialsError {
    /// open(2) failed with EACCES: with `/run/containers` of mode 0700, which root's podman makes, it is not even known whether there is
    /// a file.
    fn is_denied(&self) -> bool {
        matches!(self, Self::Unreadable { error, .. } if error.raw_os_error() == Some(libc::EACCES))
    }
}

/// What is kept for a registry is kept under this: `HOST[:PORT][/PATH]`, in one form however it was typed.
///
/// # Errors
/// [`CredentialsError::Registry`].
pub fn login_key(text: &str) -> Result<String, CredentialsError> {
    place::login(text)
}

impl Accounts {
    /// The files and helpers of a user, by the environment.
    #[must_use]
    pub fn new(lookup: Lookup<'_>, uid: u32) -> Self {
        let named = variable(lookup, "REGISTRY_AUTH_FILE").map(PathBuf::from);
        let (files, primary) = match &named {
            Some(path) => {
                let file = AuthFile {
                    path: path.clone(),
                    named: true,
                };
                (vec![file], named.clone())
            }
            None => places(lookup, uid),
        };
        Self {
            files,
            primary,
            named: named.is_some(),
            uid,
            helpers: Helpers::new(lookup),
        }
    }

    /// What to say at a registry (by its name: `docker.io`) who one is, for a repository of it; `None` for nobody.
    ///
    /// # Errors
    /// When a file is not safe or not right, or a helper fails.
    pub fn find(&self, host: &str, repository: &str) -> Result<Option<Credentials>, CredentialsError> {
        for file in &self.files {
            let document = match self.read(&file.path) {
                Err(error) if !file.named && error.is_denied() => None,
                read => read?,
            };
            let Some(document) = document else {
                if self.named {
                    let (path, error) = (file.path.clone(), io::Error::from(io::ErrorKind::NotFound));
                    return Err(CredentialsError::Unreadable { path, error });
                }
                continue;
            };
            let found = match document.holder(host, repository)? {
                Some(Holder::Entry(credentials)) => Some(credentials),
                Some(Holder::Helper { name, servers }) => self.helpers.first(&name, &servers)?,
                None => None,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Whether a name and a password could be kept, as far as that is known beforehand.
    ///
    /// # Errors
    /// What is wrong with them; there is no place.
    pub fn can_keep(&self, name: &str, password: &str) -> Result<(), CredentialsError> {
        place::fit(name, password)?;
        self.primary().map(drop)
    }

    /// Keeps a name and a password for `HOST[:PORT][/PATH]`.
    ///
    /// # Errors
    /// When they cannot be kept; what was kept before still is.
    pub fn store(&self, host: &str, name: &str, password: &str) -> Result<Kept, CredentialsError> {
        let key = place::login(host)?;
        place::fit(name, password)?;
        let path = self.primary()?;
        if let Some(helper) = self.helper_of(path, &key)? {
            self.helpers.store(&helper, place::server(&key), name, password)?;
            return Ok(Kept::Helper(helper));
        }
        self.change(path, |document| document.put(&key, name, password))?;
        Ok(Kept::File(path.to_owned()))
    }

    /// Forgets what is kept for `HOST[:PORT][/PATH]`; whether there was something. Files that [`Accounts::store`] does not write are
    /// left alone.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, host: &str) -> Result<bool, CredentialsError> {
        let key = place::login(host)?;
        let path = self.primary()?;
        let mut removed = false;
        if let Some(helper) = self.helper_of(path, &key)? {
            for server in place::servers(&key) {
                removed |= self.helpers.erase(&helper, &server)?;
            }
        }
        let has = self.read(path)?.is_some_and(|document| document.has(&key));
        if has {
            removed |= self.change(path, |document| document.remove(&key))?;
        }
        Ok(removed)
    }

    fn primary(&self) -> Result<&Path, CredentialsError> {
        self.primary.as_deref().ok_or(CredentialsError::NoPlace)
    }

    fn helper_of(&self, path: &Path, key: &str) -> Result<Option<String>, CredentialsError> {
        match self.read(path)? {
            Some(document) => document.helper(key),
            None => Ok(None),
        }
    }

    fn read(&self, path: &Path) -> Result<Option<Document>, CredentialsError> {
        match file::read(path, self.uid)? {
            Some(text) => Document::read(path, &text).map(Some),
            None => Ok(None),
        }
    }

    /// Reads, changes and writes the file while nobody else of us does.
    fn change<T>(
        &self,
        path: &Path,
        how: impl FnOnce(&mut Document) -> Result<T, CredentialsError>,
    ) -> Result<T, CredentialsError> {
        // A link stays a link: what it leads to is replaced.
        let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let lock = file::Lock::take(path)?;
        let mut document = self.read(path)?.unwrap_or_else(|| Document::empty(path));
        let answer = how(&mut document)?;
        lock.replace(path, document.text().as_bytes())?;
        Ok(answer)
    }
}

/// The files in the order of containers-auth.json(5), and the one that is written. Without a runtime directory `/run/containers/UID` is
/// read, and the file below the configuration directory is written.
fn places(lookup: Lookup<'_>, uid: u32) -> (Vec<AuthFile>, Option<PathBuf>) {
    let default = |path| AuthFile { path, named: false };
    let runtime = directory(lookup, "XDG_RUNTIME_DIR").map(|d| d.join("containers/auth.json"));
    let config = config_home(lookup).map(|d| d.join("containers/auth.json"));
    let shared = || PathBuf::from(format!("/run/containers/{uid}/auth.json"));
    let first = runtime.clone().unwrap_or_else(shared);
    let docker = match directory(lookup, "DOCKER_CONFIG") {
        Some(path) => Some(AuthFile {
            path: path.join("config.json"),
            named: true,
        }),
        None => directory(lookup, "HOME").map(|home| default(home.join(".docker/config.json"))),
    };
    let primary = runtime.or_else(|| config.clone());
    let defaults = [Some(first), config].into_iter().flatten().map(default);
    (defaults.chain(docker).collect(), primary)
}

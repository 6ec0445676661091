//! Where profiles are found, and what they come to once everything they extend is merged.

use super::diagnostic::{Error, Source};
use super::read::read;
use super::schema::Profile;
use crate::model::meant;
use crate::sys::small::{self, Unread};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The profiles that are part of the binary.
pub const BUILT_IN: [(&str, &str); 6] = [
    ("strict", include_str!("../../profiles/strict.toml")),
    ("default", include_str!("../../profiles/default.toml")),
    ("build", include_str!("../../profiles/build.toml")),
    ("fetch-worker", include_str!("../../profiles/fetch-worker.toml")),
    ("image-worker", include_str!("../../profiles/image-worker.toml")),
    (
        "overlay-worker",
        include_str!("../../profiles/overlay-worker.toml"),
    ),
];

/// Those under which sbx runs parts of itself: with what they leave out, nothing of a user's runs.
const WORKERS: [&str; 3] = ["fetch-worker", "image-worker", "overlay-worker"];

/// A profile is a page, not a book.
const LARGEST: u64 = 1 << 20;
/// How many profiles may extend one another in a row.
const DEEPEST: usize = 16;
/// The profile that a working directory may bring along.
pub const LOCAL: &str = ".sbx.toml";

/// Where to look.
#[derive(Debug, Clone)]
pub struct Library {
    /// `$XDG_CONFIG_HOME/sbx/profiles`, where there is one.
    pub directory: Option<PathBuf>,
    /// Whose files are trusted, besides root's.
    pub uid: u32,
}

impl Library {
    /// A profile by name or path, with all that it extends.
    ///
    /// # Errors
    /// When it does not exist, is not trusted, or has a fault.
    pub fn load(&self, name: &str) -> Result<Profile, Error> {
        let mut profile = Profile::default();
        self.add(name, &mut profile)?;
        Ok(profile)
    }

    /// The same, merged into another.
    ///
    /// # Errors
    /// As for [`Self::load`].
    pub fn add(&self, name: &str, to: &mut Profile) -> Result<(), Error> {
        self.resolve(to, &self.source(name, None)?, &mut vec![name.to_owned()])
    }

    /// The text of a profile by name or path; relative paths start at `near`.
    ///
    /// # Errors
    /// When it does not exist or is not trusted.
    pub fn source(&self, name: &str, near: Option<&Path>) -> Result<Source, Error> {
        if name.contains('/') || name.ends_with(".toml") {
            let path = near.map_or_else(|| PathBuf::from(name), |near| near.join(name));
            return self.file(&path);
        }
        if !is_name(name) {
            let help = "a name is made of letters, digits, `.`, `_` and `-`; a path contains a `/`";
            return Err(Error::whole(name, "not a profile's name", Some(help.into())));
        }
        let own = self.directory.as_ref().map(|d| d.join(format!("{name}.toml")));
        if let Some(path) = own.filter(|path| path.symlink_metadata().is_ok()) {
            return self.file(&path);
        }
        match BUILT_IN.iter().find(|(n, _)| *n == name) {
            Some((name, text)) => Ok(Source::new(name, true, text)),
            None => Err(self.unknown(name)),
        }
    }

    fn unknown(&self, name: &str) -> Error {
        let names = self.names();
        let near = meant(name, names.iter().map(String::as_str)).map(|n| format!("did you mean `{n}`? "));
        let help = format!("{}there are {}", near.unwrap_or_default(), names.join(", "));
        Error::whole(name, "no such profile", Some(help))
    }

    /// The names of all profiles that a command of the user's can run under, the user's own first.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let entries = self
            .directory
            .iter()
            .filter_map(|d| fs::read_dir(d).ok())
            .flatten()
            .filter_map(Result::ok);
        let mut names: Vec<String> = entries
            .filter_map(|e| {
                e.file_name()
                    .to_str()
                    .and_then(|n| n.strip_suffix(".toml"))
                    .map(str::to_owned)
            })
            .filter(|n| is_name(n))
            .collect();
        names.sort();
        names.extend(
            BUILT_IN
                .iter()
                .map(|(n, _)| (*n).to_owned())
                .filter(|n| !names.contains(n) && !WORKERS.contains(&n.as_str()))
                .collect::<Vec<_>>(),
        );
        names
    }

    /// Merges what a source extends, in order, and then itself.
    fn resolve(&self, to: &mut Profile, source: &Source, chain: &mut Vec<String>) -> Result<(), Error> {
        let parsed = read(source)?;
        let near = if source.built_in {
            None
        } else {
            Path::new(&*source.name).parent()
        };
        for base in &parsed.extends {
            let own_name = chain.last().is_some_and(|last| *last == base.value);
            let circle = chain.contains(&base.value) && (source.built_in || !own_name);
            if circle || chain.len() >= DEEPEST {
                let message = format!(
                    "`extends` runs in a circle or too deep: {} -> {}",
                    chain.join(" -> ").escape_debug(),
                    base.value.escape_debug()
                );
                return Err(Error::whole(
                    &source.name,
                    message,
                    Some("remove one of them".into()),
                ));
            }
            // The user's own `strict` may extend the built-in one of that name.
            let next = match BUILT_IN.iter().find(|(n, _)| own_name && *n == base.value) {
                Some((name, text)) => Source::new(name, true, text),
                None => self
                    .source(&base.value, near)
                    .map_err(|e| Error::whole(&source.name, format!("{}: {e}", base.origin), None))?,
            };
            chain.push(base.value.clone());
            self.resolve(to, &next, chain)?;
            chain.pop();
        }
        to.add(parsed.profile);
        Ok(())
    }

    /// Reads a file that only its owner, who is the caller or root, can change.
    ///
    /// # Errors
    /// When it is missing, no regular file, too large, not UTF-8, or others could have written it.
    pub fn file(&self, path: &Path) -> Result<Source, Error> {
        let name = path.display().to_string();
        let shown = name.escape_debug();
        let fail = |message: String, help: Option<String>| Error::whole(&name, message, help);
        let unread = |why: Unread| match why {
            Unread::TooLarge(_) => fail(
                "larger than 1 MiB".into(),
                Some("a profile is a page, not a book".into()),
            ),
            other => fail(other.to_string(), None),
        };
        let file = small::open_named(path).map_err(unread)?;
        let meta = file.metadata().map_err(|e| fail(e.to_string(), None))?;
        if meta.uid() != self.uid && meta.uid() != 0 {
            let help = format!(
                "only your own and root's profiles are used: copy it, or chown {} {shown}",
                self.uid
            );
            return Err(fail(format!("it belongs to uid {}", meta.uid()), Some(help)));
        }
        if meta.mode() & 0o022 != 0 {
            return Err(fail(
                "others may write it".into(),
                Some(format!("chmod go-w {shown}")),
            ));
        }
        let bytes = small::contents(file, LARGEST).map_err(unread)?;
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Source::new(&name, false, &text)),
            Err(e) => Err(fail(
                format!("not UTF-8 at byte {}", e.utf8_error().valid_up_to()),
                None,
            )),
        }
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

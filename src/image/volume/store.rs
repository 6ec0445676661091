//! The directory that holds the volumes.

use super::files::{is_empty, made, open_mode, removed, synced, unlinked};
use super::filling::{Claim, Filling, Held};
use super::lock::{self, Holders, Lock, Wait};
use super::removal::Removal;
use super::{Error, Name};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The version of the layout.
pub(super) const VERSION: &str = "1";
const MARK: &str = ".version";
const LOCKS: &str = ".locks";
pub(super) const DATA: &str = "data";
const CREATED: &str = "created";
pub(super) const FRESH: &str = "fresh";
const NEW: &str = ".new-";
const OLD: &str = ".old-";

/// How often a lock is tried for that somebody holds who only looks whether the volume is in use.
const TRIES: u32 = 20;
/// Milliseconds.
const PAUSE: u8 = 2;

/// All volumes of a caller.
#[derive(Debug, Clone)]
pub struct Volumes {
    path: PathBuf,
}

/// One volume, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// What it is called.
    pub name: Name,
    /// Where its files are.
    pub data: PathBuf,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// Nobody has used it yet.
    pub fresh: bool,
    /// A sandbox has it now.
    pub used: bool,
}

impl Volumes {
    /// The volumes in a directory, which is made when it is not there.
    ///
    /// # Errors
    /// It cannot be made, or is of another version.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let volumes = Self {
            path: path.to_owned(),
        };
        let mark = path.join(MARK);
        loop {
            match fs::read_to_string(&mark) {
                Ok(text) if text.trim_end() == VERSION => return Ok(volumes),
                Ok(text) if !text.is_empty() => {
                    let found = text.trim_end().chars().take(20).collect::<String>();
                    return Err(Error::Version {
                        path: path.to_owned(),
                        found: found.escape_debug().to_string(),
                    });
                }
                // Empty: whoever wrote it was killed.
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(Error::io("read", &mark, e)),
            }
            // 0700 for whatever is missing above it too, as the XDG base directory specification has it.
            let all = DirBuilder::new().recursive(true).mode(0o700).create(path);
            all.map_err(|e| Error::io("make", path, e))?;
            made(&path.join(LOCKS), 0o700)?;
            // Two processes may do it at once: they write the same.
            let written = fs::write(&mark, format!("{VERSION}\n"));
            written.map_err(|e| Error::io("write", &mark, e))?;
        }
    }

    /// The volumes in a directory, which is not looked at.
    #[must_use]
    pub fn presumed(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    fn home(&self, name: &Name) -> PathBuf {
        self.path.join(name.as_str())
    }

    fn lock_path(&self, name: &Name) -> PathBuf {
        self.path.join(LOCKS).join(name.as_str())
    }

    fn with(&self, state: &str, name: &Name) -> PathBuf {
        self.path.join(format!("{state}{name}"))
    }

    /// Where a volume's files are, whether there is such a volume or not.
    #[must_use]
    pub fn data(&self, name: &Name) -> PathBuf {
        self.home(name).join(DATA)
    }

    fn lock(&self, name: &Name, how: Holders, wait: Wait<'_>) -> Result<Option<Lock>, Error> {
        lock::take(&self.lock_path(name), how, wait)
    }

    /// Whether there is such a volume.
    #[must_use]
    pub fn has(&self, name: &Name) -> bool {
        self.home(name).is_dir()
    }

    /// All volumes, by name.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn all(&self) -> Result<Vec<Volume>, Error> {
        let failed = |e| Error::io("list", &self.path, e);
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if let Some(Ok(name)) = name.to_str().map(str::parse::<Name>) {
                found.extend(self.find(&name)?);
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// One volume; `None` when there is no such volume.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn find(&self, name: &Name) -> Result<Option<Volume>, Error> {
        let home = self.home(name);
        let meta = match fs::symlink_metadata(&home) {
            Ok(meta) if meta.is_dir() => meta,
            Ok(_) => return Ok(None),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("look at", &home, e)),
        };
        let created = fs::read_to_string(home.join(CREATED)).ok();
        let created = created.and_then(|text| text.trim_end().parse().ok());
        Ok(Some(Volume {
            name: name.clone(),
            data: home.join(DATA),
            created: created.unwrap_or_else(|| u64::try_from(meta.mtime()).unwrap_or_default()),
            fresh: home.join(FRESH).exists(),
            used: self.lock(name, Holders::Alone, Wait::Never)?.is_none(),
        }))
    }

    /// Makes a volume; `false` when it is there already.
    ///
    /// # Errors
    /// As mkdir(2).
    pub fn create(&self, name: &Name) -> Result<bool, Error> {
        if self.has(name) {
            return Ok(false);
        }
        let _lock = self.lock(name, Holders::Alone, Wait::Silently)?;
        if self.has(name) {
            return Ok(false);
        }
        let new = self.with(NEW, name);
        removed(&new)?;
        made(&new, 0o700)?;
        made(&new.join(DATA), 0o755)?;
        open_mode(&new.join(DATA))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |time| time.as_secs());
        for (file, text) in [(CREATED, format!("{now}\n")), (FRESH, String::new())] {
            let path = new.join(file);
            let write = || {
                let mut file = File::create(&path)?;
                file.write_all(text.as_bytes())?;
                file.sync_data()
            };
            write().map_err(|e| Error::io("write", &path, e))?;
        }
        synced(&new)?;
        let home = self.home(name);
        fs::rename(&new, &home).map_err(|e| Error::io("rename", &new, e))?;
        synced(&self.path)?;
        Ok(true)
    }

    /// Takes a volume into use; one that is not there is made. Whoever fills it is waited for.
    ///
    /// # Errors
    /// As flock(2) and mkdir(2).
    pub fn claim(&self, name: &Name) -> Result<Claim, Error> {
        let fresh = self.home(name).join(FRESH);
        let mut tries = 0;
        loop {
            self.create(name)?;
            let shared = self.lock(name, Holders::Shared, Wait::Silently)?;
            if !self.has(name) {
                continue;
            }
            if let (Some(lock), false) = (shared, fresh.exists()) {
                return Ok(Claim::Ready(Held { _lock: lock }));
            }
            let Some(mut lock) = self.lock(name, Holders::Alone, Wait::Never)? else {
                tries += 1;
                if tries < TRIES {
                    let _ = nix::poll::poll(&mut [], PAUSE);
                    continue;
                }
                // Either it is being filled, which ends, or a sandbox has it that began when it could not be filled.
                if let (Some(lock), true) =
                    (self.lock(name, Holders::Shared, Wait::Silently)?, self.has(name))
                {
                    return Ok(Claim::Ready(Held { _lock: lock }));
                }
                continue;
            };
            if !self.has(name) || !fresh.exists() {
                continue;
            }
            if is_empty(&self.data(name))? {
                let home = self.home(name);
                // Who fills a volume may be killed, and what it has started goes on for a moment: until that has ended, nobody else
                // may begin.
                lock.inherit(true).map_err(|e| Error::io("lock", &home, e))?;
                return Ok(Claim::Fresh(Filling { home, lock }));
            }
            // Its owner has put something there, or whoever filled it was killed at the very end.
            unlinked(&fresh)?;
        }
    }

    /// Takes a volume's name away, and gives what is left to be removed.
    ///
    /// # Errors
    /// There is none, or a sandbox uses it.
    pub fn take_away(&self, name: &Name) -> Result<Removal, Error> {
        if !self.has(name) && !self.with(OLD, name).is_dir() {
            return Err(Error::Absent(name.clone()));
        }
        let lock = self.lock(name, Holders::Alone, Wait::Never)?;
        let lock = lock.ok_or_else(|| Error::Busy(name.clone()))?;
        let old = self.with(OLD, name);
        made(&old, 0o700)?;
        // What an earlier one left there may be anything; each gets a place of its own in it.
        let mut number = 0;
        loop {
            let place = old.join(number.to_string());
            match fs::rename(self.home(name), &place) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => break,
                Err(e)
                    if matches!(
                        e.kind(),
                        io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty
                    ) =>
                {
                    number += 1;
                }
                other => break other.map_err(|e| Error::io("rename", &place, e))?,
            }
        }
        Ok(Removal {
            path: old,
            lock_path: self.lock_path(name),
            _lock: lock,
        })
    }

    /// Volumes whose removal was cut short.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn left(&self) -> Result<Vec<Name>, Error> {
        let failed = |e| Error::io("list", &self.path, e);
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let name = name.to_str().and_then(|name| name.strip_prefix(OLD));
            found.extend(name.and_then(|name| name.parse::<Name>().ok()));
        }
        found.sort();
        Ok(found)
    }
}

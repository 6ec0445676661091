//! Auth files are read when only their owner can have written them, and replaced whole.

use super::CredentialsError;
use crate::sys::small;
use nix::fcntl::{Flock, FlockArg};
use nix::poll::{PollTimeout, poll};
use std::fs::{DirBuilder, File, Metadata};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const MAXIMUM: u64 = 1 << 20;

/// The bytes of a file; `None` when there is none.
pub(super) fn read(path: &Path, uid: u32) -> Result<Option<Vec<u8>>, CredentialsError> {
    let (bytes, metadata) = match whole(path) {
        Ok(read) => read,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => {
            let path = path.to_owned();
            return Err(CredentialsError::Unreadable { path, error });
        }
    };
    let (path, owner) = (path.to_owned(), metadata.uid());
    // Root can be anybody anyway; secrets that are mounted into a container are often root's.
    if owner != uid && owner != 0 {
        return Err(CredentialsError::Owner { path, owner });
    }
    // Who can write it can name the helper that is run.
    if metadata.mode() & 0o022 != 0 {
        return Err(CredentialsError::Writable(path));
    }
    Ok(Some(bytes))
}

fn whole(path: &Path) -> io::Result<(Vec<u8>, Metadata)> {
    let file = small::open(path)?;
    let metadata = file.metadata()?;
    Ok((small::contents(file, MAXIMUM)?, metadata))
}

/// Held by the one who changes a file: the lock is on its directory, which stays when the file is replaced.
pub(super) struct Lock {
    directory: PathBuf,
    lock: Flock<File>,
}

impl Lock {
    /// Makes the directory when there is none, and waits at most five seconds for another to be done.
    pub(super) fn take(path: &Path) -> Result<Self, CredentialsError> {
        let unwritable = |error: io::Error| CredentialsError::Unwritable {
            path: path.to_owned(),
            error,
        };
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = parent.unwrap_or(Path::new(".")).to_owned();
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(&directory);
        made.map_err(unwritable)?;
        let mut file = File::open(&directory).map_err(unwritable)?;
        for _ in 0..100 {
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => return Ok(Self { directory, lock }),
                Err((back, nix::errno::Errno::EWOULDBLOCK)) => file = back,
                Err((_, errno)) => return Err(unwritable(errno.into())),
            }
            let _ = poll(&mut [], PollTimeout::from(50u8));
        }
        Err(CredentialsError::Busy(path.to_owned()))
    }

    /// Writes a new file beside and puts it in the place of the old one: whoever reads sees one or the other, whole.
    pub(super) fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), CredentialsError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = self.directory.join(format!(".{name}.{}.new", std::process::id()));
        let written = write_new(&temporary, bytes)
            .and_then(|()| std::fs::rename(&temporary, path))
            .and_then(|()| self.lock.sync_all());
        written.map_err(|error| {
            let _ = std::fs::remove_file(&temporary);
            let path = path.to_owned();
            CredentialsError::Unwritable { path, error }
        })
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let open = || {
        let mut options = File::options();
        options.write(true).create_new(true).mode(0o600).open(path)
    };
    let mut file = match open() {
        // Left by one that was killed and had this process's id: no other has it now, and the directory is locked.
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            std::fs::remove_file(path)?;
            open()?
        }
        other => other?,
    };
    file.write_all(bytes)?;
    file.sync_all()
}

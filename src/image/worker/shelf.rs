//! A layout or an archive as it lies there: what stands under a name, and nothing that a link leads to outside.

use crate::image::archive::{self, Form};
use crate::image::descriptor::{Compression, Descriptor};
use crate::image::limits::Limits;
use crate::image::store::Store;
use crate::image::unpack::{self, Place, name_shown};
use crate::model::Digest;
use crate::sys::Errno;
use crate::sys::fs::{Resolve, open_beneath};
use nix::sys::stat::fstat;
use sha2::Digest as _;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Links of an archive that lead to links: docker's lead to a file.
const HOPS: u32 = 8;
const BUFFER: usize = 128 << 10;

/// Where the blobs of images lie.
pub(super) enum Shelf {
    /// In a directory.
    Directory(OwnedFd),
    /// In a plain tar.
    Archive(File, BTreeMap<String, Place>),
}

/// Bytes of a file.
#[derive(Debug)]
pub(super) struct Section {
    file: File,
    at: u64,
    /// How many are left.
    pub(super) size: u64,
}

impl Read for Section {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let most = into.len().min(usize::try_from(self.size).unwrap_or(usize::MAX));
        let read = self
            .file
            .read_at(into.get_mut(..most).unwrap_or_default(), self.at)?;
        self.at += read as u64;
        self.size -= read as u64;
        Ok(read)
    }
}

impl Shelf {
    /// Opens a layout's directory, or an archive; a packed one is unpacked first, into a file of the store without a name.
    pub(super) fn open(at: &Path, store: &Store, limits: &Limits) -> Result<Self, String> {
        let file = open_file(at)?;
        let metadata = file.metadata().map_err(|e| format!("it cannot be read: {e}"))?;
        if metadata.is_dir() {
            return Ok(Self::Directory(file.into()));
        }
        if !metadata.is_file() {
            return Err("it is neither a directory nor a regular file".to_owned());
        }
        let (size, limit) = (metadata.len(), limits.image);
        if size > limit.0 {
            return Err(format!(
                "it has {size} bytes, and at most {limit} are read: --image-limit image=SIZE raises it"
            ));
        }
        let plain = match packing(&file)? {
            Compression::None => file,
            packed => unpacked(file, packed, store, limits)?,
        };
        let mut from = &plain;
        from.rewind().map_err(|e| format!("it cannot be read: {e}"))?;
        let places = unpack::survey(from, limits).map_err(|e| e.to_string())?;
        Ok(Self::Archive(plain, places))
    }

    /// What stands under a name; `None` when nothing does.
    pub(super) fn find(&self, name: &str) -> Result<Option<Section>, String> {
        match self {
            Self::Directory(directory) => beneath(directory, name),
            Self::Archive(file, places) => {
                let mut wanted = name;
                for _ in 0..HOPS {
                    match places.get(wanted) {
                        None => return Ok(None),
                        Some(Place::Link(to)) => wanted = to,
                        Some(Place::File { at, size }) => {
                            let file = file.try_clone().map_err(|e| e.to_string())?;
                            let (at, size) = (*at, *size);
                            return Ok(Some(Section { file, at, size }));
                        }
                    }
                }
                Err(format!(
                    "`{}`: links of the archive lead in circles",
                    name_shown(name)
                ))
            }
        }
    }

    /// What must stand there.
    pub(super) fn get(&self, name: &str) -> Result<Section, String> {
        let missing = || format!("`{}` is not there, and is needed", name_shown(name));
        self.find(name)?.ok_or_else(missing)
    }

    /// The whole of a document, which is not larger than documents are.
    pub(super) fn document(&self, name: &str, limits: &Limits) -> Result<Vec<u8>, String> {
        let mut section = self.get(name)?;
        let about = |why: String| format!("`{}`: {why}", name_shown(name));
        if section.size > limits.document.0 {
            let (size, limit) = (section.size, limits.document);
            return Err(about(format!(
                "it has {size} bytes, and at most {limit} are read"
            )));
        }
        let size = section.size;
        let mut bytes = Vec::new();
        let read = section.read_to_end(&mut bytes);
        read.map_err(|e| about(e.to_string()))?;
        if bytes.len() as u64 != size {
            return Err(about("it ends early".to_owned()));
        }
        Ok(bytes)
    }

    /// What it is, where nobody has said so.
    pub(super) fn form(&self) -> Result<Form, String> {
        let has = |name: &str| self.find(name).map(|found| found.is_some());
        match self {
            Self::Directory(_) => Ok(Form::Layout),
            Self::Archive(..) if has("index.json")? => Ok(Form::OciArchive),
            Self::Archive(..) if has("manifest.json")? => Ok(Form::DockerArchive),
            Self::Archive(..) => Err(
                "it holds neither index.json nor manifest.json, so that it is no archive of images: `sbx import` takes the tar of a root file system"
                    .to_owned(),
            ),
        }
    }
}

/// Copies exactly the bytes of a blob, or fails.
pub(super) fn copy(
    mut from: Section,
    blob: &Descriptor,
    mut into: &File,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), String> {
    let about = |why: String| format!("blob {}: {why}", blob.digest.short());
    if from.size != blob.size {
        let (found, said) = (from.size, blob.size);
        return Err(about(format!(
            "it has {found} bytes, and must have {said}: refused"
        )));
    }
    let failed = |e: std::io::Error| about(format!("it cannot be copied: {e}"));
    into.set_len(0).map_err(failed)?;
    into.seek(SeekFrom::Start(0)).map_err(failed)?;
    let (mut hash, mut buffer, mut done) = (sha2::Sha256::new(), vec![0; BUFFER], 0);
    loop {
        let read = from.read(&mut buffer).map_err(failed)?;
        let Some(chunk) = buffer.get(..read).filter(|chunk| !chunk.is_empty()) else {
            break;
        };
        hash.update(chunk);
        into.write_all(chunk).map_err(failed)?;
        done += read as u64;
        progress(done);
    }
    let found = Digest::of_hash(hash.finalize().into());
    if done != blob.size || found != blob.digest {
        let found = found.short();
        into.set_len(0).map_err(failed)?;
        return Err(about(format!("its bytes hash to {found}: refused")));
    }
    Ok(())
}

/// What all the bytes hash to.
pub(super) fn digest(mut of: Section) -> Result<Digest, String> {
    let (mut hash, mut buffer) = (sha2::Sha256::new(), vec![0; BUFFER]);
    loop {
        let read = of.read(&mut buffer).map_err(|e| e.to_string())?;
        match buffer.get(..read).filter(|chunk| !chunk.is_empty()) {
            Some(chunk) => hash.update(chunk),
            None => return Ok(Digest::of_hash(hash.finalize().into())),
        }
    }
}

/// How a tar is packed, by its first bytes.
pub(super) fn packing(tar: impl Read) -> Result<Compression, String> {
    let mut head = Vec::new();
    let read = tar.take(archive::HEAD).read_to_end(&mut head);
    read.map_err(|e| format!("it cannot be read: {e}"))?;
    archive::packing(&head).map_err(|e| e.to_string())
}

/// A file of which it is not known what it is: opened so that nothing is waited for.
pub(super) fn open_file(at: &Path) -> Result<File, String> {
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(at);
    file.map_err(|e| format!("it cannot be read: {e}"))
}

/// All of a file.
pub(super) fn whole(file: &File) -> Result<Section, String> {
    let size = file.metadata().map_err(|e| e.to_string())?.len();
    let file = file.try_clone().map_err(|e| e.to_string())?;
    Ok(Section { file, at: 0, size })
}

fn unpacked(from: File, packed: Compression, store: &Store, limits: &Limits) -> Result<File, String> {
    let failed = |e: std::io::Error| format!("it cannot be unpacked: {e}");
    (&from).rewind().map_err(failed)?;
    let mut to = File::options();
    let to = to
        .read(true)
        .write(true)
        .custom_flags(libc::O_TMPFILE)
        .mode(0o600);
    let to = to.open(store.path()).map_err(failed)?;
    unpack::decompress(from, packed, limits, &to).map_err(|e| e.to_string())?;
    Ok(to)
}

fn beneath(directory: &OwnedFd, name: &str) -> Result<Option<Section>, String> {
    let about = |why: String| format!("`{}`: {why}", name_shown(name));
    let path = CString::new(name).map_err(|e| about(e.to_string()))?;
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOFOLLOW;
    let file = match open_beneath(directory.as_fd(), &path, flags, 0, Resolve::BENEATH_NO_LINKS) {
        Ok(fd) => File::from(fd),
        Err(Errno::ENOENT) => return Ok(None),
        Err(Errno::ELOOP | Errno::EXDEV) => {
            return Err(about("a link, and no link is followed here".to_owned()));
        }
        Err(errno) => return Err(about(errno.desc().to_owned())),
    };
    let stat = fstat(&file).map_err(|errno| about(errno.desc().to_owned()))?;
    if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
        return Err(about("no regular file".to_owned()));
    }
    let size = u64::try_from(stat.st_size).unwrap_or_default();
    Ok(Some(Section { file, at: 0, size }))
}

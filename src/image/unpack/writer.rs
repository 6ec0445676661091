//! Makes an entry what the archive says it is. All metadata goes through descriptors, or to a name without following it.

use super::archive::{Archive, Kind, Member};
use super::contents::fill;
use super::error::{Error, Result, limit, refused, shown, system};
use super::ledger::{Last, Said};
use super::name::{Place, clean, place};
use super::owner::{id, not_owned};
use super::pax::Time;
use super::tree::{Spot, Tree, is, look};
use super::{Dropped, Options, Unpacked};
use crate::image::attribute::is_kept;
use crate::image::owner::Ownership;
use crate::sys::{Errno, fs, tree};
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, UtimensatFlags, futimens, mknodat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{fchownat, linkat, symlinkat};
use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Set-user-id and set-group-id.
const SET_ID: u32 = 0o6000;
const SET_GROUP_ID: u32 = 0o2000;

/// Unpacks one layer.
pub(super) struct Writer<'a> {
    tree: Tree<'a>,
    options: &'a Options<'a>,
    bytes: u64,
    entries: u64,
    opaque: bool,
    dropped: Dropped,
}

fn spec(time: Time) -> TimeSpec {
    TimeSpec::new(time.seconds, i64::from(time.nanoseconds))
}

impl<'a> Writer<'a> {
    pub(super) fn new(into: BorrowedFd<'_>, options: &'a Options<'a>) -> Result<Self> {
        Ok(Self {
            tree: Tree::new(into, options.limits)?,
            options,
            bytes: 0,
            entries: 0,
            opaque: false,
            dropped: Dropped::default(),
        })
    }

    fn mapped(&self) -> bool {
        self.options.ownership == Ownership::Mapped
    }

    /// Makes the next entry.
    pub(super) fn entry(&mut self, archive: &mut Archive<'_>, member: &Member) -> Result<()> {
        self.entries += 1;
        if self.entries > self.options.limits.entries {
            return Err(limit(
                "the layer has too many entries",
                self.options.limits.entries,
            ));
        }
        let path = clean(&member.name, self.options.limits)?;
        match place(&path)? {
            Place::Aufs => self.dropped.aufs += 1,
            Place::Whiteout { parent, name } => {
                let spot = self.tree.spot(&parent, &name)?;
                self.tree.make_whiteout(&spot)?;
            }
            Place::Opaque(parent) => {
                let (path, _) = self.tree.parent(&parent, true)?;
                self.opaque |= path.is_empty();
                self.tree.make_opaque(&path)?;
            }
            Place::Root if member.kind == Kind::Directory => self.directory(&[], member)?,
            Place::Root => {
                return Err(refused(
                    &member.name,
                    "the root of a layer is a directory and stays one",
                ));
            }
            Place::At { parent, name } => {
                let spot = self.tree.spot(&parent, &name)?;
                self.make(archive, member, &spot)?;
            }
        }
        Ok(())
    }

    fn make(&mut self, archive: &mut Archive<'_>, member: &Member, spot: &Spot) -> Result<()> {
        match &member.kind {
            Kind::File => {
                let said = self.said(member)?;
                self.file(archive, member, spot)?;
                self.record(&spot.path, said)
            }
            Kind::Directory => {
                self.tree.make_directory(spot)?;
                self.directory(&spot.path, member)
            }
            Kind::Symlink => self.symlink(member, spot),
            Kind::HardLink => self.hard_link(member, spot),
            Kind::Fifo => self.fifo(member, spot),
            Kind::Device(device) => {
                let file = self.create(spot)?;
                let said = Said {
                    device: Some(*device),
                    ..self.said(member)?
                };
                self.finish(&file, spot, said, 0, member.time)?;
                self.dropped.devices += 1;
                self.drop_attributes(member);
                self.record(&spot.path, said)
            }
        }
    }

    /// The owner that an entry names, which must be one.
    fn said(&self, member: &Member) -> Result<Said> {
        Ok(Said {
            uid: id(&member.name, "uid", member.uid, self.mapped())?,
            gid: id(&member.name, "gid", member.gid, self.mapped())?,
            mode: member.mode,
            device: None,
        })
    }

    /// Keeps beside the layer what the file does not say.
    fn record(&mut self, path: &[u8], said: Said) -> Result<()> {
        let other = (said.uid, said.gid) != (0, 0) || said.mode & SET_ID != 0;
        if said.device.is_some() || (!self.mapped() && other) {
            return self.tree.ledger.owner(path, said);
        }
        self.tree.ledger.forget(path);
        Ok(())
    }

    /// The permission bits that a file gets. A set-id file of the caller's own would give the caller's rights to every user of the host who
    /// reaches it; one of a mapped id gives those of an id that owns nothing outside.
    fn mode(&mut self, mode: u32) -> u32 {
        if self.mapped() || mode & SET_ID == 0 {
            return mode;
        }
        self.dropped.set_ids += 1;
        mode & !SET_ID
    }

    fn create(&mut self, spot: &Spot) -> Result<OwnedFd> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        self.tree.fresh(spot, |spot| {
            openat(&spot.parent, spot.name.as_c_str(), flags, mode)
        })
    }

    fn file(&mut self, archive: &mut Archive<'_>, member: &Member, spot: &Spot) -> Result<()> {
        self.bytes = self.bytes.saturating_add(member.size);
        if self.bytes > self.options.limits.unpacked.0 {
            let what = format!(
                "with `{}` the layer has files of {} bytes",
                shown(&spot.path),
                self.bytes
            );
            return Err(limit(what, self.options.limits.unpacked));
        }
        let file = File::from(self.create(spot)?);
        fill(&file, archive, member, spot)?;
        self.set_attributes(file.as_fd(), &spot.path, member)?;
        let (said, mode) = (self.said(member)?, self.mode(member.mode));
        self.finish(&OwnedFd::from(file), spot, said, mode, member.time)
    }

    /// Owner, then mode (a new owner takes set-id bits away), then time.
    fn finish(&mut self, file: &OwnedFd, spot: &Spot, said: Said, mode: u32, time: Time) -> Result<()> {
        self.set_owner(file.as_fd(), &spot.path, said.uid, said.gid)?;
        self.set_mode(file.as_fd(), &spot.path, mode)?;
        futimens(file, &TimeSpec::UTIME_OMIT, &spec(time)).map_err(system(&spot.path, "given its time"))
    }

    fn set_mode(&mut self, file: BorrowedFd<'_>, path: &[u8], mode: u32) -> Result<()> {
        fs::set_mode(file, mode).map_err(system(path, "given its mode"))?;
        // Without CAP_FSETID the kernel leaves the bit out and says nothing.
        if mode & SET_GROUP_ID != 0 && fs::kind(file).is_ok_and(|mode| mode & SET_GROUP_ID == 0) {
            self.dropped.set_group_ids += 1;
        }
        Ok(())
    }

    fn set_owner(&self, file: BorrowedFd<'_>, path: &[u8], uid: u32, gid: u32) -> Result<()> {
        if !self.mapped() {
            return Ok(());
        }
        fs::set_owner(file, uid, gid).map_err(|errno| not_owned(path, uid, gid, errno))
    }

    fn directory(&mut self, path: &[u8], member: &Member) -> Result<()> {
        let said = self.said(member)?;
        if !member.attributes.is_empty() {
            let directory = self.tree.writable(path)?;
            self.set_attributes(directory.as_fd(), path, member)?;
        }
        let last = Last {
            mode: self.mode(said.mode),
            uid: said.uid,
            gid: said.gid,
            time: Some(member.time),
        };
        self.tree.ledger.directory(path, last)?;
        self.record(path, said)
    }

    fn symlink(&mut self, member: &Member, spot: &Spot) -> Result<()> {
        let said = Said {
            mode: 0o777,
            ..self.said(member)?
        };
        let target = target(member)?;
        let make = |spot: &Spot| symlinkat(target.as_c_str(), &spot.parent, spot.name.as_c_str());
        self.tree.fresh(spot, make)?;
        if self.mapped() {
            let (uid, gid) = (Some(said.uid.into()), Some(said.gid.into()));
            let at = AtFlags::AT_SYMLINK_NOFOLLOW;
            fchownat(&spot.parent, spot.name.as_c_str(), uid, gid, at)
                .map_err(|errno| not_owned(&spot.path, said.uid, said.gid, errno))?;
        }
        let (access, change) = (TimeSpec::UTIME_OMIT, spec(member.time));
        let at = UtimensatFlags::NoFollowSymlink;
        utimensat(&spot.parent, spot.name.as_c_str(), &access, &change, at)
            .map_err(system(&spot.path, "given its time"))?;
        self.drop_attributes(member);
        self.record(&spot.path, said)
    }

    /// Another name of what the layer has; its metadata is that of the first.
    fn hard_link(&mut self, member: &Member, spot: &Spot) -> Result<()> {
        let (from, stat) = self.linked(member)?;
        // Another name of the same already: to replace it would take the last one away.
        if look(spot).is_ok_and(|there| (there.st_dev, there.st_ino) == (stat.st_dev, stat.st_ino)) {
            return Ok(());
        }
        let said = self.tree.ledger.said(&from.path);
        let link = |spot: &Spot| {
            let (old, new) = (from.name.as_c_str(), spot.name.as_c_str());
            linkat(&from.parent, old, &spot.parent, new, AtFlags::empty())
        };
        self.tree.fresh(spot, link)?;
        match said {
            Some(said) => self.tree.ledger.owner(&spot.path, said),
            None => Ok(()),
        }
    }

    /// What a hard link leads to.
    fn linked(&mut self, member: &Member) -> Result<(Spot, FileStat)> {
        target(member)?;
        let path = clean(&member.link, self.options.limits)?;
        let absent = || Error::HardLink {
            name: shown(&member.name),
            to: path.clone(),
            later: false,
        };
        let from = match self.tree.existing(&path) {
            Err(Error::Absent { linked: false, .. }) => return Err(absent()),
            other => other?,
        };
        let stat = match look(&from) {
            Err(Errno::ENOENT) => return Err(absent()),
            other => other.map_err(system(&from.path, "looked up"))?,
        };
        let kinds = [libc::S_IFREG, libc::S_IFLNK, libc::S_IFIFO];
        if !kinds.iter().any(|kind| is(&stat, *kind)) {
            let why = format!("it is a hard link to `{}`, which is no file", shown(&path));
            return Err(refused(&member.name, why));
        }
        Ok((from, stat))
    }

    fn fifo(&mut self, member: &Member, spot: &Spot) -> Result<()> {
        let said = self.said(member)?;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        self.tree.fresh(spot, |spot| {
            mknodat(&spot.parent, spot.name.as_c_str(), SFlag::S_IFIFO, mode, 0)
        })?;
        // Without waiting for a writer.
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fifo = openat(&spot.parent, spot.name.as_c_str(), flags, Mode::empty())
            .map_err(system(&spot.path, "opened"))?;
        let mode = self.mode(member.mode);
        self.finish(&fifo, spot, said, mode, member.time)?;
        self.drop_attributes(member);
        self.record(&spot.path, said)
    }

    /// Sets what a layer may say; before the mode, which may forbid it.
    fn set_attributes(&mut self, file: BorrowedFd<'_>, path: &[u8], member: &Member) -> Result<()> {
        for (name, value) in &member.attributes {
            let kept = Some(name)
                .filter(|name| is_kept(name))
                .and_then(|name| CString::new(&name[..]).ok());
            let set = kept.map(|name| tree::set_attribute(file, &name, value));
            match set {
                Some(Ok(())) => {}
                None | Some(Err(Errno::ENOTSUP)) => self.dropped.attribute(name),
                Some(Err(errno)) => return Err(system(path, "given its extended attributes")(errno)),
            }
        }
        Ok(())
    }

    /// What has nothing that could hold them.
    fn drop_attributes(&mut self, member: &Member) {
        for (name, _) in &member.attributes {
            self.dropped.attribute(name);
        }
    }

    /// When all entries are made: what directories wait for.
    pub(super) fn close(mut self, archive: Archive<'_>) -> Result<Unpacked> {
        self.dropped.global_values = archive.global_values();
        let diff_id = archive.finish()?;
        for (path, last) in self.tree.ledger.directories() {
            let directory = self.tree.writable(&path)?;
            self.set_owner(directory.as_fd(), &path, last.uid, last.gid)?;
            self.set_mode(directory.as_fd(), &path, last.mode)?;
            if let Some(time) = last.time {
                futimens(&directory, &TimeSpec::UTIME_OMIT, &spec(time))
                    .map_err(system(&path, "given its time"))?;
            }
        }
        Ok(Unpacked {
            diff_id,
            bytes: self.bytes,
            entries: self.entries,
            owners: self.tree.ledger.owners(),
            opaque: self.opaque,
            dropped: self.dropped,
        })
    }
}

/// What a link leads to, in words of the layer.
fn target(member: &Member) -> Result<CString> {
    match CString::new(&member.link[..]) {
        Ok(target) if !target.is_empty() => Ok(target),
        _ => Err(refused(
            &member.name,
            "a link leads to a name of at least one byte and without NUL",
        )),
    }
}

//! What the child does to its tree of mounts, from the first descriptor to the pivot.

use super::super::fresh::{MINIMAL, fresh, fresh_tmpfs, overlay};
use super::super::message::Message;
use super::super::operation::{Lower, Place, Scratch, TmpfsOptions};
use super::Child;
use crate::model::homes::FileId;
use crate::sys::fs::{self, Resolve};
use crate::sys::mount::{self, Attributes};
use crate::sys::{Errno, Result};
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

impl Child<'_> {
    /// `same`: the device and inode of what the supervisor has opened by this path; `ESTALE` where it is another one by now.
    pub(super) fn open(
        &mut self,
        slot: usize,
        path: &CStr,
        attributes: Attributes,
        same: Option<FileId>,
    ) -> Result<()> {
        let source = fs::open_without_links(path, libc::O_PATH)?;
        if let Some(same) = same
            && fs::id(source.as_fd())? != same
        {
            return Err(Errno::ESTALE);
        }
        let tree = mount::open_tree(source.as_fd())?;
        mount::set_attributes(tree.as_fd(), attributes, true)?;
        *self.slots.get_mut(slot).ok_or(Errno::EBADF)? = Some(tree);
        Ok(())
    }

    /// Puts the new root on top of the old one, where no path needs to exist and no name can be swapped.
    pub(super) fn attach_root(&mut self, tree: OwnedFd) -> Result<()> {
        let old = fs::open(c"/", libc::O_PATH | libc::O_DIRECTORY)?;
        mount::move_mount(tree.as_fd(), old.as_fd())?;
        self.root = Some(tree);
        Ok(())
    }

    pub(super) fn root_tmpfs(&mut self, options: &TmpfsOptions) -> Result<()> {
        let tree = fresh_tmpfs(options, Attributes(Attributes::NO_SUID | Attributes::NO_DEV))?;
        self.attach_root(tree)
    }

    /// Opened in this user namespace: the kernel takes no other for a mount of it.
    pub(super) fn open_fuse(&mut self, slot: usize) -> Result<()> {
        let device = fs::open_without_links(c"/dev/fuse", libc::O_RDWR)?;
        *self.slots.get_mut(slot).ok_or(Errno::EBADF)? = Some(device);
        Ok(())
    }

    /// The supervisor starts the program. Nobody but that program may have the device: its end then ends every wait for it.
    pub(super) fn root_fuse(&mut self, slot: usize, ids: (&CStr, &CStr)) -> Result<()> {
        let attributes = Attributes(Attributes::NO_SUID | Attributes::NO_DEV);
        let device = self.take(slot)?;
        let tree = mount::fuse(device.as_fd(), ids, attributes)?;
        Message::Fuse.send(self.control, Some(device.as_fd()))?;
        drop(device);
        self.attach_root(tree)?;
        // Answered by the program, once it is there.
        fs::open_beneath(
            self.root()?,
            c".",
            libc::O_RDONLY | libc::O_DIRECTORY,
            0,
            Resolve::BENEATH_NO_LINKS,
        )
        .map(drop)
    }

    /// The upper layer needs a mount of this namespace to stand on: on top of the old root, for as long as the overlay is made.
    pub(super) fn root_overlay(&mut self, lower: &Lower, scratch: &Scratch) -> Result<()> {
        let attributes = Attributes(Attributes::NO_SUID | Attributes::NO_DEV);
        let staging = match scratch {
            Scratch::Tmpfs(options) => fresh_tmpfs(options, attributes)?,
            Scratch::Slot(slot) => self.take(*slot)?,
        };
        self.attach_root(staging)?;
        let staging = self.root.take().ok_or(Errno::EBADF)?;
        let (tree, _) = overlay(staging.as_fd(), (lower, self.take(lower.slot)?), attributes)?;
        // Overlay has its own mount of it. Left there, it would be what the pivot detaches, and the host's tree would stay above the root.
        fs::change_directory(staging.as_fd())?;
        mount::detach_here()?;
        self.attach_root(tree)
    }

    pub(super) fn workspace_overlay(
        &mut self,
        lower: &Lower,
        at: &Place,
        scratch: &TmpfsOptions,
        attributes: Attributes,
    ) -> Result<()> {
        let staging = fresh_tmpfs(scratch, Attributes(Attributes::NO_SUID | Attributes::NO_DEV))?;
        // Mounted at the very place that the overlay hides, because overlay takes no detached upper layer before Linux 6.15.
        self.attach(&staging, at, Resolve::IN_ROOT)?;
        let (tree, upper) = overlay(staging.as_fd(), (lower, self.take(lower.slot)?), attributes)?;
        Message::Upper.send(self.control, Some(upper.as_fd()))?;
        mount::move_mount(tree.as_fd(), staging.as_fd())
    }

    /// The directory that holds a place. Links in a hostile root lead nowhere but inside it.
    fn holder(&self, at: &Place) -> Result<Option<OwnedFd>> {
        match &at.parent {
            None => Ok(None),
            Some(parent) => {
                let flags = libc::O_PATH | libc::O_DIRECTORY;
                fs::open_beneath(self.root()?, parent, flags, 0, Resolve::IN_ROOT).map(Some)
            }
        }
    }

    pub(super) fn clear(&self, at: &Place) -> Result<()> {
        let holder = self.holder(at)?;
        let holder = holder.as_ref().map_or(self.root()?, AsFd::as_fd);
        match fs::unlink(holder, &at.name) {
            Err(Errno::ENOENT | Errno::EISDIR) => Ok(()),
            other => other,
        }
    }

    pub(super) fn directory(&self, at: &Place, mode: u32) -> Result<()> {
        let holder = self.holder(at)?;
        let holder = holder.as_ref().map_or(self.root()?, AsFd::as_fd);
        fs::make_directory(holder, &at.name, mode)
    }

    pub(super) fn link(&self, at: &Place, target: &CStr) -> Result<()> {
        let holder = self.holder(at)?;
        let holder = holder.as_ref().map_or(self.root()?, AsFd::as_fd);
        fs::make_link(target, holder, &at.name)
    }

    pub(super) fn create(&self, at: &Place) -> Result<OwnedFd> {
        let flags = libc::O_WRONLY | libc::O_CREAT;
        fs::open_beneath(self.root()?, &at.path, flags, 0o644, Resolve::IN_ROOT)
    }

    pub(super) fn file(&self, at: &Place, bytes: &[u8]) -> Result<()> {
        fs::write_all(self.create(at)?.as_fd(), bytes)
    }

    pub(super) fn attach(&self, tree: &OwnedFd, at: &Place, resolve: Resolve) -> Result<()> {
        let target = fs::open_beneath(self.root()?, &at.path, libc::O_PATH, 0, resolve)?;
        mount::move_mount(tree.as_fd(), target.as_fd())
    }

    pub(super) fn devpts(&self, at: &Place) -> Result<()> {
        let attributes = Attributes(Attributes::NO_SUID | Attributes::NO_EXEC);
        let tree = fresh(c"devpts", &[(c"ptmxmode", c"666"), (c"mode", c"620")], attributes)?;
        self.attach(&tree, at, Resolve::IN_ROOT_NO_LINKS)
    }

    pub(super) fn mqueue(&self, at: &Place) -> Result<()> {
        match fresh(c"mqueue", &[], MINIMAL) {
            // The kernel has no message queues, and mq_open(2) says so.
            Err(Errno::ENODEV) => Ok(()),
            tree => self.attach(&tree?, at, Resolve::IN_ROOT_NO_LINKS),
        }
    }

    pub(super) fn mask(&self, at: &Place) -> Result<()> {
        let target = match fs::open_beneath(
            self.root()?,
            &at.path,
            libc::O_PATH | libc::O_NOFOLLOW,
            0,
            Resolve::IN_ROOT,
        ) {
            // Only a path that does not exist needs no mask. The command may reach one that set-up cannot search (EACCES).
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(()),
            other => other?,
        };
        let mode = fs::kind(target.as_fd())?;
        if mode & libc::S_IFMT == libc::S_IFDIR {
            let attributes = Attributes(MINIMAL.0 | Attributes::READ_ONLY);
            let empty = fresh(c"tmpfs", &[(c"size", c"4k"), (c"mode", c"555")], attributes)?;
            return mount::move_mount(empty.as_fd(), target.as_fd());
        }
        // Before the pivot this is the host's, whatever the root has under that name (CVE-2025-31133).
        let null = mount::open_tree(fs::open_without_links(c"/dev/null", libc::O_PATH)?.as_fd())?;
        let attributes = Attributes(Attributes::NO_SUID | Attributes::NO_EXEC);
        mount::set_attributes(null.as_fd(), attributes, true)?;
        mount::move_mount(null.as_fd(), target.as_fd())
    }

    /// A mount point itself is changed; anything else is covered by a read-only view of itself.
    pub(super) fn read_only(&self, at: &Place) -> Result<()> {
        let target =
            match fs::open_beneath(self.root()?, &at.path, libc::O_PATH, 0, Resolve::IN_ROOT_NO_LINKS) {
                Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(()),
                other => other?,
            };
        let attributes = Attributes(Attributes::READ_ONLY | Attributes::NO_SUID);
        match mount::set_attributes(target.as_fd(), attributes, false) {
            Err(Errno::EINVAL) => {
                let view = mount::open_tree(target.as_fd())?;
                mount::set_attributes(view.as_fd(), attributes, true)?;
                mount::move_mount(view.as_fd(), target.as_fd())
            }
            other => other,
        }
    }

    pub(super) fn pivot(&self) -> Result<()> {
        fs::change_directory(self.root()?)?;
        mount::pivot_root_here()?;
        mount::detach_here()
    }
}

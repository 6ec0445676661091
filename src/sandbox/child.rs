//! The other side of clone3: walks the operations, in order, and stops at the first that fails.
//!
//! Nothing here may allocate, lock or unwind: the memory is a copy of a process that did not expect to be copied.

mod mounts;
mod proc;

use super::fresh::fresh_tmpfs;
use super::init;
use super::message::Message;
use super::operation::{Exec, Operation, Place};
use super::output::Inlet;
use crate::plan::{Access, Holder};
use crate::sys::fs::{self, Resolve};
use crate::sys::mount::{self, Attributes};
use crate::sys::{Errno, Result, cred, landlock, net, process, seccomp, signal, tty};
use ::landlock::{
    ABI, Access as _, AccessFs, BitFlags, PathBeneath, RulesetCreated, RulesetCreatedAttr, RulesetStatus,
};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What the child carries from operation to operation. All of it was allocated before the clone.
pub(super) struct Child<'a> {
    pub(super) control: BorrowedFd<'a>,
    pub(super) slots: &'a mut [Option<OwnedFd>],
    pub(super) ruleset: Option<RulesetCreated>,
    pub(super) abi: ABI,
    pub(super) root: Option<OwnedFd>,
    /// The slave of the sandbox's own pseudo-terminal.
    pub(super) slave: Option<OwnedFd>,
    /// Which standard streams the slave takes the place of.
    pub(super) streams: [bool; 3],
    /// Pipes in place of those whose bytes are counted.
    pub(super) inlets: &'a [Inlet],
    /// Whether init leads the session, so that the command only leads a group in it.
    pub(super) below_init: bool,
    /// How many bytes the arguments take that init forgets.
    pub(super) arguments: usize,
    /// Whether the command starts in the foreground of its terminal.
    pub(super) attended: bool,
}

impl Child<'_> {
    /// Does one operation.
    pub(super) fn run(&mut self, operation: &Operation) -> Result<()> {
        match operation {
            Operation::KernelFile(path, bytes) => fs::write_kernel_file(path, bytes),
            Operation::AwaitMaps => self.await_maps(),
            Operation::TellNamespace => {
                // Nobody but this process may open them once it is not dumpable.
                let ipc = fs::open(c"/proc/self/ns/ipc", libc::O_RDONLY)?;
                Message::IpcNamespace.send(self.control, Some(ipc.as_fd()))?;
                let namespace = fs::open(c"/proc/self/ns/user", libc::O_RDONLY)?;
                Message::Namespace.send(self.control, Some(namespace.as_fd()))
            }
            Operation::UnshareCgroup => process::unshare(libc::CLONE_NEWCGROUP),
            Operation::UnshareNetwork => process::unshare(libc::CLONE_NEWNET),
            Operation::UnshareTime => process::unshare(0x80),
            Operation::ActAsRoot => cred::set_group(0).and_then(|()| cred::set_user(0)),
            Operation::Open {
                slot,
                path,
                attributes,
                same,
            } => self.open(*slot, path, *attributes, *same),
            Operation::RootTmpfs(options) => self.root_tmpfs(options),
            Operation::RootBind(slot) => {
                let tree = self.take(*slot)?;
                self.attach_root(tree)
            }
            Operation::RootOverlay(layers) => self.root_overlay(&layers.0, &layers.1),
            Operation::OpenFuse(slot) => self.open_fuse(*slot),
            Operation::RootFuse { slot, user, group } => self.root_fuse(*slot, (user, group)),
            Operation::Clear(at) => self.clear(at),
            Operation::Directory(at, mode) => self.directory(at, *mode),
            Operation::Link(at, target) => self.link(at, target),
            Operation::File(at, bytes) => self.file(at, bytes),
            Operation::Attach { slot, at } => {
                let tree = self.take(*slot)?;
                self.attach(&tree, at, Resolve::IN_ROOT)
            }
            Operation::AttachToNew { slot, at } => {
                let tree = self.take(*slot)?;
                mount::move_mount(tree.as_fd(), self.create(at)?.as_fd())
            }
            Operation::Tmpfs {
                at,
                options,
                attributes,
            } => {
                let tree = fresh_tmpfs(options, *attributes)?;
                self.attach(&tree, at, Resolve::IN_ROOT_NO_LINKS)
            }
            Operation::Proc {
                at,
                own_processes,
                files,
            } => self.proc(at, *own_processes, files),
            Operation::Devpts(at) => self.devpts(at),
            Operation::Mqueue(at) => self.mqueue(at),
            Operation::WorkspaceOverlay {
                at,
                below,
                attributes,
            } => self.workspace_overlay(&below.0, at, &below.1, *attributes),
            Operation::Mask(at) => self.mask(at),
            Operation::ReadOnly(at) => self.read_only(at),
            Operation::SealRoot => mount::set_attributes(
                self.root()?,
                Attributes(Attributes::READ_ONLY | Attributes::NO_SUID),
                false,
            ),
            Operation::PivotRoot => self.pivot(),
            _ => self.confine(operation),
        }
    }

    fn confine(&mut self, operation: &Operation) -> Result<()> {
        match operation {
            Operation::Hostname(name) => process::set_hostname(name),
            Operation::Loopback => net::loopback_up(),
            // A kernel without keys has none to hide.
            Operation::Keyring => match cred::new_session_keyring() {
                Err(Errno::ENOSYS) => Ok(()),
                other => other,
            },
            Operation::Terminal => self.terminal(),
            Operation::StartIn(at) => self.start_in(at),
            Operation::Processors(mask) => process::set_processors(mask),
            Operation::Limit { resource, soft, hard } => cred::set_limit(*resource, *soft, *hard),
            Operation::Groups(groups) => cred::set_groups(groups),
            Operation::SetIds { uid, gid, change } => set_ids(*uid, *gid, *change),
            Operation::Capabilities(kept, Holder::Command) => capabilities(*kept),
            Operation::Capabilities(kept, Holder::Root) => capabilities_of_root(*kept),
            Operation::NoNewPrivileges => cred::no_new_privileges(),
            Operation::LandlockRule { at, access, nodes } => self.landlock_rule(at, *access, *nodes),
            Operation::LandlockEnforce => self.landlock_enforce(),
            Operation::LandlockSockets(allowed) => self.close_sockets(allowed),
            Operation::Session => self.session(),
            Operation::CloseRange => fs::close_range_at_exec(3),
            Operation::Seccomp(filter) => seccomp::install(filter),
            Operation::Exec(exec) => execute(exec),
            _ => Err(Errno::EINVAL),
        }
    }

    fn await_maps(&self) -> Result<()> {
        match Message::receive(self.control, true)? {
            Some((Message::MapsWritten, _)) => Ok(()),
            _ => Err(Errno::EPIPE),
        }
    }

    fn root(&self) -> Result<BorrowedFd<'_>> {
        self.root.as_ref().map(AsFd::as_fd).ok_or(Errno::EBADF)
    }

    fn take(&mut self, slot: usize) -> Result<OwnedFd> {
        self.slots
            .get_mut(slot)
            .and_then(Option::take)
            .ok_or(Errno::EBADF)
    }

    fn terminal(&mut self) -> Result<()> {
        let master = fs::open_beneath(
            self.root()?,
            c"dev/pts/ptmx",
            // The supervisor must never wait for a command that does not read.
            libc::O_RDWR | libc::O_NONBLOCK,
            0,
            Resolve::IN_ROOT_NO_LINKS,
        )?;
        tty::unlock_slave(master.as_fd())?;
        let slave = tty::open_slave(master.as_fd())?;
        // Before the command can look at it. The first stream that is a terminal is the model.
        let _ = (0..3).find(|stream| tty::resemble(*stream, slave.as_fd()).is_ok());
        self.slave = Some(slave);
        Message::Master.send(self.control, Some(master.as_fd()))
    }

    fn start_in(&self, at: &Place) -> Result<()> {
        let flags = libc::O_PATH | libc::O_DIRECTORY;
        let directory = fs::open_beneath(self.root()?, &at.path, flags, 0, Resolve::IN_ROOT)?;
        fs::change_directory(directory.as_fd())?;
        if fs::working_directory_is_inside()? {
            Ok(())
        } else {
            Err(Errno::EXDEV)
        }
    }

    fn landlock_rule(&mut self, at: &Place, access: Access, nodes: bool) -> Result<()> {
        let target = fs::open_beneath(self.root()?, &at.path, libc::O_PATH, 0, Resolve::IN_ROOT)?;
        let ruleset = self.ruleset.take().ok_or(Errno::EBADF)?;
        let mode = fs::kind(target.as_fd())?;
        let mut rights = rights(access, self.abi);
        if nodes && access.write {
            rights |= AccessFs::MakeChar;
        }
        if mode & libc::S_IFMT != libc::S_IFDIR {
            rights &= AccessFs::from_file(self.abi);
        }
        match ruleset.add_rule(PathBeneath::new(target.as_fd(), rights)) {
            Ok(ruleset) => {
                self.ruleset = Some(ruleset);
                Ok(())
            }
            Err(_) => Err(Errno::EINVAL),
        }
    }

    fn landlock_enforce(&mut self) -> Result<()> {
        let ruleset = self.ruleset.take().ok_or(Errno::EBADF)?;
        let status = ruleset.restrict_self().map_err(|_| Errno::EPERM)?;
        if status.ruleset == RulesetStatus::FullyEnforced {
            Ok(())
        } else {
            Err(Errno::EOPNOTSUPP)
        }
    }

    /// A domain of its own, because the crate has no word for the right.
    fn close_sockets(&self, allowed: &[Place]) -> Result<()> {
        let ruleset = landlock::socket_ruleset()?;
        let root = self.root()?;
        let whole = fs::open_beneath(root, c".", libc::O_PATH, 0, Resolve::IN_ROOT)?;
        landlock::allow(ruleset.as_fd(), whole.as_fd(), landlock::REFER)?;
        for at in allowed {
            let socket = fs::open_beneath(root, &at.path, libc::O_PATH, 0, Resolve::IN_ROOT)?;
            landlock::allow(ruleset.as_fd(), socket.as_fd(), landlock::RESOLVE_UNIX)?;
        }
        landlock::restrict_self(ruleset.as_fd())
    }

    /// Below init the command leads a process group of init's session, so that ^Z can stop it: a group whose parent lies outside
    /// the session is orphaned, and the kernel ignores stop signals for it.
    fn session(&mut self) -> Result<()> {
        if self.slave.is_none() {
            process::new_session()?;
        } else if self.below_init {
            process::new_group()?;
        } else {
            self.lead_session()?;
        }
        if !self.below_init {
            init::end_with(self.control)?;
        }
        if let Some(slave) = &self.slave {
            if self.below_init && self.attended {
                signal::ignore(libc::SIGTTOU);
                tty::set_foreground(slave.as_fd(), 0)?;
            }
            stand_in(slave, self.streams)?;
        }
        for (pipe, streams) in self.inlets {
            stand_in(pipe, *streams)?;
        }
        cred::plain_personality()?;
        signal::default_dispositions();
        signal::set_mask(&signal::SignalSet::of(&[]))
    }

    /// Leads a new session with the slave as its terminal.
    pub(super) fn lead_session(&self) -> Result<()> {
        process::new_session()?;
        match &self.slave {
            Some(slave) => tty::take_as_controlling(slave.as_fd()),
            None => Ok(()),
        }
    }
}

/// A descriptor in place of standard streams.
fn stand_in(fd: &OwnedFd, streams: [bool; 3]) -> Result<()> {
    let mut wanted = (0..).zip(streams).filter(|(_, wanted)| *wanted);
    wanted.try_for_each(|(stream, _)| fs::duplicate_onto(fd.as_fd(), stream))
}

/// With NOROOT and NO_SETUID_FIXUP set, a change of ids changes no capability: the set is emptied on purpose, later.
fn set_ids(uid: u32, gid: u32, change: bool) -> Result<()> {
    if !change {
        return Ok(());
    }
    cred::fix_securebits()?;
    cred::set_group(gid)?;
    cred::set_user(uid)
}

fn capabilities(kept: u64) -> Result<()> {
    if kept != 0 {
        cred::make_inheritable(kept)?;
        cred::raise_ambient(kept)?;
    }
    cred::drop_bounding(kept)?;
    cred::lock_securebits()?;
    cred::set_capabilities(kept, kept)
}

/// As capabilities(7) has it for uid 0: gone with the first change to another user, and with no way back but a new program as uid 0.
fn capabilities_of_root(kept: u64) -> Result<()> {
    cred::drop_bounding(kept)?;
    cred::plain_securebits()?;
    cred::set_capabilities(kept, 0)
}

fn rights(access: Access, abi: ABI) -> BitFlags<AccessFs> {
    let mut rights = AccessFs::ReadFile | AccessFs::ReadDir;
    if access.execute {
        rights |= AccessFs::Execute;
    }
    if access.write {
        // No device node can be made inside, unless the filter lets mknod(2) make one.
        rights |=
            AccessFs::from_write(abi) & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev);
    }
    if access.device {
        rights |= AccessFs::WriteFile | AccessFs::IoctlDev;
    }
    rights & AccessFs::from_all(abi)
}

/// Tries each place; what execvp(3) answers: not found only if nothing was found anywhere.
fn execute(exec: &Exec) -> Result<()> {
    let mut answer = Errno::ENOENT;
    for path in &exec.candidates {
        match process::execute(path, &exec.arguments, &exec.environment) {
            Errno::ENOENT | Errno::ENOTDIR => {}
            errno => answer = errno,
        }
        if !matches!(answer, Errno::ENOENT | Errno::EACCES) {
            break;
        }
    }
    Err(answer)
}

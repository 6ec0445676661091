//! Each step of a plan as the operations that carry it out.

use super::{PrepareError, Prepared, path, place, taken};
use crate::model::{Bytes, IdMap, InRoot};
use crate::plan::{MapWriter, ProcFile, ProcKind, Step, Upper};
use crate::policy::Resource;
use crate::sandbox::cgroup;
use crate::sandbox::command;
use crate::sandbox::lower::Ids;
use crate::sandbox::operation::{Lowers, Operation, Place, ProcFiles, Scratch, TmpfsOptions, bits, mask};
use crate::sandbox::watch::{Apart, Watched};
use crate::sys::Errno;
use crate::sys::process::CloneFlags;
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible, NetPort, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr as _, Scope,
};
use std::ffi::CString;
use std::os::fd::AsFd;
use std::path::Path;

impl Prepared {
    fn put(&mut self, index: u32, operation: Operation) {
        self.operations.push((index, operation));
    }

    /// A place in a directory of our own tmpfs has no links on its way, and needs no look at the directory that holds it.
    fn place_to_make(&self, at: &InRoot) -> Result<Place, PrepareError> {
        let own = at.parent().is_some_and(|parent| self.own.contains(&parent));
        let name = path(at.relative())?;
        match own {
            true => Ok(Place {
                path: name.clone(),
                parent: None,
                name,
            }),
            false => place(at),
        }
    }

    /// Mounts on a place; the file that the step before makes there is made by the same operation.
    fn attach(&mut self, index: u32, slot: usize, at: Place) {
        let new = matches!(self.operations.last(), Some((_, Operation::File(made, bytes))) if bytes.is_empty() && made.path == at.path);
        if new {
            self.operations.pop();
            self.put(index, Operation::AttachToNew { slot, at });
        } else {
            self.put(index, Operation::Attach { slot, at });
        }
    }

    /// Before the sources are opened: what needs the host's `/proc`, or changes who we are.
    pub(super) fn put_first(&mut self, index: u32, operation: Operation) {
        let at = self
            .operations
            .iter()
            .position(|(_, o)| matches!(o, Operation::Open { .. } | Operation::OpenFuse(_)));
        self.operations
            .insert(at.unwrap_or(self.operations.len()), (index, operation));
    }

    pub(super) fn step(
        &mut self,
        index: u32,
        step: &Step,
        ids: &Ids,
        slot: &mut usize,
    ) -> Result<(), PrepareError> {
        match step {
            Step::Clone(namespaces) => {
                let mut flags = clone_flags(namespaces.net && !ids.helped);
                if namespaces.net && ids.helped {
                    self.put_first(index, Operation::UnshareNetwork);
                }
                if self.group.is_some() {
                    // Made by clone3 it would start at the supervisor's cgroup, since the kernel copies namespaces first.
                    flags.0 &= !u64::from(libc::CLONE_NEWCGROUP.cast_unsigned());
                    self.put_first(index, Operation::UnshareCgroup);
                }
                self.namespaces = flags;
            }
            Step::Cgroup(group) => {
                let asked = cgroup::Asked::new(group, self.counts);
                self.group = Some((usize::try_from(index).unwrap_or_default(), asked));
            }
            Step::Deadline(time) => self.time = Some(time.0),
            Step::CountOutput(most) => {
                self.output = Some((usize::try_from(index).unwrap_or_default(), *most))
            }
            Step::RelayFiles(streams) => {
                self.relayed = Some((usize::try_from(index).unwrap_or_default(), *streams));
            }
            Step::WatchMemory(most) => self.watched = Some(Watched::new(*most)),
            Step::WatchDisk { most, at, nameless } => {
                self.apart = Some(Apart::of_disk(index, *most, at, *nameless)?);
                self.put_first(index, Operation::TellNamespace);
            }
            Step::MapIds { uids, gids, by } => self.map_ids(index, uids, gids, by)?,
            Step::TimeNamespace => self.time_namespace(index)?,
            Step::NoNestedNamespaces => {
                let file = c"/proc/sys/user/max_user_namespaces";
                self.put_first(index, Operation::KernelFile(file, b"0".to_vec()));
            }
            Step::ActAsRoot => self.put(index, Operation::ActAsRoot),
            _ => return self.later_step(index, step, ids, slot),
        }
        Ok(())
    }

    fn later_step(
        &mut self,
        index: u32,
        step: &Step,
        ids: &Ids,
        slot: &mut usize,
    ) -> Result<(), PrepareError> {
        match step {
            Step::RootTmpfs(size) => {
                self.own.insert(InRoot::root());
                let options = TmpfsOptions::new(*size, 0o755, None);
                self.put(index, Operation::RootTmpfs(Box::new(options)))
            }
            Step::RootBind(_) | Step::RootCopy(_) => {
                self.put(index, Operation::RootBind(taken(slot)));
            }
            Step::RootOverlay(layers, upper, by) => {
                let volatile = matches!(upper, Upper::Disk(_));
                let lower = ids.lower(layers, *by, volatile, slot)?;
                let scratch = match upper {
                    Upper::Memory(size) => Scratch::Tmpfs(TmpfsOptions::new(*size, 0o755, None)),
                    Upper::Disk(_) => Scratch::Slot(taken(slot)),
                };
                self.put(index, Operation::RootOverlay(Box::new((lower, scratch))));
            }
            Step::RootFuse { .. } => {
                let (user, group) = ids.mounter()?;
                let slot = taken(slot);
                self.put(index, Operation::RootFuse { slot, user, group });
            }
            Step::Clear(at) => self.put(index, Operation::Clear(place(at)?)),
            Step::Directory(at, mode) => {
                let made = self.place_to_make(at)?;
                if made.parent.is_none() && !self.own.is_empty() {
                    self.own.insert(at.clone());
                }
                self.put(index, Operation::Directory(made, *mode));
            }
            Step::Link(at, target) => {
                let made = self.place_to_make(at)?;
                self.put(index, Operation::Link(made, path(target)?));
            }
            Step::File(at, bytes) => self.put(index, Operation::File(place(at)?, bytes.clone())),
            Step::Point(at) => self.put(index, Operation::File(place(at)?, Vec::new())),
            Step::Bind(_, at, _) | Step::Device { at, .. } => self.attach(index, taken(slot), place(at)?),
            Step::Mask(at) => {
                self.put(index, Operation::Mask(place(at)?));
            }
            Step::Tmpfs(at, size, mode, attributes) => {
                let options = TmpfsOptions::new(size.bytes, *mode, ids.give_to).with_inodes(size.inodes);
                self.put(
                    index,
                    Operation::Tmpfs {
                        at: place(at)?,
                        options: Box::new(options),
                        attributes: bits(*attributes),
                    },
                );
            }
            Step::WorkspaceOverlay(lower, at, size, attributes) => {
                let failed = |errno: Errno| PrepareError::Lower(lower.clone(), errno.desc().to_owned());
                let held = self.workspace.as_ref().ok_or(Errno::EBADF).map_err(failed)?;
                let below = (
                    ids.lower_of(held.as_fd(), Lowers::Alone, false, slot)
                        .map_err(failed)?,
                    TmpfsOptions::new(*size, 0o700, ids.give_to),
                );
                self.put(
                    index,
                    Operation::WorkspaceOverlay {
                        at: place(at)?,
                        below: Box::new(below),
                        attributes: bits(*attributes),
                    },
                );
            }
            _ => return self.confining_step(index, step, ids),
        }
        Ok(())
    }

    fn confining_step(&mut self, index: u32, step: &Step, ids: &Ids) -> Result<(), PrepareError> {
        match step {
            Step::Proc(at, kind, files) => {
                let own = self.own.contains(at);
                let operation = Operation::Proc {
                    at: place(at)?,
                    own_processes: *kind == ProcKind::OwnProcesses,
                    files: Box::new(proc_files(files, own)?),
                };
                self.put(index, operation);
            }
            Step::Devpts(at) => self.put(index, Operation::Devpts(place(at)?)),
            Step::Mqueue(at) => self.put(index, Operation::Mqueue(place(at)?)),
            Step::ReadOnly(at) => self.put(index, Operation::ReadOnly(place(at)?)),
            Step::SealRoot => self.put(index, Operation::SealRoot),
            Step::PivotRoot => self.put(index, Operation::PivotRoot),
            Step::Hostname(name) => self.put(index, Operation::Hostname(name.clone().into_bytes())),
            Step::Loopback => self.put(index, Operation::Loopback),
            Step::Keyring => self.put(index, Operation::Keyring),
            Step::Terminal => {
                self.put(index, Operation::Terminal);
            }
            Step::StartIn(at) => self.put(index, Operation::StartIn(place(at)?)),
            Step::Processors(list) => {
                self.put(index, Operation::Processors(Box::new(mask(list))));
            }
            Step::Limits(limits) => {
                for l in limits {
                    if l.resource == Resource::Fsize {
                        self.file_size = Some(l.soft);
                    }
                    let resource = l.resource.number();
                    self.put(
                        index,
                        Operation::Limit {
                            resource,
                            soft: l.soft,
                            hard: l.hard,
                        },
                    );
                }
            }
            Step::Groups(groups) => self.put(index, Operation::Groups(groups.clone())),
            Step::SetIds { uid, gid } => {
                let change = ids.give_to.is_some();
                self.put(
                    index,
                    Operation::SetIds {
                        uid: *uid,
                        gid: *gid,
                        change,
                    },
                );
            }
            Step::Capabilities(kept, holder) => self.put(index, Operation::Capabilities(kept.0, *holder)),
            Step::NoNewPrivileges => self.put(index, Operation::NoNewPrivileges),
            Step::Landlock {
                abi,
                tcp,
                scopes,
                nodes,
                rules,
            } => {
                self.abi = ABI::from(i32::from(*abi));
                self.ruleset = Some(ruleset(self.abi, tcp.as_deref(), *scopes)?);
                for rule in rules {
                    let (at, access) = (place(&rule.at)?, rule.access);
                    self.put(
                        index,
                        Operation::LandlockRule {
                            at,
                            access,
                            nodes: *nodes,
                        },
                    );
                }
                self.put(index, Operation::LandlockEnforce);
            }
            Step::LandlockSockets(allowed) => {
                let allowed = allowed.iter().map(place).collect::<Result<_, _>>()?;
                self.put(index, Operation::LandlockSockets(allowed));
            }
            Step::Init => {
                self.init = true;
                self.put(index, Operation::Init);
            }
            Step::Session => self.put(index, Operation::Session),
            Step::CloseRange => self.put(index, Operation::CloseRange),
            Step::Seccomp(table) => self.put(index, Operation::Seccomp(table.compile()?.instructions)),
            Step::Exec { command, environment } => self.put(index, command::exec(command, environment)?),
            // Named, so that a step that nobody carries out does not compile.
            Step::Clone(_)
            | Step::Cgroup(_)
            | Step::WatchMemory(_)
            | Step::Deadline(_)
            | Step::CountOutput(_)
            | Step::RelayFiles(_)
            | Step::MapIds { .. }
            | Step::TimeNamespace
            | Step::NoNestedNamespaces
            | Step::ActAsRoot
            | Step::RootTmpfs(_)
            | Step::RootBind(_)
            | Step::RootOverlay(..)
            | Step::RootFuse { .. }
            | Step::RootCopy(_)
            | Step::Clear(_)
            | Step::Directory(..)
            | Step::Link(..)
            | Step::File(..)
            | Step::Point(_)
            | Step::Bind(..)
            | Step::Device { .. }
            | Step::Mask(_)
            | Step::WatchDisk { .. }
            | Step::Tmpfs(..)
            | Step::WorkspaceOverlay(..) => {}
        }
        Ok(())
    }

    fn map_ids(
        &mut self,
        index: u32,
        uids: &IdMap,
        gids: &IdMap,
        by: &MapWriter,
    ) -> Result<(), PrepareError> {
        let own_users = match by {
            MapWriter::Child => true,
            MapWriter::Supervisor => false,
            MapWriter::Helpers { newuidmap, .. } => newuidmap.is_none(),
        };
        if own_users {
            self.put_first(
                index,
                Operation::KernelFile(c"/proc/self/uid_map", uids.lines().into_bytes()),
            );
        }
        match by {
            MapWriter::Child => {
                // Without a helper the kernel wants setgroups(2) denied first (CVE-2014-8989).
                self.put_first(
                    index,
                    Operation::KernelFile(c"/proc/self/setgroups", b"deny".to_vec()),
                );
                self.put_first(
                    index,
                    Operation::KernelFile(c"/proc/self/gid_map", gids.lines().into_bytes()),
                );
                return Ok(());
            }
            // The caller's own sources are opened meanwhile. Where there are many ids, some may lie in directories of others of them.
            MapWriter::Helpers { .. } if own_users => self.put(index, Operation::AwaitMaps),
            _ => self.put_first(index, Operation::AwaitMaps),
        }
        self.maps = Some((by.clone(), uids.clone(), gids.clone()));
        Ok(())
    }

    /// Clocks start at 0 for the command: what they show now is taken off.
    fn time_namespace(&mut self, index: u32) -> Result<(), PrepareError> {
        use nix::time::{ClockId, clock_gettime};
        let seconds = |clock| clock_gettime(clock).map_or(0, |t| t.tv_sec());
        let offsets = format!(
            "monotonic -{} 0\nboottime -{} 0\n",
            seconds(ClockId::CLOCK_MONOTONIC),
            seconds(ClockId::CLOCK_BOOTTIME)
        );
        self.put_first(index, Operation::UnshareTime);
        self.put_first(
            index,
            Operation::KernelFile(c"/proc/self/timens_offsets", offsets.into_bytes()),
        );
        Ok(())
    }
}

/// `own_root`: the root is a tmpfs of the sandbox's own, in which generated files can lie.
fn proc_files(files: &[ProcFile], own_root: bool) -> Result<ProcFiles, PrepareError> {
    let mut all = ProcFiles {
        staging: (!own_root).then(|| TmpfsOptions::new(Bytes(64 << 10), 0o555, None)),
        directories: Vec::new(),
        generated: Vec::new(),
        covers: Vec::new(),
        own: Vec::new(),
    };
    let put = |names: &mut Vec<CString>, name: &Path| -> Result<(), PrepareError> {
        let name = path(name)?;
        if !names.contains(&name) {
            names.push(name);
        }
        Ok(())
    };
    for file in files {
        let name = Path::new(file.path);
        match &file.content {
            None => put(&mut all.own, name)?,
            Some(bytes) => {
                all.generated.push((path(name)?, bytes.clone()));
                put(&mut all.covers, name.iter().next().map_or(name, Path::new))?;
            }
        }
        // The kernel's own file needs a place to be mounted on where a generated directory covers its own.
        let mut above: Vec<&Path> = name
            .ancestors()
            .skip(1)
            .filter(|at| !at.as_os_str().is_empty())
            .collect();
        above.reverse();
        for directory in above {
            put(&mut all.directories, directory)?;
        }
        if file.content.is_none() && name.components().count() > 1 {
            all.generated.push((path(name)?, Vec::new()));
        }
    }
    Ok(all)
}

fn clone_flags(net: bool) -> CloneFlags {
    let mut flags = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP;
    if net {
        flags |= libc::CLONE_NEWNET;
    }
    CloneFlags(u64::from(flags.cast_unsigned()))
}

fn ruleset(abi: ABI, tcp: Option<&[u16]>, scopes: bool) -> Result<RulesetCreated, PrepareError> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(abi))?;
    if tcp.is_some() {
        ruleset = ruleset.handle_access(AccessNet::from_all(ABI::V4))?;
    }
    if scopes {
        ruleset = ruleset.scope(Scope::from_all(ABI::V6))?;
    }
    let mut ruleset = ruleset.create()?;
    for port in tcp.unwrap_or_default() {
        ruleset = ruleset.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    Ok(ruleset)
}

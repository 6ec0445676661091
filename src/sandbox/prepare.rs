//! Plan to operations: all allocation happens here, before clone3.

mod steps;

use super::cgroup::{self, Counts};
use super::lower::Ids;
use super::operation::{Operation, Place, bits};
use super::outcome::Deadly;
use super::watch::{Apart, Watched};
use crate::model::homes::FileId;
use crate::model::{Bytes, HostPath, IdMap, InRoot};
use crate::plan::{Attributes, MapWriter, Plan, Step, Upper};
use crate::sys::process::CloneFlags;
use crate::sys::{Errno, fs, mount};
use landlock::{ABI, RulesetCreated};
use std::collections::BTreeSet;
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// A plan, ready to be walked by a child that may not allocate.
#[derive(Debug)]
pub struct Prepared {
    /// Operations, each with the index of its step in the plan.
    pub(super) operations: Vec<(u32, Operation)>,
    /// Directories of a root that is a tmpfs of the sandbox's own, as far as nothing is mounted on them. Whatever lies there is ours.
    own: BTreeSet<InRoot>,
    /// How many slots for open trees there are.
    pub(super) slots: usize,
    pub(super) namespaces: CloneFlags,
    /// Maps that the supervisor writes or has written.
    pub(super) maps: Option<(MapWriter, IdMap, IdMap)>,
    pub(super) ruleset: Option<RulesetCreated>,
    /// Which Landlock rights are handled.
    pub(super) abi: ABI,
    /// Whether init is pid 1.
    pub(super) init: bool,
    /// What the command gets in place of SIGTERM.
    pub(super) stop_signal: i32,
    /// The cgroup to make, and which step asks for it.
    pub(super) group: Option<(usize, cgroup::Asked)>,
    /// The working directory below an overlay. What was written is applied to it, whatever its name leads to by then.
    pub(super) workspace: Option<OwnedFd>,
    /// How much of what it counts is wanted.
    pub(super) counts: Counts,
    /// What is watched where there is none.
    pub(super) watched: Option<Watched>,
    /// What a process of its own watches.
    pub(super) apart: Option<Apart>,
    /// When everything is killed.
    pub(super) time: Option<Duration>,
    /// How much may be written to standard output and error, and which step asks for it.
    pub(super) output: Option<(usize, Bytes)>,
    /// How large a file may become.
    pub(super) file_size: Option<u64>,
    /// Which streams are files that are relayed, and which step asks for it.
    pub(super) relayed: Option<(usize, [bool; 3])>,
    /// Limits of each process that end it with a signal of their own.
    pub(super) deadly: Deadly,
    /// How many bytes the arguments take, counted before the clone because counting allocates.
    pub(super) arguments: usize,
}

/// Something in the plan that the kernel cannot be given.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The plan is not one that may be carried out.
    #[error(transparent)]
    Plan(#[from] crate::plan::Violation),
    /// The kernel takes no NUL inside a string.
    #[error("{0} contains a NUL byte")]
    Nul(String),
    /// The directory below an overlay cannot be looked at.
    #[error("{0}: {1}")]
    Lower(HostPath, String),
    /// What is to be watched cannot be opened.
    #[error("{0}: {1}")]
    Watched(HostPath, String),
    /// Landlock refused the rule set.
    #[error("cannot make a Landlock rule set: {0}")]
    Landlock(#[from] landlock::RulesetError),
    /// The filter could not be made.
    #[error(transparent)]
    Seccomp(#[from] crate::seccomp::CompileError),
}

/// Prepares a plan, and asks for the scope that it names: systemd makes it meanwhile. `counts`: how much of what a cgroup counts is
/// wanted at the end.
///
/// # Errors
/// For a plan that breaks a rule of its own, strings with NUL, and where Landlock or the filter cannot be made.
pub fn prepare(plan: &Plan, counts: Counts) -> Result<Prepared, PrepareError> {
    plan.verify()?;
    let mut p = Prepared {
        operations: Vec::with_capacity(plan.steps.len() * 2),
        own: BTreeSet::new(),
        slots: 0,
        namespaces: CloneFlags(0),
        maps: None,
        ruleset: None,
        abi: ABI::Unsupported,
        init: false,
        stop_signal: plan.stop_signal.as_ref().map_or(libc::SIGTERM, |s| s.value),
        group: None,
        workspace: None,
        counts,
        watched: None,
        apart: None,
        time: None,
        output: None,
        file_size: None,
        relayed: None,
        deadly: Deadly::of(plan),
        arguments: crate::sys::memory::size_of_arguments(),
    };
    let ids = Ids::of(plan);
    open_sources(plan, &mut p)?;
    let mut slot = 0;
    for (index, planned) in plan.steps.iter().enumerate() {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        p.step(index, &planned.step, &ids, &mut slot)?;
        if let Some(at) = planned.step.mounts_on() {
            p.own.remove(at);
        }
    }
    if let Some(watched) = &mut p.watched {
        watched.written_to_memory(plan);
    }
    if let Some(step) = Apart::take_over(&mut p.apart, &mut p.watched, plan) {
        p.put_first(step, Operation::TellNamespace);
    }
    Ok(p)
}

/// The next slot.
pub(super) fn taken(slot: &mut usize) -> usize {
    let this = *slot;
    *slot += 1;
    this
}

pub(super) fn text(bytes: impl Into<Vec<u8>>, what: &str) -> Result<CString, PrepareError> {
    CString::new(bytes).map_err(|_| PrepareError::Nul(what.to_owned()))
}

pub(super) fn path(path: &Path) -> Result<CString, PrepareError> {
    text(path.as_os_str().as_bytes(), "a path")
}

fn place(at: &InRoot) -> Result<Place, PrepareError> {
    let parent = match at.parent() {
        Some(parent) if parent != InRoot::root() => Some(path(parent.relative())?),
        _ => None,
    };
    let name = at.name().unwrap_or(OsStr::new("."));
    Ok(Place {
        path: path(at.relative())?,
        parent,
        name: text(name.as_bytes(), "a path")?,
    })
}

const NO_SET_ID_NO_DEVICES: mount::Attributes =
    mount::Attributes(mount::Attributes::NO_SUID | mount::Attributes::NO_DEV);

impl Prepared {
    /// Opens the working directory, for as long as the run. Gives its identity, by which the child knows it.
    fn hold_workspace(&mut self, lower: &HostPath, path: &CStr) -> Result<FileId, PrepareError> {
        let failed = |errno: Errno| PrepareError::Lower(lower.clone(), errno.desc().to_owned());
        let held = fs::open_without_links(path, libc::O_PATH | libc::O_DIRECTORY).map_err(failed)?;
        let id = fs::id(held.as_fd()).map_err(failed)?;
        self.workspace = Some(held);
        Ok(id)
    }
}

/// The host's paths are opened before anything else: with the caller's own rights, and before a new root hides them.
fn open_sources(plan: &Plan, p: &mut Prepared) -> Result<(), PrepareError> {
    for (index, planned) in plan.steps.iter().enumerate() {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let (source, attributes) = match &planned.step {
            Step::Bind(source, _, attributes) => (path(source.as_path())?, bits(*attributes)),
            Step::Device { source, .. } => (path(source.as_path())?, bits(Attributes::DEVICE)),
            Step::RootBind(source) => (path(source.as_path())?, bits(Attributes::READ_EXECUTE)),
            Step::RootCopy(source) => (path(source.as_path())?, NO_SET_ID_NO_DEVICES),
            Step::RootOverlay(layers, ..) => (path(layers.within.as_path())?, NO_SET_ID_NO_DEVICES),
            Step::WorkspaceOverlay(lower, _, _, attributes) => (path(lower.as_path())?, bits(*attributes)),
            Step::RootFuse { .. } => {
                // Root may open a device that is its own only as long as it has not become another id.
                let open = Operation::OpenFuse(taken(&mut p.slots));
                p.operations.push((index, open));
                continue;
            }
            _ => continue,
        };
        let same = match &planned.step {
            Step::WorkspaceOverlay(lower, ..) => Some(p.hold_workspace(lower, &source)?),
            _ => None,
        };
        let open = Operation::Open {
            slot: taken(&mut p.slots),
            path: source,
            attributes,
            same,
        };
        p.operations.push((index, open));
        if let Step::RootOverlay(_, Upper::Disk(directory), _) = &planned.step {
            let open = Operation::Open {
                slot: taken(&mut p.slots),
                path: path(directory.as_path())?,
                attributes: NO_SET_ID_NO_DEVICES,
                same: None,
            };
            p.operations.push((index, open));
        }
    }
    Ok(())
}
